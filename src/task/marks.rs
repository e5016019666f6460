//! Who is gone: erased, so that nobody comes back, or moved into another subject, who gets what
//! still arrives. A salted hash of each id, for a configured time.
//!
//! What the open transaction did is kept beside what is committed, as with customers; HTTP reads
//! the committed marks. Next: `domain/publish/close.rs`, what is told of who goes.

use crate::domain::mark::{Mark, SaltedId};
use crate::domain::time::Timestamp;
use dashmap::DashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Estimated heap bytes of a mark: its place in the map, and in the order of time.
///
/// Measured by the test `tests/memory.rs`.
pub const MARK_BYTES: u64 = 132;
/// Estimated heap bytes of the text of a redirect, beside its length.
///
/// Measured by the test `tests/memory.rs`.
pub const TO_BYTES: u64 = 16;

/// Committed marks, for readers.
pub type CommittedMarks = DashMap<SaltedId, Mark>;

/// The marks of one task.
#[derive(Debug, Default)]
pub struct Marks {
    committed: Arc<CommittedMarks>,
    /// What the open transaction set or removed.
    open: BTreeMap<SaltedId, Option<Mark>>,
    /// The ends of all marks as the open transaction leaves them.
    by_time: BTreeSet<(Timestamp, SaltedId)>,
    /// Committed redirects, and the bytes of their texts.
    redirects: u64,
    to_bytes: u64,
}

impl Marks {
    /// The committed marks, for readers.
    #[must_use]
    pub fn committed(&self) -> &Arc<CommittedMarks> {
        &self.committed
    }

    /// Whether nobody is gone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }

    /// The mark of an id.
    #[must_use]
    pub fn get(&self, id: &SaltedId) -> Option<Mark> {
        match self.open.get(id) {
            Some(mark) => mark.clone(),
            None => self.committed.get(id).map(|mark| mark.clone()),
        }
    }

    /// Whether a mark's time is over by `clock`, and nobody has seen to it.
    #[must_use]
    pub fn is_due(&self, clock: Timestamp) -> bool {
        self.by_time.first().is_some_and(|(until, _)| *until <= clock)
    }

    /// Marks an id.
    pub fn set(&mut self, id: SaltedId, mark: Mark) {
        self.order(&id, Some(mark.until));
        self.open.insert(id, Some(mark));
    }

    /// Takes a mark away before its time.
    pub fn remove(&mut self, id: SaltedId) {
        self.order(&id, None);
        self.forget(id);
    }

    /// Removes marks whose time is over by `clock`, at most `budget`; how many there were.
    pub fn expire(&mut self, clock: Timestamp, budget: usize) -> usize {
        let mut expired = 0;
        while expired < budget && self.is_due(clock) {
            let Some((_, id)) = self.by_time.pop_first() else { break };
            self.forget(id);
            expired += 1;
        }
        expired
    }

    fn forget(&mut self, id: SaltedId) {
        if self.committed.contains_key(&id) {
            self.open.insert(id, None);
        } else {
            // It came and went within the open transaction.
            self.open.remove(&id);
        }
    }

    /// Puts the end of an id's mark in its place; `None` takes it out.
    fn order(&mut self, id: &SaltedId, until: Option<Timestamp>) {
        if let Some(before) = self.get(id) {
            self.by_time.remove(&(before.until, *id));
        }
        self.by_time.extend(until.map(|until| (until, *id)));
    }

    /// Estimated heap bytes of the marks.
    #[must_use]
    pub fn estimated_bytes(&self) -> u64 {
        MARK_BYTES * self.by_time.len() as u64 + self.to_bytes
    }

    /// What the open transaction set (with a mark) or removed, ordered by id.
    pub fn changes(&self) -> impl Iterator<Item = (&SaltedId, Option<&Mark>)> {
        self.open.iter().map(|(id, mark)| (id, mark.as_ref()))
    }

    /// Marks when the open transaction is committed.
    #[must_use]
    pub fn len_after_commit(&self) -> u64 {
        let known = |id: &SaltedId| self.committed.contains_key(id);
        let added = self.open.iter().filter(|(id, mark)| mark.is_some() && !known(id)).count();
        let gone = self.open.iter().filter(|(id, mark)| mark.is_none() && known(id)).count();
        (self.committed.len() + added - gone) as u64
    }

    /// Committed redirects.
    #[must_use]
    pub const fn redirects(&self) -> u64 {
        self.redirects
    }

    /// The open transaction is committed.
    pub fn commit(&mut self) {
        for (id, mark) in std::mem::take(&mut self.open) {
            self.put(id, mark);
        }
    }

