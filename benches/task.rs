//! One event through `task`, warm and committed: unpack, apply, publish, pack.
//!
//! Prints allocations per event and bytes per customer beside the times.

#![allow(clippy::print_stderr, clippy::cast_precision_loss, reason = "figures for people")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ebbflow::domain::apply::{Tally, apply};
use ebbflow::domain::customer::Customer;
use ebbflow::domain::evaluate::Context;
use std::hint::black_box;

#[allow(dead_code, reason = "each benchmark uses a part")]
mod support;
use support::{Counting, allocations, config, feed, live_bytes, purchase, task, texts, view};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CUSTOMERS: u64 = 200_000;
const EVENTS: u64 = 20_000;

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
            let origin = ("purchases", 0, 0);
            apply(
                &mut customer,
                &event,
                event.occurred_at,
                origin,
                &context,
                &mut tally,
                &mut changes,
            );
        }
        let next = texts(seen, 1);
        group.bench_function(format!("order/{name}"), |bencher| {
            bencher.iter_batched_ref(
                || (customer.clone(), Vec::with_capacity(8)),
                |(customer, changes)| {
                    let event = purchase(&next, seen);
                    let origin = ("purchases", 0, 0);
                    let at = event.occurred_at;
                    black_box(apply(customer, &event, at, origin, &context, &mut tally, changes));
                },
                criterion::BatchSize::SmallInput,
            );
        });
        group.bench_function(format!("view/{name}"), |bencher| {
            bencher.iter_batched_ref(
                || (customer.clone(), Vec::with_capacity(8)),
                |(customer, changes)| {
                    let event = view(&next, seen);
                    let origin = ("interactions", 0, 0);
                    let at = event.occurred_at;
                    black_box(apply(customer, &event, at, origin, &context, &mut tally, changes));
                },
                criterion::BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn whole_task(criterion: &mut Criterion) {
    let config = config();
    let mut task = task(&config);
    let mut index = 0;
    let mut run = |events: u64| {
        let mut changes = 0;
        for _ in 0..events {
            let texts = texts(index, CUSTOMERS);
            feed(&mut task, &purchase(&texts, index), i64::try_from(index).expect("small"));
            index += 1;
        }
        changes += task.take_changes().count();
        task.pack(|_, packed, _| {
            black_box(packed);
        });
        task.commit();
        changes
    };
    for _ in 0..(3 * CUSTOMERS / EVENTS) {
        run(EVENTS);
    }
    let before = allocations();
    let changes = run(EVENTS);
    eprintln!(
        "task: {:.2} allocations per event at {:.2} changes per event (texts included: 3)",
        (allocations() - before) as f64 / EVENTS as f64,
        changes as f64 / EVENTS as f64,
    );
    let mut group = criterion.benchmark_group("task");
    group.throughput(Throughput::Elements(EVENTS)).sample_size(20);
    group.bench_function("order/200k_customers_20k_per_transaction", |bencher| {
        bencher.iter(|| run(EVENTS));
    });
    group.finish();
}

fn memory(_: &mut Criterion) {
    const MANY: u64 = 1_000_000;
    let config = config();
    let before = live_bytes();
    let mut task = task(&config);
    for index in 0..3 * MANY {
        let texts = texts(index, MANY);
        feed(&mut task, &purchase(&texts, index), i64::try_from(index).expect("small"));
        if index % EVENTS == EVENTS - 1 {
            task.take_changes();
            task.pack(|_, _, _| {});
            task.commit();
        }
    }
    let customers = task.store().len() as u64;
    eprintln!(
        "memory: {} bytes per customer, {customers} customers with 3 orders on average",
        (live_bytes() - before) / customers
    );
}

criterion_group!(benches, domain, whole_task, memory);
criterion_main!(benches);
