//! What one event, or one deadline, does to one customer.
//!
//! Pure: no Kafka, no I/O, no clock, no randomness, no iteration over hash maps.
//! Reading order: `event`, `order`, `order_book`, `customer`, `rfm`, `lifecycle`, `raw`,
//! `evaluate`, `apply`, `change`.

pub mod apply;
pub mod binary;
pub mod change;
pub mod customer;
pub mod dimension;
pub mod evaluate;
pub mod event;
pub mod evidence;
pub mod id;
pub mod lifecycle;
pub mod money;
pub mod name;
pub mod order;
pub mod order_book;
pub mod order_facts;
pub mod pack;
pub mod progress;
mod rate_history;
pub mod raw;
pub mod refusal;
pub mod rfm;
pub mod rfm_map;
pub mod rules;
pub mod signals;
pub mod subscription;
pub mod summary;
pub mod time;
