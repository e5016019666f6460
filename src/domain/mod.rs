//! What one event, or one deadline, does to one customer.
//!
//! Pure: no Kafka, no I/O, no clock, no randomness, no iteration over hash maps.
//! Reading order: `event`, `order`, `customer`, `rfm`, `lifecycle`, `apply`, `change`.

pub mod change;
pub mod event;
pub mod id;
pub mod money;
pub mod refusal;
pub mod rfm_map;
pub mod rules;
pub mod time;
