//! What is told of one task: its state, its clock and what holds it, its place in the inputs.
//!
//! Plain values without behaviour of a task. Next: `report.rs`.

use crate::domain::time::Timestamp;
use crate::runtime::broker::Input;

/// The state of a task.
///
/// ```text
/// Created -> Restoring -> Running <-> Suspended -> Closed
///                |  ^         (revoked, memory kept until the next assignment)
///                v  |
///              Blocked
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TaskState {
    /// Assigned; nothing read yet.
    #[default]
    Created,
    /// Its changelog is being read.
    Restoring {
        /// Records read so far.
        records: u64,
    },
    /// Processing.
    Running,
    /// Revoked; its memory is kept until the next assignment.
    Suspended,
    /// Gone.
    Closed,
    /// Assigned, and this process must not run it.
    Blocked {
        /// Why, such as `its state was written by rules revision 5, this instance has 4`.
        reason: String,
    },
}

impl TaskState {
    /// All names, in the order of the diagram.
    pub const NAMES: [&str; 6] =
        ["created", "restoring", "running", "suspended", "closed", "blocked"];

    /// The name in reports and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Restoring { .. } => "restoring",
            Self::Running => "running",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
            Self::Blocked { .. } => "blocked",
        }
    }

    /// Whether the group has given the task to this process.
    #[must_use]
    pub const fn assigned(&self) -> bool {
        !matches!(self, Self::Suspended | Self::Closed)
    }

    /// Why the task keeps the process from being ready, as a sentence.
    pub(super) fn not_ready(&self, partition: u32) -> Option<String> {
        match self {
            Self::Created => Some(format!("partition {partition} waits to be restored")),
            Self::Restoring { records } => {
                Some(format!("partition {partition} is being restored, {records} records so far"))
            }
            Self::Blocked { reason } => {
                Some(format!("does not run partition {partition}: {reason}"))
            }
            Self::Running | Self::Suspended | Self::Closed => None,
        }
    }
}

/// What keeps a task's clock behind the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeldBy {
    /// Nothing: it is as late as the last look at the wall clock.
    #[default]
    None,
    /// An input that is not at its end and has no record at hand.
    Input(Input),
    /// The schema registry: a record's schema cannot be fetched.
    Registry,
    /// A record of the relay is for a newer program, or a newer lineage.
    NewerProgram,
    /// The task is not restored.
    Restore,
    /// The tasks of other partitions, which may still have events of the next record's customer.
    Tasks,
    /// Records and timers of the past are being worked through.
    Replaying,
}

impl HeldBy {
    /// The label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Input(input) => input.name(),
            Self::Registry => "registry",
            Self::NewerProgram => "newer program",
            Self::Restore => "restore",
            Self::Tasks => "tasks",
            Self::Replaying => "replaying",
        }
    }
}

/// How far a task is with judging its customers by new rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reevaluation {
    /// The revision by which they are judged.
    pub revision: u32,
    /// Customers that are still to be judged.
    pub left: u64,
    /// Customers judged per second since this process went on with it.
    pub per_second: Option<f64>,
}

/// What is told of a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskStatus {
    /// Its state.
    pub state: TaskState,
    /// Its clock; `None` before the first time.
    pub clock: Option<Timestamp>,
    /// Whether wall time moves the clock; without, it has no lag.
    pub follows_wall: bool,
    /// What holds the clock.
    pub held_by: HeldBy,
    /// Its inputs, in the order of [`Input::ALL`].
    pub inputs: [InputStatus; 3],
    /// Customers in memory.
    pub customers: u64,
    /// Estimated memory of their states, and of the marks of erased ones.
    pub state_bytes: u64,
    /// Ids that have become another subject's.
    pub redirects: u64,
    /// Relayed records that wait for other tasks.
    pub relay_waiting: u64,
    /// How far it is with judging its customers by new rules; `None` when all are judged.
    pub reevaluation: Option<Reevaluation>,
    /// Timers in the queue.
    pub timers_pending: u64,
    /// Deadline of the oldest timer that is due and has not fired.
    pub oldest_due_at: Option<Timestamp>,
    /// Deadline of the oldest timer that the clock has reached and that waits for other tasks.
    pub oldest_held_at: Option<Timestamp>,
    /// Transactions that this task took part in, over its whole life.
    pub commit_count: u64,
    /// Wall time of its last commit by this process.
    pub last_commit_at: Option<Timestamp>,
}

/// One input of a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputStatus {
    /// Offset of the next record to process.
    pub next_offset: i64,
    /// End of the log, as last sampled.
    pub end_offset: Option<i64>,
    /// Timestamp of the oldest record that waits; `None` at the end of the log, or when it has
    /// not been fetched.
    pub waiting_since: Option<Timestamp>,
}

impl InputStatus {
    /// Offsets between the next record and the end of the log; control records count.
    #[must_use]
    pub fn lag_records(&self) -> u64 {
        let end = self.end_offset.unwrap_or(self.next_offset);
        u64::try_from(end.saturating_sub(self.next_offset)).unwrap_or(0)
    }

    /// Age of the oldest record that waits at `now`, in ms.
    #[must_use]
    pub fn lag_ms(&self, now: Timestamp) -> i64 {
        self.waiting_since.map_or(0, |since| now.since(since).max(0))
    }
}
