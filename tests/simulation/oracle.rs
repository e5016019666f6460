//! The oracle: what must be true of everything that was committed.
//!
//! Every check gives the first thing that is wrong as a sentence. Next: `reference.rs`.

use crate::simulation::log::Payload;
use crate::simulation::outcome::Partition;
use crate::simulation::reference::{Expected, TOPICS, expected, read};
use crate::simulation::rules;
use ebbflow::codec::state::{PROGRESS_KEY, StateKey, decode_progress, parse_key, unframe};
use ebbflow::domain::apply::{Tally, apply};
use ebbflow::domain::customer::Customer;
use ebbflow::domain::id::partition_of;
use ebbflow::domain::pack::unpack;
use ebbflow::domain::progress::{OffsetMetadata, Progress};
use ebbflow::domain::publish::context::Context;
use ebbflow::domain::raw::measure;
use ebbflow::domain::time::Timestamp;
use ebbflow::task::TaskConfig;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

type Check = Result<(), String>;

/// The value of each dimension before there is evidence (contract, section 3).
const INITIAL: [(&str, &str); 8] = [
    ("rfm", "none"),
    ("lifecycle", "awareness"),
    ("activity", "none"),
    ("value_mode", "prospect"),
    ("value_tier", "none"),
    ("engagement", "none"),
    ("satisfaction", "unknown"),
    ("qualification", "none"),
];

fn shown(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(|| "nothing".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
}

fn ensure(holds: bool, text: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(text()) }
}

/// Records by key, in order.
fn by_key(records: &[Payload]) -> BTreeMap<&[u8], Vec<&Payload>> {
    let mut map: BTreeMap<&[u8], Vec<&Payload>> = BTreeMap::new();
    for record in records {
        map.entry(record.key.as_deref().unwrap_or_default()).or_default().push(record);
    }
    map
}

fn last_by_key(records: &[Payload]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut map = BTreeMap::new();
    for record in records {
        let key = record.key.clone().unwrap_or_default();
        match &record.value {
            Some(value) => map.insert(key, value.clone()),
            None => map.remove(&key),
        };
    }
    map
}

/// The output equals the reference's: changes in order per customer, all bytes and headers; the
/// last states and profiles.
pub(crate) fn check_equal(
    outcome: &[Partition],
    config: &TaskConfig,
    lineage: u32,
    advance_to: Option<Timestamp>,
) -> Check {
    for (partition, records) in (0..).zip(outcome) {
        let config = TaskConfig { partition, ..config.clone() };
        let Expected { changes, states, profiles } =
            expected(&config, records, lineage, advance_to);
        let (ours, theirs) = (by_key(&records.changes), by_key(&changes));
        for key in ours.keys().chain(theirs.keys()) {
            let (left, right) = (ours.get(key), theirs.get(key));
            let count = left.map_or(0, Vec::len).max(right.map_or(0, Vec::len));
            for place in 0..count {
                let left = left.and_then(|list| list.get(place));
                let right = right.and_then(|list| list.get(place));
                let same = left.zip(right).is_some_and(|(left, right)| {
                    left.value == right.value && left.headers == right.headers
                });
                ensure(same, || {
                    format!(
                        "partition {partition}, customer {}, change {place} is\n  {}\nand \
                         not\n  {}",
                        shown(Some(key)),
                        shown(left.and_then(|left| left.value.as_deref())),
                        shown(right.and_then(|right| right.value.as_deref())),
                    )
                })?;
            }
        }
        let mut left = last_by_key(&records.states);
        left.remove(PROGRESS_KEY);
        for (key, state) in &states {
            ensure(left.get(key) == Some(state), || {
                format!("partition {partition}: another state of {}", shown(Some(key)))
            })?;
        }
        ensure(left.len() == states.len(), || {
            format!("partition {partition}: {} states, not {}", left.len(), states.len())
        })?;
        if config.profiles_on_touch {
            ensure(last_by_key(&records.profiles) == profiles, || {
                format!("partition {partition}: other profiles")
            })?;
        }
    }
    Ok(())
}

/// Of what an earlier lineage kept of a customer nothing is left that the later one did not write.
pub(crate) fn check_forgotten(whole: &[Partition], second: &[Partition]) -> Check {
    for (partition, (whole, second)) in (0..).zip(whole.iter().zip(second)) {
        for (whole, second) in
            [(&whole.states, &second.states), (&whole.profiles, &second.profiles)]
        {
            let (all, new) = (last_by_key(whole), last_by_key(second));
            ensure(all.keys().eq(new.keys()), || {
                let left = all.keys().find(|key| !new.contains_key(*key));
                format!("partition {partition}: left of the first lineage: {left:?}")
            })?;
        }
    }
    Ok(())
}

