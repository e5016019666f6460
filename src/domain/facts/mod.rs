//! What is remembered of a customer's events: facts, a function of the set of events.
//!
//! Never judges: that is done by `dimensions`. Reading order: `order`, `order_book`,
//! `order_facts`, `signals`, `interactions`, `spending`, `surveys`, `meddic`, `traits`, `ties`,
//! `contacts`.

pub mod bounded_text;
pub mod contacts;
pub mod interactions;
pub mod meddic;
pub mod older_orders;
pub mod order;
pub mod order_book;
pub mod order_days;
pub mod order_facts;
pub mod perceived_value;
pub mod preferences;
pub mod preferred;
pub mod revenue;
pub mod scored_kind;
pub mod signals;
pub mod spending;
pub mod subscription;
pub mod surveys;
pub mod ties;
pub mod traits;
