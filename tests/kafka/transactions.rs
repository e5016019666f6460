//! Transactions: committed, aborted, fenced, taken up again after a restart.
//!
//! Next: `src/kafka/producer.rs`.

use crate::broker::{TestBroker, shared};
use crate::fixture::{
    assigned_from, config_with_topics, connect, fetch, next_event, retry, values, wait_for,
};
use crate::records::{produce, read_committed};
use ebbflow::kafka::{KafkaBroker, Owners};
use ebbflow::runtime::broker::{
    Broker, BrokerError, CommittedOffsets, Ended, GroupEvent, Input, OutRecord, Output, Sent,
    TaskOffsets,
};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer};
use std::collections::VecDeque;
use std::time::Duration;

fn send(broker: &mut KafkaBroker, output: Output, partition: u32, key: &str, value: &str) {
    let headers = [("reason", b"r".to_vec())];
    let record = OutRecord {
        output,
        partition,
        key: Some(key.as_bytes()),
        value: Some(value.as_bytes()),
        headers: &headers,
    };
    wait_for("room in the queue", || {
        (broker.send(&record).expect("send") == Sent::Queued).then_some(())
    });
}

fn drain(broker: &mut KafkaBroker) {
    wait_for("delivery", || broker.drained().expect("drained").then_some(()));
}

fn offsets(partition: u32, next_offsets: [i64; 3], metadata: &str) -> TaskOffsets {
    TaskOffsets { partition, next_offsets, metadata: metadata.to_owned() }
}

fn commit(broker: &mut KafkaBroker, offsets: &[TaskOffsets]) -> Ended {
    drain(broker);
    retry("send offsets", || broker.send_offsets(offsets));
    retry("commit", || broker.commit())
}

#[test]
fn committed_offsets_come_back_with_their_metadata_after_a_restart() {
    let config = config_with_topics(&shared().bootstrap(), "commit", 2);
    let inputs = [("a", "0"), ("b", "1"), ("c", "2")];
    produce(&shared().bootstrap(), &config.topics.purchases, 1, &inputs);
    let mut broker = connect(&config);
    assigned_from(&mut broker, 0);
    retry("init", || broker.init_producer());
    let nothing = CommittedOffsets { next_offsets: [None; 3], metadata: None };
    assert_eq!(broker.committed(1).expect("committed"), nothing);
    drop(fetch(&mut broker, 1, Input::Purchases, 3));

    broker.begin().expect("begin");
    for index in 0..250 {
        send(&mut broker, Output::State, 1, &format!("k{index}"), "v");
    }
    send(&mut broker, Output::SegmentChanges, 1, "k", "changed");
    let metadata = "1:2026-03-01T00:00:00Z:ümläut:7";
    let ended = commit(&mut broker, &[offsets(1, [0, 2, 0], metadata)]);
    assert!(!ended.renew_producer);
    drop(broker);

    let mut broker = connect(&config);
    assigned_from(&mut broker, 0);
    retry("init", || broker.init_producer());
    let committed = retry("committed", || broker.committed(1));
    assert_eq!(committed.next_offsets, [Some(0), Some(2), Some(0)]);
    assert_eq!(committed.metadata.as_deref(), Some(metadata));
    assert_eq!(retry("committed", || broker.committed(0)), nothing);
    retry("seek", || broker.seek(1, Input::Purchases, 2));
    assert_eq!(values(&fetch(&mut broker, 1, Input::Purchases, 1)), ["2"]);

    let changes = read_committed(&shared().bootstrap(), &config.topics.segment_changes);
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].value.as_deref(), Some(&b"changed"[..]));
    assert_eq!(changes[0].partition, 1);
    assert_eq!(changes[0].headers, [("reason".to_owned(), b"r".to_vec())]);
    assert_eq!(read_committed(&shared().bootstrap(), &config.topics.state).len(), 250);
}

