//! The `engagement` dimension: a fading score of what a customer does, in bands with hysteresis.
//!
//! Scores fade by UTC day, so deadlines are the beginnings of days. A band is entered at one score
//! and left below a lower one; the raw value knows only the first.
//! Next: `facts/interactions.rs`, the score; `domain/decay.rs`, how it fades.

use crate::domain::change::{Direction, Evidence, Number};
use crate::domain::decay::Decayed;
use crate::domain::dimensions::view::{View, direction_by_rank};
use crate::domain::facts::scored_kind::ScoredKind;
use crate::domain::rules::EngagementRules;
use crate::domain::time::{Day, Timestamp};

/// The names that are published, by the value that is stored.
pub const NAMES: [&str; 4] = ["none", "cold", "warm", "hot"];

const NONE: u8 = 0;
const COLD: u8 = 1;
const WARM: u8 = 2;
const HOT: u8 = 3;

/// What decides, at an instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Measure {
    /// The band that the score enters: the raw value.
    pub value: u8,
    /// The highest band that the score does not leave.
    pub keeps: u8,
    /// The score in thousandths, rounded down.
    pub score_milli: u64,
    /// The score as it fades.
    pub score: Decayed,
}

impl Measure {
    /// What is to be published instead of `published`.
    #[must_use]
    pub fn target(&self, published: u8) -> u8 {
        published.clamp(self.value, self.keeps.max(self.value))
    }
}

/// The score: interactions, and the orders that are not cancelled.
fn score(view: &View<'_>) -> Decayed {
    let fold = &view.rules.fold;
    let mut score =
        view.customer.interactions.as_ref().map_or_else(Decayed::default, |it| it.score);
    let weight = u64::from(fold.weights[ScoredKind::OrderCompleted.index()]);
    let mut present = (Day(i64::MIN), 0);
    for order in view.customer.book.orders.iter().filter(|order| !order.cancelled) {
        let day = order.base.at.day();
        present = if present.0 == day { (day, present.1 + 1) } else { (day, 1) };
        if present.1 <= fold.daily_cap {
            score.add(weight, day, &fold.engagement_half_life);
        }
    }
    score
}

/// Measures a customer at an instant.
#[must_use]
pub fn measure(view: &View<'_>, at: Timestamp) -> Measure {
    of_score(score(view), view, at.day())
}

fn of_score(score: Decayed, view: &View<'_>, day: Day) -> Measure {
    if score.sum == 0 {
        return Measure { value: NONE, keeps: NONE, score_milli: 0, score };
    }
    let half_life = &view.rules.fold.engagement_half_life;
    let band = |warm: u32, hot: u32| {
        if score.reaches(u64::from(hot), day, half_life) {
            HOT
        } else if score.reaches(u64::from(warm), day, half_life) {
            WARM
        } else {
            COLD
        }
    };
    let EngagementRules { warm, warm_leaves, hot, hot_leaves } = view.thresholds.engagement;
    Measure {
        value: band(warm, hot),
        keeps: band(warm_leaves, hot_leaves),
        score_milli: score.milli(day, half_life),
        score,
    }
}

/// The next instant after `after` at which time alone changes what is to be published instead of
/// `published`, and to which. A score that fades only leaves bands: the one that it is in now is
/// left at the level that it entered, or at the lower one that keeps it.
#[must_use]
pub fn next_change(
    view: &View<'_>,
    present: &Measure,
    after: Timestamp,
    published: u8,
) -> Option<(Timestamp, u8)> {
    let EngagementRules { warm, warm_leaves, hot, hot_leaves } = view.thresholds.engagement;
    let target = present.target(published);
    let levels = match target {
        HOT => [hot, hot_leaves],
        WARM => [warm, warm_leaves],
        _ => return None,
    };
    let half_life = &view.rules.fold.engagement_half_life;
    levels.into_iter().find_map(|level| {
        let day = present.score.falls_below(u64::from(level), after.day(), half_life)?;
        let then = of_score(present.score, view, day).target(published);
        (then != target).then_some((day.start(), then))
    })
}

/// The numbers behind a value.
#[must_use]
pub fn evidence(
    view: &View<'_>,
    before: &Measure,
    after: &Measure,
    published: u8,
) -> Vec<Evidence> {
    let rules = &view.thresholds.engagement;
    let score = after.score_milli;
    let below = |level: u32| score < u64::from(level) * 1000;
    let rises = score > before.score_milli;
    // True whatever came between: what waited for a dwell may have moved on within its band.
    let (op, level) = match published {
        HOT if below(rules.hot) => (">=", rules.hot_leaves),
        HOT => (">=", rules.hot),
        WARM if !rises && below(rules.hot_leaves) => ("<", rules.hot_leaves),
        WARM if below(rules.warm) => (">=", rules.warm_leaves),
        WARM => (">=", rules.warm),
        COLD if !rises && below(rules.warm_leaves) => ("<", rules.warm_leaves),
        COLD => ("<", rules.warm),
        _ => ("<=", 0),
    };
    vec![Evidence {
        name: "engagement_score",
        op,
        threshold: Number::Integer(i64::from(level)),
        before: in_units(before.score_milli),
        after: in_units(after.score_milli),
    }]
}

/// Thousandths as units, for people.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "for people; decisions use integers")]
pub fn in_units(milli: u64) -> Number {
    Number::Decimal(milli as f64 / 1000.0)
}

/// Which way a customer went from one value to another.
#[must_use]
pub fn direction(from: u8, to: u8) -> Direction {
    direction_by_rank(from, to)
}
