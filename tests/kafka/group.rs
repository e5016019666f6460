//! The member of the group: deferred answers to rebalances, seeking, positions, closing.
//!
//! Next: `src/kafka/group.rs`.

use crate::broker::shared;
use crate::fixture::{
    TIMEOUT, assigned_from, config_with_topics, connect, fetch, next_event, retry, values, wait_for,
};
use crate::records::produce;
use ebbflow::kafka::{ConnectMode, KafkaBroker};
use ebbflow::runtime::broker::{Broker, BrokerError, GroupEvent, Input, Record, Watermarks};
use ebbflow::runtime::clock::wall_now;
use std::collections::VecDeque;
use std::sync::mpsc;
use std::time::{Duration, Instant};

#[test]
fn records_come_from_where_it_was_told_and_not_before() {
    let config = config_with_topics(&shared().bootstrap(), "seek", 2);
    produce(
        &shared().bootstrap(),
        &config.topics.purchases,
        1,
        &[("a", "0"), ("b", "1"), ("c", "2"), ("d", "3")],
    );
    let mut broker = connect(&config);
    let event = next_event(&mut broker);
    assert_eq!(event, GroupEvent::Assigned(vec![0, 1]));
    retry("assign", || broker.assign(&[0, 1]));
    let marks = broker.watermarks(1, Input::Purchases).expect("watermarks");
    assert_eq!(marks, Watermarks { low: 0, high: 4 });

    // What arrives before the first seek is not handed out, and there is no position.
    produce(&shared().bootstrap(), &config.topics.purchases, 1, &[("e", "4")]);
    wait_for("the sample to see it", || {
        broker.end_offsets(1).filter(|sample| sample.ends == [0, 5, 0])
    });
    let mut none = VecDeque::new();
    broker.fetch(1, Input::Purchases, 10, &mut none).expect("fetch");
    assert!(none.is_empty());
    assert_eq!(broker.position(1, Input::Purchases), None);

    retry("seek", || broker.seek(1, Input::Purchases, 1));
    let records = fetch(&mut broker, 1, Input::Purchases, 4);
    assert_eq!(values(&records), ["1", "2", "3", "4"]);
    assert_eq!(records[0].key(), Some(&b"b"[..]));
    assert_eq!(records[0].offset(), 1);
    let age_ms = wall_now().since(records[0].timestamp().expect("a timestamp"));
    assert!((0..60_000).contains(&age_ms), "{age_ms}");
    assert_eq!(broker.position(1, Input::Purchases), Some(5));

    // Back again: the position of before must not survive the seek.
    retry("seek", || broker.seek(1, Input::Purchases, 2));
    assert!(broker.position(1, Input::Purchases).is_none_or(|next_offset| next_offset <= 5));
    let again = fetch(&mut broker, 1, Input::Purchases, 3);
    assert_eq!(values(&again), ["2", "3", "4"]);
    // Records stay readable after the seek.
    assert_eq!(values(&records), ["1", "2", "3", "4"]);
}

#[test]
fn position_after_a_seek_is_never_the_old_one() {
    let config = config_with_topics(&shared().bootstrap(), "seekback", 1);
    produce(&shared().bootstrap(), &config.topics.relay, 0, &[("a", "0"), ("b", "1"), ("c", "2")]);
    let mut broker = connect(&config);
    assigned_from(&mut broker, 0);
    for _ in 0..50 {
        drop(fetch(&mut broker, 0, Input::Relay, 3));
        assert_eq!(broker.position(0, Input::Relay), Some(3));
        retry("seek", || broker.seek(0, Input::Relay, 0));
        // Nothing was taken since: whatever librdkafka has fetched, the position is unknown.
        assert_eq!(broker.position(0, Input::Relay), None);
    }
}

#[test]
fn offset_out_of_range_is_fatal_and_names_the_way_out() {
    let config = config_with_topics(&shared().bootstrap(), "range", 1);
    produce(&shared().bootstrap(), &config.topics.purchases, 0, &[("a", "0")]);
    let mut broker = connect(&config);
    assigned_from(&mut broker, 0);
    retry("seek", || broker.seek(0, Input::Purchases, 1_000));
    let text = wait_for("the error", || {
        let mut records = VecDeque::new();
        match broker.fetch(0, Input::Purchases, 10, &mut records) {
            Ok(()) => None,
            Err(BrokerError::Fatal(text)) => Some(text),
            Err(error) => panic!("{error:?}"),
        }
    });
    assert!(text.contains("out of range"), "{text}");
    assert!(text.contains("ebbflow run --rebuild"), "{text}");
}

