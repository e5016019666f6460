//! The waiting room: what subjects are told that would fire a deadline of theirs too early.
//!
//! It came through the relay, or from a subject of this partition, and the deadline waits for
//! tasks that may still have events from before it. What is behind it in the relay goes on, so it
//! is kept here, and in the `state` topic. Never reads the event in a record. Next: `held.rs`, who
//! waits; `runtime/pump.rs`, which takes them out again.

use crate::domain::event::Event;
use crate::domain::pack::{UnpackError, pack, unpack};
use crate::domain::publish::context::CauseEvent;
use crate::domain::relay::{Relayed, Told, Why};
use crate::domain::time::Timestamp;
use crate::mutation::Mutation;
use crate::task::PartitionTask;
use crate::task::events::Arrival;
use crate::task::partition_task::EventError;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Records that wait in a task at most; one more is applied at once, and counted.
pub const MAX_ROOM: usize = 100_000;
/// Estimated heap bytes of a record, with its places in both orders, beside its texts.
const RECORD_BYTES: usize = 350;

/// The records that wait in one task, by number in the order of their coming.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// As the open transaction leaves them.
    waiting: BTreeMap<u64, Relayed<'static>>,
    by_time: BTreeSet<(Timestamp, u64)>,
    by_subject: BTreeSet<(String, Timestamp, u64)>,
    /// Those that tell others something when they leave, which nobody knows by then.
    movers: BTreeSet<(Timestamp, u64)>,
    /// Put there by the open transaction.
    put: BTreeSet<u64>,
    /// Taken out by the open transaction, of those from before it.
    taken: BTreeMap<u64, Relayed<'static>>,
    /// Those of an earlier lineage: whatever becomes of the open transaction, they are gone.
    outdated: BTreeSet<u64>,
    next: u64,
    bytes: usize,
    /// Time of the record that was taken out and goes on now: no timer after it may have fired.
    leaves_at: Option<Timestamp>,
}

impl Room {
    /// The time of the first record.
    pub(super) fn first_at(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// The time of the first record that waits or goes on now.
    fn least_at(&self) -> Option<Timestamp> {
        let leaves_at = self.leaves_at.filter(|_| !Mutation::WaitingJudgedAtClock.is_on());
        leaves_at.into_iter().chain(self.first_at()).min()
    }

    /// The time of the first record of which more will come for others.
    pub(super) fn first_mover_at(&self) -> Option<Timestamp> {
        let shown = !Mutation::WaitingMovesNotShown.is_on();
        self.movers.first().filter(|_| shown).map(|(at, _)| *at)
    }

    fn first(&self) -> Option<&Relayed<'static>> {
        self.by_time.first().and_then(|(_, number)| self.waiting.get(number))
    }

    /// Whether something waits for a subject that comes before.
    pub(super) fn waits_before(&self, to: &str, at: Timestamp) -> bool {
        self.leaves_at.is_none() && self.of(to).next().is_some_and(|(_, first, _)| *first <= at)
    }

