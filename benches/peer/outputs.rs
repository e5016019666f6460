//! What a program wrote: records, bytes, and whether the changes are those of the other one.
//!
//! Next: `main.rs`, which compares.

use crate::load::PARTITIONS;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde::Deserialize;
use serde_avro_fast::Schema;
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(10);

/// The committed records of a topic.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Output {
    pub(crate) records: u64,
    /// Keys and values.
    pub(crate) bytes: u64,
    /// Of changes of `rfm`: the sum of the hashes of whose, by which event, from what to what.
    pub(crate) digest: u64,
}

/// A change as both programs write it.
#[derive(Deserialize)]
struct Change<'a> {
    #[serde(borrow)]
    customer_id: Cow<'a, str>,
    #[serde(borrow)]
    dimension: Cow<'a, str>,
    #[serde(borrow)]
    previous: Option<Cow<'a, str>>,
    #[serde(borrow)]
    current: Option<Cow<'a, str>>,
    #[serde(borrow)]
    cause: Cause<'a>,
}

#[derive(Deserialize)]
struct Cause<'a> {
    #[serde(borrow)]
    event_id: Option<Cow<'a, str>>,
}

/// Reads a topic from its start to its end.
pub(crate) fn read(bootstrap: &str, topic: &str, are_changes: bool) -> Output {
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "outputs")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .expect("make a client");
    let mut partitions = TopicPartitionList::new();
    for partition in 0..i32::try_from(PARTITIONS).expect("few") {
        let added = partitions.add_partition_offset(topic, partition, Offset::Beginning);
        added.expect("the start of a partition");
    }
    client.assign(&partitions).expect("assign");
    let mut output = Output::default();
    let mut ends = 0;
    while ends < PARTITIONS {
        match client.poll(WAIT) {
            Some(Ok(record)) => {
                output.records += 1;
                output.bytes += (record.key_len() + record.payload_len()) as u64;
                if are_changes {
                    let value = record.payload().expect("a change has a value");
                    output.digest = output.digest.wrapping_add(digest(value));
                }
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => ends += 1,
            Some(Err(error)) => panic!("{topic} cannot be read: {error}"),
            None => panic!("{topic} does not end"),
        }
    }
    output
}

fn digest(value: &[u8]) -> u64 {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
        include_str!("../../schemas/segment-changes.avsc").parse().expect("the project's schema")
    });
    let change: Change<'_> = match value {
        // Single-object encoding: two bytes and eight of the schema's fingerprint.
        [0xC3, 0x01, datum @ ..] => {
            serde_avro_fast::from_datum_slice(&datum[8..], &SCHEMA).expect("a change")
        }
        json => serde_json::from_slice(json).expect("a change"),
    };
    if change.dimension != "rfm" {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    let values = (change.previous, change.current);
    (change.customer_id, values, change.cause.event_id).hash(&mut hasher);
    hasher.finish()
}
