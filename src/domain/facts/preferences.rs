//! The categories and channels that a customer prefers: eight of each, with a fading score.
//!
//! Scores here are of interactions; orders name their places in a mask, so that a cancelled one
//! counts for nothing. Next: `order.rs`, the mask; `preferred.rs`, what is preferred.

use crate::domain::decay::{Decayed, HalfLife};
use crate::domain::event::Item;
use crate::domain::facts::bounded_text::cut;
use crate::domain::facts::order::Marks;
use crate::domain::time::Day;

/// Categories, and channels, that are kept.
pub const MAX_PREFERENCES: usize = 8;
/// Bytes of a name that are kept.
pub const MAX_NAME_BYTES: usize = 64;

/// Categories and channels of a customer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Preferences {
    /// Categories; an order's mask names their places.
    pub categories: Vec<Preference>,
    /// Channels; an order names its channel's place.
    pub channels: Vec<Preference>,
}

/// A category or channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Preference {
    /// Its name.
    pub name: Box<str>,
    /// Weights of interactions with it.
    pub score: Decayed,
}

/// The places that orders name, a bit each: they are not given to others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct InUse {
    /// Categories.
    pub categories: u8,
    /// Channels.
    pub channels: u8,
}

/// Where the categories and channels of one customer stand with another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Places {
    categories: [Option<u8>; MAX_PREFERENCES],
    channels: [Option<u8>; MAX_PREFERENCES],
}

impl Places {
    /// A mask of categories there.
    #[must_use]
    pub fn categories(&self, mask: u8) -> u8 {
        let named = self.categories.iter().enumerate().filter(|(place, _)| mask >> place & 1 == 1);
        named.filter_map(|(_, there)| *there).fold(0, |mask, there| mask | 1 << there)
    }

    /// The marks of an order there.
    #[must_use]
    pub fn marks(&self, marks: Marks) -> Marks {
        let channel = marks.channel.checked_sub(1).map(usize::from);
        let there = channel.and_then(|place| self.channels.get(place).copied().flatten());
        let categories = self.categories(marks.categories);
        Marks { categories, channel: there.map_or(0, |there| there + 1), ..marks }
    }
}

/// The place of a name, made for it where there is room.
fn place_of(preferences: &mut Vec<Preference>, name: &str, in_use: u8) -> Option<usize> {
    let name = cut(name, MAX_NAME_BYTES);
    if name.is_empty() {
        return None;
    }
    if let Some(place) = preferences.iter().position(|it| &*it.name == name) {
        return Some(place);
    }
    let fresh = Preference { name: name.into(), score: Decayed::default() };
    if preferences.len() < MAX_PREFERENCES {
        preferences.push(fresh);
        return Some(preferences.len() - 1);
    }
    let weakest = weakest(preferences, in_use)?;
    preferences[weakest] = fresh;
    Some(weakest)
}

/// The place with the least score that no order names.
fn weakest(preferences: &[Preference], in_use: u8) -> Option<usize> {
    (0..preferences.len())
        .filter(|place| in_use >> place & 1 == 0)
        .min_by(|one, other| preferences[*one].score.compare(&preferences[*other].score))
}

/// Takes over the categories and channels of another customer, and says where they stand; what
/// finds no room is left out, and added to `left_out`. Of the places that orders name, first
/// those of the target, then those of the source.
pub fn absorb(
    target: &mut Option<Box<Preferences>>,
    source: Option<Box<Preferences>>,
    [own, other]: [InUse; 2],
    left_out: &mut u64,
) -> Places {
    let Some(source) = source else { return Places::default() };
    let Preferences { categories, channels } = target.get_or_insert_default().as_mut();
    Places {
        categories: absorb_names(
            categories,
            source.categories,
            [own.categories, other.categories],
            left_out,
        ),
        channels: absorb_names(channels, source.channels, [own.channels, other.channels], left_out),
    }
}

