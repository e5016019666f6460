//! The committed schedule, replayed: each transaction of a partition from the states before it.
//!
//! A `progress` record says which records a transaction consumed and where its clock stood then.
//! Within it the order of two inputs, the clock at each record and the instants at which due timers
//! were looked at depend on when records arrived and on the clock of a host, so they are searched
//! for, customer by customer: there must be one sequence of exactly these records, of timers that
//! are due and of one judgement by new rules, with a clock that only goes forward from the last
//! commit's to this one's, that writes exactly what was written.
//!
//! Compared byte for byte: changes (values and headers, in order), the last state, the last profile
//! and that there is none where nothing was published; exactly: the highest time of each input.
//! Within bounds: `detected_at` (never before its cause, never after it was written, by the clocks
//! of the hosts) and the clock (never beyond a record that is not consumed). What is computed from
//! them (`occurred_at`, `dwell_ms`, `actionable`, ..) has to follow from them exactly.
//! A search that grows too large is given up and counted; the states are trusted there.
//! Next: `schedule.rs`, where transactions begin and end; `search.rs`.

use crate::simulation::log::Payload;
use crate::simulation::outcome::Partition;
use crate::simulation::reference::{Marks, Timed, marked, read};
use crate::simulation::rules;
use crate::simulation::schedule::{Transaction, transactions};
use crate::simulation::search::{Before, Found, Search, Written};
use crate::simulation::stage::EPOCH;
use ebbflow::codec::state::{StateKey, customer_key, decode_mark, erased_key, parse_key, unframe};
use ebbflow::domain::id::partition_of;
use ebbflow::domain::mark::SaltedId;
use ebbflow::domain::pack::peek_revision;
use ebbflow::domain::time::Timestamp;
use ebbflow::task::TaskConfig;
use std::collections::{BTreeMap, BTreeSet};

/// How far ahead of its record an event may be (contract, section 2).
const AHEAD_MS: i64 = 300_000;

/// How much was replayed.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Effort {
    /// Customers in transactions.
    pub(crate) cases: u64,
    /// Searches that were given up.
    pub(crate) given_up: u64,
}

/// Replays every partition; `skew_ms` is how far a host's clock may be off.
pub(crate) fn check_replayed(
    outcome: &[Partition],
    config: &TaskConfig,
    skew_ms: i64,
) -> Result<Effort, String> {
    let mut effort = Effort::default();
    for (partition, records) in (0..).zip(outcome) {
        let config = TaskConfig { partition, ..config.clone() };
        replay(records, &config, skew_ms, &mut effort)
            .map_err(|text| format!("partition {partition}: {text}"))?;
    }
    Ok(effort)
}

/// Records by transaction and customer, in order.
fn sorted(records: &[Payload]) -> BTreeMap<u64, BTreeMap<String, Vec<&Payload>>> {
    let mut map: BTreeMap<u64, BTreeMap<String, Vec<&Payload>>> = BTreeMap::new();
    for record in records {
        let key = record.key.clone().unwrap_or_default();
        let id = String::from_utf8(key).unwrap_or_default();
        map.entry(record.transaction).or_default().entry(id).or_default().push(record);
    }
    map
}

