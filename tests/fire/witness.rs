//! A reader of committed profiles who looks on all the time: how long did a partition stand still?
//!
//! What it sees is what every consumer sees, the outages of the brokers and of the load included.
//! Next: `fleet.rs`.

use crate::program::{Application, PARTITIONS};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const COUNT: usize = PARTITIONS as usize;

/// A partition from which nothing committed came for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stall {
    pub(crate) from: Instant,
    pub(crate) time: Duration,
}

/// Looks on, on a thread of its own, until it is dropped.
pub(crate) struct Witness {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    closing: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// By partition, when the last record came.
    last: [Option<Instant>; COUNT],
    stalls: Vec<Stall>,
}

/// Shorter gaps are not kept.
const WORTH_KEEPING: Duration = Duration::from_millis(50);

impl Witness {
    /// Reads a topic of the application from its beginning.
    pub(crate) fn start(application: &Application, topic: &str) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", application.bootstrap())
            .set("log_level", "0")
            .set("group.id", "witness")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "50")
            .set("reconnect.backoff.max.ms", "500")
            .create()
            .expect("make a consumer");
        let mut list = TopicPartitionList::new();
        for partition in 0..COUNT {
            let partition = i32::try_from(partition).expect("few partitions");
            let topic = application.topic(topic);
            list.add_partition_offset(&topic, partition, Offset::Beginning).expect("list");
        }
        consumer.assign(&list).expect("assign");
        let shared = Arc::<Shared>::default();
        let told = Arc::clone(&shared);
        let thread = thread::spawn(move || watch(&consumer, &told));
        Self { shared, thread: Some(thread) }
    }

    /// Whether every partition has had something committed since then.
    pub(crate) fn all_since(&self, since: Instant) -> bool {
        self.seen().last.iter().all(|last| last.is_some_and(|last| last > since))
    }

    /// The stalls that ended after `from`, the longest first.
    pub(crate) fn stalls_since(&self, from: Instant) -> Vec<Stall> {
        let seen = self.seen();
        let ended = seen.stalls.iter().filter(|stall| stall.from + stall.time > from);
        let mut stalls: Vec<Stall> = ended.copied().collect();
        stalls.sort_by_key(|stall| std::cmp::Reverse(stall.time));
        stalls
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen.lock().expect("no panic")
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn watch(consumer: &BaseConsumer, shared: &Shared) {
    while !shared.closing.load(Ordering::Relaxed) {
        // Errors of an outage pass; a record that is missing is missed by the oracle.
        let Some(Ok(record)) = consumer.poll(Duration::from_millis(20)) else { continue };
        let now = Instant::now();
        let partition = usize::try_from(record.partition()).expect("not negative");
        let mut seen = shared.seen.lock().expect("no panic");
        if let Some(from) = seen.last[partition].replace(now) {
            let time = now - from;
            if time > WORTH_KEEPING {
                seen.stalls.push(Stall { from, time });
            }
        }
    }
}
