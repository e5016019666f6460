//! What the program uses: a validated [`Config`].
//!
//! Never reads the environment outside `load.rs`, and knows no defaults: those are in
//! `config/default.toml`. Next: `load.rs`, where it comes from; `validate.rs`, what is checked.

mod audiences;
mod cel;
pub mod compare;
mod currencies;
mod dimension_rules;
mod labels;
mod layers;
mod load;
pub mod map_file;
mod owned;
mod problem;
mod reader;
mod rules;
mod validate;
mod values;
mod when;

pub use layers::{DEFAULTS, VARIABLE_PREFIX};
pub use load::{FileText, Loaded, Setting, from_sources, load};
pub use problem::{ConfigError, Problem, Source};

use crate::domain::rules::Rules;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything that the service needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names the consumer group and the transactional ids.
    pub application_id: String,
    /// Names this process; with the worker it makes the static member and transactional id.
    pub instance_id: String,
    /// What moves the clocks of the tasks.
    pub clock: ClockMode,
    /// Leave the group for good when stopping.
    pub leave_on_stop: bool,
    /// Worker threads, each with a consumer, a producer and its tasks.
    pub workers: usize,
    /// The cluster.
    pub kafka: KafkaConfig,
    /// Topic names and how they are created.
    pub topics: TopicsConfig,
    /// How records are encoded.
    pub encoding: EncodingConfig,
    /// The schema registry; `None` = Avro in single-object encoding.
    pub registry: Option<RegistryConfig>,
    /// When transactions end.
    pub commit: CommitConfig,
    /// The producers' keys are right: no event is looked for in another partition.
    pub trusted_keys: bool,
    /// How long timers wait for a task that does not get on.
    pub max_hold: Duration,
    /// Timers fired for a task in one round of its worker, so that live work goes on.
    pub timers_per_round: usize,
    /// The rules.
    pub rules: Arc<Rules>,
    /// Dead letters per minute and worker above which the alert metric rises.
    pub dead_letter_budget_per_minute: u64,
    /// Largest dead-letter value in bytes; what is longer is truncated and says so.
    pub dead_letter_max_bytes: usize,
    /// The HTTP server.
    pub http: HttpConfig,
    /// Logging.
    pub log: LogConfig,
}

impl Config {
    /// Why a rebuild would come to other values than the state has: it knows only what the inputs
    /// hold. `None` when they are made to hold all that counts, or nothing is too old to count.
    #[must_use]
    pub fn rebuild_forgets(&self) -> Option<String> {
        let window_ms = self.rules.thresholds.rfm.window_ms?;
        let kept = self.topics.input_retention.as_millis();
        let kept_ms = i64::try_from(kept).unwrap_or(i64::MAX);
        (kept_ms < window_ms).then(|| {
            format!(
                "topics.input_retention = {} is shorter than rfm.window = {}: `run --rebuild` \
                 knows only what the inputs still hold, and forgets what still counts",
                values::show_ms(kept_ms),
                values::show_ms(window_ms)
            )
        })
    }

    /// Why somebody who became another one might come back: events that the inputs still hold may
    /// be read when nobody knows any more whose they are. `None` when redirects last as long.
    #[must_use]
    pub fn redirects_end_early(&self) -> Option<String> {
        let kept = self.topics.input_retention.as_millis();
        let kept_ms = i64::try_from(kept).unwrap_or(i64::MAX);
        let redirects_ms = self.rules.keep_redirects_ms;
        (redirects_ms < kept_ms).then(|| {
            format!(
                "identity.keep_redirects = {} is shorter than topics.input_retention = {}: of \
                 events that are read late nobody may know any more who their subject became",
                values::show_ms(redirects_ms),
                values::show_ms(kept_ms)
            )
        })
    }
}

/// What moves the clocks of the tasks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClockMode {
    /// Wall time moves a task that has caught up.
    Wall,
    /// Only events do: the output is a function of the input.
    Event,
}

/// The cluster and the client.
#[derive(Clone)]
pub struct KafkaConfig {
    /// `host:port,...`.
    pub bootstrap_servers: String,
    /// `session.timeout.ms` of the classic group protocol.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`.
    pub max_poll_interval: Duration,
    /// `transaction.timeout.ms`.
    pub transaction_timeout: Duration,
    /// `linger.ms` of the producer.
    pub linger: Duration,
    /// Pass-through to librdkafka, keys that the program owns excluded.
    pub properties: BTreeMap<String, String>,
}

impl fmt::Debug for KafkaConfig {
    /// Without the values of the pass-through, which hold passwords.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KafkaConfig")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("session_timeout", &self.session_timeout)
            .field("heartbeat_interval", &self.heartbeat_interval)
            .field("max_poll_interval", &self.max_poll_interval)
            .field("transaction_timeout", &self.transaction_timeout)
            .field("linger", &self.linger)
            .field("properties", &self.properties.keys())
            .finish()
    }
}

/// Topic names (prefix applied) and how `topics --create` and `demo` make them.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names are those of the topics")]
pub struct TopicsConfig {
    pub purchases: String,
    pub interactions: String,
    pub segment_changes: String,
    pub customers: String,
    pub state: String,
    pub relay: String,
    pub control: String,
    pub dead_letters: String,
    /// Partitions of the topics that are created (inputs, relay, state, outputs).
    pub partitions: u32,
    /// Replication factor; `None` = 3 where the cluster has 3 brokers, else 1.
    pub replication: Option<u16>,
    /// Retention of inputs and relay that are created.
    pub input_retention: Duration,
    /// Retention of `segment-changes`.
    pub segment_changes_retention: Duration,
    /// Retention of `dead-letters`.
    pub dead_letters_retention: Duration,
    /// `max.compaction.lag.ms` of compacted topics.
    pub max_compaction_lag: Duration,
}

/// Encoding of one topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// JSON object.
    Json,
    /// Avro: Confluent wire format with a registry, single-object encoding without.
    Avro,
}

/// How records are encoded, by topic.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names are those of the topics")]
pub struct EncodingConfig {
    pub purchases: Encoding,
    pub interactions: Encoding,
    pub segment_changes: Encoding,
    pub customers: Encoding,
}

/// The schema registry (Confluent API).
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// Base URL, such as `http://registry:8081` or `http://apicurio:8080/apis/ccompat/v7`.
    pub url: String,
    /// Basic authentication: user.
    pub user: Option<String>,
    /// Basic authentication: file that holds the password.
    pub password_file: Option<PathBuf>,
    /// Timeout of a request.
    pub timeout: Duration,
}

/// When transactions end.
#[derive(Clone, Copy, Debug)]
pub struct CommitConfig {
    /// After the inputs ran dry, once this has passed since the last commit.
    pub idle_gap: Duration,
    /// At the latest after this.
    pub interval: Duration,
    /// Or after this many records read.
    pub max_records: usize,
    /// Or after this many bytes sent.
    pub max_bytes: usize,
}

/// The HTTP server.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// `/livez`, `/readyz`, `/metrics`, `/tasks`.
    pub metrics_listen: SocketAddr,
    /// `/customers/{id}`.
    pub admin_listen: SocketAddr,
    /// File that holds the bearer token; needed when `admin_listen` is not loopback.
    pub admin_token_file: Option<PathBuf>,
}

/// Logging.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Filter in the syntax of `tracing-subscriber`, such as `info` or `ebbflow=debug`.
    pub filter: String,
    /// JSON lines instead of text.
    pub json: bool,
}
