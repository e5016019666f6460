//! `ebbflow`: streaming customer engagement, exactly once.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod codec;
pub mod config;
pub mod domain;
pub mod http;
pub mod kafka;
pub mod metrics;
pub mod registry;
pub mod runtime;
pub mod task;
