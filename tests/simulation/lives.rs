//! What must be known of every customer at the end: a naive fold of the events of its last life.
//!
//! An erase ends a life; while the mark lasts, events are dropped. Which records a transaction
//! holds is known, their order among each other is not always: where it decides whether an event
//! belongs to a life, the customer is left to `replay.rs`. Next: `oracle.rs`.

use crate::simulation::oracle::{Check, ensure, last_by_key};
use crate::simulation::outcome::Partition;
use crate::simulation::reference::{Marks, Timed, marked, read};
use crate::simulation::rules;
use crate::simulation::schedule::{Transaction, transactions};
use ebbflow::codec::state::{StateKey, customer_key, decode_mark, erased_key, parse_key, unframe};
use ebbflow::domain::apply::{Tally, apply};
use ebbflow::domain::customer::Customer;
use ebbflow::domain::dimension::{Dimension, INITIAL};
use ebbflow::domain::dimensions::view::View;
use ebbflow::domain::event::{Body, Interaction, Purchase};
use ebbflow::domain::facts::order_book::PARKED_MS;
use ebbflow::domain::id::partition_of;
use ebbflow::domain::pack::unpack;
use ebbflow::domain::progress::Progress;
use ebbflow::domain::publish::anti_flap::allowed_at;
use ebbflow::domain::publish::consent::is_withheld;
use ebbflow::domain::publish::context::Context;
use ebbflow::domain::raw::{Measured, measure};
use ebbflow::domain::rules::Rules;
use ebbflow::domain::time::Timestamp;
use ebbflow::task::TaskConfig;
use std::collections::BTreeMap;

/// Days after which an interaction is no longer scored (contract, section 3: a week is kept).
const SCORED_DAYS: i64 = 7;

/// Events of a customer since it was first heard of, or heard of again.
#[derive(Default)]
struct Life<'a> {
    /// With the place of their transaction.
    events: Vec<(usize, &'a Timed<'a>)>,
    /// Whether some of them may belong to another life.
    unclear: bool,
}

impl Life<'_> {
    /// Whether every interaction was scored, in whatever order its transaction took it.
    fn is_scored(&self) -> bool {
        self.events.iter().all(|(place, timed)| {
            let before = self.events.iter().filter(|(other, _)| other <= place);
            let latest = before.map(|(_, other)| other.at.day().0).max();
            latest.is_none_or(|latest| latest - timed.at.day().0 < SCORED_DAYS)
        })
    }

    /// Whether what concerns an order may have waited for it too long, if it came first: by time it
    /// comes longer before the order than records are parked.
    fn outlasts_parking(&self) -> bool {
        let purchases = || {
            self.events.iter().filter_map(|(_, timed)| match &timed.event.body {
                Body::Purchase(purchase) => Some((purchase, timed.at)),
                Body::Interaction(_) => None,
            })
        };
        let placed_at = |id: &str| {
            let orders = purchases().filter_map(|(purchase, at)| match purchase {
                Purchase::OrderCompleted { order_id, .. } if order_id == id => Some(at),
                _ => None,
            });
            orders.min()
        };
        purchases().any(|(purchase, at)| match purchase {
            Purchase::OrderRefunded { order_id, .. }
            | Purchase::OrderCancelled { order_id, .. }
            | Purchase::OrderUpdated { order_id, .. } => {
                placed_at(order_id).is_some_and(|placed_at| placed_at.since(at) > PARKED_MS)
            }
            _ => false,
        })
    }

    fn folded(&self, id: &str, rules: &Rules, partition: u32) -> Customer {
        // By time, for the sake of the one thing that is bounded by time: parked records.
        let mut events: Vec<_> = self.events.iter().map(|(_, timed)| *timed).collect();
        events.sort_by_key(|timed| timed.at);
        let first = events.first().map_or(Timestamp::MIN, |timed| timed.at);
        let mut customer = Customer::new(id, first, rules.identity.revision);
        for timed in events {
            let context = Context {
                rules,
                application_id: "naive",
                lineage: 1,
                clock: timed.at,
                now: None,
                silent: true,
                run_id: None,
                rebuilt_at: Timestamp::MIN,
            };
            let (mut tally, mut changes) = (Tally::default(), Vec::new());
            let topic = "naive".into();
            let cause = timed.cause(&topic, partition);
            let out = (&mut tally, &mut changes);
            apply(&mut customer, &timed.event, &cause, None, &context, out);
        }
        customer
    }
}

