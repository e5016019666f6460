//! The code that talks to Kafka, against a real broker that the tests start themselves.
//!
//! Never skipped: without Java or Maven the tests fail and say what to install.
//! Next: `broker.rs`, then the tests: `group.rs`, `transactions.rs`, `changelogs.rs`, `clocks.rs`,
//! `topics.rs`, `leaders.rs`.

mod broker;
mod changelogs;
mod clocks;
#[allow(dead_code, reason = "its other user has proxies in front")]
mod cluster;
mod fixture;
mod group;
mod leaders;
mod records;
mod topics;
mod transactions;