fn absorb_names(
    target: &mut Vec<Preference>,
    source: Vec<Preference>,
    [mut kept, in_use]: [u8; 2],
    left_out: &mut u64,
) -> [Option<u8>; MAX_PREFERENCES] {
    let mut places = [None; MAX_PREFERENCES];
    let mut names: Vec<(bool, usize, Preference)> = (0..MAX_PREFERENCES)
        .zip(source)
        .map(|(place, preference)| (in_use >> place & 1 == 1, place, preference))
        .collect();
    // What orders name comes first, then the greater scores: none gives way to one after it.
    names.sort_by(|(named, _, one), (other_named, _, other)| {
        let by_score = other.score.compare(&one.score);
        other_named.cmp(named).then(by_score).then_with(|| one.name.cmp(&other.name))
    });
    for (named, place, preference) in names {
        let there = match target.iter().position(|it| it.name == preference.name) {
            Some(there) => {
                target[there].score.absorb(preference.score);
                Some(there)
            }
            None if target.len() < MAX_PREFERENCES => {
                target.push(preference);
                Some(target.len() - 1)
            }
            None => {
                let gives_way = |there: &usize| {
                    named || target[*there].score.compare(&preference.score).is_lt()
                };
                let there = weakest(target, kept).filter(gives_way);
                there.inspect(|there| target[*there] = preference)
            }
        };
        *left_out += u64::from(there.is_none());
        places[place] = there.and_then(|there| u8::try_from(there).ok());
        if named {
            kept |= places[place].map_or(0, |there| 1 << there);
        }
    }
    places
}

/// The marks of an order with these items and this channel; what finds no room is left out, and
/// added to `left_out`.
pub fn mark(
    preferences: &mut Option<Box<Preferences>>,
    in_use: InUse,
    items: &[Item<'_>],
    channel: Option<&str>,
    left_out: &mut u64,
) -> Marks {
    let mut marks = Marks::default();
    let named = |name: &&str| !name.is_empty();
    for name in items.iter().filter_map(|item| item.category.as_deref()).filter(named) {
        let categories = &mut preferences.get_or_insert_default().categories;
        let place = place_of(categories, name, in_use.categories | marks.categories);
        marks.categories |= place.map_or(0, |place| 1 << place);
        *left_out += u64::from(place.is_none());
    }
    if let Some(name) = channel.filter(named) {
        let channels = &mut preferences.get_or_insert_default().channels;
        let place = place_of(channels, name, in_use.channels);
        marks.channel = place.and_then(|place| u8::try_from(place + 1).ok()).unwrap_or(0);
        *left_out += u64::from(place.is_none());
    }
    marks
}

impl Preferences {
    /// Adds an interaction with a category and a channel; false when one found no room.
    pub fn add(
        &mut self,
        [category, channel]: [Option<&str>; 2],
        in_use: InUse,
        (weight, day): (u32, Day),
        half_life: &HalfLife,
    ) -> bool {
        let add = |preferences: &mut Vec<Preference>, name: Option<&str>, in_use: u8| {
            let Some(name) = name else { return true };
            let Some(place) = place_of(preferences, name, in_use) else { return false };
            preferences[place].score.add(u64::from(weight), day, half_life);
            true
        };
        let category = add(&mut self.categories, category, in_use.categories);
        add(&mut self.channels, channel, in_use.channels) && category
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_order_names_and_finds_no_room_is_counted() {
        let (mut preferences, mut left_out) = (None, 0);
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        let items = names.map(|name| Item {
            sku: None,
            category: Some(name.into()),
            quantity: None,
            amount_minor: None,
        });
        let marks = mark(&mut preferences, InUse::default(), &items, Some("web"), &mut left_out);
        assert_eq!((marks.categories, marks.channel, left_out), (0xFF, 1, 1));
        // What no order names any more gives way; what one names does not.
        let others = InUse { categories: 0xFE, channels: 0xFF };
        let marks = mark(&mut preferences, others, &items[8..], Some("shop"), &mut left_out);
        assert_eq!((marks.categories, marks.channel, left_out), (1, 2, 1));
        let all = InUse { categories: 0xFF, channels: 0xFF };
        let marks = mark(&mut preferences, all, &items[..1], Some(""), &mut left_out);
        assert_eq!((marks.categories, marks.channel, left_out), (0, 0, 2));
    }
}
