//! How far a task has come: the record that says so, the truth of a restart.
//!
//! Written in every transaction of its task, beside the states. Its bytes are in `codec/state.rs`.

use crate::domain::time::Timestamp;

/// The lineage before any rebuild.
pub const FIRST_LINEAGE: u32 = 1;

/// What a task must know to go on after a restart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Next offset by input.
    pub next_offsets: [i64; 3],
    /// Highest effective time consumed, by input.
    pub highest: [Timestamp; 3],
    /// The task's clock.
    pub clock: Timestamp,
    /// Transactions committed for this task.
    pub commit_counter: u64,
    /// Customers with a state: fewer of them in the changelog are half a state.
    pub customers: u64,
    /// Marks of erased customers.
    pub erased: u64,
    /// Customers erased since the lineage began: the incarnation of whoever comes next.
    pub erasures: u32,
    /// Records that wait for other tasks.
    pub waiting: u64,
    /// Partitions of every input; frozen.
    pub partitions: u32,
    /// Revision of the rules.
    pub rules_revision: u32,
    /// Hash of the rules.
    pub rules_hash: String,
    /// Hash of the part of them that is used when an event comes in.
    pub fold_hash: String,
    /// Highest effective time of an order taken in: amounts are converted at the rate of their
    /// order, so that no later rate has decided. [`Timestamp::MIN`] before any order.
    pub latest_order_at: Timestamp,
    /// The rates that have decided, as [`crate::domain::money::ExchangeRates::history`] names them
    /// at [`Self::latest_order_at`].
    pub rates: String,
    /// Names of the `rfm` values by number, so that another map can tell what was published.
    pub rfm_values: Vec<String>,
    /// Names of the audiences by number.
    pub audiences: Vec<String>,
    /// +1 per rebuild.
    pub lineage: u32,
    /// Next offset of the `control` topic.
    pub control_offset: i64,
    /// Where a re-evaluation of all customers stands: the next key; `None` = there is none.
    pub cursor: Option<u64>,
    /// What the task does with changes.
    pub phase: Phase,
}

/// What a task does with changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Phase {
    /// Writes them.
    #[default]
    Live,
    /// Builds state silently, until the inputs reach these offsets.
    Silent([i64; 3]),
    /// Writes one change per customer and dimension; customers touched go first.
    Baseline,
    /// Deletes what an earlier lineage left, before any input is read.
    Purging,
}

/// Clock, commit counter and lineage, as the metadata of the group's offsets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OffsetMetadata {
    /// The task's clock.
    pub clock: Timestamp,
    /// Transactions committed for this task.
    pub commit_counter: u64,
    /// +1 per rebuild.
    pub lineage: u32,
    /// Time of the first record that waits for other tasks and will tell more: that is of then.
    pub waits_at: Option<Timestamp>,
}

impl OffsetMetadata {
    /// The string that is committed: `1 <clock ms> <commit counter> <lineage>`, and behind it
    /// ` <ms>` where something waits.
    #[must_use]
    pub fn text(&self) -> String {
        let waits_at = self.waits_at.map_or_else(String::new, |at| format!(" {}", at.0));
        format!("1 {} {} {}{waits_at}", self.clock.0, self.commit_counter, self.lineage)
    }

    /// Reads [`Self::text`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix("1 ")?.split(' ');
        let clock = Timestamp(words.next()?.parse().ok()?);
        let commit_counter = words.next()?.parse().ok()?;
        let lineage = words.next()?.parse().ok()?;
        let waits_at = match words.next() {
            Some(word) => Some(Timestamp(word.parse().ok()?)),
            None => None,
        };
        words.next().is_none().then_some(Self { clock, commit_counter, lineage, waits_at })
    }
}
