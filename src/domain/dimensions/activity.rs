//! The `activity` dimension: how long the silence is, in gaps that are expected of the customer.
//!
//! Bands are compared in whole milliseconds, so a deadline is the first at which one is passed.
//! Source of the bands: Vortex IQ (1.5 / 2 / 3 own gaps). Next: `facts/order_days.rs`, the gaps.

use crate::domain::change::in_days;
use crate::domain::change::{Direction, Evidence, Number};
use crate::domain::dimensions::view::{View, direction_by_rank, walk};
use crate::domain::facts::order_days::OrderDays;
use crate::domain::facts::order_facts::{Gap, expected_gap, next_gap_boundary};
use crate::domain::rules::ActivityBand;
use crate::domain::time::{DAY_MS, Timestamp};

/// How active a customer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub enum Activity {
    #[default]
    None = 0,
    New = 1,
    Active = 2,
    AtRisk = 3,
    Lapsed = 4,
    Churned = 5,
    Reactivated = 6,
}

impl Activity {
    /// All; the place is the value that is stored.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::New,
        Self::Active,
        Self::AtRisk,
        Self::Lapsed,
        Self::Churned,
        Self::Reactivated,
    ];

    /// The name that is published.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::New => "new",
            Self::Active => "active",
            Self::AtRisk => "at_risk",
            Self::Lapsed => "lapsed",
            Self::Churned => "churned",
            Self::Reactivated => "reactivated",
        }
    }

    /// The better, the higher.
    const fn rank(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Churned => 1,
            Self::Lapsed => 2,
            Self::AtRisk => 3,
            Self::New | Self::Reactivated => 4,
            Self::Active => 5,
        }
    }
}

/// What decides, at an instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Measure {
    /// The value.
    pub value: Activity,
    /// The last order that is not cancelled.
    pub last_at: Option<Timestamp>,
    /// The gap that is expected.
    pub gap: Gap,
    /// Own gaps.
    pub days: OrderDays,
}

/// Measures a customer at an instant.
#[must_use]
pub fn measure(view: &View<'_>, at: Timestamp) -> Measure {
    let gap = expected_gap(&view.facts, &view.customer.book, &view.thresholds.gap, at);
    let rules = &view.thresholds.activity;
    let days = OrderDays::of(&view.customer.book, &view.thresholds.gap, rules.reactivation_milli);
    let last_at = view.facts.last_activity_at;
    let mut measure = Measure { value: Activity::None, last_at, gap, days };
    let Some(last_at) = last_at else { return measure };
    let passed = |band: &ActivityBand| at >= begins_at(band, last_at, &measure);
    let [at_risk, lapsed, churned] = &rules.bands;
    measure.value = if passed(churned) {
        Activity::Churned
    } else if passed(lapsed) {
        Activity::Lapsed
    } else if passed(at_risk) {
        Activity::AtRisk
    } else if days.reactivated {
        Activity::Reactivated
    } else if view.facts.order_days <= 1 {
        Activity::New
    } else {
        Activity::Active
    };
    measure
}

/// The first instant at which the silence is in a band.
fn begins_at(band: &ActivityBand, last_at: Timestamp, measure: &Measure) -> Timestamp {
    let own = measure.days.longest.filter(|_| measure.days.gaps >= 2);
    let by_gap = measure.gap.passed_at_milli(last_at, band.gap_milli);
    let by_floor = last_at.plus_days(band.floor_days).plus_ms(1);
    let by_longest =
        own.map(|days| Gap { days, parts: 1 }.passed_at_milli(last_at, band.longest_milli));
    by_gap.max(by_floor).max(by_longest.unwrap_or(Timestamp::MIN))
}

/// The next instant after `after` at which time alone changes the value `present`, and to which.
#[must_use]
pub fn next_change(view: &View<'_>, after: Timestamp, present: u8) -> Option<(Timestamp, u8)> {
    let last_at = view.facts.last_activity_at?;
    let bands = &view.thresholds.activity.bands;
    walk(
        after,
        present,
        |after| {
            let measure = measure(view, after);
            let begins = bands.iter().map(|band| begins_at(band, last_at, &measure));
            let gap = next_gap_boundary(&view.customer.book, &view.thresholds.gap, after);
            begins.filter(|at| *at > after).chain(gap).min()
        },
        |at| measure(view, at).value as u8,
    )
}

/// The numbers behind a value.
#[must_use]
pub fn evidence(
    view: &View<'_>,
    before: &Measure,
    after: &Measure,
    at: [Timestamp; 2],
) -> Vec<Evidence> {
    let silence = |measure: &Measure, at: Timestamp| {
        measure.last_at.map_or(Number::None, |last| in_days(at.since(last).max(0)))
    };
    let bands = &view.thresholds.activity.bands;
    let Some(last_at) = after.last_at else {
        let days = |measure: &Measure| {
            Number::Integer(measure.last_at.map_or(0, |_| measure.days.gaps + 1))
        };
        return vec![Evidence {
            name: "order_days",
            op: "<",
            threshold: Number::Integer(1),
            before: days(before),
            after: days(after),
        }];
    };
    let limit = |band: &ActivityBand| in_days(begins_at(band, last_at, after).since(last_at) - 1);
    let (op, threshold) = match after.value {
        Activity::Churned => (">", limit(&bands[2])),
        Activity::Lapsed => (">", limit(&bands[1])),
        Activity::AtRisk => (">", limit(&bands[0])),
        _ => ("<=", limit(&bands[0])),
    };
    let mut evidence = vec![Evidence {
        name: "days_since_order",
        op,
        threshold,
        before: silence(before, at[0]),
        after: silence(after, at[1]),
    }];
    if after.value == Activity::Reactivated {
        let milli = view.thresholds.activity.reactivation_milli;
        let expected = after.days.expected_before_last;
        evidence.push(Evidence {
            name: "gap_before_order_days",
            op: ">",
            threshold: in_days(expected.days * DAY_MS / expected.parts * milli / 1000),
            before: Number::None,
            after: after.days.last_gap.map_or(Number::None, Number::Integer),
        });
    }
    evidence
}

/// Which way a customer went from one value to another.
#[must_use]
pub fn direction(from: u8, to: u8) -> Direction {
    let rank = |value: u8| Activity::ALL.get(usize::from(value)).map(|it| it.rank());
    direction_by_rank(rank(from), rank(to))
}
