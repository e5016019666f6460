//! Everything remembered about one customer.
//!
//! A plain value: cloned, compared, packed (`pack.rs`). What happens to it is in `apply.rs`.

use crate::domain::dimension::{self, Dimension, Entries, Place, Published};
use crate::domain::facts::contacts::Contacts;
use crate::domain::facts::interactions::Interactions;
use crate::domain::facts::meddic::Meddic;
use crate::domain::facts::order_book::OrderBook;
use crate::domain::facts::order_facts::Counted;
use crate::domain::facts::preferences::Preferences;
use crate::domain::facts::signals::Signals;
use crate::domain::facts::spending::Spending;
use crate::domain::facts::surveys::Surveys;
use crate::domain::facts::ties::Ties;
use crate::domain::facts::traits::{Consent, Traits};
use crate::domain::subject::Subject;
use crate::domain::time::Timestamp;

/// Ids of recent events that are remembered.
pub const MAX_RECENT_EVENTS: usize = 32;

/// The state of one customer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Customer {
    /// The subject's id.
    pub id: String,
    /// +1 after an erase.
    pub incarnation: u32,
    /// `seq` of the last change.
    pub seq: u64,
    /// Revision of the rules that the published values come from.
    pub rules_revision: u32,
    /// When the customer was first heard of.
    pub first_seen_at: Timestamp,
    /// Of a visitor, when it was last heard of; of others [`Timestamp::MIN`].
    pub heard_at: Timestamp,
    /// The instant that the raw values were last computed for.
    pub evaluated_at: Timestamp,
    /// The first instant at which time alone changes something; [`Timestamp::MAX`] = never.
    pub deadline: Timestamp,
    /// Published values, by [`Dimension::place`].
    pub published: [Published; dimension::COUNT],
    /// Audiences that the customer is in or has been in, by number.
    pub audiences: Vec<InAudience>,
    /// How often which value was entered, ordered by (dimension, value).
    pub entries: Vec<Entries>,
    /// [`crate::domain::id::event_hash`]es of recent events that nothing else remembers, oldest
    /// first.
    pub recent_events: Vec<u64>,
    /// Orders and subscriptions.
    pub book: OrderBook,
    /// What was counted of them.
    pub counted: Counted,
    /// Signs of consideration and advocacy; most buyers of imported histories have none.
    pub signals: Option<Box<Signals>>,
    /// Interactions and their score.
    pub interactions: Option<Box<Interactions>>,
    /// Categories and channels.
    pub preferences: Option<Box<Preferences>>,
    /// Costs and touches.
    pub spending: Option<Box<Spending>>,
    /// Answers to surveys.
    pub surveys: Option<Box<Surveys>>,
    /// Qualification of a sale to a company.
    pub meddic: Option<Box<Meddic>>,
    /// What the customer is like.
    pub traits: Option<Box<Traits>>,
    /// What the customer permits.
    pub consent: Option<Box<Consent>>,
    /// Whom the subject is tied to.
    pub ties: Option<Box<Ties>>,
    /// Of an account, the people who act for it.
    pub contacts: Option<Box<Contacts>>,
}

/// What is told of a customer and an audience.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InAudience {
    /// Number of the audience.
    pub number: u8,
    /// Whether its rule holds, told or not.
    pub raw: bool,
    /// What is told.
    pub published: Published,
}

impl Customer {
    /// A customer first heard of at `at`.
    #[must_use]
    pub fn new(id: &str, at: Timestamp, rules_revision: u32) -> Self {
        let mut customer = Self::default();
        customer.renew(id, at, rules_revision);
        customer
    }

    /// Makes this a customer first heard of at `at`, in the memory that the one before held.
    pub fn renew(&mut self, id: &str, at: Timestamp, rules_revision: u32) {
        let initial = Published { since: at, ..Published::default() };
        self.id.clear();
        self.id.push_str(id);
        (self.incarnation, self.seq, self.rules_revision) = (0, 0, rules_revision);
        (self.first_seen_at, self.evaluated_at, self.deadline) = (at, at, Timestamp::MAX);
        self.published = [initial; dimension::COUNT];
        self.audiences.clear();
        self.entries.clear();
        self.recent_events.clear();
        self.book.orders.clear();
        self.counted.forget();
        (self.book.rare, self.signals, self.interactions) = (None, None, None);
        (self.preferences, self.spending, self.surveys) = (None, None, None);
        (self.meddic, self.traits, self.consent) = (None, None, None);
        (self.ties, self.contacts) = (None, None);
        self.heard_at = Timestamp::MIN;
        self.hear(at);
    }

    /// Remembers when a visitor was heard of; of others that is not kept.
    pub fn hear(&mut self, at: Timestamp) {
        if Subject::of(&self.id) == Subject::Visitor {
            self.heard_at = self.heard_at.max(at);
        }
    }

