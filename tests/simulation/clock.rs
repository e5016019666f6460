//! The clocks of a simulated host: the stage's time, the wall clock askew.
//!
//! Next: `stage.rs`, which moves them.

use crate::simulation::stage::{EPOCH, Stage};
use ebbflow::domain::time::Timestamp;
use ebbflow::runtime::clock::Clock;
use std::cell::Cell;
use std::rc::Rc;

/// The clocks of one host.
pub(crate) struct SimClock {
    stage: Rc<Stage>,
    skew_ms: Rc<Cell<i64>>,
}

impl SimClock {
    /// Clocks of this stage; the wall clock is so far ahead.
    pub(crate) const fn new(stage: Rc<Stage>, skew_ms: Rc<Cell<i64>>) -> Self {
        Self { stage, skew_ms }
    }
}

impl Clock for SimClock {
    fn wall(&self) -> Timestamp {
        EPOCH.plus_ms(self.stage.now_ms() + self.skew_ms.get())
    }

    fn monotonic_ms(&self) -> i64 {
        self.stage.now_ms()
    }
}
