//! Client configurations: what librdkafka is told, from `Config`.
//!
//! Three layers, the later wins: defaults that a user may change in `kafka.properties`, the
//! user's properties, and the keys that the program owns. Never opens a connection.
//! Next: `group.rs`, `producer.rs`.

use crate::config::Config;
use crate::kafka::diagnostics::{Diagnostics, PlainContext};
use crate::kafka::mark::Mark;
use crate::runtime::broker::{BrokerError, Input, Output};
use rdkafka::ClientConfig;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use std::sync::Arc;

/// What the broker at the other end is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectMode {
    /// A Kafka cluster: static group membership.
    Cluster,
    /// librdkafka's mock cluster: a dynamic member; it keeps no committed offsets.
    Mock,
}

/// After so long without traffic a connection is closed.
const IDLE: &str = "connections.max.idle.ms";

/// Where a user may differ from librdkafka's defaults without harm: all clients.
const DEFAULTS: [(&str, &str); 1] = [
    // After a broker's restart, be back within a second, not ten.
    ("reconnect.backoff.max.ms", "1000"),
];

/// The same for consumers; a producer would warn about them.
const CONSUMER_DEFAULTS: [(&str, &str); 4] = [
    // Bounds what an idle tail costs after a seek; librdkafka's own is 500.
    ("fetch.wait.max.ms", "50"),
    // A full local queue is looked at again after this; librdkafka's own 1000 stalls a fast reader.
    ("fetch.queue.backoff.ms", "5"),
    // Fetched ahead by partition: enough for a batch, not the 64 MiB of librdkafka.
    ("queued.min.messages", "10000"),
    ("queued.max.messages.kbytes", "16384"),
];

/// Topic names by what they are to the worker.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    inputs: [String; 3],
    outputs: [String; 6],
}

impl Names {
    fn new(config: &Config) -> Self {
        let topics = &config.topics;
        Self {
            inputs: Input::ALL.map(|input| match input {
                Input::Interactions => topics.interactions.clone(),
                Input::Purchases => topics.purchases.clone(),
                Input::Relay => topics.relay.clone(),
            }),
            outputs: [
                topics.segment_changes.clone(),
                topics.customers.clone(),
                topics.state.clone(),
                topics.relay.clone(),
                topics.dead_letters.clone(),
                topics.control.clone(),
            ],
        }
    }

    pub(crate) fn input(&self, input: Input) -> &str {
        &self.inputs[input.index()]
    }

    pub(crate) fn output(&self, output: Output) -> &str {
        &self.outputs[match output {
            Output::SegmentChanges => 0,
            Output::Customers => 1,
            Output::State => 2,
            Output::Relay => 3,
            Output::DeadLetters => 4,
            Output::Control => 5,
        }]
    }
}

/// The configurations of a worker's clients.
pub(crate) struct Clients {
    pub(crate) names: Arc<Names>,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) mark: Mark,
    common: ClientConfig,
    group_id: String,
    member: String,
    mode: ConnectMode,
    session_timeout_ms: String,
    heartbeat_interval_ms: String,
    max_poll_interval_ms: String,
    transaction_timeout_ms: String,
    linger_ms: String,
}

impl Clients {
    /// `worker` counts from 0.
    pub(crate) fn new(config: &Config, worker: usize, mode: ConnectMode) -> Self {
        // Zero-padded: the range assignor orders members by their id as text.
        let member = format!("{}-{}-{worker:03}", config.application_id, config.instance_id);
        let mut common = ClientConfig::new();
        // What librdkafka is asked to tell by its property `debug` comes at that level.
        let told = config.kafka.properties.contains_key("debug");
        let level = if told { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Warning };
        common.set_log_level(level);
        for (key, value) in DEFAULTS {
            common.set(key, value);
        }
        for (key, value) in &config.kafka.properties {
            common.set(key, value);
        }
        common.set("bootstrap.servers", &config.kafka.bootstrap_servers).set("client.id", &member);
        Self {
            names: Arc::new(Names::new(config)),
            diagnostics: Diagnostics::default(),
            mark: Mark::new(&config.application_id, &member, &config.topics.state),
            common,
            group_id: config.application_id.clone(),
            member,
            mode,
            session_timeout_ms: config.kafka.session_timeout.as_millis().to_string(),
            heartbeat_interval_ms: config.kafka.heartbeat_interval.as_millis().to_string(),
            max_poll_interval_ms: config.kafka.max_poll_interval.as_millis().to_string(),
            transaction_timeout_ms: config.kafka.transaction_timeout.as_millis().to_string(),
            linger_ms: config.kafka.linger.as_millis().to_string(),
        }
    }

