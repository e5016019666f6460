//! One event through `task`, warm and committed: unpack, apply, publish, pack.
//!
//! Prints allocations per event beside the times; the time of a task is that of its thread on a
//! core, so that other work on the machine does not count. Bytes: `tests/memory.rs`.

#![allow(clippy::print_stderr, clippy::cast_precision_loss, reason = "figures for people")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ebbflow::config::Config;
use ebbflow::domain::apply::{Tally, apply};
use ebbflow::domain::customer::Customer;
use ebbflow::domain::publish::context::{CauseEvent, Context};
use ebbflow::task::PartitionTask;
use std::hint::black_box;
use std::time::Duration;

#[allow(dead_code, reason = "each benchmark uses a part")]
mod support;
use support::{Counting, Texts, allocations, config, cpu_time, feed, purchase, task, texts, view};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Events of a transaction.
const BATCH: u64 = 500;

fn domain(criterion: &mut Criterion) {
    let config = config();
    let context = Context {
        rules: &config.rules,
        application_id: "bench",
        lineage: 1,
        clock: support::START,
        now: Some(support::START),
        silent: false,
        run_id: None,
        rebuilt_at: ebbflow::domain::time::Timestamp::MIN,
    };
    let mut group = criterion.benchmark_group("domain");
    group.throughput(Throughput::Elements(1));
    for (name, seen) in [("3_orders", 3), ("30_orders", 30)] {
        let mut customer = Customer::new("c-1", support::START, 1);
        let (mut tally, mut changes) = (Tally::default(), Vec::new());
        for index in 0..seen {
            let texts = texts(index, 1);
            let event = purchase(&texts, index);
            let topic = "purchases".into();
            let origin = (&topic, 0, 0);
            apply(
                &mut customer,
                &event,
                &CauseEvent::of(&event, event.occurred_at, origin),
                None,
                &context,
                (&mut tally, &mut changes),
            );
        }
        let next = texts(seen, 1);
        group.bench_function(format!("order/{name}"), |bencher| {
            bencher.iter_batched_ref(
                || (customer.clone(), Vec::with_capacity(8)),
                |(customer, changes)| {
                    let event = purchase(&next, seen);
                    let topic = "purchases".into();
                    let origin = (&topic, 0, 0);
                    let at = event.occurred_at;
                    black_box(apply(
                        customer,
                        &event,
                        &CauseEvent::of(&event, at, origin),
                        None,
                        &context,
                        (&mut tally, changes),
                    ));
                },
                criterion::BatchSize::SmallInput,
            );
        });
        group.bench_function(format!("view/{name}"), |bencher| {
            bencher.iter_batched_ref(
                || (customer.clone(), Vec::with_capacity(8)),
                |(customer, changes)| {
                    let event = view(&next, seen);
                    let topic = "interactions".into();
                    let origin = (&topic, 0, 0);
                    let at = event.occurred_at;
                    black_box(apply(
                        customer,
                        &event,
                        &CauseEvent::of(&event, at, origin),
                        None,
                        &context,
                        (&mut tally, changes),
                    ));
                },
                criterion::BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// A task whose customers have three orders on average, and the index of its next event.
fn seasoned(config: &Config, customers: u64) -> (PartitionTask, u64) {
    let mut task = task(config);
    let mut index = 0;
    while index < 3 * customers {
        index = transaction(&mut task, index, &batch(index, customers)).0;
    }
    (task, index)
}

fn batch(first: u64, customers: u64) -> Vec<Texts> {
    (first..first + BATCH).map(|index| texts(index, customers)).collect()
}

/// Events of one transaction; the index behind them, and how many changes they brought.
fn transaction(task: &mut PartitionTask, first: u64, texts: &[Texts]) -> (u64, usize) {
    let mut index = first;
    let mut changes = 0;
    for texts in texts {
        feed(task, &purchase(texts, index), i64::try_from(index).expect("small"));
        changes += black_box(task.take_changes()).count();
        index += 1;
    }
    task.pack(|_, packed, _| {
        black_box(packed);
    });
    task.commit().expect("readable states");
    (index, changes)
}

fn whole_task(criterion: &mut Criterion) {
    let config = config();
    let mut group = criterion.benchmark_group("task");
    group.throughput(Throughput::Elements(BATCH));
    for (name, customers) in [("1k", 1_000), ("200k", 200_000)] {
        let (mut task, mut index) = seasoned(&config, customers);
        let run = |task: &mut PartitionTask, index: &mut u64| {
            let texts = batch(*index, customers);
            let (start, before) = (cpu_time(), allocations());
            let (next, changes) = transaction(task, *index, &texts);
            *index = next;
            (cpu_time() - start, allocations() - before, changes)
        };
        let (_, allocated, changes) = run(&mut task, &mut index);
        eprintln!(
            "task of {name} customers: {:.2} allocations per event at {:.2} changes per event",
            allocated as f64 / BATCH as f64,
            changes as f64 / BATCH as f64,
        );
        group.bench_function(format!("order/{name}_customers"), |bencher| {
            bencher.iter_custom(|iterations| {
                let mut elapsed = Duration::ZERO;
                for _ in 0..iterations {
                    if index >= 4 * customers {
                        (task, index) = seasoned(&config, customers);
                    }
                    elapsed += run(&mut task, &mut index).0;
                }
                elapsed
            });
        });
    }
    group.finish();
}

criterion_group!(benches, domain, whole_task);
criterion_main!(benches);
