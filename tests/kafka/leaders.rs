//! A partition without a leader, which then has one again.
//!
//! Next: `src/kafka/ends.rs`.

use crate::cluster::{Cluster, SIZE};
use crate::fixture::{TIMEOUT, assigned_from, config, connect, next_event, retry, wait_for};
use crate::records::produce;
use ebbflow::config::Config;
use ebbflow::kafka::KafkaBroker;
use ebbflow::kafka::topics::create_topics;
use ebbflow::runtime::broker::{Broker, BrokerError, GroupEvent, Input, TaskOffsets};
use ebbflow::runtime::clock::monotonic_ms;
use ebbflow::runtime::status::Status;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Three brokers at a time are enough for a machine.
static ONE_CLUSTER: Mutex<()> = Mutex::new(());

/// An offset of `purchases` that was never there.
const OUT_OF_RANGE: i64 = 1_000;

/// The broker that leads partition 0.
fn leader(cluster: &Cluster, topic: &str) -> usize {
    leaders(cluster, topic)[0]
}

/// The brokers that lead the partitions of a topic.
fn leaders(cluster: &Cluster, topic: &str) -> Vec<usize> {
    let mut settings = ClientConfig::new();
    let client: BaseConsumer =
        settings.set("bootstrap.servers", cluster.bootstrap()).create().expect("make a client");
    let metadata = client.fetch_metadata(Some(topic), TIMEOUT).expect("metadata");
    let mut partitions: Vec<_> = metadata.topics()[0].partitions().iter().collect();
    partitions.sort_by_key(|partition| partition.id());
    let leader = |number: i32| usize::try_from(number - 1).expect("it has a leader");
    partitions.into_iter().map(|partition| leader(partition.leader())).collect()
}

/// A broker that does not coordinate the group and leads an input of some tasks, not of all.
fn leader_of_some(cluster: &Cluster, config: &Config) -> Option<usize> {
    let topics = [&config.topics.interactions, &config.topics.purchases, &config.topics.relay];
    let leaders = topics.map(|topic| leaders(cluster, topic));
    let group = cluster.coordinator(&config.application_id);
    let leads = |index: usize, task: usize| leaders.iter().any(|of| of[task] == index);
    let tasks = || 0..leaders[0].len();
    (0..SIZE).filter(|index| *index != group).find(|index| {
        tasks().any(|task| leads(*index, task)) && !tasks().all(|task| leads(*index, task))
    })
}

/// Without a second replica the partitions of a dead broker have no leader.
fn unreplicated(cluster: &Cluster, name: &str, partitions: u32) -> Config {
    let mut config = config(&cluster.bootstrap(), name, partitions);
    config.topics.replication = Some(1);
    config.kafka.properties.insert("reconnect.backoff.max.ms".to_owned(), "500".to_owned());
    let report = create_topics(&config).expect("make the topics");
    assert!(report.topics.iter().all(|topic| topic.partitions.is_some()), "{report:?}");
    config
}

#[test]
fn a_partition_without_a_leader_hides_the_ends_of_its_own_task_only() {
    const PARTITIONS: u32 = 6;
    let _alone = ONE_CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut cluster = Cluster::start([0; SIZE]);
    // Where partitions lie is drawn by lot.
    let (mut broker, victim) = (0..20)
        .find_map(|attempt| {
            let config = unreplicated(&cluster, &format!("leaders-{attempt}"), PARTITIONS);
            let mut broker = connect(&config);
            assigned_from(&mut broker, 0);
            leader_of_some(&cluster, &config).map(|victim| (broker, victim))
        })
        .expect("a broker that some tasks do without");
    // Since the answer to a sample takes a second at most.
    let fresh = |broker: &mut KafkaBroker| {
        drop(broker.poll_group());
        let asked_ms = |task| broker.end_offsets(task).map(|sample| sample.asked_ms);
        let ages = (0..PARTITIONS).filter_map(asked_ms).map(|asked_ms| monotonic_ms() - asked_ms);
        ages.filter(|age_ms| *age_ms < 3_000).count()
    };
    let all = PARTITIONS as usize;
    wait_for("samples of all tasks", || (fresh(&mut broker) == all).then_some(()));
    cluster.kill(victim);
    // The others go on.
    wait_for("a task without samples", || (fresh(&mut broker) < all).then_some(()));
    wait_for("samples of some", || (fresh(&mut broker) > 0).then_some(()));
    let leaderless_ms = monotonic_ms() + 8_000;
    wait_for("more samples of some", || {
        let fresh = fresh(&mut broker);
        (fresh > 0 && monotonic_ms() > leaderless_ms).then_some(())
    });
    assert!(fresh(&mut broker) < all);
    cluster.run(victim);
    wait_for("samples of all tasks again", || (fresh(&mut broker) == all).then_some(()));
}

