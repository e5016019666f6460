//! Rebalances and restoring: how tasks come to a worker, and how they leave it.
//!
//! Every rebalance takes all tasks away; what the next assignment gives back is used again only
//! if the group's offsets show that nobody else has committed since. Next: `restore.rs`.

use crate::codec::state::{LINEAGE_KEY, Lineage, decode_lineage};
use crate::domain::progress::{OffsetMetadata, Phase};
use crate::metrics::{AbortClass, Rebalance};
use crate::runtime::broker::{Broker, BrokerError, GroupEvent, Input};
use crate::runtime::clock::Clock;
use crate::runtime::restore::{Restore, Restored};
use crate::runtime::settings::WorkerError;
use crate::runtime::slot::{Slot, SlotState};
use crate::runtime::worker::{Trip, Worker};
use crate::task::{PartitionTask, TaskConfig};
use std::time::Duration;

/// How long to wait before the broker is asked again.
const RETRY_WAIT: Duration = Duration::from_millis(50);
/// Changelog records applied in one round.
const RESTORE_RECORDS: usize = 10_000;

impl<B: Broker, C: Clock> Worker<B, C> {
    /// Serves the group until it has nothing more to tell.
    pub(super) fn serve_group(&mut self) -> Result<(), Trip> {
        while let Some(event) = self.broker.poll_group()? {
            match event {
                GroupEvent::Assigned(partitions) => self.assigned(&partitions)?,
                GroupEvent::Revoked { lost } => self.revoked(lost)?,
            }
        }
        Ok(())
    }

    fn assigned(&mut self, partitions: &[u32]) -> Result<(), Trip> {
        tracing::info!(?partitions, "assigned");
        self.shared.metrics.rebalanced(Rebalance::Assigned);
        if self.settings.forgetful && self.assigned_before {
            return Err(Trip::End(WorkerError::Failed(
                "the tasks were assigned a second time, and the embedded broker keeps no offsets \
                 to go on from; hint: start again"
                    .to_owned(),
            )));
        }
        self.retry(|broker| broker.assign(partitions))?;
        let stores = &self.shared.stores;
        self.slots.retain(|partition, _| {
            let kept = partitions.contains(partition);
            if !kept {
                stores.remove(*partition);
            }
            kept
        });
        for partition in partitions {
            match self.slots.get_mut(partition) {
                Some(slot) => slot.state = SlotState::Verifying,
                None => {
                    let task = PartitionTask::new(self.task_config(*partition), 1, Phase::Live);
                    self.slots.insert(*partition, Slot::new(task));
                }
            }
        }
        // A rebuild may have happened while this member was away.
        self.lineage = None;
        (self.assigned, self.assigned_before) = (true, true);
        self.next_report_ms = 0;
        Ok(())
    }

    /// Commits what is open, or rolls it back; the memory stays until the next assignment.
    fn revoked(&mut self, lost: bool) -> Result<(), Trip> {
        tracing::info!(lost, "revoked");
        self.shared.metrics.rebalanced(if lost { Rebalance::Lost } else { Rebalance::Revoked });
        self.assigned = false;
        let result = match (self.transaction.is_open(), lost) {
            (true, false) => self.commit(),
            (true, true) => self.abort(AbortClass::Lost).map_err(Trip::End),
            (false, _) => Ok(()),
        };
        let result = match result {
            Err(Trip::Broker(error)) => self.recover(error).map_err(Trip::End),
            other => other,
        };
        for (partition, slot) in &mut self.slots {
            if matches!(slot.state, SlotState::Restoring(_)) {
                self.broker.close_changelog(*partition);
            }
            slot.clear_queues();
        }
        // Only a task that was complete is worth keeping.
        let stores = &self.shared.stores;
        self.slots.retain(|partition, slot| {
            let complete = matches!(
                slot.state,
                SlotState::Running | SlotState::Seeking | SlotState::Verifying | SlotState::Kept
            );
            let kept = complete && !lost;
            if !kept {
                stores.remove(*partition);
            }
            slot.state = SlotState::Kept;
            kept
        });
        self.broker.unassign()?;
        self.next_report_ms = 0;
        result
    }

    /// Moves every task that does not process yet a step further; true when there is more to do
    /// at once.
    pub(super) fn restore_slices(&mut self) -> Result<bool, Trip> {
        let mut busy = false;
        let partitions: Vec<u32> = self.slots.keys().copied().collect();
        for partition in partitions {
            let Some(slot) = self.slots.get(&partition) else { continue };
            let step = match slot.state {
                SlotState::Running | SlotState::Kept | SlotState::Blocked(_) => continue,
                SlotState::Verifying => self.verify(partition),
                SlotState::Starting => self.open(partition, false),
                SlotState::Restoring(_) => self.restore(partition),
                SlotState::Seeking => self.seek(partition),
            };
            match step {
                Ok(()) => busy = true,
                Err(Trip::Broker(BrokerError::Retriable(reason))) => {
                    // The next one would wait as long; the other tasks go on meanwhile.
                    tracing::debug!(partition, reason, "restoring waits");
                    break;
                }
                Err(trip) => return Err(trip),
            }
        }
        Ok(busy)
    }

