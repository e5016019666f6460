//! The topics the program needs: checked at start, made by `ebbflow topics --create`.
//!
//! Never changes or deletes a topic that exists. Next: `client.rs`, where their names come from.

use crate::config::Config;
use crate::kafka::client::{Clients, ConnectMode, create};
use crate::kafka::ends::{CONNECT_TIMEOUT, Observer, TopicShape};
use crate::kafka::error;
use crate::kafka::needs::{LETTER_OVERHEAD, Need, Partitions, needs, replication};
use crate::kafka::topic_settings::{ADMIN_TIMEOUT, block_on, settings};
use crate::runtime::broker::BrokerError;
use crate::runtime::clock::monotonic_ms;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long created topics may take to be known everywhere, in ms.
const VISIBLE_TIMEOUT_MS: i64 = 15_000;

/// librdkafka's own batch.size and message.max.bytes.
const PRODUCER_BYTES: i64 = 1_000_000;

/// The number of partitions, among the settings that forbid to start.
pub const PARTITIONS: &str = "partitions";
/// What is deleted of a topic: by age, or all but the last record of each key.
pub const POLICY: &str = "cleanup.policy";
/// How many copies have to be written.
pub const MIN_INSYNC: &str = "min.insync.replicas";
/// The largest batch.
pub const MAX_BYTES: &str = "max.message.bytes";

pub use crate::kafka::needs::Configured;
pub use crate::kafka::topic_settings::Removal;

/// What the cluster has, held against what the program needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicReport {
    /// Every topic the program uses.
    pub topics: Vec<TopicStatus>,
    /// What forbids to start, each with what to do.
    pub problems: Vec<String>,
    /// What should be looked at.
    pub warnings: Vec<String>,
    /// Topics that were made.
    pub made: Vec<String>,
}

/// One topic as the cluster has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicStatus {
    /// Its name.
    pub name: String,
    /// Number of partitions; `None` = it does not exist.
    pub partitions: Option<u32>,
    /// `cleanup.policy`; `None` = unknown (it does not exist, or DescribeConfigs is not granted).
    pub cleanup_policy: Option<String>,
    /// `retention.ms`; `None` = unknown.
    pub retention_ms: Option<i64>,
    /// `min.insync.replicas`; `None` = unknown.
    pub min_insync: Option<i64>,
    /// `max.message.bytes`; `None` = unknown.
    pub max_message_bytes: Option<i64>,
    /// When Kafka removes what is to go.
    pub removal: Removal,
    /// What the configuration says of it.
    pub configured: Configured,
    /// Settings that forbid to start: `partitions`, or names of Kafka's.
    pub unfit: Vec<&'static str>,
}

impl TopicReport {
    /// Partitions of the co-partitioned topics, when none has another count.
    #[must_use]
    pub fn tasks(&self) -> Option<u32> {
        if self.problems.is_empty() { self.topics.first()?.partitions } else { None }
    }

    /// Whether a topic does not exist.
    #[must_use]
    pub fn misses_any(&self) -> bool {
        self.topics.iter().any(|topic| topic.partitions.is_none())
    }
}

/// Looks at every topic.
///
/// Must not be called from an async context.
///
/// # Errors
/// `Retriable` when the cluster does not answer, `Fatal` when it refuses.
pub fn check_topics(config: &Config) -> Result<TopicReport, BrokerError> {
    let clients = Clients::new(config, 0, ConnectMode::Cluster);
    let observer = Observer::new(&clients)?;
    check(config, &clients, &observer)
}

/// Makes the topics that are missing and looks at all of them.
///
/// Must not be called from an async context.
///
/// # Errors
/// `Retriable` when the cluster does not answer, `Fatal` when it refuses.
pub fn create_topics(config: &Config) -> Result<TopicReport, BrokerError> {
    let clients = Clients::new(config, 0, ConnectMode::Cluster);
    let observer = Observer::new(&clients)?;
    let report = check(config, &clients, &observer)?;
    if !report.misses_any() {
        return Ok(report);
    }
    let made = create_missing(config, &clients, &observer, &report)?;
    let give_up_ms = monotonic_ms() + VISIBLE_TIMEOUT_MS;
    loop {
        let report = check(config, &clients, &observer)?;
        if !report.misses_any() || monotonic_ms() > give_up_ms {
            return Ok(TopicReport { made, ..report });
        }
        observer.pause(Duration::from_millis(100));
    }
}

