//! What a customer says of us: answers by survey, and the parts of perceived value.
//!
//! The latest answer is the one with the greatest stamp, so arrival order does not matter.
//! Next: `dimensions/satisfaction.rs` and `perceived_value.rs`, which read them.

use crate::domain::event::Survey;
use crate::domain::facts::bounded_text::cut;
use crate::domain::facts::order::Stamp;
use crate::domain::time::Timestamp;

/// Bytes of a reason that are kept.
pub const MAX_REASON_BYTES: usize = 128;
/// Reasons kept per survey: the latest.
pub const MAX_REASONS: usize = 3;
/// Parts of perceived value that are kept: the latest answered.
pub const MAX_PARTS: usize = 16;
/// Bytes of a part's name that are kept.
pub const MAX_NAME_BYTES: usize = 32;
/// Ends the name of a part that tells of the next-best product.
pub const ALTERNATIVE: &str = "@alternative";

/// Surveys whose answers are kept, in the order in which they are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are those of the records")]
pub enum Topic {
    Nps = 0,
    Csat = 1,
    Ces = 2,
    Attention = 3,
    Brand = 4,
    PurchaseReason = 5,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Nps, Self::Csat, Self::Ces, Self::Attention, Self::Brand, Self::PurchaseReason];

    /// The name that is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nps => "nps",
            Self::Csat => "csat",
            Self::Ces => "ces",
            Self::Attention => "attention",
            Self::Brand => "brand",
            Self::PurchaseReason => "purchase_reason",
        }
    }
}

/// Answers of a customer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Surveys {
    /// By [`Topic`].
    pub answers: [Option<Box<Answers>>; Topic::ALL.len()],
    /// Benefits and costs, ordered by (side, name).
    pub parts: Vec<Part>,
}

/// Answers to one survey.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answers {
    /// When the latest was given.
    pub last: Stamp,
    /// Its score; a purchase reason may have none.
    pub score: Option<u8>,
    /// How many.
    pub count: u64,
    /// How many of them have a score.
    pub scored: u64,
    /// Sum of the scores.
    pub sum: u64,
    /// The latest reasons, latest first.
    pub reasons: Vec<(Stamp, Box<str>)>,
}

/// The latest answer about a benefit or a cost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Of what.
    pub side: Side,
    /// Its name, without [`ALTERNATIVE`].
    pub name: Box<str>,
    /// When.
    pub at: Timestamp,
    /// 0 to 10.
    pub score: u8,
}

/// What a part of perceived value tells of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    /// What our product gives.
    Benefit = 0,
    /// What it costs them, not only in money.
    Cost = 1,
    /// What the next-best product would give.
    AlternativeBenefit = 2,
    /// What it would cost them.
    AlternativeCost = 3,
}

impl Side {
    /// All, by the number that is stored.
    pub const ALL: [Self; 4] =
        [Self::Benefit, Self::Cost, Self::AlternativeBenefit, Self::AlternativeCost];
}

impl Surveys {
    /// Takes an answer in; true when another one fell out for it.
    pub fn apply(
        &mut self,
        survey: &Survey<'_>,
        score: Option<u8>,
        reason: Option<&str>,
        stamp: Stamp,
    ) -> bool {
        let topic = match survey {
            Survey::Nps => Topic::Nps,
            Survey::Csat => Topic::Csat,
            Survey::Ces => Topic::Ces,
            Survey::Attention => Topic::Attention,
            Survey::Brand => Topic::Brand,
            Survey::PurchaseReason => Topic::PurchaseReason,
            Survey::Benefit(name) => {
                return self.answer_part(
                    [Side::Benefit, Side::AlternativeBenefit],
                    name,
                    score,
                    stamp,
                );
            }
            Survey::Cost(name) => {
                return self.answer_part([Side::Cost, Side::AlternativeCost], name, score, stamp);
            }
        };
        let answers = self.answers[topic as usize].get_or_insert_with(|| {
            let reasons = Vec::new();
            Box::new(Answers { last: stamp, score, count: 0, scored: 0, sum: 0, reasons })
        });
        if answers.last < stamp {
            (answers.last, answers.score) = (stamp, score);
        }
        answers.count += 1;
        answers.scored += u64::from(score.is_some());
        answers.sum += u64::from(score.unwrap_or(0));
        if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
            answers.keep_reason(stamp, cut(reason, MAX_REASON_BYTES).into());
        }
        false
    }

    /// Takes over another customer's answers; returns how many parts fell out.
    pub fn absorb(&mut self, source: Self) -> u64 {
        for (own, other) in self.answers.iter_mut().zip(source.answers) {
            match (own, other) {
                (Some(own), Some(other)) => own.absorb(*other),
                (own @ None, other) => *own = other,
                (Some(_), None) => {}
            }
        }
        source.parts.into_iter().map(|part| u64::from(self.keep_part(part))).sum()
    }

    fn answer_part(
        &mut self,
        [own, alternative]: [Side; 2],
        name: &str,
        score: Option<u8>,
        stamp: Stamp,
    ) -> bool {
        let Some(score) = score else { return false };
        let (side, name) = match name.strip_suffix(ALTERNATIVE) {
            Some(name) => (alternative, name),
            None => (own, name),
        };
        let name = cut(name, MAX_NAME_BYTES).into();
        self.keep_part(Part { side, name, at: stamp.at, score })
    }

    /// Takes in what was answered about a part; true when another one fell out for it.
    fn keep_part(&mut self, answered: Part) -> bool {
        let key = (answered.side, &answered.name);
        match self.parts.binary_search_by(|part| (part.side, &part.name).cmp(&key)) {
            Ok(place) => {
                let part = &mut self.parts[place];
                (part.at, part.score) = (part.at, part.score).max((answered.at, answered.score));
                false
            }
            Err(place) => {
                self.parts.insert(place, answered);
                if self.parts.len() <= MAX_PARTS {
                    return false;
                }
                let oldest = (0..self.parts.len()).min_by_key(|place| self.parts[*place].at);
                self.parts.remove(oldest.unwrap_or(0));
                true
            }
        }
    }

    /// The answers to a survey.
    #[must_use]
    pub fn of(&self, topic: Topic) -> Option<&Answers> {
        self.answers[topic as usize].as_deref()
    }
}

impl Answers {
    fn absorb(&mut self, source: Self) {
        if self.last < source.last {
            (self.last, self.score) = (source.last, source.score);
        }
        self.count = self.count.saturating_add(source.count);
        self.scored = self.scored.saturating_add(source.scored);
        self.sum = self.sum.saturating_add(source.sum);
        source.reasons.into_iter().for_each(|(stamp, reason)| self.keep_reason(stamp, reason));
    }

    fn keep_reason(&mut self, stamp: Stamp, reason: Box<str>) {
        let place = self.reasons.partition_point(|(present, _)| *present > stamp);
        if place < MAX_REASONS {
            self.reasons.insert(place, (stamp, reason));
            self.reasons.truncate(MAX_REASONS);
        }
    }
}