fn replay(
    records: &Partition,
    config: &TaskConfig,
    skew_ms: i64,
    effort: &mut Effort,
) -> Result<(), String> {
    let (events, _) = read(config.partition, config.partitions, records);
    let known: BTreeSet<String> =
        events.iter().flatten().filter_map(|timed| home(timed, config)).collect();
    let known: BTreeMap<SaltedId, String> =
        known.into_iter().map(|id| (marked(config, &id), id)).collect();
    let (mut marks, mut erasures) = (Marks::new(), 0);
    let (mut changes, mut profiles) = (sorted(&records.changes), sorted(&records.profiles));
    let mut states: BTreeMap<String, &[u8]> = BTreeMap::new();
    let (mut next, mut clock) = (records.lows, Timestamp::MIN);
    let mut highest = [Timestamp::MIN; 3];
    for transaction in transactions(records)? {
        let progress = &transaction.progress;
        let within: [Vec<&Timed<'_>>; 3] = std::array::from_fn(|input| {
            let consumed = next[input]..progress.next_offsets[input];
            events[input].iter().filter(|event| consumed.contains(&event.offset)).collect()
        });
        for input in 0..3 {
            let latest = within[input].iter().map(|event| event.at).max();
            highest[input] = highest[input].max(latest.unwrap_or(Timestamp::MIN));
        }
        let context = |text: String| format!("commit {}: {text}", progress.commit_counter);
        let rules = rules::of(progress, rules::withhold(&config.rules));
        if progress.highest != highest {
            return Err(context(format!("highest {:?}, not {highest:?}", progress.highest)));
        }
        check_clock(records, &events, &transaction, skew_ms).map_err(context)?;
        let mut told = changes.remove(&transaction.id).unwrap_or_default();
        let mut shown = profiles.remove(&transaction.id).unwrap_or_default();
        for (id, changes) in &told {
            check_detected(records, id, changes, transaction.appended_ms, skew_ms)
                .map_err(context)?;
        }
        let mut touched: BTreeSet<String> = told.keys().chain(shown.keys()).cloned().collect();
        touched.extend(within.iter().flatten().filter_map(|timed| home(timed, config)));
        for key in transaction.states.keys() {
            match parse_key(key) {
                Ok(StateKey::Customer(id)) => touched.insert(id.to_owned()),
                Ok(StateKey::Erased(id)) => {
                    let id = known.get(&id).ok_or_else(|| context(format!("a mark {id:?}")))?;
                    touched.insert(id.clone())
                }
                other => return Err(context(format!("a state of {other:?}"))),
            };
        }
        for id in touched {
            let mut key = Vec::new();
            customer_key(&id, &mut key);
            let ours = |timed: &&Timed<'_>| home(timed, config).as_deref() == Some(id.as_str());
            let state = transaction.states.get(key.as_slice()).map(|it| it.value.as_deref());
            let erased = marked(config, &id);
            erased_key(&erased, &mut key);
            let mark = match transaction.states.get(key.as_slice()).map(|it| it.value.as_deref()) {
                None => None,
                Some(None) => Some(None),
                Some(Some(value)) => {
                    let mark = decode_mark(value).map_err(|error| error.to_string())?;
                    Some(Some(mark.until))
                }
            };
            let written = Written {
                changes: told.remove(&id).unwrap_or_default(),
                state,
                profile: shown.remove(&id).map(|list| list.last()?.value.as_deref()),
                mark,
            };
            let before = Before {
                state: states.get(&id).copied(),
                mark: marks.get(&erased).copied(),
                erasures: (erasures, progress.erasures),
            };
            let events = within.each_ref().map(|list| list.iter().copied().filter(ours).collect());
            let clocks = (clock, progress.clock);
            let found =
                Search::new(&id, config, rules.clone(), events, written, clocks).run(before);
            effort.cases += 1;
            match found.map_err(|text| context(format!("{id}: {text}")))? {
                Found::Yes => {}
                Found::Unknown => effort.given_up += 1,
            }
            match state {
                None => {}
                Some(Some(state)) => drop(states.insert(id, state)),
                Some(None) => drop(states.remove(&id)),
            }
            match mark {
                None => {}
                Some(Some(until)) => drop(marks.insert(erased, until)),
                Some(None) => drop(marks.remove(&erased)),
            }
        }
        check_judged(&transaction, &states).map_err(context)?;
        erasures = progress.erasures;
        (next, clock) = (progress.next_offsets, progress.clock);
    }
    Ok(())
}

