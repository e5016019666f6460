//! What each step of an event takes, in one plain table: ns on a core, bytes and allocations.
//!
//! `cargo bench --bench table`, the end of `make bench`. Times are the least of several medians of
//! the thread's own time; the same steps by instructions: `instructions.rs`. Next:
//! `support/mod.rs`, the events.

#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "figures for people")]

use ebbflow::codec::change::ChangeEncoder;
use ebbflow::codec::decoder::{Decoder, Format, Framing, RecordType};
use ebbflow::codec::encode::OutputFormat;
use ebbflow::codec::event_writer::EventEncoder;
use ebbflow::domain::event::Event;
use ebbflow::domain::time::DAY_MS;
use ebbflow::task::PartitionTask;
use std::hint::black_box;

#[allow(dead_code, reason = "each benchmark uses a part")]
mod support;
use support::{
    Counting, EVERYTHING, RFM_ALONE, START, Texts, allocated_bytes, allocations, config, config_of,
    cpu_time, feed, purchase, task, texts, texts_of, view,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs of each step, of which the median counts, and how often that is done, of which the least
/// counts.
const RUNS: usize = 21;
const REPEATS: usize = 3;
/// Events of a run: a transaction.
const BATCH: u64 = 500;
const CUSTOMERS: u64 = 100_000;

fn main() {
    println!("\n| step | ns | bytes allocated | allocations |\n|---|---|---|---|");
    for (name, format) in [("Avro", OutputFormat::AvroSingleObject), ("JSON", OutputFormat::Json)] {
        decode(name, format);
    }
    orders("task: an order, rfm alone", RFM_ALONE, false);
    orders("task: an order, everything", EVERYTHING, false);
    orders("task: nine views and an order, everything, each", EVERYTHING, true);
    for (name, format, compact) in [
        ("JSON, compact", OutputFormat::Json, true),
        ("JSON, full", OutputFormat::Json, false),
        ("Avro, compact", OutputFormat::AvroSingleObject, true),
        ("Avro, full", OutputFormat::AvroSingleObject, false),
    ] {
        encode(name, format, compact);
    }
    for (name, rules) in [("rfm alone", RFM_ALONE), ("everything", EVERYTHING)] {
        restore(name, rules);
        timers(name, rules);
    }
}

/// A line of the table: what one of so many takes; what `prepare` does is not counted.
fn line<T>(name: &str, count: u64, mut prepare: impl FnMut() -> T, mut run: impl FnMut(&mut T)) {
    let (mut ns, mut bytes, mut blocks) = (f64::MAX, 0.0, 0.0);
    for _ in 0..REPEATS {
        let mut times = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            let mut prepared = prepare();
            let before = (cpu_time(), allocated_bytes(), allocations());
            run(&mut prepared);
            let after = (cpu_time(), allocated_bytes(), allocations());
            times.push((after.0 - before.0).as_nanos() as f64 / count as f64);
            bytes = (after.1 - before.1) as f64 / count as f64;
            blocks = (after.2 - before.2) as f64 / count as f64;
        }
        times.sort_by(f64::total_cmp);
        ns = ns.min(times[RUNS / 2]);
    }
    println!("| {name} | {ns:.0} | {bytes:.0} | {blocks:.2} |");
}

fn decode(name: &str, format: OutputFormat) {
    let config = config();
    let texts = texts(1, 1);
    let mut bytes = Vec::new();
    EventEncoder::new(format, format).encode(&purchase(&texts, 1), &mut bytes);
    let format = match format {
        OutputFormat::Json => Format::Json,
        _ => Format::Avro(Framing::SingleObject),
    };
    let decoder = Decoder::new(RecordType::Purchases, format);
    line(
        &format!("decode: an order, {name}"),
        BATCH,
        || (),
        |()| {
            for _ in 0..BATCH {
                black_box(decoder.decode(black_box(&bytes), &config.rules.rates))
                    .expect("an event");
            }
        },
    );
}

fn committed(task: &mut PartitionTask) {
    task.pack(|_, packed, _| {
        black_box(packed);
    });
    task.commit().expect("readable states");
}

