//! Resident bytes of a customer in a process that got them all by events, or by their states.
//!
//! Each process is a child with two workers' threads and the program's allocator; what a
//! transaction has to say is dropped. By parts and to the byte: `tests/memory.rs`.
//! Next: `life.rs`, what customers do.

use crate::drive::Drive;
use crate::fill::{Last, States};
use crate::life;
use crate::support::{EVERYTHING, RFM_ALONE, START, config_of};
use crate::{life::event, support};
use ebbflow::config::Config;
use ebbflow::domain::event::{Body, Purchase};
use ebbflow::domain::id::{hash64, partition_of};
use ebbflow::domain::money::{Currency, Money};
use ebbflow::domain::time::{DAY_MS, Timestamp};
use ebbflow::task::PartitionTask;
use std::fmt::Write as _;
use std::process::Command;

/// What the first argument of a child is.
pub(crate) const CHILD: &str = "--memory";

const THREADS: u32 = 2;
/// Events of a transaction.
const BATCH: u64 = 1000;

/// Orders only, by few rules and by all; then everything in use, where a customer takes long. Last
/// as many as a process has that was started over their states.
pub(crate) fn memory(most: u64) {
    for (what, customers) in [
        ("orders, rfm alone", most),
        ("orders", most / 5),
        ("everything", most / 20),
        ("orders, restored", most),
        ("everything, restored", most),
    ] {
        let own = std::env::current_exe().expect("this program");
        let child = Command::new(own).args([CHILD, what, &customers.to_string()]).status();
        assert!(child.is_ok_and(|status| status.success()), "the child failed");
    }
}

/// Fills a process, and says what it takes.
pub(crate) fn child(what: &str, customers: u64) {
    let config = match what {
        "orders, rfm alone" => config_of(RFM_ALONE),
        "orders" | "orders, restored" => support::config(),
        _ => config_of(EVERYTHING),
    };
    let before = resident("VmRSS:");
    let tasks: Vec<PartitionTask> = std::thread::scope(|scope| {
        let config = &config;
        let threads: Vec<_> = (0..THREADS)
            .map(|partition| {
                scope.spawn(move || match what {
                    "everything" => lives(config, partition, customers),
                    "everything, restored" => {
                        restored(config, life::states(config), partition, customers)
                    }
                    "orders, restored" => {
                        let states = States::of(config, Last::Lately);
                        restored(config, states, partition, customers)
                    }
                    _ => orders(config, partition, customers),
                })
            })
            .collect();
        threads.into_iter().map(|it| it.join().expect("it ends")).collect()
    });
    let found: usize = tasks.iter().map(|task| task.store().len()).sum();
    assert_eq!(found as u64, customers, "all are there");
    let timers: usize = tasks.iter().map(|task| task.store().timers().len()).sum();
    let estimated: u64 = tasks.iter().map(PartitionTask::estimated_bytes).sum();
    let (after, peak) = (resident("VmRSS:"), resident("VmHWM:"));
    let each = |bytes: u64| bytes as f64 / customers as f64;
    println!(
        "growth/memory, {what}: {customers} customers, {timers} timers: {} MB resident, {:.0} \
         bytes a customer (peak {:.0}; {} MB before the first; {:.0} by its own estimate)",
        after >> 20,
        each(after),
        each(peak),
        before >> 20,
        each(estimated),
    );
}

fn resident(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a figure");
    let kb: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kb * 1024
}

/// A task and the events of its own customers.
struct Filling {
    drive: Drive,
    partition: u32,
    handled: u64,
    id: String,
}

impl Filling {
    fn new(config: &Config, partition: u32) -> Self {
        let drive = Drive::new(config, partition, THREADS);
        Self { drive, partition, handled: 0, id: String::new() }
    }

    /// Whether the `n`th customer belongs here.
    fn meets(&mut self, n: u64) -> bool {
        self.id.clear();
        write!(self.id, "c_{n:019}").expect("write to a string");
        partition_of(&self.id, THREADS) == self.partition
    }

    /// The customer met last does something.
    fn handle(&mut self, at: Timestamp, body: Body<'_>) {
        let event_id = format!("evt-{:016x}", hash64(&self.handled.to_string()));
        let event = event(&event_id, &self.id, at, body);
        let offset = i64::try_from(self.handled).expect("few");
        support::feed(&mut self.drive.task, &event, offset);
        self.handled += 1;
        if self.handled.is_multiple_of(BATCH) {
            self.commit(at);
        }
    }

    /// Fires what is due, and commits.
    fn commit(&mut self, at: Timestamp) {
        let task = &mut self.drive.task;
        task.advance_to(at);
        loop {
            let fired = task.fire_timers(1000, Some(at)).expect("readable states");
            task.take_changes().for_each(drop);
            task.pack(|_, _, _| {});
            task.commit().expect("readable states");
            if fired == 0 {
                return;
            }
        }
    }
}

/// The customers of a partition by their states.
fn restored(config: &Config, mut states: States, partition: u32, customers: u64) -> PartitionTask {
    let mut drive = Drive::new(config, partition, THREADS);
    for n in 0..customers {
        let (id, packed) = states.get(n);
        if partition_of(id, THREADS) == partition {
            drive.task.restore_state(id, Some(packed)).expect("a customer");
        }
    }
    drive.task
}

/// Three orders each, in the order of time.
fn orders(config: &Config, partition: u32, customers: u64) -> PartitionTask {
    let mut filling = Filling::new(config, partition);
    for round in 0..3_i64 {
        for n in 0..customers {
            if !filling.meets(n) {
                continue;
            }
            let spread = n as f64 / customers as f64 * 45.0 * DAY_MS as f64;
            #[expect(clippy::cast_possible_truncation, reason = "a few days in ms")]
            let at = START.plus_ms(round * 45 * DAY_MS + spread as i64);
            let currency = Currency::parse("EUR").expect("a code");
            let amount_minor = 1_000 + i64::try_from(hash64(&filling.id) % 20_000).expect("few");
            let order = Purchase::OrderCompleted {
                order_id: format!("order-{n:09}-{round}").into(),
                amount: Money { amount_minor, currency },
                channel: None,
                coupon: None,
                items: Vec::new(),
            };
            filling.handle(at, Body::Purchase(order));
        }
    }
    filling.commit(START.plus_ms(3 * 45 * DAY_MS));
    filling.drive.task
}

/// A whole life each, a step of all customers after the other.
fn lives(config: &Config, partition: u32, customers: u64) -> PartitionTask {
    let mut filling = Filling::new(config, partition);
    for step in 0..life::STEPS {
        let at = life::time(step);
        for n in 0..customers {
            if filling.meets(n)
                && let Some(body) = life::body(n, step)
            {
                filling.handle(at, body);
            }
        }
        filling.commit(at);
    }
    filling.drive.task
}