/// What is true of every run, however its instances fared; each partition had so many commits
/// before.
pub(crate) fn check_invariants(
    outcome: &[Partition],
    config: &TaskConfig,
    commits: &[u64],
) -> Check {
    let mut change_ids = BTreeSet::new();
    for ((partition, records), commits) in (0..).zip(outcome).zip(commits) {
        let context = |text| format!("partition {partition}: {text}");
        for (key, changes) in by_key(&records.changes) {
            let id = shown(Some(key));
            ensure(partition_of(&id, config.partitions) == partition, || {
                context(format!("{id} does not belong here"))
            })?;
            check_chain(&changes, &mut change_ids)
                .map_err(|text| context(format!("{id}: {text}")))?;
        }
        check_dead_letters(partition, config.partitions, records).map_err(context)?;
        let progress = check_progress(records, *commits).map_err(context)?;
        check_states(partition, config, records, progress.as_ref()).map_err(context)?;
    }
    Ok(())
}

/// The changes of one customer hang together.
fn check_chain(changes: &[&Payload], change_ids: &mut BTreeSet<String>) -> Check {
    let mut values: BTreeMap<String, String> =
        INITIAL.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let mut group: Option<(String, u64, u64)> = None;
    for (seq, change) in (1..).zip(changes) {
        let json: Value = serde_json::from_slice(change.value.as_deref().unwrap_or_default())
            .map_err(|error| format!("change {seq} is no JSON: {error}"))?;
        let string = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        ensure(json["seq"].as_u64() == Some(seq), || {
            format!("{} where {seq} follows", json["seq"])
        })?;
        let change_id = string(&json["change_id"]);
        ensure(change_ids.insert(change_id.clone()), || format!("{change_id} comes twice"))?;
        let (dimension, current) = (string(&json["dimension"]), string(&json["current"]));
        let before = values.insert(dimension, current);
        ensure(before == Some(string(&json["previous"])), || {
            format!("change {seq} comes from {} and not {before:?}", json["previous"])
        })?;
        let part = &json["group"];
        let (index, size) = (part["index"].as_u64(), part["size"].as_u64());
        let (Some(index), Some(size)) = (index, size) else {
            return Err(format!("change {seq} has no group"));
        };
        let follows = match &group {
            None => index == 1,
            Some((id, last, of)) => part["id"] == id.as_str() && index == last + 1 && size == *of,
        };
        ensure(follows, || format!("change {seq}: its group {part} is torn"))?;
        group = (index < size).then(|| (string(&part["id"]), index, size));
        if group.is_none() {
            let told = json["dimensions"].as_object();
            for (dimension, value) in &values {
                ensure(told.is_some_and(|told| told[dimension] == **value), || {
                    format!("change {seq} tells other values: {}", json["dimensions"])
                })?;
            }
        }
        ensure(json["dwell_ms"].as_i64().is_some_and(|dwell| dwell >= 0), || {
            format!("change {seq}: dwell {}", json["dwell_ms"])
        })?;
    }
    ensure(group.is_none(), || "the last group is torn".to_owned())
}

/// One dead letter for every record that is refused, with its bytes, and none else.
fn check_dead_letters(partition: u32, partitions: u32, records: &Partition) -> Check {
    let (_, refused) = read(partition, partitions, records);
    let mut told = BTreeSet::new();
    for letter in &records.dead_letters {
        let header = |name: &str| {
            let found = letter.headers.iter().find(|(header, _)| header == name);
            shown(found.map(|(_, value)| value.as_slice()))
        };
        let topic = header("source_topic");
        let input = TOPICS.iter().position(|name| *name == topic).unwrap_or(usize::MAX);
        let offset: i64 = header("source_offset").parse().unwrap_or(-1);
        let reason = header("reason");
        let wanted = refused.iter().find(|(i, o, _)| (*i, *o) == (input, offset));
        ensure(wanted.is_some_and(|(_, _, code)| *code == reason), || {
            format!("a dead letter of {topic} {offset} for {reason}; expected {wanted:?}")
        })?;
        let source = records.inputs[input].iter().find(|(place, _)| *place == offset);
        ensure(
            source.is_some_and(|(_, source)| {
                source.key == letter.key && source.value == letter.value
            }),
            || format!("the dead letter of {topic} {offset} has other bytes"),
        )?;
        ensure(told.insert((input, offset)), || format!("two dead letters of {topic} {offset}"))?;
    }
    ensure(told.len() == refused.len(), || {
        let lost = refused.iter().find(|(input, offset, _)| !told.contains(&(*input, *offset)));
        format!("no dead letter for {lost:?}")
    })
}

