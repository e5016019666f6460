//! The code that talks to Kafka, against a real broker that the tests start themselves.
//!
//! Never skipped: without Java or Maven the tests fail and say what to install.
//! Next: `broker.rs`, then the tests: `group.rs`, `transactions.rs`, `changelogs.rs`, `topics.rs`.

mod broker;
mod changelogs;
mod fixture;
mod group;
mod records;
mod topics;
mod transactions;
