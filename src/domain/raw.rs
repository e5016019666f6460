//! Raw values: a pure function of facts, rules and an instant.
//!
//! What was published before plays no part here. Next: `evaluate.rs`, which compares.

use crate::domain::change::Scores;
use crate::domain::customer::Customer;
use crate::domain::dimension::{self, Dimension, stage};
use crate::domain::lifecycle::{self, Decider};
use crate::domain::order_facts::{OrderFacts, running};
use crate::domain::rfm::{self, Measures};
use crate::domain::rules::Rules;
use crate::domain::time::Timestamp;

/// What the dimensions rest on at an instant.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// The instant.
    pub at: Timestamp,
    /// Counts over all orders.
    pub facts: OrderFacts,
    /// What R, F and M measure; `None` without a counting order.
    pub rfm: Option<Measures>,
    /// Subscriptions that run.
    pub subscriptions: u32,
}

/// The raw values of all dimensions at an instant, and the numbers behind them.
#[derive(Clone, Copy, Debug)]
pub struct Raw {
    /// The numbers.
    pub measured: Measured,
    /// RFM scores; `None` without a counting order.
    pub scores: Option<Scores>,
    /// What decided the lifecycle stage.
    pub decider: Decider,
    /// The values, by [`Dimension::index`].
    pub values: [u8; dimension::COUNT],
}

/// Measures a customer at an instant.
#[must_use]
pub fn measure(customer: &Customer, rules: &Rules, at: Timestamp) -> Measured {
    let facts = OrderFacts::of(&customer.book, &rules.rates);
    let rfm = rfm::measures(&customer.book, &facts, &rules.rates, &rules.rfm, at);
    let subscriptions = running(&customer.book, &rules.gap, at);
    Measured { at, facts, rfm, subscriptions }
}

/// Computes the raw values of a customer at an instant.
#[must_use]
pub fn raw(customer: &Customer, rules: &Rules, at: Timestamp) -> Raw {
    let measured = measure(customer, rules, at);
    let scores = measured.rfm.map(|measures| rfm::scores(&measures, &rules.rfm));
    let (stage, decider) =
        lifecycle::raw(&customer.book, &measured.facts, customer.signals.as_deref(), rules, at);
    let rfm = scores.map_or(rfm::NONE, |scores| rfm::value(&scores, &rules.rfm));
    Raw { measured, scores, decider, values: [rfm, stage as u8] }
}

/// For each dimension the next instant after `present` at which time alone changes its raw value,
/// and that value.
#[must_use]
pub fn next_changes(
    customer: &Customer,
    present: &Raw,
    rules: &Rules,
) -> [Option<(Timestamp, u8)>; dimension::COUNT] {
    let Measured { at, facts, .. } = &present.measured;
    let mut next = [None; dimension::COUNT];
    next[Dimension::Rfm.index()] = present.scores.and_then(|scores| {
        rfm::next_change(&customer.book, facts, &rules.rates, &rules.rfm, *at, scores)
    });
    let stage = stage(present.values[Dimension::Lifecycle.index()]);
    let signals = customer.signals.as_deref();
    next[Dimension::Lifecycle.index()] =
        lifecycle::next_change(&customer.book, facts, signals, rules, *at, stage)
            .map(|(at, stage)| (at, stage as u8));
    next
}
