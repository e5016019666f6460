//! Wakes the worker when a queue of librdkafka has something.
//!
//! Never loses a wake-up: one that comes while nobody waits ends the next wait at once.
//! Next: `mod.rs`, `Broker::wait`.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A flag that can be waited for.
#[derive(Default)]
pub(crate) struct Waker {
    woken: Mutex<bool>,
    condvar: Condvar,
}

impl Waker {
    /// Ends the current wait, or the next one.
    pub(crate) fn wake(&self) {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.condvar.notify_one();
    }

    /// Returns after a wake-up or after `at_most`.
    pub(crate) fn wait(&self, at_most: Duration) {
        let woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut woken, _) = self
            .condvar
            .wait_timeout_while(woken, at_most, |woken| !*woken)
            .unwrap_or_else(PoisonError::into_inner);
        *woken = false;
    }
}
