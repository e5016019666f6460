//! The simulator finds every deliberate bug of `src/mutation.rs` within its budget.
//!
//! Prints a table: what found it, after how many seeds, in how many seconds. Next: `run.rs`.

use crate::simulation::run::{Mode, run};
use ebbflow::mutation::{Mutation, switch};
use std::panic::{catch_unwind, set_hook, take_hook};
use std::time::Instant;

/// Seeds of each mode that a mutation may survive.
const BUDGET: u64 = 400;

/// What found a mutation: its first words, without what is particular to the seed.
fn kind(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(110).collect()
}

fn play(mode: Mode, seed: u64) -> Result<(), String> {
    let played = catch_unwind(|| run(mode, seed, &None).map(drop));
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("broken contract: {}", text.unwrap_or_default()))
    })
}

/// The seed, the mode and the words of the check that finds it.
fn hunt(mutation: Mutation) -> Option<(u64, Mode, String)> {
    switch(Some(mutation));
    let modes: &[Mode] = match mutation {
        Mutation::StateNotSent
        | Mutation::StateSentTwice
        | Mutation::PathNotChecked
        | Mutation::RedirectBeforeState
        | Mutation::RelayKeptAfterAbort
        | Mutation::RelayLineageNotCompared
        | Mutation::HoldLeftOut
        | Mutation::WaitingNotRestored
        | Mutation::WaitingMovesNotShown
        | Mutation::WaitingJudgedAtClock => &[Mode::Crossing],
        _ => &[Mode::Event, Mode::Wall],
    };
    let found = (1..=BUDGET).find_map(|seed| {
        modes.iter().find_map(|mode| Some((seed, *mode, play(*mode, seed).err()?)))
    });
    switch(None);
    found
}

#[test]
fn every_mutation_is_found() {
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let mut survivors = Vec::new();
    println!("| deliberate bug | found by | mode | seeds | seconds |\n|---|---|---|---|---|");
    let named = std::env::var("MUTATION").ok();
    let wanted = |it: &Mutation| named.as_ref().is_none_or(|name| *name == format!("{it:?}"));
    for mutation in Mutation::ALL.into_iter().filter(wanted) {
        let began = Instant::now();
        let found = hunt(mutation);
        let seconds = began.elapsed().as_secs_f64();
        match found {
            Some((seed, mode, text)) => {
                println!("| {mutation:?} | {} | {mode:?} | {seed} | {seconds:.1} |", kind(&text));
            }
            None => {
                println!("| {mutation:?} | NOT FOUND | | {BUDGET} | {seconds:.1} |");
                survivors.push(mutation);
            }
        }
    }
    set_hook(hook);
    assert!(survivors.is_empty(), "the simulator does not find {survivors:?}");
}
