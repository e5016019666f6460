//! A task in the hands of its worker: its state, fetched records, samples of the log ends.
//!
//! Knows nothing of transactions. Next: `worker.rs`; `restore.rs`, how a slot comes to run.

use crate::domain::progress::Phase;
use crate::domain::time::Timestamp;
use crate::runtime::broker::{Broker, BrokerError, EndSample, Input, Record};
use crate::runtime::status::{HeldBy, Reevaluation};
use crate::task::PartitionTask;
use std::collections::VecDeque;

/// How old a sample of the ends may be, in ms: longer than two of them take at most.
const MAX_SAMPLE_AGE_MS: i64 = 3_000;

/// Where a task stands in its worker.
#[derive(Debug)]
pub(super) enum SlotState {
    /// Its committed offsets are to be compared with the memory that was kept.
    Verifying,
    /// Its committed offsets are to be read, then its changelog.
    Starting,
    /// Its changelog is being read.
    Restoring(Box<crate::runtime::restore::Restore>),
    /// Its inputs are to be sought.
    Seeking,
    /// Processing.
    Running,
    /// Revoked; its memory is kept until the next assignment.
    Kept,
    /// This process must not run it.
    Blocked(String),
}

/// A task with what was fetched for it.
pub(super) struct Slot<R> {
    pub(super) task: PartitionTask,
    pub(super) state: SlotState,
    pub(super) queues: [VecDeque<R>; 3],
    /// End offsets fixed at the start of a run that ends by itself.
    pub(super) until: Option<[i64; 3]>,
    /// The latest sample of the end offsets.
    pub(super) sample: Option<EndSample>,
    /// By input, the sample that is to be passed next.
    pending: [Option<(Timestamp, i64)>; 3],
    /// Ids of an earlier lineage that are still to be deleted.
    pub(super) purge: Vec<String>,
    pub(super) held_by: HeldBy,
    /// Since when it has waited to be prepared without getting any further, in monotonic ms.
    pub(super) waits_since_ms: Option<i64>,
    pub(super) oldest_waiting: [Option<Timestamp>; 3],
    /// The clock was advanced to where a run that ends by itself wants it.
    pub(super) finished: bool,
    /// It begins at the start of its inputs, which has not been looked up yet.
    pub(super) from_start: bool,
    /// The phase after a purge.
    pub(super) first_phase: Phase,
    /// Monotonic ms at which it was last committed for nothing but to show its clock.
    pub(super) shown_ms: i64,
    pub(super) last_commit_at: Option<Timestamp>,
    /// Since when, in monotonic ms, and from how many customers left, a re-evaluation goes on.
    reevaluated_from: Option<(i64, u64)>,
}

impl<R: Record> Slot<R> {
    pub(super) fn new(task: PartitionTask) -> Self {
        Self {
            task,
            state: SlotState::Starting,
            queues: [VecDeque::new(), VecDeque::new(), VecDeque::new()],
            until: None,
            sample: None,
            pending: [None; 3],
            purge: Vec::new(),
            held_by: HeldBy::None,
            waits_since_ms: None,
            oldest_waiting: [None; 3],
            finished: false,
            from_start: false,
            first_phase: Phase::Live,
            shown_ms: 0,
            last_commit_at: None,
            reevaluated_from: None,
        }
    }

    /// How far the task is with judging its customers by new rules.
    pub(super) fn reevaluation(&mut self, now_ms: i64) -> Option<Reevaluation> {
        let Some(left) = self.task.reevaluation_left().filter(|_| self.is_running()) else {
            self.reevaluated_from = None;
            return None;
        };
        let (began_ms, then) = *self.reevaluated_from.get_or_insert((now_ms, left));
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let per_second = (now_ms > began_ms)
            .then(|| then.saturating_sub(left) as f64 * 1000.0 / (now_ms - began_ms) as f64);
        let revision = self.task.rules().identity.revision;
        Some(Reevaluation { revision, left, per_second })
    }

    /// The fixed ends, else those that were sampled last, however long ago.
    pub(super) fn last_ends(&self) -> [Option<i64>; 3] {
        let sampled = self.sample.map(|sample| sample.ends);
        self.until.or(sampled).map_or([None; 3], |ends| ends.map(Some))
    }

