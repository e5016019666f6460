//! The command line: what can be typed, and how a typed command becomes a configuration.
//!
//! Decides no exit code; `main.rs` does. Next: `args.rs`, the arguments of each command.

mod args;
mod check_config;
mod commands;
mod last_trace;
mod output;
mod topics_remarks;
mod topics_table;

pub use args::{
    CheckConfigArgs, Cli, Command, ConfigArgs, DemoArgs, ReplayArgs, RunArgs, SettingArgs,
    TopicsArgs, WhyArgs,
};
pub use check_config::check_config;
pub use commands::{demo, replay, run, topics, why};
pub use output::{print, warn};

use crate::config::ConfigError;
use std::io;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Bad arguments or configuration, or topics that do not fit it: nothing was done.
    #[error("{0:#}")]
    Usage(anyhow::Error),
    /// Something failed while running.
    #[error("{0:#}")]
    Running(anyhow::Error),
    /// Nobody knows who was asked about.
    #[error("{0}")]
    Unknown(String),
    /// Whoever read stdout has gone; there is nobody to tell.
    #[error("stdout was closed")]
    StdoutClosed,
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.into())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Running(error)
    }
}

impl Failure {
    /// What an error of writing data to stdout means.
    #[must_use]
    pub fn of_stdout(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::StdoutClosed
        } else {
            Self::Running(anyhow::Error::new(error).context("could not write to stdout"))
        }
    }
}
