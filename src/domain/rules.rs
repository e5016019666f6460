//! The rules: every number and map that decides, validated, immutable while a task runs.
//!
//! Built by `config`; nothing here reads a file. Next: `rfm.rs` and `lifecycle.rs`, which decide.

use crate::domain::money::ExchangeRates;
use crate::domain::name::Name;
use crate::domain::rfm_map::RfmMap;

/// Everything that decides about a customer.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Which rules these are.
    pub identity: RulesIdentity,
    /// How amounts become base currency.
    pub rates: ExchangeRates,
    /// The `rfm` dimension.
    pub rfm: RfmRules,
    /// Expected gaps.
    pub gap: GapRules,
    /// The `lifecycle` dimension.
    pub lifecycle: LifecycleRules,
    /// Owner role of each lifecycle stage, in the order of `lifecycle::Stage::ALL`.
    pub roles: [Name; 6],
    /// Which dimensions are emitted and how.
    pub output: OutputRules,
}

/// Names a rule set; written into every change and every `progress`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RulesIdentity {
    /// Name of the set.
    pub set: Name,
    /// Raised by the user with every change.
    pub revision: u32,
    /// First 16 hex digits of the SHA-256 of the effective rules.
    pub hash: Name,
}

/// The `rfm` dimension.
#[derive(Clone, Debug)]
pub struct RfmRules {
    /// Cells to names.
    pub map: RfmMap,
    /// Orders older than this do not count for F and M, in ms; `None` = lifetime.
    pub window_ms: Option<i64>,
    /// Sum or average.
    pub monetary: Monetary,
    /// Edges of R in days; strictly above an edge costs a level.
    pub recency_days: Vec<i64>,
    /// Edges of F in orders.
    pub frequency: Vec<i64>,
    /// Edges of M in minor units.
    pub monetary_minor: Vec<i64>,
}

/// What M measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Monetary {
    /// Net amounts within the window added up.
    Sum,
    /// Their average, rounded down.
    Average,
}

/// Expected gaps between orders.
#[derive(Clone, Debug)]
pub struct GapRules {
    /// The gap expected of somebody unknown, in days.
    pub prior_days: i64,
    /// How many own gaps the prior weighs.
    pub prior_weight: i64,
    /// How long after a term's end a renewal is waited for, in ms.
    pub subscription_grace_ms: i64,
}

/// The `lifecycle` dimension.
#[derive(Clone, Debug)]
pub struct LifecycleRules {
    /// Live while the last order is at most this many expected gaps old.
    pub live_gaps: i64,
    /// Counting orders that make a customer retained.
    pub retention_orders: u64,
    /// How long consideration evidence lasts, in ms.
    pub consideration_ms: i64,
    /// How long an accepted referral is advocacy evidence, in ms.
    pub referral_ms: i64,
    /// How long a promoter's answer is advocacy evidence, in ms.
    pub promoter_ms: i64,
    /// How long a good review or a share is advocacy evidence, in ms.
    pub review_ms: i64,
    /// Counting orders without which a review or share is no advocacy evidence.
    pub review_orders: u64,
}

/// What is emitted and how.
#[derive(Clone, Debug)]
pub struct OutputRules {
    /// Changes detected later than this after they, or the events that caused them, occurred are
    /// not actionable, in ms.
    pub act_within_ms: i64,
    /// Whether `rfm` changes are emitted.
    pub rfm: bool,
    /// Whether `lifecycle` changes are emitted.
    pub lifecycle: bool,
}
