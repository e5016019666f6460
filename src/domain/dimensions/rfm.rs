//! The `rfm` dimension: recency, frequency and monetary scores, looked up in a map.
//!
//! Scores are compared strictly (`value > edge`) in integer milliseconds or minor units, so
//! equal values always get the equal score. Next: `rfm_map.rs`, cells to names.

use crate::domain::change::{Evidence, Number, Scores, in_days};
use crate::domain::dimensions::lifecycle::orders;
use crate::domain::dimensions::view::View;
use crate::domain::facts::order_book::OrderBook;
use crate::domain::facts::order_facts::OrderFacts;
use crate::domain::money::ExchangeRates;
use crate::domain::raw::Measured;
use crate::domain::rules::{Monetary, RfmRules};
use crate::domain::time::{DAY_MS, Timestamp};
use std::iter::Peekable;

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

/// Counts within a sliding window: all counting orders less those that have left it, in time
/// order.
struct Window<'a, I: Iterator<Item = (Timestamp, i64)>> {
    leaving: Peekable<I>,
    frequency: u64,
    sum_minor: i64,
    last_at: Timestamp,
    rules: &'a RfmRules,
}

fn window<'a>(
    book: &'a OrderBook,
    facts: &OrderFacts,
    rates: &'a ExchangeRates,
    rules: &'a RfmRules,
    at: Timestamp,
) -> Option<Window<'a, impl Iterator<Item = (Timestamp, i64)>>> {
    let last_at = facts.last_counting_at?;
    let (mut frequency, mut sum_minor) = (facts.orders, facts.net_minor);
    if let (Some(rare), Some(_)) = (&book.rare, rules.window_ms) {
        frequency -= rare.before.orders;
        sum_minor -= rare.before.net_minor;
    }
    let leaving = book.counting(rates).peekable();
    let mut window = Window { leaving, frequency, sum_minor, last_at, rules };
    window.advance(at);
    Some(window)
}

impl<I: Iterator<Item = (Timestamp, i64)>> Window<'_, I> {
    fn advance(&mut self, at: Timestamp) {
        let Some(window_ms) = self.rules.window_ms else { return };
        while let Some((_, net_minor)) =
            self.leaving.next_if(|(order_at, _)| at.since(*order_at) > window_ms)
        {
            self.frequency -= 1;
            self.sum_minor -= net_minor;
        }
    }

    fn next_exit(&mut self) -> Option<Timestamp> {
        let window_ms = self.rules.window_ms?;
        let (order_at, _) = self.leaving.peek()?;
        Some(order_at.plus_ms(window_ms + 1))
    }

    fn measures(&self, at: Timestamp) -> Measures {
        let monetary_minor = match self.rules.monetary {
            Monetary::Sum => self.sum_minor,
            Monetary::Average => i64::try_from(self.frequency)
                .ok()
                .filter(|count| *count > 0)
                .map_or(0, |count| self.sum_minor / count),
        };
        Measures {
            recency_ms: at.since(self.last_at).max(0),
            frequency: self.frequency,
            monetary_minor,
        }
    }

    /// The first edge of recency that is crossed after `after`.
    fn next_edge(&self, after: Timestamp) -> Option<Timestamp> {
        self.rules
            .recency_days
            .iter()
            .map(|days| self.last_at.plus_ms(days * DAY_MS + 1))
            .find(|edge_at| *edge_at > after)
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
    Some(window(book, facts, rates, rules, at)?.measures(at))
}

/// The scores of measures.
#[must_use]
pub fn scores(measures: &Measures, rules: &RfmRules) -> Scores {
    let (f, m) = value_scores(measures, rules);
    Scores {
        r: recency_score(measures.recency_ms, rules),
        f,
        m,
        frequency: measures.frequency,
        monetary_minor: measures.monetary_minor,
        cuts: "config",
    }
}

fn recency_score(recency_ms: i64, rules: &RfmRules) -> u8 {
    rules.map.levels() - edges_below(&rules.recency_days, |days| recency_ms > days * DAY_MS)
}

