//! Who was erased: a salted hash of the id, for a configured time, so that nobody comes back.
//!
//! What the open transaction did is kept beside what is committed, as
//! with customers. Next: `domain/publish/erase.rs`, what an erase tells.

use crate::domain::erasure::{ErasedId, Erasure};
use crate::domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Estimated heap bytes of a mark: its place in the map, and in the order of time.
///
/// Measured by the test `tests/memory.rs`.
pub const MARK_BYTES: u64 = 100;

/// The marks of one task.
#[derive(Debug, Default)]
pub struct Erasures {
    committed: HashMap<ErasedId, Erasure>,
    /// What the open transaction set or removed.
    open: BTreeMap<ErasedId, Option<Erasure>>,
    /// The ends of all marks as the open transaction leaves them.
    by_time: BTreeSet<(Timestamp, ErasedId)>,
}

impl Erasures {
    /// The mark of an id.
    #[must_use]
    pub fn get(&self, id: &ErasedId) -> Option<Erasure> {
        match self.open.get(id) {
            Some(mark) => *mark,
            None => self.committed.get(id).copied(),
        }
    }

    /// Whether a mark's time is over by `clock`, and nobody has seen to it.
    #[must_use]
    pub fn is_due(&self, clock: Timestamp) -> bool {
        self.by_time.first().is_some_and(|(until, _)| *until <= clock)
    }

    /// Marks an id.
    pub fn set(&mut self, id: ErasedId, mark: Erasure) {
        self.order(&id, Some(mark));
        self.open.insert(id, Some(mark));
    }

    /// Removes marks whose time is over by `clock`, at most `budget`; how many there were.
    pub fn expire(&mut self, clock: Timestamp, budget: usize) -> usize {
        let mut expired = 0;
        while expired < budget && self.is_due(clock) {
            let Some((_, id)) = self.by_time.pop_first() else { break };
            if self.committed.contains_key(&id) {
                self.open.insert(id, None);
            } else {
                // It came and went within the open transaction.
                self.open.remove(&id);
            }
            expired += 1;
        }
        expired
    }

    /// Puts the end of an id's mark in its place; `None` takes it out.
    fn order(&mut self, id: &ErasedId, mark: Option<Erasure>) {
        if let Some(before) = self.get(id) {
            self.by_time.remove(&(before.until, *id));
        }
        self.by_time.extend(mark.map(|mark| (mark.until, *id)));
    }

    /// Estimated heap bytes of the marks.
    #[must_use]
    pub fn estimated_bytes(&self) -> u64 {
        MARK_BYTES * self.by_time.len() as u64
    }

    /// What the open transaction set (with a mark) or removed, ordered by id.
    pub fn changes(&self) -> impl Iterator<Item = (&ErasedId, Option<Erasure>)> {
        self.open.iter().map(|(id, mark)| (id, *mark))
    }

    /// Marks when the open transaction is committed.
    #[must_use]
    pub fn len_after_commit(&self) -> u64 {
        let known = |id: &ErasedId| self.committed.contains_key(id);
        let added = self.open.iter().filter(|(id, mark)| mark.is_some() && !known(id)).count();
        let gone = self.open.iter().filter(|(id, mark)| mark.is_none() && known(id)).count();
        (self.committed.len() + added - gone) as u64
    }

    /// The open transaction is committed.
    pub fn commit(&mut self) {
        for (id, mark) in std::mem::take(&mut self.open) {
            match mark {
                Some(mark) => self.committed.insert(id, mark),
                None => self.committed.remove(&id),
            };
        }
    }

    /// The open transaction is aborted.
    pub fn rollback(&mut self) {
        for (id, mark) in std::mem::take(&mut self.open) {
            self.by_time.extend(self.committed.get(&id).map(|mark| (mark.until, id)));
            if let Some(mark) = mark.filter(|mark| self.committed.get(&id) != Some(mark)) {
                self.by_time.remove(&(mark.until, id));
            }
        }
    }

    /// Puts a mark of the changelog in place; `None` removes it.
    pub fn restore(&mut self, id: ErasedId, mark: Option<Erasure>) {
        self.order(&id, mark);
        match mark {
            Some(mark) => self.committed.insert(id, mark),
            None => self.committed.remove(&id),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(until: i64) -> Erasure {
        Erasure { until: Timestamp(until) }
    }

    #[test]
    fn a_mark_lasts_until_its_time_and_a_rollback_forgets() {
        let mut erasures = Erasures::default();
        let all = usize::MAX;
        erasures.set([1; 16], mark(10));
        assert_eq!(erasures.get(&[1; 16]), Some(mark(10)));
        erasures.rollback();
        assert_eq!(erasures.get(&[1; 16]), None);
        assert!(!erasures.is_due(Timestamp::MAX));
        erasures.set([1; 16], mark(10));
        erasures.set([2; 16], mark(20));
        assert_eq!(erasures.len_after_commit(), 2);
        erasures.commit();
        assert_eq!(erasures.expire(Timestamp(9), all), 0);
        assert_eq!(erasures.expire(Timestamp(10), all), 1);
        assert_eq!(erasures.changes().collect::<Vec<_>>(), [(&[1; 16], None)]);
        assert_eq!((erasures.get(&[1; 16]), erasures.len_after_commit()), (None, 1));
        assert!(!erasures.is_due(Timestamp(19)));
        erasures.rollback();
        assert!(erasures.is_due(Timestamp(10)));
        // Marked again, it does not expire with its first time.
        erasures.set([1; 16], mark(30));
        assert_eq!(erasures.expire(Timestamp(15), all), 0);
        erasures.commit();
        assert_eq!(erasures.expire(Timestamp(15), all), 0);
        assert_eq!(erasures.expire(Timestamp(30), all), 2);
        erasures.commit();
        assert_eq!(erasures.len_after_commit(), 0);
        assert_eq!(erasures.expire(Timestamp::MAX, all), 0);
        // Its time may be over before it is committed.
        erasures.set([3; 16], mark(50));
        assert!(!erasures.is_due(Timestamp(49)) && erasures.is_due(Timestamp(50)));
        assert_eq!(erasures.expire(Timestamp(50), all), 1);
        assert!(!erasures.is_due(Timestamp(50)));
        assert_eq!((erasures.get(&[3; 16]), erasures.changes().count()), (None, 0));
        assert_eq!(erasures.estimated_bytes(), 0);
    }

    #[test]
    fn expiry_goes_on_where_a_step_ended_and_begins_anew_after_a_rollback() {
        let mut erasures = Erasures::default();
        for id in 0..9 {
            erasures.restore([id; 16], Some(mark(i64::from(id))));
        }
        assert_eq!(erasures.estimated_bytes(), 9 * MARK_BYTES);
        let steps = |erasures: &mut Erasures| {
            let one = std::iter::repeat_with(|| erasures.expire(Timestamp(6), 3));
            one.take_while(|expired| *expired > 0).collect::<Vec<_>>()
        };
        assert_eq!(steps(&mut erasures), [3, 3, 1]);
        erasures.rollback();
        assert_eq!(erasures.len_after_commit(), 9);
        assert_eq!(steps(&mut erasures), [3, 3, 1]);
        erasures.commit();
        assert_eq!(erasures.len_after_commit(), 2);
        // The same mark once more is no other one.
        erasures.set([8; 16], mark(8));
        erasures.rollback();
        assert_eq!(erasures.expire(Timestamp::MAX, 9), 2);
    }
}