    /// Whether the same event waits already.
    pub(super) fn has_event(&self, to: &str, cause: &CauseEvent<'_>) -> bool {
        let waiting = self.of(to).filter_map(|(_, _, number)| self.waiting.get(number));
        let is_it = |it: &Relayed<'_>| {
            matches!(it.told, Told::Event { .. }) && it.cause.event_id == cause.event_id
        };
        waiting.into_iter().any(is_it)
    }

    /// The times of all that waits.
    pub(super) fn times(&self) -> impl Iterator<Item = Timestamp> {
        self.by_time.iter().map(|(at, _)| *at)
    }

    /// The time of the last record that waits for a subject.
    fn last_of(&self, to: &str) -> Option<Timestamp> {
        self.of(to).next_back().map(|(_, at, _)| *at)
    }

    fn of(&self, to: &str) -> impl DoubleEndedIterator<Item = &(String, Timestamp, u64)> {
        let range = || {
            let bound = |at, number| (to.to_owned(), at, number);
            self.by_subject.range(bound(Timestamp::MIN, 0)..=bound(Timestamp::MAX, u64::MAX))
        };
        // Mostly nothing waits at all.
        (!self.waiting.is_empty()).then(range).into_iter().flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) const fn estimated_bytes(&self) -> usize {
        self.bytes
    }

    fn put(&mut self, relayed: Relayed<'static>) {
        let number = self.next;
        self.add(number, relayed);
        self.put.insert(number);
    }

    fn add(&mut self, number: u64, relayed: Relayed<'static>) {
        self.next = self.next.max(number.saturating_add(1));
        self.bytes += bytes(&relayed);
        self.by_time.insert((relayed.at, number));
        if matches!(relayed.told, Told::Move { .. }) {
            self.movers.insert((relayed.at, number));
        }
        self.by_subject.insert((relayed.to.clone(), relayed.at, number));
        self.waiting.insert(number, relayed);
    }

    fn remove(&mut self, number: u64) -> Option<Relayed<'static>> {
        let relayed = self.waiting.remove(&number)?;
        self.by_time.remove(&(relayed.at, number));
        self.movers.remove(&(relayed.at, number));
        self.by_subject.remove(&(relayed.to.clone(), relayed.at, number));
        self.bytes -= bytes(&relayed);
        Some(relayed)
    }

    /// Takes the first record out.
    fn take(&mut self) -> Option<Relayed<'static>> {
        let number = self.by_time.first()?.1;
        self.take_out(number)
    }

    /// Takes those that wait for a subject and follow it when it becomes another one, in order.
    fn take_followers(&mut self, to: &str) -> Vec<Relayed<'static>> {
        let numbers = self.of(to).map(|(_, _, number)| *number);
        let follows = |number: &u64| self.waiting.get(number).is_some_and(follows);
        let numbers: Vec<u64> = numbers.filter(follows).collect();
        numbers.into_iter().filter_map(|number| self.take_out(number)).collect()
    }

    fn take_out(&mut self, number: u64) -> Option<Relayed<'static>> {
        let relayed = self.remove(number)?;
        if !self.put.remove(&number) {
            self.taken.insert(number, relayed.clone());
        }
        Some(relayed)
    }

    /// A lineage begins: no record of the earlier one comes back, and the next commit says so.
    pub(super) fn begin_anew(&mut self) {
        self.rollback();
        while let Some(number) = self.waiting.keys().next().copied() {
            self.remove(number);
            self.outdated.insert(number);
        }
    }

    /// What the open transaction put there, or took out, by number.
    pub(super) fn changes(&self) -> impl Iterator<Item = (u64, Option<&Relayed<'static>>)> {
        let put = self.put.iter().map(|number| (*number, self.waiting.get(number)));
        put.chain(self.taken.keys().chain(&self.outdated).map(|number| (*number, None)))
    }

    /// The open transaction is committed.
    pub(super) fn commit(&mut self) {
        self.put.clear();
        self.taken.clear();
        self.outdated.clear();
    }

    /// The open transaction is aborted.
    pub(super) fn rollback(&mut self) {
        for number in std::mem::take(&mut self.put) {
            self.remove(number);
        }
        for (number, relayed) in std::mem::take(&mut self.taken) {
            self.add(number, relayed);
        }
    }

    fn restore(&mut self, number: u64, relayed: Option<Relayed<'static>>) {
        self.remove(number);
        match relayed {
            Some(relayed) => self.add(number, relayed),
            None => self.next = self.next.max(number.saturating_add(1)),
        }
    }
}

/// Whether it is for whoever a subject becomes, and not for what is left of it: its redirect.
const fn follows(relayed: &Relayed<'_>) -> bool {
    !matches!(relayed.told, Told::Move { why: Why::Known, .. } | Told::Erase { .. })
}

