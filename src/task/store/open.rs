//! The customers that the open transaction touched: unpacked, or packed again since they were sent.
//!
//! Who came twice of late, was packed and not touched since rests: unpacked, as it was sent or
//! committed, so that whoever comes often is not read again each time. Knows nothing of what is
//! committed but that and the deadlines. Next: `seen.rs`, who came of late; `store.rs`.

use crate::domain::customer::Customer;
use crate::domain::pack::{UnpackError, pack, unpack, unpack_into};
use crate::domain::rules::Rules;
use crate::domain::time::Timestamp;
use crate::mutation::Mutation;
use crate::task::store::KeyHasher;
use crate::task::store::seen::Seen;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// Customers at rest of all tasks of an instance that has all of them.
const MAX_RESTING: usize = 4096;
/// Of one task at least, and at most.
const RESTING: std::ops::RangeInclusive<usize> = 16..=1024;
/// One of so many rests: they take ten times the memory of others.
const CUSTOMERS_OF_ONE_RESTING: usize = 128;
/// Keys whose coming is remembered, for each customer who may rest.
const SEEN_OF_ONE_RESTING: usize = 16;

/// Unpacked customers whose memory is kept for the next ones, beside those at rest: of all tasks of
/// an instance that has all of them, and of one at least and at most.
const MAX_SPARE: usize = 8192;
const SPARE: std::ops::RangeInclusive<usize> = 64..=768;

/// A customer that the open transaction has touched.
#[derive(Debug, Default)]
pub struct Touched {
    /// The customer as the transaction leaves it.
    pub customer: Customer,
    /// Whether anything about it changed since it was unpacked.
    pub changed: bool,
    /// Whether its published values did.
    pub published: bool,
    /// Whether it is erased.
    pub erased: bool,
    pub(super) key: u64,
    pub(super) committed_deadline: Option<Timestamp>,
    /// As it was packed last.
    pub(super) sent: Option<Box<[u8]>>,
    /// It was said already that it is erased.
    buried: bool,
    /// It is what `sent` says: nobody had it since it was packed.
    is_packed: bool,
    /// It came not long ago.
    came_lately: bool,
}

impl Touched {
    /// Whether nothing says that it comes again soon.
    const fn is_passing(&self) -> bool {
        self.erased || !self.came_lately
    }
}

/// A customer that was sent and not touched since.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) key: u64,
    pub(super) committed_deadline: Option<Timestamp>,
    /// Whether its profile was sent: with another state it is sent again.
    published: bool,
    /// As it was sent; `None` when it was touched again.
    pub(super) sent: Option<Box<[u8]>>,
}

/// Where a customer of the open transaction stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Touched(usize),
    Settled(usize),
}

/// What a place is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    /// By the transaction, or not at all.
    Taken,
    /// By a customer at rest.
    Resting,
    /// By one who has not come since the hand was here.
    PassedOver,
}

/// All customers of the open transaction.
#[derive(Debug)]
pub(super) struct Open {
    /// The unpacked customers, and memory of earlier ones; places point here.
    slots: Vec<Touched>,
    /// The places that the transaction touched, in this order.
    in_use: Vec<usize>,
    /// The places of those at rest, by key.
    resting: HashMap<u64, usize, BuildHasherDefault<KeyHasher>>,
    /// How many there may be: of so many customers, and of any number.
    max_resting: usize,
    share: usize,
    max_spare: usize,
    /// By place.
    uses: Vec<Use>,
    /// Where the next one is looked for that has to make room.
    hand: usize,
    seen: Seen,
    /// Places that hold nothing but memory.
    free: Vec<usize>,
    settled: Vec<Settled>,
    places: HashMap<u64, Place, BuildHasherDefault<KeyHasher>>,
    /// Settled ones that are not committed.
    new: usize,
    /// Touched ones that settling left in use.
    stay: usize,
}

impl Open {
    /// Of a task that is one of so many.
    pub(super) fn new(tasks: u32) -> Self {
        let tasks = usize::try_from(tasks).unwrap_or(usize::MAX).max(1);
        let of_one = |all: usize, range: std::ops::RangeInclusive<usize>| {
            (all / tasks).clamp(*range.start(), *range.end())
        };
        Self {
            slots: Vec::new(),
            in_use: Vec::new(),
            resting: HashMap::default(),
            max_resting: *RESTING.start(),
            share: of_one(MAX_RESTING, RESTING),
            max_spare: of_one(MAX_SPARE, SPARE),
            uses: Vec::new(),
            hand: 0,
            seen: Seen::new(SEEN_OF_ONE_RESTING * RESTING.start()),
            free: Vec::new(),
            settled: Vec::new(),
            places: HashMap::default(),
            new: 0,
            stay: 0,
        }
    }

    pub(super) fn place(&self, key: u64) -> Option<Place> {
        self.places.get(&key).copied()
    }

    pub(super) fn touched(&self) -> impl Iterator<Item = &Touched> {
        self.in_use.iter().map(|place| &self.slots[*place])
    }

