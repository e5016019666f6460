//! One partition of all co-partitioned inputs: its customers, timers and clock.
//!
//! Pure: events and time in, changes and states out; no Kafka, no I/O, no clock, no randomness.
//! Reading order: `partition_task`, `clock`, `merge`, `store`, `timers`, `erasures`.

pub mod clock;
pub mod erasures;
pub mod merge;
pub mod partition_task;
pub mod store;
pub mod timers;

pub use partition_task::{EventRecord, PartitionTask, ProfileWrite, TaskConfig};
