//! The `lifecycle` dimension: where a customer stands between awareness and advocacy.
//!
//! Not a ladder: any stage may follow any other. First match of the table in `raw`.
//! Next: `signals.rs` and `order_facts.rs`, what the table reads.

use crate::domain::change::Direction;
use crate::domain::order_book::OrderBook;
use crate::domain::order_facts::{OrderFacts, expected_gap, live_until, next_live_boundary};
use crate::domain::rules::Rules;
use crate::domain::signals::Signals;
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

/// The raw stage at `at`, and what decided.
#[must_use]
pub fn raw(
    book: &OrderBook,
    facts: &OrderFacts,
    signals: Option<&Signals>,
    rules: &Rules,
    at: Timestamp,
) -> (Stage, Decider) {
    let lifecycle = &rules.lifecycle;
    if live_until(facts, book, &rules.gap, lifecycle, at).is_some() {
        if let Some(decider) = signals.and_then(|signals| advocacy(signals, facts, rules, at)) {
            return (Stage::Advocacy, decider);
        }
        if facts.orders >= lifecycle.retention_orders {
            return (Stage::Retention, Decider::Orders);
        }
        let gap = expected_gap(facts, book, &rules.gap, at);
        let recent = facts
            .last_activity_at
            .is_some_and(|last| at < gap.passed_at(last, lifecycle.live_gaps));
        return (Stage::Purchase, if recent { Decider::LastOrder } else { Decider::Subscription });
    }
    if signals
        .is_some_and(|signals| within(signals.consideration_at(), lifecycle.consideration_ms, at))
    {
        return (Stage::Consideration, Decider::Consideration);
    }
    if facts.last_activity_at.is_some() {
        (Stage::Lapsed, Decider::Silence)
    } else {
        (Stage::Awareness, Decider::Nothing)
    }
}

fn advocacy(
    signals: &Signals,
    facts: &OrderFacts,
    rules: &Rules,
    at: Timestamp,
) -> Option<Decider> {
    let lifecycle = &rules.lifecycle;
    let detractor = signals.nps.is_some_and(|nps| nps.score <= 6);
    let critic = signals.review.is_some_and(|review| review.score <= 2);
    if detractor || critic {
        return None;
    }
    if within(signals.referral_at, lifecycle.referral_ms, at) {
        return Some(Decider::Referral);
    }
    let promoter = signals.nps.filter(|nps| nps.score >= 9);
    if promoter.is_some_and(|nps| within(nps.stamp.at, lifecycle.promoter_ms, at)) {
        return Some(Decider::Promoter);
    }
    let praised_at = signals.good_review_at.max(signals.shared_at);
    let praised = within(praised_at, lifecycle.review_ms, at);
    (praised && facts.orders >= lifecycle.review_orders).then_some(Decider::Review)
}

fn within(sign_at: Timestamp, lasts_ms: i64, at: Timestamp) -> bool {
    sign_at != Timestamp::MIN && at.since(sign_at) <= lasts_ms
}

/// The next instant after `after`, when the raw stage is `present`, at which time alone changes
/// it, and what it is then.
#[must_use]
pub fn next_change(
    book: &OrderBook,
    facts: &OrderFacts,
    signals: Option<&Signals>,
    rules: &Rules,
    after: Timestamp,
    present: Stage,
) -> Option<(Timestamp, Stage)> {
    let mut at = after;
    loop {
        at = next_boundary(book, facts, signals, rules, at)?;
        let (then, _) = raw(book, facts, signals, rules, at);
        if then != present {
            return Some((at, then));
        }
    }
}

/// The first instant after `after` at which a line of the table may give another answer.
fn next_boundary(
    book: &OrderBook,
    facts: &OrderFacts,
    signals: Option<&Signals>,
    rules: &Rules,
    after: Timestamp,
) -> Option<Timestamp> {
    let lifecycle = &rules.lifecycle;
    let live = next_live_boundary(facts, book, &rules.gap, lifecycle, after);
    let faded = signals.and_then(|signals| {
        let praised_at = signals.good_review_at.max(signals.shared_at);
        let promoted_at = signals.nps.map_or(Timestamp::MIN, |nps| nps.stamp.at);
        [
            (signals.consideration_at(), lifecycle.consideration_ms),
            (signals.referral_at, lifecycle.referral_ms),
            (promoted_at, lifecycle.promoter_ms),
            (praised_at, lifecycle.review_ms),
        ]
        .into_iter()
        .filter(|(sign_at, _)| *sign_at != Timestamp::MIN)
        .map(|(sign_at, lasts_ms)| sign_at.plus_ms(lasts_ms + 1))
        .filter(|boundary| *boundary > after)
        .min()
    });
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
