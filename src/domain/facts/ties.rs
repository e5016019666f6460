//! Whom a subject is tied to: other ids of its own, accounts, who brought it, whom it brought.
//!
//! Never part of a raw value. Lists are bounded by items and by the bytes of their ids: what was
//! heard of longest ago gives way.
//! Next: `task/ties.rs`, what is told to the others.

use crate::domain::id::EventKey;
use crate::domain::time::{DAY_MS, Timestamp};

/// Other ids of one subject.
pub const MAX_ALIASES: usize = 32;
/// Accounts that a person is a contact of.
pub const MAX_MEMBERSHIPS: usize = 8;
/// Referred customers whose ids are kept.
pub const MAX_REFERRED: usize = 32;
/// Bytes of all aliases together: 32 of 44 bytes, or fewer.
pub const MAX_ALIAS_BYTES: usize = 1408;
/// Bytes of the ids of all memberships together.
pub const MAX_MEMBERSHIP_BYTES: usize = 704;
/// Bytes of the ids of all referred customers together.
pub const MAX_REFERRED_BYTES: usize = 960;
/// An alias that is heard of again is told again after this: its redirect is kept that much longer.
pub const TOLD_AGAIN_MS: i64 = 30 * DAY_MS;

/// The ties of one subject; ordered by id within each list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ties {
    /// Other ids that are known to be this subject's, and when they were last told so.
    pub aliases: Vec<Heard>,
    /// Accounts whose contact this person is or was.
    pub memberships: Vec<Membership>,
    /// Who brought this customer: the first who is said to.
    pub referrer: Option<Referrer>,
    /// Customers whom this one brought.
    pub referred: Vec<Heard>,
    /// How many accepted an invitation of this one, whether or not they are known.
    pub accepted: u32,
    /// What those who are known have spent, net, in minor units of the base currency.
    pub referred_revenue_minor: i64,
}

/// Another subject, and when it was last heard of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heard {
    /// The subject's id.
    pub id: String,
    /// When.
    pub at: Timestamp,
}

/// A person among the contacts of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Membership {
    /// The account's subject id, prefix included.
    pub account: String,
    /// First event of the person with this account.
    pub first_at: Timestamp,
    /// Last event of the person with this account.
    pub last_at: Timestamp,
    /// The account was told that the person has been seen elsewhere since `last_at`.
    pub told_left: bool,
}

/// Who brought a customer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Referrer {
    /// The referrer's subject id.
    pub id: String,
    /// When the referral was accepted.
    pub at: Timestamp,
    /// Decides between referrals of one time.
    pub key: EventKey,
    /// How much of this customer's net revenue the referrer was told of.
    pub credited_minor: i64,
}

impl Referrer {
    /// The least of several is the one that counts.
    fn rank(&self) -> (Timestamp, EventKey, &str) {
        (self.at, self.key, &self.id)
    }
}

impl Ties {
    /// Remembers an alias that was heard of; true when it is to be told whose it is: it was not
    /// known, or was last told so more than [`TOLD_AGAIN_MS`] before.
    pub fn know(&mut self, id: &str, at: Timestamp) -> bool {
        match place(&self.aliases, id) {
            Ok(place) => {
                let told_at = &mut self.aliases[place].at;
                let again = at.since(*told_at) > TOLD_AGAIN_MS;
                if again {
                    *told_at = at;
                }
                again
            }
            Err(_) => {
                self.hear_alias(id, at);
                true
            }
        }
    }

    /// Remembers events with an account, the first and the last of them.
    pub fn join(&mut self, account: &str, first_at: Timestamp, last_at: Timestamp) {
        let memberships = &mut self.memberships;
        match memberships.binary_search_by(|present| present.account.as_str().cmp(account)) {
            Ok(place) => {
                let present = &mut memberships[place];
                present.first_at = present.first_at.min(first_at);
                if last_at > present.last_at {
                    (present.last_at, present.told_left) = (last_at, false);
                }
            }
            Err(place) => {
                let account = account.to_owned();
                let joined = Membership { account, first_at, last_at, told_left: false };
                memberships.insert(place, joined);
                let bound = (MAX_MEMBERSHIPS, MAX_MEMBERSHIP_BYTES);
                trim(memberships, bound, |present| (&present.account, present.last_at));
            }
        }
    }

    /// The accounts that are to be told that the person has been seen elsewhere since, and when
    /// last; each is given once, until there is another event with it.
    pub fn take_left(&mut self) -> Vec<(String, Timestamp)> {
        let Some(seen_at) = self.memberships.iter().map(|present| present.last_at).max() else {
            return Vec::new();
        };
        let left = |present: &&mut Membership| !present.told_left && present.last_at < seen_at;
        let left = self.memberships.iter_mut().filter(left);
        left.map(|present| {
            present.told_left = true;
            (present.account.clone(), seen_at)
        })
        .collect()
    }

