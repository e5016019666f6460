//! One partition of all co-partitioned inputs: its customers, timers and clock.
//!
//! Pure: events and time in, changes and states out; no Kafka, no I/O, no clock, no randomness.
//! Reading order: `partition_task`, `transaction`, `clock`, `merge`, `store`, `timers`, `held`,
//! `erasures`.

pub mod clock;
pub mod erasures;
mod held;
pub mod merge;
pub mod partition_task;
mod reevaluation;
pub mod store;
pub mod timers;
pub mod transaction;

pub use partition_task::{EventRecord, PartitionTask, TaskConfig};
pub use transaction::ProfileWrite;
