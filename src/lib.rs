//! `ebbflow`: streaming customer engagement, exactly once.

pub mod codec;
pub mod config;
pub mod domain;
pub mod runtime;
pub mod task;