    /// Takes in who is said to have brought the customer. Of several the least by (time, key, id)
    /// counts; gives back the one that does no longer and has been credited with revenue.
    pub fn refer(&mut self, by: &str, at: Timestamp, key: EventKey) -> Option<Referrer> {
        let said = Referrer { id: by.to_owned(), at, key, credited_minor: 0 };
        self.take_referrer(said)
    }

    fn hear_alias(&mut self, id: &str, at: Timestamp) {
        hear(&mut self.aliases, id, at, (MAX_ALIASES, MAX_ALIAS_BYTES));
    }

    fn hear_referred(&mut self, id: &str, at: Timestamp) {
        hear(&mut self.referred, id, at, (MAX_REFERRED, MAX_REFERRED_BYTES));
    }

    fn take_referrer(&mut self, mut said: Referrer) -> Option<Referrer> {
        let lost = match self.referrer.take() {
            None => {
                self.referrer = Some(said);
                return None;
            }
            Some(mut present) if present.id == said.id => {
                let credited = present.credited_minor.saturating_add(said.credited_minor);
                if said.rank() < present.rank() {
                    std::mem::swap(&mut said, &mut present);
                }
                self.referrer = Some(Referrer { credited_minor: credited, ..present });
                return None;
            }
            Some(present) if said.rank() < present.rank() => {
                self.referrer = Some(said);
                present
            }
            present => {
                self.referrer = present;
                said
            }
        };
        Some(lost).filter(|lost| lost.credited_minor != 0)
    }

    /// Takes in that a customer whom this one brought has spent so much more, or less.
    pub fn brought(&mut self, id: &str, at: Timestamp, minor: i64) {
        self.referred_revenue_minor = self.referred_revenue_minor.saturating_add(minor);
        self.hear_referred(id, at);
    }

    /// Counts an invitation that was accepted.
    pub const fn accepted(&mut self) {
        self.accepted = self.accepted.saturating_add(1);
    }

    /// Takes in the ties of another subject that turned out to be this one. Gives back the
    /// referrer that counts no longer, when it has been credited: the caller takes that back.
    ///
    /// What the two knew of each other is not looked for: see [`Self::forget`].
    pub fn absorb(&mut self, other: Self) -> Option<Referrer> {
        for Heard { id, at } in other.aliases {
            self.hear_alias(&id, at);
        }
        for Membership { account, first_at, last_at, .. } in other.memberships {
            self.join(&account, first_at, last_at);
        }
        // Whom the accounts were told of is not this subject alone.
        self.memberships.iter_mut().for_each(|present| present.told_left = false);
        for Heard { id, at } in other.referred {
            self.hear_referred(&id, at);
        }
        self.accepted = self.accepted.saturating_add(other.accepted);
        self.referred_revenue_minor =
            self.referred_revenue_minor.saturating_add(other.referred_revenue_minor);
        self.take_referrer(other.referrer?)
    }

    /// Removes every trace of an id; what was counted of it stays.
    pub fn forget(&mut self, id: &str) {
        self.aliases.retain(|alias| alias.id != id);
        self.memberships.retain(|membership| membership.account != id);
        self.referrer.take_if(|referrer| referrer.id == id);
        self.referred.retain(|referred| referred.id != id);
    }
}

fn place(list: &[Heard], id: &str) -> Result<usize, usize> {
    list.binary_search_by(|present| present.id.as_str().cmp(id))
}

/// Remembers an id with the latest time.
fn hear(list: &mut Vec<Heard>, id: &str, at: Timestamp, bound: (usize, usize)) {
    match place(list, id) {
        Ok(place) => list[place].at = list[place].at.max(at),
        Err(place) => {
            list.insert(place, Heard { id: id.to_owned(), at });
            trim(list, bound, |heard| (&heard.id, heard.at));
        }
    }
}

