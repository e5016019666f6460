//! What a task does while tasks of other partitions may still have events of its customers.
//!
//! Its clock goes on, and so do events; what would tell of somebody's silence waits. Never decides
//! for how long. Next: `runtime/hold.rs`, which does.

use crate::domain::pack::UnpackError;
use crate::domain::subject::Subject;
use crate::domain::time::Timestamp;
use crate::task::PartitionTask;
use crate::task::partition_task::Position;
use crate::task::room::MAX_ROOM;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Events ahead of other tasks at most that others, or the room, have still to do with.
const MAX_AHEAD: usize = 10_000;

/// The times of events that left something to be done, and are not released.
#[derive(Debug, Default)]
pub(super) struct Ahead(BinaryHeap<Reverse<Timestamp>>);

impl FromIterator<Timestamp> for Ahead {
    fn from_iter<I: IntoIterator<Item = Timestamp>>(times: I) -> Self {
        Self(times.into_iter().map(Reverse).collect())
    }
}

impl Ahead {
    fn push(&mut self, at: Timestamp) {
        self.0.push(Reverse(at));
    }

    fn is_full(&self) -> bool {
        self.0.len() >= MAX_AHEAD
    }

    fn release(&mut self, until: Timestamp) {
        while self.0.peek().is_some_and(|Reverse(at)| *at <= until) {
            self.0.pop();
        }
    }
}

impl PartitionTask {
    /// How far timers fire: the clock, or where they wait for other tasks.
    #[must_use]
    pub fn timer_clock(&self) -> Timestamp {
        self.position.timer_clock()
    }

    /// From now on timers fire up to `held_at`, whatever the clock; `None` = up to the clock.
    pub fn hold(&mut self, held_at: Option<Timestamp>) {
        self.position.held_at = held_at;
        self.ahead.release(held_at.unwrap_or(Timestamp::MAX));
    }

    /// Whether what would fire a timer that waits for other tasks waits, too.
    pub const fn let_events_wait(&mut self, events_wait: bool) {
        self.events_wait = events_wait;
    }

    /// Whether events have left so much to be done by others, or later, that others wait.
    #[must_use]
    pub fn is_far_ahead(&self) -> bool {
        self.events_wait && self.ahead.is_full()
    }

    /// Whether what a subject is told has to wait in the room. Where that is full nothing waits.
    pub(super) fn has_to_wait(&mut self, to: &str, at: Timestamp) -> Result<bool, UnpackError> {
        if !self.events_wait || !self.would_fire_before(to, at)? || !self.is_told_of(to, at)? {
            return Ok(false);
        }
        let full = self.room.len() >= MAX_ROOM;
        self.tally.relayed.unproven += u64::from(full);
        Ok(!full)
    }

    /// What is ahead after a restart or a rollback: of what waits that which was read here; what
    /// others sent may be further on than this task, which then nobody could wait for. What is to
    /// be done again is ahead once more when it is done.
    pub(super) fn ahead_again(&self) -> Ahead {
        let clock = self.clock();
        self.room.times().take_while(|at| *at <= clock).collect()
    }

    /// Whether somebody hears of a subject's silence until then; of a visitor's, where its changes
    /// are not written, nobody, but then it would be forgotten.
    fn is_told_of(&mut self, to: &str, at: Timestamp) -> Result<bool, UnpackError> {
        let rules = &self.config.rules;
        if Subject::of(to) != Subject::Visitor || rules.emits_subject(Subject::Visitor) {
            return Ok(true);
        }
        let place = self.store.touch(to, at, 0, rules)?;
        Ok(self.store.at(place).customer.forget_at(rules.keep_visitors_ms) <= at)
    }

    /// Remembers an event that left something to be done by other tasks, or later.
    pub(super) fn goes_ahead(&mut self, at: Timestamp) {
        if self.events_wait && self.position.held_at.is_some_and(|held_at| held_at < at) {
            self.ahead.push(at);
        }
    }

    /// Whether an event of this customer at that time would fire a timer that waits for other
    /// tasks.
    ///
    /// # Errors
    /// When the customer's state cannot be read.
    pub fn would_fire_before(&self, subject_id: &str, at: Timestamp) -> Result<bool, UnpackError> {
        let waits = self.position.held_at.is_some_and(|held_at| held_at < at);
        if !waits || self.store.timers().first().is_none_or(|first| first > at) {
            return Ok(false);
        }
        Ok(self.store.deadline(subject_id)?.is_some_and(|deadline| deadline <= at))
    }

    /// Whether others would know something new of it after a commit. With the inputs at these ends
    /// their offsets tell everything; with an unknown end its clock stands, or will be told later.
    #[must_use]
    pub fn has_news(&self, ends: [Option<i64>; 3]) -> bool {
        let (present, committed) = (&self.position, &self.committed);
        let next_offsets = present.inputs.map(|input| input.next_offset);
        let left = |(next, end): (&i64, Option<i64>)| end.is_some_and(|end| *next < end);
        self.commit_counter == 0
            || next_offsets != self.committed_offsets()
            || (present.clock != committed.clock && next_offsets.iter().zip(ends).any(left))
    }
}

impl Position {
    pub(super) fn timer_clock(&self) -> Timestamp {
        let clock = self.clock.unwrap_or(Timestamp::MIN);
        let waits = [self.held_at, self.waits_at];
        waits.into_iter().flatten().fold(clock, Timestamp::min)
    }
}