fn bytes(relayed: &Relayed<'_>) -> usize {
    let told = match &relayed.told {
        Told::Event { value, .. } | Told::State(value) => value.len(),
        _ => 0,
    };
    let path: usize = relayed.path.iter().map(|id| size_of::<String>() + id.len()).sum();
    RECORD_BYTES + 2 * relayed.to.len() + path + relayed.cause.event_id.len() + told
}

impl PartitionTask {
    /// Lets what a subject is told wait; whom it names is told at once.
    ///
    /// # Errors
    /// When a state cannot be read.
    pub(super) fn wait(
        &mut self,
        mut relayed: Relayed<'_>,
        now: Option<Timestamp>,
    ) -> Result<(), EventError> {
        if let Told::State(packed) = &relayed.told
            && self.store.deadline(&relayed.to)?.is_some()
        {
            let mut source = unpack(packed, &self.config.rules.rates)?;
            self.take_ties(&relayed, &mut source, Timestamp::MIN, now)?;
            let mut ties_taken = Vec::with_capacity(packed.len());
            pack(&source, self.config.rules.rates.base(), &mut ties_taken);
            relayed.told = Told::State(ties_taken.into());
        }
        self.put(relayed.into_owned());
        Ok(())
    }

    /// Puts a record in the room.
    pub(super) fn put(&mut self, relayed: Relayed<'static>) {
        self.room.put(relayed);
        self.position.waits_at = self.room.least_at();
        self.touched = true;
    }

