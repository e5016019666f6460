//! Deadlines of a task's customers, in order.
//!
//! Never fires by itself: the task asks what is due at its clock.

use crate::domain::time::Timestamp;
use std::collections::BTreeSet;

/// Deadlines ordered by (time, customer key); a customer has at most one.
#[derive(Debug, Default)]
pub struct Timers {
    pending: BTreeSet<(Timestamp, u64)>,
}

impl Timers {
    /// Moves a customer's deadline; [`Timestamp::MAX`] stands for none.
    pub fn reschedule(&mut self, key: u64, before: Timestamp, after: Timestamp) {
        if before == after {
            return;
        }
        if before != Timestamp::MAX {
            self.pending.remove(&(before, key));
        }
        if after != Timestamp::MAX {
            self.pending.insert((after, key));
        }
    }

    /// The customer that fell due first, at or before `clock`.
    #[must_use]
    pub fn due(&self, clock: Timestamp) -> Option<(Timestamp, u64)> {
        self.pending.first().copied().filter(|(deadline, _)| *deadline <= clock)
    }

    /// The earliest deadline.
    #[must_use]
    pub fn first(&self) -> Option<Timestamp> {
        self.pending.first().map(|(deadline, _)| *deadline)
    }

    /// How many deadlines are pending.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether none is pending.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}
