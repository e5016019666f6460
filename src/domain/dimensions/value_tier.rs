//! The `value_tier` dimension: how much a customer is worth, by cut points on the financial value.
//!
//! Financial value = net revenue of a lifetime less marketing, service and acquisition costs.
//! Time alone changes nothing. Next: `facts/spending.rs`, the costs.

use crate::domain::change::{Direction, Evidence, Number};
use crate::domain::dimensions::lifecycle::orders;
use crate::domain::dimensions::view::{View, direction_by_rank};
use crate::domain::raw::Measured;

/// The names that are published, by the value that is stored.
pub const NAMES: [&str; 5] = ["none", "low", "medium", "high", "top"];

/// What decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Measure {
    /// The value.
    pub value: u8,
    /// Net revenue less all costs, minor units of the base currency.
    pub financial_value_minor: i64,
}

/// Measures a customer; without a counting order there is no tier.
#[must_use]
pub fn measure(view: &View<'_>) -> Measure {
    let costs_minor = view.customer.spending.as_ref().map_or(0, |spending| spending.total_minor());
    let financial_value_minor = view.facts.net_minor.saturating_sub(costs_minor);
    let edges = &view.thresholds.value_tier_minor;
    let above = edges.iter().filter(|edge| financial_value_minor > **edge).count();
    let tier = u8::try_from(above).unwrap_or(u8::MAX) + 1;
    Measure { value: if view.facts.orders == 0 { 0 } else { tier }, financial_value_minor }
}

/// The numbers behind a value.
#[must_use]
pub fn evidence(view: &View<'_>, before: &Measured, after: &Measured) -> Vec<Evidence> {
    let edges = &view.thresholds.value_tier_minor;
    let (old, new) = (&before.value_tier, &after.value_tier);
    if new.value == 0 {
        return vec![orders("<", 1, before, after)];
    }
    // The edge that was crossed last, seen from where the customer was.
    let tier = usize::from(new.value);
    let (op, edge) =
        if tier >= 2 && new.value >= old.value { (">", tier - 2) } else { ("<=", tier - 1) };
    vec![Evidence {
        name: "financial_value_minor",
        op,
        threshold: edges.get(edge).map_or(Number::None, |edge| Number::Integer(*edge)),
        before: Number::Integer(old.financial_value_minor),
        after: Number::Integer(new.financial_value_minor),
    }]
}

/// Which way a customer went from one value to another.
#[must_use]
pub fn direction(from: u8, to: u8) -> Direction {
    direction_by_rank(from, to)
}
