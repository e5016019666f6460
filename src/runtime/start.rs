//! What the workers of a process know of each other while it starts: whether any task can run here.
//!
//! A process that may run none of its tasks ends at once; one worker cannot know that of the
//! others, and once a task has run, what comes later ends nobody. Next: `prepare.rs`, who tells.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The start of a process.
#[derive(Debug)]
pub struct Start {
    ran: AtomicBool,
    /// By worker, why it may run none of its tasks, of which there may be none; `None` = it does
    /// not know yet.
    blocked: Mutex<Vec<Option<Vec<String>>>>,
}

impl Start {
    /// Of so many workers, none of which has a task.
    #[must_use]
    pub fn new(workers: usize) -> Arc<Self> {
        let blocked = Mutex::new(vec![None; workers]);
        Arc::new(Self { ran: AtomicBool::new(false), blocked })
    }

    /// A task runs.
    pub(super) fn run(&self) {
        self.ran.store(true, Ordering::Relaxed);
    }

    /// Whether a task has run.
    pub(super) fn ran(&self) -> bool {
        self.ran.load(Ordering::Relaxed)
    }

    /// What a worker knew holds no longer.
    pub(super) fn forget(&self, worker: usize) {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)[worker] = None;
    }

    /// Tells what a worker knows; why the process can run nothing, once all of them know.
    pub(super) fn refusal(&self, worker: usize, blocked: Option<Vec<String>>) -> Option<String> {
        let mut known = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        known[worker] = blocked;
        if self.ran() || known.iter().any(Option::is_none) {
            return None;
        }
        known.iter().flatten().flatten().next().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(reason: &str) -> Vec<String> {
        vec![reason.to_owned()]
    }

    #[test]
    fn a_process_is_refused_when_all_workers_know_that_none_of_their_tasks_can_run() {
        let start = Start::new(3);
        assert_eq!(start.refusal(0, Some(blocked("older rules"))), None, "others may run theirs");
        assert_eq!(start.refusal(1, Some(Vec::new())), None, "one does not know yet");
        assert_eq!(start.refusal(2, None), None);
        // A rebalance takes away what a worker knew.
        assert_eq!(start.refusal(0, None), None);
        assert_eq!(start.refusal(2, Some(blocked("newer state"))), None);
        assert_eq!(start.refusal(0, Some(Vec::new())), Some("newer state".to_owned()));
        start.run();
        assert_eq!(start.refusal(0, Some(blocked("older rules"))), None, "it is no start any more");
    }

    #[test]
    fn workers_without_a_task_wait() {
        let start = Start::new(2);
        assert_eq!(start.refusal(0, Some(Vec::new())), None);
        assert_eq!(start.refusal(1, Some(Vec::new())), None);
    }
}
