//! Whoever is one has the facts of one: records without keys in random partitions, visitors who
//! get known late, merges, referrals, accounts; two instances, each killed in the middle.
//!
//! A naive single-threaded model says what is right: sets of ids that are one, and all events of a
//! set applied in order of time. `EBBFLOW_REPEAT` says how often, each time another shop. Next:
//! `tests/model/identity.rs`, the same without a broker.

use crate::program::{Application, PARTITIONS, Program, poll_for, repeats};
use crate::records::read_committed;
use crate::workload::Random;
use ebbflow::codec::decoder::decode_json_line;
use ebbflow::codec::state::{StateKey, parse_key, unframe};
use ebbflow::config::from_sources;
use ebbflow::domain::apply::{Tally, apply};
use ebbflow::domain::customer::Customer;
use ebbflow::domain::event::{Body, Event, Interaction};
use ebbflow::domain::facts::order_facts::OrderFacts;
use ebbflow::domain::id::{EventKey, hash64};
use ebbflow::domain::name::Name;
use ebbflow::domain::pack::unpack;
use ebbflow::domain::publish::context::{CauseEvent, Context};
use ebbflow::domain::rules::Rules;
use ebbflow::domain::subject::Subject;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const EVENTS: i64 = 20_000;
/// The first thousand refer, the second are referred; who is one with whom is so among a thousand.
const PEOPLE: i64 = 3_000;
const ACCOUNTS: i64 = 1_000;
const MERGES: i64 = PEOPLE / 100;
const REFERRALS: i64 = PEOPLE / 20;
const DAYS: i64 = 60;
/// 2025-01-01.
const FIRST_MS: i64 = 1_735_689_600_000;

/// An event, as it is sent.
struct Line {
    topic: &'static str,
    text: String,
    partition: i64,
}

/// A shop's events in the order in which they are sent.
fn shop(seed: u64) -> Vec<Line> {
    let mut random = Random(seed);
    let mut lines = Vec::new();
    let mut known = BTreeSet::new();
    let mut last_order = BTreeMap::new();
    for number in 0..EVENTS {
        let person = random.below(PEOPLE);
        let at = FIRST_MS + number * DAYS * DAY_MS / EVENTS - random.below(3 * 3_600_000);
        let mut event = json!({
            "event_id": format!("e-{number}"),
            "occurred_at": at,
            "account_id": format!("a-{}", person % ACCOUNTS),
        });
        // Every fourth has a visitor, who is known from half-way on.
        let has_visitor = person % 4 == 0;
        match (has_visitor, number > EVENTS / 2) {
            (true, false) if random.below(3) == 0 => {
                event["anonymous_id"] = json!(format!("v-{person}"));
            }
            (true, true) if known.insert(person) => {
                event["customer_id"] = json!(format!("p-{person}"));
                event["anonymous_id"] = json!(format!("v-{person}"));
            }
            _ => event["customer_id"] = json!(format!("p-{person}")),
        }
        let topic = match random.below(10) {
            0..4 => {
                event["kind"] = json!("order_completed");
                event["order_id"] = json!(format!("o-{number}"));
                event["amount_minor"] = json!(100 + random.below(20_000));
                event["currency"] = json!("EUR");
                last_order.insert(person, number);
                "purchases"
            }
            4 if last_order.contains_key(&person) => {
                event["kind"] = json!("order_refunded");
                event["order_id"] = json!(format!("o-{}", last_order[&person]));
                event["amount_minor"] = json!(50);
                event["currency"] = json!("EUR");
                "purchases"
            }
            5 => {
                event["kind"] = json!("qualification_updated");
                event["element"] = json!("champion");
                event["score"] = json!(random.below(4));
                "interactions"
            }
            _ => {
                event["kind"] = json!("product_viewed");
                "interactions"
            }
        };
        let mut line = |topic, event: &Value, random: &mut Random| {
            let partition = random.below(i64::from(PARTITIONS));
            lines.push(Line { topic, text: event.to_string(), partition });
        };
        line(topic, &event, &mut random);
        // The same event in two partitions, of whom nothing else happens to.
        if topic == "purchases" && random.below(100) == 0 {
            line(topic, &event, &mut random);
        }
        if number % (EVENTS / MERGES) == 7 {
            let thousand = 1_000 * random.below(3);
            let [into, from] = [(); 2].map(|()| thousand + random.below(1_000));
            if into != from {
                let merge = json!({"event_id": format!("m-{number}"), "kind": "customers_merged",
                    "customer_id": format!("p-{into}"), "from_customer_id": format!("p-{from}"),
                    "occurred_at": at});
                line("interactions", &merge, &mut random);
            }
        }
        if number % (EVENTS / REFERRALS) == 3 {
            let (by, who) = (random.below(1_000), 1_000 + random.below(1_000));
            let referral = json!({"event_id": format!("r-{number}"), "kind": "referral_accepted",
                "customer_id": format!("p-{by}"), "referred_customer_id": format!("p-{who}"),
                "occurred_at": at});
            line("interactions", &referral, &mut random);
        }
    }
    lines
}

