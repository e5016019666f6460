//! The broker as the worker sees it: a group member with fetched input, and one transactional
//! producer.
//!
//! Two implementations: `kafka::KafkaBroker` and the simulated broker of `tests/simulation`.
//! Every call returns at once or within a bounded time, and all of them happen on the worker's
//! thread. Next: `worker.rs`, which calls it.

use crate::domain::time::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// The co-partitioned inputs of a task, in their fixed order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the names are those of the topics")]
pub enum Input {
    Interactions = 0,
    Purchases = 1,
    Relay = 2,
}

impl Input {
    /// All inputs, in the order that decides between records of equal time.
    pub const ALL: [Self; 3] = [Self::Interactions, Self::Purchases, Self::Relay];

    /// Place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Label in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interactions => "interactions",
            Self::Purchases => "purchases",
            Self::Relay => "relay",
        }
    }
}

/// The topics that are written to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the names are those of the topics")]
pub enum Output {
    SegmentChanges,
    Customers,
    State,
    Relay,
    DeadLetters,
    Control,
}

/// An input record: the Kafka envelope around encoded bytes.
pub trait Record {
    /// The key; `None` when the record has none.
    fn key(&self) -> Option<&[u8]>;
    /// The value; `None` is a tombstone.
    fn value(&self) -> Option<&[u8]>;
    /// Offset of this record.
    fn offset(&self) -> i64;
    /// The record's timestamp; `None` when the broker has none.
    fn timestamp(&self) -> Option<Timestamp>;
}

/// A record to be sent in the open transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutRecord<'a> {
    /// Which topic.
    pub output: Output,
    /// Explicit partition; none is ever chosen by the producer.
    pub partition: u32,
    /// Key, where the topic has one.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers.
    pub headers: &'a [(&'a str, Vec<u8>)],
}

/// What the consumer group tells; partitions are those of the tasks, the same for every input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEvent {
    /// These tasks are ours now. The worker answers with [`Broker::assign`].
    Assigned(Vec<u32>),
    /// Every task is taken away. The worker commits or aborts, then answers with
    /// [`Broker::unassign`].
    Revoked {
        /// The group has given our tasks to others already: nothing can be committed.
        lost: bool,
    },
}

/// Committed group offsets of a task with their metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommittedOffsets {
    /// Next offset by input, in the order of [`Input::ALL`]; `None` = nothing committed.
    pub next_offsets: [Option<i64>; 3],
    /// The metadata string of the first input that has one.
    pub metadata: Option<String>,
}

/// Offsets of a touched task, to be committed in the open transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskOffsets {
    /// The task.
    pub partition: u32,
    /// Next offset by input, in the order of [`Input::ALL`].
    pub next_offsets: [i64; 3],
    /// Metadata for each of them: clock and commit counter, at most 4096 characters.
    pub metadata: String,
}

/// Log start and end of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// First offset that can still be read.
    pub low: i64,
    /// High watermark: the offset after the last record, decided or not.
    pub high: i64,
}

/// The latest sample of the end offsets of a task's inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndSample {
    /// Wall time read before the ends were asked for.
    pub at: Timestamp,
    /// The same on the monotonic clock, in ms.
    pub asked_ms: i64,
    /// High watermarks by input, in the order of [`Input::ALL`].
    pub ends: [i64; 3],
}

/// How far all tasks of the group are, whoever runs them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClockSample {
    /// Monotonic ms, another one for every sample.
    pub asked_ms: i64,
    /// Wall time read after what is committed was told, and before the ends were asked for.
    pub at: Timestamp,
    /// By partition.
    pub tasks: Vec<TaskSample>,
}

/// One task of a [`ClockSample`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskSample {
    /// What it has committed last; open transactions are not waited for.
    pub committed: CommittedOffsets,
    /// High watermarks of its inputs, in the order of [`Input::ALL`]; `None` when not known.
    pub ends: Option<[i64; 3]>,
}

/// A record of the changelog, as restoring reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangelogRecord {
    /// The key.
    pub key: Vec<u8>,
    /// The value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// Errors by what the worker does about them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// Nothing is lost: call again.
    #[error("{0}")]
    Retriable(String),
    /// The open transaction has to be aborted; the producer stays usable.
    #[error("{0}")]
    Abort(String),
    /// The producer is fenced or broken: initialise a new one, trust only what is committed.
    #[error("{0}")]
    Fenced(String),
    /// The process has to end; the text says what to do.
    #[error("{0}")]
    Fatal(String),
}

/// How sending one record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The producer has it.
    Queued,
    /// The queue is full: serve it and send again.
    QueueFull,
}

/// A committed or aborted transaction, and whether the producer must be initialised anew before
/// the next one begins: the call timed out, took more than a second, or the coordinator's
/// transport failed (a delayed end of transaction must not hit the next transaction).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Drop the producer and initialise it again first.
    pub renew_producer: bool,
}

/// One member of the consumer group together with its transactional producer.
pub trait Broker {
    /// The records it fetches.
    type Record: Record;

    // --- the group ---

    /// Serves the group and the error callbacks; called in every round of the worker.
    ///
    /// # Errors
    /// `Fatal` when the consumer cannot go on (another living process has this member's id,
    /// authorisation). Transport errors are not errors here; they are logged and kept.
    fn poll_group(&mut self) -> Result<Option<GroupEvent>, BrokerError>;

