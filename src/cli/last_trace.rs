//! By when the last trace of an erased customer is gone from the topics.
//!
//! By the settings that the topics have, where the brokers tell them, else by those configured.
//! Judges nothing. Next: `kafka/topics.rs`, where the settings come from.

use crate::cli::topics_table::duration;
use crate::config::Config;
use crate::kafka::topics::{TopicReport, TopicStatus};

/// Kafka's own default of `segment.ms`.
const SEGMENT_MS: i64 = 7 * 86_400_000;
/// Kafka's own default of `delete.retention.ms`.
const TOMBSTONE_MS: i64 = 86_400_000;

/// A line for the latest, and one for each topic that names customers.
pub(super) fn last_trace(report: &TopicReport, config: &Config) -> String {
    let topics = report.topics.iter().filter(|topic| topic.name != config.topics.control);
    let traces: Vec<Trace> = topics.map(|topic| trace(topic, config)).collect();
    let mut text = match traces.iter().find(|trace| trace.gone_ms.is_none()) {
        Some(never) => format!(
            "an erased customer's last trace is never sure to be gone, because of {}:\n",
            never.topic
        ),
        None => {
            let last = traces.iter().filter_map(|trace| trace.gone_ms).max().unwrap_or(0);
            format!("an erased customer's last trace is gone {} after the erase:\n", duration(last))
        }
    };
    for Trace { topic, gone_ms, because } in &traces {
        let gone = gone_ms.map_or("no end".to_owned(), duration);
        text += &format!("  {topic}: {gone} ({because})\n");
    }
    let keep = duration(config.rules.erase_keep_ms);
    text + &format!(
        "  of the id a salted hash stays in {} for {keep} (erase.keep)\n",
        config.topics.state
    )
}

struct Trace {
    topic: String,
    /// Since the erase; `None` = perhaps never.
    gone_ms: Option<i64>,
    because: String,
}

fn trace(topic: &TopicStatus, config: &Config) -> Trace {
    let name = topic.name.clone();
    if topic.configured.cleanup_policy == "compact" {
        let configured = config.topics.max_compaction_lag.as_millis();
        let configured = i64::try_from(configured).unwrap_or(i64::MAX);
        let lag = topic.removal.max_compaction_lag_ms.unwrap_or(configured);
        let tombstone = topic.removal.delete_retention_ms.unwrap_or(TOMBSTONE_MS);
        // The tombstone itself names the customer, and goes in the first pass of the cleaner after
        // its time; passes are no further apart than the lag. Source: KIP-354, KIP-534.
        let gone_ms = lag.checked_mul(2).and_then(|twice| twice.checked_add(tombstone));
        let because = match gone_ms {
            Some(_) => format!(
                "twice max.compaction.lag.ms {}, delete.retention.ms {}",
                duration(lag),
                duration(tombstone)
            ),
            None => "max.compaction.lag.ms has no bound; hint: set it".to_owned(),
        };
        return Trace { topic: name, gone_ms, because };
    }
    let kept = topic.retention_ms.or(topic.configured.retention_ms).unwrap_or(-1);
    let segment = topic.removal.segment_ms.unwrap_or(SEGMENT_MS);
    let gone_ms = kept.checked_add(segment).filter(|_| kept >= 0);
    let because = match gone_ms {
        // A segment goes when all of it is as old, and is written to for that long.
        Some(_) => format!("retention.ms {}, segment.ms {}", duration(kept), duration(segment)),
        None => "retention.ms has no bound; hint: set it".to_owned(),
    };
    Trace { topic: name, gone_ms, because }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_sources;
    use crate::kafka::topics::{Configured, Removal};

    const DAY_MS: i64 = 86_400_000;

    fn topic(name: &str, configured: Option<i64>, found: Option<i64>) -> TopicStatus {
        TopicStatus {
            name: name.to_owned(),
            partitions: Some(4),
            cleanup_policy: None,
            retention_ms: found,
            min_insync: None,
            max_message_bytes: None,
            removal: Removal::default(),
            configured: Configured {
                partitions: 4,
                cleanup_policy: if configured.is_some() { "delete" } else { "compact" },
                retention_ms: configured,
                min_insync: 1,
                max_message_bytes: None,
            },
            unfit: Vec::new(),
        }
    }

    fn told(topics: Vec<TopicStatus>) -> String {
        let config = from_sources(None, [], &[]).expect("the defaults are valid").config;
        last_trace(&TopicReport { topics, ..TopicReport::default() }, &config)
    }

    #[test]
    fn the_longest_decides_by_what_the_topics_have() {
        let mut letters = topic("dead-letters", Some(14 * DAY_MS), Some(2 * DAY_MS));
        letters.removal.segment_ms = Some(3_600_000);
        let mut customers = topic("customers", None, Some(7 * DAY_MS));
        customers.removal.max_compaction_lag_ms = Some(3_600_000);
        customers.removal.delete_retention_ms = Some(7_200_000);
        insta::assert_snapshot!(told(vec![
            topic("purchases", Some(730 * DAY_MS), None),
            topic("state", None, None),
            letters,
            customers,
            topic("control", None, None),
        ]), @r"
        an erased customer's last trace is gone 737 d after the erase:
          purchases: 737 d (retention.ms 730 d, segment.ms 7 d)
          state: 3 d (twice max.compaction.lag.ms 1 d, delete.retention.ms 1 d)
          dead-letters: 49 h (retention.ms 2 d, segment.ms 1 h)
          customers: 4 h (twice max.compaction.lag.ms 1 h, delete.retention.ms 2 h)
          of the id a salted hash stays in state for 730 d (erase.keep)
        ");
    }

    /// `max.compaction.lag.ms` of a topic that somebody else made is Kafka's default: none.
    #[test]
    fn a_topic_without_a_bound_is_named() {
        let mut state = topic("state", None, None);
        state.removal.max_compaction_lag_ms = Some(i64::MAX);
        let log = topic("segment-changes", Some(30 * DAY_MS), Some(-1));
        insta::assert_snapshot!(told(vec![state, log]), @r"
        an erased customer's last trace is never sure to be gone, because of state:
          state: no end (max.compaction.lag.ms has no bound; hint: set it)
          segment-changes: no end (retention.ms has no bound; hint: set it)
          of the id a salted hash stays in state for 730 d (erase.keep)
        ");
    }
}
