//! Decoding and encoding of each format: time and allocations per record.
//!
//! Events are those of the other benchmarks; changes and profiles come from a real task.

#![allow(clippy::print_stderr, clippy::cast_precision_loss, reason = "figures for people")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ebbflow::codec::change::{ChangeEncoder, headers};
use ebbflow::codec::decoder::{Decoder, Format, Framing, RecordType};
use ebbflow::codec::encode::OutputFormat;
use ebbflow::codec::event_writer::EventEncoder;
use ebbflow::codec::profile::ProfileEncoder;
use ebbflow::domain::event::Event;
use ebbflow::domain::publish::profile::profile;
use std::hint::black_box;

#[allow(dead_code, reason = "each benchmark uses a part")]
mod support;
use support::{Counting, allocations, config, feed, purchase, task, texts, view};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const COUNTED: u64 = 1000;

/// Runs a benchmark and prints how many allocations one run makes.
fn measure(criterion: &mut Criterion, name: &str, mut run: impl FnMut()) {
    run();
    let before = allocations();
    for _ in 0..COUNTED {
        run();
    }
    let per_run = (allocations() - before) as f64 / COUNTED as f64;
    eprintln!("{name}: {per_run:.2} allocations");
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(1));
    group.bench_function(name, |bencher| bencher.iter(&mut run));
    group.finish();
}

fn decoding(criterion: &mut Criterion) {
    let config = config();
    let rates = &config.rules.rates;
    let texts = texts(1, 1000);
    let events: [(&str, RecordType, Event<'_>); 2] = [
        ("order", RecordType::Purchases, purchase(&texts, 1)),
        ("view", RecordType::Interactions, view(&texts, 1)),
    ];
    for (format_name, output, format) in [
        ("json", OutputFormat::Json, Format::Json),
        ("avro", OutputFormat::AvroSingleObject, Format::Avro(Framing::SingleObject)),
    ] {
        for (event_name, record_type, event) in &events {
            let mut bytes = Vec::new();
            EventEncoder::new(output, output).encode(event, &mut bytes);
            let decoder = Decoder::new(*record_type, format);
            measure(criterion, &format!("decode/{format_name}/{event_name}"), || {
                black_box(decoder.decode(black_box(&bytes), rates)).expect("a valid event");
            });
        }
    }
}

fn encoding(criterion: &mut Criterion) {
    let config = config();
    let mut task = task(&config);
    let texts = texts(1, 1);
    feed(&mut task, &purchase(&texts, 1), 0);
    let change = task.take_changes().next().expect("a first order is a change");
    task.pack(|_, _, _| {});
    task.commit().expect("readable states");
    let customer = task.store().customers(task.rules()).next().expect("one").expect("readable");
    let profile = profile(&customer, task.rules(), customer.evaluated_at);
    let mut bytes = Vec::with_capacity(4096);
    for (name, format) in [("json", OutputFormat::Json), ("avro", OutputFormat::AvroSingleObject)] {
        for (detail, compact) in [("full", false), ("compact", true)] {
            let mut encoder = ChangeEncoder::new(format, compact);
            measure(criterion, &format!("encode/{name}/change_{detail}"), || {
                encoder.encode(black_box(&change), &mut bytes);
            });
        }
        let mut encoder = ProfileEncoder::new(format);
        measure(criterion, &format!("encode/{name}/profile"), || {
            encoder.encode(black_box(&profile), &mut bytes);
        });
    }
    measure(criterion, "encode/headers", || {
        black_box(headers(black_box(&change)));
    });
}

criterion_group!(benches, decoding, encoding);
criterion_main!(benches);
