//! How engaged a customer is: scored events of the last days, and when they last answered us.
//!
//! Orders are not folded in here: they are read from the book, where a cancelled one is none.
//! Next: `scored_kind.rs`; `dimensions/engagement.rs`, which judges the score.

use crate::domain::decay::Decayed;
use crate::domain::event::{Interaction, MessageKind};
use crate::domain::facts::scored_kind::ScoredKind;
use crate::domain::rules::FoldRules;
use crate::domain::time::{Day, Timestamp};

/// Days whose counts are kept, the latest included: what is older is counted, not scored.
pub const SCORED_DAYS: i64 = 7;

/// Interactions of a customer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interactions {
    /// All of them.
    pub total: u64,
    /// The sum of their weights, fading.
    pub score: Decayed,
    /// The latest day of one that has a weight.
    pub latest_day: Day,
    /// Counts up to the daily cap, ordered by (day, kind).
    pub counts: Vec<DayCount>,
    /// The latest in which both sides spoke; [`Timestamp::MIN`] = never.
    pub contact_at: Timestamp,
}

/// How often something happened on a day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DayCount {
    /// The day.
    pub day: Day,
    /// What.
    pub kind: ScoredKind,
    /// How often, from 1.
    pub count: u32,
}

impl Default for Interactions {
    fn default() -> Self {
        Self {
            total: 0,
            score: Decayed::default(),
            latest_day: Day(i64::MIN),
            counts: Vec::new(),
            contact_at: Timestamp::MIN,
        }
    }
}

impl Interactions {
    /// Takes an interaction in; false when it is too old to be scored.
    pub fn apply(
        &mut self,
        interaction: &Interaction<'_>,
        at: Timestamp,
        rules: &FoldRules,
    ) -> bool {
        self.total += 1;
        if is_two_way(interaction) {
            self.contact_at = self.contact_at.max(at);
        }
        let Some(kind) = ScoredKind::of(interaction) else { return true };
        let weight = rules.weights[kind.index()];
        if weight == 0 {
            return true;
        }
        let day = at.day();
        if day > self.latest_day {
            self.latest_day = day;
            self.counts.retain(|count| count.day.0 > day.0 - SCORED_DAYS);
        } else if day.0 <= self.latest_day.0 - SCORED_DAYS {
            return false;
        }
        let count = match self.counts.binary_search_by_key(&(day, kind), |it| (it.day, it.kind)) {
            Ok(place) => &mut self.counts[place].count,
            Err(place) => {
                self.counts.insert(place, DayCount { day, kind, count: 0 });
                &mut self.counts[place].count
            }
        };
        if *count < rules.daily_cap {
            *count += 1;
            self.score.add(u64::from(weight), day, &rules.engagement_half_life);
        }
        true
    }

    /// Takes over the interactions of another customer. The daily cap holds for both together on
    /// the days whose counts both still have; of days before, each was capped by itself.
    pub fn absorb(&mut self, source: Self, rules: &FoldRules) {
        self.total = self.total.saturating_add(source.total);
        self.contact_at = self.contact_at.max(source.contact_at);
        self.latest_day = self.latest_day.max(source.latest_day);
        self.score.absorb(source.score);
        for one in source.counts {
            let place =
                self.counts.binary_search_by_key(&(one.day, one.kind), |it| (it.day, it.kind));
            let place = match place {
                Ok(place) => place,
                Err(place) => {
                    self.counts.insert(place, one);
                    continue;
                }
            };
            let both = self.counts[place].count.saturating_add(one.count);
            let count = both.min(rules.daily_cap);
            self.counts[place].count = count;
            let unscored = u64::from(both - count) * u64::from(rules.weights[one.kind.index()]);
            self.score.take_off(unscored, one.day, &rules.engagement_half_life);
        }
        let latest = self.latest_day.0;
        self.counts.retain(|count| count.day.0 > latest.saturating_sub(SCORED_DAYS));
    }
}

/// Whether both sides spoke: the customer asked, or answered what we sent.
const fn is_two_way(interaction: &Interaction<'_>) -> bool {
    matches!(
        interaction,
        Interaction::SupportContacted { .. }
            | Interaction::SurveyAnswered { .. }
            | Interaction::ProductReviewed { .. }
            | Interaction::Message { kind: MessageKind::Clicked, .. }
    )
}