    /// Customers that settling would let go of.
    pub(super) fn unpacked(&self) -> usize {
        self.in_use.len() - self.stay
    }

    /// Customers that settling left in use.
    pub(super) const fn staying(&self) -> usize {
        self.stay
    }

    pub(super) fn at(&mut self, place: usize) -> &mut Touched {
        let touched = &mut self.slots[place];
        touched.is_packed = false;
        touched
    }

    /// The same, to be looked at alone.
    pub(super) fn look_at(&self, place: usize) -> &Touched {
        &self.slots[place]
    }

    pub(super) fn settled(&self) -> &[Settled] {
        &self.settled
    }

    /// The packed state of a settled customer.
    pub(super) fn sent(&self, place: usize) -> Option<&[u8]> {
        self.settled[place].sent.as_deref()
    }

    /// Customers more than are committed, when this is.
    pub(super) fn growth(&self) -> (usize, usize) {
        let (mut new, mut gone) = (self.new, 0);
        for touched in self.touched().filter(|it| it.changed || it.sent.is_some()) {
            match (touched.erased, touched.committed_deadline) {
                (false, None) => new += 1,
                (true, Some(_)) => gone += 1,
                _ => {}
            }
        }
        (new, gone)
    }

    pub(super) fn has_changes(&self) -> bool {
        !self.settled.is_empty() || self.touched().any(|it| it.changed || it.sent.is_some())
    }

    /// A place that nobody uses, for [`Self::add`] once its customer is filled in.
    pub(super) fn free(&mut self) -> &mut Customer {
        if self.free.is_empty() {
            let place = if self.resting.len() < self.max_resting {
                self.slots.push(Touched::default());
                self.uses.push(Use::Taken);
                self.slots.len() - 1
            } else {
                self.make_room()
            };
            self.free.push(place);
        }
        let place = self.free[self.free.len() - 1];
        &mut self.slots[place].customer
    }

    /// Takes the place of a customer who rests since the last round of the hand or longer.
    fn make_room(&mut self) -> usize {
        loop {
            self.hand = (self.hand + 1) % self.uses.len();
            match self.uses[self.hand] {
                Use::Taken => {}
                Use::Resting => self.uses[self.hand] = Use::PassedOver,
                Use::PassedOver => {
                    self.uses[self.hand] = Use::Taken;
                    self.resting.remove(&self.slots[self.hand].key);
                    return self.hand;
                }
            }
        }
    }

    /// The customer at rest with this key.
    pub(super) fn resting(&self, key: u64) -> Option<&Customer> {
        self.resting.get(&key).map(|place| &self.slots[*place].customer)
    }

    /// Makes the customer at rest with this key a touched one.
    pub(super) fn wake(&mut self, key: u64) -> Option<usize> {
        let place = self.resting.remove(&key)?;
        self.uses[place] = Use::Taken;
        let deadline = self.slots[place].customer.deadline;
        self.begin(place, key, Some(deadline));
        self.slots[place].came_lately = true;
        Some(place)
    }

    /// Nobody rests any longer: what is committed is another one now.
    pub(super) fn forget_resting(&mut self) {
        if self.resting.is_empty() {
            return;
        }
        self.resting.clear();
        for (place, known) in self.uses.iter_mut().enumerate() {
            if std::mem::replace(known, Use::Taken) != Use::Taken {
                self.free.push(place);
            }
        }
    }

    /// Makes the customer in the free place a touched one.
    pub(super) fn add(&mut self, key: u64, committed_deadline: Option<Timestamp>) -> usize {
        // `free` was called before.
        let place = self.free.pop().unwrap_or_default();
        self.begin(place, key, committed_deadline);
        self.slots[place].came_lately = self.seen.see(key);
        place
    }

    fn begin(&mut self, place: usize, key: u64, committed_deadline: Option<Timestamp>) {
        self.in_use.push(place);
        self.places.insert(key, Place::Touched(place));
        let touched = &mut self.slots[place];
        (touched.key, touched.committed_deadline, touched.sent) = (key, committed_deadline, None);
        (touched.changed, touched.published, touched.erased) = (false, false, false);
        (touched.buried, touched.is_packed) = (false, false);
    }

    /// Makes a settled customer a touched one again.
    ///
    /// # Errors
    /// When its state cannot be read.
    pub(super) fn unsettle(&mut self, place: usize, rules: &Rules) -> Result<usize, UnpackError> {
        let settled = &mut self.settled[place];
        let (key, committed_deadline) = (settled.key, settled.committed_deadline);
        let published = settled.published;
        let sent = settled.sent.take().ok_or(UnpackError::Invalid)?;
        self.new -= usize::from(committed_deadline.is_none());
        let place = match self.wake(key) {
            Some(place) => place,
            None => {
                unpack_into(self.free(), &sent, &rules.rates)?;
                self.add(key, committed_deadline)
            }
        };
        let touched = &mut self.slots[place];
        touched.committed_deadline = committed_deadline;
        (touched.sent, touched.published) = (Some(sent), published);
        Ok(place)
    }

