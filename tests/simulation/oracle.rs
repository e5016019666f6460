//! The oracle: what must be true of everything that was committed.
//!
//! Every check gives the first thing that is wrong as a sentence. Next: `reference.rs`.

use crate::simulation::chain::check_chain;
use crate::simulation::lives::check_states;
use crate::simulation::log::Payload;
use crate::simulation::outcome::Partition;
use crate::simulation::reference::{Expected, Marks, TOPICS, expected, marked, read};
use crate::simulation::rules;
use ebbflow::codec::state::{
    PROGRESS_KEY, StateKey, decode_mark, decode_progress, encode_mark, erased_key, parse_key,
    unframe,
};
use ebbflow::domain::event::{Body, Interaction};
use ebbflow::domain::id::partition_of;
use ebbflow::domain::mark::Mark;
use ebbflow::domain::pack::unpack;
use ebbflow::domain::progress::{OffsetMetadata, Progress};
use ebbflow::domain::time::Timestamp;
use ebbflow::task::TaskConfig;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) type Check = Result<(), String>;

pub(crate) fn shown(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(|| "nothing".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
}

pub(crate) fn ensure(holds: bool, text: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(text()) }
}

/// Records by key, in order.
pub(crate) fn by_key(records: &[Payload]) -> BTreeMap<&[u8], Vec<&Payload>> {
    let mut map: BTreeMap<&[u8], Vec<&Payload>> = BTreeMap::new();
    for record in records {
        map.entry(record.key.as_deref().unwrap_or_default()).or_default().push(record);
    }
    map
}

pub(crate) fn last_by_key(records: &[Payload]) -> BTreeMap<Vec<u8>, Vec<u8>> {
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

/// The marks of erased customers that a partition has.
pub(crate) fn marks_of(records: &Partition) -> Result<Marks, String> {
    let mut marks = Marks::new();
    for (key, value) in last_by_key(&records.states) {
        if let Ok(StateKey::Erased(id)) = parse_key(&key) {
            marks.insert(id, decode_mark(&value).map_err(|error| error.to_string())?.until);
        }
    }
    Ok(marks)
}

/// The output equals the reference's: changes in order per customer, all bytes and headers; the
/// last states, marks and profiles. By partition, these ids were marked before.
pub(crate) fn check_equal(
    outcome: &[Partition],
    config: &TaskConfig,
    (lineage, marks): (u32, &[Marks]),
    advance_to: Option<Timestamp>,
) -> Check {
    // Whoever has all tasks at once moves their clocks in step, up to the latest event of any.
    let latest = (0..).zip(outcome).flat_map(|(partition, records)| {
        let (events, _) = read(partition, config.partitions, records);
        events.into_iter().flatten().map(|timed| timed.at).max()
    });
    let latest = latest.max();
    for ((partition, records), marks) in (0..).zip(outcome).zip(marks) {
        let config = TaskConfig { partition, ..config.clone() };
        let clock = records.clock();
        let in_step = latest.filter(|latest| clock.is_some_and(|clock| clock >= *latest));
        let advance_to = advance_to.max(in_step);
        let Expected { changes, states, profiles } =
            expected(&config, records, (lineage, marks), advance_to);
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
        let mut left = BTreeMap::new();
        for (id, until) in marks {
            let mut key = Vec::new();
            erased_key(id, &mut key);
            left.insert(key, encode_mark(&Mark::erased(*until)));
        }
        for record in records.states.iter().filter(|it| it.key.as_deref() != Some(PROGRESS_KEY)) {
            let key = record.key.clone().unwrap_or_default();
            match &record.value {
                Some(value) => left.insert(key, value.clone()),
                None => left.remove(&key),
            };
        }
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
            // Marks outlive lineages: nobody comes back by a rebuild.
            let stays = |key: &Vec<u8>| matches!(parse_key(key), Ok(StateKey::Erased(_)));
            let (mut all, mut new) = (last_by_key(whole), last_by_key(second));
            all.retain(|key, _| !stays(key));
            new.retain(|key, _| !stays(key));
            ensure(all.keys().eq(new.keys()), || {
                let left = all.keys().find(|key| !new.contains_key(*key));
                format!("partition {partition}: left of the first lineage: {left:?}")
            })?;
        }
    }
    Ok(())
}

