//! Changelogs: read to the end, whatever lies there.
//!
//! Next: `src/kafka/changelog.rs`.

use crate::broker::shared;
use crate::fixture::{TIMEOUT, assigned_from, config_with_topics, connect, retry, wait_for};
use crate::records::produce;
use ebbflow::kafka::KafkaBroker;
use ebbflow::runtime::broker::{Broker, BrokerError, ChangelogRecord};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::{Duration, Instant};

fn restore(broker: &mut KafkaBroker, partition: u32) -> Vec<ChangelogRecord> {
    retry("open", || broker.open_changelog(partition));
    let mut records = Vec::new();
    wait_for("the end of the changelog", || {
        broker.read_changelog(partition, 100, &mut records).expect("read").then_some(())
    });
    records
}

fn transactional(id: &str) -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", shared().bootstrap())
        .set("transactional.id", id)
        .set("transaction.timeout.ms", "8000")
        .create()
        .expect("a producer");
    producer.init_transactions(TIMEOUT).expect("init");
    producer
}

fn send(producer: &BaseProducer, topic: &str, key: &str) {
    let record = BaseRecord::to(topic).partition(0).key(key).payload("v");
    producer.send(record).map_err(|(error, _)| error).expect("send");
    producer.flush(TIMEOUT).expect("flush");
}

#[test]
fn empty_and_aborted_tails_have_an_end() {
    let config = config_with_topics(&shared().bootstrap(), "changelog", 2);
    let topic = config.topics.state.clone();
    let mut broker = connect(&config);
    assigned_from(&mut broker, 0);
    assert_eq!(restore(&mut broker, 1), Vec::new());

    let producer = transactional("changelog-writer");
    // Aborted records only.
    producer.begin_transaction().expect("begin");
    send(&producer, &topic, "gone");
    producer.abort_transaction(TIMEOUT).expect("abort");
    assert_eq!(restore(&mut broker, 0), Vec::new());

    producer.begin_transaction().expect("begin");
    for index in 0..1_000 {
        let key = format!("k{index}");
        let record = BaseRecord::to(&topic).partition(0).key(&key).payload("v");
        producer.send(record).map_err(|(error, _)| error).expect("send");
    }
    let tombstone = BaseRecord::<str, [u8]>::to(&topic).partition(0).key("k0");
    producer.send(tombstone).map_err(|(error, _)| error).expect("send");
    producer.flush(TIMEOUT).expect("flush");
    producer.commit_transaction(TIMEOUT).expect("commit");
    producer.begin_transaction().expect("begin");
    send(&producer, &topic, "gone");
    producer.abort_transaction(TIMEOUT).expect("abort");
    let records = restore(&mut broker, 0);
    assert_eq!(records.len(), 1_001);
    assert_eq!(records[1].key, b"k1");
    assert_eq!(records[1].value.as_deref(), Some(&b"v"[..]));
    assert_eq!(records[1_000], ChangelogRecord { key: b"k0".to_vec(), value: None });

    // Not opened (the last one was closed at its end), and closed early.
    let mut none = Vec::new();
    let error = broker.read_changelog(0, 10, &mut none).expect_err("not open");
    assert!(matches!(error, BrokerError::Fatal(_)));
    retry("open", || broker.open_changelog(0));
    broker.close_changelog(0);
    let started = Instant::now();
    retry("open", || broker.open_changelog(0));
    drop(broker);
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[test]
fn open_transaction_in_the_tail_is_waited_for() {
    let config = config_with_topics(&shared().bootstrap(), "pending", 1);
    let topic = config.topics.state.clone();
    let producer = transactional("pending-writer");
    producer.begin_transaction().expect("begin");
    send(&producer, &topic, "undecided");
    let mut broker = connect(&config);
    retry("open", || broker.open_changelog(0));
    let mut records = Vec::new();
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        assert!(!broker.read_changelog(0, 100, &mut records).expect("read"));
        broker.wait(Duration::from_millis(10));
    }
    assert!(records.is_empty());
    producer.commit_transaction(TIMEOUT).expect("commit");
    wait_for("the end", || {
        broker.read_changelog(0, 100, &mut records).expect("read").then_some(())
    });
    assert_eq!(records.len(), 1);
}

#[test]
fn control_is_read_whole() {
    let config = config_with_topics(&shared().bootstrap(), "control", 1);
    let mut broker = connect(&config);
    assert_eq!(broker.read_control().expect("read"), Vec::new());
    let records = [("lineage", "1"), ("model", "2"), ("lineage", "3")];
    produce(&shared().bootstrap(), &config.topics.control, 0, &records);
    let read = broker.read_control().expect("read");
    let keys: Vec<&[u8]> = read.iter().map(|record| record.key.as_slice()).collect();
    assert_eq!(keys, [&b"lineage"[..], b"model", b"lineage"]);
    assert_eq!(read[2].value.as_deref(), Some(&b"3"[..]));
}
