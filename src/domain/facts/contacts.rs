//! The contacts of an account: people by the hash of their id, and when they were heard of.
//!
//! A fold that does not depend on arrival order, within its bound; never an id in clear.
//! Next: `dimensions/contacts.rs`, which judges them.

use crate::domain::event::{Body, Interaction, MeddicElement, Qualification};
use crate::domain::facts::order::Stamp;
use crate::domain::time::Timestamp;

/// Contacts of one account.
pub const MAX_CONTACTS: usize = 64;

/// The contacts of an account.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Contacts {
    /// Ordered by hash.
    pub list: Vec<Contact>,
}

/// A person of whom the account was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contact {
    /// [`crate::domain::id::hash64`] of the person's id.
    pub hash: u64,
    /// First event with this account; [`Timestamp::MAX`] = none yet.
    pub first_at: Timestamp,
    /// Last event with this account; [`Timestamp::MIN`] = none yet.
    pub last_at: Timestamp,
    /// When the person was last seen with another account; [`Timestamp::MIN`] = never.
    pub elsewhere_at: Timestamp,
    /// The latest score of the MEDDIC element champion, 0 to 3, and when it was given.
    pub champion: Option<(Stamp, u8)>,
}

impl Contact {
    /// Whether the person was seen with another account since.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.elsewhere_at > self.last_at
    }

    /// The latest score as champion; 0 = none.
    #[must_use]
    pub fn champion_score(&self) -> u8 {
        self.champion.map_or(0, |(_, score)| score)
    }
}

impl Contacts {
    /// Takes in an event of a person with this account.
    pub fn apply(&mut self, body: &Body<'_>, hash: u64, stamp: Stamp) {
        self.seen(hash, stamp.at);
        if let Body::Interaction(Interaction::QualificationUpdated(Qualification::Element {
            element: MeddicElement::Champion,
            score,
            ..
        })) = body
        {
            self.champion(hash, *score, stamp);
        }
    }

    /// The person had an event with this account.
    pub fn seen(&mut self, hash: u64, at: Timestamp) {
        self.change(hash, |contact| {
            contact.first_at = contact.first_at.min(at);
            contact.last_at = contact.last_at.max(at);
        });
    }

    /// The person was scored as champion; of several scores the latest counts.
    pub fn champion(&mut self, hash: u64, score: u8, stamp: Stamp) {
        self.change(hash, |contact| contact.champion = contact.champion.max(Some((stamp, score))));
    }

    /// The person was seen with another account.
    pub fn left(&mut self, hash: u64, elsewhere_at: Timestamp) {
        self.change(hash, |contact| {
            contact.elsewhere_at = contact.elsewhere_at.max(elsewhere_at);
        });
    }

    /// The person goes by another id from here on, under which nothing or something is known; the
    /// times are those of the first and last event with this account under both.
    pub fn renamed(&mut self, was: Option<u64>, now: u64, first_at: Timestamp, last_at: Timestamp) {
        let was = was.and_then(|was| self.take(was));
        self.change(now, |contact| {
            contact.first_at = contact.first_at.min(first_at);
            contact.last_at = contact.last_at.max(last_at);
            if let Some(was) = was {
                contact.first_at = contact.first_at.min(was.first_at);
                contact.last_at = contact.last_at.max(was.last_at);
                contact.elsewhere_at = contact.elsewhere_at.max(was.elsewhere_at);
                contact.champion = contact.champion.max(was.champion);
            }
        });
    }

    /// Removes a person.
    pub fn forget(&mut self, hash: u64) {
        self.take(hash);
    }

    fn take(&mut self, hash: u64) -> Option<Contact> {
        let place = self.list.binary_search_by_key(&hash, |contact| contact.hash).ok()?;
        Some(self.list.remove(place))
    }

