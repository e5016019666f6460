//! What one event, or one deadline, does to one customer.
//!
//! Pure: no Kafka, no I/O, no clock, no randomness, no iteration over hash maps.
//! Reading order: `event`, `facts` (what is remembered), `customer`, `dimensions` (what it
//! means), `raw`, `publish` (what is told), `apply`, `absorb`, `change`.

pub mod absorb;
pub mod apply;
pub mod binary;
pub mod change;
pub mod customer;
pub mod decay;
pub mod dimension;
pub mod dimensions;
pub mod event;
pub mod facts;
pub mod id;
pub mod look_ahead;
pub mod mark;
pub mod money;
pub mod name;
pub mod names;
pub mod pack;
pub mod predicate;
pub mod progress;
pub mod publish;
mod rate_history;
pub mod raw;
pub mod refusal;
pub mod relay;
pub mod rules;
pub mod subject;
pub mod time;
