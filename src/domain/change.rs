//! A segment change: one dimension of one customer took another published value, and why.
//!
//! A [`Change`] is complete: whoever encodes it adds nothing and looks nothing up.
//! Next: `summary.rs`, its sentence; `codec/change.rs`, its bytes.

use crate::domain::name::Name;
use crate::domain::rules::RulesIdentity;
use crate::domain::time::{DAY_MS, Timestamp};
use std::fmt;
use std::sync::Arc;

/// One change of one dimension of one customer. Where the rules want them compact, evidence, facts,
/// dimensions, consent and summary are empty.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// Names the change.
    pub change_id: ChangeId,
    /// Per customer, gapless from 1, shared by all dimensions.
    pub seq: u64,
    /// The subject's id.
    pub customer_id: String,
    /// `customer`, `anonymous` or `account`.
    pub subject: &'static str,
    /// Name of the dimension.
    pub dimension: Name,
    /// The value emitted before; `None` only for cause `baseline`.
    pub previous: Option<Name>,
    /// The value now; `None` only when the dimension closes.
    pub current: Option<Name>,
    /// Which way the customer moved.
    pub direction: Direction,
    /// How often the customer has come to this value, from 1; 0 when the dimension closes.
    pub entry: u32,
    /// When it became so.
    pub occurred_at: Timestamp,
    /// When the program saw it.
    pub detected_at: Timestamp,
    /// What brought it.
    pub cause: Cause,
    /// Which rule of which version decided.
    pub rule: Rule,
    /// On which numbers.
    pub evidence: Vec<Evidence>,
    /// RFM scores after the change; `None` without a counting order.
    pub scores: Option<Scores>,
    /// Facts after the change.
    pub facts: Facts,
    /// All published values after the group, name to value, in the order of the dimensions.
    pub dimensions: Arc<[(Name, Name)]>,
    /// How long the previous value had been published, in ms, never negative.
    pub dwell_ms: i64,
    /// What time alone will do next to this customer, in any dimension.
    pub next: Option<NextChange>,
    /// The changes that one cause brought.
    pub group: Group,
    /// The hold-out bucket.
    pub holdout: Holdout,
    /// Who owns a customer in this lifecycle stage: takes over when the stage changes.
    pub owner_role: Option<Name>,
    /// Who hands over; only of a change of the stage.
    pub previous_owner_role: Option<Name>,
    /// Purposes and whether they are allowed.
    pub consent: Vec<(String, bool)>,
    /// One sentence for people.
    pub summary: String,
    /// `seq` of the change of this dimension that the (late) event precedes.
    pub correction_of: Option<u64>,
    /// Not news but a re-evaluation.
    pub backfill: bool,
    /// Whether automation should act on it.
    pub actionable: bool,
    /// The run that wrote a backfill.
    pub run_id: Option<String>,
}

/// Names a change: a hash of application, lineage, customer, incarnation and `seq`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ChangeId(pub [u8; 16]);

impl ChangeId {
    /// The 32 hex digits that are written.
    #[must_use]
    pub fn digits(self) -> [u8; 32] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        digits
    }
}

impl fmt::Display for ChangeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

/// Which way a customer moved; lifecycle has words of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Direction {
    Up,
    Down,
    Lateral,
    Forward,
    Skip,
    Back,
    Reactivation,
}

impl Direction {
    /// The word that is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Lateral => "lateral",
            Self::Forward => "forward",
            Self::Skip => "skip",
            Self::Back => "back",
            Self::Reactivation => "reactivation",
        }
    }
}

/// What brings changes about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub enum CauseKind {
    #[default]
    Event,
    Timer,
    LateEvent,
    Refund,
    Merge,
    Consent,
    Dwell,
    Thresholds,
    Model,
    Rules,
    Baseline,
    Erase,
}

impl CauseKind {
    /// All kinds, by the number that is stored.
    pub const ALL: [Self; 12] = [
        Self::Event,
        Self::Timer,
        Self::LateEvent,
        Self::Refund,
        Self::Merge,
        Self::Consent,
        Self::Dwell,
        Self::Thresholds,
        Self::Model,
        Self::Rules,
        Self::Baseline,
        Self::Erase,
    ];

