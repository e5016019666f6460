//! The naive model of `qualification`.
//!
//! Next: `facts.rs`, what else a profile tells.

use crate::known::Known;
use ebbflow::domain::event::{Interaction, MeddicElement, Outcome, Qualification};
use ebbflow::domain::time::DAY_MS;

const ELEMENTS: [MeddicElement; 6] = [
    MeddicElement::Metrics,
    MeddicElement::DecisionCriteria,
    MeddicElement::DecisionProcess,
    // The three without which nobody is qualified.
    MeddicElement::EconomicBuyer,
    MeddicElement::IdentifyPain,
    MeddicElement::Champion,
];

impl Known<'_> {
    /// When each element was last scored, and with what effect; without those that are unknown.
    fn elements(&self, closed: Option<i64>) -> Vec<(usize, i64, u32)> {
        let mut known = Vec::new();
        for (place, wanted) in ELEMENTS.into_iter().enumerate() {
            let updates = self.interactions().filter_map(|((at, _), it)| match it {
                Interaction::QualificationUpdated(Qualification::Element {
                    element,
                    score,
                    evidence,
                }) if *element == wanted => {
                    Some((at, *score, evidence.as_deref().unwrap_or_default().trim()))
                }
                _ => None,
            });
            let Some((at, score, evidence)) = updates.max() else { continue };
            let effect = if evidence.is_empty() { score.min(1) } else { score };
            if closed.is_none_or(|closed| at > closed) && score > 0 {
                known.push((place, at, u32::from(effect)));
            }
        }
        known
    }

    fn outcome(&self) -> Option<(i64, usize)> {
        let outcomes = self.interactions().filter_map(|((at, _), it)| match it {
            Interaction::QualificationUpdated(Qualification::Outcome(outcome)) => {
                let all = [Outcome::Won, Outcome::Lost, Outcome::Disqualified];
                Some((at, all.iter().position(|it| it == outcome).expect("one of three")))
            }
            _ => None,
        });
        outcomes.max()
    }

    /// Sum of the scores of what is open; `None` while nothing is.
    pub(crate) fn meddic_sum(&self) -> Option<u32> {
        let elements = self.elements(self.outcome().map(|(at, _)| at));
        (!elements.is_empty()).then(|| elements.iter().map(|(.., score)| score).sum())
    }

    pub(crate) fn qualification(&self, at: i64) -> &'static str {
        let outcome = self.outcome();
        let elements = self.elements(outcome.map(|(at, _)| at));
        let Some(sum) = self.meddic_sum() else {
            return if outcome.is_some_and(|(_, place)| place == 2) {
                "disqualified"
            } else {
                "none"
            };
        };
        let needed: Vec<_> = elements.iter().filter(|(place, ..)| *place >= 3).collect();
        if needed.iter().any(|(_, scored, _)| at - scored > 90 * DAY_MS) {
            "stale"
        } else if sum >= 12 && needed.iter().filter(|(.., score)| *score >= 2).count() == 3 {
            "qualified"
        } else {
            "open"
        }
    }
}