    /// When a visitor of whom nothing more is heard is forgotten; [`Timestamp::MAX`] = never.
    #[must_use]
    pub fn forget_at(&self, keep_ms: i64) -> Timestamp {
        match Subject::of(&self.id) {
            Subject::Visitor => self.heard_at.plus_ms(keep_ms),
            Subject::Customer | Subject::Account => Timestamp::MAX,
        }
    }

    /// Whether no event has left anything behind.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.recent_events.is_empty() && self.book.orders.is_empty() && self.book.rare.is_none()
    }

    /// Makes this known since `at`: so are values that never changed.
    pub fn known_since(&mut self, at: Timestamp) {
        if at == self.first_seen_at {
            return;
        }
        let known = self.initial();
        self.first_seen_at = at;
        let initial = self.initial();
        let audiences = self.audiences.iter_mut().map(|audience| &mut audience.published);
        for published in self.published.iter_mut().chain(audiences) {
            if *published == known {
                *published = initial;
            }
        }
    }

    /// The first event of its own: what others told of it before says neither since when it is
    /// known nor, as long as nothing came of it, until when it was judged.
    pub fn begin(&mut self, at: Timestamp) {
        let known = self.initial();
        let mut published =
            self.published.iter().chain(self.audiences.iter().map(|it| &it.published));
        let is_untouched = published.all(|published| *published == known)
            && !self.audiences.iter().any(|audience| audience.raw);
        if self.seq == 0 && is_untouched {
            self.evaluated_at = self.evaluated_at.min(at);
        }
        self.known_since(at);
    }

    /// Remembers the id of an event; the oldest one falls out.
    pub fn remember_event(&mut self, event_id_hash: u64) {
        if self.recent_events.len() == MAX_RECENT_EVENTS {
            self.recent_events.remove(0);
        }
        self.recent_events.push(event_id_hash);
    }

    /// Counts an entry into a value; returns how many there were, this one included.
    pub fn enter(&mut self, dimension: Dimension, value: u8) -> u32 {
        let place = self
            .entries
            .binary_search_by_key(&(dimension, value), |entry| (entry.dimension, entry.value));
        match place {
            Ok(place) => {
                let count = &mut self.entries[place].count;
                *count = count.saturating_add(1);
                *count
            }
            Err(place) => {
                self.entries.insert(place, Entries { dimension, value, count: 1 });
                1
            }
        }
    }

    /// What is published of a dimension.
    #[must_use]
    pub fn published(&self, dimension: Dimension) -> Published {
        match dimension.place() {
            Place::BuiltIn(place) => self.published[place],
            Place::Audience(number) => {
                self.audience(number).map_or_else(|| self.initial(), |it| it.published)
            }
        }
    }

    /// What is published before there is evidence.
    #[must_use]
    pub fn initial(&self) -> Published {
        Published { since: self.first_seen_at, ..Published::default() }
    }

    /// Forgets what a packed customer does not say: so it is the same, read again or not.
    pub fn forget_trifles(&mut self) {
        let initial = self.initial();
        self.audiences.retain(|audience| audience.raw || audience.published != initial);
        if self.deadline != Timestamp::MAX {
            let after_ms = self.deadline.since(self.evaluated_at).max(0);
            self.deadline = self.evaluated_at.plus_ms(after_ms);
        }
    }

    /// What is told of an audience; `None` when the customer never was in it.
    #[must_use]
    pub fn audience(&self, number: u8) -> Option<&InAudience> {
        let place = self.audiences.binary_search_by_key(&number, |it| it.number).ok()?;
        Some(&self.audiences[place])
    }

    /// The same to be changed, made where there is none.
    pub fn audience_mut(&mut self, number: u8) -> &mut InAudience {
        let place = match self.audiences.binary_search_by_key(&number, |it| it.number) {
            Ok(place) => place,
            Err(place) => {
                let published = self.initial();
                self.audiences.insert(place, InAudience { number, raw: false, published });
                place
            }
        };
        &mut self.audiences[place]
    }

    /// What is published of a dimension, to be changed.
    pub fn published_mut(&mut self, dimension: Dimension) -> &mut Published {
        match dimension.place() {
            Place::BuiltIn(place) => &mut self.published[place],
            Place::Audience(number) => &mut self.audience_mut(number).published,
        }
    }

    /// Whether a dimension is not in its initial value.
    #[must_use]
    pub fn has_segments(&self) -> bool {
        let audiences = self.audiences.iter().map(|audience| &audience.published);
        self.published.iter().chain(audiences).any(|it| it.value != dimension::INITIAL)
    }

    /// Whether a dimension ever took a value.
    #[must_use]
    pub fn has_moved(&self, dimension: Dimension) -> bool {
        self.entries.iter().any(|entry| entry.dimension == dimension)
    }

    /// How often a value was entered.
    #[must_use]
    pub fn entered(&self, dimension: Dimension, value: u8) -> u32 {
        self.entries
            .iter()
            .find(|entry| entry.dimension == dimension && entry.value == value)
            .map_or(0, |entry| entry.count)
    }
}
