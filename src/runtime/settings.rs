//! What a worker is told when it is made, and how it ends.

use crate::codec::encode::OutputFormat;
use crate::config::CommitConfig;
use crate::domain::name::Name;
use crate::domain::time::Timestamp;
use crate::task::TaskConfig;
use std::time::Duration;

/// What a worker is told when it is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What every task is told; partition, run and time of the rebuild are filled in.
    pub task: TaskConfig,
    /// Topic names by input.
    pub topics: [Name; 3],
    /// When transactions end.
    pub commit: CommitConfig,
    /// Whether wall time moves the clocks.
    pub wall_clock: bool,
    /// How long timers wait for a task that does not get on; `None` = they wait for nobody, since
    /// no event is in another partition than its customer.
    pub max_hold: Option<Duration>,
    /// Timers fired in one round of a worker, over all of its tasks; and as many customers judged.
    pub timers_per_round: usize,
    /// Unpacked customers of a task from which on their states are sent before the commit.
    pub unpacked: usize,
    /// Largest dead letter in bytes.
    pub dead_letter_max_bytes: usize,
    /// Encoding of `segment-changes`.
    pub changes: OutputFormat,
    /// Encoding of `customers`.
    pub profiles: OutputFormat,
    /// Leave the group for good when stopping.
    pub leave_on_stop: bool,
    /// Process up to the ends of this moment, advance the clocks to the time (if any), stop.
    pub until_end: Option<Option<Timestamp>>,
    /// The broker keeps nothing (the mock cluster): no offsets are compared, nothing is restored.
    pub forgetful: bool,
    /// How long a commit is tried again before its producer is given up.
    pub commit_patience: Duration,
}

/// Why a worker, and with it the process, ends.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WorkerError {
    /// Exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Exit code 2: what was asked for cannot be.
    #[error("{0}")]
    Refused(String),
}

/// What a round of a worker came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Round {
    /// There is more to do at once.
    Busy,
    /// Nothing to do before this time is over, or something arrives.
    Idle(Duration),
    /// A run that ends by itself has done everything.
    Done,
}

/// What the registry answers to the question for a schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SchemaAnswer {
    /// The schema.
    Schema(String),
    /// There is none of this id.
    Unknown(String),
    /// Ask again later.
    Unavailable(String),
}

/// Asks the registry for a schema by id.
pub type AskForSchema = Box<dyn FnMut(u32) -> SchemaAnswer + Send>;
