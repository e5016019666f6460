//! When a task's customers are to be looked at, in order.
//!
//! A deadline mostly moves away: the next order puts it off. So a timer may stand before its
//! customer's deadline, never behind it, and putting a deadline off costs nothing; who takes a
//! timer out compares (`store.rs`). Never fires by itself.

use crate::domain::time::Timestamp;
use std::collections::BTreeSet;

/// Timers ordered by (time, customer key).
#[derive(Debug, Default)]
pub struct Timers {
    pending: BTreeSet<(Timestamp, u64)>,
}

impl Timers {
    /// Moves a customer's deadline; [`Timestamp::MAX`] stands for none.
    pub fn reschedule(&mut self, key: u64, before: Timestamp, after: Timestamp) {
        if after < before {
            // Where it stood before that deadline it stays until it is taken out.
            self.pending.remove(&(before, key));
            self.pending.insert((after, key));
        }
    }

    /// Takes a timer out.
    pub fn remove(&mut self, at: Timestamp, key: u64) {
        self.pending.remove(&(at, key));
    }

    /// The customer to be looked at first, at or before `clock`.
    #[must_use]
    pub fn due(&self, clock: Timestamp) -> Option<(Timestamp, u64)> {
        self.pending.first().copied().filter(|(at, _)| *at <= clock)
    }

    /// The earliest timer.
    #[must_use]
    pub fn first(&self) -> Option<Timestamp> {
        self.pending.first().map(|(at, _)| *at)
    }

    /// How many are pending.
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