    /// The ends by which an input may be left behind: a sample from before an outage says nothing
    /// of what was written meanwhile.
    pub(super) fn known_ends(&self, now_ms: i64) -> [Option<i64>; 3] {
        let is_old = |sample: EndSample| now_ms - sample.asked_ms > MAX_SAMPLE_AGE_MS;
        if self.until.is_none() && self.sample.is_none_or(is_old) {
            return [None; 3];
        }
        self.last_ends()
    }

    /// Fetches what is missing, passes over records that readers never see, and tells the task
    /// which samples of the log ends it has passed.
    pub(super) fn top_up<B: Broker<Record = R>>(
        &mut self,
        broker: &mut B,
        now: Timestamp,
        low: usize,
        max: usize,
    ) -> Result<usize, BrokerError> {
        let partition = self.task.partition();
        let mut fetched = 0;
        for input in Input::ALL {
            let queue = &mut self.queues[input.index()];
            if queue.len() < low {
                let before = queue.len();
                broker.fetch(partition, input, max, queue)?;
                fetched += queue.len() - before;
                if queue.is_empty()
                    && let Some(position) = broker.position(partition, input)
                {
                    self.task.skip_to(input.index(), position);
                }
            }
        }
        for (index, queue) in self.queues.iter().enumerate() {
            if let Some(front) = queue.front() {
                self.task.skip_to(index, front.offset());
            }
        }
        if let Some(sample) = broker.end_offsets(partition) {
            self.sample = Some(sample);
        }
        for index in 0..3 {
            let next_offset = self.task.inputs()[index].next_offset;
            let Some(sample) = self.sample else { continue };
            let latest = (sample.at, sample.ends[index]);
            // The latest may be the lesser end, if a log was cut off.
            let first = *self.pending[index].get_or_insert(latest);
            if let Some((at, _)) = [latest, first].into_iter().find(|(_, end)| next_offset >= *end)
            {
                // The sample has the host's time, which may have leapt ahead.
                self.task.pass(index, at.min(now));
                self.pending[index] = None;
            }
        }
        Ok(fetched)
    }

    /// In a run that ends by itself: whether everything up to the ends is read.
    pub(super) fn has_read_all(&self) -> bool {
        let inputs = self.task.inputs();
        self.until.is_some_and(|until| {
            inputs.iter().zip(until).all(|(input, end)| input.next_offset >= end)
        })
    }

    /// In a run that ends by itself: true when everything up to the ends is processed, the clock
    /// was advanced and nothing is due.
    pub(super) fn finish(&mut self, advance_to: Option<Timestamp>) -> bool {
        let reached = self.is_running() && self.has_read_all();
        let task = &mut self.task;
        if !reached
            || task.waiting() > 0
            || task.is_due()
            || task.phase() != Phase::Live
            || task.is_reevaluating()
        {
            return false;
        }
        if self.finished {
            return true;
        }
        self.finished = true;
        if let Some(advance_to) = advance_to.filter(|at| *at > task.clock()) {
            task.advance_to(advance_to);
            task.touch();
            return !task.is_due();
        }
        true
    }

    /// Forgets what was fetched.
    pub(super) fn clear_queues(&mut self) {
        self.queues.iter_mut().for_each(VecDeque::clear);
        self.pending = [None; 3];
        self.sample = None;
    }

    /// Whether its next step is a question to the cluster, which may be long in answering.
    pub(super) fn asks(&self) -> bool {
        match &self.state {
            SlotState::Verifying | SlotState::Starting | SlotState::Seeking => true,
            SlotState::Restoring(restore) => restore.complete,
            SlotState::Running | SlotState::Kept | SlotState::Blocked(_) => false,
        }
    }

    /// Whether it is part of the open transaction. Never before it runs: until its memory is
    /// compared with what is committed, somebody else may have gone on with it.
    pub(super) fn commits(&self) -> bool {
        self.is_running() && self.task.is_touched()
    }

    /// Whether the group has given this task to us and it processes.
    pub(super) const fn is_running(&self) -> bool {
        matches!(self.state, SlotState::Running)
    }
}
