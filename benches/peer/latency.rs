//! From produce to a read_committed consumer, at a steady rate: ebbflow, the Kafka Streams program,
//! and the least that a consumer and a transactional producer need between them.
//!
//! Every event is the first order of its customer, so that each brings one change. Next: `main.rs`.

use crate::broker::TestBroker;
use crate::load::PARTITIONS;
use crate::support::{purchase, texts};
use crate::topics::create;
use ebbflow::codec::encode::OutputFormat;
use ebbflow::codec::event_writer::EventEncoder;
use ebbflow::domain::event::Event;
use ebbflow::domain::id::partition_of;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Measured after as long in which everybody warms up.
const SECONDS: u64 = 20;
const WARM_SECONDS: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(60);
const CALL: Duration = Duration::from_secs(10);
/// How long the floor gathers records for a transaction: begun at once after another one, it would
/// wait for the broker to end that.
const GATHER: Duration = Duration::from_millis(5);

/// Latencies in ms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) most: f64,
}

/// Sends so many events a second to `input` and waits for what comes of each in `output`, in whose
/// values the event's id stands.
pub(crate) fn measure(broker: &TestBroker, input: &str, output: &str, rate: u64) -> Latency {
    let sent: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let reader = {
        let (sent, bootstrap, output) = (Arc::clone(&sent), broker.bootstrap(), output.to_owned());
        thread::spawn(move || read(&bootstrap, &output, rate, &sent))
    };
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("linger.ms", "1")
        .create()
        .expect("make a producer");
    let avro = OutputFormat::AvroSingleObject;
    let mut encoder = EventEncoder::new(avro, avro);
    let mut value = Vec::with_capacity(256);
    // The first one waits for the group.
    let mut begun: Option<Instant> = None;
    for index in 0..=rate * (WARM_SECONDS + SECONDS) {
        if let Some(begun) = begun {
            let due = begun + Duration::from_micros(index * 1_000_000 / rate);
            while Instant::now() < due {
                producer.poll(Duration::ZERO);
                thread::sleep(Duration::from_micros(200));
            }
        }
        let texts = texts(index, u64::MAX);
        let event = purchase(&texts, index);
        let event_id = id(index).into();
        let occurred_at = ebbflow::runtime::clock::wall_now();
        encoder.encode(&Event { event_id, occurred_at, ..event.clone() }, &mut value);
        let key = event.subject_id();
        let partition = i32::try_from(partition_of(&key, PARTITIONS)).expect("few");
        sent.lock().expect("no panic").push(Instant::now());
        let record = BaseRecord::to(input).partition(partition).key(&*key).payload(&value);
        producer.send(record).expect("room in the queue");
        if begun.is_none() {
            producer.flush(CALL).expect("the first one is delivered");
            let arrived = || reader.is_finished() || Arc::strong_count(&sent) > 2;
            let give_up_at = Instant::now() + PATIENCE;
            while !arrived() {
                assert!(Instant::now() < give_up_at, "nothing comes of the first event");
                thread::sleep(Duration::from_millis(5));
            }
            begun = Some(Instant::now());
        }
    }
    producer.flush(CALL).expect("all is delivered");
    let mut latencies = reader.join().expect("what came of the events");
    latencies.sort_unstable();
    let at = |share: usize| latencies[(latencies.len() - 1) * share / 100].as_secs_f64() * 1e3;
    Latency { p50: at(50), p99: at(99), most: at(100) }
}

fn id(index: u64) -> String {
    format!("event-{index:012}")
}

/// The number of the event whose id stands in a value.
fn index_in(value: &[u8]) -> Option<usize> {
    let place = value.windows(6).position(|window| window == b"event-")? + 6;
    std::str::from_utf8(value.get(place..place + 12)?).ok()?.parse().ok()
}

/// Reads until something has come of every event; the latencies of those after the warm-up.
fn read(
    bootstrap: &str,
    output: &str,
    rate: u64,
    sent: &Arc<Mutex<Vec<Instant>>>,
) -> Vec<Duration> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", format!("latency-{output}"))
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("make a consumer");
    consumer.subscribe(&[output]).expect("subscribe");
    let count = usize::try_from(rate * (WARM_SECONDS + SECONDS)).expect("few") + 1;
    let warm = usize::try_from(rate * WARM_SECONDS).expect("few");
    let (mut seen, mut latencies) = (vec![false; count], Vec::with_capacity(count));
    let (mut left, mut last) = (count, Instant::now());
    let mut first = None;
    while left > 0 {
        assert!(last.elapsed() < PATIENCE, "nothing comes of {left} events");
        let Some(Ok(record)) = consumer.poll(Duration::from_millis(100)) else { continue };
        let now = Instant::now();
        let Some(index) = record.payload().and_then(index_in) else { continue };
        if std::mem::replace(&mut seen[index], true) {
            continue;
        }
        (left, last) = (left - 1, now);
        // Whoever sends sees by the second handle that the first one has come.
        first.get_or_insert_with(|| Arc::clone(sent));
        if index > warm {
            latencies.push(now - sent.lock().expect("no panic")[index]);
        }
    }
    latencies
}

/// The least: records are read, and one sent for each, in one transaction after the other.
pub(crate) struct Floor {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Floor {
    pub(crate) fn start(bootstrap: &str, input: &str, output: &str) -> Self {
        create(bootstrap, &[output], PARTITIONS);
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, bootstrap) = (Arc::clone(&stop), bootstrap.to_owned());
        let (input, output) = (input.to_owned(), output.to_owned());
        let thread = thread::spawn(move || copy(&bootstrap, &input, &output, &stopped));
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the loop ends");
        }
    }
}

fn copy(bootstrap: &str, input: &str, output: &str, stop: &AtomicBool) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", output)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("make a consumer");
    consumer.subscribe(&[input]).expect("subscribe");
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("transactional.id", output)
        .set("linger.ms", "1")
        .set("delivery.report.only.error", "true")
        .create()
        .expect("make a producer");
    producer.init_transactions(CALL).expect("init");
    while !stop.load(Ordering::Relaxed) {
        let Some(Ok(first)) = consumer.poll(Duration::from_millis(10)) else { continue };
        producer.begin_transaction().expect("begin");
        let (began, mut next) = (Instant::now(), Some(first));
        while let Some(record) = next {
            // 120 bytes of each, in which the id is.
            let value = record.payload().unwrap_or_default();
            let value = &value[..value.len().min(120)];
            let key = record.key().unwrap_or_default();
            let sent = BaseRecord::to(output).partition(record.partition()).key(key).payload(value);
            producer.send(sent).expect("room in the queue");
            let rest = GATHER.saturating_sub(began.elapsed());
            next = consumer.poll(rest).and_then(Result::ok);
        }
        let group = consumer.group_metadata().expect("a member");
        let position = consumer.position().expect("a position");
        producer.send_offsets_to_transaction(&position, &group, CALL).expect("offsets");
        // A commit that finds messages on their way looks again only after 100 ms.
        while producer.in_flight_count() > 0 {
            let _may_time_out = producer.flush(Duration::ZERO);
            producer.poll(Duration::from_millis(1));
        }
        producer.commit_transaction(CALL).expect("commit");
    }
}