/// There are as many customers as the progress says, and without a cursor all of them are judged
/// by its rules.
fn check_judged(
    transaction: &Transaction<'_>,
    states: &BTreeMap<String, &[u8]>,
) -> Result<(), String> {
    let progress = &transaction.progress;
    if progress.customers != states.len() as u64 {
        return Err(format!("{} customers, not {}", states.len(), progress.customers));
    }
    for (id, state) in states.iter().filter(|_| progress.cursor.is_none()) {
        let packed = unframe(state).map_err(|error| error.to_string())?;
        let revision = peek_revision(packed).map_err(|error| error.to_string())?;
        if revision != progress.rules_revision {
            return Err(format!("{id} was passed over, judged by revision {revision}"));
        }
    }
    Ok(())
}

/// The customer of an event that belongs to this partition.
fn home(timed: &Timed<'_>, config: &TaskConfig) -> Option<String> {
    let id = timed.event.customer_id.as_deref()?;
    (partition_of(id, config.partitions) == config.partition).then(|| id.to_owned())
}

/// The clock is never beyond what is not consumed: time has not passed there.
fn check_clock(
    records: &Partition,
    events: &[Vec<Timed<'_>>; 3],
    transaction: &Transaction<'_>,
    skew_ms: i64,
) -> Result<(), String> {
    let progress = &transaction.progress;
    let written_at = EPOCH.plus_ms(transaction.appended_ms + skew_ms);
    if progress.clock > written_at {
        return Err(format!("the clock {} was written at {written_at}", progress.clock));
    }
    for (input, events) in events.iter().enumerate() {
        let next = progress.next_offsets[input];
        let Some((offset, waiting)) = records.inputs[input].iter().find(|it| it.0 >= next) else {
            continue;
        };
        let head = events.iter().find(|event| event.offset == *offset).map(|it| it.at);
        let limit = progress.highest[input]
            .max(waiting.at.plus_ms(skew_ms))
            .max(head.unwrap_or(Timestamp::MIN));
        if progress.clock > limit {
            return Err(format!("the clock {} is beyond {limit}", progress.clock));
        }
    }
    Ok(())
}

fn time(value: &serde_json::Value) -> Result<Timestamp, String> {
    let text = value.as_str().ok_or_else(|| format!("{value} is no time"))?;
    let time: jiff::Timestamp = text.parse().map_err(|error| format!("{text}: {error}"))?;
    Ok(Timestamp(time.as_millisecond()))
}

/// When the instance said it saw each change.
pub(crate) fn detected_at(change: &Payload) -> Result<(Timestamp, serde_json::Value), String> {
    let json: serde_json::Value =
        serde_json::from_slice(change.value.as_deref().unwrap_or_default())
            .map_err(|error| error.to_string())?;
    Ok((time(&json["detected_at"])?, json))
}

fn check_detected(
    records: &Partition,
    id: &str,
    changes: &[&Payload],
    appended_ms: i64,
    skew_ms: i64,
) -> Result<(), String> {
    let mut last = Timestamp::MIN;
    for change in changes {
        let (detected_at, json) = detected_at(change)?;
        let cause = &json["cause"];
        let input =
            crate::simulation::reference::TOPICS.iter().position(|it| cause["topic"] == *it);
        let source = input.zip(cause["offset"].as_i64()).and_then(|(input, offset)| {
            records.inputs[input].iter().find(|(place, _)| *place == offset)
        });
        let began_at = match source {
            Some((_, record)) => record.at,
            // The customer may have been seen at an event that is that far ahead, before which
            // deadlines fire, and the task's clock may be that of another host.
            None => time(&json["occurred_at"])?.plus_ms(-AHEAD_MS - skew_ms),
        };
        let bounds = began_at.plus_ms(-skew_ms)..=EPOCH.plus_ms(appended_ms + skew_ms);
        if !bounds.contains(&detected_at) || detected_at < last {
            return Err(format!(
                "{id}: detected at {detected_at}, not in {bounds:?} after {last}: {json}"
            ));
        }
        last = detected_at;
    }
    Ok(())
}