#[test]
fn aborted_transaction_leaves_nothing_and_the_producer_goes_on() {
    let config = config_with_topics(&shared().bootstrap(), "abort", 1);
    let mut broker = connect(&config);
    assigned_from(&mut broker, 0);
    retry("init", || broker.init_producer());

    // Once with everything delivered and offsets sent, once with records still in the queue.
    broker.begin().expect("begin");
    send(&mut broker, Output::Relay, 0, "k", "gone");
    drain(&mut broker);
    retry("send offsets", || broker.send_offsets(&[offsets(0, [5, 5, 5], "gone")]));
    retry("abort", || broker.abort());
    broker.begin().expect("begin");
    for _ in 0..1_000 {
        send(&mut broker, Output::Relay, 0, "k", "gone");
    }
    // Purged records leave a gap in the sequence of the producer.
    assert!(retry("abort", || broker.abort()).renew_producer);
    retry("init", || broker.init_producer());
    assert_eq!(retry("committed", || broker.committed(0)).next_offsets, [None; 3]);

    broker.begin().expect("begin");
    send(&mut broker, Output::Relay, 0, "k", "kept");
    commit(&mut broker, &[offsets(0, [0, 0, 0], "kept")]);
    assert_eq!(values(&fetch(&mut broker, 0, Input::Relay, 1)), ["kept"]);

    // The tail is aborted: the position passes it although nothing is delivered.
    broker.begin().expect("begin");
    send(&mut broker, Output::Relay, 0, "k", "gone");
    drain(&mut broker);
    retry("abort", || broker.abort());
    let end = retry("watermarks", || broker.watermarks(0, Input::Relay)).high;
    let mut none = VecDeque::new();
    wait_for("the end", || {
        broker.fetch(0, Input::Relay, 10, &mut none).expect("fetch");
        broker.position(0, Input::Relay).filter(|next_offset| *next_offset >= end)
    });
    assert!(none.is_empty());
    let read = read_committed(&shared().bootstrap(), &config.topics.relay);
    assert_eq!(read.len(), 1);
}

#[test]
fn newer_producer_fences_and_a_new_one_is_the_way_back() {
    let config = config_with_topics(&shared().bootstrap(), "fenced", 1);
    let mut old = connect(&config);
    assigned_from(&mut old, 0);
    retry("init", || old.init_producer());
    old.begin().expect("begin");
    send(&mut old, Output::SegmentChanges, 0, "k", "torn");
    drain(&mut old);

    // Only the producer of the same id: the membership stays with the old one.
    let newer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", shared().bootstrap())
        .set("transactional.id", "fenced-0-000")
        .create()
        .expect("a producer");
    newer.init_transactions(crate::fixture::TIMEOUT).expect("init");

    let error = match old.send_offsets(&[offsets(0, [0, 0, 0], "")]) {
        Err(error) => error,
        Ok(()) => old.commit().expect_err("fenced"),
    };
    assert!(matches!(error, BrokerError::Fenced(_)), "{error:?}");
    let error = old.abort().expect_err("fenced for ever");
    assert!(matches!(error, BrokerError::Fenced(_)), "{error:?}");

    retry("init", || old.init_producer());
    old.begin().expect("begin");
    send(&mut old, Output::SegmentChanges, 0, "k", "whole");
    commit(&mut old, &[offsets(0, [0, 0, 0], "")]);
    let read = read_committed(&shared().bootstrap(), &config.topics.segment_changes);
    assert_eq!(read.iter().map(|r| r.value.as_deref()).collect::<Vec<_>>(), [Some(&b"whole"[..])]);
}

#[test]
fn revoked_member_commits_before_it_answers_and_not_after() {
    let config = config_with_topics(&shared().bootstrap(), "revoke", 2);
    let mut first = connect(&config);
    assigned_from(&mut first, 0);
    retry("init", || first.init_producer());
    first.begin().expect("begin");
    send(&mut first, Output::SegmentChanges, 1, "k", "in time");
    let mut other = config;
    other.instance_id = "1".to_owned();
    let mut second = connect(&other);
    let event = wait_for("the revocation", || {
        assert_eq!(second.poll_group().expect("poll"), None);
        first.poll_group().expect("poll")
    });
    assert_eq!(event, GroupEvent::Revoked { lost: false });
    commit(&mut first, &[offsets(1, [0, 0, 9], "last")]);
    first.unassign().expect("unassign");
    assert_eq!(next_event_of_both(&mut first, &mut second), [vec![0], vec![1]]);
    retry("assign", || first.assign(&[0]));
    retry("assign", || second.assign(&[1]));
    let committed = retry("committed", || second.committed(1));
    assert_eq!(committed.next_offsets, [Some(0), Some(0), Some(9)]);
    assert_eq!(committed.metadata.as_deref(), Some("last"));
}

