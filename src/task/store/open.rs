//! The customers that the open transaction touched: unpacked, or packed again since they were sent.
//!
//! Knows nothing of what is committed but the deadlines. Next: `store.rs`.

use crate::domain::customer::Customer;
use crate::domain::pack::{UnpackError, pack, unpack_into};
use crate::domain::rules::Rules;
use crate::domain::time::Timestamp;
use crate::mutation::Mutation;
use crate::task::store::KeyHasher;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// Unpacked customers whose memory is kept for the next ones.
const MAX_SPARE: usize = 1024;

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

/// All customers of the open transaction.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// The first `in_use` are the transaction's; the others keep their memory for later.
    touched: Vec<Touched>,
    in_use: usize,
    settled: Vec<Settled>,
    places: HashMap<u64, Place, BuildHasherDefault<KeyHasher>>,
    /// Settled ones that are not committed.
    new: usize,
    /// Touched ones that are erased, and were when it was settled last.
    buried: usize,
}

impl Open {
    pub(super) fn place(&self, key: u64) -> Option<Place> {
        self.places.get(&key).copied()
    }

    pub(super) fn touched(&self) -> &[Touched] {
        &self.touched[..self.in_use]
    }

    /// Customers that settling would let go of.
    pub(super) fn unpacked(&self) -> usize {
        self.in_use - self.buried
    }

    pub(super) fn at(&mut self, place: usize) -> &mut Touched {
        &mut self.touched[place]
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
        for touched in self.touched().iter().filter(|it| it.changed || it.sent.is_some()) {
            match (touched.erased, touched.committed_deadline) {
                (false, None) => new += 1,
                (true, Some(_)) => gone += 1,
                _ => {}
            }
        }
        (new, gone)
    }

    pub(super) fn has_changes(&self) -> bool {
        let mut touched = self.touched().iter();
        !self.settled.is_empty() || touched.any(|it| it.changed || it.sent.is_some())
    }

    /// The customer in the first free place, to be filled before [`Self::add`].
    pub(super) fn free(&mut self) -> &mut Customer {
        if self.in_use == self.touched.len() {
            self.touched.push(Touched::default());
        }
        &mut self.touched[self.in_use].customer
    }

    /// Makes the customer in the first free place a touched one.
    pub(super) fn add(&mut self, key: u64, committed_deadline: Option<Timestamp>) -> usize {
        let place = self.in_use;
        self.in_use += 1;
        self.places.insert(key, Place::Touched(place));
        let touched = &mut self.touched[place];
        (touched.key, touched.committed_deadline, touched.sent) = (key, committed_deadline, None);
        (touched.changed, touched.published, touched.erased) = (false, false, false);
        touched.buried = false;
        place
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
        unpack_into(self.free(), &sent, &rules.rates)?;
        let place = self.add(key, committed_deadline);
        let touched = &mut self.touched[place];
        (touched.sent, touched.published) = (Some(sent), published);
        Ok(place)
    }

    /// Packs every customer that changed since it was unpacked; one that is erased has no bytes.
    pub(super) fn pack(&mut self, rules: &Rules, mut each: impl FnMut(&Touched, Option<&[u8]>)) {
        let mut bytes = Vec::with_capacity(256);
        for touched in self.touched[..self.in_use].iter_mut().filter(|touched| touched.changed) {
            if touched.erased {
                let known = touched.committed_deadline.is_some() || touched.sent.is_some();
                // Of somebody unknown nothing is written that could be removed.
                if known && !touched.buried && !Mutation::NoTombstones.is_on() {
                    each(touched, None);
                }
                continue;
            }
            touched.buried = false;
            bytes.clear();
            pack(&touched.customer, rules.rates.base(), &mut bytes);
            touched.sent = Some(bytes.as_slice().into());
            each(touched, Some(&bytes));
        }
    }

    /// Whether all that changed was packed once.
    pub(super) fn is_packed(&self) -> bool {
        self.touched().iter().all(|it| it.erased || !it.changed || it.sent.is_some())
    }

    /// What was packed is settled: unpacked stay only those who are erased.
    pub(super) fn settle(&mut self) {
        let mut kept = 0;
        for place in 0..self.in_use {
            let touched = &mut self.touched[place];
            let (key, committed_deadline) = (touched.key, touched.committed_deadline);
            if touched.erased {
                touched.buried = true;
                self.places.insert(key, Place::Touched(kept));
                self.touched.swap(kept, place);
                kept += 1;
            } else if let Some(sent) = touched.sent.take() {
                self.new += usize::from(committed_deadline.is_none());
                self.places.insert(key, Place::Settled(self.settled.len()));
                let (published, sent) = (touched.published, Some(sent));
                self.settled.push(Settled { key, committed_deadline, published, sent });
            } else {
                self.places.remove(&key);
            }
        }
        (self.in_use, self.buried) = (kept, kept);
        self.touched.truncate(MAX_SPARE.max(kept));
    }

    /// The packed states of all, by key; those who are erased have none.
    pub(super) fn take_sent(&mut self, mut each: impl FnMut(u64, Option<Box<[u8]>>)) {
        for settled in &mut self.settled {
            if let Some(sent) = settled.sent.take() {
                each(settled.key, Some(sent));
            }
        }
        for touched in &mut self.touched[..self.in_use] {
            let sent = touched.sent.take();
            if touched.erased && touched.changed {
                each(touched.key, None);
            } else if let Some(sent) = sent {
                each(touched.key, Some(sent));
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.in_use = 0;
        self.touched.truncate(MAX_SPARE);
        self.settled.clear();
        self.places.clear();
        (self.new, self.buried) = (0, 0);
    }
}
