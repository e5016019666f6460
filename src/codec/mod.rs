//! Bytes to values and back: events in, changes and profiles out, in JSON and Avro.
//!
//! Pure: no Kafka, no I/O, no clock; a schema that is not at hand is asked for, never fetched.
//! Reading order: `raw`, `validate`, `decoder`; then `change`, `profile`, `dead_letter`.

pub mod change;
pub mod dead_letter;
pub mod decoder;
pub mod encode;
pub mod event_writer;
mod json_input;
pub mod kinds;
mod plan;
mod positional;
pub mod profile;
pub mod raw;
pub mod relay;
pub mod schema;
pub mod state;
pub mod time;
pub mod validate;