    fn put(&mut self, id: SaltedId, mark: Option<Mark>) {
        let bytes = |mark: &Mark| mark.to.as_ref().map(|to| TO_BYTES + to.len() as u64);
        if let Some(bytes) = mark.as_ref().and_then(bytes) {
            (self.redirects, self.to_bytes) = (self.redirects + 1, self.to_bytes + bytes);
        }
        let before = match mark {
            Some(mark) => self.committed.insert(id, mark),
            None => self.committed.remove(&id).map(|(_, mark)| mark),
        };
        if let Some(bytes) = before.as_ref().and_then(bytes) {
            (self.redirects, self.to_bytes) = (self.redirects - 1, self.to_bytes - bytes);
        }
    }

    /// The open transaction is aborted.
    pub fn rollback(&mut self) {
        for (id, mark) in std::mem::take(&mut self.open) {
            let before = self.committed.get(&id).map(|mark| mark.until);
            if let Some(mark) = mark.filter(|mark| before != Some(mark.until)) {
                self.by_time.remove(&(mark.until, id));
            }
            self.by_time.extend(before.map(|until| (until, id)));
        }
    }

    /// Puts a mark of the changelog in place; `None` removes it.
    pub fn restore(&mut self, id: SaltedId, mark: Option<Mark>) {
        self.order(&id, mark.as_ref().map(|mark| mark.until));
        self.put(id, mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(until: i64) -> Mark {
        Mark::erased(Timestamp(until))
    }

    #[test]
    fn a_mark_lasts_until_its_time_and_a_rollback_forgets() {
        let mut marks = Marks::default();
        let all = usize::MAX;
        marks.set([1; 16], mark(10));
        assert_eq!(marks.get(&[1; 16]), Some(mark(10)));
        marks.rollback();
        assert_eq!(marks.get(&[1; 16]), None);
        assert!(!marks.is_due(Timestamp::MAX));
        marks.set([1; 16], mark(10));
        marks.set([2; 16], mark(20));
        assert_eq!(marks.len_after_commit(), 2);
        marks.commit();
        assert_eq!(marks.expire(Timestamp(9), all), 0);
        assert_eq!(marks.expire(Timestamp(10), all), 1);
        assert_eq!(marks.changes().collect::<Vec<_>>(), [(&[1; 16], None)]);
        assert_eq!((marks.get(&[1; 16]), marks.len_after_commit()), (None, 1));
        assert!(!marks.is_due(Timestamp(19)));
        marks.rollback();
        assert!(marks.is_due(Timestamp(10)));
        // Marked again, it does not expire with its first time.
        marks.set([1; 16], mark(30));
        assert_eq!(marks.expire(Timestamp(15), all), 0);
        marks.commit();
        assert_eq!(marks.expire(Timestamp(15), all), 0);
        assert_eq!(marks.expire(Timestamp(30), all), 2);
        marks.commit();
        assert_eq!(marks.len_after_commit(), 0);
        assert_eq!(marks.expire(Timestamp::MAX, all), 0);
        // Its time may be over before it is committed.
        marks.set([3; 16], mark(50));
        assert!(!marks.is_due(Timestamp(49)) && marks.is_due(Timestamp(50)));
        assert_eq!(marks.expire(Timestamp(50), all), 1);
        assert!(!marks.is_due(Timestamp(50)));
        assert_eq!((marks.get(&[3; 16]), marks.changes().count()), (None, 0));
        assert_eq!(marks.estimated_bytes(), 0);
    }

    #[test]
    fn expiry_goes_on_where_a_step_ended_and_begins_anew_after_a_rollback() {
        let mut marks = Marks::default();
        for id in 0..9 {
            marks.restore([id; 16], Some(mark(i64::from(id))));
        }
        assert_eq!(marks.estimated_bytes(), 9 * MARK_BYTES);
        let steps = |marks: &mut Marks| {
            let one = std::iter::repeat_with(|| marks.expire(Timestamp(6), 3));
            one.take_while(|expired| *expired > 0).collect::<Vec<_>>()
        };
        assert_eq!(steps(&mut marks), [3, 3, 1]);
        marks.rollback();
        assert_eq!(marks.len_after_commit(), 9);
        assert_eq!(steps(&mut marks), [3, 3, 1]);
        marks.commit();
        assert_eq!(marks.len_after_commit(), 2);
        // The same mark once more is no other one.
        marks.set([8; 16], mark(8));
        marks.rollback();
        assert_eq!(marks.expire(Timestamp::MAX, 9), 2);
    }
}
