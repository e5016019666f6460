//! The service against a real broker on this machine: events per second and CPU seconds per
//! million events with 200,000 customers, memory, and latency at 1,000 events per second.
//!
//! `EVENTS=2000000 cargo bench --bench end_to_end`, or one part of it: `-- json`, `-- avro`,
//! `-- latency`, `-- keys` (what it costs that records lie in other partitions than their subjects
//! do). Broker, load and service share the cores.

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

use ebbflow::codec::encode::OutputFormat;
use ebbflow::codec::event_writer::EventEncoder;
use ebbflow::domain::id::partition_of;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::HashMap;
use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/kafka/broker.rs"]
mod broker;
#[allow(dead_code, reason = "each benchmark uses a part")]
mod support;

use broker::TestBroker;
use support::Usage;

const CUSTOMERS: u64 = 200_000;
const PARTITIONS: u32 = 4;
const LATENCY_RATE: u64 = 1_000;
/// Measured after as long a time again in which a young broker compiles its own code.
const LATENCY_SECONDS: u64 = 30;

fn main() {
    let events = std::env::var("EVENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(500_000);
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|name| name == part);
    for encoding in ["json", "avro"].into_iter().filter(|encoding| is_wanted(encoding)) {
        let broker = TestBroker::start();
        throughput(&broker, encoding, events);
    }
    if is_wanted("latency") {
        for (key, elsewhere) in [("trusted", 0), ("any", 0), ("any", 100)] {
            let broker = TestBroker::start();
            latency(&broker, key, elsewhere);
        }
    }
    if is_wanted("keys") {
        for (key, elsewhere) in [("trusted", 0), ("any", 0), ("any", 10), ("any", 100)] {
            let broker = TestBroker::start();
            keys(&broker, key, elsewhere, events);
        }
    }
}

fn throughput(broker: &TestBroker, encoding: &str, events: u64) {
    let config = configure(broker, encoding);
    create_topics(&config);
    let bytes = produce(broker, encoding, 0..events, 0);
    let began = Instant::now();
    let mut service = run(&config, &["--until-end", "--set", "clock=event"]);
    let mut usage = Usage::default();
    while service.try_wait().expect("look at the service").is_none() {
        usage = Usage::of(service.id()).unwrap_or(usage);
        std::thread::sleep(Duration::from_millis(20));
    }
    let seconds = began.elapsed().as_secs_f64();
    let count = events as f64;
    println!(
        "end_to_end/{encoding}: {:.0} events/s, {:.2} CPU-s per million events, {} MB peak, \
         {:.1} bytes per event, {events} events, start of the process included ({seconds:.1} s)",
        count / seconds,
        usage.cpu_seconds * 1e6 / count,
        usage.peak_kb / 1024,
        bytes as f64 / count,
    );
}

/// The service as it runs, until it has read everything: `elsewhere` percent of the records lie in
/// another partition than their subject does.
fn keys(broker: &TestBroker, key: &str, elsewhere: u64, events: u64) {
    let config = configure(broker, "json");
    create_topics(&config);
    produce(broker, "json", 0..events, elsewhere);
    let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    let began = Instant::now();
    let (listen, key_setting) = (format!("http.metrics_listen={free}"), format!("input.key={key}"));
    let mut service = run(&config, &["--set", &listen, "--set", &key_setting]);
    let (mut rest, mut last) = (0, None);
    // Read to the end at several looks: what is read may send something into the relay.
    while rest < 5 {
        let unread = unread(&free.to_string(), events);
        let now = (unread == Some(0)).then(Instant::now);
        (rest, last) = if now.is_some() { (rest + 1, last.or(now)) } else { (0, None) };
        std::thread::sleep(Duration::from_millis(50));
    }
    let usage = Usage::of(service.id()).unwrap_or_default();
    let seconds = last.map_or(0.0, |at| (at - began).as_secs_f64());
    stop(&mut service);
    let count = events as f64;
    println!(
        "end_to_end/keys: {elsewhere} % elsewhere, input.key = {key}: {:.0} events/s, {:.2} CPU-s \
         per million events, {events} events ({seconds:.1} s)",
        count / seconds,
        usage.cpu_seconds * 1e6 / count,
    );
}

/// Records that the tasks have not read, or that wait in them; `None` before so many events were
/// read.
fn unread(address: &str, events: u64) -> Option<u64> {
    let get = |path: &str| {
        let answer = ureq::get(format!("http://{address}{path}")).call().ok()?;
        answer.into_body().read_to_string().ok()
    };
    let body: serde_json::Value = serde_json::from_str(&get("/tasks")?).ok()?;
    let tasks = body["workers"].as_array()?.iter().flat_map(|it| it["tasks"].as_array());
    let tasks: Vec<_> = tasks.flatten().filter(|task| task["state"] == "running").collect();
    let lag = |input: &serde_json::Value| {
        Some(input["end_offset"].as_u64()?.saturating_sub(input["next_offset"].as_u64()?))
    };
    let inputs = || tasks.iter().flat_map(|task| task["inputs"].as_object()).flatten();
    let lags: Vec<u64> = inputs().map(|(_, input)| lag(input)).collect::<Option<_>>()?;
    let of_events = inputs().filter(|(name, _)| *name != "relay");
    let read: u64 = of_events.filter_map(|(_, input)| input["next_offset"].as_u64()).sum();
    let metrics = get("/metrics")?;
    let waiting = metrics.lines().filter(|line| line.starts_with("ebbflow_relay_waiting_records{"));
    let waiting = waiting.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
    let unread = lags.iter().sum::<u64>() + waiting.sum::<u64>();
    (tasks.len() == PARTITIONS as usize && read >= events).then_some(unread)
}

