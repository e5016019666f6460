//! What a task does while tasks of other partitions may still have events of its customers.
//!
//! Its clock goes on, and so do events; what would tell of somebody's silence waits. Never decides
//! for how long. Next: `runtime/hold.rs`, which does.

use crate::domain::pack::UnpackError;
use crate::domain::time::Timestamp;
use crate::task::PartitionTask;
use crate::task::partition_task::Position;

impl PartitionTask {
    /// How far timers fire: the clock, or where they wait for other tasks.
    #[must_use]
    pub fn timer_clock(&self) -> Timestamp {
        self.position.timer_clock()
    }

    /// From now on timers fire up to `held_at`, whatever the clock; `None` = up to the clock.
    pub const fn hold(&mut self, held_at: Option<Timestamp>) {
        self.position.held_at = held_at;
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
        self.held_at.map_or(clock, |held_at| held_at.min(clock))
    }
}