    /// Memory that was kept is good when the group's offsets are those of its last commit.
    fn verify(&mut self, partition: u32) -> Result<(), Trip> {
        let offsets = self.broker.committed(partition)?;
        let Some(slot) = self.slots.get_mut(&partition) else { return Ok(()) };
        let told = offsets.metadata.as_deref().and_then(OffsetMetadata::parse);
        let counter = slot.task.commit_counter();
        let same = told.is_some_and(|told| {
            told.commit_counter == counter && told.lineage == slot.task.lineage()
        }) && offsets.next_offsets == slot.task.committed_offsets().map(Some);
        let untouched = counter == 0 && offsets.next_offsets.iter().all(Option::is_none);
        if same || (untouched && slot.purge.is_empty()) {
            slot.state = SlotState::Seeking;
        } else {
            tracing::info!(partition, "another instance has committed meanwhile; restoring");
            self.start_over(partition);
        }
        Ok(())
    }

    fn start_over(&mut self, partition: u32) {
        let task = PartitionTask::new(self.task_config(partition), 1, Phase::Live);
        self.shared.stores.remove(partition);
        self.slots.insert(partition, Slot::new(task));
    }

    /// Reads the group's offsets, which waits for open transactions, and then the high watermark
    /// of the changelog: in this order nothing committed can be missed.
    fn open(&mut self, partition: u32, collects_ids: bool) -> Result<(), Trip> {
        let lineage = self.lineage()?;
        let offsets = self.broker.committed(partition)?;
        let now_ms = self.now_ms;
        self.broker.open_changelog(partition)?;
        let config = self.task_config(partition);
        let Some(slot) = self.slots.get_mut(&partition) else { return Ok(()) };
        slot.task = PartitionTask::new(config, lineage.number, Phase::Live);
        slot.state = SlotState::Restoring(Box::new(Restore::new(offsets, now_ms, collects_ids)));
        Ok(())
    }

    fn restore(&mut self, partition: u32) -> Result<(), Trip> {
        let mut records = Vec::new();
        let done = self.broker.read_changelog(partition, RESTORE_RECORDS, &mut records)?;
        let now_ms = self.now_ms;
        let Some(slot) = self.slots.get_mut(&partition) else { return Ok(()) };
        let SlotState::Restoring(restore) = &mut slot.state else { return Ok(()) };
        restore.apply(&mut slot.task, &records)?;
        if !done {
            return Ok(());
        }
        #[expect(clippy::cast_precision_loss, reason = "a duration in seconds for a counter")]
        let seconds = (now_ms - restore.began_ms) as f64 / 1000.0;
        self.shared.metrics.restored(restore.records, seconds);
        tracing::info!(partition, records = restore.records, seconds, "changelog read");
        let lineage = self.lineage()?.number;
        let Some(slot) = self.slots.get_mut(&partition) else { return Ok(()) };
        let SlotState::Restoring(restore) = &slot.state else { return Ok(()) };
        if restore.needs_ids(lineage) {
            return self.open(partition, true);
        }
        // A member that stood still may have been expelled without knowing it yet: then another
        // one has committed between its reading of the offsets and of the changelog.
        if !restore.agrees(partition) {
            let moved = match self.broker.committed(partition) {
                Ok(offsets) => offsets != restore.offsets,
                Err(BrokerError::Retriable(_)) => true,
                Err(error) => return Err(error.into()),
            };
            if moved {
                tracing::info!(partition, "another instance has committed meanwhile; restoring");
                self.start_over(partition);
                return Ok(());
            }
        }
        let Some(slot) = self.slots.get_mut(&partition) else { return Ok(()) };
        let SlotState::Restoring(restore) = std::mem::replace(&mut slot.state, SlotState::Starting)
        else {
            return Ok(());
        };
        let config = TaskConfig { partition, ..self.settings.task.clone() };
        let restored = restore.finish(&mut slot.task, &config, lineage, self.settings.forgetful)?;
        self.set_up(partition, restored)
    }

