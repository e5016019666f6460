//! A load that goes on through everything, and yet has one right answer.
//!
//! How a task merges its inputs depends on which ends it has reached, and so on the moment. Here
//! each task has records in one input only: purchases in the first partitions, interactions in the
//! others. What comes out is then a function of the logs, which `ebbflow replay` computes.
//! Next: `witness.rs`, which sees what comes of it.

use crate::program::{Application, PARTITIONS};
use crate::workload::{Formats, Line, Random, Workload};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer};
use serde_json::{Value, json};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often a batch is written, in a transaction of its own.
const BATCH_EVERY: Duration = Duration::from_millis(250);
/// Every so many batches are written, aborted, and written again.
const ABORTED_EVERY: usize = 10;
/// Longer than any outage: the load is not under test.
const TIMEOUT: Duration = Duration::from_secs(180);

/// Keeps about half of the events: those of one input for each partition.
pub(crate) fn one_input_each(workload: Workload) -> Workload {
    let of_purchases = |line: &Line| line.partition() < PARTITIONS / 2;
    let kept = |line: &Line| (line.topic == "purchases") == of_purchases(line);
    Workload { lines: workload.lines.into_iter().filter(kept).collect() }
}

/// One event in a thousand is followed by the wish of its customer to be erased.
pub(crate) fn with_erases(workload: Workload, seed: u64) -> Workload {
    let mut random = Random(seed);
    let mut lines = Vec::with_capacity(workload.lines.len());
    for (place, line) in workload.lines.into_iter().enumerate() {
        let event = serde_json::from_str::<Value>(&line.text).ok();
        let customer = line.customer.clone();
        lines.push(line);
        if let Some(event) = event.filter(|_| random.below(1_000) == 0) {
            let text = json!({"event_id": format!("erase-{place}"), "kind": "erase_requested",
                              "customer_id": customer, "occurred_at": event["occurred_at"]});
            let text = text.to_string();
            lines.push(Line { topic: "interactions", customer, text, readable: true });
        }
    }
    Workload { lines }
}

/// A load under way, on a thread of its own.
pub(crate) struct Load {
    thread: JoinHandle<()>,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct Progress {
    committed: AtomicUsize,
    aborted: AtomicUsize,
    longest_ms: AtomicUsize,
}

impl Load {
    /// Writes the workload in its order at so many records a second.
    pub(crate) fn start(
        application: &Application,
        workload: &Arc<Workload>,
        per_second: usize,
    ) -> Self {
        let per_batch =
            per_second * usize::try_from(BATCH_EVERY.as_millis()).expect("short") / 1000;
        let progress = Arc::<Progress>::default();
        let writer = Writer {
            application: application.clone(),
            workload: Arc::clone(workload),
            per_batch,
            producer: producer(application),
            progress: Arc::clone(&progress),
        };
        Self { thread: thread::spawn(move || writer.run()), progress }
    }

    /// Whether everything is written and committed; fails when the thread has.
    pub(crate) fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Records committed so far.
    pub(crate) fn committed(&self) -> usize {
        self.progress.committed.load(Ordering::Relaxed)
    }

    /// Transactions aborted so far.
    pub(crate) fn aborted(&self) -> usize {
        self.progress.aborted.load(Ordering::Relaxed)
    }

    /// The longest time between two batches committed so far: nobody can go on meanwhile.
    pub(crate) fn longest_gap(&self) -> Duration {
        let ms = self.progress.longest_ms.load(Ordering::Relaxed);
        Duration::from_millis(u64::try_from(ms).expect("short"))
    }

    /// Waits for the end.
    pub(crate) fn finish(self) {
        self.thread.join().expect("the load is written");
    }
}

struct Writer {
    application: Application,
    workload: Arc<Workload>,
    per_batch: usize,
    producer: BaseProducer,
    progress: Arc<Progress>,
}

impl Writer {
    fn run(&self) {
        let began = Instant::now();
        let mut last = began;
        for batch in 0..self.workload.lines.len().div_ceil(self.per_batch) {
            let due = BATCH_EVERY * u32::try_from(batch).expect("few batches");
            thread::sleep(due.saturating_sub(began.elapsed()));
            let lines = self.lines(batch);
            if batch % ABORTED_EVERY == ABORTED_EVERY - 1 {
                self.send(lines.clone());
                patiently("abort", || self.producer.abort_transaction(Duration::from_secs(5)));
                self.progress.aborted.fetch_add(1, Ordering::Relaxed);
            }
            self.send(lines.clone());
            patiently("commit", || self.producer.commit_transaction(Duration::from_secs(5)));
            let gap = usize::try_from(last.elapsed().as_millis()).expect("short");
            last = Instant::now();
            self.progress.longest_ms.fetch_max(gap, Ordering::Relaxed);
            self.progress.committed.fetch_add(lines.len(), Ordering::Relaxed);
        }
    }

    fn lines(&self, batch: usize) -> Range<usize> {
        let end = (batch + 1) * self.per_batch;
        batch * self.per_batch..end.min(self.workload.lines.len())
    }

    /// Leaves them in an open transaction.
    fn send(&self, lines: Range<usize>) {
        self.producer.begin_transaction().expect("begin");
        self.workload.send(&self.application, &self.producer, lines, Formats::JSON);
        patiently("flush", || self.producer.flush(Duration::from_secs(5)));
    }
}

fn producer(application: &Application) -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", application.bootstrap())
        .set("log_level", "0")
        .set("transactional.id", format!("{}-load", application.name()))
        .set("transaction.timeout.ms", "900000")
        .set("linger.ms", "5")
        .set("reconnect.backoff.max.ms", "500")
        .create()
        .expect("make a producer");
    patiently("init", || producer.init_transactions(Duration::from_secs(5)));
    producer
}

/// Calls it again for as long as waiting can help.
fn patiently(what: &str, mut call: impl FnMut() -> Result<(), KafkaError>) {
    let give_up_at = Instant::now() + TIMEOUT;
    loop {
        let Err(error) = call() else { return };
        let again = match &error {
            KafkaError::Transaction(error) => error.is_retriable(),
            KafkaError::Flush(_) => true,
            _ => false,
        };
        assert!(again, "the load could not {what}: {error}");
        assert!(Instant::now() < give_up_at, "the load waited in vain to {what}: {error}");
    }
}
