//! ebbflow beside a Kafka Streams program that does the same: on one broker, with the same bytes.
//!
//! `make bench-peer`, or a part of it: `cargo bench --bench peer -- throughput`, `-- everything`,
//! `-- latency`; `-- alone` is ebbflow without the other program, by thread.
//! `RUNS=3` and `EVENTS=2000000` are read from the environment. Both programs, the broker and
//! nothing else share the cores. Next: `streams/`, the program; `docs/performance.md`, what came
//! of it.

#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "figures for people")]

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/kafka/broker.rs"]
mod broker;
mod ebbflow_run;
mod latency;
mod load;
mod outputs;
mod streams;
#[allow(dead_code, reason = "each benchmark uses a part")]
#[path = "../support/mod.rs"]
mod support;
mod table;
mod topics;
mod watch;

use broker::TestBroker;
use load::{Draw, Load, Written, topics};
use std::time::Instant;
use streams::Streams;
use support::{EVERYTHING, RFM_ALONE};
use table::{Line, Table};

fn main() {
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let (runs, events) = (number("RUNS", 1), number("EVENTS", 2_000_000));
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|name| name == part);
    let mut table = Table::default();
    if wanted == ["alone"] {
        for draw in [Draw::Uniform, Draw::Zipf] {
            alone(Load { draw, events, purchases: 10 }, runs, &mut table);
        }
        println!("\n{table}");
        return;
    }
    let streams = Streams::build();
    if is_wanted("throughput") {
        for draw in [Draw::Uniform, Draw::Zipf] {
            throughput(&streams, Load { draw, events, purchases: 10 }, runs, &mut table);
        }
    }
    if is_wanted("everything") {
        everything(Load { draw: Draw::Uniform, events, purchases: 1 }, runs, &mut table);
    }
    if is_wanted("latency") {
        latencies(&streams, number("RATE", 5_000));
    }
    println!("\n{table}");
}

/// Starts a broker and writes the inputs.
fn prepare(load: Load) -> (TestBroker, Written) {
    let broker = TestBroker::start();
    let [purchases, interactions] = topics(load);
    topics::create(&broker.bootstrap(), &[&purchases, &interactions], load::PARTITIONS);
    let began = Instant::now();
    let written = load::write(&broker, load, ebbflow::runtime::clock::wall_now());
    println!(
        "{} {}: {} records, {:.1} bytes each, written in {:.1} s",
        load.draw.name(),
        load.purchases,
        written.records,
        written.bytes as f64 / written.records as f64,
        began.elapsed().as_secs_f64()
    );
    (broker, written)
}

/// The segments of `rfm` alone, by both programs in turns; then how long each takes to go on.
fn throughput(streams: &Streams, load: Load, runs: u64, table: &mut Table) {
    let (broker, written) = prepare(load);
    let bootstrap = broker.bootstrap();
    let [purchases, interactions] = topics(load);
    let (theirs, ours) = ([purchases.clone()], [purchases.clone(), interactions]);
    let records = written.records;
    let configure = |application: &str, changes| {
        ebbflow_run::configure(&bootstrap, application, load, (RFM_ALONE, changes))
    };
    let loaded = ebbflow_run::load(&configure("rules", "json"));
    for run in 0..runs {
        let application = format!("streams-{run}");
        topics::create(&bootstrap, &[&format!("{application}-changes")], load::PARTITIONS);
        let mut process = streams.start(&bootstrap, &application, &purchases, &loaded);
        let speed = watch::watch(&mut process, &bootstrap, &application, &theirs, records);
        ebbflow_run::stop(&mut process);
        let topic = |name: &str| format!("{application}-{name}");
        let expected = outputs::read(&bootstrap, &topic("changes"), true);
        let states = outputs::read(&bootstrap, &topic("customers-changelog"), false);
        let what = format!("Kafka Streams, {}", load.draw.name());
        table.add(Line { what, speed, changes: expected, states });

        for encoding in ["json", "avro"] {
            let application = format!("ebbflow-{encoding}-{run}");
            let mut process = ebbflow_run::start(&configure(&application, encoding));
            let speed = watch::watch(&mut process, &bootstrap, &application, &ours, records);
            ebbflow_run::stop(&mut process);
            let topic = |name: &str| format!("{application}-{name}");
            let changes = outputs::read(&bootstrap, &topic("segment-changes"), true);
            let states = outputs::read(&bootstrap, &topic("state"), false);
            let of = |output: outputs::Output| (output.records, output.digest);
            assert_eq!(of(changes), of(expected), "the programs disagree");
            let what = format!("ebbflow, {}, changes in {encoding}", load.draw.name());
            table.add(Line { what, speed, changes, states });
        }
    }
    let records = records + load::write_more(&broker, load, ebbflow::runtime::clock::wall_now());
    let mut process = streams.start(&bootstrap, "streams-0", &purchases, &loaded);
    let theirs = watch::watch(&mut process, &bootstrap, "streams-0", &theirs, records).seconds;
    ebbflow_run::stop(&mut process);
    let mut process = ebbflow_run::start(&ebbflow_run::path("ebbflow-json-0"));
    let ours = watch::watch(&mut process, &bootstrap, "ebbflow-json-0", &ours, records).seconds;
    ebbflow_run::stop(&mut process);
    println!(
        "{}: from the start of a process over its states to the first new events: Kafka Streams \
         {theirs:.2} s, ebbflow {ours:.2} s",
        load.draw.name()
    );
}