/// What is true of every run, however its instances fared; each partition had so many commits and
/// these marks before.
pub(crate) fn check_invariants(
    outcome: &[Partition],
    config: &TaskConfig,
    before: &[(u64, Marks)],
) -> Check {
    let mut change_ids = BTreeSet::new();
    for ((partition, records), (commits, marks)) in (0..).zip(outcome).zip(before) {
        let config = TaskConfig { partition, ..config.clone() };
        let (events, _) = read(partition, config.partitions, records);
        let erases: BTreeSet<&str> = events
            .iter()
            .flatten()
            .filter(|it| it.event.body == Body::Interaction(Interaction::EraseRequested))
            .filter_map(|timed| timed.event.customer_id.as_deref())
            .collect();
        let context = |text| format!("partition {partition}: {text}");
        for (key, changes) in by_key(&records.changes) {
            let id = shown(Some(key));
            ensure(partition_of(&id, config.partitions) == partition, || {
                context(format!("{id} does not belong here"))
            })?;
            check_chain(&changes, erases.contains(id.as_str()), &mut change_ids)
                .map_err(|text| context(format!("{id}: {text}")))?;
        }
        check_dead_letters(&config, records, (marks, &erases)).map_err(context)?;
        let progress = check_progress(records, *commits).map_err(context)?;
        check_states(&config, records, marks, progress.as_ref()).map_err(context)?;
    }
    Ok(())
}

/// One dead letter for every record that is refused, with its bytes, and none else; it may be
/// missing where the record's key is the id of somebody who was erased at any time.
fn check_dead_letters(
    config: &TaskConfig,
    records: &Partition,
    (marks, erases): (&Marks, &BTreeSet<&str>),
) -> Check {
    let (_, refused) = read(config.partition, config.partitions, records);
    let is_of_erased = |input: usize, offset: i64| {
        let source = records.inputs[input].iter().find(|(place, _)| *place == offset);
        let id = source.and_then(|(_, source)| std::str::from_utf8(source.key.as_deref()?).ok());
        id.is_some_and(|id| erases.contains(id) || marks.contains_key(&marked(config, id)))
    };
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
    let mut untold = refused.iter().filter(|(input, offset, _)| !told.contains(&(*input, *offset)));
    match untold.find(|(input, offset, _)| !is_of_erased(*input, *offset)) {
        Some(lost) => Err(format!("no dead letter for {lost:?}")),
        None => Ok(()),
    }
}

/// Progress only goes up, ends at the ends, and the group's offsets agree with it.
pub(crate) fn check_progress(
    records: &Partition,
    commits: u64,
) -> Result<Option<Progress>, String> {
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
            let names = [&last.rfm_values, &last.audiences]
                .into_iter()
                .zip([&progress.rfm_values, &progress.audiences])
                .all(|(before, after)| after.starts_with(before));
            let forward = progress.clock >= last.clock
                && progress.erasures >= last.erasures
                && progress.rules_revision >= last.rules_revision;
            ensure(!back && forward && names, || {
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

/// No deadline at or before this time is left.
pub(crate) fn check_nothing_due(outcome: &[Partition], by: Timestamp) -> Check {
    let rules = rules::rules(rules::REVISION, false);
    for records in outcome {
        for (key, value) in last_by_key(&records.states) {
            let Ok(StateKey::Customer(id)) = parse_key(&key) else { continue };
            let packed = unframe(&value).map_err(|error| error.to_string())?;
            let customer = unpack(packed, &rules.rates).map_err(|error| error.to_string())?;
            ensure(customer.deadline > by, || {
                format!("{id} was due at {:?} and it is {by:?}", customer.deadline)
            })?;
        }
    }
    Ok(())
}
