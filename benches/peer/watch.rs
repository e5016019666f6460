//! How fast a process works off a topic, and what it uses: read from outside, the same way for
//! every program.
//!
//! What is committed by its consumer group counts. Next: `main.rs`.

use crate::support::Usage;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::process::Child;
use std::time::{Duration, Instant};

const STEP: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(600);

/// A speed and its price.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Speed {
    pub(crate) events_per_second: f64,
    pub(crate) cpu_seconds_per_million: f64,
}

impl Speed {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn between(one: &Sample, other: &Sample) -> Self {
        let events = (other.committed - one.committed) as f64;
        let seconds = (other.at - one.at).as_secs_f64();
        let cpu_seconds = other.usage.cpu_seconds - one.usage.cpu_seconds;
        Self {
            events_per_second: events / seconds,
            cpu_seconds_per_million: cpu_seconds * 1e6 / events,
        }
    }
}

/// A run of a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// From the start of the process on.
    pub(crate) whole: Speed,
    /// The second half of the events.
    pub(crate) warm: Speed,
    pub(crate) peak_mb: u64,
    pub(crate) seconds: f64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    committed: u64,
    usage: Usage,
}

/// Waits until a process has committed so many records of these topics, all of them.
pub(crate) fn watch(
    process: &mut Child,
    bootstrap: &str,
    group: &str,
    topics: &[String],
    records: u64,
) -> Run {
    let begun = Sample { at: Instant::now(), committed: 0, usage: Usage::default() };
    let committed = Committed::new(bootstrap, group, topics);
    let mut half: Option<Sample> = None;
    loop {
        std::thread::sleep(STEP);
        assert!(begun.at.elapsed() < PATIENCE, "{group} does not get on");
        let ended = process.try_wait().expect("look at the process");
        assert!(ended.is_none(), "{group} has ended: {ended:?}");
        let usage = Usage::of(process.id()).expect("it lives");
        let now = Sample { at: Instant::now(), committed: committed.sum(), usage };
        if now.committed >= records / 2 {
            half.get_or_insert(now);
        }
        if let (true, Some(half)) = (now.committed >= records, half) {
            return Run {
                whole: Speed::between(&begun, &now),
                warm: Speed::between(&half, &now),
                peak_mb: usage.peak_kb / 1024,
                seconds: begun.at.elapsed().as_secs_f64(),
            };
        }
    }
}

/// The threads of a process that have run for a hundredth of a second, by name, and the CPU seconds
/// of each.
pub(crate) fn threads(process: u32) -> Vec<(String, f64)> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("it lives");
    let mut threads: Vec<(String, f64)> = tasks
        .filter_map(|task| {
            let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
            let (head, tail) = stat.rsplit_once(')')?;
            let words: Vec<&str> = tail.split_whitespace().collect();
            let ticks = words.get(11)?.parse::<f64>().ok()? + words.get(12)?.parse::<f64>().ok()?;
            Some((head.split_once('(')?.1.to_owned(), ticks / 100.0))
        })
        .filter(|(_, seconds)| *seconds > 0.0)
        .collect();
    threads.sort_by(|one, other| other.1.total_cmp(&one.1));
    threads
}

/// What a group has committed.
struct Committed {
    client: BaseConsumer,
    partitions: TopicPartitionList,
}

impl Committed {
    fn new(bootstrap: &str, group: &str, topics: &[String]) -> Self {
        let client = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", group)
            // Open transactions are not waited for.
            .set("isolation.level", "read_uncommitted")
            .create()
            .expect("make a client");
        let mut partitions = TopicPartitionList::new();
        for topic in topics {
            for partition in 0..i32::try_from(crate::load::PARTITIONS).expect("few") {
                partitions.add_partition(topic, partition);
            }
        }
        Self { client, partitions }
    }

    /// Records; 0 where the group is not known yet.
    fn sum(&self) -> u64 {
        let asked = self.client.committed_offsets(self.partitions.clone(), Duration::from_secs(5));
        let Ok(list) = asked else { return 0 };
        let next = |offset| match offset {
            Offset::Offset(next) => u64::try_from(next).unwrap_or(0),
            _ => 0,
        };
        list.elements().iter().map(|element| next(element.offset())).sum()
    }
}
