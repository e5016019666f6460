//! What a run left in the cluster, as a read_committed reader sees it.
//!
//! Plain data, so that the oracle can be shown damaged copies. Next: `oracle.rs`.

use crate::simulation::cluster::{Cluster, Topic};
use crate::simulation::log::Payload;
use ebbflow::runtime::broker::CommittedOffsets;

/// An input record with its offset.
pub(crate) type Input = (i64, Payload);

/// One partition.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) inputs: [Vec<Input>; 3],
    pub(crate) lows: [i64; 3],
    pub(crate) changes: Vec<Payload>,
    pub(crate) profiles: Vec<Payload>,
    pub(crate) states: Vec<Payload>,
    pub(crate) dead_letters: Vec<Payload>,
    pub(crate) offsets: CommittedOffsets,
}

/// All partitions of a cluster in which no transaction is open.
pub(crate) fn outcome(cluster: &mut Cluster, partitions: u32) -> Vec<Partition> {
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
                inputs,
                lows: Topic::INPUTS.map(|topic| cluster.log(topic, partition).low()),
                changes,
                profiles,
                states,
                dead_letters,
                offsets: cluster.group.committed(partition).unwrap(),
            }
        })
        .collect()
}
