//! What it means that a topic has other values than configured, and the command that changes it.
//!
//! Judges nothing; `kafka/topics.rs` does. Next: `commands.rs`, which prints it.

use crate::cli::topics_table::duration;
use crate::config::Config;
use crate::kafka::topics::{MAX_BYTES, MIN_INSYNC, PARTITIONS, POLICY, TopicReport, TopicStatus};

const TOOLS: &str =
    "(these tools are Kafka's, there with .sh; --command-config FILE has a login)\n";

/// A line for each difference and, where Kafka can change it, the command; empty without any.
pub(super) fn topics_remarks(report: &TopicReport, config: &Config) -> String {
    let mut text = String::new();
    for topic in &report.topics {
        for difference in differences(topic, config) {
            let judgement = if topic.unfit.contains(&difference.setting) {
                "`run` ends with 2"
            } else {
                "`run` takes it"
            };
            text += &format!(
                "{}: {} = {}, configured {}; {judgement}{}\n",
                topic.name,
                difference.setting,
                difference.found,
                difference.configured,
                difference.way
            );
        }
    }
    if text.contains("\n  kafka-") {
        text.push_str(TOOLS);
    }
    text
}

struct Difference {
    setting: &'static str,
    found: String,
    configured: String,
    /// What can be done about it, to the end of the sentence or with the command below it.
    way: String,
}

fn differences(topic: &TopicStatus, config: &Config) -> Vec<Difference> {
    let configured = &topic.configured;
    let mut differences = Vec::new();
    let Some(partitions) = topic.partitions else { return differences };
    if partitions != configured.partitions {
        differences.push(Difference {
            setting: PARTITIONS,
            found: partitions.to_string(),
            configured: configured.partitions.to_string(),
            way: way_to_partitions(topic, partitions, config),
        });
    }
    let mut differs = |setting, found: String, configured: String, value: String| {
        let way = format!("; to change it:\n  {}", alter(config, &topic.name, setting, &value));
        differences.push(Difference { setting, found, configured, way });
    };
    if let Some(policy) = &topic.cleanup_policy
        && policy != configured.cleanup_policy
    {
        let wanted = || configured.cleanup_policy.to_owned();
        differs(POLICY, policy.clone(), wanted(), wanted());
    }
    if let (Some(found), Some(wanted)) = (topic.retention_ms, configured.retention_ms)
        && found != wanted
    {
        differs("retention.ms", duration(found), duration(wanted), wanted.to_string());
    }
    if let Some(found) = topic.min_insync
        && found != configured.min_insync
    {
        let wanted = || configured.min_insync.to_string();
        differs(MIN_INSYNC, found.to_string(), wanted(), wanted());
    }
    if let (Some(found), Some(least)) = (topic.max_message_bytes, configured.max_message_bytes)
        && found < least
    {
        differs(MAX_BYTES, found.to_string(), format!(">= {least}"), least.to_string());
    }
    differences
}

/// Kafka adds partitions and takes none away, and an added one moves customers.
fn way_to_partitions(topic: &TopicStatus, found: u32, config: &Config) -> String {
    let wanted = topic.configured.partitions;
    if found > wanted {
        return "\n  Kafka takes no partitions away; topics.partitions only says how topics are made"
            .to_owned();
    }
    // Nobody looks for a dead letter by its partition.
    let condition =
        if topic.name == config.topics.dead_letters { "" } else { " while it is empty" };
    format!(
        "; to change it{condition}:\n  kafka-topics --bootstrap-server {} --alter --topic {} \
         --partitions {wanted}",
        config.kafka.bootstrap_servers, topic.name
    )
}

fn alter(config: &Config, topic: &str, setting: &str, value: &str) -> String {
    format!(
        "kafka-configs --bootstrap-server {} --alter --entity-type topics --entity-name {topic} \
         --add-config {setting}={value}",
        config.kafka.bootstrap_servers
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_sources;
    use crate::kafka::topics::{Configured, Removal};

    const DAY_MS: i64 = 86_400_000;

    fn topic(name: &str, found: u32, configured: u32, unfit: &[&'static str]) -> TopicStatus {
        let configured = Configured {
            partitions: configured,
            cleanup_policy: "delete",
            retention_ms: Some(730 * DAY_MS),
            min_insync: 2,
            max_message_bytes: None,
        };
        TopicStatus {
            name: name.to_owned(),
            partitions: Some(found),
            cleanup_policy: Some("delete".to_owned()),
            retention_ms: Some(730 * DAY_MS),
            min_insync: Some(2),
            max_message_bytes: Some(1_048_588),
            removal: Removal::default(),
            configured,
            unfit: unfit.to_vec(),
        }
    }

    fn told(topics: Vec<TopicStatus>) -> String {
        let config = from_sources(None, [], &[]).expect("the defaults are valid").config;
        topics_remarks(&TopicReport { topics, ..TopicReport::default() }, &config)
    }

    #[test]
    fn a_difference_comes_with_what_it_means_and_what_changes_it() {
        let mut short = topic("purchases", 12, 6, &[]);
        short.retention_ms = Some(30 * DAY_MS);
        let mut letters = topic("dead-letters", 6, 12, &[PARTITIONS, MAX_BYTES]);
        letters.max_message_bytes = Some(100);
        letters.configured.max_message_bytes = Some(996);
        letters.min_insync = Some(1);
        let mut state = topic("state", 12, 12, &[POLICY]);
        state.configured.cleanup_policy = "compact";
        state.configured.retention_ms = None;
        let few = topic("relay", 6, 12, &[]);
        let told = told(vec![short, few, state, letters]);
        let begin = "kafka-configs --bootstrap-server 127.0.0.1:9092 --alter --entity-type topics \
                     --entity-name ";
        assert_eq!(told.matches(begin).count(), 4, "{told}");
        let told = told.replace(begin, "kafka-configs .. ");
        let begin = "kafka-topics --bootstrap-server 127.0.0.1:9092 --alter --topic ";
        assert_eq!(told.matches(begin).count(), 2, "{told}");
        insta::assert_snapshot!(told.replace(begin, "kafka-topics .. "), @r"
        purchases: partitions = 12, configured 6; `run` takes it
          Kafka takes no partitions away; topics.partitions only says how topics are made
        purchases: retention.ms = 30 d, configured 730 d; `run` takes it; to change it:
          kafka-configs .. purchases --add-config retention.ms=63072000000
        relay: partitions = 6, configured 12; `run` takes it; to change it while it is empty:
          kafka-topics .. relay --partitions 12
        state: cleanup.policy = delete, configured compact; `run` ends with 2; to change it:
          kafka-configs .. state --add-config cleanup.policy=compact
        dead-letters: partitions = 6, configured 12; `run` ends with 2; to change it:
          kafka-topics .. dead-letters --partitions 12
        dead-letters: min.insync.replicas = 1, configured 2; `run` takes it; to change it:
          kafka-configs .. dead-letters --add-config min.insync.replicas=2
        dead-letters: max.message.bytes = 100, configured >= 996; `run` ends with 2; to change it:
          kafka-configs .. dead-letters --add-config max.message.bytes=996
        (these tools are Kafka's, there with .sh; --command-config FILE has a login)
        ");
    }

    #[test]
    fn without_a_difference_and_of_a_missing_topic_nothing_is_said() {
        let mut missing = topic("relay", 12, 12, &[]);
        missing.partitions = None;
        assert_eq!(told(vec![topic("purchases", 12, 12, &[]), missing]), "");
    }
}
