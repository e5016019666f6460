//! What stands between a raw value and the published one, so that nobody is told back and forth.
//!
//! A value stays for its dwell, and the value that was left is not taken again before the
//! cool-down is over; the first value ever taken waits for nothing. What waits is published by a
//! timer when its time has come and it still holds. Hysteresis is the affair of the dimension.
//! Next: `evaluate.rs`, which publishes.

use crate::domain::customer::Customer;
use crate::domain::dimension::Dimension;
use crate::domain::dimensions::view::View;
use crate::domain::raw::{Measured, next_target};
use crate::domain::rules::Rules;
use crate::domain::time::Timestamp;

/// When a customer's published value of a dimension may give way to `target`.
#[must_use]
pub fn allowed_at(
    customer: &Customer,
    dimension: Dimension,
    target: u8,
    rules: &Rules,
) -> Timestamp {
    let rules = &rules.anti_flap[dimension.index()];
    let published = &customer.published[dimension.index()];
    if (rules.dwell_ms == 0 && rules.cool_down_ms == 0) || !customer.has_moved(dimension) {
        return Timestamp::MIN;
    }
    let dwelt = published.since.plus_ms(rules.dwell_ms);
    if rules.cool_down_ms > 0 && published.left == target {
        return dwelt.max(published.since.plus_ms(rules.cool_down_ms));
    }
    dwelt
}

/// The next change that time alone will publish, and the value.
#[must_use]
pub fn next_published(
    view: &View<'_>,
    dimension: Dimension,
    present: &Measured,
) -> Option<(Timestamp, u8)> {
    let published = view.customer.published[dimension.index()].value;
    let (mut at, mut target) = (present.at, present.target(dimension, published));
    loop {
        let next = next_target(view, dimension, at, target, published);
        if target != published {
            let allowed = allowed_at(view.customer, dimension, target, view.rules).max(at);
            if next.is_none_or(|(then, _)| allowed < then) {
                return Some((allowed, target));
            }
        }
        (at, target) = next?;
    }
}
