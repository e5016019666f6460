//! What a dimension sees of a customer, and how it looks ahead.
//!
//! Next: `activity.rs`, the plainest of the dimensions.

use crate::domain::change::Direction;
use crate::domain::customer::Customer;
use crate::domain::facts::order_facts::OrderFacts;
use crate::domain::rules::{Rules, Thresholds};
use crate::domain::time::Timestamp;
use std::cmp::Ordering;

/// A customer, the rules for it, and what is counted from its orders.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The customer.
    pub customer: &'a Customer,
    /// The rules.
    pub rules: &'a Rules,
    /// Those of them that hold for this customer.
    pub thresholds: &'a Thresholds,
    /// Counts over all orders.
    pub facts: OrderFacts,
}

impl<'a> View<'a> {
    /// Looks at a customer at an instant, which decides by which thresholds.
    #[must_use]
    pub fn new(customer: &'a Customer, rules: &'a Rules, at: Timestamp) -> Self {
        Self::of(customer, rules, customer.counted.get(&customer.book, &rules.rates), at)
    }

    /// Looks at a customer whose orders have been counted.
    #[must_use]
    pub fn of(customer: &'a Customer, rules: &'a Rules, facts: OrderFacts, at: Timestamp) -> Self {
        let mut view = Self { customer, rules, thresholds: &rules.thresholds, facts };
        let first = rules.when.iter().find(|when| when.condition.holds_of_texts(&view, at));
        if let Some(when) = first {
            view.thresholds = &when.thresholds;
        }
        view
    }
}

/// Goes from boundary to boundary until the value differs from `present`: when, and to which.
/// `next_boundary` is the first instant after its argument at which the value may differ.
#[must_use]
pub fn walk(
    after: Timestamp,
    present: u8,
    next_boundary: impl Fn(Timestamp) -> Option<Timestamp>,
    value_at: impl Fn(Timestamp) -> u8,
) -> Option<(Timestamp, u8)> {
    let mut at = after;
    loop {
        at = next_boundary(at)?;
        let value = value_at(at);
        if value != present {
            return Some((at, value));
        }
    }
}

/// Which way it is from one rank to another.
#[must_use]
pub fn direction_by_rank<T: Ord + Copy>(from: T, to: T) -> Direction {
    match to.cmp(&from) {
        Ordering::Greater => Direction::Up,
        Ordering::Less => Direction::Down,
        Ordering::Equal => Direction::Lateral,
    }
}
