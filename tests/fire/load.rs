//! A load that goes on through everything, and yet has one right answer.
//!
//! The answer of `ebbflow replay` depends on the logs alone, that of a service also on which
//! input's end it has reached. So no end is ever in sight: batches are written in transactions of
//! several producers, and each is committed when many more are written behind it. A reader of
//! committed records is always in front of records that it knows of and has to wait for.
//! Next: `witness.rs`, which sees what comes of it.

use crate::program::Application;
use crate::workload::{Formats, Workload};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often a batch is written and another one committed.
const BATCH_EVERY: Duration = Duration::from_millis(250);
/// So many batches lie open behind the last committed one: 8 s, far more than an instance needs
/// to learn of new ends.
const OPEN: usize = 32;
/// Every so many batches are written, aborted, and written again.
const ABORTED_EVERY: usize = 10;
/// Longer than any outage: the load is not under test.
const TIMEOUT: Duration = Duration::from_secs(180);

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
    /// Writes the workload in its order at so many records a second; returns when the first
    /// batches are there, none of them committed.
    pub(crate) fn start(
        application: &Application,
        workload: &Arc<Workload>,
        per_second: usize,
    ) -> Self {
        let per_batch =
            per_second * usize::try_from(BATCH_EVERY.as_millis()).expect("short") / 1000;
        let mut writer = Writer {
            application: application.clone(),
            workload: Arc::clone(workload),
            per_batch,
            producers: producers(application),
            progress: Arc::default(),
        };
        for batch in 0..OPEN.min(writer.batches()) {
            writer.write(batch);
        }
        let progress = Arc::clone(&writer.progress);
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
    /// One more than lie open.
    producers: Vec<BaseProducer>,
    progress: Arc<Progress>,
}

impl Writer {
    fn run(&mut self) {
        let began = Instant::now();
        let mut last = began;
        for batch in 0..self.batches() {
            if batch + OPEN < self.batches() {
                self.write(batch + OPEN);
            }
            let due = BATCH_EVERY * u32::try_from(batch).expect("few batches");
            thread::sleep(due.saturating_sub(began.elapsed()));
            let producer = &self.producers[batch % self.producers.len()];
            patiently("commit", || producer.commit_transaction(Duration::from_secs(5)));
            let gap = usize::try_from(last.elapsed().as_millis()).expect("short");
            last = Instant::now();
            self.progress.longest_ms.fetch_max(gap, Ordering::Relaxed);
            self.progress.committed.fetch_add(self.lines(batch).len(), Ordering::Relaxed);
        }
    }

    fn batches(&self) -> usize {
        self.workload.lines.len().div_ceil(self.per_batch)
    }

    fn lines(&self, batch: usize) -> Range<usize> {
        let end = (batch + 1) * self.per_batch;
        batch * self.per_batch..end.min(self.workload.lines.len())
    }

    /// Leaves the batch in an open transaction.
    fn write(&self, batch: usize) {
        let producer = &self.producers[batch % self.producers.len()];
        if batch % ABORTED_EVERY == ABORTED_EVERY - 1 {
            self.send(producer, batch);
            patiently("abort", || producer.abort_transaction(Duration::from_secs(5)));
            self.progress.aborted.fetch_add(1, Ordering::Relaxed);
        }
        self.send(producer, batch);
    }

    fn send(&self, producer: &BaseProducer, batch: usize) {
        producer.begin_transaction().expect("begin");
        self.workload.send(&self.application, producer, self.lines(batch), Formats::JSON);
        patiently("flush", || producer.flush(Duration::from_secs(5)));
    }
}

/// Made at the same time, since each waits for its coordinator.
fn producers(application: &Application) -> Vec<BaseProducer> {
    thread::scope(|scope| {
        let numbers = 0..=OPEN;
        let making: Vec<_> =
            numbers.map(|number| scope.spawn(move || producer(application, number))).collect();
        making.into_iter().map(|thread| thread.join().expect("a producer")).collect()
    })
}

fn producer(application: &Application, number: usize) -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", application.bootstrap())
        .set("log_level", "0")
        .set("transactional.id", format!("{}-load-{number}", application.name()))
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
