//! Who committed what, and whether every transaction came out whole.
//!
//! A partition is committed by one instance at a time: whose offsets are committed owned it in that
//! generation, and the commit counter never forks. Everything that a reader sees of a transaction
//! lies under one progress record. Next: `replay.rs`, what the transactions must hold.

use crate::simulation::log::Payload;
use crate::simulation::outcome::Partition;
use ebbflow::codec::state::{PROGRESS_KEY, decode_progress};
use ebbflow::domain::progress::{OffsetMetadata, Progress};
use std::collections::{BTreeMap, BTreeSet};

/// What a committed transaction holds for one partition.
pub(crate) struct Transaction<'a> {
    pub(crate) id: u64,
    pub(crate) progress: Progress,
    /// Virtual time at which its progress was appended, in ms.
    pub(crate) appended_ms: i64,
    /// The last one by key.
    pub(crate) states: BTreeMap<&'a [u8], &'a Payload>,
}

/// The transactions of a partition in the order of their progress records.
pub(crate) fn transactions(records: &Partition) -> Result<Vec<Transaction<'_>>, String> {
    let mut list = Vec::new();
    let mut states: BTreeMap<&[u8], &Payload> = BTreeMap::new();
    for record in &records.states {
        let key = record.key.as_deref().unwrap_or_default();
        if key != PROGRESS_KEY {
            states.insert(key, record);
            continue;
        }
        let progress = decode_progress(record.value.as_deref().unwrap_or_default())
            .map_err(|error| error.to_string())?;
        let states = std::mem::take(&mut states);
        let id = record.transaction;
        if let Some(torn) = states.values().find(|state| state.transaction != id) {
            return Err(format!(
                "a state of transaction {} under the progress of {id}",
                torn.transaction
            ));
        }
        list.push(Transaction { id, progress, appended_ms: record.at.0, states });
    }
    if let Some(torn) = states.values().next() {
        return Err(format!("states of transaction {} without progress", torn.transaction));
    }
    Ok(list)
}

/// Every transaction is whole, and its partitions were its instance's.
pub(crate) fn check_schedule(outcome: &[Partition]) -> Result<(), String> {
    for (partition, records) in (0..).zip(outcome) {
        check_partition(records).map_err(|text| format!("partition {partition}: {text}"))?;
    }
    Ok(())
}

fn check_partition(records: &Partition) -> Result<(), String> {
    let transactions = transactions(records)?;
    let known: BTreeSet<u64> = transactions.iter().map(|it| it.id).collect();
    let written = [&records.changes, &records.profiles, &records.dead_letters];
    if let Some(torn) = written.into_iter().flatten().find(|it| !known.contains(&it.transaction)) {
        return Err(format!("output of transaction {} without its progress", torn.transaction));
    }
    if transactions.len() != records.commits.len() {
        return Err(format!(
            "{} progress records, {} commits of offsets",
            transactions.len(),
            records.commits.len()
        ));
    }
    let mut before: Option<(u32, usize)> = None;
    for (transaction, commit) in transactions.iter().zip(&records.commits) {
        let told = OffsetMetadata::parse(&commit.offsets.metadata);
        let counter = transaction.progress.commit_counter;
        if commit.transaction != transaction.id
            || told.is_none_or(|told| told.commit_counter != counter)
            || commit.offsets.next_offsets != transaction.progress.next_offsets
        {
            return Err(format!("the progress of commit {counter} beside the offsets {commit:?}"));
        }
        if !commit.owned {
            return Err(format!("commit {counter} of a partition of somebody else: {commit:?}"));
        }
        let (generation, instance) = (commit.generation, commit.instance);
        let forks = before.is_some_and(|(last, owner)| {
            generation < last || (generation == last && instance != owner)
        });
        if forks {
            return Err(format!("commit {counter} after {before:?}: {commit:?}"));
        }
        before = Some((generation, instance));
    }
    Ok(())
}