fn check(
    config: &Config,
    clients: &Clients,
    observer: &Observer,
) -> Result<TopicReport, BrokerError> {
    let needs = needs(config);
    let mut shapes = Vec::with_capacity(needs.len());
    for need in &needs {
        shapes.push(observer.shape(need.name, CONNECT_TIMEOUT)?);
    }
    let existing: Vec<&str> = needs
        .iter()
        .zip(&shapes)
        .filter(|(_, shape)| shape.is_some())
        .map(|(need, _)| need.name)
        .collect();
    let mut report = TopicReport::default();
    let settings = settings(clients, &existing).unwrap_or_else(|reason| {
        report.warnings.push(format!("could not read the settings of the topics: {reason}"));
        BTreeMap::new()
    });
    let hidden: Vec<&str> =
        existing.iter().copied().filter(|name| !settings.contains_key(*name)).collect();
    if !hidden.is_empty() {
        report.warnings.push(format!(
            "cleanup.policy, retention.ms and others are not checked of: {}; hint: grant \
             DescribeConfigs on them",
            hidden.join(", ")
        ));
    }
    let brokers = observer.brokers(CONNECT_TIMEOUT)?;
    let replication = replication(config, brokers);
    for (need, shape) in needs.iter().zip(&shapes) {
        let found = settings.get(need.name);
        report.topics.push(TopicStatus {
            name: need.name.to_owned(),
            partitions: shape.as_ref().map(|shape| shape.partitions),
            cleanup_policy: found.and_then(|found| found.cleanup_policy.clone()),
            retention_ms: found.and_then(|found| found.retention_ms),
            min_insync: found.and_then(|found| found.min_insync),
            max_message_bytes: found.and_then(|found| found.max_message_bytes),
            removal: found.map(|found| found.removal).unwrap_or_default(),
            configured: need.configured(config.topics.partitions, replication),
            unfit: Vec::new(),
        });
    }
    judge(&needs, &shapes, brokers, &mut report);
    report.warnings.extend(outlives_marks(config, &report.topics));
    for (need, topic) in needs.iter().zip(&mut report.topics).filter(|(need, _)| !need.input) {
        if let Some(limit) = topic.max_message_bytes {
            let problems = size_problems(config, need.name, limit);
            topic.unfit.extend((!problems.is_empty()).then_some(MAX_BYTES));
            report.problems.extend(problems);
        }
    }
    Ok(report)
}

