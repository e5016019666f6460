//! Preparing tasks: memory that was kept is verified, other tasks are restored, inputs are sought.
//!
//! Slice by slice, beside tasks that run. What has to wait for the cluster's answer is asked while
//! no transaction is open, and one task that gets no answer does not hold the others. Never decides
//! who has which task (`group.rs`). Next: `restore.rs`.

use crate::codec::state::{LINEAGE_KEY, Lineage, decode_lineage};
use crate::domain::progress::{OffsetMetadata, Phase};
use crate::mutation::Mutation;
use crate::runtime::broker::{Broker, BrokerError, Input};
use crate::runtime::clock::Clock;
use crate::runtime::restore::{Restore, Restored};
use crate::runtime::settings::WorkerError;
use crate::runtime::share::Share;
use crate::runtime::slot::{Slot, SlotState};
use crate::runtime::status::Trouble;
use crate::runtime::stores::TaskStates;
use crate::runtime::worker::{Trip, Worker};
use crate::task::{PartitionTask, TaskConfig};
use std::sync::Arc;

/// How long no further question is asked after one that got no answer, in ms: tasks that run have
/// their turn.
const QUESTION_PAUSE_MS: i64 = 200;
/// How long a task may wait before it is remarked, in ms: longer than a leader or a transaction
/// that was left open usually takes.
const REMARKABLE_WAIT_MS: i64 = 10_000;
/// Why a changelog that is not at its end may have no records.
const CHANGELOG_WAITS: &str = "the state topic has no more records at hand; its partition may be \
                               without a leader, or a transaction open in it";
/// Changelog records applied in one round, of all tasks.
const RESTORE_RECORDS: usize = 10_000;

impl<B: Broker, C: Clock> Worker<B, C> {
    /// Moves every task that does not process yet a step further; true when there is more to do
    /// at once.
    pub(super) fn prepare_tasks(&mut self) -> Result<bool, Trip> {
        let mut busy = false;
        let restoring =
            self.slots.values().filter(|slot| matches!(slot.state, SlotState::Restoring(_)));
        let mut share = Share::new(RESTORE_RECORDS, restoring.count());
        let mut asking = !self.transaction.is_open() && self.now_ms >= self.next_ask_ms;
        // Whoever got no answer is the last to ask again.
        let (later, sooner): (Vec<u32>, Vec<u32>) =
            self.slots.keys().partition(|partition| Some(**partition) <= self.last_unanswered);
        for partition in sooner.into_iter().chain(later) {
            let Some(slot) = self.slots.get(&partition) else { continue };
            let asks = slot.asks();
            if asks && !asking {
                continue;
            }
            let step = match &slot.state {
                SlotState::Running | SlotState::Kept | SlotState::Blocked(_) => continue,
                SlotState::Verifying => self.verify(partition).map(|()| true),
                SlotState::Starting => self.open(partition, false).map(|()| true),
                SlotState::Restoring(_) if asks => self.conclude(partition).map(|()| true),
                SlotState::Restoring(_) => self.restore(partition, &mut share),
                SlotState::Seeking => self.seek(partition).map(|()| true),
            };
            match step {
                Ok(true) => {
                    busy = true;
                    if let Some(slot) = self.slots.get_mut(&partition) {
                        slot.waits_since_ms = None;
                    }
                }
                Ok(false) => self.waits(partition, CHANGELOG_WAITS),
                Err(Trip::Broker(BrokerError::Retriable(reason))) => {
                    tracing::debug!(partition, reason, "preparing a task waits");
                    self.waits(partition, &reason);
                    if asks {
                        // The next question might wait as long.
                        asking = false;
                        self.last_unanswered = Some(partition);
                        self.read_clocks();
                        self.next_ask_ms = self.now_ms + QUESTION_PAUSE_MS;
                    }
                }
                Err(trip) => return Err(trip),
            }
        }
        Ok(busy)
    }

    /// Tells of a task that does not come nearer to running.
    fn waits(&mut self, partition: u32, reason: &str) {
        let Some(slot) = self.slots.get_mut(&partition) else { return };
        let since_ms = *slot.waits_since_ms.get_or_insert(self.now_ms);
        if self.now_ms - since_ms >= REMARKABLE_WAIT_MS {
            let reason = format!("partition {partition} waits to be restored: {reason}");
            self.trying_again("a task does not run", &reason);
            self.shared.status.set_trouble(Trouble::Broker, Some(reason));
        }
    }

