//! `ebbflow`: streaming customer engagement, exactly once.

pub mod codec;
pub mod config;
pub mod domain;
pub mod registry;
pub mod runtime;
