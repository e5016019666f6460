//! The numbers that a change rests on.
//!
//! Never decides anything: it reads the raw values before and after and names what differs.

use crate::domain::change::{Evidence, Number};
use crate::domain::customer::Customer;
use crate::domain::dimension::Dimension;
use crate::domain::lifecycle::Decider;
use crate::domain::order_facts::expected_gap;
use crate::domain::raw::{Measured, Raw};
use crate::domain::rules::Rules;
use crate::domain::time::{DAY_MS, Timestamp};

/// Evidence for a change of `dimension` between two sets of raw values.
#[must_use]
pub fn evidence(
    dimension: Dimension,
    before: &Measured,
    after: &Raw,
    customer: &Customer,
    rules: &Rules,
) -> Vec<Evidence> {
    match dimension {
        Dimension::Rfm => rfm(before, &after.measured, rules),
        Dimension::Lifecycle => lifecycle(before, after, customer, rules),
    }
}

fn rfm(before: &Measured, after: &Measured, rules: &Rules) -> Vec<Evidence> {
    let (Some(old), Some(new)) = (&before.rfm, &after.rfm) else {
        let op = if after.rfm.is_some() { ">=" } else { "<" };
        return vec![orders(op, 1, before, after)];
    };
    let days = |edge: i64| edge.saturating_mul(DAY_MS);
    let mut evidence = Vec::new();
    let recency = crossed(&rules.rfm.recency_days, days, old.recency_ms, new.recency_ms);
    if let Some((op, edge)) = recency {
        evidence.push(Evidence {
            name: "recency_days",
            op,
            threshold: Number::Integer(edge),
            before: in_days(old.recency_ms),
            after: in_days(new.recency_ms),
        });
    }
    let frequencies = [old.frequency, new.frequency].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    let measures = [
        ("frequency", &rules.rfm.frequency, frequencies),
        ("monetary_minor", &rules.rfm.monetary_minor, [old.monetary_minor, new.monetary_minor]),
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

fn lifecycle(before: &Measured, after: &Raw, customer: &Customer, rules: &Rules) -> Vec<Evidence> {
    let limits = &rules.lifecycle;
    let signals = customer.signals.as_deref();
    let age = |name, sign_at: Timestamp, lasts_ms: i64, op| Evidence {
        name,
        op,
        threshold: in_days(lasts_ms),
        before: days_since(sign_at, before.at),
        after: days_since(sign_at, after.measured.at),
    };
    let silence = |op| {
        let gap =
            expected_gap(&after.measured.facts, &customer.book, &rules.gap, after.measured.at);
        let last_at = after.measured.facts.last_activity_at.unwrap_or(Timestamp::MIN);
        let limit_ms = gap.passed_at(last_at, limits.live_gaps).since(last_at) - 1;
        age("days_since_order", last_at, limit_ms, op)
    };
    match after.decider {
        Decider::Referral => signals
            .map(|signals| {
                age("days_since_referral", signals.referral_at, limits.referral_ms, "<=")
            })
            .into_iter()
            .collect(),
        Decider::Promoter => signals
            .and_then(|signals| signals.nps)
            .map(|nps| Evidence {
                name: "nps",
                op: ">=",
                threshold: Number::Integer(9),
                before: Number::None,
                after: Number::Integer(i64::from(nps.score)),
            })
            .into_iter()
            .collect(),
        Decider::Review => signals
            .map(|signals| signals.good_review_at.max(signals.shared_at))
            .map(|praised_at| age("days_since_praise", praised_at, limits.review_ms, "<="))
            .into_iter()
            .collect(),
        Decider::Orders => {
            let needed = i64::try_from(limits.retention_orders).unwrap_or(i64::MAX);
            vec![orders(">=", needed, before, &after.measured)]
        }
        Decider::LastOrder if after.measured.facts.orders > 0 => {
            vec![orders(">=", 1, before, &after.measured)]
        }
        // Free and refunded orders do not count, but are no silence either.
        Decider::LastOrder => vec![silence("<=")],
        Decider::Subscription => vec![subscriptions(">=", before, &after.measured)],
        Decider::Consideration => signals
            .map(|signals| signals.consideration_at())
            .map(|sign_at| age("days_since_consideration", sign_at, limits.consideration_ms, "<="))
            .into_iter()
            .collect(),
        Decider::Silence if before.subscriptions > after.measured.subscriptions => {
            vec![subscriptions("<", before, &after.measured)]
        }
        Decider::Silence => vec![silence(">")],
        Decider::Nothing => signals
            .map(|signals| signals.consideration_at())
            .filter(|sign_at| *sign_at != Timestamp::MIN)
            .map(|sign_at| age("days_since_consideration", sign_at, limits.consideration_ms, ">"))
            .or_else(|| Some(orders("<", 1, before, &after.measured)))
            .into_iter()
            .collect(),
    }
}

fn orders(op: &'static str, threshold: i64, before: &Measured, after: &Measured) -> Evidence {
    let number = |measured: &Measured| {
        Number::Integer(i64::try_from(measured.facts.orders).unwrap_or(i64::MAX))
    };
    Evidence {
        name: "orders",
        op,
        threshold: Number::Integer(threshold),
        before: number(before),
        after: number(after),
    }
}

fn subscriptions(op: &'static str, before: &Measured, after: &Measured) -> Evidence {
    Evidence {
        name: "running_subscriptions",
        op,
        threshold: Number::Integer(1),
        before: Number::Integer(i64::from(before.subscriptions)),
        after: Number::Integer(i64::from(after.subscriptions)),
    }
}

fn days_since(sign_at: Timestamp, at: Timestamp) -> Number {
    if sign_at == Timestamp::MIN || at < sign_at {
        Number::None
    } else {
        in_days(at.since(sign_at))
    }
}

/// Milliseconds as days for people.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "for people; decisions use milliseconds")]
pub fn in_days(ms: i64) -> Number {
    if ms % DAY_MS == 0 {
        Number::Integer(ms / DAY_MS)
    } else {
        Number::Decimal(ms as f64 / DAY_MS as f64)
    }
}
