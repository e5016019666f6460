//! The customers of a task: committed ones packed, touched ones unpacked beside them.
//!
//! What is in [`CommittedStates`] is what Kafka has; a transaction's work lives in the touched
//! customers until it is committed, so the committed bytes are the pre-images and a rollback only
//! forgets. Written by the task's worker alone; HTTP reads the committed states.
//! Next: `timers.rs`, when customers fall due.

use crate::domain::customer::Customer;
use crate::domain::id::hash64;
use crate::domain::pack::{UnpackError, peek, peek_revision, unpack, unpack_into};
use crate::domain::rules::Rules;
use crate::domain::time::Timestamp;
use crate::mutation::Mutation;
use crate::task::timers::Timers;
use open::{Open, Place};

use dashmap::DashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

mod key_hasher;
mod open;
mod seen;

pub use key_hasher::KeyHasher;
pub use open::Touched;

/// Packed states by key.
///
/// The key is a 64-bit hash of the id; where two ids share it, the later one moves to the next
/// key, so the id in the packed state has the last word.
pub type CommittedStates = DashMap<u64, Box<[u8]>, BuildHasherDefault<KeyHasher>>;

/// Heap bytes per customer beside the packed state: map slot, allocation header, timer.
///
/// Measured by the test `tests/memory.rs`.
pub const OVERHEAD_BYTES: u64 = 100;

/// The customers of one task.
#[derive(Debug)]
pub struct Store {
    /// Where an id's search begins: [`hash64`], but in the test of shared keys.
    home: fn(&str) -> u64,
    committed: Arc<CommittedStates>,
    open: Open,
    timers: Timers,
    packed_bytes: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            home: hash64,
            committed: Arc::default(),
            open: Open::new(1),
            timers: Timers::default(),
            packed_bytes: 0,
        }
    }
}

impl Store {
    /// The store of one of so many tasks that an instance may have.
    #[must_use]
    pub fn new(tasks: u32) -> Self {
        Self { open: Open::new(tasks), ..Self::default() }
    }

    /// The committed states, for readers.
    #[must_use]
    pub fn committed(&self) -> &Arc<CommittedStates> {
        &self.committed
    }

    /// Pending deadlines.
    #[must_use]
    pub const fn timers(&self) -> &Timers {
        &self.timers
    }

