//! The runtime on a simulated broker in virtual time, from one seed: faults at any call, and an
//! oracle that knows what must come out.
//!
//! A run never starts a thread, reads a clock or opens a socket; different runs share the
//! processors. `SIM_SEED=n` runs one seed in every mode, `SIM_SEEDS=n` so many of each,
//! `SIM_FAULTS=a,b` leaves only those kinds of faults, `SIM_LOG=1` tells what happens. A seed that
//! fails is played again without each kind of fault, to name those that it takes.
//! Next: `simulation/run.rs`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on fails")]

mod simulation {
    mod broker;
    mod chain;
    mod changelog;
    mod clock;
    mod cluster;
    mod crossing;
    mod deployment;
    mod expiry;
    mod faults;
    mod group;
    mod lives;
    mod log;
    #[cfg(feature = "mutations")]
    mod mutations;
    mod oracle;
    mod outcome;
    mod producer;
    mod random;
    mod rebuild;
    mod reference;
    mod registry;
    mod replay;
    mod revisions;
    mod rules;
    pub(crate) mod run;
    mod said;
    mod schedule;
    mod scripted;
    mod search;
    mod stage;
    mod tests;
    mod total;
    mod unanswered;
    mod workload;

    pub(crate) use faults::{Fault, Only};
    pub(crate) use total::Total;
}

use simulation::run::{Mode, Report, run};
use simulation::{Fault, Only, Total};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

/// Seeds of each mode that a plain run plays; those of crossing runs are short.
const SEEDS: u64 = 400;
const CROSSING_SEEDS: u64 = 2_000;
/// After so many failures the rest is left out.
const MAX_FAILURES: usize = 5;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Past failures first, then those of this run.
fn seeds(mode: Mode) -> Vec<u64> {
    if let Some(seed) = number("SIM_SEED") {
        return vec![seed];
    }
    let past = include_str!("simulation/seeds.txt").lines();
    let past = past.filter(|line| !line.starts_with('#')).map(|line| line.parse().unwrap());
    let usual = if mode == Mode::Crossing { CROSSING_SEEDS } else { SEEDS };
    past.chain(0..number("SIM_SEEDS").unwrap_or(usual)).collect()
}

/// The kinds of faults that may strike: `SIM_FAULTS=CrashAfter,SlowMarkers`.
fn only() -> Only {
    let names = std::env::var("SIM_FAULTS").ok()?;
    let named = |name| Fault::ALL.into_iter().find(|fault| format!("{fault:?}") == name);
    Some(names.split(',').map(|name| named(name).unwrap_or_else(|| panic!("{name}?"))).collect())
}

fn played(mode: Mode, seed: u64, only: &Only) -> Result<Report, String> {
    catch_unwind(AssertUnwindSafe(|| run(mode, seed, only)))
        .unwrap_or_else(|_| Err("a panic, see above".to_owned()))
}

/// The kinds without which the run does not fail.
fn shrunk(mode: Mode, seed: u64, only: &Only) -> String {
    let mut needed: BTreeSet<Fault> = only.clone().unwrap_or_else(|| Fault::ALL.into());
    for fault in Fault::ALL {
        let mut fewer = needed.clone();
        if fewer.remove(&fault) && played(mode, seed, &Some(fewer.clone())).is_err() {
            needed = fewer;
        }
    }
    let names: Vec<String> = needed.iter().map(|fault| format!("{fault:?}")).collect();
    names.join(",")
}

fn play(mode: Mode) {
    let (seeds, only) = (seeds(mode), only());
    let total = Mutex::new((seeds.iter(), Total::default(), Vec::new()));
    // A run is of one thread, the seeds are shared out.
    let work = || {
        loop {
            let next = {
                let mut total = total.lock().unwrap();
                if total.2.len() < MAX_FAILURES { total.0.next() } else { None }
            };
            let Some(seed) = next.copied() else { return };
            if std::env::var_os("SIM_LOG").is_some() {
                println!("SIM_SEED={seed} ({mode:?})");
            }
            let report = played(mode, seed, &only);
            let mut total = total.lock().unwrap();
            match report {
                Ok(report) => total.1.add(&report),
                Err(text) => {
                    println!("SIM_SEED={seed} ({mode:?}): {text}");
                    total.2.push(seed);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let (_, total, failed) = total.into_inner().unwrap();
    println!("{mode:?}: {} seeds, {total}", seeds.len());
    if let Some(seed) = failed.first() {
        panic!(
            "{mode:?} failed with {failed:?}; again, with the faults that it takes: \
             SIM_SEED={seed} SIM_FAULTS={} cargo test --test simulation -- --nocapture",
            shrunk(mode, *seed, &only)
        );
    }
    if seeds.len() > 200 && only.is_none() {
        let missing = total.missing(mode);
        assert!(missing.is_empty(), "never happened: {missing:?}");
    }
}

#[test]
fn the_output_of_an_event_clock_equals_the_naive_reference() {
    play(Mode::Event);
}

#[test]
fn whatever_crosses_partitions_arrives_once_and_who_is_one_is_one() {
    play(Mode::Crossing);
}

#[test]
fn under_a_wall_clock_everything_is_reflected_once_and_drains() {
    play(Mode::Wall);
}
