//! Where commands write: data to stdout, everything else to stderr.
//!
//! The only place that writes to stdout for commands without a log. Next: `check_config.rs`.

use std::io::{self, Write};

/// Writes data and a line end to stdout.
///
/// # Errors
/// When stdout cannot be written, such as [`io::ErrorKind::BrokenPipe`] when its reader has gone.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// Writes a remark and a line end to stderr; without a stderr there is nobody to tell.
pub fn warn(text: &str) {
    writeln!(io::stderr().lock(), "{text}").ok();
}
