//! What is left of somebody who was erased: a salted hash of the id, and until when.
//!
//! Never holds the id. Next: `publish/erase.rs`, what an erase tells; `task/erasures.rs`, who
//! keeps these.

use crate::domain::time::Timestamp;

/// A salted hash of a subject's id: [`crate::domain::id::erased_id`].
pub type ErasedId = [u8; 16];

/// What is left of somebody who was erased.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Erasure {
    /// Events of the id are dropped before this.
    pub until: Timestamp,
}