fn latency(broker: &TestBroker, key: &str, elsewhere: u64) {
    let config = configure(broker, "json");
    create_topics(&config);
    let mut service = run(&config, &["--set", &format!("input.key={key}")]);
    let changes = changes_reader(broker);
    let producer = producer(broker);
    let mut encoder = EventEncoder::new(OutputFormat::Json, OutputFormat::Json);
    let (mut sent_at, mut latencies) = (HashMap::new(), Vec::new());
    let (mut sent, total) = (0, 2 * LATENCY_RATE * LATENCY_SECONDS);
    let mut began: Option<Instant> = None;
    let give_up_at = Instant::now() + Duration::from_secs(LATENCY_SECONDS * 4 + 60);
    // Every event is the first order of its customer, so every one is a change of `rfm`.
    while latencies.len() as u64 + 1 < total && Instant::now() < give_up_at {
        let due = began.map_or(1, |began| began.elapsed().as_millis() as u64 * LATENCY_RATE / 1000);
        while sent < due.min(total) {
            let texts = support::texts(sent, u64::MAX);
            let mut event = support::purchase(&texts, sent);
            event.occurred_at = ebbflow::runtime::clock::wall_now();
            sent_at.insert(event.event_id.to_string(), Instant::now());
            send(&producer, &mut encoder, &event, elsewhere == 100);
            sent += 1;
        }
        producer.poll(Duration::ZERO);
        if let Some(Ok(record)) = changes.poll(Duration::from_millis(1)) {
            let change: serde_json::Value =
                serde_json::from_slice(record.payload().expect("a change")).expect("JSON");
            let id = change["cause"]["event_id"].as_str().unwrap_or_default();
            if let (Some(at), "rfm") =
                (sent_at.remove(id), change["dimension"].as_str().unwrap_or_default())
            {
                // The first one waits for the service to join the group.
                if began.is_some() {
                    latencies.push(at.elapsed());
                } else {
                    began = Some(Instant::now());
                }
            }
        }
    }
    stop(&mut service);
    let mut latencies = latencies.split_off(latencies.len() / 2);
    latencies.sort_unstable();
    let at = |share: f64| {
        let place = ((latencies.len() - 1) as f64 * share) as usize;
        latencies[place].as_secs_f64() * 1000.0
    };
    println!(
        "end_to_end/latency: {elsewhere} % elsewhere, input.key = {key}: {} changes at \
         {LATENCY_RATE} events/s, produce to read_committed: p50 {:.1} ms, p99 {:.1} ms, \
         max {:.1} ms",
        latencies.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn configure(broker: &TestBroker, encoding: &str) -> std::path::PathBuf {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench.toml");
    let text = format!(
        "[kafka]\nbootstrap_servers = \"{}\"\n[topics]\npartitions = {PARTITIONS}\n[encoding]\n\
         purchases = \"{encoding}\"\n[http]\nmetrics_listen = \"127.0.0.1:0\"\n\
         admin_listen = \"127.0.0.1:0\"\n[log]\nfilter = \"warn\"\n",
        broker.bootstrap()
    );
    fs::write(&path, text).expect("write the configuration");
    path
}

fn create_topics(config: &std::path::Path) {
    let made = Command::new(env!("CARGO_BIN_EXE_ebbflow"))
        .args(["topics", "--create", "--config"])
        .arg(config)
        .stdout(Stdio::null())
        .status()
        .expect("run ebbflow topics");
    assert!(made.success(), "the topics could not be made");
}

fn run(config: &std::path::Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_ebbflow"))
        .args(["run", "--config"])
        .arg(config)
        .args(arguments)
        .spawn()
        .expect("start ebbflow")
}

fn stop(service: &mut Child) {
    let stopped = Command::new("kill").arg(service.id().to_string()).status();
    assert!(stopped.is_ok_and(|status| status.success()), "the service could not be stopped");
    service.wait().expect("wait for the service");
}

fn producer(broker: &TestBroker) -> BaseProducer {
    ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("linger.ms", "1")
        .set("queue.buffering.max.messages", "1000000")
        .create()
        .expect("make a producer")
}

fn produce(
    broker: &TestBroker,
    encoding: &str,
    events: std::ops::Range<u64>,
    elsewhere: u64,
) -> u64 {
    let producer = producer(broker);
    let format = match encoding {
        "json" => OutputFormat::Json,
        _ => OutputFormat::AvroSingleObject,
    };
    let mut encoder = EventEncoder::new(format, format);
    let mut bytes = 0;
    for index in events {
        let texts = support::texts(index, CUSTOMERS);
        let misplaced = index % 100 < elsewhere;
        bytes += send(&producer, &mut encoder, &support::purchase(&texts, index), misplaced);
    }
    producer.flush(Duration::from_secs(120)).expect("flush");
    bytes
}

fn send(
    producer: &BaseProducer,
    encoder: &mut EventEncoder,
    event: &ebbflow::domain::event::Event<'_>,
    misplaced: bool,
) -> u64 {
    let mut value = Vec::with_capacity(256);
    encoder.encode(event, &mut value);
    let key = event.subject_id();
    let partition = (partition_of(&key, PARTITIONS) + u32::from(misplaced)) % PARTITIONS;
    let partition = i32::try_from(partition).expect("few partitions");
    loop {
        let record =
            BaseRecord::to("purchases").partition(partition).key(key.as_ref()).payload(&value);
        match producer.send(record) {
            Ok(()) => return (key.len() + value.len()) as u64,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                producer.poll(Duration::from_millis(1));
            }
            Err((error, _)) => panic!("could not send: {error}"),
        }
    }
}

fn changes_reader(broker: &TestBroker) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("group.id", "latency")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "50")
        .create()
        .expect("make a consumer");
    consumer.subscribe(&["segment-changes"]).expect("subscribe");
    consumer
}