fn send(application: &Application, lines: &[Line]) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", application.bootstrap())
        .set("queue.buffering.max.messages", "100000")
        .create()
        .expect("make a producer");
    for line in lines {
        let topic = application.topic(line.topic);
        let partition = i32::try_from(line.partition).expect("few");
        let record = BaseRecord::<str, str>::to(&topic).partition(partition).payload(&line.text);
        producer.send(record).map_err(|(error, _)| error).expect("send");
    }
    producer.flush(Duration::from_secs(60)).expect("flush");
}

/// What is compared of a subject.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Known {
    orders: u64,
    net_minor: i64,
    last_order_at: Option<Timestamp>,
    interactions: u64,
    referred_revenue_minor: i64,
    /// Of an account, by hash of the id: first event, last event, score as champion.
    contacts: BTreeMap<u64, (Timestamp, Timestamp, u8)>,
}

fn known(customer: &Customer, rules: &Rules) -> Known {
    let facts = OrderFacts::of(&customer.book, &rules.rates);
    let contacts = customer.contacts.as_deref().map_or(&[][..], |contacts| &contacts.list);
    Known {
        orders: facts.orders,
        net_minor: facts.net_minor,
        last_order_at: facts.last_counting_at,
        interactions: customer.interactions.as_deref().map_or(0, |it| it.total),
        referred_revenue_minor: customer.ties.as_deref().map_or(0, |it| it.referred_revenue_minor),
        contacts: contacts
            .iter()
            .map(|it| (it.hash, (it.first_at, it.last_at, it.champion_score())))
            .collect(),
    }
}

/// Sets of ids that are one.
#[derive(Default)]
struct Classes(BTreeMap<String, String>);

impl Classes {
    fn of(&self, id: &str) -> String {
        match self.0.get(id) {
            Some(of) => self.of(of),
            None => id.to_owned(),
        }
    }

    fn unite(&mut self, one: &str, other: &str) {
        let (one, other) = (self.of(one), self.of(other));
        if one != other {
            self.0.insert(other, one);
        }
    }
}

