//! The loop: polls, processes, fires timers, commits. Knows time, threads and the `Broker` trait,
//! never rdkafka.
//!
//! Reading order: `broker` (the trait), `worker` (the numbered steps), `group`, `prepare`,
//! `restore`, `commit`, `pump`, `slot`, `share`, `others`, `hold`,
//! `start`; then `status`, `stores` and `remarks`,
//! what others may read.

mod all_in_step;
pub mod broker;
pub mod clock;
mod commit;
mod effects;
mod group;
pub mod heads;
mod hold;
pub mod in_step;
mod others;
mod prepare;
pub mod pump;
mod remarks;
mod report;
mod restore;
pub mod settings;
mod share;
mod slot;
pub mod start;
pub mod status;
pub mod stores;
pub mod worker;
