//! How one process reads a changelog from the simulated cluster: slowly, compacted, in pieces.
//!
//! Next: `broker.rs`, which holds the readers.

use crate::simulation::broker::SimBroker;
use crate::simulation::cluster::Topic;
use crate::simulation::faults::Fault;
use crate::simulation::stage::SESSION_MS;
use ebbflow::mutation::Mutation;
use ebbflow::runtime::broker::{BrokerError, ChangelogRecord};
use std::collections::BTreeSet;

/// A changelog that is being read.
pub(super) struct Changelog {
    position: i64,
    end: i64,
    cleaned: BTreeSet<i64>,
    /// Nothing is at hand before.
    from_ms: i64,
}

impl SimBroker {
    pub(super) fn changelog_open(&mut self, partition: u32) -> Result<(), BrokerError> {
        self.answers()?;
        if self.stage.strikes(Fault::StallInRestore) {
            self.stage.stand_still(2 * SESSION_MS);
        }
        let compaction = self.stage.strikes(Fault::Compaction);
        let tombstones = compaction && self.stage.strikes(Fault::TombstonesGone);
        let slow = self.stage.strikes(Fault::SlowRestore);
        let delay_ms = if slow { 500 + self.stage.below(20_000) } else { 0 };
        let eighths = i64::try_from(self.stage.below(9)).unwrap();
        let mut cluster = self.stage.cluster.borrow_mut();
        let from_ms = cluster.now_ms + i64::try_from(delay_ms).unwrap();
        let log = cluster.log(Topic::State, partition);
        let position = log.low();
        let end = match Mutation::ChangelogToStableEnd.is_on() {
            true => log.stable_end(),
            false => log.end(),
        };
        let clean = if compaction { log.stable_end() * eighths / 8 } else { 0 };
        let cleaned = log.cleaned(clean, tombstones).into_iter().collect();
        self.changelogs.insert(partition, Changelog { position, end, cleaned, from_ms });
        Ok(())
    }

    pub(super) fn changelog_read(
        &mut self,
        partition: u32,
        max: usize,
        into: &mut Vec<ChangelogRecord>,
    ) -> Result<bool, BrokerError> {
        self.answers()?;
        let slow = self.stage.strikes(Fault::SlowChangelog);
        let count = if slow { self.stage.below(5) } else { max };
        let Some(reader) = self.changelogs.get_mut(&partition) else {
            panic!("the changelog of partition {partition} is not open");
        };
        let mut cluster = self.stage.cluster.borrow_mut();
        if cluster.now_ms < reader.from_ms {
            return Ok(false);
        }
        let log = cluster.log(Topic::State, partition);
        for _ in 0..count {
            reader.position = log.next_visible(reader.position);
            let Some(payload) = log.visible(reader.position) else { break };
            if reader.position >= reader.end {
                break;
            }
            if !reader.cleaned.contains(&reader.position) {
                let key = payload.key.clone().unwrap_or_default();
                into.push(ChangelogRecord { key, value: payload.value.clone() });
            }
            reader.position += 1;
        }
        let done = log.next_visible(reader.position) >= reader.end;
        if done {
            self.changelogs.remove(&partition);
        }
        Ok(done)
    }

    pub(super) fn control_read(&mut self) -> Result<Vec<ChangelogRecord>, BrokerError> {
        self.answers()?;
        let mut cluster = self.stage.cluster.borrow_mut();
        let log = cluster.log(Topic::Control, 0);
        if log.stable_end() < log.end() {
            return Err(BrokerError::Retriable("a transaction is open in control".to_owned()));
        }
        let records = log.committed();
        Ok(records
            .map(|(_, payload)| ChangelogRecord {
                key: payload.key.clone().unwrap_or_default(),
                value: payload.value.clone(),
            })
            .collect())
    }
}
