//! The `lifecycle` dimension: where a customer stands between awareness and advocacy.
//!
//! Not a ladder: any stage may follow any other. First match of the table in `raw`.
//! Next: `signals.rs` and `order_facts.rs`, what the table reads.

use crate::domain::change::{Direction, Evidence, Number, in_days};
use crate::domain::dimensions::view::{View, walk};
use crate::domain::facts::order_facts::{expected_gap, live_until, next_live_boundary};
use crate::domain::facts::surveys::Topic;
use crate::domain::raw::Measured;
use crate::domain::time::Timestamp;

/// A lifecycle stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub enum Stage {
    Awareness = 0,
    Consideration = 1,
    Purchase = 2,
    Retention = 3,
    Advocacy = 4,
    Lapsed = 5,
}

impl Stage {
    /// All stages; the place is the value that is stored.
    pub const ALL: [Self; 6] = [
        Self::Awareness,
        Self::Consideration,
        Self::Purchase,
        Self::Retention,
        Self::Advocacy,
        Self::Lapsed,
    ];

    /// The name that is published.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Awareness => "awareness",
            Self::Consideration => "consideration",
            Self::Purchase => "purchase",
            Self::Retention => "retention",
            Self::Advocacy => "advocacy",
            Self::Lapsed => "lapsed",
        }
    }

    /// The rule that puts a customer there.
    #[must_use]
    pub const fn rule_id(self) -> &'static str {
        match self {
            Self::Awareness => "lifecycle:awareness",
            Self::Consideration => "lifecycle:consideration",
            Self::Purchase => "lifecycle:purchase",
            Self::Retention => "lifecycle:retention",
            Self::Advocacy => "lifecycle:advocacy",
            Self::Lapsed => "lifecycle:lapsed",
        }
    }

    /// Whether a customer in this stage is live.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Purchase | Self::Retention | Self::Advocacy)
    }
}

/// What in the table decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Decider {
    Referral,
    Promoter,
    Review,
    Orders,
    LastOrder,
    Subscription,
    Consideration,
    Silence,
    Nothing,
}

/// The raw stage at an instant, and what decided.
#[must_use]
pub fn raw(view: &View<'_>, at: Timestamp) -> (Stage, Decider) {
    let View { customer, thresholds, facts, .. } = view;
    let lifecycle = &thresholds.lifecycle;
    if live_until(facts, &customer.book, &thresholds.gap, lifecycle, at).is_some() {
        if let Some(decider) = advocacy(view, at) {
            return (Stage::Advocacy, decider);
        }
        if facts.orders >= lifecycle.retention_orders {
            return (Stage::Retention, Decider::Orders);
        }
        let gap = expected_gap(facts, &customer.book, &thresholds.gap, at);
        let recent = facts
            .last_activity_at
            .is_some_and(|last| at < gap.passed_at(last, lifecycle.live_gaps));
        return (Stage::Purchase, if recent { Decider::LastOrder } else { Decider::Subscription });
    }
    if within(considered_at(view), lifecycle.consideration_ms, at) {
        return (Stage::Consideration, Decider::Consideration);
    }
    if facts.last_activity_at.is_some() {
        (Stage::Lapsed, Decider::Silence)
    } else {
        (Stage::Awareness, Decider::Nothing)
    }
}

/// When the sign of consideration that lasts longest was given.
fn considered_at(view: &View<'_>) -> Timestamp {
    view.customer.signals.as_ref().map_or(Timestamp::MIN, |signals| signals.consideration_at())
}

/// The latest NPS answer: when, and its score.
fn nps(view: &View<'_>) -> Option<(Timestamp, u8)> {
    let nps = view.customer.surveys.as_ref()?.of(Topic::Nps)?;
    Some((nps.last.at, nps.score?))
}

fn advocacy(view: &View<'_>, at: Timestamp) -> Option<Decider> {
    let lifecycle = &view.thresholds.lifecycle;
    let signals = view.customer.signals.as_deref();
    let nps = nps(view);
    let detractor = nps.is_some_and(|(_, score)| score <= 6);
    let review = signals.and_then(|signals| signals.review);
    if detractor || review.is_some_and(|review| review.score <= 2) {
        return None;
    }
    if signals.is_some_and(|signals| within(signals.referral_at, lifecycle.referral_ms, at)) {
        return Some(Decider::Referral);
    }
    let promoter = nps.filter(|(_, score)| *score >= 9);
    if promoter.is_some_and(|(nps_at, _)| within(nps_at, lifecycle.promoter_ms, at)) {
        return Some(Decider::Promoter);
    }
    let praised =
        signals.is_some_and(|signals| within(signals.praised_at(), lifecycle.review_ms, at));
    (praised && view.facts.orders >= lifecycle.review_orders).then_some(Decider::Review)
}

fn within(sign_at: Timestamp, lasts_ms: i64, at: Timestamp) -> bool {
    sign_at != Timestamp::MIN && at.since(sign_at) <= lasts_ms
}

/// The next instant after `after` at which time alone changes the stage `present`, and to which.
#[must_use]
pub fn next_change(view: &View<'_>, after: Timestamp, present: u8) -> Option<(Timestamp, u8)> {
    walk(after, present, |after| next_boundary(view, after), |at| raw(view, at).0 as u8)
}

