//! A partition without a leader, which then has one again.
//!
//! Next: `src/kafka/ends.rs`.

use crate::cluster::{Cluster, SIZE};
use crate::fixture::{assigned_from, config, connect, wait_for};
use ebbflow::kafka::KafkaBroker;
use ebbflow::kafka::topics::create_topics;
use ebbflow::runtime::broker::Broker;
use ebbflow::runtime::clock::monotonic_ms;

/// Without a second replica the partitions of a dead broker have no leader.
#[test]
fn a_partition_without_a_leader_hides_the_ends_of_its_own_task_only() {
    const PARTITIONS: u32 = 6;
    let mut cluster = Cluster::start([0; SIZE]);
    let mut config = config(&cluster.bootstrap(), "leaders", PARTITIONS);
    config.topics.replication = Some(1);
    config.kafka.properties.insert("reconnect.backoff.max.ms".to_owned(), "500".to_owned());
    let report = create_topics(&config).expect("make the topics");
    assert!(report.topics.iter().all(|topic| topic.partitions.is_some()), "{report:?}");
    let mut broker = connect(&config);
    assigned_from(&mut broker, 0);
    // Since the answer to a sample takes a second at most.
    let fresh = |broker: &mut KafkaBroker| {
        drop(broker.poll_group());
        let asked_ms = |task| broker.end_offsets(task).map(|sample| sample.asked_ms);
        let ages = (0..PARTITIONS).filter_map(asked_ms).map(|asked_ms| monotonic_ms() - asked_ms);
        ages.filter(|age_ms| *age_ms < 3_000).count()
    };
    let all = PARTITIONS as usize;
    wait_for("samples of all tasks", || (fresh(&mut broker) == all).then_some(()));
    let group = cluster.coordinator("leaders");
    let victim = (0..SIZE).find(|index| *index != group).expect("another");
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