/// The segments of `rfm` alone, by ebbflow alone: for whoever changes it.
fn alone(load: Load, runs: u64, table: &mut Table) {
    let (broker, written) = prepare(load);
    let bootstrap = broker.bootstrap();
    for run in 0..runs {
        let application = format!("alone-{run}");
        let config = ebbflow_run::configure(&bootstrap, &application, load, (RFM_ALONE, "avro"));
        let mut process = ebbflow_run::start(&config);
        let group = &application;
        let speed = watch::watch(&mut process, &bootstrap, group, &topics(load), written.records);
        for (thread, seconds) in watch::threads(process.id()) {
            let per_million = seconds * 1e6 / written.records as f64;
            println!("  {thread}: {per_million:.2} CPU-s per million");
        }
        ebbflow_run::stop(&mut process);
        let changes = outputs::read(&bootstrap, &format!("{application}-segment-changes"), true);
        let states = outputs::read(&bootstrap, &format!("{application}-state"), false);
        let what = format!("ebbflow alone, {}", load.draw.name());
        table.add(Line { what, speed, changes, states });
    }
}

/// All dimensions, ten audiences, full detail, checked keys, both topics.
fn everything(load: Load, runs: u64, table: &mut Table) {
    let (broker, written) = prepare(load);
    let bootstrap = broker.bootstrap();
    for run in 0..runs {
        let application = format!("everything-{run}");
        let config = ebbflow_run::configure(&bootstrap, &application, load, (EVERYTHING, "json"));
        let mut process = ebbflow_run::start(&config);
        let group = &application;
        let speed = watch::watch(&mut process, &bootstrap, group, &topics(load), written.records);
        ebbflow_run::stop(&mut process);
        let changes = outputs::read(&bootstrap, &format!("{application}-segment-changes"), true);
        let states = outputs::read(&bootstrap, &format!("{application}-state"), false);
        let what = "ebbflow, everything".to_owned();
        table.add(Line { what, speed, changes, states });
    }
}

/// From produce to a read_committed consumer, each on a broker of its own.
fn latencies(streams: &Streams, rate: u64) {
    let load = Load { draw: Draw::Uniform, events: 0, purchases: 10 };
    let [input, interactions] = topics(load);
    let prepared = || {
        let broker = TestBroker::start();
        topics::create(&broker.bootstrap(), &[&input, &interactions], load::PARTITIONS);
        broker
    };
    let show = |what: &str, latency: latency::Latency| {
        println!(
            "latency at {rate} events/s, {what}: p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms",
            latency.p50, latency.p99, latency.most
        );
    };
    {
        let broker = prepared();
        let floor = latency::Floor::start(&broker.bootstrap(), &input, "floor");
        show("bare rdkafka", latency::measure(&broker, &input, "floor", rate));
        drop(floor);
    }
    let configure = |broker: &TestBroker, application| {
        let rules = (RFM_ALONE, "json");
        ebbflow_run::configure(&broker.bootstrap(), application, load, rules)
    };
    {
        let broker = prepared();
        let mut process = ebbflow_run::start(&configure(&broker, "latency"));
        let changes = "latency-segment-changes";
        show("ebbflow", latency::measure(&broker, &input, changes, rate));
        ebbflow_run::stop(&mut process);
    }
    let broker = prepared();
    let loaded = ebbflow_run::load(&configure(&broker, "latency-streams"));
    let changes = "latency-peer-changes";
    topics::create(&broker.bootstrap(), &[changes], load::PARTITIONS);
    let mut process = streams.start(&broker.bootstrap(), "latency-peer", &input, &loaded);
    show("Kafka Streams", latency::measure(&broker, &input, changes, rate));
    ebbflow_run::stop(&mut process);
}
