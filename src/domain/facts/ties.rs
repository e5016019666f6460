//! Whom a subject is tied to: other ids of its own, accounts, who brought it, whom it brought.
//!
//! Never part of a raw value but for the referred revenue. Lists are bounded, what was heard of
//! longest ago gives way. Next: `task/ties.rs`, what is told to the others.

use crate::domain::id::EventKey;
use crate::domain::time::Timestamp;

/// Other ids of one subject.
pub const MAX_ALIASES: usize = 32;
/// Accounts that a person is a contact of.
pub const MAX_MEMBERSHIPS: usize = 8;
/// Referred customers whose ids are kept.
pub const MAX_REFERRED: usize = 32;

/// The ties of one subject; ordered by id within each list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ties {
    /// Other ids that are known to be this subject's.
    pub aliases: Vec<Heard>,
    /// Accounts whose contact this person is or was.
    pub memberships: Vec<Membership>,
    /// Who brought this customer: the first who is said to.
    pub referrer: Option<Referrer>,
    /// Customers whom this one brought.
    pub referred: Vec<Heard>,
    /// What those have spent, net, in minor units of the base currency.
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
