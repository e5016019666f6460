//! The `rfm` dimension: recency, frequency and monetary scores, looked up in a map.
//!
//! Scores are compared strictly (`value > edge`) in integer milliseconds or minor units, so
//! equal values always get the equal score. Next: `rfm_map.rs`, cells to names.

use crate::domain::change::Scores;
use crate::domain::money::ExchangeRates;
use crate::domain::order_book::OrderBook;
use crate::domain::order_facts::OrderFacts;
use crate::domain::rules::{Monetary, RfmRules};
use crate::domain::time::{DAY_MS, Timestamp};

/// The raw value `none`: no counting order at all.
pub const NONE: u8 = 0;

/// What the three scores measure, at an instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measures {
    /// Milliseconds since the last counting order.
    pub recency_ms: i64,
    /// Counting orders within the window.
    pub frequency: u64,
    /// Sum or average of their net amounts, minor units.
    pub monetary_minor: i64,
}

/// Counts within a sliding window over counting orders in time order.
struct Window<'a> {
    orders: Vec<(Timestamp, i64)>,
    begin: usize,
    sum_minor: i64,
    last_at: Timestamp,
    rules: &'a RfmRules,
}

impl<'a> Window<'a> {
    fn new(
        book: &OrderBook,
        facts: &OrderFacts,
        rates: &ExchangeRates,
        rules: &'a RfmRules,
    ) -> Option<Self> {
        let last_at = facts.last_counting_at?;
        let mut orders = Vec::with_capacity(book.orders.len());
        let mut sum_minor = 0_i64;
        if let Some(rare) = &book.rare {
            if rules.window_ms.is_none() && rare.before.orders > 0 {
                sum_minor = rare.before.net_minor;
            }
            let evicted = rare.evicted.iter().filter(|order| order.net_minor > 0);
            orders.extend(evicted.map(|order| (order.day.start(), order.net_minor)));
        }
        for order in &book.orders {
            let net_minor = order.net_minor(rates);
            if net_minor > 0 {
                orders.push((order.base.at, net_minor));
            }
        }
        sum_minor += orders.iter().map(|(_, net_minor)| net_minor).sum::<i64>();
        Some(Self { orders, begin: 0, sum_minor, last_at, rules })
    }

    fn advance(&mut self, at: Timestamp) {
        let Some(window_ms) = self.rules.window_ms else { return };
        while let Some((order_at, net_minor)) = self.orders.get(self.begin) {
            if at.since(*order_at) <= window_ms {
                break;
            }
            self.sum_minor -= net_minor;
            self.begin += 1;
        }
    }

    fn next_exit(&self) -> Option<Timestamp> {
        let window_ms = self.rules.window_ms?;
        let (order_at, _) = self.orders.get(self.begin)?;
        Some(order_at.plus_ms(window_ms + 1))
    }

    fn measures(&self, book: &OrderBook, at: Timestamp) -> Measures {
        let before = match (&book.rare, self.rules.window_ms) {
            (Some(rare), None) => rare.before.orders,
            _ => 0,
        };
        let frequency = before + (self.orders.len() - self.begin) as u64;
        let monetary_minor = match self.rules.monetary {
            Monetary::Sum => self.sum_minor,
            Monetary::Average => i64::try_from(frequency)
                .ok()
                .filter(|count| *count > 0)
                .map_or(0, |count| self.sum_minor / count),
        };
        Measures { recency_ms: at.since(self.last_at).max(0), frequency, monetary_minor }
    }
}

/// The measures at `at`; `None` without any counting order.
#[must_use]
pub fn measures(
    book: &OrderBook,
    facts: &OrderFacts,
    rates: &ExchangeRates,
    rules: &RfmRules,
    at: Timestamp,
) -> Option<Measures> {
    let mut window = Window::new(book, facts, rates, rules)?;
    window.advance(at);
    Some(window.measures(book, at))
}

/// The scores of measures.
#[must_use]
pub fn scores(measures: &Measures, rules: &RfmRules) -> Scores {
    let levels = rules.map.levels();
    let frequency = i64::try_from(measures.frequency).unwrap_or(i64::MAX);
    let late = rules.recency_days.iter().filter(|days| measures.recency_ms > **days * DAY_MS);
    Scores {
        r: levels - count(late),
        f: 1 + count(rules.frequency.iter().filter(|edge| frequency > **edge)),
        m: 1 + count(rules.monetary_minor.iter().filter(|edge| measures.monetary_minor > **edge)),
        frequency: measures.frequency,
        monetary_minor: measures.monetary_minor,
        cuts: "config",
    }
}

fn count<T>(edges: impl Iterator<Item = T>) -> u8 {
    u8::try_from(edges.count()).unwrap_or(u8::MAX)
}

/// The raw value of scores: 1 + the index into the map's values.
#[must_use]
pub fn value(scores: &Scores, rules: &RfmRules) -> u8 {
    1 + rules.map.look_up(scores.r, scores.f, scores.m)
}

/// The next instant after `after` at which time alone changes the raw value, and that value.
#[must_use]
pub fn next_change(
    book: &OrderBook,
    facts: &OrderFacts,
    rates: &ExchangeRates,
    rules: &RfmRules,
    after: Timestamp,
) -> Option<(Timestamp, u8)> {
    let mut window = Window::new(book, facts, rates, rules)?;
    window.advance(after);
    let present = value(&scores(&window.measures(book, after), rules), rules);
    let mut edges = rules
        .recency_days
        .iter()
        .map(|days| window.last_at.plus_ms(days * DAY_MS + 1))
        .filter(|edge_at| *edge_at > after)
        .collect::<Vec<_>>()
        .into_iter()
        .peekable();
    loop {
        let at = match (edges.peek(), window.next_exit()) {
            (Some(edge), Some(exit)) => (*edge).min(exit),
            (Some(edge), None) => *edge,
            (None, Some(exit)) => exit,
            (None, None) => return None,
        };
        while edges.next_if(|edge| *edge <= at).is_some() {}
        window.advance(at);
        let then = value(&scores(&window.measures(book, at), rules), rules);
        if then != present {
            return Some((at, then));
        }
    }
}