    /// Committed customers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.committed.len()
    }

    /// Customers when the open transaction is committed.
    #[must_use]
    pub fn len_after_commit(&self) -> u64 {
        let (new, gone) = self.open.growth();
        (self.committed.len() + new - gone) as u64
    }

    /// Whether there is no committed customer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.committed.is_empty()
    }

    /// Estimated heap bytes of the committed customers.
    #[must_use]
    pub fn estimated_bytes(&self) -> u64 {
        self.packed_bytes + OVERHEAD_BYTES * self.committed.len() as u64
    }

    /// The place of a customer among the touched ones, unpacked or new (with this incarnation).
    ///
    /// # Errors
    /// When the committed state cannot be read.
    pub fn touch(
        &mut self,
        id: &str,
        at: Timestamp,
        incarnation: u32,
        rules: &Rules,
    ) -> Result<usize, UnpackError> {
        let mut key = (self.home)(id);
        loop {
            match self.open.place(key) {
                Some(Place::Touched(place)) => {
                    if self.open.look_at(place).customer.id == id {
                        if self.open.look_at(place).erased {
                            let touched = self.open.at(place);
                            touched.erased = false;
                            touched.customer.renew(id, at, rules.identity.revision);
                            touched.customer.incarnation = incarnation;
                        }
                        return Ok(place);
                    }
                    key = key.wrapping_add(1);
                    continue;
                }
                Some(Place::Settled(place)) => {
                    let sent = self.open.sent(place).ok_or(UnpackError::Invalid)?;
                    if peek(sent)?.1 == id {
                        return self.open.unsettle(place, rules);
                    }
                    key = key.wrapping_add(1);
                    continue;
                }
                None => {}
            }
            if let Some(resting) = self.open.resting(key) {
                if resting.id == id
                    && let Some(place) = self.open.wake(key)
                {
                    return Ok(place);
                }
                key = key.wrapping_add(1);
                continue;
            }
            let deadline = match self.committed.get(&key) {
                None => {
                    let customer = self.open.free();
                    customer.renew(id, at, rules.identity.revision);
                    customer.incarnation = incarnation;
                    None
                }
                Some(packed) => {
                    let (deadline, present) = peek(&packed)?;
                    if present != id {
                        key = key.wrapping_add(1);
                        continue;
                    }
                    unpack_into(self.open.free(), &packed, &rules.rates)?;
                    Some(deadline)
                }
            };
            return Ok(self.open.add(key, deadline));
        }
    }

    /// The deadline of a customer; `None` when there is none.
    ///
    /// # Errors
    /// When the committed state cannot be read.
    pub fn deadline(&self, id: &str) -> Result<Option<Timestamp>, UnpackError> {
        let mut key = (self.home)(id);
        loop {
            match self.open.place(key) {
                Some(Place::Touched(place)) => {
                    let touched = self.open.look_at(place);
                    if touched.customer.id == id {
                        return Ok((!touched.erased).then_some(touched.customer.deadline));
                    }
                }
                Some(Place::Settled(place)) => {
                    let (deadline, present) = peek(self.open.sent(place).unwrap_or_default())?;
                    if present == id {
                        return Ok(Some(deadline));
                    }
                }
                None => {
                    let Some(packed) = self.committed.get(&key) else { return Ok(None) };
                    let (deadline, present) = peek(&packed)?;
                    if present == id {
                        return Ok(Some(deadline));
                    }
                }
            }
            key = key.wrapping_add(1);
        }
    }

    /// Whether there is a customer with this key.
    #[must_use]
    pub fn holds(&self, key: u64) -> bool {
        self.open.place(key).is_some() || self.committed.contains_key(&key)
    }

    /// The place of the customer with this key.
    ///
    /// # Errors
    /// When there is none, or its state cannot be read.
    pub fn touch_key(&mut self, key: u64, rules: &Rules) -> Result<usize, UnpackError> {
        match self.open.place(key) {
            Some(Place::Touched(place)) => return Ok(place),
            Some(Place::Settled(place)) => return self.open.unsettle(place, rules),
            None => {}
        }
        if let Some(place) = self.open.wake(key) {
            return Ok(place);
        }
        let customer = self.open.free();
        match self.committed.get(&key) {
            Some(packed) => unpack_into(customer, &packed, &rules.rates)?,
            None => return Err(UnpackError::Invalid),
        }
        let deadline = customer.deadline;
        Ok(self.open.add(key, Some(deadline)))
    }

    /// A touched customer.
    ///
    /// # Panics
    /// When nothing was touched at that place.
    pub fn at(&mut self, place: usize) -> &mut Touched {
        self.open.at(place)
    }

    /// Sees to a timer for the deadline of a touched customer, which was `before`.
    pub fn reschedule(&mut self, place: usize, before: Timestamp) {
        let touched = self.open.look_at(place);
        self.timers.reschedule(touched.key, before, touched.customer.deadline);
    }

    /// Replaces the timer of a touched customer whose deadline `before` has been seen to.
    pub fn fired(&mut self, place: usize, before: Timestamp) {
        let touched = self.open.look_at(place);
        self.timers.remove(before, touched.key);
        self.timers.reschedule(touched.key, Timestamp::MAX, touched.customer.deadline);
    }

    /// The customer whose deadline comes first, at or before `clock`. Timers that stand before
    /// their customer's deadline are moved to it, less than `budget`; gives how many, too. With as
    /// many as that, more may be due.
    ///
    /// # Errors
    /// When a state cannot be read.
    pub fn next_due(
        &mut self,
        clock: Timestamp,
        budget: usize,
    ) -> Result<(usize, Option<u64>), UnpackError> {
        let mut moved = 0;
        while moved < budget {
            let Some((at, key)) = self.timers.due(clock) else { break };
            let deadline = match (self.open.place(key), self.committed.get(&key)) {
                (Some(Place::Touched(place)), _) => self.open.look_at(place).customer.deadline,
                (Some(Place::Settled(place)), _) => {
                    peek(self.open.sent(place).unwrap_or_default())?.0
                }
                (None, Some(packed)) => peek(&packed)?.0,
                (None, None) => Timestamp::MAX,
            };
            if deadline == at {
                return Ok((moved, Some(key)));
            }
            self.timers.remove(at, key);
            self.timers.reschedule(key, Timestamp::MAX, deadline);
            moved += 1;
        }
        Ok((moved, None))
    }

    /// Packs every customer that changed since it was unpacked, or only those who are not expected
    /// back before the commit; one that is erased has no bytes.
    pub fn pack_touched(
        &mut self,
        rules: &Rules,
        all: bool,
        each: impl FnMut(&Touched, Option<&[u8]>),
    ) {
        self.open.pack(rules, all, each);
    }

    /// Lets go of the unpacked customers that were packed.
    pub fn settle(&mut self) {
        self.open.settle();
    }

    /// Customers that are unpacked, without those that settling left in use.
    #[must_use]
    pub fn unpacked(&self) -> usize {
        self.open.unpacked()
    }

    /// Customers that settling left in use.
    #[must_use]
    pub const fn staying(&self) -> usize {
        self.open.staying()
    }

    /// Whether the open transaction changed a customer.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.open.has_changes()
    }

    /// Makes the packed customers the committed ones.
    ///
    /// # Errors
    /// When a state cannot be read that takes the place of an erased one.
    ///
    /// # Panics
    /// When a changed customer was not packed before.
    pub fn commit(&mut self) -> Result<(), UnpackError> {
        let Self { open, committed, packed_bytes, .. } = self;
        assert!(open.is_packed(), "a changed customer is packed before its transaction commits");
        let mut erased = Vec::new();
        open.take_sent(|key, packed| match packed {
            None => erased.push(key),
            Some(packed) => {
                *packed_bytes += packed.len() as u64;
                if let Some(before) = committed.insert(key, packed) {
                    *packed_bytes -= before.len() as u64;
                }
            }
        });
        self.open.end(self.committed.len());
        if !erased.is_empty() {
            // Others may move to other keys.
            self.open.forget_resting();
        }
        // Behind the greatest first: what moves into a gap is not to be looked for elsewhere.
        erased.sort_unstable_by(|one, other| other.cmp(one));
        for key in erased {
            // Somebody unknown was kept nowhere, but one who came later may stand behind them.
            self.remove(key)?;
            self.close_gap(key)?;
        }
        Ok(())
    }

    /// Forgets what the open transaction did.
    pub fn rollback(&mut self) {
        if !Mutation::TimersNotRolledBack.is_on() {
            let touched = self.open.touched().map(|it| (it.key, it.committed_deadline));
            let settled = self.open.settled().iter().map(|it| (it.key, it.committed_deadline));
            for (key, deadline) in touched.chain(settled) {
                let committed = deadline.unwrap_or(Timestamp::MAX);
                self.timers.reschedule(key, Timestamp::MAX, committed);
            }
        }
        if Mutation::PreImageAfterChange.is_on() {
            let committed = &self.committed;
            self.open.take_sent(|key, packed| {
                if let Some(packed) = packed {
                    committed.insert(key, packed);
                }
            });
        }
        self.open.forget();
    }

    /// Puts a state read from the changelog in place; `None` removes the customer.
    ///
    /// # Errors
    /// When the bytes are no packed customer.
    pub fn restore(&mut self, id: &str, packed: Option<&[u8]>) -> Result<(), UnpackError> {
        self.open.forget_resting();
        let mut key = (self.home)(id);
        let mut known = false;
        while let Some(present) = self.committed.get(&key) {
            if peek(&present)?.1 == id {
                known = true;
                break;
            }
            drop(present);
            key = key.wrapping_add(1);
        }
        match packed {
            Some(packed) => {
                let (deadline, _) = peek(packed)?;
                if known {
                    self.remove(key)?;
                }
                self.place(key, packed.into(), deadline);
            }
            None if known => {
                self.remove(key)?;
                self.close_gap(key)?;
            }
            None => {}
        }
        Ok(())
    }

    /// All committed customers, in the order of their keys.
    ///
    /// # Errors
    /// Each item: when the state cannot be read.
    pub fn customers<'a>(
        &'a self,
        rules: &'a Rules,
    ) -> impl Iterator<Item = Result<Customer, UnpackError>> + 'a {
        self.keys_from(0)
            .into_iter()
            .filter_map(|key| self.committed.get(&key).map(|packed| unpack(&packed, &rules.rates)))
    }

    fn place(&mut self, key: u64, packed: Box<[u8]>, deadline: Timestamp) {
        self.timers.reschedule(key, Timestamp::MAX, deadline);
        self.packed_bytes += packed.len() as u64;
        self.committed.insert(key, packed);
    }

    fn remove(&mut self, key: u64) -> Result<Option<Box<[u8]>>, UnpackError> {
        let Some((_, packed)) = self.committed.remove(&key) else { return Ok(None) };
        self.timers.remove(peek(&packed)?.0, key);
        self.packed_bytes -= packed.len() as u64;
        Ok(Some(packed))
    }

    /// Moves back the customers behind a free key whose search would end at it.
    fn close_gap(&mut self, mut free: u64) -> Result<(), UnpackError> {
        let mut key = free.wrapping_add(1);
        while let Some(home) = self.home_at(key)? {
            if key.wrapping_sub(home) >= key.wrapping_sub(free) {
                if let Some(packed) = self.remove(key)? {
                    let (deadline, _) = peek(&packed)?;
                    self.place(free, packed, deadline);
                }
                free = key;
            }
            key = key.wrapping_add(1);
        }
        Ok(())
    }

    fn home_at(&self, key: u64) -> Result<Option<u64>, UnpackError> {
        let present = self.committed.get(&key);
        present.map(|present| Ok((self.home)(peek(&present)?.1))).transpose()
    }

    /// By which revision of the rules the committed customer with this key was last judged; `None`
    /// when there is none.
    ///
    /// # Errors
    /// When its state cannot be read.
    pub fn judged_by(&self, key: u64) -> Result<Option<u32>, UnpackError> {
        self.committed.get(&key).map(|packed| peek_revision(&packed)).transpose()
    }

    /// The keys from `first` on of the committed customers, ascending.
    #[must_use]
    pub fn keys_from(&self, first: u64) -> Vec<u64> {
        let keys = self.committed.iter().map(|entry| *entry.key());
        let mut keys: Vec<u64> = keys.filter(|key| *key >= first).collect();
        keys.sort_unstable();
        keys
    }
}

/// Reads a committed customer.
///
/// # Errors
/// When its state cannot be read.
pub fn look_up(
    committed: &CommittedStates,
    id: &str,
    rules: &Rules,
) -> Result<Option<Customer>, UnpackError> {
    let mut key = hash64(id);
    while let Some(packed) = committed.get(&key) {
        if peek(&packed)?.1 == id {
            return unpack(&packed, &rules.rates).map(Some);
        }
        drop(packed);
        key = key.wrapping_add(1);
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
