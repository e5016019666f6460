//! The naive reference: one task per partition, all records at hand, no transactions, no broker.
//!
//! Merge order and clock are written here once more from the contract (design, section 5), not
//! taken from `runtime::pump` or `task::merge`. Next: `oracle.rs`.

use crate::simulation::log::Payload;
use crate::simulation::outcome::Partition;
use crate::simulation::registry;
use crate::simulation::rules::{ERASE_KEEP_MS, REVISION};
use ebbflow::codec::change::{ChangeEncoder, headers};
use ebbflow::codec::decoder::{DecodeError, Decoder};
use ebbflow::codec::encode::OutputFormat;
use ebbflow::codec::profile::ProfileEncoder;
use ebbflow::codec::state::{customer_key, encode_mark, erased_key, frame};
use ebbflow::domain::event::{Body, Event, Interaction};
use ebbflow::domain::id::{partition_of, salted_id};
use ebbflow::domain::mark::{Mark, SaltedId};
use ebbflow::domain::name::Name;
use ebbflow::domain::progress::Phase;
use ebbflow::domain::publish::context::CauseEvent;
use ebbflow::domain::refusal::Reason;
use ebbflow::domain::time::Timestamp;
use ebbflow::task::ProfileWrite;
use ebbflow::task::{EventRecord, PartitionTask, TaskConfig};
use std::collections::{BTreeMap, BTreeSet};

/// Refused records: input, offset, reason.
type Refused = BTreeSet<(usize, i64, &'static str)>;

/// The names that changes give the inputs.
pub(crate) const TOPICS: [&str; 3] = ["interactions", "purchases", "relay"];

const FIVE_MINUTES_MS: i64 = 300_000;
const DAY_MS: i64 = 86_400_000;

thread_local! {
    static JSON: [Decoder; 2] = registry::decoders(false);
    static AVRO: [Decoder; 2] = registry::decoders(true);
}

/// Until when events of erased ids are dropped.
pub(crate) type Marks = BTreeMap<SaltedId, Timestamp>;

/// What a partition's output has to be.
pub(crate) struct Expected {
    /// In order.
    pub(crate) changes: Vec<Payload>,
    /// The last value by key.
    pub(crate) states: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The last value by key.
    pub(crate) profiles: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// An event with its effective time.
pub(crate) struct Timed<'a> {
    pub(crate) offset: i64,
    pub(crate) at: Timestamp,
    pub(crate) event: Event<'a>,
}

impl<'a> Timed<'a> {
    /// What its changes name as their cause.
    pub(crate) fn cause(&'a self, topic: &'a Name, partition: u32) -> CauseEvent<'a> {
        CauseEvent {
            event_id: &self.event.event_id,
            occurred_at: self.event.occurred_at,
            effective_at: self.at,
            origin: (topic, partition, self.offset),
        }
    }
}

