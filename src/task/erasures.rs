//! Who was erased: a salted hash of the id, for a configured time, so that nobody comes back.
//!
//! What the open transaction did is kept beside what is committed, as
//! with customers. Next: `domain/publish/erase.rs`, what an erase tells.

use crate::domain::erasure::{ErasedId, Erasure};
use crate::domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The marks of one task.
#[derive(Debug, Default)]
pub struct Erasures {
    committed: HashMap<ErasedId, Erasure>,
    by_time: BTreeSet<(Timestamp, ErasedId)>,
    /// What the open transaction set or removed.
    open: BTreeMap<ErasedId, Option<Erasure>>,
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

    /// Marks an id.
    pub fn set(&mut self, id: ErasedId, mark: Erasure) {
        self.open.insert(id, Some(mark));
    }

    /// Removes committed marks whose time is over by `clock`; true when there were any.
    pub fn expire(&mut self, clock: Timestamp) -> bool {
        let mut any = false;
        for (until, id) in self.by_time.iter().take_while(|(until, _)| *until <= clock) {
            // The open transaction may have marked it again.
            let again = self.open.contains_key(id);
            if !again && self.committed.get(id).is_some_and(|mark| mark.until == *until) {
                self.open.insert(*id, None);
                any = true;
            }
        }
        any
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
            self.restore(id, mark);
        }
    }

    /// The open transaction is aborted.
    pub fn rollback(&mut self) {
        self.open.clear();
    }

    /// Puts a mark of the changelog in place; `None` removes it.
    pub fn restore(&mut self, id: ErasedId, mark: Option<Erasure>) {
        let before = match mark {
            Some(mark) => {
                self.by_time.insert((mark.until, id));
                self.committed.insert(id, mark)
            }
            None => self.committed.remove(&id),
        };
        if let Some(before) = before.filter(|before| mark.is_none_or(|it| it.until != before.until))
        {
            self.by_time.remove(&(before.until, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(until: i64) -> Erasure {
        Erasure { until: Timestamp(until), incarnation: 0 }
    }

    #[test]
    fn a_mark_lasts_until_its_time_and_a_rollback_forgets() {
        let mut erasures = Erasures::default();
        erasures.set([1; 16], mark(10));
        assert_eq!(erasures.get(&[1; 16]), Some(mark(10)));
        erasures.rollback();
        assert_eq!(erasures.get(&[1; 16]), None);
        erasures.set([1; 16], mark(10));
        erasures.set([2; 16], mark(20));
        assert_eq!(erasures.len_after_commit(), 2);
        erasures.commit();
        assert!(!erasures.expire(Timestamp(9)));
        assert!(erasures.expire(Timestamp(10)));
        assert_eq!(erasures.changes().collect::<Vec<_>>(), [(&[1; 16], None)]);
        assert_eq!((erasures.get(&[1; 16]), erasures.len_after_commit()), (None, 1));
        erasures.rollback();
        // Marked again, it does not expire with its first time.
        erasures.set([1; 16], mark(30));
        assert!(!erasures.expire(Timestamp(15)));
        erasures.commit();
        assert!(!erasures.expire(Timestamp(15)));
        assert!(erasures.expire(Timestamp(30)));
        erasures.commit();
        assert_eq!(erasures.len_after_commit(), 0);
        assert!(!erasures.expire(Timestamp::MAX));
    }
}
