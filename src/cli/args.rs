//! The arguments of each command.
//!
//! Types and help texts only. Next: `config/load.rs`, where settings go.

use crate::config::{ConfigError, Loaded, Setting, load};
use crate::domain::time::Timestamp;
use clap::{Args, Parser, Subcommand};
use std::path::{Path, PathBuf};

/// Streaming customer engagement: every customer's value and lifecycle, exactly once, from Kafka
/// to Kafka.
#[derive(Debug, Parser)]
#[command(name = "ebbflow", version, about, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What to log, such as `info` or `warn,ebbflow=debug`; sets log.filter
    #[arg(long, global = true, value_name = "FILTER", display_order = 900)]
    pub log: Option<String>,
}

const EXIT_CODES: &str = "Data goes to stdout, logs to stderr. \
Exit codes: 0 done, 1 failure while running, 2 bad usage or configuration, \
3 no such customer (why).";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service
    Run(RunArgs),
    /// Compute changes from files, without Kafka
    Replay(ReplayArgs),
    /// Show the whole path on real orders, with an embedded broker
    Demo(DemoArgs),
    /// Check a configuration file: all problems at once
    CheckConfig(CheckConfigArgs),
    /// Check the topics, or create the missing ones
    Topics(TopicsArgs),
    /// Say why a customer stands where they stand
    Why(WhyArgs),
}

/// Where the configuration comes from.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigArgs {
    /// Configuration file (TOML); without it the defaults and the environment count
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Kafka brokers; sets kafka.bootstrap_servers
    #[arg(long, value_name = "HOST:PORT,...")]
    pub bootstrap_servers: Option<String>,
    /// Values for single keys.
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// Values for single keys of the configuration.
#[derive(Args, Clone, Debug, Default)]
pub struct SettingArgs {
    /// Set one key of the configuration, such as `rfm.map=classic-11`; may be repeated
    #[arg(long = "set", value_name = "KEY.PATH=VALUE")]
    pub set: Vec<String>,
}

/// `ebbflow run`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ebbflow run --config shop.toml
  EBBFLOW__KAFKA__BOOTSTRAP_SERVERS=kafka:9092 EBBFLOW__INSTANCE_ID=00 ebbflow run
  ebbflow run --config shop.toml --set clock=event --until-end --advance-to 2026-12-31T00:00:00Z")]
pub struct RunArgs {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Process what the topics hold now, advance the clocks, commit and exit
    #[arg(long)]
    pub until_end: bool,
    /// With --until-end: move the clocks on to this instant (RFC 3339 or ms since 1970)
    #[arg(long, value_name = "TIME", value_parser = time, requires = "until_end")]
    pub advance_to: Option<Timestamp>,
    /// First start with history: build the state in silence, then write each customer's present
    /// values once, as changes of cause `baseline` that are not actionable
    #[arg(long)]
    pub baseline: bool,
    /// Throw the state away and compute it anew from what the inputs still hold, with new change
    /// ids; stop all other instances first
    #[arg(long)]
    pub rebuild: bool,
}

/// `ebbflow replay`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ebbflow replay examples/story.jsonl --now 2026-12-31T00:00:00Z --advance-to 2026-12-31T00:00:00Z
  ebbflow replay --customers profiles.jsonl orders.jsonl interactions.jsonl
  zcat events.jsonl.gz | ebbflow replay --set rfm.map=classic-11 - > changes.jsonl")]