/// Facts and raw values of the committed states equal those of a naive fold, and what is published
/// is what the last rules say.
pub(crate) fn check_states(
    config: &TaskConfig,
    records: &Partition,
    marks: &Marks,
    progress: Option<&Progress>,
) -> Check {
    let Some(progress) = progress else { return Ok(()) };
    let rules = rules::of(progress, rules::withhold(&config.rules));
    let (events, _) = read(config.partition, config.partitions, records);
    let lives = lives(config, records, &events, marks)?;
    let latest = events.iter().flatten().map(|it| it.at).fold(progress.clock, Timestamp::max);
    let mut states = BTreeMap::new();
    for (key, value) in last_by_key(&records.states) {
        let Ok(StateKey::Customer(id)) = parse_key(&key) else { continue };
        let packed = unframe(&value).map_err(|error| error.to_string())?;
        let customer = unpack(packed, &rules.rates).map_err(|error| error.to_string())?;
        states.insert(id.to_owned(), customer);
    }
    for (id, life) in lives.iter().filter(|(_, life)| !life.unclear) {
        ensure(states.contains_key(*id) != life.events.is_empty(), || {
            format!("{id} has {} events and the state {:?}", life.events.len(), states.get(*id))
        })?;
    }
    for (id, customer) in &states {
        check_published(customer, &rules).map_err(|text| format!("{id}: {text}"))?;
        let life = lives.get(id.as_str()).ok_or_else(|| format!("nobody told of {id}"))?;
        if life.unclear || life.outlasts_parking() {
            continue;
        }
        let at = latest.max(customer.evaluated_at);
        let naive = life.folded(id, &rules, config.partition);
        let (ours, mut theirs) = (measure(customer, &rules, at), measure(&naive, &rules, at));
        let mut scored = ours.engagement.score_milli == theirs.engagement.score_milli;
        if !life.is_scored() {
            // What came more than a week late is not scored; in time order everything is.
            scored = ours.engagement.score_milli <= theirs.engagement.score_milli;
            // The place of engagement.
            theirs.values[5] = ours.values[5];
        }
        ensure(scored && ours.facts == theirs.facts && ours.values == theirs.values, || {
            format!("{id} is\n  {ours:?}\nand not\n  {theirs:?}")
        })?;
    }
    Ok(())
}

/// Everybody is judged by the last rules: what is published is what they say, or has to wait.
fn check_published(customer: &Customer, rules: &Rules) -> Check {
    ensure(customer.rules_revision == rules.identity.revision, || {
        format!("judged by revision {} last", customer.rules_revision)
    })?;
    let at = customer.evaluated_at;
    let measured = measure(customer, rules, at);
    let view = View::of(customer, rules, measured.facts, at);
    let told = customer.audiences.iter().map(|it| Dimension::Audience(it.number));
    let audiences = rules.audiences.iter().map(|it| Dimension::Audience(it.number));
    for dimension in Dimension::BUILT_IN.into_iter().chain(told).chain(audiences) {
        check_dimension(&view, dimension, &measured)?;
    }
    Ok(())
}

