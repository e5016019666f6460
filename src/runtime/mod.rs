//! The loop: polls, processes, fires timers, commits. Knows time, threads and the `Broker` trait,
//! never rdkafka.

pub mod broker;
pub mod clock;