/// F and M.
fn value_scores(measures: &Measures, rules: &RfmRules) -> (u8, u8) {
    let frequency = i64::try_from(measures.frequency).unwrap_or(i64::MAX);
    let f = 1 + edges_below(&rules.frequency, |edge| frequency > edge);
    let m = 1 + edges_below(&rules.monetary_minor, |edge| measures.monetary_minor > edge);
    (f, m)
}

/// How many edges lie below a value; they do not decrease.
fn edges_below(edges: &[i64], below: impl Fn(i64) -> bool) -> u8 {
    u8::try_from(edges.iter().take_while(|edge| below(**edge)).count()).unwrap_or(u8::MAX)
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
    let mut window = window(book, facts, rates, rules, after)?;
    let mut scores = scores(&window.measures(after), rules);
    let present = value(&scores, rules);
    let mut edge = window.next_edge(after);
    loop {
        let exit = window.next_exit();
        let at = edge.into_iter().chain(exit).min()?;
        if edge == Some(at) {
            edge = window.next_edge(at);
            scores.r = recency_score(at.since(window.last_at), rules);
        }
        if exit == Some(at) {
            window.advance(at);
            (scores.f, scores.m) = value_scores(&window.measures(at), rules);
        }
        let then = value(&scores, rules);
        if then != present {
            return Some((at, then));
        }
    }
}

/// The numbers behind a value.
#[must_use]
pub fn evidence(view: &View<'_>, before: &Measured, after: &Measured) -> Vec<Evidence> {
    let rules = &view.thresholds.rfm;
    let (Some(old), Some(new)) = (&before.rfm, &after.rfm) else {
        let op = if after.rfm.is_some() { ">=" } else { "<" };
        return vec![orders(op, 1, before, after)];
    };
    let days = |edge: i64| edge.saturating_mul(DAY_MS);
    let mut evidence = Vec::new();
    let silence = |(op, edge): (&'static str, i64)| Evidence {
        name: "recency_days",
        op,
        threshold: Number::Integer(edge),
        before: in_days(old.recency_ms),
        after: in_days(new.recency_ms),
    };
    let recency = crossed(&rules.recency_days, days, old.recency_ms, new.recency_ms);
    evidence.extend(recency.map(silence));
    let frequencies = [old.frequency, new.frequency].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    let measures = [
        ("frequency", &rules.frequency, frequencies),
        ("monetary_minor", &rules.monetary_minor, [old.monetary_minor, new.monetary_minor]),
    ];
    for (name, edges, [old, new]) in measures {
        if let Some((op, edge)) = crossed(edges, |edge| edge, old, new) {
            evidence.push(Evidence {
                name,
                op,
                threshold: Number::Integer(edge),
                before: Number::Integer(old),
                after: Number::Integer(new),
            });
        }
    }
    if evidence.is_empty() {
        // Nothing was crossed in this instant: the value waited, or is told for the first time.
        let edges = &rules.recency_days;
        let above = usize::from(edges_below(edges, |edge| new.recency_ms > days(edge)));
        let last = above.checked_sub(1).and_then(|place| edges.get(place)).map(|it| (">", *it));
        evidence.extend(last.or(edges.first().map(|edge| ("<=", *edge))).map(silence));
    }
    evidence
}

/// The last edge that lies between two values, and on which side of it the new one is.
fn crossed(
    edges: &[i64],
    unit: impl Fn(i64) -> i64,
    old: i64,
    new: i64,
) -> Option<(&'static str, i64)> {
    let above = |value: i64| edges.iter().filter(|edge| value > unit(**edge)).count();
    match above(old).cmp(&above(new)) {
        std::cmp::Ordering::Less => Some((">", edges[above(new) - 1])),
        std::cmp::Ordering::Greater => Some(("<=", edges[above(new)])),
        std::cmp::Ordering::Equal => None,
    }
}
