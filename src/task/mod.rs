//! One partition of all co-partitioned inputs: its customers, timers and clock.
//!
//! Pure: events and time in, changes and states out; no Kafka, no I/O, no clock, no randomness.
//! Reading order: `partition_task`, `events`, `relay`, `ties`, `transaction`, `clock`, `merge`,
//! `store`, `timers`, `held`, `room`, `marks`.

pub mod clock;
mod erase;
mod events;
mod held;
pub mod marks;
pub mod merge;
pub mod partition_task;
mod reevaluation;
pub mod relay;
pub mod room;
pub mod store;
mod ties;
pub mod timers;
pub mod transaction;

pub use partition_task::{EventRecord, PartitionTask, TaskConfig};
pub use transaction::ProfileWrite;