/// A partition's records as events, by input, and the places of those that are refused:
/// (input, offset, reason).
pub(crate) fn read(
    partition: u32,
    partitions: u32,
    records: &Partition,
) -> ([Vec<Timed<'_>>; 3], Refused) {
    let rules = crate::simulation::rules::rules(REVISION, false);
    let mut events = [Vec::new(), Vec::new(), Vec::new()];
    let mut refused = BTreeSet::new();
    for (input, list) in records.inputs.iter().enumerate() {
        for (offset, payload) in list {
            let mut refuse = |reason: Reason| refused.insert((input, *offset, reason.code()));
            let Some(value) = &payload.value else {
                refuse(Reason::Tombstone);
                continue;
            };
            if input == 2 {
                refuse(Reason::Undecodable);
                continue;
            }
            let decoders = if records.avro { &AVRO } else { &JSON };
            let event = match decoders.with(|it| it[input].decode(value, &rules.rates)) {
                Ok(event) => event,
                Err(DecodeError::Refused(refusal)) => {
                    refuse(refusal.reason);
                    continue;
                }
                Err(DecodeError::SchemaNeeded(_)) => {
                    refuse(Reason::UnknownSchema);
                    continue;
                }
            };
            if event.occurred_at.0 - payload.at.0 > DAY_MS {
                refuse(Reason::TooFarAhead);
                continue;
            }
            if partition_of(&event.subject_id(), partitions) != partition {
                refuse(Reason::Misrouted);
            }
            let at = event.occurred_at.min(payload.at.plus_ms(FIVE_MINUTES_MS));
            events[input].push(Timed { offset: *offset, at, event });
        }
    }
    (events, refused)
}

/// The mark that an id would have.
pub(crate) fn marked(config: &TaskConfig, id: &str) -> SaltedId {
    salted_id(&config.rules.fold.erase_salt, id)
}

/// Runs the reference over a partition, in which these ids are marked already.
///
/// Who is erased and for how long is kept here once more: the task never sees what is dropped.
pub(crate) fn expected(
    config: &TaskConfig,
    records: &Partition,
    (lineage, marks): (u32, &Marks),
    advance_to: Option<Timestamp>,
) -> Expected {
    let (events, _) = read(config.partition, config.partitions, records);
    let mut task = PartitionTask::new(config.clone(), lineage, Phase::Live);
    let mut marks = marks.clone();
    let mut next = [0; 3];
    let mut highest = [Timestamp::MIN; 3];
    loop {
        let heads: [Option<Timestamp>; 3] =
            std::array::from_fn(|input| events[input].get(next[input]).map(|event| event.at));
        // An input at its end is left out; with all at their ends it is the highest event time.
        let open = (0..3).filter_map(|input| heads[input].map(|at| at.max(highest[input])));
        let clock = open.min().or_else(|| highest.into_iter().max()).unwrap();
        task.advance_to(clock);
        task.fire_timers(usize::MAX, None).unwrap();
        marks.retain(|_, until| *until > clock);
        let earliest = (0..3).filter_map(|input| heads[input].map(|at| (at, input))).min();
        let Some((at, input)) = earliest else { break };
        let timed = &events[input][next[input]];
        next[input] += 1;
        highest[input] = highest[input].max(at);
        let (topic, offset, event) = (&TOPICS[input].into(), timed.offset, &timed.event);
        if let Some(id) = &event.customer_id {
            let id = marked(config, id);
            if marks.contains_key(&id) {
                task.skip(input, offset);
                continue;
            }
            let here = partition_of(&event.subject_id(), config.partitions) == config.partition;
            if here && event.body == Body::Interaction(Interaction::EraseRequested) {
                marks.insert(id, clock.plus_ms(ERASE_KEEP_MS));
            }
        }
        // A refused event (of another partition) changes nothing but time.
        if let Err(error) =
            task.handle_event(&EventRecord { input, topic, offset, event, at, value: &[] }, None)
        {
            assert!(matches!(error, ebbflow::task::partition_task::EventError::Refused(_)));
        }
    }
    if let Some(advance_to) = advance_to {
        task.advance_to(advance_to);
        task.fire_timers(usize::MAX, None).unwrap();
        marks.retain(|_, until| *until > task.clock());
    }
    let mut expected = written(&mut task);
    for (id, until) in marks {
        let mut key = Vec::new();
        erased_key(&id, &mut key);
        expected.states.insert(key, encode_mark(&Mark::erased(until)));
    }
    expected
}

fn written(task: &mut PartitionTask) -> Expected {
    let mut encoder = ChangeEncoder::new(OutputFormat::Json, false);
    let mut value = Vec::new();
    let changes = task
        .take_changes()
        .map(|change| {
            encoder.encode(&change, &mut value);
            let headers = headers(&change).into_iter();
            Payload {
                key: Some(change.customer_id.clone().into_bytes()),
                value: Some(value.clone()),
                headers: headers.map(|(name, value)| (name.to_owned(), value)).collect(),
                ..Payload::default()
            }
        })
        .collect();
    let (mut states, mut profiles) = (BTreeMap::new(), BTreeMap::new());
    let mut profile_encoder = ProfileEncoder::new(OutputFormat::Json);
    task.pack(|id, packed, profile| {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        customer_key(id, &mut key);
        match packed {
            Some(packed) => {
                frame(packed, &mut value);
                states.insert(key, value.clone());
            }
            None => drop(states.remove(&key)),
        }
        match profile {
            ProfileWrite::Nothing => {}
            ProfileWrite::Profile(profile) => {
                profile_encoder.encode(&profile, &mut value);
                profiles.insert(id.as_bytes().to_vec(), value);
            }
            ProfileWrite::Tombstone => drop(profiles.remove(id.as_bytes())),
        }
    });
    Expected { changes, states, profiles }
}