fn judge(
    needs: &[Need<'_>; 8],
    shapes: &[Option<TopicShape>],
    brokers: usize,
    report: &mut TopicReport,
) {
    let missing: Vec<String> = needs
        .iter()
        .zip(shapes)
        .filter(|(_, shape)| shape.is_none())
        .map(|(need, _)| format!("\"{}\"", need.name))
        .collect();
    if !missing.is_empty() {
        report.problems.push(format!(
            "missing topics: {}; hint: make them, or run `ebbflow topics --config FILE --create`",
            missing.join(", ")
        ));
    }
    let same: Vec<(&str, u32)> = needs
        .iter()
        .zip(shapes)
        .filter(|(need, _)| need.partitions == Partitions::Same)
        .filter_map(|(need, shape)| Some((need.name, shape.as_ref()?.partitions)))
        .collect();
    let first = same.first().map_or(0, |(_, partitions)| *partitions);
    let unequal = same.iter().any(|(_, partitions)| *partitions != first);
    if unequal {
        let counts: Vec<String> =
            same.iter().map(|(name, partitions)| format!("\"{name}\" has {partitions}")).collect();
        report.problems.push(format!(
            "unequal partition counts: {}; hint: a customer's records have to be in the same \
             partition of each, so make the topics that differ anew",
            counts.join(", ")
        ));
    }
    let input_retention = |name: &str| {
        report.topics.iter().find(|topic| topic.name == name).and_then(|topic| topic.retention_ms)
    };
    let retentions = [0, 1, 2].map(|index: usize| input_retention(needs[index].name));
    for ((need, shape), topic) in needs.iter().zip(shapes).zip(&mut report.topics) {
        let name = need.name;
        let Some(shape) = shape else { continue };
        match need.partitions {
            Partitions::Same if unequal => topic.unfit.push(PARTITIONS),
            Partitions::Enough if shape.partitions < first => {
                topic.unfit.push(PARTITIONS);
                report.problems.push(format!(
                    "topic \"{name}\" has {} partitions, fewer than the inputs' {first}; hint: \
                     add partitions",
                    shape.partitions
                ));
            }
            Partitions::One if shape.partitions > 1 => report.warnings.push(format!(
                "topic \"{name}\" has {} partitions, only the first is used",
                shape.partitions
            )),
            _ => {}
        }
        if brokers >= 3 && shape.replicas < 3 {
            report.warnings.push(format!(
                "topic \"{name}\" has {} replicas on a cluster of {brokers} brokers: losing one \
                 can lose committed state",
                shape.replicas
            ));
        }
        judge_writing(topic, shape, &mut report.problems, &mut report.warnings);
        let Some(policy) = &topic.cleanup_policy else { continue };
        let fits = if need.compacted { policy == "compact" } else { !policy.contains("compact") };
        topic.unfit.extend((!fits).then_some(POLICY));
        if need.compacted && !fits {
            report.problems.push(format!(
                "topic \"{name}\" has cleanup.policy \"{policy}\": its last record per key must \
                 be kept for ever; hint: set cleanup.policy=compact"
            ));
        }
        if !need.compacted && !fits {
            report.problems.push(format!(
                "topic \"{name}\" has cleanup.policy \"{policy}\": every record counts, not only \
                 the last of a key; hint: set cleanup.policy=delete"
            ));
        }
    }
    if let [Some(first), Some(second), Some(relay)] = retentions {
        let longest = if first < 0 || second < 0 { i64::MAX } else { first.max(second) };
        if relay >= 0 && relay < longest {
            report.warnings.push(format!(
                "topic \"{}\" keeps records for {relay} ms, shorter than the inputs: a rebuild \
                 would miss what has gone; hint: raise its retention.ms",
                needs[2].name
            ));
        }
    }
    if needs.iter().zip(&report.topics).any(|(need, topic)| {
        need.input && topic.retention_ms.is_some_and(|ms| (0..86_400_000).contains(&ms))
    }) {
        report.warnings.push(
            "an input keeps records for less than a day: what is not read by then is lost"
                .to_owned(),
        );
    }
}

/// Whether the log of changes keeps them longer than it is known who was erased.
fn outlives_marks(config: &Config, topics: &[TopicStatus]) -> Option<String> {
    let name = &config.topics.segment_changes;
    let topic = topics.iter().find(|topic| topic.name == *name)?;
    let (kept, marked) = (topic.retention_ms?, config.rules.erase_keep_ms);
    let forever = kept < 0;
    (forever || kept > marked).then(|| {
        let kept = if forever { "for ever".to_owned() } else { format!("for {kept} ms") };
        format!(
            "topic \"{name}\" keeps records {kept}, longer than erase.keep = {marked} ms: what \
             it holds of who was erased outlives the mark that keeps them away; hint: raise \
             erase.keep, or lower retention.ms to topics.segment_changes_retention"
        )
    })
}

/// Settings that let writes fail later, or get lost.
fn judge_writing(
    topic: &mut TopicStatus,
    shape: &TopicShape,
    problems: &mut Vec<String>,
    warnings: &mut Vec<String>,
) {
    let name = &topic.name;
    let replicas = i64::try_from(shape.replicas).unwrap_or(i64::MAX);
    match topic.min_insync {
        Some(least) if least > replicas => {
            problems.push(format!(
                "topic \"{name}\" has min.insync.replicas {least} and {replicas} replicas: nothing \
                 can be written to it; hint: lower the one or raise the other"
            ));
            topic.unfit.push(MIN_INSYNC);
        }
        Some(1) if replicas >= 3 => warnings.push(format!(
            "topic \"{name}\" has {replicas} replicas and min.insync.replicas 1: losing one broker \
             can lose committed state; hint: set min.insync.replicas=2"
        )),
        _ => {}
    }
}

/// What is written has to fit: librdkafka splits no batch that the topic refuses.
fn size_problems(config: &Config, name: &str, limit: i64) -> Vec<String> {
    let mut problems = Vec::new();
    let property = |key: &str| {
        let value = config.kafka.properties.get(key).and_then(|value| value.parse().ok());
        value.unwrap_or(PRODUCER_BYTES)
    };
    if property("batch.size") > limit {
        problems.push(format!(
            "topic \"{name}\" has max.message.bytes = {limit}, less than the producer sends at \
             once; hint: raise it to {PRODUCER_BYTES}, or set batch.size in kafka.properties to \
             at most {limit}"
        ));
    }
    let room = limit.min(property("message.max.bytes")).saturating_sub(LETTER_OVERHEAD);
    if name == config.topics.dead_letters
        && i64::try_from(config.dead_letter_max_bytes).unwrap_or(i64::MAX) > room
    {
        let lower = if room > 0 {
            format!("set dead_letters.max_bytes to at most {room}, or ")
        } else {
            String::new()
        };
        problems.push(format!(
            "topic \"{name}\" has max.message.bytes = {limit}, too little for a dead letter of {} \
             bytes with its headers; hint: {lower}raise it, and message.max.bytes in \
             kafka.properties",
            config.dead_letter_max_bytes
        ));
    }
    problems
}

fn create_missing(
    config: &Config,
    clients: &Clients,
    observer: &Observer,
    report: &TopicReport,
) -> Result<Vec<String>, BrokerError> {
    let doing = "make the missing topics";
    let brokers = observer.brokers(CONNECT_TIMEOUT)?;
    let replication = replication(config, brokers);
    let needs = needs(config);
    // Topics that exist decide: a count that differs could not work.
    let tasks = needs
        .iter()
        .zip(&report.topics)
        .filter(|(need, _)| need.partitions == Partitions::Same)
        .find_map(|(_, topic)| topic.partitions)
        .unwrap_or(config.topics.partitions);
    let lag_ms = config.topics.max_compaction_lag.as_millis().to_string();
    let retentions = needs.each_ref().map(|need| need.retention.as_millis().to_string());
    let mut topics = Vec::new();
    for ((need, status), retention_ms) in needs.iter().zip(&report.topics).zip(&retentions) {
        if status.partitions.is_some() {
            continue;
        }
        let partitions = if need.partitions == Partitions::One { 1 } else { tasks };
        let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
        let mut topic = NewTopic::new(need.name, partitions, TopicReplication::Fixed(replication));
        topic = if need.compacted {
            topic.set("cleanup.policy", "compact").set("max.compaction.lag.ms", &lag_ms)
        } else {
            topic.set("cleanup.policy", "delete").set("retention.ms", retention_ms)
        };
        if replication >= 3 {
            topic = topic.set("min.insync.replicas", "2");
        }
        topics.push(topic);
    }
    let admin: AdminClient<_> = create(&clients.observer(), clients.plain_context())?;
    let options = AdminOptions::new()
        .request_timeout(Some(ADMIN_TIMEOUT))
        .operation_timeout(Some(ADMIN_TIMEOUT));
    let failed = |error: &KafkaError| error::query(doing, error, &clients.diagnostics);
    let results = block_on(admin.create_topics(&topics, &options))
        .map_err(BrokerError::Fatal)?
        .map_err(|error| failed(&error))?;
    let mut made = Vec::new();
    for result in results {
        match result {
            Ok(name) => made.push(name),
            // By somebody else meanwhile.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, RDKafkaErrorCode::TopicAuthorizationFailed)) => {
                return Err(BrokerError::Fatal(format!(
                    "could not make topic \"{name}\": not allowed; hint: grant Create on it, or \
                     have it made by who may"
                )));
            }
            Err((name, code)) => {
                return Err(BrokerError::Fatal(format!("could not make topic \"{name}\": {code}")));
            }
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_sources;

    #[test]
    fn a_log_that_outlives_the_marks_of_the_erased_is_a_warning() {
        let config = from_sources(None, [], &[]).expect("the defaults are valid").config;
        let warned = |retention_ms: Option<i64>| {
            let needs = needs(&config);
            let changes = needs.iter().find(|need| need.name == config.topics.segment_changes);
            let topic = TopicStatus {
                name: config.topics.segment_changes.clone(),
                partitions: Some(1),
                cleanup_policy: None,
                retention_ms,
                min_insync: None,
                max_message_bytes: None,
                removal: Removal::default(),
                configured: changes.expect("a need").configured(1, 1),
                unfit: Vec::new(),
            };
            outlives_marks(&config, &[topic])
        };
        let day_ms = 86_400_000;
        for fine in [None, Some(30 * day_ms), Some(730 * day_ms)] {
            assert_eq!(warned(fine), None, "{fine:?}");
        }
        let told = warned(Some(731 * day_ms)).expect("a warning");
        assert!(
            told.contains("for 63158400000 ms, longer than erase.keep = 63072000000"),
            "{told}"
        );
        assert!(told.contains("topics.segment_changes_retention"), "{told}");
        assert!(warned(Some(-1)).expect("a warning").contains("keeps records for ever"));
    }
}