/// Whoever has not taken the error yet and seeks meets a partition that is read no further.
#[test]
fn seek_of_a_partition_that_stopped_out_of_range_says_so() {
    let config = config_with_topics(&shared().bootstrap(), "stopped", 1);
    produce(&shared().bootstrap(), &config.topics.purchases, 0, &[("a", "0")]);
    let mut broker = connect(&config);
    assigned_from(&mut broker, 0);
    let text = wait_for("the error", || {
        let sought = broker.seek(0, Input::Purchases, 1_000);
        // The error wakes, if it has come before.
        broker.wait(Duration::from_millis(500));
        match sought {
            Ok(()) | Err(BrokerError::Retriable(_)) => None,
            Err(BrokerError::Fatal(text)) => Some(text),
            Err(error) => panic!("{error:?}"),
        }
    });
    assert!(text.contains("out of range") && text.contains("--rebuild"), "{text}");
}

#[test]
fn samples_hold_the_ends_of_each_input() {
    let config = config_with_topics(&shared().bootstrap(), "ends", 3);
    produce(&shared().bootstrap(), &config.topics.interactions, 2, &[("a", "0")]);
    produce(&shared().bootstrap(), &config.topics.purchases, 0, &[("a", "0"), ("b", "1")]);
    produce(&shared().bootstrap(), &config.topics.relay, 1, &[("a", "0"), ("b", "1"), ("c", "2")]);
    let mut broker = connect(&config);
    assert_eq!(broker.end_offsets(0), None);
    let before = wall_now();
    let tasks = assigned_from(&mut broker, 0);
    assert_eq!(tasks, [0, 1, 2]);
    let samples = [0, 1, 2].map(|task| wait_for("a sample", || broker.end_offsets(task)));
    assert_eq!(samples.map(|sample| sample.ends), [[0, 2, 0], [0, 0, 3], [1, 0, 0]]);
    assert!(samples.iter().all(|sample| sample.at >= before && sample.at <= wall_now()));
    wait_for("a later sample", || broker.end_offsets(0).filter(|sample| sample.at > samples[0].at));
}

#[test]
fn answers_to_rebalances_may_come_later() {
    let config = config_with_topics(&shared().bootstrap(), "deferred", 4);
    let mut first = connect(&config);
    assert_eq!(assigned_from(&mut first, 0), [0, 1, 2, 3]);

    // A second member joins from a thread of its own; the first is asked to give back.
    let mut other = config.clone();
    other.instance_id = "1".to_owned();
    let (to_second, from_first) = mpsc::channel::<()>();
    let (to_first, from_second) = mpsc::channel();
    let second = std::thread::spawn(move || {
        let mut second = connect(&other);
        let event = next_event(&mut second);
        to_first.send((event.clone(), Instant::now())).expect("tell");
        let GroupEvent::Assigned(tasks) = event else { panic!("{event:?}") };
        retry("assign", || second.assign(&tasks));
        from_first.recv_timeout(TIMEOUT).expect("told to go on");
        second.leave_group().expect("leave");
        to_first.send((GroupEvent::Revoked { lost: false }, Instant::now())).expect("tell");
    });
    assert_eq!(next_event(&mut first), GroupEvent::Revoked { lost: false });

    // Longer than the session without an answer: heartbeats go on, nothing is fetched, and
    // committed offsets can still be asked for.
    produce(&shared().bootstrap(), &config.topics.purchases, 0, &[("a", "0")]);
    let held_until = Instant::now() + config.kafka.session_timeout + Duration::from_secs(2);
    while Instant::now() < held_until {
        assert_eq!(first.poll_group().expect("poll"), None);
        first.wait(Duration::from_millis(10));
    }
    assert_eq!(first.committed(0).expect("committed").next_offsets, [None; 3]);
    assert!(from_second.try_recv().is_err(), "the second has been assigned too early");
    let answered_at = Instant::now();
    first.unassign().expect("unassign");

    let event = next_event(&mut first);
    assert_eq!(event, GroupEvent::Assigned(vec![0, 1]));
    let (event, second_assigned_at) = from_second.recv_timeout(TIMEOUT).expect("assigned");
    assert_eq!(event, GroupEvent::Assigned(vec![2, 3]));
    println!("second assigned {:?} after the answer", second_assigned_at - answered_at);

    // The assignment, too, may be answered later than the session.
    let held_until = Instant::now() + config.kafka.session_timeout + Duration::from_secs(1);
    while Instant::now() < held_until {
        assert_eq!(first.poll_group().expect("poll"), None);
        first.wait(Duration::from_millis(10));
    }
    retry("assign", || first.assign(&[0, 1]));
    retry("seek", || first.seek(0, Input::Purchases, 0));
    assert_eq!(values(&fetch(&mut first, 0, Input::Purchases, 1)), ["0"]);

    // The second leaves for good: everything comes back at once.
    to_second.send(()).expect("tell");
    let (_, left_at) = from_second.recv_timeout(TIMEOUT).expect("left");
    assert_eq!(next_event(&mut first), GroupEvent::Revoked { lost: false });
    first.unassign().expect("unassign");
    assert_eq!(next_event(&mut first), GroupEvent::Assigned(vec![0, 1, 2, 3]));
    println!("all back {:?} after leaving", left_at.elapsed());
    second.join().expect("second");
}