    /// Whether a task has a question for which the open transaction has to end.
    pub(super) fn has_question(&self) -> bool {
        self.now_ms >= self.next_ask_ms && self.slots.values().any(Slot::asks)
    }

    /// Memory that was kept is good when the group's offsets are those of its last commit.
    fn verify(&mut self, partition: u32) -> Result<(), Trip> {
        let lineage = self.lineage()?.number;
        let offsets = self.broker.committed(partition)?;
        let Some(slot) = self.slots.get_mut(&partition) else { return Ok(()) };
        let told = offsets.metadata.as_deref().and_then(OffsetMetadata::parse);
        let counter = slot.task.commit_counter();
        let same = told.is_some_and(|told| {
            (told.commit_counter == counter || Mutation::CommitCounterNotCompared.is_on())
                && ([told.lineage, lineage] == [slot.task.lineage(); 2]
                    || Mutation::LineageNotCompared.is_on())
        }) && offsets.next_offsets == slot.task.committed_offsets().map(Some);
        if same || Mutation::KeptMemoryTrusted.is_on() {
            slot.state = SlotState::Seeking;
            return Ok(());
        }
        // Without a commit nothing says in which lineage it is seen; to restore it costs nothing.
        if counter > 0 {
            tracing::info!(partition, "another instance has committed meanwhile; restoring");
        }
        self.start_over(partition);
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
        if Mutation::ChangelogBeforeOffsets.is_on() {
            self.broker.open_changelog(partition)?;
        }
        let offsets = self.broker.committed(partition)?;
        let now_ms = self.now_ms;
        if !Mutation::ChangelogBeforeOffsets.is_on() {
            self.broker.open_changelog(partition)?;
        }
        let config = self.task_config(partition);
        let Some(slot) = self.slots.get_mut(&partition) else { return Ok(()) };
        slot.task = PartitionTask::new(config, lineage.number, Phase::Live);
        slot.state = SlotState::Restoring(Box::new(Restore::new(offsets, now_ms, collects_ids)));
        Ok(())
    }

    /// True unless the changelog has nothing at hand: when it has, it wakes the worker.
    fn restore(&mut self, partition: u32, share: &mut Share) -> Result<bool, Trip> {
        let mut records = Vec::new();
        let most = share.of_next().max(1);
        let done = self.broker.read_changelog(partition, most, &mut records)?;
        share.spend(records.len());
        let now_ms = self.now_ms;
        let Some(slot) = self.slots.get_mut(&partition) else { return Ok(false) };
        let SlotState::Restoring(restore) = &mut slot.state else { return Ok(false) };
        restore.apply(&mut slot.task, &records)?;
        if !done {
            return Ok(!records.is_empty());
        }
        restore.complete = true;
        #[expect(clippy::cast_precision_loss, reason = "a duration in seconds for a counter")]
        let seconds = (now_ms - restore.began_ms) as f64 / 1000.0;
        self.shared.metrics.restored(restore.records, seconds);
        tracing::debug!(partition, records = restore.records, seconds, "changelog read");
        if let Some(restoring) = &mut self.restoring {
            restoring.records += restore.records;
        }
        Ok(true)
    }

