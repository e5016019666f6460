//! The naive model of `engagement` and of anything else that fades.
//!
//! Adds up all weights anew for a day, in the fixed point of section 3. Next: `satisfaction.rs`.

use crate::known::Known;
use ebbflow::domain::event::{Interaction, MessageKind, VisitKind};
use ebbflow::domain::time::DAY_MS;
use std::collections::BTreeMap;

/// A weight and its day.
pub(crate) type Scored = (i64, u64);

/// Bits behind the point of a sum.
const BITS: i64 = 56;

/// What weights add up to on a day with this half-life: units of `2^-16 * 2^-BITS`.
pub(crate) fn faded(scored: &[Scored], day: i64, half_life: i64) -> u128 {
    let terms = scored.iter().map(|(then, weight)| {
        let halves = day.div_euclid(half_life) - then.div_euclid(half_life);
        let part = u128::from(*weight) * u128::from(factor(*then, half_life));
        let shift = BITS - halves;
        if shift < 0 { 0 } else { part << shift }
    });
    terms.sum()
}

/// `2^(r / half-life)` for the days `r` of the half-life that holds a day, in units of `2^-16`.
fn factor(day: i64, half_life: i64) -> u64 {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 2")]
    let factor = {
        let part = day.rem_euclid(half_life) as f64 / half_life as f64;
        (libm::exp2(part) * 65_536.0).round() as u64
    };
    factor
}

/// Weight of an interaction.
pub(crate) fn weight(interaction: &Interaction<'_>) -> u64 {
    match interaction {
        Interaction::Visit { kind, .. } => match kind {
            VisitKind::PageViewed
            | VisitKind::ProductViewed
            | VisitKind::ProductsSearched
            | VisitKind::UsageRecorded
            | VisitKind::LoggedIn
            | VisitKind::ReviewRead
            | VisitKind::SignedUp => 1,
            VisitKind::ProductAdded | VisitKind::CartViewed => 3,
            VisitKind::CheckoutStarted => 5,
            VisitKind::ProductRemoved => 0,
        },
        Interaction::Message { kind: MessageKind::Clicked, .. } => 3,
        Interaction::ProductReviewed { .. }
        | Interaction::Shared { .. }
        | Interaction::ReferralSent { .. } => 5,
        Interaction::ReferralAccepted { .. } => 10,
        _ => 0,
    }
}

impl Known<'_> {
    /// The events that are scored: five of a kind and day, interactions within a week of the latest
    /// day that had come.
    pub(crate) fn scored_events(&self) -> Vec<Scored> {
        let mut scored = Vec::new();
        let mut counts: BTreeMap<(i64, &str), u32> = BTreeMap::new();
        let mut latest = i64::MIN;
        for ((at, _), interaction) in self.interactions() {
            let (day, weight) = (at.div_euclid(DAY_MS), weight(interaction));
            if weight == 0 {
                continue;
            }
            latest = latest.max(day);
            let count = counts.entry((day, interaction.kind())).or_default();
            if day > latest - 7 && *count < 5 {
                *count += 1;
                scored.push((day, weight));
            }
        }
        for order in self.placed_orders() {
            let day = order.base.0.div_euclid(DAY_MS);
            let count = counts.entry((day, "order")).or_default();
            if *count < 5 {
                *count += 1;
                scored.push((day, 10));
            }
        }
        scored
    }

    fn reaches(&self, level: u64, day: i64) -> bool {
        let level = (u128::from(level) * u128::from(factor(day, 14))) << BITS;
        faded(&self.scored, day, 14) >= level
    }

    /// The band in which a customer is who was in `published`: entered at 5 and 20, left below 3
    /// and 14.
    pub(crate) fn engagement(&self, at: i64, published: &str) -> &'static str {
        let day = at.div_euclid(DAY_MS);
        if self.scored.is_empty() {
            "none"
        } else if self.reaches(20, day) || published == "hot" && self.reaches(14, day) {
            "hot"
        } else if self.reaches(5, day)
            || ["warm", "hot"].contains(&published) && self.reaches(3, day)
        {
            "warm"
        } else {
            "cold"
        }
    }

    /// Thousandths, rounded down.
    pub(crate) fn score_milli(&self, at: i64) -> u64 {
        let day = at.div_euclid(DAY_MS);
        let milli = (faded(&self.scored, day, 14) * 1000 / u128::from(factor(day, 14))) >> BITS;
        u64::try_from(milli).expect("a small score")
    }

    /// The first days on which the score is below a level.
    pub(crate) fn engagement_instants(&self) -> Vec<i64> {
        let days = self.scored.iter().map(|(day, _)| *day);
        let Some(last) = days.max() else { return Vec::new() };
        [20, 14, 5, 3]
            .into_iter()
            .filter_map(|level| (last..last + 500).find(|day| !self.reaches(level, *day)))
            .map(|day| day * DAY_MS)
            .collect()
    }
}
