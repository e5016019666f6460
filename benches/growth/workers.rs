//! Two threads with a task each beside one thread with both: the same orders, from bytes to bytes.
//!
//! Says something only where nothing else runs; the time on the cores says how much of a loss is
//! that of the threads. Next: `restore.rs`.

use crate::Rules;
use crate::cost::{TIMERS, median};
use crate::drive::{Drive, Incoming, Orders};
use crate::fill::{Last, States};
use crate::support::{START, cpu_time};
use std::time::{Duration, Instant};

const CUSTOMERS: u64 = 400_000;
/// Orders of each task in a transaction.
const BATCH: usize = 2_000;
const REPEATS: usize = 7;

/// Events/s, and the time of the thread that took longest on its core.
struct Speed {
    per_second: f64,
    cpu: Duration,
}

pub(crate) fn workers(rules: Rules) {
    let config = rules.config();
    let orders = if rules == Rules::Rfm { 400_000 } else { 60_000 };
    let records = Orders::of(CUSTOMERS, 2).batch(orders, START);
    let mut states = States::of(&config, Last::Lately);
    let mut drives: Vec<Drive> = (0..2).map(|place| Drive::new(&config, place, 2)).collect();
    let mut speeds: [Vec<Speed>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..REPEATS {
        for (place, threads) in [1, 2].into_iter().enumerate() {
            drives = (0..2).map(|place| Drive::new(&config, place, 2)).collect();
            states.fill(&mut drives, 0..CUSTOMERS);
            let began = Instant::now();
            let cpu = match threads {
                1 => work(&mut drives, &records),
                _ => std::thread::scope(|scope| {
                    let halves = drives.chunks_mut(1).zip(records.chunks(1));
                    let threads: Vec<_> = halves
                        .map(|(drives, records)| scope.spawn(move || work(drives, records)))
                        .collect();
                    let times = threads.into_iter().map(|it| it.join().expect("it ends"));
                    times.max().expect("two")
                }),
            };
            let per_second = orders as f64 / began.elapsed().as_secs_f64();
            speeds[place].push(Speed { per_second, cpu });
        }
    }
    drop(drives);
    let [one, two] = speeds;
    let rate = |speeds: &[Speed]| median(speeds.iter().map(|it| it.per_second).collect());
    let best = |speeds: &[Speed]| speeds.iter().map(|it| it.per_second).fold(0.0, f64::max);
    let pairs = || one.iter().zip(&two);
    let ratios: Vec<f64> = pairs().map(|(one, two)| two.per_second / one.per_second).collect();
    let on_cores = pairs().map(|(one, two)| one.cpu.as_secs_f64() / two.cpu.as_secs_f64());
    println!(
        "growth/workers, {}: one thread {:.0} orders/s (best {:.0}), two {:.0} (best {:.0}): {:.2} \
         times, median of {REPEATS}, best against best {:.2}; by time on the cores {:.2}",
        rules.name(),
        rate(&one),
        best(&one),
        rate(&two),
        best(&two),
        median(ratios),
        best(&two) / best(&one),
        median(on_cores.collect()),
    );
}

/// A thread's work: its tasks in turns, then the commit of all.
fn work(drives: &mut [Drive], records: &[Vec<Incoming>]) -> Duration {
    let before = cpu_time();
    let longest = records.iter().map(Vec::len).max().unwrap_or(0);
    for first in (0..longest).step_by(BATCH) {
        for (drive, records) in drives.iter_mut().zip(records) {
            let part = first.min(records.len())..(first + BATCH).min(records.len());
            drive.work(&records[part], START, TIMERS);
        }
        drives.iter_mut().for_each(Drive::commit);
    }
    cpu_time() - before
}
