//! What one subject tells another: records of the topic `relay`.
//!
//! A record says whom it is for, by what event it came about, and which subjects it went
//! through. Never says what is done with it. Next: `task/relay.rs`, which does it;
//! `codec/relay.rs`, the bytes.

use crate::domain::name::Name;
use crate::domain::publish::context::CauseEvent;
use crate::domain::time::Timestamp;
use std::borrow::Cow;

/// Subjects that a record may go through: whoever is next then takes it, redirect or not.
pub const MAX_PATH: usize = 32;

/// What one subject tells another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relayed<'a> {
    /// The subject that it is for.
    pub to: String,
    /// Subjects that it went through, first to last.
    pub path: Vec<String>,
    /// The instant that it is about: no time-driven change after it may have been told.
    pub at: Timestamp,
    /// The event that brought it about.
    pub cause: EventOrigin,
    /// What is told.
    pub told: Told<'a>,
}

/// An event, and where its record lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventOrigin {
    /// The event's id.
    pub event_id: String,
    /// The event's own time.
    pub occurred_at: Timestamp,
    /// Its effective time.
    pub at: Timestamp,
    /// Topic.
    pub topic: Name,
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: i64,
}

impl EventOrigin {
    /// The same for what is published.
    #[must_use]
    pub fn as_cause(&self) -> CauseEvent<'_> {
        CauseEvent {
            event_id: &self.event_id,
            occurred_at: self.occurred_at,
            effective_at: self.at,
            origin: (&self.topic, self.partition, self.offset),
        }
    }
}

/// What is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told<'a> {
    /// An event that is the subject's, or that one of its contacts brought an account: the value
    /// of its record, as it was in this input.
    Event {
        /// Index of the input.
        input: usize,
        /// Whom it names were told already, while it waited.
        tied: bool,
        /// The record's value.
        value: Cow<'a, [u8]>,
    },
    /// The subject is another one from now on.
    Move {
        /// Which.
        into: String,
        /// Why.
        why: Why,
    },
    /// All that was known of the first subject of the path: its packed state.
    State(Cow<'a, [u8]>),
    /// Whoever follows `from` follows `to` from now on.
    Follow {
        /// Whom it followed.
        from: String,
        /// Whom it is to follow.
        to: String,
    },
    /// This id of somebody who was erased is to be erased too, unless it is somebody else's.
    Erase {
        /// Who was erased.
        of: String,
    },
    /// Somebody was erased: their id goes, what was counted stays.
    Forget {
        /// Whose.
        id: String,
    },
    /// The subject came by the recommendation of another one.
    Referred {
        /// Of whom.
        by: String,
    },
    /// Somebody whom the subject recommended to has spent more, or less, than was told so far.
    Credit {
        /// Who.
        from: String,
        /// Difference in minor units of the base currency.
        minor: i64,
    },
    /// A person is among the contacts of the account.
    Contact {
        /// Hash of the id under which the person was known there.
        was: Option<u64>,
        /// Hash of the person's id.
        now: u64,
        /// First event of the person with the account.
        first_at: Timestamp,
        /// Last event of the person with the account.
        last_at: Timestamp,
    },
    /// A contact of the account was seen with another one.
    Left {
        /// Hash of the person's id.
        contact: u64,
        /// When last.
        at: Timestamp,
    },
}

/// Why a subject is another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// An event says that two customers are one.
    Merged,
    /// An event of a customer names the visitor.
    Known,
}

/// Why records are relayed: label of metrics.
pub const REASONS: [&str; 10] = [
    "event", "move", "state", "follow", "erase", "forget", "referred", "credit", "contact", "left",
];

impl Told<'_> {
    /// Place in [`REASONS`].
    #[must_use]
    pub const fn reason(&self) -> usize {
        match self {
            Self::Event { .. } => 0,
            Self::Move { .. } => 1,
            Self::State(_) => 2,
            Self::Follow { .. } => 3,
            Self::Erase { .. } => 4,
            Self::Forget { .. } => 5,
            Self::Referred { .. } => 6,
            Self::Credit { .. } => 7,
            Self::Contact { .. } => 8,
            Self::Left { .. } => 9,
        }
    }

    fn into_owned(self) -> Told<'static> {
        let owned = |bytes: Cow<'_, [u8]>| Cow::Owned(bytes.into_owned());
        match self {
            Self::Event { input, tied, value } => Told::Event { input, tied, value: owned(value) },
            Self::State(packed) => Told::State(owned(packed)),
            Self::Move { into, why } => Told::Move { into, why },
            Self::Follow { from, to } => Told::Follow { from, to },
            Self::Erase { of } => Told::Erase { of },
            Self::Forget { id } => Told::Forget { id },
            Self::Referred { by } => Told::Referred { by },
            Self::Credit { from, minor } => Told::Credit { from, minor },
            Self::Contact { was, now, first_at, last_at } => {
                Told::Contact { was, now, first_at, last_at }
            }
            Self::Left { contact, at } => Told::Left { contact, at },
        }
    }
}

impl Relayed<'_> {
    /// The same without the record that it was read from.
    #[must_use]
    pub fn into_owned(self) -> Relayed<'static> {
        let Self { to, path, at, cause, told } = self;
        Relayed { to, path, at, cause, told: told.into_owned() }
    }
}
