//! Traits of a customer and what they consent to: names with their latest value.
//!
//! Of two values of one time the greater text wins, and a refusal wins over a permission, so
//! arrival order does not matter within the bounds. Next: `publish/consent.rs`.

use crate::domain::facts::bounded_text::cut;
use crate::domain::time::Timestamp;
use std::iter::once;

/// Traits that are kept: the first names that come.
pub const MAX_TRAITS: usize = 64;
/// Bytes of a trait's value that are kept.
pub const MAX_VALUE_BYTES: usize = 256;
/// Bytes of a name that are kept, of a trait or purpose.
pub const MAX_NAME_BYTES: usize = 64;
/// Purposes that are kept: the first that come.
pub const MAX_PURPOSES: usize = 32;

/// Names with their latest values, ordered by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Latest<T> {
    /// Name, time, value.
    pub entries: Vec<(Box<str>, Timestamp, T)>,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

/// What a customer is like, by name.
pub type Traits = Latest<Box<str>>;

/// What a customer has permitted, or refused, by purpose.
pub type Consent = Latest<bool>;

impl<T> Latest<T> {
    /// The latest value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&T> {
        let place = self.entries.binary_search_by(|(present, ..)| (**present).cmp(name)).ok()?;
        Some(&self.entries[place].2)
    }

    /// Takes a value in; `wins` says whether it beats one of the same time. False when there is
    /// no room.
    fn set(
        &mut self,
        name: &str,
        at: Timestamp,
        value: T,
        most: usize,
        wins: impl FnOnce(&T, &T) -> bool,
    ) -> bool {
        match self.entries.binary_search_by(|(present, ..)| (**present).cmp(name)) {
            Ok(place) => {
                let (_, present_at, present) = &mut self.entries[place];
                if at > *present_at || (at == *present_at && wins(&value, present)) {
                    (*present_at, *present) = (at, value);
                }
                true
            }
            Err(_) if self.entries.len() >= most => false,
            Err(place) => {
                self.entries.insert(place, (name.into(), at, value));
                true
            }
        }
    }
}

impl Traits {
    /// Takes traits in; returns how many were cut, or found no room.
    pub fn update<'a>(
        &mut self,
        traits: impl Iterator<Item = (&'a str, &'a str)>,
        at: Timestamp,
    ) -> u64 {
        let mut bounded = 0;
        for (name, value) in traits {
            let (short_name, short_value) =
                (cut(name, MAX_NAME_BYTES), cut(value, MAX_VALUE_BYTES));
            let room =
                self.set(short_name, at, short_value.into(), MAX_TRAITS, |new, old| new > old);
            let whole = short_name.len() == name.len() && short_value.len() == value.len();
            bounded += u64::from(!room || !whole);
        }
        bounded
    }

    /// Takes over another customer's traits; returns how many found no room.
    pub fn absorb(&mut self, source: &Self) -> u64 {
        let traits = source.entries.iter();
        traits.map(|(name, at, value)| self.update(once((&**name, &**value)), *at)).sum()
    }
}

impl Consent {
    /// Takes permissions and refusals in; returns how many were cut, or found no room.
    pub fn update<'a>(
        &mut self,
        purposes: impl Iterator<Item = (&'a str, bool)>,
        at: Timestamp,
    ) -> u64 {
        let mut bounded = 0;
        for (name, permitted) in purposes {
            let short = cut(name, MAX_NAME_BYTES);
            let room = self.set(short, at, permitted, MAX_PURPOSES, |new, old| !new && *old);
            bounded += u64::from(!room || short.len() < name.len());
        }
        bounded
    }

    /// Takes over what another customer permitted and refused; returns how many found no room.
    pub fn absorb(&mut self, source: &Self) -> u64 {
        let purposes = source.entries.iter();
        purposes.map(|(name, at, permitted)| self.update(once((&**name, *permitted)), *at)).sum()
    }
}
