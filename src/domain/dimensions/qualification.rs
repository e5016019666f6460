//! The `qualification` dimension: how well a sale to a company is qualified, by MEDDIC.
//!
//! Open from the first known element on, qualified by sum and the three needed elements, stale
//! when one of those has not been looked at for long. Won and lost close it.
//! Next: `facts/meddic.rs`, the elements.

use crate::domain::change::in_days;
use crate::domain::change::{Direction, Evidence, Number};
use crate::domain::dimensions::view::{View, direction_by_rank};
use crate::domain::event::MeddicElement;
use crate::domain::facts::meddic::{ELEMENTS, Element, Meddic};
use crate::domain::time::Timestamp;

/// The names that are published, by the value that is stored.
pub const NAMES: [&str; 5] = ["none", "open", "qualified", "stale", "disqualified"];

const NONE: u8 = 0;
const OPEN: u8 = 1;
const QUALIFIED: u8 = 2;
const STALE: u8 = 3;
const DISQUALIFIED: u8 = 4;

/// Without these no sale is qualified: who pays, what hurts, who sells for us.
pub const NEEDED: [MeddicElement; 3] =
    [MeddicElement::EconomicBuyer, MeddicElement::IdentifyPain, MeddicElement::Champion];

/// The place in `OUTCOMES` of a disqualification.
const DISQUALIFIED_OUTCOME: u8 = 2;

/// What decides, at an instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Measure {
    /// The value.
    pub value: u8,
    /// Sum of the scores that count, 0 to 18.
    pub sum: u32,
    /// The least score among the needed elements.
    pub least_needed: u8,
    /// When the oldest needed element was scored.
    pub oldest_at: Option<Timestamp>,
}

/// Measures a customer at an instant.
#[must_use]
pub fn measure(view: &View<'_>, at: Timestamp) -> Measure {
    let none = Measure { value: NONE, sum: 0, least_needed: 0, oldest_at: None };
    let Some(meddic) = view.customer.meddic.as_deref() else { return none };
    let rules = &view.thresholds.qualification;
    let known = |element: MeddicElement| meddic.element(element).filter(|it| it.score > 0);
    let elements = ELEMENTS.into_iter().filter_map(known);
    let sum: u32 = elements.clone().map(|element| u32::from(element.effective_score())).sum();
    if elements.count() == 0 {
        let disqualified = meddic.outcome.is_some_and(|(_, it)| it == DISQUALIFIED_OUTCOME);
        return Measure { value: if disqualified { DISQUALIFIED } else { NONE }, ..none };
    }
    let scores = NEEDED.map(|it| known(it).map_or(0, Element::effective_score));
    let least_needed = scores.into_iter().min().unwrap_or(0);
    let oldest_at = oldest_needed(meddic);
    let stale = oldest_at.is_some_and(|oldest| at.since(oldest) > rules.stale_ms);
    let value = if stale {
        STALE
    } else if sum >= rules.qualified && least_needed >= rules.needed {
        QUALIFIED
    } else {
        OPEN
    };
    Measure { value, sum, least_needed, oldest_at }
}

/// When the oldest of the needed elements that are known was scored.
fn oldest_needed(meddic: &Meddic) -> Option<Timestamp> {
    let needed = NEEDED.into_iter().filter_map(|element| meddic.element(element));
    needed.filter(|element| element.score > 0).map(|element| element.at).min()
}

/// The next instant after `after` at which time alone changes the value, and to which.
#[must_use]
pub fn next_change(view: &View<'_>, after: Timestamp, present: u8) -> Option<(Timestamp, u8)> {
    let oldest_at = oldest_needed(view.customer.meddic.as_deref()?)?;
    let stale_at = oldest_at.plus_ms(view.thresholds.qualification.stale_ms + 1);
    (matches!(present, OPEN | QUALIFIED) && stale_at > after).then_some((stale_at, STALE))
}

/// The numbers behind a value.
#[must_use]
pub fn evidence(
    view: &View<'_>,
    before: &Measure,
    after: &Measure,
    at: [Timestamp; 2],
) -> Vec<Evidence> {
    let rules = &view.thresholds.qualification;
    let integer = |number: u32| Number::Integer(i64::from(number));
    let compared = |name, op, threshold: u32, numbers: [u32; 2]| Evidence {
        name,
        op,
        threshold: integer(threshold),
        before: integer(numbers[0]),
        after: integer(numbers[1]),
    };
    match after.value {
        STALE => {
            let age = |measure: &Measure, at: Timestamp| {
                measure.oldest_at.map_or(Number::None, |oldest| in_days(at.since(oldest).max(0)))
            };
            vec![Evidence {
                name: "days_since_needed_element",
                op: ">",
                threshold: in_days(rules.stale_ms),
                before: age(before, at[0]),
                after: age(after, at[1]),
            }]
        }
        OPEN | QUALIFIED => {
            let is = |holds: bool| if holds { ">=" } else { "<" };
            let needed = u32::from(rules.needed);
            let least = [before, after].map(|measure| u32::from(measure.least_needed));
            vec![
                compared(
                    "meddic_sum",
                    is(after.sum >= rules.qualified),
                    rules.qualified,
                    [before.sum, after.sum],
                ),
                compared("meddic_least_needed", is(least[1] >= needed), needed, least),
            ]
        }
        _ => {
            let outcome = view.customer.meddic.as_ref().and_then(|meddic| meddic.outcome);
            let name =
                outcome.map(|(_, place)| ["won", "lost", "disqualified"][usize::from(place % 3)]);
            let after = name.map_or(Number::None, |name| Number::Text(name.into()));
            vec![Evidence {
                name: "outcome",
                op: "=",
                threshold: Number::None,
                before: Number::None,
                after,
            }]
        }
    }
}

/// Which way a customer went from one value to another.
#[must_use]
pub fn direction(from: u8, to: u8) -> Direction {
    let rank = |value: u8| match value {
        DISQUALIFIED => 0,
        STALE => 2,
        OPEN => 3,
        QUALIFIED => 4,
        _ => 1,
    };
    direction_by_rank(rank(from), rank(to))
}