fn check_dimension(view: &View<'_>, dimension: Dimension, measured: &Measured) -> Check {
    let View { customer, rules, .. } = view;
    let published = customer.published(dimension).value;
    let target = measured.target(view, dimension, published);
    let waits = is_withheld(customer, dimension, rules)
        || allowed_at(customer, dimension, target, rules) > measured.at;
    let gone = matches!(dimension, Dimension::Audience(it) if rules.audience(it).is_none());
    ensure(published == target || (waits && !(gone && published != INITIAL)), || {
        let name = |value| dimension.value_name(value, rules);
        format!(
            "{} is published as {} and not {}: {customer:?}",
            dimension.name(rules),
            name(published),
            name(target)
        )
    })
}

/// The events of each customer's last life, in the order of their transactions.
fn lives<'a>(
    config: &TaskConfig,
    records: &Partition,
    events: &'a [Vec<Timed<'a>>; 3],
    marks: &Marks,
) -> Result<BTreeMap<&'a str, Life<'a>>, String> {
    let mut lives: BTreeMap<&str, Life<'_>> = BTreeMap::new();
    let (mut marks, mut next, mut clock) = (marks.clone(), records.lows, Timestamp::MIN);
    for (place, transaction) in transactions(records)?.iter().enumerate() {
        let progress = &transaction.progress;
        let mut told: BTreeMap<&str, Vec<&Timed<'_>>> = BTreeMap::new();
        for (input, list) in events.iter().enumerate() {
            let consumed = next[input]..progress.next_offsets[input];
            for timed in list.iter().filter(|timed| consumed.contains(&timed.offset)) {
                let Some(id) = timed.event.customer_id.as_deref() else { continue };
                if partition_of(id, config.partitions) == config.partition {
                    told.entry(id).or_default().push(timed);
                }
            }
        }
        for (id, events) in told {
            let mark = marks.get(&marked(config, id)).copied();
            let life = lives.entry(id).or_default();
            live(life, (id, place, events), mark, (clock, transaction), config)?;
        }
        for (key, record) in &transaction.states {
            if let Ok(StateKey::Erased(id)) = parse_key(key) {
                match &record.value {
                    Some(value) => {
                        let mark = decode_mark(value).map_err(|error| error.to_string())?;
                        marks.insert(id, mark.until);
                    }
                    None => drop(marks.remove(&id)),
                }
            }
        }
        ensure(progress.erased == marks.len() as u64, || {
            format!("commit {}: {} marks", progress.commit_counter, marks.len())
        })?;
        (next, clock) = (progress.next_offsets, progress.clock);
    }
    Ok(lives)
}

/// What a transaction's events of one customer mean for its life.
fn live<'a>(
    life: &mut Life<'a>,
    (id, place, events): (&str, usize, Vec<&'a Timed<'a>>),
    mark: Option<Timestamp>,
    (clock, transaction): (Timestamp, &Transaction<'_>),
    config: &TaskConfig,
) -> Check {
    let (mut of_state, mut of_mark) = (Vec::new(), Vec::new());
    customer_key(id, &mut of_state);
    erased_key(&marked(config, id), &mut of_mark);
    let state = transaction.states.get(of_state.as_slice());
    let marks = transaction.states.get(of_mark.as_slice());
    let is_erase =
        |timed: &&Timed<'_>| timed.event.body == Body::Interaction(Interaction::EraseRequested);
    let end = transaction.progress.clock;
    let wanted = events.iter().any(is_erase);
    let open = mark.is_none_or(|until| until <= end);
    let ends = marks.is_some_and(|record| record.value.is_some());
    if wanted && (ends || open) {
        // Whoever came back in the same transaction did so with some of its events.
        life.events.clear();
        life.unclear = mark.is_some() || state.is_some_and(|record| record.value.is_some());
        return Ok(());
    }
    for timed in events {
        match mark {
            Some(until) if timed.at.max(end) < until => {}
            Some(until) if timed.at.max(clock) < until => life.unclear = true,
            _ => life.events.push((place, timed)),
        }
    }
    ensure(state.is_none_or(|record| record.value.is_some()), || {
        format!("the state of {id} was removed, and nobody asked for it")
    })
}