pub struct ReplayArgs {
    /// Configuration file (TOML); its clock is taken as "event"
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Values for single keys.
    #[command(flatten)]
    pub settings: SettingArgs,
    /// Split the events as a topic with so many partitions does
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub partitions: u32,
    /// After the last event, move the clocks on to this instant (RFC 3339 or ms since 1970)
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub advance_to: Option<Timestamp>,
    /// Events after this instant are refused; default: the start of the process
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub now: Option<Timestamp>,
    /// Where changes go, as JSON Lines; default, and `-`: stdout
    #[arg(long, value_name = "FILE")]
    pub changes: Option<PathBuf>,
    /// Where the final profiles go, as JSON Lines; `-` is stdout; default: nowhere
    #[arg(long, value_name = "FILE")]
    pub customers: Option<PathBuf>,
    /// Events as JSON Lines, purchases and interactions mixed; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `ebbflow demo`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ebbflow demo
  ebbflow demo --serve")]
pub struct DemoArgs {
    /// Stay up with broker and HTTP when the orders have gone through
    #[arg(long)]
    pub serve: bool,
    /// Values for single keys.
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// `ebbflow check-config`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ebbflow check-config shop.toml
  ebbflow check-config --print
  ebbflow check-config next.toml --against shop.toml
  ebbflow check-config shop.toml --print --set clock=event")]
pub struct CheckConfigArgs {
    /// Configuration file (TOML); without it the defaults and the environment count
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The same, as the other commands take it
    #[arg(long = "config", value_name = "FILE", conflicts_with = "file")]
    pub config: Option<PathBuf>,
    /// Print every effective value with its source, secrets hidden
    #[arg(long)]
    pub print: bool,
    /// Say what differs from the configuration that runs, and what each change takes: a restart, a
    /// re-evaluation of every customer, or a rebuild
    #[arg(long, value_name = "RUNNING", conflicts_with = "print")]
    pub against: Option<PathBuf>,
    /// Kafka brokers; sets kafka.bootstrap_servers
    #[arg(long, value_name = "HOST:PORT,...")]
    pub bootstrap_servers: Option<String>,
    /// Values for single keys.
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// `ebbflow topics`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ebbflow topics --config shop.toml
  ebbflow topics --config shop.toml --create --set topics.partitions=24")]
pub struct TopicsArgs {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Create the topics that are missing
    #[arg(long)]
    pub create: bool,
}

/// `ebbflow why`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Exit codes: 0 found, 1 no answer (unreachable, not ready, at another \
instance), 2 bad usage, 3 not known or erased.

Examples:
  ebbflow why --customer c-1 --config shop.toml
  ebbflow why --customer c-1 --history --instance 10.0.0.5:9465,10.0.0.6:9465
  ebbflow why --customer c-1 --history --replay profiles.jsonl --replay changes.jsonl")]
pub struct WhyArgs {
    /// The customer's id
    #[arg(long, value_name = "ID", value_parser = subject_id)]
    pub customer: String,
    /// Also tell the changes that are still kept, oldest first: from the partition of
    /// segment-changes that holds the customer, or from what --replay names
    #[arg(long)]
    pub history: bool,
    /// Instances to ask, in turn, with the token of http.admin_token_file; default:
    /// http.admin_listen
    #[arg(long = "instance", value_name = "HOST:PORT,...", value_delimiter = ',')]
    pub instances: Vec<String>,
    /// What `replay` wrote with --customers and --changes, instead of an instance: a file, or a
    /// folder of *.jsonl; may be repeated
    #[arg(long = "replay", value_name = "PATH", conflicts_with = "instances")]
    pub replayed: Vec<PathBuf>,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
}

impl ConfigArgs {
    /// Loads the configuration; `log` is the global flag.
    ///
    /// # Errors
    /// See [`load`].
    pub fn load(&self, log: Option<&str>) -> Result<Loaded, ConfigError> {
        let config = self.config.as_deref();
        self.settings.load(config, self.bootstrap_servers.as_deref(), log)
    }
}

impl CheckConfigArgs {
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_deref().or(self.config.as_deref())
    }

    pub(crate) fn load(&self, log: Option<&str>) -> Result<Loaded, ConfigError> {
        self.settings.load(self.path(), self.bootstrap_servers.as_deref(), log)
    }

    /// Loads the configuration that runs, without the flags of this one.
    pub(crate) fn load_running(&self, path: &Path) -> Result<Loaded, ConfigError> {
        load(Some(path), &[])
    }
}

impl SettingArgs {
    /// Loads the configuration; the named flags win over `--set`.
    ///
    /// # Errors
    /// See [`load`].
    pub fn load(
        &self,
        file: Option<&Path>,
        bootstrap_servers: Option<&str>,
        log: Option<&str>,
    ) -> Result<Loaded, ConfigError> {
        load(file, &self.settings(bootstrap_servers, log))
    }

    /// The flags as settings; the named ones win over `--set`.
    #[must_use]
    pub fn settings(&self, bootstrap_servers: Option<&str>, log: Option<&str>) -> Vec<Setting> {
        let flag = |flag, key: &str, value: Option<&str>| {
            value.map(|value| Setting { flag, text: format!("{key}={value}") })
        };
        let mut settings: Vec<Setting> =
            self.set.iter().map(|text| Setting { flag: "--set", text: text.clone() }).collect();
        settings.extend(flag("--log", "log.filter", log));
        settings.extend(flag("--bootstrap-servers", "kafka.bootstrap_servers", bootstrap_servers));
        settings
    }
}

/// An id as events have it.
fn subject_id(text: &str) -> Result<String, String> {
    match text.len() {
        1..=256 => Ok(text.to_owned()),
        _ => Err("expected an id of 1 to 256 bytes".to_owned()),
    }
}

/// Reads RFC 3339 or integer milliseconds since the Unix epoch.
fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(ms) = text.parse::<i64>() {
        return Ok(Timestamp(ms));
    }
    text.parse::<jiff::Timestamp>().map(|at| Timestamp(at.as_millisecond())).map_err(|_| {
        "expected a time such as 2026-03-01T09:30:00Z, or milliseconds since 1970".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_are_rfc_3339_or_milliseconds() {
        assert_eq!(time("1970-01-01T00:00:01.5Z"), Ok(Timestamp(1500)));
        assert_eq!(time("1970-01-01T01:00:00+01:00"), Ok(Timestamp(0)));
        assert_eq!(time("1500"), Ok(Timestamp(1500)));
        assert!(time("yesterday").is_err());
    }
}
