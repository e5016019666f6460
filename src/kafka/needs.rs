//! What the program needs of each topic, from the configuration alone.
//!
//! Never asks the cluster. Next: `topics.rs`, which holds the cluster against it.

use crate::config::Config;
use std::time::Duration;

/// What a dead letter has beside its key and value: headers and framing, at most.
pub(super) const LETTER_OVERHEAD: i64 = 4_096;

/// A topic as the configuration says, and as it would be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configured {
    /// Number of partitions.
    pub partitions: u32,
    /// `cleanup.policy`.
    pub cleanup_policy: &'static str,
    /// `retention.ms`; `None` = of no use with this policy.
    pub retention_ms: Option<i64>,
    /// `min.insync.replicas`.
    pub min_insync: i64,
    /// The least `max.message.bytes` that holds what is written; `None` = the default does.
    pub max_message_bytes: Option<i64>,
}

/// How many partitions a topic needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Partitions {
    /// As many as the inputs.
    Same,
    /// At least as many as the inputs.
    Enough,
    One,
}

/// What the program needs of a topic.
pub(super) struct Need<'a> {
    pub(super) name: &'a str,
    pub(super) partitions: Partitions,
    pub(super) compacted: bool,
    /// Retention it is made with; compacted topics have none.
    pub(super) retention: Duration,
    /// Read as an input: losing a record unread is losing an event.
    pub(super) input: bool,
    /// Largest record; `None` = far below the brokers' default.
    pub(super) max_bytes: Option<i64>,
}

impl Need<'_> {
    pub(super) fn configured(&self, partitions: u32, replication: i32) -> Configured {
        Configured {
            partitions: if self.partitions == Partitions::One { 1 } else { partitions },
            cleanup_policy: if self.compacted { "compact" } else { "delete" },
            retention_ms: (!self.compacted).then(|| whole_ms(self.retention)),
            min_insync: if replication >= 3 { 2 } else { 1 },
            max_message_bytes: self.max_bytes,
        }
    }
}

fn whole_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Copies that topics are made with.
pub(super) fn replication(config: &Config, brokers: usize) -> i32 {
    config.topics.replication.map_or(if brokers >= 3 { 3 } else { 1 }, i32::from)
}

pub(super) fn needs(config: &Config) -> [Need<'_>; 8] {
    let topics = &config.topics;
    let same = Partitions::Same;
    let log = |name, retention, input| Need {
        name,
        partitions: same,
        compacted: false,
        retention,
        input,
        max_bytes: None,
    };
    let compacted = |name, partitions| Need {
        name,
        partitions,
        compacted: true,
        retention: Duration::ZERO,
        input: false,
        max_bytes: None,
    };
    [
        log(&topics.interactions, topics.input_retention, true),
        log(&topics.purchases, topics.input_retention, true),
        log(&topics.relay, topics.input_retention, true),
        compacted(&topics.state, same),
        log(&topics.segment_changes, topics.segment_changes_retention, false),
        compacted(&topics.customers, same),
        Need {
            partitions: Partitions::Enough,
            max_bytes: Some(
                i64::try_from(config.dead_letter_max_bytes)
                    .unwrap_or(i64::MAX)
                    .saturating_add(LETTER_OVERHEAD),
            ),
            ..log(&topics.dead_letters, topics.dead_letters_retention, false)
        },
        compacted(&topics.control, Partitions::One),
    ]
}
