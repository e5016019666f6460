//! How far all tasks of the group are, as others are told.
//!
//! Next: `src/kafka/clocks.rs`.

use crate::broker::shared;
use crate::fixture::{assigned_from, config_with_topics, connect, retry, wait_for};
use crate::records::produce;
use ebbflow::domain::time::Timestamp;
use ebbflow::kafka::KafkaBroker;
use ebbflow::runtime::broker::{Broker, ClockSample, CommittedOffsets, TaskOffsets};
use ebbflow::runtime::clock::wall_now;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn offsets(partition: u32, next_offsets: [i64; 3], metadata: &str) -> TaskOffsets {
    TaskOffsets { partition, next_offsets, metadata: metadata.to_owned() }
}

fn committed(next_offsets: [i64; 3], metadata: &str) -> CommittedOffsets {
    let metadata = Some(metadata.to_owned());
    CommittedOffsets { next_offsets: next_offsets.map(Some), metadata }
}

/// The next sample that was asked for after this call.
fn next_sample(broker: &mut KafkaBroker) -> Arc<ClockSample> {
    let before = wall_now();
    let later = |sample: Arc<ClockSample>| Some(sample).filter(|sample| sample.at > before);
    // The answer may have been given before, and its time read after.
    for _ in 0..2 {
        let last =
            broker.clocks(2, true).expect("clocks").map_or(Timestamp::MIN, |sample| sample.at);
        let is_new = |sample: &Arc<ClockSample>| sample.at > last;
        wait_for("a sample", || broker.clocks(2, true).expect("clocks").filter(is_new));
    }
    wait_for("a sample", || broker.clocks(2, true).expect("clocks").and_then(later))
}

#[test]
fn clocks_are_those_that_were_committed_last_whatever_is_open() {
    let config = config_with_topics(&shared().bootstrap(), "clocks", 2);
    let bootstrap = shared().bootstrap();
    produce(&bootstrap, &config.topics.interactions, 0, &[("a", "0"), ("b", "1")]);
    let mut broker = connect(&config);
    assigned_from(&mut broker, 0);
    retry("init", || broker.init_producer());
    let sample = next_sample(&mut broker);
    let nothing = CommittedOffsets::default();
    assert_eq!(sample.tasks.len(), 2);
    assert!(sample.tasks.iter().all(|task| task.committed == nothing));
    assert_eq!(sample.tasks[0].ends, Some([2, 0, 0]));
    assert_eq!(sample.tasks[1].ends, Some([0, 0, 0]));

    broker.begin().expect("begin");
    let first = [offsets(0, [1, 0, 0], "1 5 1 1"), offsets(1, [0, 0, 0], "1 7 1 1")];
    retry("send offsets", || broker.send_offsets(&first));
    retry("commit", || broker.commit());
    let seen = [committed([1, 0, 0], "1 5 1 1"), committed([0, 0, 0], "1 7 1 1")];
    let sample = next_sample(&mut broker);
    assert_eq!(
        sample.tasks.iter().map(|task| &task.committed).collect::<Vec<_>>(),
        [&seen[0], &seen[1]]
    );

    // An open transaction is not waited for, and not told of.
    broker.begin().expect("begin");
    retry("send offsets", || broker.send_offsets(&[offsets(0, [2, 0, 0], "1 9 2 1")]));
    let asked_at = Instant::now();
    let sample = next_sample(&mut broker);
    println!("two samples in {:?}", asked_at.elapsed());
    assert!(asked_at.elapsed() < Duration::from_secs(8));
    assert_eq!(sample.tasks[0].committed, seen[0]);
    retry("commit", || broker.commit());
    let sample = next_sample(&mut broker);
    assert_eq!(sample.tasks[0].committed, committed([2, 0, 0], "1 9 2 1"));
    assert_eq!(sample.tasks[1].committed, seen[1]);
}
