//! The only file that reads a clock: wall time for what is said, monotonic time for waiting.
//!
//! Nothing below `runtime` ever asks what time it is; it is told.
//! Next: `worker.rs`, which asks once per round.

use crate::domain::time::Timestamp;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The wall clock of the host. It may jump, also back.
#[must_use]
#[cfg_attr(not(test), expect(clippy::disallowed_methods, reason = "clocks are read here"))]
pub fn wall_now() -> Timestamp {
    let now = SystemTime::now();
    let ms = match now.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    };
    Timestamp(ms)
}

/// Milliseconds since the first call in this process; never goes back.
#[must_use]
#[cfg_attr(not(test), expect(clippy::disallowed_methods, reason = "clocks are read here"))]
pub fn monotonic_ms() -> i64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_is_of_this_century_and_monotonic_time_does_not_go_back() {
        let now = wall_now();
        assert!(now > Timestamp(1_700_000_000_000) && now < Timestamp::LAST_WRITABLE);
        let before = monotonic_ms();
        assert!(before >= 0 && monotonic_ms() >= before);
    }
}