/// Topics of one partition, of which the group has committed an offset that does not exist.
fn with_lost_offsets(cluster: &Cluster, name: &str) -> Config {
    let config = unreplicated(cluster, name, 1);
    let topic = &config.topics.purchases;
    produce(&cluster.bootstrap(), topic, 0, &[("a", "0"), ("b", "1"), ("c", "2")]);
    let mut broker = connect(&config);
    assigned_from(&mut broker, 0);
    retry("init", || broker.init_producer());
    broker.begin().expect("begin");
    let next_offsets = [0, OUT_OF_RANGE, 0];
    let offsets = [TaskOffsets { partition: 0, next_offsets, metadata: String::new() }];
    retry("send offsets", || broker.send_offsets(&offsets));
    retry("commit", || broker.commit());
    config
}

/// The only task of a worker is assigned while it has no leader, and what the group has committed
/// does not exist: once it has a leader it is told, and before that the cluster answers.
#[test]
fn lost_offsets_of_a_task_without_a_leader_are_told_once_it_has_one() {
    let _alone = ONE_CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut cluster = Cluster::start([0; SIZE]);
    // The broker that is to go must not coordinate the group.
    let (config, leader) = (0..8)
        .map(|attempt| {
            let config = with_lost_offsets(&cluster, &format!("sought-{attempt}"));
            let leader = leader(&cluster, &config.topics.purchases);
            (config, leader)
        })
        .find(|(config, leader)| cluster.coordinator(&config.application_id) != *leader)
        .expect("another broker");
    let status = Status::new(1);
    let mut broker = connect(&config);
    broker.report_to(status.clone(), 0);
    let GroupEvent::Assigned(tasks) = next_event(&mut broker) else { panic!("not assigned") };
    cluster.kill(leader);
    let unseen_ms = monotonic_ms() + 10_000;
    wait_for("the cluster to miss it", || {
        drop(broker.poll_group());
        (monotonic_ms() > unseen_ms && status.cluster().away().is_none()).then_some(())
    });
    retry("assign", || broker.assign(&tasks));
    assert_eq!(broker.end_offsets(0), None);
    // Longer than an outage takes to be told.
    let told_ms = monotonic_ms() + 8_000;
    wait_for("a while without a leader", || {
        drop(broker.poll_group());
        (monotonic_ms() > told_ms).then_some(())
    });
    assert_eq!(status.cluster().away(), None);

    cluster.run(leader);
    wait_for("a sample", || {
        drop(broker.poll_group());
        broker.end_offsets(0)
    });
    let text = wait_for("the error", || match broker.seek(0, Input::Purchases, OUT_OF_RANGE) {
        Err(BrokerError::Fatal(text)) => Some(text),
        Err(BrokerError::Retriable(_)) => None,
        Err(error) => panic!("{error:?}"),
        // It was asked before the partition was read from again.
        Ok(()) => broker.fetch(0, Input::Purchases, 10, &mut VecDeque::new()).err().map(|error| {
            assert!(matches!(error, BrokerError::Fatal(_)), "{error:?}");
            error.to_string()
        }),
    });
    assert!(text.contains("out of range") && text.contains("--rebuild"), "{text}");
}