    /// The word that is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Timer => "timer",
            Self::LateEvent => "late_event",
            Self::Refund => "refund",
            Self::Merge => "merge",
            Self::Consent => "consent",
            Self::Dwell => "dwell",
            Self::Thresholds => "thresholds",
            Self::Model => "model",
            Self::Rules => "rules",
            Self::Baseline => "baseline",
            Self::Erase => "erase",
        }
    }

    /// Causes that re-evaluate rather than tell news.
    #[must_use]
    pub const fn is_backfill(self) -> bool {
        matches!(self, Self::Thresholds | Self::Model | Self::Rules | Self::Baseline)
    }
}

/// What brought a change: the kind, and the event with its place in Kafka where there is one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cause {
    /// The kind.
    pub kind: CauseKind,
    /// The event's id.
    pub event_id: Option<String>,
    /// The event's own time.
    pub occurred_at: Option<Timestamp>,
    /// Where the event's record lies.
    pub origin: Option<Origin>,
}

/// The place of an input record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// Topic name.
    pub topic: Name,
    /// Partition.
    pub partition: i32,
    /// Offset of the record.
    pub offset: i64,
}

/// Which rule of which version decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Rule set, revision and hash.
    pub identity: RulesIdentity,
    /// Such as `rf-10:at_risk`.
    pub id: Name,
}

/// A number that the decision rests on.
#[derive(Clone, PartialEq, Debug)]
pub struct Evidence {
    /// What was compared.
    pub name: &'static str,
    /// How: `>`, `>=`, `<=`, `<`, `=`.
    pub op: &'static str,
    /// With what.
    pub threshold: Number,
    /// Its value at the evaluation before.
    pub before: Number,
    /// Its value at this one.
    pub after: Number,
}

/// A number of an evidence entry, or a name; written as JSON number, string or null.
#[derive(Clone, PartialEq, Debug)]
pub enum Number {
    /// Unknown.
    None,
    /// A count or an amount.
    Integer(i64),
    /// A measure such as days.
    Decimal(f64),
    /// A name or a reason.
    Text(Arc<str>),
}

/// Milliseconds as days for people.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "for people; decisions use milliseconds")]
pub fn in_days(ms: i64) -> Number {
    if ms % DAY_MS == 0 {
        Number::Integer(ms / DAY_MS)
    } else {
        Number::Decimal(ms as f64 / DAY_MS as f64)
    }
}

/// RFM scores; 5 is best.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scores {
    /// Recency.
    pub r: u8,
    /// Frequency.
    pub f: u8,
    /// Monetary.
    pub m: u8,
    /// Orders within the window.
    pub frequency: u64,
    /// Sum or average of their net amounts, in minor units of the base currency.
    pub monetary_minor: i64,
    /// Where the cut points come from.
    pub cuts: &'static str,
}

/// Facts about a customer: lifetime, in the base currency.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Facts {
    /// Counting orders.
    pub orders: u64,
    /// Net revenue in minor units.
    pub net_minor: i64,
    /// `net_minor / orders`, rounded half away from zero.
    pub average_order_minor: Option<i64>,
    /// First counting order.
    pub first_order_at: Option<Timestamp>,
    /// Last counting order.
    pub last_order_at: Option<Timestamp>,
    /// Own mean gap between order days, in days; `None` with fewer than two order days.
    pub average_gap_days: Option<f64>,
    /// Shrunk gap, or the running subscription's term, in days; `None` before any order.
    pub expected_gap_days: Option<f64>,
}

/// What time alone will do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NextChange {
    /// The first instant at which it is so.
    pub at: Timestamp,
    /// Name of the dimension.
    pub dimension: Name,
    /// The value that it takes.
    pub value: Name,
}

/// The changes that one cause brought, contiguous in `seq`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Group {
    /// `change_id` of the first.
    pub id: ChangeId,
    /// From 1.
    pub index: u32,
    /// How many.
    pub size: u32,
}

/// The hold-out bucket of a customer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holdout {
    /// 0 to 99, by a stable hash of the id.
    pub bucket: u8,
    /// Whether messages may go out.
    pub treated: bool,
}
