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

/// The clocks of a host: the real ones, or those of the simulator.
pub trait Clock {
    /// The wall clock; it may jump, also back.
    fn wall(&self) -> Timestamp;
    /// Milliseconds that only go forward.
    fn monotonic_ms(&self) -> i64;
}

/// The clocks of this host.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        wall_now()
    }

    fn monotonic_ms(&self) -> i64 {
        monotonic_ms()
    }
}

/// Wall time that never goes back and cannot leap ahead.
///
/// A host clock that jumps back holds it. One that jumps forward is followed at twice the speed
/// of the monotonic clock, so that a wrong date does not make every customer lapse at once, and a
/// right one (after a suspension of the host) is reached all the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct SteadyWall {
    last: Option<(Timestamp, i64)>,
}

impl SteadyWall {
    /// Readings closer together than this may always follow the host clock, in ms.
    const SLACK_MS: i64 = 1000;

    /// The steady wall time for readings of the two clocks.
    pub fn read(&mut self, wall: Timestamp, monotonic_ms: i64) -> Timestamp {
        let Some((last, last_monotonic_ms)) = self.last else {
            self.last = Some((wall, monotonic_ms));
            return wall;
        };
        let elapsed_ms = (monotonic_ms - last_monotonic_ms).max(0);
        if wall <= last {
            self.last = Some((last, monotonic_ms));
            return last;
        }
        let jump_ms = wall.since(last) - elapsed_ms;
        let slewed = last.plus_ms(2 * elapsed_ms).min(wall);
        let steady = if jump_ms > Self::SLACK_MS { slewed } else { wall };
        self.last = Some((steady, monotonic_ms));
        steady
    }
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

    #[test]
    fn steady_time_holds_when_the_host_jumps_back_and_slews_when_it_jumps_ahead() {
        let mut steady = SteadyWall::default();
        assert_eq!(steady.read(Timestamp(10_000), 0), Timestamp(10_000));
        assert_eq!(steady.read(Timestamp(10_100), 100), Timestamp(10_100));
        assert_eq!(steady.read(Timestamp(4_000), 200), Timestamp(10_100));
        assert_eq!(steady.read(Timestamp(10_300), 300), Timestamp(10_300));
        let year_ahead = 31_536_000_000;
        assert_eq!(steady.read(Timestamp(year_ahead), 400), Timestamp(10_500));
        assert_eq!(steady.read(Timestamp(year_ahead + 50), 450), Timestamp(10_600));
        assert_eq!(steady.read(Timestamp(10_700), 500), Timestamp(10_700));
        // Whoever stood still for long does not run ahead of the host.
        assert_eq!(steady.read(Timestamp(72_700), 60_500), Timestamp(72_700));
    }
}
