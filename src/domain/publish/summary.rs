//! The one sentence of a change: a pure function of it.
//!
//! Says what happened and what it means, never more than the change itself knows.

use crate::domain::change::{CauseKind, Change, Number};
use crate::domain::raw::Measured;
use crate::domain::time::DAY_MS;
use std::fmt::{self, Write};

const NO_SUBSCRIPTION: &str = "no subscription runs any more";

/// The sentence, such as `no order for 180 days, usual gap 61: now at risk`.
#[must_use]
pub fn summary(change: &Change, after: &Measured) -> String {
    let mut text = String::with_capacity(80);
    match change.cause.kind {
        CauseKind::Timer | CauseKind::Dwell => silence(change, after, &mut text),
        CauseKind::Refund => text.push_str("after a refund or cancellation"),
        CauseKind::LateEvent => {
            text.push_str("a late event, ");
            occasion(change, &mut text);
        }
        CauseKind::Baseline => text.push_str("first assessment"),
        _ => occasion(change, &mut text),
    }
    text.push_str(": now ");
    for (index, word) in change.current.as_deref().unwrap_or("closed").split('_').enumerate() {
        if index > 0 {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

fn silence(change: &Change, after: &Measured, text: &mut String) {
    let sign = change.evidence.first();
    // R counts from the last order that counts, the lifecycle from the last one not cancelled.
    let last_at = match sign.map(|sign| (sign.name, sign.op)) {
        Some(("days_since_consideration", _)) => {
            let days = sign.map_or(Whole(&Number::None), |sign| Whole(&sign.threshold));
            return say(text, format_args!("no sign of interest for {days} days"));
        }
        Some(("frequency" | "monetary_minor", _)) => {
            return text.push_str("orders have left the window");
        }
        Some(("running_subscriptions", "<")) => return text.push_str(NO_SUBSCRIPTION),
        Some(("recency_days", _)) => after.facts.last_counting_at,
        Some(("days_since_order", ">")) | None => after.facts.last_activity_at,
        Some(_) => {
            let previous = change.previous.as_deref().unwrap_or("it");
            return say(text, format_args!("no new sign of {previous}"));
        }
    };
    let Some(last_at) = last_at else { return text.push_str("nothing happened") };
    let days = after.at.since(last_at) / DAY_MS;
    say(text, format_args!("no order for {days} days"));
    if let Some(gap) = change.facts.expected_gap_days {
        say(text, format_args!(", usual gap {gap:.0}"));
    }
}

fn occasion(change: &Change, text: &mut String) {
    let Some(sign) = change.evidence.first() else { return text.push_str("after an event") };
    let after = Whole(&sign.after);
    match sign.name {
        // The order is of this moment, so that what was measured before it is the gap to it.
        "recency_days" if sign.op == "<=" && sign.after == Number::Integer(0) => {
            say(text, format_args!("ordered again after {} days", Whole(&sign.before)));
        }
        "recency_days" | "days_since_order" => {
            say(text, format_args!("last order {after} days ago"));
        }
        "frequency" => say(text, format_args!("{after} orders in the window")),
        "monetary_minor" => say(text, format_args!("worth {} in the window", Amount(&sign.after))),
        "orders" => match sign.after {
            Number::Integer(0) => text.push_str("no order counts"),
            Number::Integer(1) => text.push_str("first order"),
            _ => say(text, format_args!("{after} orders")),
        },
        "nps" => say(text, format_args!("would recommend us, {after} of 10")),
        "days_since_referral" => text.push_str("won somebody for us"),
        "days_since_praise" => text.push_str("praised us in public"),
        "days_since_consideration" => text.push_str("shows interest"),
        "running_subscriptions" if sign.op == "<" => text.push_str(NO_SUBSCRIPTION),
        "running_subscriptions" => text.push_str("a subscription runs"),
        _ => text.push_str("after an event"),
    }
}

#[expect(clippy::expect_used, reason = "a string takes everything")]
fn say(text: &mut String, words: fmt::Arguments<'_>) {
    text.write_fmt(words).expect("written to a string");
}

/// A number without decimals.
struct Whole<'a>(&'a Number);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Number::Integer(number) => number.fmt(formatter),
            Number::Decimal(number) => write!(formatter, "{number:.0}"),
            Number::Text(text) => formatter.write_str(text),
            Number::None => formatter.write_str("some"),
        }
    }
}

/// Minor units as major ones.
struct Amount<'a>(&'a Number);

impl fmt::Display for Amount<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Number::Integer(minor) => write!(formatter, "{}.{:02}", minor / 100, minor.abs() % 100),
            Number::Decimal(_) | Number::Text(_) | Number::None => formatter.write_str("more"),
        }
    }
}