/// Removes those heard of longest ago until a list has at most so many items, and bytes of ids.
fn trim<T>(
    list: &mut Vec<T>,
    (most, most_bytes): (usize, usize),
    heard: impl Fn(&T) -> (&str, Timestamp),
) {
    let bytes = |list: &[T]| list.iter().map(|item| heard(item).0.len()).sum::<usize>();
    while list.len() > most || bytes(list) > most_bytes {
        let oldest = (0..list.len()).min_by_key(|place| heard(&list[*place]).1);
        list.remove(oldest.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: i64) -> Timestamp {
        Timestamp(ms)
    }

    #[test]
    fn an_alias_is_told_at_first_and_again_after_a_month() {
        let mut ties = Ties::default();
        assert!(ties.know("anon:1", at(5)));
        assert!(!ties.know("anon:1", at(5 + TOLD_AGAIN_MS)));
        assert!(ties.know("anon:1", at(6 + TOLD_AGAIN_MS)));
        assert!(!ties.know("anon:1", at(7 + TOLD_AGAIN_MS)));
        assert!(!ties.know("anon:1", at(0)));
        for number in 0..i64::try_from(MAX_ALIASES).expect("few") {
            assert!(ties.know(&format!("anon:x{number}"), at(number)));
        }
        assert_eq!(ties.aliases.len(), MAX_ALIASES);
        assert_eq!(ties.aliases[0], Heard { id: "anon:1".into(), at: at(6 + TOLD_AGAIN_MS) });
        assert!(ties.aliases.is_sorted_by(|one, next| one.id < next.id));
        assert!(ties.know("anon:x0", at(0)), "the one heard of longest ago gave way");
        for number in 0..9 {
            ties.know(&format!("{number}").repeat(256), at(i64::MAX - 9 + number));
        }
        let kept: Vec<&str> = ties.aliases.iter().map(|alias| &alias.id[..1]).collect();
        assert_eq!(kept, ["4", "5", "6", "7", "8"]);
    }

    #[test]
    fn an_account_is_told_once_that_its_contact_was_seen_elsewhere() {
        let mut ties = Ties::default();
        assert_eq!(ties.take_left(), []);
        ties.join("account:a", at(1), at(2));
        assert_eq!(ties.take_left(), []);
        ties.join("account:b", at(3), at(3));
        assert_eq!(ties.take_left(), [("account:a".to_owned(), at(3))]);
        ties.join("account:b", at(4), at(4));
        // An event from before does not undo it.
        ties.join("account:a", at(0), at(0));
        assert_eq!(ties.take_left(), []);
        assert_eq!(ties.memberships[0].first_at, at(0));
        // Back again, and away again.
        ties.join("account:a", at(5), at(5));
        assert_eq!(ties.take_left(), [("account:b".to_owned(), at(5))]);
        ties.join("account:b", at(6), at(6));
        assert_eq!(ties.take_left(), [("account:a".to_owned(), at(6))]);
        for number in 0..MAX_MEMBERSHIPS {
            ties.join(&format!("account:x{number}"), at(7), at(7));
        }
        let known = |ties: &Ties, id| ties.memberships.iter().any(|it| it.account == id);
        assert_eq!(ties.memberships.len(), MAX_MEMBERSHIPS);
        assert!(!known(&ties, "account:a") && !known(&ties, "account:b"));
    }

    #[test]
    fn the_first_referrer_counts_and_the_one_that_does_no_longer_gives_its_credit_back() {
        let mut ties = Ties::default();
        let credit = |ties: &mut Ties, minor| {
            ties.referrer.as_mut().expect("a referrer").credited_minor = minor;
        };
        assert_eq!(ties.refer("late", at(9), EventKey(1)), None);
        // Nothing was credited.
        assert_eq!(ties.refer("early", at(5), EventKey(2)), None);
        credit(&mut ties, 700);
        assert_eq!(ties.refer("late", at(9), EventKey(1)), None);
        let lost = ties.refer("by key", at(5), EventKey(1)).expect("it had been credited");
        assert_eq!((lost.id.as_str(), lost.credited_minor), ("early", 700));
        credit(&mut ties, 50);
        assert_eq!(ties.refer("by key", at(4), EventKey(9)), None);
        let referrer = ties.referrer.as_ref().expect("a referrer");
        assert_eq!((referrer.at, referrer.credited_minor), (at(4), 50));
    }

    #[test]
    fn two_subjects_that_are_one_have_the_ties_of_both() {
        let mut ties = Ties::default();
        ties.know("anon:1", at(1));
        ties.join("account:a", at(1), at(2));
        ties.join("account:b", at(3), at(3));
        ties.take_left();
        ties.brought("r-1", at(1), 100);
        ties.accepted();
        ties.refer("late", at(9), EventKey(1));
        let mut other = Ties::default();
        other.know("anon:0", at(2));
        other.know("anon:1", at(3));
        other.join("account:a", at(0), at(1));
        other.brought("r-1", at(2), -30);
        other.accepted();
        other.refer("early", at(8), EventKey(1));
        for (ties, credited_minor) in [(&mut ties, 10), (&mut other, 20)] {
            ties.referrer.as_mut().expect("a referrer").credited_minor = credited_minor;
        }
        let lost = ties.absorb(other).expect("it had been credited");
        assert_eq!((lost.id.as_str(), lost.credited_minor), ("late", 10));
        assert_eq!(ties.referrer.as_ref().expect("the first").credited_minor, 20);
        assert_eq!((ties.accepted, ties.referred_revenue_minor), (2, 70));
        let ids = ties.aliases.iter().map(|alias| (alias.id.as_str(), alias.at));
        assert_eq!(ids.collect::<Vec<_>>(), [("anon:0", at(2)), ("anon:1", at(3))]);
        assert_eq!(ties.memberships[0].first_at, at(0));
        assert_eq!(ties.take_left(), [("account:a".to_owned(), at(3))]);

        for id in ["anon:0", "anon:1", "account:a", "account:b", "early", "r-1"] {
            ties.forget(id);
        }
        let counts = Ties { accepted: 2, referred_revenue_minor: 70, ..Ties::default() };
        assert_eq!(ties, counts);
    }
}