    /// Accepts [`GroupEvent::Assigned`]. Nothing is fetched for a task until [`Self::seek`].
    ///
    /// # Errors
    /// `Retriable` when the broker did not answer; else as it says.
    fn assign(&mut self, partitions: &[u32]) -> Result<(), BrokerError>;

    /// Accepts [`GroupEvent::Revoked`].
    ///
    /// # Errors
    /// `Retriable` when the broker did not answer; else as it says.
    fn unassign(&mut self) -> Result<(), BrokerError>;

    /// Leaves the group for good; only needed for scaling in.
    ///
    /// # Errors
    /// As the broker says.
    fn leave_group(&mut self) -> Result<(), BrokerError>;

    // --- input ---

    /// Fetches from `next_offset` on; what was fetched before is forgotten.
    ///
    /// # Errors
    /// `Retriable` while the partition is not ready for it; `Fatal` when the offset is out of
    /// range.
    fn seek(&mut self, partition: u32, input: Input, next_offset: i64) -> Result<(), BrokerError>;

    /// Moves at most `max` fetched records, in offset order, to the end of `into`; never waits.
    ///
    /// # Errors
    /// `Fatal` when the position is out of the log's range.
    fn fetch(
        &mut self,
        partition: u32,
        input: Input,
        max: usize,
        into: &mut VecDeque<Self::Record>,
    ) -> Result<(), BrokerError>;

    /// The position: the next offset that [`Self::fetch`] would deliver, also when control
    /// records or aborted records lie between it and the last one fetched. `None` when unknown.
    fn position(&mut self, partition: u32, input: Input) -> Option<i64>;

    /// The latest sample of the end offsets of a task; `None` before the first.
    fn end_offsets(&mut self, partition: u32) -> Option<EndSample>;

    /// The latest sample of how far all tasks of the group are, of which there are so many; `None`
    /// before the first. One is taken every second from the first call on.
    ///
    /// # Errors
    /// `Fatal` when it cannot be asked for.
    fn clocks(
        &mut self,
        partitions: u32,
        soon: bool,
    ) -> Result<Option<Arc<ClockSample>>, BrokerError>;

    /// Log start and end of an input, read now.
    ///
    /// # Errors
    /// `Retriable` when the broker did not answer.
    fn watermarks(&mut self, partition: u32, input: Input) -> Result<Watermarks, BrokerError>;

    /// The group's committed offsets of a task. Waits for open transactions of others, and is
    /// therefore never asked while one is open here.
    ///
    /// # Errors
    /// `Retriable` while a transaction is open or the broker does not answer.
    fn committed(&mut self, partition: u32) -> Result<CommittedOffsets, BrokerError>;

    // --- restoring ---

    /// Begins to read the changelog of a task from its start to the high watermark of this
    /// moment, committed records only.
    ///
    /// # Errors
    /// `Retriable` when the broker did not answer.
    fn open_changelog(&mut self, partition: u32) -> Result<(), BrokerError>;

    /// Moves at most `max` records to `into`; true when the end was reached (and the reader is
    /// closed). Never waits long.
    ///
    /// # Errors
    /// As the broker says.
    fn read_changelog(
        &mut self,
        partition: u32,
        max: usize,
        into: &mut Vec<ChangelogRecord>,
    ) -> Result<bool, BrokerError>;

    /// Stops reading a changelog before its end.
    fn close_changelog(&mut self, partition: u32);

    /// All committed records of the `control` topic, oldest first. May take long: never asked while
    /// a transaction is open.
    ///
    /// # Errors
    /// `Retriable` when the broker did not answer.
    fn read_control(&mut self) -> Result<Vec<ChangelogRecord>, BrokerError>;

    // --- the transaction ---

    /// Makes a new producer of the same transactional id; fences older ones and ends their
    /// transactions.
    ///
    /// # Errors
    /// `Retriable` (with the last error that librdkafka told) or `Fatal`.
    fn init_producer(&mut self) -> Result<(), BrokerError>;

    /// Begins a transaction.
    ///
    /// # Errors
    /// `Fenced` or `Fatal`.
    fn begin(&mut self) -> Result<(), BrokerError>;

    /// Sends a record in the open transaction.
    ///
    /// # Errors
    /// `Abort`, `Fenced` or `Fatal`; never for a full queue.
    fn send(&mut self, record: &OutRecord<'_>) -> Result<Sent, BrokerError>;

    /// Serves delivery reports; true when nothing is in flight.
    ///
    /// # Errors
    /// `Abort` when a record was not delivered, `Fenced`.
    fn drained(&mut self) -> Result<bool, BrokerError>;

    /// Adds the offsets of the touched tasks to the transaction, with the group metadata taken
    /// at the last assignment. The list is never empty.
    ///
    /// # Errors
    /// `Retriable`, `Abort`, `Fenced` or `Fatal`.
    fn send_offsets(&mut self, offsets: &[TaskOffsets]) -> Result<(), BrokerError>;

    /// Commits. After `Retriable` the only call allowed is this one again.
    ///
    /// # Errors
    /// `Retriable`, `Abort`, `Fenced` or `Fatal`.
    fn commit(&mut self) -> Result<Ended, BrokerError>;

    /// Purges what is queued and aborts.
    ///
    /// # Errors
    /// `Retriable` (call again), `Fenced` or `Fatal`.
    fn abort(&mut self) -> Result<Ended, BrokerError>;

    /// Sleeps until a record arrives, an event of the group is near, or the time is over.
    fn wait(&mut self, at_most: Duration);
}