    fn consumer(&self, isolation: &str) -> ClientConfig {
        let mut config = self.common.clone();
        for (key, value) in CONSUMER_DEFAULTS {
            if config.get(key).is_none() {
                config.set(key, value);
            }
        }
        // Producer keys among the user's would only be warned about.
        config
            .set("log.connection.close", "false")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "false")
            .set("allow.auto.create.topics", "false")
            .set("check.crcs", "true")
            .set("isolation.level", isolation);
        config
    }

    /// The member of the group.
    pub(crate) fn member(&self) -> ClientConfig {
        let mut config = self.consumer("read_committed");
        config
            .set("group.id", &self.group_id)
            .set("group.protocol", "classic")
            .set("partition.assignment.strategy", "range")
            .set("session.timeout.ms", &self.session_timeout_ms)
            .set("heartbeat.interval.ms", &self.heartbeat_interval_ms)
            .set("max.poll.interval.ms", &self.max_poll_interval_ms)
            .set("auto.offset.reset", "error");
        if self.mode == ConnectMode::Cluster {
            config.set("group.instance.id", &self.member);
        }
        config
    }

    /// A reader of whole partitions. It names the group, because librdkafka assigns nothing
    /// without one, but never joins it.
    pub(crate) fn reader(&self) -> ClientConfig {
        let mut config = self.consumer("read_committed");
        // The start of a log may move while it is read; what has gone was meant to go.
        config.set("group.id", &self.group_id).set("auto.offset.reset", "earliest");
        config
    }

    /// A client that asks for high watermarks: a read_committed one would be told the end of
    /// what is decided.
    pub(crate) fn observer(&self) -> ClientConfig {
        self.consumer("read_uncommitted")
    }

    /// The same that may also ask for the group's offsets, and is told those that were committed
    /// last while a transaction holds later ones. It never joins the group.
    pub(crate) fn group_observer(&self) -> ClientConfig {
        let mut config = self.observer();
        config.set("group.id", &self.group_id);
        config
    }

    /// The transactional producer.
    pub(crate) fn producer(&self) -> ClientConfig {
        let mut config = self.common.clone();
        config
            .set("log.connection.close", "false")
            .set("transactional.id", &self.member)
            .set("transaction.timeout.ms", &self.transaction_timeout_ms)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", &self.linger_ms)
            .set("queue.buffering.max.messages", "1000000")
            .set("delivery.report.only.error", "true");
        // `send_offsets_to_transaction` waits for ever, whatever its timeout, when the group's
        // coordinator is gone from the cluster: librdkafka asks for the new one only when some
        // connection changes (confluentinc/librdkafka#5511, #5456). While it waits all of them
        // are idle, so the first to be closed for that ends the wait.
        if config.get(IDLE).is_none() {
            config.set(IDLE, &self.transaction_timeout_ms);
        }
        config
    }

    /// A producer for single records outside of any transaction.
    pub(crate) fn plain_producer(&self) -> ClientConfig {
        let mut config = self.common.clone();
        config.set("enable.idempotence", "true").set("acks", "all");
        config
    }

    /// Context of clients that only read.
    pub(crate) fn plain_context(&self) -> PlainContext {
        PlainContext { diagnostics: self.diagnostics.clone() }
    }
}

/// Makes a client; the error names the setting that librdkafka refuses.
pub(crate) fn create<C, T>(config: &ClientConfig, context: C) -> Result<T, BrokerError>
where
    C: rdkafka::ClientContext,
    T: FromClientConfigAndContext<C>,
{
    T::from_config_and_context(config, context).map_err(|error| {
        BrokerError::Fatal(match error {
            // Never the value: what is taken for a key may be a misspelled one of a secret.
            KafkaError::ClientConfig(_, reason, key, _) => format!(
                "could not make a kafka client: {reason}: \"{key}\"; hint: check kafka.properties"
            ),
            other => {
                format!("could not make a kafka client: {other}; hint: check kafka.properties")
            }
        })
    })
}
