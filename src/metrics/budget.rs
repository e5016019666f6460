//! Counts by the minute: how many dead letters there were in this minute and in the one before.
//!
//! Never reads a clock. Next: `mod.rs`, which compares them with the budget.

use crate::domain::time::Timestamp;

const MINUTE_MS: i64 = 60_000;

/// How much happened in the latest minute and in the one before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MinuteCount {
    minute: i64,
    here: u64,
    before: u64,
}

impl MinuteCount {
    /// Adds what happened at `now`.
    pub(super) fn add(&mut self, now: Timestamp, count: u64) {
        self.advance(now);
        self.here += count;
    }

    /// The larger count of the minute of `now` and the one before: once over a budget, it stays so
    /// for at least a minute.
    pub(super) fn most(&mut self, now: Timestamp) -> u64 {
        self.advance(now);
        self.here.max(self.before)
    }

    /// A clock that went back stays in the latest minute.
    fn advance(&mut self, now: Timestamp) {
        let minute = now.0.div_euclid(MINUTE_MS);
        if minute > self.minute {
            self.before = if minute == self.minute + 1 { self.here } else { 0 };
            self.here = 0;
            self.minute = minute;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_seen_in_its_minute_and_the_next_and_is_then_over() {
        let mut count = MinuteCount::default();
        count.add(Timestamp(59_999), 5);
        count.add(Timestamp(60_000), 2);
        assert_eq!(count.most(Timestamp(60_001)), 5);
        assert_eq!(count.most(Timestamp(120_000)), 2);
        assert_eq!(count.most(Timestamp(180_000)), 0);
    }

    #[test]
    fn a_clock_that_goes_back_loses_nothing() {
        let mut count = MinuteCount::default();
        count.add(Timestamp(120_000), 3);
        count.add(Timestamp(1), 4);
        assert_eq!(count.most(Timestamp(120_001)), 7);
    }
}
