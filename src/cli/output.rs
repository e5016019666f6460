//! Where commands write: data to stdout, everything else to stderr.
//!
//! The only place that writes to stdout for commands without a log. Next: `check_config.rs`.

use crate::cli::Failure;
use std::io::{self, Write};

/// Writes data and a line end to stdout.
///
/// # Errors
/// When stdout cannot be written; [`Failure::StdoutClosed`] when its reader has gone.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(Failure::of_stdout)
}

/// Writes a remark and a line end to stderr; without a stderr there is nobody to tell.
pub fn warn(text: &str) {
    writeln!(io::stderr().lock(), "{text}").ok();
}
