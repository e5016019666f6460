//! Revenue as it is earned: an order at once, a subscription's term in equal parts, one a day.
//!
//! The part of day k of a term of n days, from 0, is earned k days after its order; parts differ
//! by rounding only and add up to the net amount. Of orders that are no longer kept exactly the
//! first part is earned at the beginning of their day.
//! Next: `dimensions/value_mode.rs`, which compares windows.

use crate::domain::facts::order_book::OrderBook;
use crate::domain::money::ExchangeRates;
use crate::domain::time::{DAY_MS, Timestamp};

/// The net amount of a counting order, and over how many days it is earned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Earning {
    /// When the order was placed: the first part.
    pub at: Timestamp,
    /// All of it, above zero.
    pub net_minor: i64,
    /// How many parts, a day apart; from 1.
    pub parts: i64,
}

impl Earning {
    /// How many parts are earned by `until`, that instant included.
    #[must_use]
    pub const fn parts_until(&self, until: Timestamp) -> i64 {
        if until.0 < self.at.0 {
            return 0;
        }
        if self.parts == 1 {
            return 1;
        }
        let parts = until.since(self.at) / DAY_MS + 1;
        if parts < self.parts { parts } else { self.parts }
    }

    /// What is earned by `until`, that instant included.
    #[must_use]
    pub fn until(&self, until: Timestamp) -> i64 {
        let parts = self.parts_until(until);
        if parts == self.parts {
            return self.net_minor;
        }
        let product = i128::from(self.net_minor) * i128::from(parts) / i128::from(self.parts);
        i64::try_from(product).unwrap_or(i64::MAX)
    }

    /// The sum of the squares of so many parts.
    #[must_use]
    pub fn squares(&self, parts: i64) -> i128 {
        let (net, of) = (i128::from(self.net_minor), i128::from(self.parts));
        net * net * i128::from(parts) / (of * of)
    }

    /// The first instant after `after` at which a part is `age_ms` old.
    #[must_use]
    pub fn next_at_age(&self, age_ms: i64, after: Timestamp) -> Option<Timestamp> {
        let earned = self.parts_until(after.plus_ms(-age_ms));
        (earned < self.parts)
            .then(|| self.at.plus_ms(earned.saturating_mul(DAY_MS)).plus_ms(age_ms))
    }
}

/// What all counting orders earn, but for those that are only sums; in no order.
pub fn earnings<'a>(
    book: &'a OrderBook,
    rates: &'a ExchangeRates,
) -> impl Iterator<Item = Earning> + Clone + 'a {
    let older = book.evicted().iter().map(|order| Earning {
        at: order.day.start(),
        net_minor: order.net_minor,
        parts: order.term.map_or(1, |(_, days)| i64::from(days.max(1))),
    });
    let exact = book.orders.iter().map(|order| Earning {
        at: order.base.at,
        net_minor: order.net_minor(rates),
        parts: order.term.map_or(1, |term| i64::from(term.days.max(1))),
    });
    older.chain(exact).filter(|earning| earning.net_minor > 0)
}

/// What was earned later than `from` and by `until`.
#[must_use]
pub fn earned(book: &OrderBook, rates: &ExchangeRates, from: Timestamp, until: Timestamp) -> i64 {
    earnings(book, rates).map(|earning| earning.until(until) - earning.until(from)).sum()
}
