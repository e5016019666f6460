//! ebbflow beside a Kafka Streams program that does the same: on one broker, with the same bytes.
//!
//! `make bench-peer`, or a part of it: `cargo bench --bench peer -- throughput`, `-- everything`.
//! `RUNS=3` and `EVENTS=2000000` are read from the environment. Both programs, the broker and
//! nothing else share the cores. Next: `streams/`, the program; `docs/performance.md`, what came
//! of it.

#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "figures for people")]

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/kafka/broker.rs"]
mod broker;
mod ebbflow_run;
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
    let streams = Streams::build();
    let mut table = Table::default();
    if is_wanted("throughput") {
        for draw in [Draw::Uniform, Draw::Zipf] {
            throughput(&streams, Load { draw, events, purchases: 10 }, runs, &mut table);
        }
    }
    if is_wanted("everything") {
        everything(Load { draw: Draw::Uniform, events, purchases: 1 }, runs, &mut table);
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

/// The segments of `rfm` alone, by both programs in turns.
fn throughput(streams: &Streams, load: Load, runs: u64, table: &mut Table) {
    let (broker, written) = prepare(load);
    let bootstrap = broker.bootstrap();
    let [purchases, interactions] = topics(load);
    let records = written.records;
    for run in 0..runs {
        let application = format!("streams-{run}");
        let config = ebbflow_run::configure(&bootstrap, &application, load, RFM_ALONE);
        let loaded = ebbflow_run::load(&config);
        let mut process = streams.start(&bootstrap, &application, &purchases, &loaded);
        let inputs = [purchases.clone()];
        let speed = watch::watch(&mut process, &bootstrap, &application, &inputs, records);
        ebbflow_run::stop(&mut process);
        let theirs = outputs::read(&bootstrap, &format!("{application}-changes"), true);
        let states =
            outputs::read(&bootstrap, &format!("{application}-customers-changelog"), false);
        let what = format!("Kafka Streams, {}", load.draw.name());
        table.add(Line { what, speed, changes: theirs, states });

        let application = format!("ebbflow-{run}");
        let config = ebbflow_run::configure(&bootstrap, &application, load, RFM_ALONE);
        let mut process = ebbflow_run::start(&config);
        let inputs = [purchases.clone(), interactions.clone()];
        let speed = watch::watch(&mut process, &bootstrap, &application, &inputs, records);
        ebbflow_run::stop(&mut process);
        let ours = outputs::read(&bootstrap, &format!("{application}-segment-changes"), true);
        let states = outputs::read(&bootstrap, &format!("{application}-state"), false);
        assert_eq!(
            (ours.records, ours.digest),
            (theirs.records, theirs.digest),
            "the programs disagree"
        );
        let what = format!("ebbflow, {}", load.draw.name());
        table.add(Line { what, speed, changes: ours, states });
    }
}

/// All dimensions, ten audiences, full detail, checked keys, both topics.
fn everything(load: Load, runs: u64, table: &mut Table) {
    let (broker, written) = prepare(load);
    let bootstrap = broker.bootstrap();
    for run in 0..runs {
        let application = format!("everything-{run}");
        let config = ebbflow_run::configure(&bootstrap, &application, load, EVERYTHING);
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
