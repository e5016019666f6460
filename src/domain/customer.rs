//! Everything remembered about one customer.
//!
//! A plain value: cloned, compared, packed (`pack.rs`). What happens to it is in `apply.rs`.

use crate::domain::dimension::{self, Dimension, Entries, Published};
use crate::domain::order_book::OrderBook;
use crate::domain::signals::Signals;
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
    /// The instant that the raw values were last computed for.
    pub evaluated_at: Timestamp,
    /// The first instant at which time alone changes something; [`Timestamp::MAX`] = never.
    pub deadline: Timestamp,
    /// Published values, by [`Dimension::index`].
    pub published: [Published; dimension::COUNT],
    /// How often which value was entered, ordered by (dimension, value).
    pub entries: Vec<Entries>,
    /// Hashes of the ids of recent events that nothing else remembers, oldest first.
    pub recent_events: Vec<u64>,
    /// Orders and subscriptions.
    pub book: OrderBook,
    /// Signs from interactions; most buyers of imported histories have none.
    pub signals: Option<Box<Signals>>,
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
        let initial = Published { value: dimension::INITIAL, since: at, seq: 0 };
        self.id.clear();
        self.id.push_str(id);
        (self.incarnation, self.seq, self.rules_revision) = (0, 0, rules_revision);
        (self.evaluated_at, self.deadline) = (at, Timestamp::MAX);
        self.published = [initial; dimension::COUNT];
        self.entries.clear();
        self.recent_events.clear();
        self.book.orders.clear();
        (self.book.rare, self.signals) = (None, None);
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

    /// How often a value was entered.
    #[must_use]
    pub fn entered(&self, dimension: Dimension, value: u8) -> u32 {
        self.entries
            .iter()
            .find(|entry| entry.dimension == dimension && entry.value == value)
            .map_or(0, |entry| entry.count)
    }
}
