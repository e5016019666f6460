//! The naive model of `rfm` and `lifecycle`.
//!
//! Written from the contract, sections 3 and 8. Next: `activity.rs`.

use crate::known::{Known, Scores};
use crate::reference::When;
use ebbflow::domain::event::{Interaction, Survey, VisitKind};
use ebbflow::domain::rules::{Monetary, Rules};
use ebbflow::domain::time::DAY_MS;

impl Known<'_> {
    /// R, F, M, frequency and monetary value.
    pub(crate) fn scores(&self, at: i64) -> Option<Scores> {
        let (counting, rules) = (&self.counting, self.rules);
        let (last, _) = counting.last()?;
        let inside: Vec<i64> = counting
            .iter()
            .filter(|(order_at, _)| {
                rules.thresholds.rfm.window_ms.is_none_or(|ms| at - order_at <= ms)
            })
            .map(|(_, net)| *net)
            .collect();
        let count = i64::try_from(inside.len()).expect("few");
        let sum: i64 = inside.iter().sum();
        let monetary = match rules.thresholds.rfm.monetary {
            Monetary::Sum => sum,
            Monetary::Average if count == 0 => 0,
            Monetary::Average => sum / count,
        };
        let levels = u8::try_from(rules.thresholds.rfm.recency_days.len()).expect("few") + 1;
        let mut r = levels;
        for edge in &rules.thresholds.rfm.recency_days {
            r -= u8::from(at - last > edge * DAY_MS);
        }
        let (mut f, mut m) = (1, 1);
        for edge in &rules.thresholds.rfm.frequency {
            f += u8::from(count > *edge);
        }
        for edge in &rules.thresholds.rfm.monetary_minor {
            m += u8::from(monetary > *edge);
        }
        Some((r, f, m, inside.len() as u64, monetary))
    }

    pub(crate) fn rfm(&self, at: i64) -> String {
        self.scores(at).map_or("none".to_owned(), |(r, f, m, ..)| cell_name(self.rules, r, f, m))
    }

    /// The last order is at most two expected gaps old, or a subscription runs.
    pub(crate) fn live(&self, at: i64) -> bool {
        let (days, parts) = self.gap(at);
        let recent = self.last_order().is_some_and(|last| {
            i128::from(at - last) * i128::from(parts) <= 2 * i128::from(days) * i128::from(DAY_MS)
        });
        recent || self.runs.iter().any(|(until, _)| at <= *until)
    }

    pub(crate) fn stage(&self, at: i64) -> &'static str {
        let counting = self.counting.len();
        if self.live(at) {
            if self.advocates(counting, at) {
                "advocacy"
            } else if counting >= 2 {
                "retention"
            } else {
                "purchase"
            }
        } else if self.considers(at) {
            "consideration"
        } else if self.last_order().is_some() {
            "lapsed"
        } else {
            "awareness"
        }
    }

    fn considers(&self, at: i64) -> bool {
        let mut views = 0;
        for ((seen, _), interaction) in self.interactions() {
            if at - seen > 30 * DAY_MS {
                continue;
            }
            if let Interaction::Visit { kind, .. } = interaction {
                match kind {
                    VisitKind::ProductViewed => views += 1,
                    VisitKind::ProductAdded
                    | VisitKind::CartViewed
                    | VisitKind::CheckoutStarted
                    | VisitKind::ReviewRead => return true,
                    _ => {}
                }
            }
        }
        views >= 3
    }

    fn advocates(&self, counting: usize, at: i64) -> bool {
        let mut latest_nps: Option<(When, u8)> = None;
        let mut latest_review: Option<(When, u8)> = None;
        let (mut referred, mut praised) = (false, false);
        for (seen, interaction) in self.interactions() {
            let age = at - seen.0;
            match interaction {
                Interaction::ReferralAccepted { .. } => referred |= age <= 365 * DAY_MS,
                Interaction::Shared { .. } => praised |= age <= 90 * DAY_MS,
                Interaction::ProductReviewed { score, .. } => {
                    praised |= *score >= 4 && age <= 90 * DAY_MS;
                    latest_review = latest_review.max(Some((seen, *score)));
                }
                Interaction::SurveyAnswered { survey: Survey::Nps, score: Some(score), .. } => {
                    latest_nps = latest_nps.max(Some((seen, *score)));
                }
                _ => {}
            }
        }
        if latest_nps.as_ref().is_some_and(|(_, score)| *score <= 6)
            || latest_review.is_some_and(|(_, score)| score <= 2)
        {
            return false;
        }
        let promoter =
            latest_nps.is_some_and(|((seen, _), score)| score >= 9 && at - seen <= 180 * DAY_MS);
        referred || promoter || (praised && counting >= 2)
    }
}

/// Looks a cell up by matching the patterns of the map one by one.
fn cell_name(rules: &Rules, r: u8, f: u8, m: u8) -> String {
    let scores = [r, f, m];
    for value in rules.thresholds.rfm.map.values() {
        for pattern in &value.cells {
            let mut rest = pattern.as_str();
            let mut fits = true;
            for score in scores {
                if rest.is_empty() {
                    break;
                }
                let choices = if let Some(inner) = rest.strip_prefix('[') {
                    let (choices, tail) = inner.split_once(']').expect("a closed choice");
                    rest = tail;
                    choices
                } else {
                    let (choices, tail) = rest.split_at(1);
                    rest = tail;
                    choices
                };
                fits &= choices.contains(&score.to_string());
            }
            if fits {
                return value.name.to_string();
            }
        }
    }
    panic!("cell {r}{f}{m} has no name");
}
