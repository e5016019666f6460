//! Who is one with whom, over partitions: whatever comes first, the one who is left has the facts
//! of all, accounts and referrers know of them, and nothing goes in a circle.
//!
//! Events lie in any partition, and records of the relay arrive at any time, in the order of their
//! partition. Next: `network.rs`, the tasks; `absorb.rs`, two customers of one partition.

use crate::absorb::{facts, of};
use crate::fixture::{T0, config, day, eur, event, ordered, rules, visited};
use crate::network::Network;
use crate::workload;
use ebbflow::domain::customer::Customer;
use ebbflow::domain::event::{Body, Event, Interaction, VisitKind};
use ebbflow::domain::facts::order_facts::OrderFacts;
use ebbflow::domain::facts::ties::Ties;
use ebbflow::domain::id::{EventKey, hash64, partition_of};
use ebbflow::domain::rules::Rules;
use ebbflow::domain::subject::Subject;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeMap;
use std::sync::Arc;

const PERSONS: usize = 4;
const PARTITIONS: u32 = 3;

/// Who an event is of, and where its record lies.
#[derive(Clone, Debug)]
struct Sender {
    person: usize,
    /// One of the person's two visitors alone is named.
    visitor: Option<usize>,
    account: Option<usize>,
    partition: usize,
    /// Records of the relay that arrive before: by partition.
    arrive: Vec<usize>,
}

/// What ties people.
#[derive(Clone, Debug)]
enum Tie {
    /// The first takes over the second.
    Merge(usize, usize),
    /// An event names the person and one of its visitors.
    Known(usize, usize),
    /// One of two referrers brought the person.
    Refer(usize, usize),
    /// The first referrer takes over the second, or the other way round.
    MergeReferrers(bool),
}

fn sender() -> impl Strategy<Value = Sender> {
    let visitor = prop_oneof![3 => Just(None), 1 => (0..2_usize).prop_map(Some)];
    let account = prop_oneof![2 => Just(None), 1 => (0..2_usize).prop_map(Some)];
    let partition = 0..PARTITIONS as usize;
    (0..PERSONS, visitor, account, partition, vec(0..PARTITIONS as usize, 0..4)).prop_map(
        |(person, visitor, account, partition, arrive)| Sender {
            person,
            visitor,
            account,
            partition,
            arrive,
        },
    )
}

fn tie() -> impl Strategy<Value = Tie> {
    prop_oneof![
        4 => (0..PERSONS, 0..PERSONS).prop_map(|(into, from)| Tie::Merge(into, from)),
        3 => (0..PERSONS, 0..2_usize).prop_map(|(person, visitor)| Tie::Known(person, visitor)),
        2 => (0..2_usize, 0..PERSONS).prop_map(|(by, person)| Tie::Refer(by, person)),
        1 => any::<bool>().prop_map(Tie::MergeReferrers),
    ]
}

fn person(number: usize) -> String {
    format!("c-{number}")
}

fn referrer(number: usize) -> String {
    format!("r-{number}")
}

fn anonymous(person: usize, visitor: usize) -> String {
    format!("v-{person}-{visitor}")
}