    /// Checks what was read and sets the task up.
    fn conclude(&mut self, partition: u32) -> Result<(), Trip> {
        let lineage = self.lineage()?;
        let Some(slot) = self.slots.get_mut(&partition) else { return Ok(()) };
        let SlotState::Restoring(restore) = &slot.state else { return Ok(()) };
        if restore.is_ahead_of(lineage.number) {
            // A member that stood still may have been expelled without knowing it yet: then a
            // lineage may have begun since the assignment.
            self.lineage = None;
            if self.lineage()? != lineage {
                self.start_over(partition);
                return Ok(());
            }
        }
        let Some(slot) = self.slots.get_mut(&partition) else { return Ok(()) };
        let SlotState::Restoring(restore) = &slot.state else { return Ok(()) };
        if let Some(collects_ids) = restore.reads_otherwise(lineage.number) {
            return self.open(partition, collects_ids);
        }
        // A member that stood still may have been expelled without knowing it yet: then another
        // one has committed between its reading of the offsets and of the changelog.
        if !restore.agrees(&slot.task) {
            let read = restore.offsets.clone();
            let moved = self.broker.committed(partition)? != read;
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

    /// Decides how a restored task goes on.
    fn set_up(&mut self, partition: u32, restored: Restored) -> Result<(), Trip> {
        let Some(slot) = self.slots.get_mut(&partition) else { return Ok(()) };
        slot.state = SlotState::Seeking;
        match restored {
            Restored::Ready => {}
            Restored::Fresh => slot.from_start = true,
            Restored::Rebuild(ids) => {
                if !ids.is_empty() {
                    let customers = ids.len();
                    tracing::info!(partition, customers, "deleting the earlier lineage");
                }
                slot.from_start = true;
                slot.purge = ids;
            }
            Restored::Blocked(reason) if self.settings.until_end.is_some() => {
                return Err(Trip::End(WorkerError::Refused(format!(
                    "partition {partition} is not run here: {reason}"
                ))));
            }
            Restored::Blocked(reason) => {
                tracing::error!(partition, reason, "this task is not run here");
                slot.state = SlotState::Blocked(reason);
            }
        }
        self.next_report_ms = 0;
        Ok(())
    }

    /// Ends a process that starts and may run none of the tasks of any of its workers.
    pub(super) fn check_start(&self) -> Result<(), Trip> {
        if self.shared.start.ran() {
            return Ok(());
        }
        let reason = |(partition, slot): (&u32, &Slot<_>)| match &slot.state {
            SlotState::Blocked(reason) => Some(format!("partition {partition}: {reason}")),
            _ => None,
        };
        let known = self.assigned && self.unanswered.is_none();
        let blocked = known.then(|| self.slots.iter().map(reason).collect()).flatten();
        match self.shared.start.refusal(self.index, blocked) {
            None => Ok(()),
            Some(reason) => Err(Trip::End(WorkerError::Refused(format!(
                "{reason}; none of the tasks can be run here; hint: start with the newer rules or \
                 program"
            )))),
        }
    }

    fn seek(&mut self, partition: u32) -> Result<(), Trip> {
        self.begin_at_start(partition)?;
        let until = self.end_of_run(partition)?;
        let Some(slot) = self.slots.get_mut(&partition) else { return Ok(()) };
        for input in Input::ALL {
            let next_offset = match Mutation::StartAtEnd.is_on() {
                true => self.broker.watermarks(partition, input)?.high,
                false => slot.task.inputs()[input.index()].next_offset,
            };
            self.broker.seek(partition, input, next_offset)?;
        }
        slot.clear_queues();
        slot.until = until;
        slot.state = SlotState::Running;
        self.shared.start.run();
        let states = Arc::clone(slot.task.store().committed());
        let marks = Arc::clone(slot.task.committed_marks());
        let rules = Arc::clone(slot.task.rules());
        self.shared.stores.insert(partition, TaskStates { states, marks, rules });
        self.next_report_ms = 0;
        Ok(())
    }

    /// A task that begins anew reads from the start of the logs; a baseline is silent up to where
    /// they end now.
    fn begin_at_start(&mut self, partition: u32) -> Result<(), Trip> {
        if !self.slots.get(&partition).is_some_and(|slot| slot.from_start) {
            return Ok(());
        }
        let baseline = self.lineage()?.baseline;
        let (mut starts, mut ends) = ([0; 3], [0; 3]);
        for input in Input::ALL {
            let watermarks = self.broker.watermarks(partition, input)?;
            (starts[input.index()], ends[input.index()]) = (watermarks.low, watermarks.high);
        }
        let Some(slot) = self.slots.get_mut(&partition) else { return Ok(()) };
        slot.from_start = false;
        for (input, start) in starts.into_iter().enumerate() {
            slot.task.start_at(input, start);
        }
        slot.first_phase = if baseline { Phase::Silent(ends) } else { Phase::Live };
        // A task that purges enters it when it runs and has nothing left to delete.
        if slot.task.phase() != Phase::Purging {
            slot.task.begin_in(slot.first_phase);
        }
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

    /// What a task of the present lineage is told. Its baseline is one run, whoever goes on with
    /// it after a crash.
    pub(super) fn task_config(&self, partition: u32) -> TaskConfig {
        let lineage = self.lineage.unwrap_or(Lineage::FIRST);
        let run_id = format!("baseline-{}", lineage.number).into();
        let rebuilt_at = lineage.began_at;
        TaskConfig { partition, rebuilt_at, run_id, ..self.settings.task.clone() }
    }
}