    /// Packs every customer that changed since it was unpacked, or only those who are not expected
    /// back before the commit; one that is erased has no bytes.
    pub(super) fn pack(
        &mut self,
        rules: &Rules,
        all: bool,
        mut each: impl FnMut(&Touched, Option<&[u8]>),
    ) {
        let mut bytes = Vec::with_capacity(256);
        for place in &self.in_use {
            let touched = &mut self.slots[*place];
            if !touched.changed || !(all || touched.is_passing()) {
                continue;
            }
            if touched.erased {
                let known = touched.committed_deadline.is_some() || touched.sent.is_some();
                // Of somebody unknown nothing is written that could be removed.
                if known && !touched.buried && !Mutation::NoTombstones.is_on() {
                    each(touched, None);
                }
                continue;
            }
            touched.buried = false;
            touched.customer.forget_trifles();
            bytes.clear();
            pack(&touched.customer, rules.rates.base(), &mut bytes);
            debug_assert_eq!(
                unpack(&bytes, &rules.rates).as_ref(),
                Ok(&touched.customer),
                "whether a customer rests makes no difference"
            );
            touched.sent = Some(bytes.as_slice().into());
            touched.is_packed = true;
            each(touched, Some(&bytes));
        }
    }

    /// Whether all that changed was packed, and not touched since.
    pub(super) fn is_packed(&self) -> bool {
        self.touched().all(|it| it.erased || !it.changed || it.is_packed)
    }

    /// What was packed is settled: in use stay those who are erased or were not packed.
    pub(super) fn settle(&mut self) {
        let mut in_use = std::mem::take(&mut self.in_use);
        in_use.retain(|place| {
            let touched = &mut self.slots[*place];
            let (key, committed_deadline) = (touched.key, touched.committed_deadline);
            if touched.erased {
                touched.buried = true;
                return true;
            }
            if touched.changed && !touched.is_packed {
                return true;
            }
            if let Some(sent) = touched.sent.take() {
                self.new += usize::from(committed_deadline.is_none());
                self.places.insert(key, Place::Settled(self.settled.len()));
                let (published, sent) = (touched.published, Some(sent));
                self.settled.push(Settled { key, committed_deadline, published, sent });
            } else {
                self.places.remove(&key);
            }
            self.let_go(*place);
            false
        });
        self.stay = in_use.len();
        self.in_use = in_use;
    }

    /// Lets a customer rest who comes again and is what was packed: there is nothing newer.
    fn let_go(&mut self, place: usize) {
        let touched = &self.slots[place];
        if touched.is_passing() || !touched.is_packed {
            self.free.push(place);
            return;
        }
        self.uses[place] = Use::Resting;
        self.resting.insert(touched.key, place);
    }

    /// The packed states of all, by key; those who are erased have none.
    pub(super) fn take_sent(&mut self, mut each: impl FnMut(u64, Option<Box<[u8]>>)) {
        for settled in &mut self.settled {
            if let Some(sent) = settled.sent.take() {
                each(settled.key, Some(sent));
            }
        }
        for place in &self.in_use {
            let touched = &mut self.slots[*place];
            let sent = touched.sent.take();
            if touched.erased && touched.changed {
                each(touched.key, None);
            } else if let Some(sent) = sent {
                each(touched.key, Some(sent));
            }
        }
    }

    /// The transaction is committed, and there are so many customers: whoever was packed may rest.
    pub(super) fn end(&mut self, customers: usize) {
        let resting = customers / CUSTOMERS_OF_ONE_RESTING;
        self.max_resting = resting.clamp(*RESTING.start(), self.share);
        self.seen.grow(SEEN_OF_ONE_RESTING * self.max_resting);
        let in_use = std::mem::take(&mut self.in_use);
        in_use.iter().for_each(|place| self.let_go(*place));
        self.close(in_use);
    }

    /// The transaction is forgotten, and with it whoever rests since it began.
    pub(super) fn forget(&mut self) {
        self.forget_resting();
        let in_use = std::mem::take(&mut self.in_use);
        self.free.extend(&in_use);
        self.close(in_use);
    }

    fn close(&mut self, mut in_use: Vec<usize>) {
        in_use.clear();
        self.in_use = in_use;
        while self.resting.len() > self.max_resting {
            let place = self.make_room();
            self.free.push(place);
        }
        if self.free.len() > self.max_spare {
            self.shrink();
        }
        self.settled.clear();
        self.places.clear();
        (self.new, self.stay) = (0, 0);
    }

    /// Gives back the memory of the free places that are too many: the others move together.
    fn shrink(&mut self) {
        let slots = std::mem::take(&mut self.slots);
        let uses = std::mem::take(&mut self.uses);
        self.free.clear();
        self.resting.clear();
        for (touched, used) in slots.into_iter().zip(uses) {
            let place = self.slots.len();
            if used != Use::Taken {
                self.resting.insert(touched.key, place);
            } else if self.free.len() < self.max_spare {
                self.free.push(place);
            } else {
                continue;
            }
            self.slots.push(touched);
            self.uses.push(used);
        }
        self.hand = 0;
    }
}
