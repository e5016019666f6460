//! Label values that are known beforehand.
//!
//! Next: `mod.rs`, where their series begin at zero.

/// Why a transaction was aborted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AbortClass {
    /// The broker refused it or a record was not delivered; the producer stays.
    Refused,
    /// The producer was fenced or broken, or its transaction timed out.
    Fenced,
    /// The tasks were given to others before it could be committed.
    Lost,
    /// The program is about to end.
    Fatal,
}

impl AbortClass {
    /// All classes.
    pub const ALL: [Self; 4] = [Self::Refused, Self::Fenced, Self::Lost, Self::Fatal];

    /// The label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Fenced => "fenced",
            Self::Lost => "lost",
            Self::Fatal => "fatal",
        }
    }
}

/// What the consumer group did to this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are those of the group protocol")]
pub enum Rebalance {
    Assigned,
    Revoked,
    Lost,
}

impl Rebalance {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Assigned, Self::Revoked, Self::Lost];

    /// The label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Revoked => "revoked",
            Self::Lost => "lost",
        }
    }
}
