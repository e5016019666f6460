//! A customer as others see them.
//!
//! Computed from the state and the rules for an instant; stores nothing.

use crate::domain::change::{Number, Profile, ProfileDimension};
use crate::domain::customer::Customer;
use crate::domain::dimension::Dimension;
use crate::domain::evaluate::{holdout, next_change};
use crate::domain::evidence::in_days;
use crate::domain::raw::{next_changes, raw};
use crate::domain::rules::Rules;
use crate::domain::time::Timestamp;

/// The profile of a customer as of `at`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "whole days; far below 2^52")]
pub fn profile(customer: &Customer, rules: &Rules, at: Timestamp) -> Profile {
    let present = raw(customer, rules, at);
    let next = next_changes(customer, &present, rules);
    let recency = present.measured.rfm.map(|measures| in_days(measures.recency_ms));
    Profile {
        customer_id: customer.id.clone(),
        seq: customer.seq,
        as_of: at,
        dimensions: Dimension::ALL
            .iter()
            .map(|dimension| {
                let published = customer.published[dimension.index()];
                let raw = present.values[dimension.index()];
                ProfileDimension {
                    name: dimension.name().into(),
                    value: dimension.value_name(published.value, rules),
                    raw: dimension.value_name(raw, rules),
                    since: Some(published.since),
                }
            })
            .collect(),
        scores: present.scores,
        facts: present.measured.facts.written(&customer.book, &rules.gap, at),
        recency_days: recency.and_then(|recency| match recency {
            Number::Integer(days) => Some(days as f64),
            Number::Decimal(days) => Some(days),
            Number::None => None,
        }),
        next: Dimension::ALL
            .into_iter()
            .filter_map(|dimension| {
                let (at, value) = next[dimension.index()]?;
                Some(next_change(at, dimension, value, rules))
            })
            .collect(),
        holdout: holdout(&customer.id),
        traits: Vec::new(),
        consent: Vec::new(),
    }
}
