//! The program as a whole against a real Kafka: crashes, rebalances, bad input, bad surroundings.
//!
//! Every test has an application with topics of its own on one shared broker. Never skipped:
//! without Java or Maven the tests fail and say what to install. Next: `program.rs`, the process
//! under test; `workload.rs`, what it reads; `outputs.rs`, what it wrote; then the tests.

#[path = "../common/apicurio.rs"]
mod apicurio;
#[path = "../kafka/broker.rs"]
mod broker;
#[path = "../kafka/records.rs"]
mod records;

mod admin;
mod crashes;
mod crossing;
mod examples;
mod holds;
mod instances;
mod letters;
mod lineages;
mod outages;
mod outputs;
mod program;
mod reevaluation;
mod refusals;
mod revisions;
mod secure_broker;
mod security;
mod serving;
mod strangers;
mod why;
mod workload;