/// The first instant after `after` at which a line of the table may give another answer.
fn next_boundary(view: &View<'_>, after: Timestamp) -> Option<Timestamp> {
    let View { customer, thresholds, facts, .. } = view;
    let lifecycle = &thresholds.lifecycle;
    let live = next_live_boundary(facts, &customer.book, &thresholds.gap, lifecycle, after);
    let mut signs = [(Timestamp::MIN, 0); 4];
    if let Some(signals) = &customer.signals {
        signs = [
            (signals.consideration_at(), lifecycle.consideration_ms),
            (signals.referral_at, lifecycle.referral_ms),
            (signals.praised_at(), lifecycle.review_ms),
            (Timestamp::MIN, 0),
        ];
    }
    if let Some((nps_at, _)) = nps(view) {
        signs[3] = (nps_at, lifecycle.promoter_ms);
    }
    let faded = signs
        .into_iter()
        .filter(|(sign_at, _)| *sign_at != Timestamp::MIN)
        .map(|(sign_at, lasts_ms)| sign_at.plus_ms(lasts_ms + 1))
        .filter(|boundary| *boundary > after)
        .min();
    live.into_iter().chain(faded).min()
}

/// Which way a customer went from one stage to another.
#[must_use]
pub const fn direction(from: Stage, to: Stage) -> Direction {
    match (from, to) {
        (Stage::Lapsed, to) if to.is_live() => Direction::Reactivation,
        (Stage::Lapsed, Stage::Consideration) => Direction::Forward,
        (Stage::Lapsed, _) | (_, Stage::Lapsed) => Direction::Back,
        (from, to) => match to as i8 - from as i8 {
            1 => Direction::Forward,
            2.. => Direction::Skip,
            _ => Direction::Back,
        },
    }
}

/// The numbers behind a stage.
#[must_use]
pub fn evidence(view: &View<'_>, before: &Measured, after: &Measured) -> Vec<Evidence> {
    let limits = &view.thresholds.lifecycle;
    let at = [before.at, after.at];
    let signals = view.customer.signals.as_deref();
    let age = |name, sign_at: Timestamp, lasts_ms: i64, op| Evidence {
        name,
        op,
        threshold: in_days(lasts_ms),
        before: days_since(sign_at, before.at),
        after: days_since(sign_at, after.at),
    };
    let considered_at = considered_at(view);
    let evidence = match after.lifecycle.1 {
        Decider::Referral => signals.map(|signals| {
            age("days_since_referral", signals.referral_at, limits.referral_ms, "<=")
        }),
        Decider::Promoter => nps(view).map(|(_, score)| Evidence {
            name: "nps",
            op: ">=",
            threshold: Number::Integer(9),
            before: Number::None,
            after: Number::Integer(i64::from(score)),
        }),
        Decider::Review => signals
            .map(|signals| age("days_since_praise", signals.praised_at(), limits.review_ms, "<=")),
        Decider::Orders => {
            let needed = i64::try_from(limits.retention_orders).unwrap_or(i64::MAX);
            Some(orders(">=", needed, before, after))
        }
        Decider::LastOrder if after.facts.orders > 0 => Some(orders(">=", 1, before, after)),
        // Free and refunded orders do not count, but are no silence either.
        Decider::LastOrder => silence(view, "<=", at),
        Decider::Subscription => Some(subscriptions(">=", before, after)),
        Decider::Consideration => {
            Some(age("days_since_consideration", considered_at, limits.consideration_ms, "<="))
        }
        Decider::Silence if before.subscriptions > after.subscriptions => {
            Some(subscriptions("<", before, after))
        }
        Decider::Silence => silence(view, ">", at),
        Decider::Nothing if considered_at != Timestamp::MIN => {
            Some(age("days_since_consideration", considered_at, limits.consideration_ms, ">"))
        }
        Decider::Nothing => Some(orders("<", 1, before, after)),
    };
    veto(view, before, after).into_iter().chain(evidence).collect()
}

/// What has just ended the advocacy of somebody who is still live: a bad answer or review.
fn veto(view: &View<'_>, before: &Measured, after: &Measured) -> Option<Evidence> {
    let (was, is) = (before.lifecycle.0, after.lifecycle.0);
    if was != Stage::Advocacy || !matches!(is, Stage::Purchase | Stage::Retention) {
        return None;
    }
    let review = view.customer.signals.as_deref().and_then(|signals| signals.review);
    let answer = nps(view).map(|(_, score)| ("nps", score, 6));
    let answers = answer.into_iter().chain(review.map(|it| ("review", it.score, 2)));
    let mut vetoes = answers.filter(|(_, score, most): &(_, u8, u8)| score <= most);
    vetoes.next().map(|(name, score, most)| Evidence {
        name,
        op: "<=",
        threshold: Number::Integer(i64::from(most)),
        before: Number::None,
        after: Number::Integer(i64::from(score)),
    })
}

/// The silence since the last order, before and after, against what a live customer may keep.
pub(super) fn silence(view: &View<'_>, op: &'static str, at: [Timestamp; 2]) -> Option<Evidence> {
    let View { customer, thresholds, facts, .. } = view;
    let last_at = facts.last_activity_at?;
    let gap = expected_gap(facts, &customer.book, &thresholds.gap, at[1]);
    let limit_ms = gap.passed_at(last_at, thresholds.lifecycle.live_gaps).since(last_at) - 1;
    Some(Evidence {
        name: "days_since_order",
        op,
        threshold: in_days(limit_ms),
        before: days_since(last_at, at[0]),
        after: days_since(last_at, at[1]),
    })
}

/// The counting orders before and after.
pub(super) fn orders(
    op: &'static str,
    threshold: i64,
    before: &Measured,
    after: &Measured,
) -> Evidence {
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
