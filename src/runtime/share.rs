//! Work that a worker may do in one round, shared by its tasks: what one leaves the next may have.
//!
//! A round is as long with many tasks as with one, so that live events and the open transaction
//! wait for none of them. Whose turn comes first changes from round to round. Next: `worker.rs`.

/// Work of one kind that is left in a round.
#[derive(Debug)]
pub(super) struct Share {
    left: usize,
    tasks: usize,
}

impl Share {
    /// So much for so many tasks.
    pub(super) const fn new(left: usize, tasks: usize) -> Self {
        Self { left, tasks }
    }

    /// What the next task may do.
    pub(super) fn of_next(&mut self) -> usize {
        let share = self.left.div_ceil(self.tasks.max(1));
        self.tasks = self.tasks.saturating_sub(1);
        share
    }

    /// So much was done.
    pub(super) fn spend(&mut self, done: usize) {
        self.left = self.left.saturating_sub(done);
    }
}

/// What a worker's tasks share in a round.
#[derive(Debug)]
pub(super) struct Shares {
    /// Timers that fire, and marks of erased customers whose time is over.
    pub(super) timers: Share,
    /// Customers who are judged by new rules, or told of in a baseline.
    pub(super) judged: Share,
    /// Customers of an earlier lineage who are deleted.
    pub(super) purged: Share,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What tasks do that have so much to do.
    fn done(budget: usize, wanted: &[usize]) -> Vec<usize> {
        let mut share = Share::new(budget, wanted.len());
        let one = |wanted: &usize| {
            let done = share.of_next().min(*wanted);
            share.spend(done);
            done
        };
        wanted.iter().map(one).collect()
    }

    #[test]
    fn a_round_is_no_longer_with_many_tasks_and_what_one_leaves_others_have() {
        assert_eq!(done(100, &[1_000; 4]), [25; 4]);
        assert_eq!(done(100, &[0, 0, 0, 1_000]), [0, 0, 0, 100]);
        assert_eq!(done(100, &[10, 1_000, 1_000]), [10, 45, 45]);
        assert_eq!(done(2, &[9, 9, 9]), [1, 1, 0]);
        assert_eq!(done(1_000, &[1_000]), [1_000]);
    }
}