fn next_event_of_both(first: &mut KafkaBroker, second: &mut KafkaBroker) -> [Vec<u32>; 2] {
    let mut assigned = [None, None];
    wait_for("both assignments", || {
        for (broker, tasks) in [&mut *first, &mut *second].into_iter().zip(&mut assigned) {
            match broker.poll_group().expect("poll") {
                None => {}
                Some(GroupEvent::Assigned(partitions)) => *tasks = Some(partitions),
                Some(event) => panic!("{event:?}"),
            }
        }
        assigned.iter().all(Option::is_some).then_some(())
    });
    assigned.map(Option::unwrap_or_default)
}

#[test]
fn lost_member_cannot_commit() {
    let mut config = config_with_topics(&shared().bootstrap(), "lost", 1);
    config.kafka.session_timeout = Duration::from_secs(1);
    config.kafka.max_poll_interval = Duration::from_secs(2);
    let mut broker = connect(&config);
    assigned_from(&mut broker, 0);
    retry("init", || broker.init_producer());
    broker.begin().expect("begin");
    send(&mut broker, Output::SegmentChanges, 0, "k", "zombie");
    // Standing still for longer than allowed: the group gives its tasks away.
    let owners = Owners::new(&config).expect("a client");
    wait_for("the group to expel it", || {
        owners.ask().is_ok_and(|it| it.owners.is_empty()).then_some(())
    });
    drain(&mut broker);
    let error = wait_for("the offsets to be refused", || {
        match broker.send_offsets(&[offsets(0, [1, 1, 1], "")]) {
            Ok(()) => panic!("offsets of a lost member were taken"),
            Err(BrokerError::Retriable(_)) => None,
            Err(error) => Some(error),
        }
    });
    assert!(matches!(error, BrokerError::Abort(_)), "{error:?}");
    retry("abort", || broker.abort());
    assert_eq!(next_event(&mut broker), GroupEvent::Revoked { lost: true });
    broker.unassign().expect("unassign");
    assert_eq!(next_event(&mut broker), GroupEvent::Assigned(vec![0]));
    retry("assign", || broker.assign(&[0]));
    assert!(read_committed(&shared().bootstrap(), &config.topics.segment_changes).is_empty());
}

#[test]
fn broker_restart_in_the_middle_is_waited_out() {
    let mut server = TestBroker::start();
    let mut config = config_with_topics(&server.bootstrap(), "outage", 1);
    config.kafka.transaction_timeout = Duration::from_secs(60);
    // Longer than a broker takes to come back on a busy machine.
    config.kafka.session_timeout = Duration::from_secs(60);
    let mut broker = connect(&config);
    assigned_from(&mut broker, 0);
    retry("init", || broker.init_producer());
    broker.begin().expect("begin");
    send(&mut broker, Output::SegmentChanges, 0, "k", "v");
    drain(&mut broker);
    retry("send offsets", || broker.send_offsets(&[offsets(0, [0, 0, 0], "m")]));
    server.stop("TERM");
    let error = broker.commit().expect_err("nobody there");
    assert!(matches!(error, BrokerError::Retriable(_)), "{error:?}");
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| server.run());
        retry("commit", || broker.commit())
    });
    assert!(ended.renew_producer);
    retry("init", || broker.init_producer());
    let committed = retry("committed", || broker.committed(0));
    assert_eq!(committed.metadata.as_deref(), Some("m"));
    assert_eq!(read_committed(&server.bootstrap(), &config.topics.segment_changes).len(), 1);
    drop(broker);
}