/// All events of one subject, in order of time, applied to one customer.
fn applied(events: &[&Event<'_>], rules: &Rules) -> Customer {
    static TOPIC: Name = Name::BuiltIn("t");
    let mut sorted = events.to_vec();
    sorted.sort_by_key(|event| event.occurred_at);
    let first = sorted.first().map_or(Timestamp::MIN, |event| event.occurred_at);
    let mut customer = Customer::new("naive", first, 1);
    let context = Context {
        rules,
        application_id: "naive",
        lineage: 1,
        clock: Timestamp(FIRST_MS),
        now: None,
        silent: true,
        run_id: None,
        rebuilt_at: Timestamp::MIN,
    };
    for event in sorted {
        let cause = CauseEvent::of(event, event.occurred_at, (&TOPIC, 0, 0));
        let out = (&mut Tally::default(), &mut Vec::new());
        apply(&mut customer, event, &cause, None, &context, out);
    }
    customer
}

/// What is right: by the set of a person's ids, and by account.
struct Expected {
    classes: Classes,
    people: BTreeMap<String, Known>,
    accounts: BTreeMap<String, Known>,
    /// By account: contacts by set of ids.
    contacts: BTreeMap<String, BTreeMap<String, (Timestamp, Timestamp, u8)>>,
}

fn expected(lines: &[Line], rules: &Rules) -> Expected {
    let mut seen = BTreeSet::new();
    let events: Vec<Event<'_>> = lines
        .iter()
        .map(|line| decode_json_line(line.text.as_bytes(), &rules.rates).expect("an event"))
        .filter(|event| seen.insert(event.event_id.to_string()))
        .collect();
    let mut classes = Classes::default();
    for event in &events {
        if let (Some(id), Some(visitor)) = (&event.customer_id, &event.anonymous_id) {
            classes.unite(id, &format!("anon:{visitor}"));
        }
        if let Body::Interaction(Interaction::CustomersMerged { from_customer_id }) = &event.body {
            classes.unite(&event.subject_id(), from_customer_id);
        }
    }
    let mut of_people: BTreeMap<String, Vec<&Event<'_>>> = BTreeMap::new();
    let mut of_accounts: BTreeMap<String, Vec<&Event<'_>>> = BTreeMap::new();
    let mut contacts: BTreeMap<String, BTreeMap<String, (Timestamp, Timestamp, u8)>> =
        BTreeMap::new();
    let mut scored: BTreeMap<(String, String), (Timestamp, EventKey)> = BTreeMap::new();
    for event in &events {
        let class = classes.of(&event.subject_id());
        let feeds = rules.feeds(event);
        if feeds.person {
            of_people.entry(class.clone()).or_default().push(event);
        }
        let Some(account) = &event.account_id else { continue };
        let account = format!("account:{account}");
        if feeds.account {
            of_accounts.entry(account.clone()).or_default().push(event);
        }
        let at = event.occurred_at;
        let contact = contacts.entry(account.clone()).or_default();
        let times = contact.entry(class.clone()).or_insert((at, at, 0));
        (times.0, times.1) = (times.0.min(at), times.1.max(at));
        if let Body::Interaction(Interaction::QualificationUpdated(
            ebbflow::domain::event::Qualification::Element { score, .. },
        )) = &event.body
        {
            let stamp = (at, EventKey::of(hash64(&event.event_id)));
            // A score that a visitor gave is nobody's.
            if event.customer_id.is_some()
                && scored.get(&(account.clone(), class.clone())).is_none_or(|was| *was < stamp)
            {
                times.2 = *score;
                scored.insert((account, class), stamp);
            }
        }
    }
    let mut people: BTreeMap<String, Known> = of_people
        .iter()
        .map(|(class, events)| (class.clone(), known(&applied(events, rules), rules)))
        .collect();
    let accounts = of_accounts
        .iter()
        .map(|(account, events)| (account.clone(), known(&applied(events, rules), rules)))
        .collect();
    for (by, minor) in credits(&events, &classes, &people) {
        people.entry(by).or_default().referred_revenue_minor += minor;
    }
    Expected { classes, people, accounts, contacts }
}

/// What each referrer has brought: whoever is said first to have brought somebody did.
fn credits(
    events: &[Event<'_>],
    classes: &Classes,
    people: &BTreeMap<String, Known>,
) -> Vec<(String, i64)> {
    let mut first: BTreeMap<String, (Timestamp, EventKey, String)> = BTreeMap::new();
    for event in events {
        if let Body::Interaction(Interaction::ReferralAccepted {
            referred_customer_id: Some(who),
        }) = &event.body
        {
            let key = EventKey::of(hash64(&event.event_id));
            let said = (event.occurred_at, key, classes.of(&event.subject_id()));
            let known = first.entry(classes.of(who)).or_insert_with(|| said.clone());
            if said < *known {
                *known = said;
            }
        }
    }
    let credit = |(who, (_, _, by)): (String, (Timestamp, EventKey, String))| {
        (by, people.get(&who).map_or(0, |known| known.net_minor))
    };
    first.into_iter().map(credit).collect()
}

/// The subjects that the state topic holds.
fn subjects(application: &Application, rules: &Rules) -> BTreeMap<String, Customer> {
    let mut states: BTreeMap<String, Option<Customer>> = BTreeMap::new();
    for record in read_committed(application.bootstrap(), &application.topic("state")) {
        let key = record.key.expect("a key");
        if let StateKey::Customer(id) = parse_key(&key).expect("a key of ours") {
            let state = record.value.map(|value| {
                unpack(unframe(&value).expect("our version"), &rules.rates).expect("a state")
            });
            states.insert(id.to_owned(), state);
        }
    }
    states.into_iter().filter_map(|(id, state)| Some((id, state?))).collect()
}

/// Where what is known differs from what is right; empty when nowhere.
fn differences(
    subjects: &BTreeMap<String, Customer>,
    expected: &Expected,
    rules: &Rules,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut left: BTreeMap<String, String> = BTreeMap::new();
    for (id, customer) in subjects.iter().filter(|(id, _)| Subject::of(id) != Subject::Account) {
        let class = expected.classes.of(id);
        if let Some(other) = left.insert(class.clone(), id.clone()) {
            found.push(format!("{id} and {other} are one"));
        }
        let (is, right) = (known(customer, rules), expected.people.get(&class));
        let right = right.cloned().unwrap_or_default();
        if is != right {
            found.push(format!("{id}: {is:?}, expected {right:?}"));
        }
    }
    for class in expected.people.keys().filter(|class| !left.contains_key(*class)) {
        found.push(format!("{class} is not known"));
    }
    for (account, right) in &expected.accounts {
        let Some(customer) = subjects.get(account) else {
            found.push(format!("{account} is not known"));
            continue;
        };
        let contacts = expected.contacts.get(account).into_iter().flatten();
        let contacts = contacts
            .filter_map(|(class, times)| Some((left.get(class)?, times)))
            .filter(|(id, _)| Subject::of(id) == Subject::Customer)
            .map(|(id, times)| (hash64(id), *times))
            .collect();
        let right = Known { contacts, ..right.clone() };
        let is = known(customer, rules);
        if is != right {
            found.push(format!("{account}: {is:?}, expected {right:?}"));
        }
    }
    found
}

/// Records that the tasks have not read, the relay's too; `None` unless all of them run.
fn unread(instances: &mut [Program]) -> Option<u64> {
    let tasks: Vec<Value> = instances.iter_mut().flat_map(Program::tasks).collect();
    let running = tasks.iter().filter(|task| task["state"] == "running").count();
    if running != PARTITIONS as usize {
        return None;
    }
    let inputs = tasks.iter().flat_map(|task| task["inputs"].as_array().into_iter().flatten());
    let lag = |input: &Value| Some(input["end_offset"].as_u64()? - input["next_offset"].as_u64()?);
    inputs.map(lag).sum()
}

fn cross(seed: u64) {
    let rules: Arc<Rules> = from_sources(None, [], &[]).expect("the defaults").config.rules;
    // Nobody is forgotten: the shop was long ago.
    let settings = ["input.key=any", "clock=wall", "identity.keep_visitors=9000d"];
    let application = Application::new("crossing", &settings);
    let lines = shop(seed);
    let expected = expected(&lines, &rules);
    let (early, late) = lines.split_at(lines.len() / 2);
    send(&application, early);
    let start = |number: u32| application.with(&[&format!("instance_id={number}")]).start(&[]);
    let mut instances = [start(0), start(1)];
    for (number, commits, then) in [(0, 5, late), (1, 8, &[])] {
        // Some transactions later, while much is on its way.
        let instance = &mut instances[usize::from(number == 1)];
        instance.wait_for_commits(commits).expect("it goes on");
        instance.kill();
        *instance = start(number);
        send(&application, then);
    }
    let read = poll_for(|| unread(&mut instances).filter(|left| *left == 0));
    assert_eq!(read, Some(0), "everything is read");
    // What was read last may still be on its way.
    let settled = poll_for(|| {
        let found = differences(&subjects(&application, &rules), &expected, &rules);
        found.is_empty().then_some(())
    });
    if settled.is_none() {
        let found = differences(&subjects(&application, &rules), &expected, &rules);
        panic!("seed {seed}: {} differ\n{}", found.len(), found[..found.len().min(5)].join("\n"));
    }
    for instance in &mut instances {
        assert_eq!(instance.terminate().code(), Some(0));
    }
    // Nothing came after.
    let found = differences(&subjects(&application, &rules), &expected, &rules);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn whoever_is_one_has_the_facts_of_one_through_kills_of_both_instances() {
    for seed in 1..=repeats() {
        cross(seed);
    }
}