/// The event as its sender sends it.
fn sent(mut event: Event<'static>, sender: &Sender) -> Event<'static> {
    event.account_id = sender.account.map(|account| format!("a-{account}").into());
    event.customer_id = Some(person(sender.person).into());
    if let Some(visitor) = sender.visitor {
        event.customer_id = None;
        event.anonymous_id = Some(anonymous(sender.person, visitor).into());
    }
    event
}

fn tied(tie: &Tie, number: usize, at: Timestamp) -> Event<'static> {
    let id = format!("t{number}");
    let merged = |into: String, from: String| {
        let body = Interaction::CustomersMerged { from_customer_id: from.into() };
        event(&id, &into, at, Body::Interaction(body))
    };
    match tie {
        Tie::Merge(into, from) => merged(person(*into), person(*from)),
        Tie::MergeReferrers(first) => {
            merged(referrer(usize::from(*first)), referrer(usize::from(!*first)))
        }
        Tie::Known(who, visitor) => {
            let mut known = event(&id, &person(*who), at, visited(VisitKind::LoggedIn));
            known.anonymous_id = Some(anonymous(*who, *visitor).into());
            known
        }
        Tie::Refer(by, who) => {
            let referred_customer_id = Some(person(*who).into());
            let body = Interaction::ReferralAccepted { referred_customer_id };
            event(&id, &referrer(*by), at, Body::Interaction(body))
        }
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

/// The events of a customer, by who it turned out to be, as the naive model has them.
fn by_class(events: &[Event<'static>], classes: &Classes) -> BTreeMap<String, Vec<Event<'static>>> {
    let mut all: BTreeMap<String, Vec<Event<'static>>> = BTreeMap::new();
    for event in events {
        all.entry(classes.of(&event.subject_id())).or_default().push(event.clone());
    }
    all
}

fn net(customer: &Customer) -> i64 {
    customer.ties.as_deref().map_or(0, |ties| ties.referred_revenue_minor)
}

/// What the accounts' own log would be: the events that feed them.
fn of_account(events: &[Event<'static>], account: &str, rules: &Rules) -> Vec<Event<'static>> {
    let named = |event: &&Event<'_>| event.account_id.as_deref() == Some(account);
    events.iter().filter(named).filter(|event| rules.feeds(event).account).cloned().collect()
}

/// The history with its ties in between.
fn history(
    arrivals: &[Event<'static>],
    senders: &[Sender],
    ties: &[(Index, Tie)],
) -> Vec<(Event<'static>, Sender)> {
    let mut all: Vec<(Event<'static>, Sender)> = arrivals
        .iter()
        .zip(senders)
        .filter(|(event, _)| {
            let body = &event.body;
            !matches!(body, Body::Interaction(Interaction::ReferralAccepted { .. }))
        })
        .map(|(event, sender)| (sent(event.clone(), sender), sender.clone()))
        .collect();
    for (number, (place, tie)) in ties.iter().enumerate() {
        let place = place.index(all.len() + 1);
        let at = Timestamp(T0 + DAY_MS * 3 + i64::try_from(number).expect("few"));
        let mut sender = senders[number % senders.len()].clone();
        sender.account = None;
        let tied = tied(tie, number, at);
        if !matches!(tie, Tie::Merge(into, from) if into == from) {
            all.insert(place, (tied, sender));
        }
    }
    all
}

fn classes_of(ties: &[(Index, Tie)]) -> Classes {
    let mut classes = Classes::default();
    for (_, tie) in ties {
        match tie {
            Tie::Merge(into, from) => classes.unite(&person(*into), &person(*from)),
            Tie::MergeReferrers(_) => classes.unite(&referrer(0), &referrer(1)),
            Tie::Known(who, visitor) => {
                let visitor = format!("anon:{}", anonymous(*who, *visitor));
                classes.unite(&person(*who), &visitor);
            }
            Tie::Refer(..) => {}
        }
    }
    classes
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_comes_first_who_is_one_has_the_facts_of_one(
        events in workload::history(1, 1..16, true),
        senders in vec(sender(), 24),
        ties in vec((any::<Index>(), tie()), 0..7),
    ) {
        let mut rules = rules();
        // Of days that only one of two still has counts of, each was capped by itself.
        rules.fold.daily_cap = 1_000;
        // And nobody is forgotten.
        rules.keep_visitors_ms = 36_500 * DAY_MS;
        let rules = Arc::new(rules);
        let last = events.iter().map(|event| event.occurred_at.0).max().unwrap_or(T0);
        let clock = last.max(T0 + DAY_MS * 4) + DAY_MS;
        let all = history(&events, &senders, &ties);
        let mut network = Network::new(&rules, PARTITIONS, Timestamp(clock));
        for (event, sender) in &all {
            for partition in &sender.arrive {
                network.deliver(*partition);
            }
            network.read(sender.partition, event);
        }
        network.drain();

        let sent: Vec<Event<'static>> = all.iter().map(|(event, _)| event.clone()).collect();
        let classes = classes_of(&ties);
        let expected = by_class(&sent, &classes);
        let mut left = BTreeMap::new();
        for event in &sent {
            let id = event.subject_id();
            let whoever = network.whoever_is(&id);
            let class = classes.of(&id);
            let known = left.entry(class.clone()).or_insert_with(|| whoever.clone()).clone();
            prop_assert_eq!(&known, &whoever, "{} is one of {}", id, class);
        }
        for (class, events) in &expected {
            let fed: Vec<_> =
                events.iter().filter(|event| rules.feeds(event).person).cloned().collect();
            let whole = of(&fed, &rules, clock);
            let united = network.subject(&left[class]);
            let united = united.expect("whoever was heard of is known");
            prop_assert_eq!(facts(&united, false), facts(&whole, false), "{}", class);
        }
        // Nobody else is known, but accounts and those who were referred without an event.
        let known = network.subjects();
        for customer in &known {
            let is_left = left.values().any(|id| *id == customer.id);
            let is_referred = ties.iter().any(|(_, tie)| {
                matches!(tie, Tie::Refer(_, who) if network.whoever_is(&person(*who)) == customer.id)
            });
            let is_account = Subject::of(&customer.id) == Subject::Account;
            prop_assert!(is_left || is_referred || is_account, "{} is known", customer.id);
        }

        accounts_know_their_contacts(&network, &sent, &classes, (&rules, clock))?;
        referrers_are_credited(&network, &all, &expected, &classes, (&rules, clock))?;
    }
}

/// Before anything is known of time a task's clock stands at its beginning.
#[test]
fn whoever_becomes_another_one_is_followed_before_any_clock_is_known() {
    let mut network = Network::new(&Arc::new(rules()), PARTITIONS, Timestamp::MIN);
    let at = Timestamp(T0);
    network.read(0, &event("e1", &person(1), at, visited(VisitKind::LoggedIn)));
    network.read(1, &tied(&Tie::Merge(0, 1), 2, at));
    network.drain();
    assert_eq!(network.whoever_is(&person(1)), person(0));
    for task in &mut network.tasks {
        task.advance_to(at);
        task.fire_timers(usize::MAX, None).expect("readable states");
    }
    network.read(2, &event("e3", &person(1), at, visited(VisitKind::LoggedIn)));
    network.drain();
    assert_eq!(network.subjects().len(), 1);
}

fn accounts_know_their_contacts(
    network: &Network,
    sent: &[Event<'static>],
    classes: &Classes,
    (rules, clock): (&Rules, i64),
) -> Result<(), TestCaseError> {
    for account in ["a-0", "a-1"] {
        let fed = of_account(sent, account, rules);
        let Some(subject) = network.subject(&format!("account:{account}")) else {
            prop_assert!(fed.is_empty(), "{} is not known", account);
            continue;
        };
        let whole = of(&fed, rules, clock);
        prop_assert_eq!(facts(&subject, false), facts(&whole, false), "{}", account);
        // By class of those who are customers: first and last event, and the last one elsewhere.
        let mut expected: BTreeMap<u64, (Timestamp, Timestamp)> = BTreeMap::new();
        let mut elsewhere: BTreeMap<u64, Timestamp> = BTreeMap::new();
        for event in sent.iter().filter(|event| event.account_id.is_some()) {
            let id = network.whoever_is(&event.subject_id());
            prop_assert_eq!(classes.of(&id), classes.of(&event.subject_id()));
            if Subject::of(&id) != Subject::Customer {
                continue;
            }
            let (hash, at) = (hash64(&id), event.occurred_at);
            if event.account_id.as_deref() == Some(account) {
                let times = expected.entry(hash).or_insert((at, at));
                *times = (times.0.min(at), times.1.max(at));
            } else {
                let last = elsewhere.entry(hash).or_insert(at);
                *last = (*last).max(at);
            }
        }
        let contacts = subject.contacts.as_deref().map_or(&[][..], |it| &it.list);
        let found: BTreeMap<u64, (Timestamp, Timestamp)> = contacts
            .iter()
            .map(|contact| (contact.hash, (contact.first_at, contact.last_at)))
            .collect();
        prop_assert_eq!(&found, &expected, "{}", account);
        for contact in contacts {
            let left = elsewhere.get(&contact.hash).is_some_and(|at| *at > contact.last_at);
            prop_assert_eq!(contact.has_left(), left, "{:?} of {}", contact, account);
        }
    }
    Ok(())
}

fn referrers_are_credited(
    network: &Network,
    all: &[(Event<'static>, Sender)],
    expected: &BTreeMap<String, Vec<Event<'static>>>,
    classes: &Classes,
    (rules, clock): (&Rules, i64),
) -> Result<(), TestCaseError> {
    let mut first: BTreeMap<String, (Timestamp, EventKey, String)> = BTreeMap::new();
    for (event, _) in all {
        let Body::Interaction(Interaction::ReferralAccepted { referred_customer_id: Some(who) }) =
            &event.body
        else {
            continue;
        };
        let by = event.customer_id.as_deref().expect("a customer").to_owned();
        let said = (event.occurred_at, EventKey::of(hash64(&event.event_id)), by);
        let known = first.entry(classes.of(who)).or_insert_with(|| said.clone());
        if said < *known {
            *known = said;
        }
    }
    let mut revenue: BTreeMap<String, i64> = BTreeMap::new();
    for (class, (_, _, by)) in &first {
        let events = expected.get(class).map_or(&[][..], Vec::as_slice);
        let bought = OrderFacts::of(&of(events, rules, clock).book, &rules.rates).net_minor;
        *revenue.entry(classes.of(by)).or_default() += bought;
    }
    for referrer in [referrer(0), referrer(1)] {
        let whoever = network.whoever_is(&referrer);
        let credited = network.subject(&whoever).as_ref().map_or(0, net);
        let class = classes.of(&referrer);
        prop_assert_eq!(credited, revenue.get(&class).copied().unwrap_or(0), "{}", referrer);
    }
    Ok(())
}

#[test]
fn somebody_erased_is_not_remembered_by_whom_they_are_merged_into() {
    let rules = Arc::new(rules());
    let mut network = Network::new(&rules, PARTITIONS, day(10));
    let erased = event("e-1", "c-1", day(1), Body::Interaction(Interaction::EraseRequested));
    let merged = Interaction::CustomersMerged { from_customer_id: "c-1".into() };
    let merged = event("e-2", "c-0", day(2), Body::Interaction(merged));
    network.read(0, &event("e-0", "c-1", day(0), visited(VisitKind::LoggedIn)));
    network.drain();
    network.read(0, &erased);
    network.drain();
    network.read(0, &merged);
    network.drain();
    let ties = network.subject("c-0").expect("it is known").ties;
    assert_eq!(ties.map(|ties| ties.aliases), Some(Vec::new()));
    assert_eq!(network.subject("c-1"), None);
}

/// Reads events in partitions in turn, each when everything before has arrived.
fn network_of(events: &[Event<'static>]) -> Network {
    let mut network = Network::new(&Arc::new(rules()), PARTITIONS, day(30));
    for (number, event) in events.iter().enumerate() {
        network.read(number % PARTITIONS as usize, event);
        network.drain();
    }
    network
}

fn said(id: &str, who: &str, days: i64, interaction: Interaction<'static>) -> Event<'static> {
    event(id, who, day(days), Body::Interaction(interaction))
}

fn merged(id: &str, into: &str, from: &'static str, days: i64) -> Event<'static> {
    said(id, into, days, Interaction::CustomersMerged { from_customer_id: from.into() })
}

fn referred(id: &str, by: &str, who: &'static str, days: i64) -> Event<'static> {
    let referred_customer_id = Some(who.into());
    said(id, by, days, Interaction::ReferralAccepted { referred_customer_id })
}

fn bought(id: &str, who: &str, days: i64) -> Event<'static> {
    event(id, who, day(days), ordered(id, eur(1_000)))
}

fn erased(id: &str, who: &str, days: i64) -> Event<'static> {
    said(id, who, days, Interaction::EraseRequested)
}

/// Ids that a subject keeps of others.
fn kept(network: &Network, id: &str) -> Vec<String> {
    let ties = network.subject(id).and_then(|it| it.ties).map_or_else(Ties::default, |it| *it);
    let aliases = ties.aliases.into_iter().chain(ties.referred).map(|heard| heard.id);
    aliases.chain(ties.referrer.map(|referrer| referrer.id)).collect()
}

#[test]
fn a_referrer_who_is_erased_is_forgotten_by_who_has_not_bought_yet() {
    let network = network_of(&[referred("e-0", "r-0", "c-1", 0), erased("e-1", "r-0", 1)]);
    assert_eq!(kept(&network, "c-1"), Vec::<String>::new());
}

#[test]
fn an_erase_reaches_who_knows_an_id_of_before_a_merge() {
    let network = network_of(&[
        referred("e-0", "r-0", "c-2", 0),
        bought("o-0", "c-2", 1),
        referred("e-1", "c-2", "c-3", 2),
        bought("o-1", "c-3", 3),
        merged("e-2", "c-1", "c-2", 4),
        erased("e-3", "c-1", 5),
    ]);
    assert_eq!(kept(&network, "r-0"), Vec::<String>::new());
    assert_eq!(kept(&network, "c-3"), Vec::<String>::new());
    // What was counted stays.
    assert_eq!(network.subject("r-0").as_ref().map(net), Some(1_000));
}

#[test]
fn a_referrer_who_did_not_bring_somebody_need_not_know_them() {
    let network = network_of(&[
        referred("e-1", "r-1", "c-2", 2),
        bought("o-0", "c-2", 3),
        referred("e-0", "r-0", "c-2", 1),
    ]);
    assert_eq!(kept(&network, "r-1"), Vec::<String>::new());
    assert_eq!(kept(&network, "r-0"), ["c-2"]);
    assert_eq!(network.subject("r-1").as_ref().map(net), Some(0));
}

#[test]
fn a_state_that_comes_after_the_erase_takes_its_traces_along() {
    let rules = Arc::new(rules());
    let mut network = Network::new(&rules, PARTITIONS, day(30));
    let mut visit = said("e-0", "c-2", 0, Interaction::Shared { score: None, sku: None });
    visit.account_id = Some("a-0".into());
    for event in [&visit, &referred("e-1", "r-0", "c-2", 0), &bought("o-0", "c-2", 1)] {
        network.read(0, event);
        network.drain();
    }
    // The target's task learns of the erase before the state of the source arrives.
    let home = partition_of("c-1", PARTITIONS) as usize;
    network.read(home, &merged("e-2", "c-1", "c-2", 2));
    network.read(home, &erased("e-3", "c-1", 3));
    network.drain();
    assert_eq!(kept(&network, "r-0"), Vec::<String>::new());
    let account = network.subject("account:a-0").expect("it is known");
    let contacts = account.contacts.expect("it had one").list;
    assert!(contacts.iter().all(|contact| contact.hash != hash64("c-2")), "{contacts:?}");
}
