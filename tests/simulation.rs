//! The runtime on a simulated broker in virtual time, from one seed: faults at any call, and an
//! oracle that knows what must come out.
//!
//! Never starts a thread, reads a clock or opens a socket. `SIM_SEED=n` runs one seed in both
//! modes, `SIM_SEEDS=n` so many of each, `SIM_LOG=1` tells what happens.
//! Next: `simulation/run.rs`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on fails")]

mod simulation {
    mod broker;
    mod cluster;
    mod faults;
    mod group;
    mod log;
    #[cfg(feature = "mutations")]
    mod mutations;
    mod oracle;
    mod outcome;
    mod producer;
    mod random;
    mod reference;
    mod replay;
    mod rules;
    pub(crate) mod run;
    mod schedule;
    mod search;
    mod stage;
    mod tests;
    mod unanswered;
    mod workload;

    pub(crate) use faults::{Counts, Fault};
}

use simulation::run::{Mode, run};
use simulation::{Counts, Fault};

/// Seeds of each mode that a plain run plays.
const SEEDS: u64 = 100;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Past failures first, then those of this run.
fn seeds() -> Vec<u64> {
    if let Some(seed) = number("SIM_SEED") {
        return vec![seed];
    }
    let past = include_str!("simulation/seeds.txt").lines();
    let past = past.filter(|line| !line.starts_with('#')).map(|line| line.parse().unwrap());
    past.chain(0..number("SIM_SEEDS").unwrap_or(SEEDS)).collect()
}

fn play(mode: Mode) {
    let mut counts = Counts::new();
    let (mut timed_out, mut expelled, mut changes, mut purges_aborted) = (0, 0, 0, 0);
    let (mut cases, mut given_up) = (0, 0);
    let (seeds, mut failed) = (seeds(), Vec::new());
    for seed in &seeds {
        if failed.len() > 20 {
            break;
        }
        if std::env::var_os("SIM_LOG").is_some() {
            println!("SIM_SEED={seed} ({mode:?})");
        }
        let played = std::panic::catch_unwind(|| run(mode, *seed))
            .unwrap_or_else(|_| Err("a panic, see above".to_owned()));
        let report = match played {
            Ok(report) => report,
            Err(text) => {
                println!("SIM_SEED={seed} ({mode:?}): {text}");
                failed.push(*seed);
                continue;
            }
        };
        for (fault, count) in report.counts {
            *counts.entry(fault).or_default() += count;
        }
        timed_out += report.timed_out;
        expelled += report.expelled;
        changes += report.changes;
        purges_aborted += report.purges_aborted;
        cases += report.effort.cases;
        given_up += report.effort.given_up;
    }
    println!(
        "{mode:?}: {} seeds, {changes} changes, {timed_out} transactions timed out, \
         {expelled} members expelled, {purges_aborted} deletions rolled back, {cases} replayed of which \
         {given_up} given up, {counts:?}",
        seeds.len()
    );
    assert!(
        failed.is_empty(),
        "{mode:?} failed with {failed:?}; again: SIM_SEED={} cargo test --test simulation -- \
         --nocapture",
        failed[0]
    );
    if seeds.len() > 50 {
        let missing: Vec<_> = Fault::ALL.iter().filter(|it| !counts.contains_key(it)).collect();
        assert!(missing.is_empty() && timed_out > 0 && expelled > 0, "never happened: {missing:?}");
        assert!(purges_aborted > 0 || mode == Mode::Wall, "no purge of a rebuild was aborted");
    }
}

#[test]
fn the_output_of_an_event_clock_equals_the_naive_reference() {
    play(Mode::Event);
}

#[test]
fn under_a_wall_clock_everything_is_reflected_once_and_drains() {
    play(Mode::Wall);
}
