//! The one sentence of a change: a pure function of it.
//!
//! Says what happened and what it means, never more than the change itself knows.

use crate::domain::change::{CauseKind, Change, Number};
use crate::domain::raw::Raw;
use crate::domain::time::DAY_MS;

/// The sentence, such as `no order for 180 days, usual gap 61: now at risk`.
#[must_use]
pub fn summary(change: &Change, after: &Raw) -> String {
    let value = change.current.as_deref().unwrap_or("closed").replace('_', " ");
    let what = match change.cause.kind {
        CauseKind::Timer | CauseKind::Dwell => silence(change, after),
        CauseKind::Refund => "after a refund or cancellation".to_owned(),
        CauseKind::LateEvent => format!("a late event, {}", occasion(change)),
        CauseKind::Baseline => "first assessment".to_owned(),
        _ => occasion(change),
    };
    format!("{what}: now {value}")
}

fn silence(change: &Change, after: &Raw) -> String {
    let sign = change.evidence.first();
    match sign.map(|sign| sign.name) {
        Some("days_since_consideration") => {
            let days = whole(sign.map(|sign| sign.threshold));
            return format!("no sign of interest for {days} days");
        }
        Some("frequency" | "monetary_minor") => return "orders have left the window".to_owned(),
        Some("recency_days" | "days_since_order") | None => {}
        Some(_) => return format!("no new sign of {}", change.previous.as_deref().unwrap_or("it")),
    }
    // R counts from the last order that counts, the lifecycle from the last one not cancelled.
    let last_at = match sign.map(|sign| sign.name) {
        Some("recency_days") => after.facts.last_counting_at,
        _ => after.facts.last_activity_at,
    };
    let Some(last_at) = last_at else {
        return "nothing happened".to_owned();
    };
    let days = after.at.since(last_at) / DAY_MS;
    match change.facts.expected_gap_days {
        Some(gap) => format!("no order for {days} days, usual gap {gap:.0}"),
        None => format!("no order for {days} days"),
    }
}

fn occasion(change: &Change) -> String {
    let Some(sign) = change.evidence.first() else {
        return "after an event".to_owned();
    };
    match sign.name {
        "recency_days" if sign.op == "<=" => {
            format!("ordered again after {} days", whole(Some(sign.before)))
        }
        "recency_days" => format!("last order {} days ago", whole(Some(sign.after))),
        "frequency" => format!("{} orders in the window", whole(Some(sign.after))),
        "monetary_minor" => format!("worth {} in the window", amount(sign.after)),
        "orders" => match sign.after {
            Number::Integer(0) => "no order counts".to_owned(),
            Number::Integer(1) => "first order".to_owned(),
            after => format!("{} orders", whole(Some(after))),
        },
        "nps" => format!("would recommend us, {} of 10", whole(Some(sign.after))),
        "days_since_referral" => "won somebody for us".to_owned(),
        "days_since_praise" => "praised us in public".to_owned(),
        "days_since_consideration" => "shows interest".to_owned(),
        "running_subscriptions" => "a subscription runs".to_owned(),
        "days_since_order" => format!("last order {} days ago", whole(Some(sign.after))),
        _ => "after an event".to_owned(),
    }
}

fn whole(number: Option<Number>) -> String {
    match number {
        Some(Number::Integer(number)) => number.to_string(),
        Some(Number::Decimal(number)) => format!("{number:.0}"),
        Some(Number::None) | None => "some".to_owned(),
    }
}

fn amount(number: Number) -> String {
    match number {
        Number::Integer(minor) => format!("{}.{:02}", minor / 100, minor.abs() % 100),
        Number::Decimal(_) | Number::None => "more".to_owned(),
    }
}
