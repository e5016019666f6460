//! The pure part of the program, compiled anew: librdkafka and HTTP have no decoders, and would
//! take most of the time to build.
//!
//! Next: `targets.rs`.

#![allow(dead_code, unreachable_pub)]

extern crate self as ebbflow;

#[path = "../../src/codec/mod.rs"]
pub mod codec;
#[path = "../../src/config/mod.rs"]
pub mod config;
#[path = "../../src/domain/mod.rs"]
pub mod domain;
#[path = "../../src/mutation.rs"]
pub mod mutation;
#[path = "../../src/task/mod.rs"]
pub mod task;

mod targets;

pub use targets::*;