/// Events of one transaction after the other: everybody had two before.
fn orders(name: &str, rules: &str, mixed: bool) {
    let mut task = task(&config_of(rules));
    let mut index = 0;
    let batch = |index: u64| -> Vec<(u64, Texts)> {
        (index..index + BATCH).map(|index| (index, texts(index, CUSTOMERS))).collect()
    };
    let mut run = |batch: &mut Vec<(u64, Texts)>| {
        for (index, texts) in batch.iter() {
            let offset = i64::try_from(*index).expect("small");
            let event = match mixed && index % 10 > 0 {
                true => view(texts, *index),
                false => purchase(texts, *index),
            };
            let event = Event { occurred_at: START.plus_ms(offset * 10_000), ..event };
            feed(&mut task, &event, offset);
            black_box(task.take_changes()).for_each(drop);
        }
        committed(&mut task);
    };
    let mut next = || {
        index += BATCH;
        batch(index)
    };
    for _ in 0..2 * CUSTOMERS / BATCH {
        run(&mut next());
    }
    line(name, BATCH, next, run);
}

fn encode(name: &str, format: OutputFormat, compact: bool) {
    let mut task = task(&config());
    let texts = texts(1, 1);
    feed(&mut task, &purchase(&texts, 1), 0);
    let change = task.take_changes().next().expect("a first order is a change");
    let mut encoder = ChangeEncoder::new(format, compact);
    let mut bytes = Vec::with_capacity(4096);
    line(
        &format!("encode: a change, {name}"),
        BATCH,
        || (),
        |()| {
            for _ in 0..BATCH {
                encoder.encode(black_box(&change), &mut bytes);
                black_box(&bytes);
            }
        },
    );
}

/// A task whose customers have two orders, the last at noon of the first day.
fn ordered(rules: &str, customers: u64) -> PartitionTask {
    let mut task = task(&config_of(rules));
    for index in 0..2 * customers {
        let texts = texts_of(index, index % customers);
        let days = if index < customers { -40 } else { 0 };
        let occurred_at = START.plus_ms(days * DAY_MS + DAY_MS / 2);
        let event = Event { occurred_at, ..purchase(&texts, index) };
        feed(&mut task, &event, i64::try_from(index).expect("small"));
    }
    task.take_changes().for_each(drop);
    committed(&mut task);
    task
}

fn restore(name: &str, rules: &str) {
    const CUSTOMERS: u64 = 20_000;
    let source = ordered(rules, CUSTOMERS);
    let config = config_of(rules);
    let states: Vec<(String, Vec<u8>)> = source
        .store()
        .customers(source.rules())
        .map(|customer| {
            let id = customer.expect("a customer").id;
            let key = ebbflow::domain::id::hash64(&id);
            let packed = source.store().committed().get(&key).expect("a state").to_vec();
            (id, packed)
        })
        .collect();
    line(
        &format!("restore: a state, {name}"),
        CUSTOMERS,
        || task(&config),
        |task| {
            for (id, packed) in &states {
                task.restore_state(id, Some(packed)).expect("a customer");
            }
        },
    );
}

/// Timers by the time at which they fall due, a thousand in a transaction as a worker takes them.
fn timers(name: &str, rules: &str) {
    const CUSTOMERS: u64 = 2_000;
    let at = START.plus_ms(400 * DAY_MS);
    // How many each customer has until then.
    let mut fired = 0;
    let mut source = ordered(rules, CUSTOMERS);
    source.advance_to(at);
    fire(&mut source, &mut fired);
    let prepare = || {
        let mut task = ordered(rules, CUSTOMERS);
        task.advance_to(at);
        task
    };
    let count = fired;
    line(&format!("timer: fired, {name}"), count, prepare, |task| fire(task, &mut fired));
}

fn fire(task: &mut PartitionTask, fired: &mut u64) {
    loop {
        let clock = task.clock();
        let now = task.fire_timers(1000, Some(clock)).expect("readable states");
        if now == 0 {
            return;
        }
        *fired += now as u64;
        task.take_changes().for_each(drop);
        committed(task);
    }
}
