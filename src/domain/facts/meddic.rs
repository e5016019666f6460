//! MEDDIC: the six elements of a qualification, each with its latest score, and the outcome.
//!
//! The latest is the greatest by (time, score, evidence), so arrival order does not matter.
//! Source: D. Dunkel, J. McMahon, PTC, 1996; scores 0 to 3 as in several published scorecards.
//! Next: `dimensions/qualification.rs`, which judges them.

use crate::domain::event::{MeddicElement, Outcome, Qualification};
use crate::domain::facts::bounded_text::cut;
use crate::domain::time::Timestamp;

/// Bytes of evidence that are kept per element.
pub const MAX_EVIDENCE_BYTES: usize = 128;

/// The elements in the order in which they are written.
pub const ELEMENTS: [MeddicElement; 6] = [
    MeddicElement::Metrics,
    MeddicElement::EconomicBuyer,
    MeddicElement::DecisionCriteria,
    MeddicElement::DecisionProcess,
    MeddicElement::IdentifyPain,
    MeddicElement::Champion,
];

/// The outcomes in the order in which they are stored.
pub const OUTCOMES: [Outcome; 3] = [Outcome::Won, Outcome::Lost, Outcome::Disqualified];

/// What is known of a qualification.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Meddic {
    /// By the place in [`ELEMENTS`].
    pub elements: [Option<Element>; ELEMENTS.len()],
    /// The latest outcome: when, and the place in [`OUTCOMES`].
    pub outcome: Option<(Timestamp, u8)>,
}

/// The latest score of an element.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Element {
    /// When.
    pub at: Timestamp,
    /// 0 to 3; 0 means unknown.
    pub score: u8,
    /// What it rests on; empty = nothing.
    pub evidence: Box<str>,
}

impl Element {
    /// The score that counts: without evidence at most 1.
    #[must_use]
    pub fn effective_score(&self) -> u8 {
        if self.evidence.is_empty() { self.score.min(1) } else { self.score }
    }
}

impl Meddic {
    /// Takes an update in.
    pub fn apply(&mut self, update: &Qualification<'_>, at: Timestamp) {
        match update {
            Qualification::Element { element, score, evidence } => {
                let evidence = evidence.as_deref().unwrap_or_default().trim();
                let evidence = cut(evidence, MAX_EVIDENCE_BYTES).into();
                let update = Element { at, score: *score, evidence };
                let Some(place) = ELEMENTS.iter().position(|it| it == element) else { return };
                let present = &mut self.elements[place];
                if present.as_ref() < Some(&update) {
                    *present = Some(update);
                }
            }
            Qualification::Outcome(outcome) => {
                let place = OUTCOMES.iter().position(|it| it == outcome);
                let place = place.and_then(|place| u8::try_from(place).ok()).unwrap_or(0);
                self.outcome = self.outcome.max(Some((at, place)));
            }
        }
    }

    /// Takes over another customer's qualification.
    pub fn absorb(&mut self, source: Self) {
        for (own, other) in self.elements.iter_mut().zip(source.elements) {
            if *own < other {
                *own = other;
            }
        }
        self.outcome = self.outcome.max(source.outcome);
    }

    /// An element of the qualification that is open: what is not later than the outcome belongs
    /// to the one that ended.
    #[must_use]
    pub fn element(&self, element: MeddicElement) -> Option<&Element> {
        let place = ELEMENTS.iter().position(|it| *it == element)?;
        let ended_at = self.outcome.map_or(Timestamp::MIN, |(at, _)| at);
        self.elements[place].as_ref().filter(|element| element.at > ended_at)
    }
}