#[test]
fn closing_never_waits_for_an_answer() {
    let config = config_with_topics(&shared().bootstrap(), "closing", 2);
    let within = |what: &str, broker: KafkaBroker| {
        let started = Instant::now();
        drop(broker);
        println!("{what}: closed in {:?}", started.elapsed());
        assert!(started.elapsed() < Duration::from_secs(4), "{what}");
    };
    // Before the first event; with an assignment unanswered; with one answered; with records
    // fetched and dropped; with a revocation unanswered.
    within("joining", connect(&config));
    let mut broker = connect(&config);
    next_event(&mut broker);
    within("assignment unanswered", broker);
    produce(&shared().bootstrap(), &config.topics.purchases, 0, &[("a", "0"), ("b", "1")]);
    let mut broker = connect(&config);
    assigned_from(&mut broker, 0);
    drop(fetch(&mut broker, 0, Input::Purchases, 2));
    produce(&shared().bootstrap(), &config.topics.purchases, 0, &[("c", "2"); 500]);
    within("records queued", broker);

    let mut first = connect(&config);
    assigned_from(&mut first, 0);
    let mut other = config;
    other.instance_id = "1".to_owned();
    let mut second = connect(&other);
    wait_for("the revocation", || {
        assert_eq!(second.poll_group().expect("poll"), None);
        first.poll_group().expect("poll")
    });
    within("revocation unanswered", first);
    within("the second, joining", second);
}

#[test]
fn second_process_with_the_same_id_ends_the_first() {
    let config = config_with_topics(&shared().bootstrap(), "twice", 1);
    let mut first = connect(&config);
    assigned_from(&mut first, 0);
    let mut second = connect(&config);
    assert_eq!(assigned_from(&mut second, 0), [0]);
    let text = wait_for("the error", || match first.poll_group() {
        Ok(None) => None,
        Err(BrokerError::Fatal(text)) => Some(text),
        other => panic!("{other:?}"),
    });
    assert!(text.contains("give each process its own instance_id"), "{text}");
    assert!(matches!(first.commit(), Err(BrokerError::Fatal(_))));
}

#[test]
fn restart_within_the_session_keeps_the_partitions() {
    let config = config_with_topics(&shared().bootstrap(), "restart", 2);
    let mut broker = connect(&config);
    assigned_from(&mut broker, 0);
    drop(broker);
    let started = Instant::now();
    let mut broker = connect(&config);
    assert_eq!(assigned_from(&mut broker, 0), [0, 1]);
    println!("assigned {:?} after the restart", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[test]
fn waiting_ends_when_a_record_arrives() {
    let config = config_with_topics(&shared().bootstrap(), "wait", 1);
    let mut broker = connect(&config);
    assigned_from(&mut broker, 0);
    // Use up the wake-ups of the assignment.
    let quiet_since = wait_for("quiet", || {
        let started = Instant::now();
        assert_eq!(broker.poll_group().expect("poll"), None);
        let mut records = VecDeque::new();
        broker.fetch(0, Input::Purchases, 10, &mut records).expect("fetch");
        broker.wait(Duration::from_millis(100));
        (started.elapsed() >= Duration::from_millis(90)).then_some(started)
    });
    assert!(quiet_since.elapsed() < TIMEOUT);
    let bootstrap = shared().bootstrap();
    let topic = config.topics.purchases;
    let writer = std::thread::spawn(move || produce(&bootstrap, &topic, 0, &[("a", "0")]));
    let started = Instant::now();
    let mut records = VecDeque::new();
    while records.is_empty() {
        broker.wait(Duration::from_secs(5));
        broker.fetch(0, Input::Purchases, 10, &mut records).expect("fetch");
    }
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    writer.join().expect("writer");
}

#[test]
fn mock_cluster_takes_a_dynamic_member() {
    use rdkafka::mocking::MockCluster;
    let cluster = MockCluster::new(1).expect("mock cluster");
    let config = crate::fixture::config(&cluster.bootstrap_servers(), "mock", 2);
    for topic in [&config.topics.interactions, &config.topics.purchases, &config.topics.relay] {
        cluster.create_topic(topic, 2, 1).expect("topic");
    }
    produce(&cluster.bootstrap_servers(), &config.topics.purchases, 1, &[("a", "0")]);
    let mut broker = KafkaBroker::connect(&config, 0, ConnectMode::Mock).expect("connect");
    assert_eq!(assigned_from(&mut broker, 0), [0, 1]);
    assert_eq!(broker.committed(1).expect("committed").next_offsets, [None; 3]);
    assert_eq!(values(&fetch(&mut broker, 1, Input::Purchases, 1)), ["0"]);
    wait_for("a sample", || broker.end_offsets(1).filter(|sample| sample.ends == [0, 1, 0]));
}