    /// Lets what undoes something wait behind what waits for a subject: unlike all else, it depends
    /// on what was told before. Gives back what does not have to.
    pub(super) fn queue<'a>(&mut self, mut relayed: Relayed<'a>) -> Option<Relayed<'a>> {
        let undoes = matches!(
            relayed.told,
            Told::Forget { .. } | Told::Erase { .. } | Told::Contact { was: Some(_), .. }
        );
        let Some(last) = self.room.last_of(&relayed.to).filter(|_| undoes) else {
            return Some(relayed);
        };
        let mut undoing = relayed.clone();
        undoing.at = relayed.at.max(last);
        self.put(undoing.into_owned());
        let Told::Contact { was, .. } = &mut relayed.told else { return None };
        // That the person was seen is no news of later.
        *was = None;
        Some(relayed)
    }

    /// What waits for a subject that is another one now goes there.
    pub(super) fn follow(&mut self, from: &str, to: &str) {
        for mut relayed in self.room.take_followers(from) {
            relayed.path.push(std::mem::replace(&mut relayed.to, to.to_owned()));
            // An event is read when it leaves the room.
            match self.is_home_of(to) {
                true => self.put(relayed),
                false => self.send(relayed),
            }
        }
        self.position.waits_at = self.room.least_at();
    }

    /// The first record that waits, where it does not have to any longer.
    ///
    /// # Errors
    /// When a customer's state cannot be read.
    pub fn first_waited(&self) -> Result<Option<&Relayed<'static>>, UnpackError> {
        let Some(first) = self.room.first() else { return Ok(None) };
        let waits = self.events_wait && self.would_fire_before(&first.to, first.at)?;
        Ok((!waits).then_some(first))
    }

    /// Takes the first record out that waits and lets it go on; `event` is the one in it, read.
    ///
    /// # Errors
    /// When a state cannot be read.
    pub fn end_wait(
        &mut self,
        event: Option<&Event<'_>>,
        now: Option<Timestamp>,
    ) -> Result<(), EventError> {
        let Some(relayed) = self.room.take() else { return Ok(()) };
        self.room.leaves_at = Some(relayed.at);
        self.position.waits_at = self.room.least_at();
        let brought = self.bring(relayed, event, now);
        self.room.leaves_at = None;
        self.position.waits_at = self.room.least_at();
        brought
    }

    /// Brings to its subject what does not have to wait behind anything.
    pub(super) fn bring(
        &mut self,
        relayed: Relayed<'_>,
        event: Option<&Event<'_>>,
        now: Option<Timestamp>,
    ) -> Result<(), EventError> {
        self.touched = true;
        match (&relayed.told, event) {
            (Told::Event { input, tied, value }, Some(event)) => {
                let cause = relayed.cause.as_cause();
                let arrival = Arrival { event, cause, input: *input, tied: *tied, value };
                self.arrive(Cow::Borrowed(&relayed.to), relayed.path.clone(), &arrival, now)?;
            }
            _ => self.take(relayed, now)?,
        }
        self.settle(now)
    }

    /// The time of the first record that waits.
    #[must_use]
    pub fn waits_at(&self) -> Option<Timestamp> {
        self.room.first_at()
    }

    /// Records that wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.room.len() as u64
    }

    /// The records that the open transaction let wait, or took out, by number.
    pub fn waits(&self) -> impl Iterator<Item = (u64, Option<&Relayed<'static>>)> {
        self.room.changes()
    }

    /// Puts a record of the changelog that waits in its place; `None` removes it.
    pub fn restore_wait(&mut self, number: u64, relayed: Option<Relayed<'static>>) {
        if !Mutation::WaitingNotRestored.is_on() {
            self.room.restore(number, relayed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::relay::EventOrigin;

    fn told(at: i64) -> Relayed<'static> {
        let at = Timestamp(at);
        let cause = EventOrigin {
            event_id: "e".into(),
            occurred_at: at,
            at,
            topic: "interactions".into(),
            partition: 1,
            offset: 0,
        };
        let told = Told::Event { input: 0, tied: false, value: vec![7].into() };
        Relayed { to: "c-1".into(), path: vec!["c-0".into()], at, cause, told }
    }

    fn changes(room: &Room) -> Vec<(u64, Option<i64>)> {
        let at = |relayed: &Relayed<'_>| relayed.at.0;
        room.changes().map(|(number, relayed)| (number, relayed.map(at))).collect()
    }

    #[test]
    fn records_leave_by_time_and_what_comes_and_goes_within_a_transaction_is_nothing() {
        let mut room = Room::default();
        [5, 3, 5].into_iter().for_each(|at| room.put(told(at)));
        assert_eq!(changes(&room), [(0, Some(5)), (1, Some(3)), (2, Some(5))]);
        assert_eq!(room.take(), Some(told(3)));
        assert_eq!(changes(&room), [(0, Some(5)), (2, Some(5))]);
        room.commit();
        assert_eq!((room.take(), room.len()), (Some(told(5)), 1));
        room.put(told(9));
        assert_eq!(changes(&room), [(3, Some(9)), (0, None)]);
        room.rollback();
        assert_eq!((changes(&room), room.len(), room.first_at()), (vec![], 2, Some(Timestamp(5))));
    }

    #[test]
    fn records_of_an_earlier_lineage_do_not_come_back_by_a_rollback() {
        let mut room = Room::default();
        [5, 3].into_iter().for_each(|at| room.put(told(at)));
        room.commit();
        room.begin_anew();
        assert_eq!((room.len(), room.first_at(), room.estimated_bytes()), (0, None, 0));
        room.rollback();
        assert_eq!((room.len(), changes(&room)), (0, vec![(0, None), (1, None)]));
        room.put(told(7));
        assert_eq!(changes(&room), [(2, Some(7)), (0, None), (1, None)]);
        room.rollback();
        room.commit();
        assert_eq!((room.len(), changes(&room)), (0, vec![]));
    }

    #[test]
    fn a_number_that_was_in_the_changelog_is_not_given_again_while_it_may_be_there() {
        let mut room = Room::default();
        room.restore(7, Some(told(4)));
        room.restore(8, Some(told(2)));
        room.restore(8, None);
        assert_eq!((room.len(), room.first_at(), changes(&room)), (1, Some(Timestamp(4)), vec![]));
        room.put(told(6));
        assert_eq!(changes(&room), [(9, Some(6))]);
    }
}
