//! What is left of a subject that is gone: erased, or moved into another one.
//!
//! Never holds the id that is gone, only a salted hash of it. Next: `publish/close.rs`, what is
//! told; `task/marks.rs`, who keeps these.

use crate::domain::time::Timestamp;

/// A salted hash of a subject's id: [`crate::domain::id::salted_id`].
pub type SaltedId = [u8; 16];

/// What is left of a subject that is gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// It holds before this.
    pub until: Timestamp,
    /// The subject that it became: what arrives is forwarded. `None` = it was erased: what
    /// arrives is dropped.
    pub to: Option<Box<str>>,
}

impl Mark {
    /// The mark of somebody erased.
    #[must_use]
    pub const fn erased(until: Timestamp) -> Self {
        Self { until, to: None }
    }
}