    /// Decides where a restored task begins to read.
    fn set_up(&mut self, partition: u32, restored: Restored) -> Result<(), Trip> {
        let fresh = matches!(restored, Restored::Fresh | Restored::Rebuild(_));
        if self.settings.baseline && restored == Restored::Ready && !self.ran {
            let slot = self.slots.get(&partition);
            if slot
                .is_some_and(|slot| slot.task.phase() == Phase::Live && !slot.task.is_baselined())
            {
                return Err(Trip::End(WorkerError::Refused(format!(
                    "--baseline is for a first start, but partition {partition} has state; \
                     hint: add --rebuild to begin anew, or leave --baseline out"
                ))));
            }
        }
        if fresh {
            let mut ends = [0; 3];
            for input in Input::ALL {
                let watermarks = self.retry(|broker| broker.watermarks(partition, input))?;
                ends[input.index()] = watermarks.high;
                if let Some(slot) = self.slots.get_mut(&partition) {
                    slot.task.start_at(input.index(), watermarks.low);
                }
            }
            if let Some(slot) = self.slots.get_mut(&partition) {
                slot.first_phase =
                    if self.settings.baseline { Phase::Silent(ends) } else { Phase::Live };
            }
        }
        let Some(slot) = self.slots.get_mut(&partition) else { return Ok(()) };
        slot.state = SlotState::Seeking;
        match restored {
            Restored::Ready => {}
            Restored::Fresh => slot.task.begin_in(slot.first_phase),
            Restored::Rebuild(ids) if ids.is_empty() => slot.task.enter_phase(slot.first_phase),
            Restored::Rebuild(ids) => {
                tracing::info!(partition, customers = ids.len(), "deleting the earlier lineage");
                slot.purge = ids;
            }
            Restored::Blocked(reason) if self.settings.until_end.is_some() => {
                return Err(Trip::End(WorkerError::Refused(format!(
                    "partition {partition} is not run here: {reason}"
                ))));
            }
            Restored::Blocked(reason) => {
                tracing::error!(partition, reason, "this task is not run here");
                slot.state = SlotState::Blocked(reason.clone());
                let all =
                    self.slots.values().all(|slot| matches!(slot.state, SlotState::Blocked(_)));
                if all && !self.ran {
                    return Err(Trip::End(WorkerError::Refused(format!(
                        "partition {partition}: {reason}; none of the tasks can be run here; \
                         hint: start with the newer rules"
                    ))));
                }
            }
        }
        self.next_report_ms = 0;
        Ok(())
    }

    fn seek(&mut self, partition: u32) -> Result<(), Trip> {
        let until = self.end_of_run(partition)?;
        let Some(slot) = self.slots.get_mut(&partition) else { return Ok(()) };
        for input in Input::ALL {
            let next_offset = slot.task.inputs()[input.index()].next_offset;
            self.broker.seek(partition, input, next_offset)?;
        }
        slot.clear_queues();
        slot.until = until;
        slot.state = SlotState::Running;
        self.ran = true;
        self.shared.stores.insert(partition, slot.task.store().committed().clone());
        self.next_report_ms = 0;
        Ok(())
    }

    /// Where a run that ends by itself ends for this task.
    fn end_of_run(&mut self, partition: u32) -> Result<Option<[i64; 3]>, Trip> {
        if self.settings.until_end.is_none() || self.ends.contains_key(&partition) {
            return Ok(self.ends.get(&partition).copied());
        }
        let mut ends = [0; 3];
        for input in Input::ALL {
            ends[input.index()] = self.broker.watermarks(partition, input)?.high;
        }
        self.ends.insert(partition, ends);
        Ok(Some(ends))
    }

    /// The present lineage, read once.
    fn lineage(&mut self) -> Result<Lineage, Trip> {
        if let Some(lineage) = self.lineage {
            return Ok(lineage);
        }
        let mut lineage = Lineage::FIRST;
        for record in self.broker.read_control()? {
            if let (LINEAGE_KEY, Some(value)) = (record.key.as_slice(), &record.value) {
                lineage = decode_lineage(value).map_err(|error| {
                    WorkerError::Failed(format!("reading the control topic failed: {error}"))
                })?;
            }
        }
        self.lineage = Some(lineage);
        Ok(lineage)
    }

    fn retry<T>(
        &mut self,
        mut call: impl FnMut(&mut B) -> Result<T, BrokerError>,
    ) -> Result<T, Trip> {
        loop {
            match call(&mut self.broker) {
                Err(BrokerError::Retriable(reason)) => {
                    tracing::debug!(reason, "the broker did not answer; trying again");
                    self.broker.wait(RETRY_WAIT);
                    self.read_clocks();
                    self.reporter.beat(self.now_ms);
                }
                other => return Ok(other?),
            }
        }
    }

    fn task_config(&self, partition: u32) -> TaskConfig {
        let rebuilt_at = self.lineage.unwrap_or(Lineage::FIRST).began_at;
        TaskConfig { partition, rebuilt_at, ..self.settings.task.clone() }
    }
}
