//! `ebbflow`: streaming customer engagement, exactly once.

pub mod config;
pub mod domain;
pub mod kafka;
pub mod runtime;
