//! `ebbflow`: streaming customer engagement, exactly once.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod cli;
pub mod codec;
pub mod config;
pub mod demo;
pub mod domain;
pub mod http;
pub mod kafka;
pub mod logging;
pub mod metrics;
pub mod mutation;
pub mod registry;
pub mod replay;
pub mod runtime;
pub mod service;
pub mod task;
pub mod why;
