//! What an order costs with more customers, tasks and pending timers: from its bytes to the states
//! and changes that would be sent.
//!
//! Each figure is the least of five medians over small transactions, so that other work on the
//! machine counts little. Next: `due.rs`, timers that all fall due at once.

use crate::Rules;
use crate::drive::{Drive, Orders};
use crate::fill::{Last, States};
use crate::support::{START, cpu_time};
use ebbflow::config::Config;
use ebbflow::domain::time::Timestamp;

/// Orders of a transaction where the number of tasks stays.
const BATCH: usize = 500;
/// How often each is measured.
const REPEATS: usize = 5;
/// Timers fired in one round of a worker.
pub(crate) const TIMERS: usize = 1000;
const HOUR_MS: i64 = 3_600_000;

/// A cost in ns by what grows.
pub(crate) type Curve = Vec<(u64, f64)>;

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn tasks(config: &Config, count: u32) -> Vec<Drive> {
    (0..count).map(|partition| Drive::new(config, partition, count)).collect()
}

/// The ns of an order in each of some transactions; the first fifth only warms up.
fn costs(
    drives: &mut [Drive],
    orders: &mut Orders,
    (transactions, batch): (usize, usize),
    now: Timestamp,
) -> Vec<f64> {
    let mut costs = Vec::with_capacity(transactions);
    for _ in 0..transactions {
        let records = orders.batch(batch, now);
        let before = cpu_time();
        for (drive, records) in drives.iter_mut().zip(&records) {
            drive.work(records, now, TIMERS);
        }
        drives.iter_mut().for_each(Drive::commit);
        costs.push((cpu_time() - before).as_nanos() as f64 / batch as f64);
    }
    costs.split_off(transactions / 5)
}

fn show(rules: Rules, what: &str, at: u64, ns: f64, first: f64) {
    let (rules, relative) = (rules.name(), ns / first);
    println!("growth/{what}, {rules}: {at}: {ns:.0} ns an order, {relative:.2} of the first");
}

/// What is measured beside others: its tasks, its orders, how many it is of, and the least cost.
struct Size {
    at: u64,
    drives: Vec<Drive>,
    source: Orders,
    least: f64,
}

impl Size {
    fn new(at: u64, config: &Config, tasks_of: u32, customers: u64) -> Self {
        let source = Orders::of(customers, tasks_of);
        Self { at, drives: tasks(config, tasks_of), source, least: f64::MAX }
    }
}

fn curve(rules: Rules, what: &str, sizes: Vec<Size>) -> Curve {
    let first = sizes[0].least;
    sizes
        .into_iter()
        .map(|size| {
            show(rules, what, size.at, size.least, first);
            (size.at, size.least)
        })
        .collect()
}

/// One task; every customer has two orders or three before, at any size. The sizes take turns.
pub(crate) fn by_customers(rules: Rules, most: u64) -> Curve {
    let config = rules.config();
    let mut states = States::of(&config, Last::Lately);
    println!("growth/customers, {}: {} bytes a state", rules.name(), states.mean_bytes());
    let wanted = [10_000, 100_000, 1_000_000, 10_000_000].into_iter().filter(|it| *it <= most);
    let mut sizes: Vec<Size> =
        wanted.map(|customers| Size::new(customers, &config, 1, customers)).collect();
    for _ in 0..REPEATS {
        for size in &mut sizes {
            // Few of the orders are of a customer who had another one since the filling.
            let customers = size.at;
            let orders = usize::try_from(customers / 2).expect("few").min(100_000);
            let mut all = Vec::new();
            for _ in 0..(100_000 / orders) {
                if customers < 1_000_000 || size.source.is_new() {
                    states.fill(&mut size.drives, 0..customers);
                }
                let transactions = (orders / BATCH, BATCH);
                all.extend(costs(&mut size.drives, &mut size.source, transactions, START));
            }
            size.least = size.least.min(median(all));
        }
    }
    curve(rules, "customers", sizes)
}

/// The same customers and orders over more tasks; a transaction is as large in all. The sizes take
/// turns.
pub(crate) fn by_partitions(rules: Rules, most: u64) -> Curve {
    const BATCH: usize = 10_240;
    let config = rules.config();
    let customers = most.min(1_000_000);
    let mut states = States::of(&config, Last::Lately);
    let mut sizes: Vec<Size> =
        [4, 16, 64, 256].map(|count| Size::new(count.into(), &config, count, customers)).into();
    for _ in 0..REPEATS {
        for size in &mut sizes {
            states.fill(&mut size.drives, 0..customers);
            let costs = costs(&mut size.drives, &mut size.source, (10, BATCH), START);
            size.least = size.least.min(median(costs));
        }
    }
    curve(rules, "partitions", sizes)
}

/// One task with the same customers in all: those who order, and others at rest, of whom more and
/// more have a deadline. Then what it costs to fire a timer among them.
pub(crate) fn by_timers(rules: Rules, most: u64) -> Curve {
    const ORDERING: u64 = 100_000;
    const FIRED: u64 = 50_000;
    /// The numbers of those at rest, and of those whose timers fire.
    const AT_REST: u64 = 1 << 40;
    const DUE: u64 = 1 << 41;
    let config = rules.config();
    let mut lately = States::of(&config, Last::Lately);
    let mut long_ago = States::of(&config, Last::LongAgo);
    let mut drives = tasks(&config, 1);
    long_ago.fill(&mut drives, AT_REST..AT_REST + most);
    let without = drives[0].task.store().timers().len();
    assert_eq!(without, 0, "who rests has no deadline");
    let (mut curve, mut firing) = (Curve::new(), Curve::new());
    let mut pending = 0;
    let sizes = [0, 10_000, 100_000, 1_000_000, 10_000_000].into_iter().filter(|it| *it <= most);
    for (hour, timers) in (0_i64..).zip(sizes) {
        lately.fill(&mut drives, AT_REST + pending..AT_REST + timers);
        pending = timers;
        let now = START.plus_ms(hour * HOUR_MS);
        let mut source = Orders::of(ORDERING, 1);
        let mut least = f64::MAX;
        for _ in 0..REPEATS {
            lately.fill(&mut drives, 0..ORDERING);
            least = least.min(median(costs(&mut drives, &mut source, (100, BATCH), now)));
        }
        curve.push((timers, least));
        show(rules, "timers", timers, least, curve[0].1);

        States::of(&config, Last::Due((hour + 1) * HOUR_MS)).fill(&mut drives, DUE..DUE + FIRED);
        let due = now.plus_ms(HOUR_MS + 2_000);
        let (mut fired, mut costs) = (0, Vec::new());
        loop {
            let before = cpu_time();
            let now = drives[0].round(&[], due, TIMERS).timers;
            drives[0].commit();
            if now == 0 {
                break;
            }
            fired += now;
            costs.push((cpu_time() - before).as_nanos() as f64 / now as f64);
        }
        assert!(fired as u64 >= FIRED, "all were due, {fired} fired");
        firing.push((timers, median(costs)));
        let (_, ns) = firing[firing.len() - 1];
        let relative = ns / firing[0].1;
        println!(
            "growth/timers, {}: {timers}: {ns:.0} ns to fire one, {relative:.2}",
            rules.name()
        );
    }
    curve
}
