//! Why a record is refused: the stable codes of the `dead-letters` topic.
//!
//! A refusal never stops the flow and never loses the record. Next: `codec`, which refuses.

use std::fmt;

/// A refused record: a stable code and what exactly was wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The stable code.
    pub reason: Reason,
    /// For people: names the field and the value.
    pub detail: String,
}

impl Refusal {
    /// A refusal with its detail.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.reason.code(), self.detail)
    }
}

/// Stable codes, the header `reason` of a dead letter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the codes say it")]
pub enum Reason {
    Tombstone,
    Undecodable,
    UnknownSchema,
    IncompatibleSchema,
    UnknownKind,
    MissingField,
    WrongType,
    InvalidValue,
    InvalidId,
    NegativeAmount,
    AmountTooLarge,
    UnknownCurrency,
    TooFarAhead,
    Misrouted,
}

impl Reason {
    /// Every code, for metrics and docs.
    pub const ALL: [Self; 14] = [
        Self::Tombstone,
        Self::Undecodable,
        Self::UnknownSchema,
        Self::IncompatibleSchema,
        Self::UnknownKind,
        Self::MissingField,
        Self::WrongType,
        Self::InvalidValue,
        Self::InvalidId,
        Self::NegativeAmount,
        Self::AmountTooLarge,
        Self::UnknownCurrency,
        Self::TooFarAhead,
        Self::Misrouted,
    ];

    /// The code as it is written.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Tombstone => "tombstone",
            Self::Undecodable => "undecodable",
            Self::UnknownSchema => "unknown_schema",
            Self::IncompatibleSchema => "incompatible_schema",
            Self::UnknownKind => "unknown_kind",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::InvalidValue => "invalid_value",
            Self::InvalidId => "invalid_id",
            Self::NegativeAmount => "negative_amount",
            Self::AmountTooLarge => "amount_too_large",
            Self::UnknownCurrency => "unknown_currency",
            Self::TooFarAhead => "too_far_ahead",
            Self::Misrouted => "misrouted",
        }
    }
}
