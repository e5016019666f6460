//! What stands between a raw value and the published one, so that nobody is told back and forth.
//!
//! A value stays for its dwell, and the value that was left is not taken again before the
//! cool-down is over; the first value ever taken waits for nothing. What waits is published by a
//! timer when its time has come and it still holds. Hysteresis is the affair of the dimension.
//! Next: `evaluate.rs`, which publishes.

use crate::domain::customer::Customer;
use crate::domain::dimension::Dimension;
use crate::domain::look_ahead::LookAhead;
use crate::domain::predicate::Reads;
use crate::domain::publish::consent::is_withheld;
use crate::domain::raw::Measured;
use crate::domain::rules::{AntiFlap, Rules};
use crate::domain::time::Timestamp;

/// When a customer's published value of a dimension may give way to `target`.
#[must_use]
pub fn allowed_at(
    customer: &Customer,
    dimension: Dimension,
    target: u8,
    rules: &Rules,
) -> Timestamp {
    let AntiFlap { dwell_ms, cool_down_ms } = rules.anti_flap(dimension);
    if (dwell_ms == 0 && cool_down_ms == 0) || !customer.has_moved(dimension) {
        return Timestamp::MIN;
    }
    let published = customer.published(dimension);
    let dwelt = published.since.plus_ms(dwell_ms);
    if cool_down_ms > 0 && published.left == target {
        return dwelt.max(published.since.plus_ms(cool_down_ms));
    }
    dwelt
}

/// The next change that time alone will publish, and the value; without a value the customer is
/// to be looked at again then.
#[must_use]
pub fn next_published(
    ahead: &mut LookAhead<'_>,
    dimension: Dimension,
    present: &Measured,
) -> Option<(Timestamp, Option<u8>)> {
    let view = ahead.view;
    // Time alone brings no consent.
    if is_withheld(view.customer, dimension, view.rules) {
        return None;
    }
    let published = view.customer.published(dimension).value;
    let allowed_at = |target: u8| allowed_at(view.customer, dimension, target, view.rules);
    let mut target = present.target(view, dimension, published);
    let mut measured = *present;
    let mut next = ahead.next_target(dimension, &measured, published);
    let mut later = *ahead;
    loop {
        if target != published {
            let allowed = allowed_at(target).max(measured.at);
            if next.is_none_or(|(then, _)| allowed < then) {
                return Some((allowed, Some(target)));
            }
        }
        let (at, value) = next?;
        if value == target {
            return Some((at, None));
        }
        if value != published && allowed_at(value) <= at {
            return Some((at, Some(value)));
        }
        let reads = match dimension {
            Dimension::Audience(number) => view.rules.audience(number)?.reads,
            _ => Reads::dimension(dimension),
        };
        measured = Measured::part(view, at, reads.dimensions());
        target = value;
        next = later.next_target(dimension, &measured, published);
    }
}
