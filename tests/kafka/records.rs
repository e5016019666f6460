//! Writes records to explicit partitions and reads what is committed.
//!
//! Independent of the code under test. Next: `fixture.rs`.

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(20);

/// A committed record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadRecord {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

/// A producer without transactions.
pub(crate) fn producer(bootstrap: &str) -> BaseProducer {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("linger.ms", "1")
        .create()
        .expect("make a producer")
}

/// Writes `(key, value)` records to one partition and waits until the broker has them.
pub(crate) fn produce(bootstrap: &str, topic: &str, partition: i32, records: &[(&str, &str)]) {
    let producer = producer(bootstrap);
    for (key, value) in records {
        let record = BaseRecord::to(topic).partition(partition).key(*key).payload(*value);
        producer.send(record).map_err(|(error, _)| error).expect("send");
    }
    producer.flush(TIMEOUT).expect("flush");
}

/// Everything committed in a topic up to its high watermarks, by partition and offset.
pub(crate) fn read_committed(bootstrap: &str, topic: &str) -> Vec<ReadRecord> {
    let observer = consumer(bootstrap, "read_uncommitted");
    let metadata = observer.fetch_metadata(Some(topic), TIMEOUT).expect("metadata");
    let count = metadata.topics()[0].partitions().len();
    let mut records = Vec::new();
    for partition in 0..i32::try_from(count).expect("few partitions") {
        let (low, end) = observer.fetch_watermarks(topic, partition, TIMEOUT).expect("watermarks");
        if low < end {
            read_partition(bootstrap, topic, partition, low, end, &mut records);
        }
    }
    records
}

fn read_partition(
    bootstrap: &str,
    topic: &str,
    partition: i32,
    low: i64,
    end: i64,
    into: &mut Vec<ReadRecord>,
) {
    let consumer = consumer(bootstrap, "read_committed");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(low)).expect("list");
    consumer.assign(&list).expect("assign");
    let give_up_at = Instant::now() + TIMEOUT;
    loop {
        let polled = consumer.poll(Duration::from_millis(20));
        // A busy broker loses a connection, which is made again.
        let lost = |error: &KafkaError| {
            matches!(
                error.rdkafka_error_code(),
                Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure)
            )
        };
        if let Some(record) = polled.filter(|polled| !polled.as_ref().is_err_and(lost)) {
            let record = record.expect("read");
            if record.offset() < end {
                into.push(ReadRecord {
                    partition,
                    offset: record.offset(),
                    key: record.key().map(<[u8]>::to_vec),
                    value: record.payload().map(<[u8]>::to_vec),
                    headers: record.headers().map_or_else(Vec::new, |headers| {
                        headers
                            .iter()
                            .map(|header| {
                                let value = header.value.unwrap_or_default().to_vec();
                                (header.key.to_owned(), value)
                            })
                            .collect()
                    }),
                });
            }
        }
        let position = consumer.position().expect("position");
        let next = position.find_partition(topic, partition).map(|element| element.offset());
        // The position passes control and aborted records, which are never delivered.
        if matches!(next, Some(Offset::Offset(next)) if next >= end) {
            return;
        }
        assert!(Instant::now() < give_up_at, "\"{topic}\" {partition} does not reach {end}");
    }
}

fn consumer(bootstrap: &str, isolation: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "test-reader")
        .set("enable.auto.commit", "false")
        .set("isolation.level", isolation)
        .create()
        .expect("make a consumer")
}
