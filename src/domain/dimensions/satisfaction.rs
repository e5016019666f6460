//! The `satisfaction` dimension: the class of the latest NPS answer, as long as it stands.
//!
//! Source of the classes: F. Reichheld, "The One Number You Need to Grow", HBR 2003: 9-10, 7-8,
//! 0-6. Next: `facts/surveys.rs`, the answers.

use crate::domain::change::in_days;
use crate::domain::change::{Direction, Evidence, Number};
use crate::domain::dimensions::view::{View, direction_by_rank};
use crate::domain::facts::surveys::{Answers, Topic};
use crate::domain::time::Timestamp;

/// The names that are published, by the value that is stored.
pub const NAMES: [&str; 4] = ["unknown", "detractor", "passive", "promoter"];

const UNKNOWN: u8 = 0;
const DETRACTOR: u8 = 1;
const PASSIVE: u8 = 2;
const PROMOTER: u8 = 3;

/// What decides, at an instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Measure {
    /// The value.
    pub value: u8,
    /// The latest score.
    pub score: Option<u8>,
    /// When it was given.
    pub answered_at: Option<Timestamp>,
}

/// Measures a customer at an instant.
#[must_use]
pub fn measure(view: &View<'_>, at: Timestamp) -> Measure {
    let Some((answered_at, score)) = latest(view).and_then(|nps| Some((nps.last.at, nps.score?)))
    else {
        return Measure { value: UNKNOWN, score: None, answered_at: None };
    };
    let value = match score {
        _ if at.since(answered_at) > view.thresholds.satisfaction_ms => UNKNOWN,
        9.. => PROMOTER,
        7..=8 => PASSIVE,
        _ => DETRACTOR,
    };
    Measure { value, score: Some(score), answered_at: Some(answered_at) }
}

fn latest<'a>(view: &View<'a>) -> Option<&'a Answers> {
    view.customer.surveys.as_ref()?.of(Topic::Nps)
}

/// The next instant after `after` at which time alone changes the value, and to which.
#[must_use]
pub fn next_change(view: &View<'_>, after: Timestamp, present: u8) -> Option<(Timestamp, u8)> {
    let expires_at = latest(view)?.last.at.plus_ms(view.thresholds.satisfaction_ms + 1);
    (present != UNKNOWN && expires_at > after).then_some((expires_at, UNKNOWN))
}

/// The numbers behind a value, and the reason that the customer gave.
#[must_use]
pub fn evidence(
    view: &View<'_>,
    before: &Measure,
    after: &Measure,
    at: [Timestamp; 2],
) -> Vec<Evidence> {
    if after.value == UNKNOWN {
        let age = |measure: &Measure, at: Timestamp| {
            measure.answered_at.map_or(Number::None, |answered| in_days(at.since(answered).max(0)))
        };
        return vec![Evidence {
            name: "days_since_nps",
            op: ">",
            threshold: in_days(view.thresholds.satisfaction_ms),
            before: age(before, at[0]),
            after: age(after, at[1]),
        }];
    }
    let score = |measure: &Measure| {
        measure.score.map_or(Number::None, |score| Number::Integer(i64::from(score)))
    };
    let (op, threshold) = match after.value {
        PROMOTER => (">=", 9),
        PASSIVE => (">=", 7),
        _ => ("<", 7),
    };
    let mut evidence = vec![Evidence {
        name: "nps",
        op,
        threshold: Number::Integer(threshold),
        before: score(before),
        after: score(after),
    }];
    let reason = latest(view).and_then(|nps| nps.reasons.first().filter(|(at, _)| *at == nps.last));
    evidence.extend(reason.map(|(_, reason)| Evidence {
        name: "nps_reason",
        op: "=",
        threshold: Number::None,
        before: Number::None,
        after: Number::Text((**reason).into()),
    }));
    evidence
}

/// Which way a customer went from one value to another; unknown is neither better nor worse than
/// passive.
#[must_use]
pub fn direction(from: u8, to: u8) -> Direction {
    let rank = |value: u8| if value == UNKNOWN { PASSIVE } else { value };
    direction_by_rank(rank(from), rank(to))
}