/// Progress only goes up, ends at the ends, and the group's offsets agree with it.
fn check_progress(records: &Partition, commits: u64) -> Result<Option<Progress>, String> {
    let mut last: Option<Progress> = None;
    for record in records.states.iter().filter(|it| it.key.as_deref() == Some(PROGRESS_KEY)) {
        let value = record.value.as_deref().unwrap_or_default();
        let progress = decode_progress(value).map_err(|error| error.to_string())?;
        let counter = last.as_ref().map_or(commits, |last| last.commit_counter) + 1;
        ensure(progress.commit_counter == counter, || {
            format!("commit {} where {counter} follows", progress.commit_counter)
        })?;
        if let Some(last) = &last {
            let back = last.next_offsets.iter().zip(&progress.next_offsets).any(|(a, b)| a > b);
            ensure(!back && progress.clock >= last.clock, || {
                format!("progress goes back from {last:?} to {progress:?}")
            })?;
        }
        last = Some(progress);
    }
    let told = records.offsets.metadata.as_deref().and_then(OffsetMetadata::parse);
    let agree = match &last {
        None => records.offsets.next_offsets == [None; 3],
        Some(last) => {
            records.offsets.next_offsets == last.next_offsets.map(Some)
                && told.is_some_and(|told| {
                    (told.commit_counter, told.clock) == (last.commit_counter, last.clock)
                })
        }
    };
    ensure(agree, || format!("offsets {:?}, progress {last:?}", records.offsets))?;
    for (input, list) in records.inputs.iter().enumerate() {
        let next = last.as_ref().map_or(records.lows[input], |last| last.next_offsets[input]);
        let left = list.iter().find(|(offset, _)| *offset >= next);
        ensure(left.is_none(), || {
            format!("{} from {} on is not consumed", TOPICS[input], left.map_or(0, |left| left.0))
        })?;
    }
    Ok(last)
}

/// Facts and raw values of the committed states equal those of a naive fold of all events.
fn check_states(
    partition: u32,
    config: &TaskConfig,
    records: &Partition,
    progress: Option<&Progress>,
) -> Check {
    let rules = rules::rules();
    let (events, _) = read(partition, config.partitions, records);
    let mut naive: BTreeMap<String, Customer> = BTreeMap::new();
    let mut latest = progress.map_or(Timestamp::MIN, |progress| progress.clock);
    // By time, for the sake of the one thing that is bounded by time: parked records.
    let mut events: Vec<_> = events.iter().flatten().collect();
    events.sort_by_key(|timed| timed.at);
    for timed in events {
        let id = timed.event.subject_id().into_owned();
        if partition_of(&id, config.partitions) != partition {
            continue;
        }
        latest = latest.max(timed.at);
        let context = Context {
            rules: &rules,
            application_id: "naive",
            lineage: 1,
            clock: timed.at,
            now: None,
            silent: true,
            run_id: None,
            rebuilt_at: Timestamp::MIN,
        };
        let customer =
            naive.entry(id).or_insert_with_key(|id| Customer::new(id, timed.at, rules::REVISION));
        let (mut tally, mut changes) = (Tally::default(), Vec::new());
        let topic = "naive".into();
        let origin = (&topic, partition, timed.offset);
        apply(customer, &timed.event, timed.at, origin, &context, &mut tally, &mut changes);
    }
    let mut states = 0;
    for (key, value) in last_by_key(&records.states) {
        let Ok(StateKey::Customer(id)) = parse_key(&key) else { continue };
        states += 1;
        let (_, packed) = unframe(&value).map_err(|error| error.to_string())?;
        let customer = unpack(packed, &rules.rates).map_err(|error| error.to_string())?;
        let naive = naive.get(id).ok_or_else(|| format!("nobody told of {id}"))?;
        let at = latest.max(customer.evaluated_at);
        let (ours, mut theirs) = (measure(&customer, &rules, at), measure(naive, &rules, at));
        // What came more than a week late is not scored; in time order everything is.
        let scored = ours.engagement.score_milli <= theirs.engagement.score_milli;
        // The place of engagement.
        theirs.values[5] = ours.values[5];
        ensure(scored && ours.facts == theirs.facts && ours.values == theirs.values, || {
            format!("{id} is\n  {ours:?}\nand not\n  {theirs:?}")
        })?;
    }
    ensure(states == naive.len(), || format!("{states} customers, not {}", naive.len()))
}

/// No deadline at or before this time is left.
pub(crate) fn check_nothing_due(outcome: &[Partition], by: Timestamp) -> Check {
    let rules = rules::rules();
    for records in outcome {
        for (key, value) in last_by_key(&records.states) {
            let Ok(StateKey::Customer(id)) = parse_key(&key) else { continue };
            let (_, packed) = unframe(&value).map_err(|error| error.to_string())?;
            let customer = unpack(packed, &rules.rates).map_err(|error| error.to_string())?;
            ensure(customer.deadline > by, || {
                format!("{id} was due at {:?} and it is {by:?}", customer.deadline)
            })?;
        }
    }
    Ok(())
}
