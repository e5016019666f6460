//! Logs: to stderr, as text or JSON lines, filtered as the configuration says.
//!
//! Never writes to stdout, which is for data. Next: `cli/mod.rs`, which starts it.

use crate::config::LogConfig;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter cannot be read; a checked configuration has none such.
    #[error("the log filter \"{filter}\" is malformed")]
    Filter {
        /// As configured.
        filter: String,
        /// Why.
        source: ParseError,
    },
    /// Somebody else has set up logging for this process.
    #[error("logging was set up before")]
    SetUpBefore(#[source] TryInitError),
}

/// Starts logging for the whole process.
///
/// # Errors
/// When the filter is malformed or logging was set up before.
pub fn init(config: &LogConfig) -> Result<(), LoggingError> {
    let filter = EnvFilter::try_new(&config.filter)
        .map_err(|source| LoggingError::Filter { filter: config.filter.clone(), source })?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if config.json {
        logs.json().flatten_event(true).finish().try_init()
    } else if std::io::stderr().is_terminal() {
        logs.finish().try_init()
    } else {
        logs.with_ansi(false).finish().try_init()
    };
    started.map_err(LoggingError::SetUpBefore)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logging_starts_once_and_says_why_not() {
        let config = |filter: &str| LogConfig { filter: filter.to_owned(), json: true };
        let error = init(&config("ebbflow=noisy=x")).expect_err("a malformed filter");
        assert_eq!(error.to_string(), "the log filter \"ebbflow=noisy=x\" is malformed");
        init(&config("off")).expect("the first start");
        assert!(matches!(init(&config("off")), Err(LoggingError::SetUpBefore(_))));
    }
}