    /// Changes a contact, made where there is none. Beyond the bound the one without news for
    /// longest gives way, those who were scored as champion last.
    fn change(&mut self, hash: u64, change: impl FnOnce(&mut Contact)) {
        match self.list.binary_search_by_key(&hash, |contact| contact.hash) {
            Ok(place) => change(&mut self.list[place]),
            Err(place) => {
                let (first_at, last_at) = (Timestamp::MAX, Timestamp::MIN);
                let elsewhere_at = Timestamp::MIN;
                let mut contact = Contact { hash, first_at, last_at, elsewhere_at, champion: None };
                change(&mut contact);
                self.list.insert(place, contact);
                if self.list.len() > MAX_CONTACTS {
                    let rank = |it: &Contact| (it.champion_score() > 0, it.last_at, it.hash);
                    let least = (0..self.list.len()).min_by_key(|place| rank(&self.list[*place]));
                    self.list.remove(least.unwrap_or(0));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::EventKey;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug)]
    enum Told {
        Seen(u64, i64),
        Champion(u64, u8, i64),
        Left(u64, i64),
        Renamed(u64, i64, i64),
    }

    fn told() -> impl Strategy<Value = Told> {
        let (hash, at) = (0..5_u64, 0..20_i64);
        prop_oneof![
            (hash.clone(), at.clone()).prop_map(|(hash, at)| Told::Seen(hash, at)),
            (hash.clone(), 0..4_u8, at.clone())
                .prop_map(|(hash, s, at)| Told::Champion(hash, s, at)),
            (hash.clone(), at.clone()).prop_map(|(hash, at)| Told::Left(hash, at)),
            (hash, at.clone(), at).prop_map(|(hash, one, other)| {
                Told::Renamed(hash, one.min(other), one.max(other))
            }),
        ]
    }

    fn fold(told: &[Told], mut contacts: Contacts) -> Contacts {
        for told in told {
            match *told {
                Told::Seen(hash, at) => contacts.seen(hash, Timestamp(at)),
                Told::Champion(hash, score, at) => {
                    let stamp = Stamp { at: Timestamp(at), key: EventKey(7) };
                    contacts.champion(hash, score, stamp);
                }
                Told::Left(hash, at) => contacts.left(hash, Timestamp(at)),
                Told::Renamed(now, first, last) => {
                    contacts.renamed(None, now, Timestamp(first), Timestamp(last));
                }
            }
        }
        contacts
    }

    /// The same of another person.
    fn of(told: Told, hash: u64) -> Told {
        match told {
            Told::Seen(_, at) => Told::Seen(hash, at),
            Told::Champion(_, score, at) => Told::Champion(hash, score, at),
            Told::Left(_, at) => Told::Left(hash, at),
            Told::Renamed(_, first, last) => Told::Renamed(hash, first, last),
        }
    }

    proptest! {
        #[test]
        fn contacts_do_not_depend_on_the_order_in_which_they_are_told(
            (all, shuffled) in vec(told(), 0..40)
                .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        ) {
            let contacts = fold(&all, Contacts::default());
            prop_assert!(contacts.list.is_sorted_by_key(|contact| contact.hash));
            prop_assert_eq!(contacts, fold(&shuffled, Contacts::default()));
        }

        /// Whatever was told under two ids is known under the one that stays.
        #[test]
        fn who_goes_by_another_id_is_one_person(
            one in vec(told(), 0..20), other in vec(told(), 0..20), later in vec(told(), 0..20),
        ) {
            let [was, now] = [1, 2];
            let under = |told: &[Told], hash| -> Vec<Told> {
                told.iter().map(|it| of(*it, hash)).collect()
            };
            let mut contacts = fold(&under(&one, was), Contacts::default());
            contacts = fold(&under(&other, now), contacts);
            contacts.renamed(Some(was), now, Timestamp(4), Timestamp(9));
            contacts = fold(&under(&later, now), contacts);
            let all = [vec![Told::Renamed(now, 4, 9)], one, other, later].concat();
            prop_assert_eq!(contacts, fold(&under(&all, now), Contacts::default()));
        }
    }

    #[test]
    fn of_too_many_the_one_without_news_for_longest_gives_way_and_champions_last() {
        let mut contacts = Contacts::default();
        let stamp = Stamp { at: Timestamp(0), key: EventKey(0) };
        contacts.seen(1_000, Timestamp(0));
        contacts.champion(1_000, 2, stamp);
        for hash in 0..70 {
            contacts.seen(hash, Timestamp(i64::try_from(hash).expect("few")));
        }
        assert_eq!(contacts.list.len(), MAX_CONTACTS);
        assert_eq!(contacts.list[0].hash, 7);
        assert_eq!(contacts.list[MAX_CONTACTS - 1].hash, 1_000);
        contacts.forget(1_000);
        assert_eq!(contacts.list.len(), MAX_CONTACTS - 1);
    }

    #[test]
    fn a_contact_has_left_until_it_is_back() {
        let mut contacts = Contacts::default();
        contacts.seen(1, Timestamp(5));
        contacts.left(1, Timestamp(5));
        assert!(!contacts.list[0].has_left());
        contacts.left(1, Timestamp(6));
        assert!(contacts.list[0].has_left());
        contacts.seen(1, Timestamp(7));
        assert!(!contacts.list[0].has_left());
    }
}
