//! What a run left in the cluster, as a read_committed reader sees it.
//!
//! Plain data, so that the oracle can be shown damaged copies. Next: `oracle.rs`.

use crate::simulation::cluster::{Cluster, Topic};
use crate::simulation::group::Committed;
use crate::simulation::log::Payload;
use crate::simulation::oracle::last_by_key;
use ebbflow::codec::state::{PROGRESS_KEY, StateKey, decode_mark, decode_progress, parse_key};
use ebbflow::domain::progress::Progress;
use ebbflow::domain::time::Timestamp;
use ebbflow::runtime::broker::CommittedOffsets;

/// An input record with its offset.
pub(crate) type Input = (i64, Payload);

/// One partition.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    /// Whether the inputs are Avro, else JSON.
    pub(crate) avro: bool,
    pub(crate) inputs: [Vec<Input>; 3],
    pub(crate) lows: [i64; 3],
    pub(crate) changes: Vec<Payload>,
    pub(crate) profiles: Vec<Payload>,
    pub(crate) states: Vec<Payload>,
    /// What an earlier lineage has left of who is gone.
    pub(crate) marks_before: Vec<Payload>,
    pub(crate) dead_letters: Vec<Payload>,
    pub(crate) offsets: CommittedOffsets,
    /// Offsets that were committed for this partition, in order.
    pub(crate) commits: Vec<Committed>,
}

impl Partition {
    /// What came after an earlier outcome of the same partition.
    pub(crate) fn after(&self, earlier: &Self) -> Self {
        let rest = |all: &[Payload], before: &[Payload]| all[before.len()..].to_vec();
        Self {
            changes: rest(&self.changes, &earlier.changes),
            profiles: rest(&self.profiles, &earlier.profiles),
            states: rest(&self.states, &earlier.states),
            dead_letters: rest(&self.dead_letters, &earlier.dead_letters),
            commits: self.commits[earlier.commits.len()..].to_vec(),
            ..self.clone()
        }
    }

    /// Every progress, oldest first.
    fn progress(&self) -> impl Iterator<Item = Progress> {
        let records = self.states.iter().filter(|it| it.key.as_deref() == Some(PROGRESS_KEY));
        records.map(|it| decode_progress(it.value.as_deref().unwrap_or_default()).unwrap())
    }

    /// The clock that was committed last.
    pub(crate) fn clock(&self) -> Option<Timestamp> {
        self.progress().last().map(|progress| progress.clock)
    }

    /// The same after what an earlier outcome says of who is gone.
    pub(crate) fn with_marks_of(mut self, earlier: &Self) -> Self {
        let is_mark = |key: &[u8]| matches!(parse_key(key), Ok(StateKey::Erased(_)));
        let marks = earlier.states.iter().filter(|it| it.key.as_deref().is_some_and(is_mark));
        self.marks_before = marks.cloned().collect();
        self
    }

    /// Redirects that are left.
    pub(crate) fn redirects(&self) -> u64 {
        let marks = last_by_key(&self.states).into_iter();
        let leads = |(key, value): &(Vec<u8>, Vec<u8>)| {
            matches!(parse_key(key), Ok(StateKey::Erased(_)))
                && decode_mark(value).is_ok_and(|mark| mark.to.is_some())
        };
        marks.filter(leads).count() as u64
    }

    /// How many customers were erased.
    pub(crate) fn erasures(&self) -> u64 {
        self.progress().last().map_or(0, |progress| u64::from(progress.erasures))
    }

    /// Transactions that ended in the middle of a re-evaluation.
    pub(crate) fn cursors(&self) -> u64 {
        self.progress().filter(|it| it.cursor.is_some_and(|cursor| cursor > 0)).count() as u64
    }

    /// Transactions committed for this partition.
    pub(crate) fn transactions(&self) -> u64 {
        let progress = |it: &&Payload| it.key.as_deref() == Some(PROGRESS_KEY);
        self.states.iter().filter(progress).count() as u64
    }
}

/// All partitions of a cluster in which no transaction is open.
pub(crate) fn outcome(cluster: &mut Cluster, partitions: u32, avro: bool) -> Vec<Partition> {
    (0..partitions)
        .map(|partition| {
            let mut read = |topic| -> Vec<Payload> {
                let records = cluster.log(topic, partition).committed();
                records.map(|(_, payload)| payload.clone()).collect()
            };
            let changes = read(Topic::SegmentChanges);
            let profiles = read(Topic::Customers);
            let states = read(Topic::State);
            let dead_letters = read(Topic::DeadLetters);
            let inputs = Topic::INPUTS.map(|topic| {
                let records = cluster.log(topic, partition).committed();
                records.map(|(offset, payload)| (offset, payload.clone())).collect()
            });
            Partition {
                avro,
                inputs,
                lows: Topic::INPUTS.map(|topic| cluster.log(topic, partition).low()),
                changes,
                profiles,
                states,
                marks_before: Vec::new(),
                dead_letters,
                offsets: cluster.group.committed(partition).unwrap(),
                commits: cluster
                    .group
                    .commits
                    .iter()
                    .filter(|it| it.offsets.partition == partition)
                    .cloned()
                    .collect(),
            }
        })
        .collect()
}
