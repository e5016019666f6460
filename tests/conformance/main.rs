//! The simulated broker against the real one: the same scripted histories on both, and what is
//! seen of them.
//!
//! A history is a function over the `Broker` trait, which both implement. It writes down what it
//! sees: the class of each answer, committed offsets with their metadata, records with their
//! offsets, ends. Both sides have to give the text that stands beside its test. Where they differ
//! the simulated broker is wrong, for it is what thousands of runs of the runtime rest on.
//! Never skipped: without Java or Maven the tests fail and say what to install.
//! Next: `play.rs`, how a history is played; `transactions.rs`, `members.rs`, `waiting.rs`,
//! `reading.rs`, the histories; `simulated.rs` and `real.rs`, the two clusters.

#![allow(clippy::print_stdout, reason = "the words of errors, for who reads a failure")]

#[path = "../kafka/broker.rs"]
#[allow(dead_code, reason = "the tests of the code that talks to Kafka use the rest")]
mod broker;
#[path = "../kafka/fixture.rs"]
#[allow(dead_code, reason = "the tests of the code that talks to Kafka use the rest")]
mod fixture;
#[path = "../kafka/records.rs"]
#[allow(dead_code, reason = "the tests of the code that talks to Kafka use the rest")]
mod records;
#[path = "../simulation"]
#[allow(dead_code, reason = "the simulation uses the rest")]
#[allow(clippy::unwrap_used, reason = "as in the simulation")]
mod simulation {
    mod broker;
    mod changelog;
    mod clock;
    mod cluster;
    mod deployment;
    mod faults;
    mod group;
    mod log;
    mod producer;
    mod random;
    mod registry;
    mod rules;
    mod stage;

    pub(crate) use broker::SimBroker;
    pub(crate) use cluster::{Cluster, Topic};
    pub(crate) use faults::Plan;
    pub(crate) use random::Random;
    pub(crate) use rules::{REVISION, rules};
    pub(crate) use stage::Stage;
}

mod members;
mod play;
mod reading;
mod real;
mod simulated;
mod transactions;
mod waiting;
