//! `ebbflow`: streaming customer engagement, exactly once.

pub mod domain;
pub mod runtime;
