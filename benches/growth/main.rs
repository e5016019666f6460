//! What grows with the number of customers, tasks, timers and cores, and what does not.
//!
//! `make bench-growth`, or parts of it: `cargo bench --bench growth -- customers partitions timers
//! due workers restore memory`. No broker; times are those of the thread on a core where nothing
//! else is said. `MOST=10000000` customers and `RULES` (`rfm`, `everything`) are read from the
//! environment; `SVG=docs` writes the curves. Next: `drive.rs`, what an event goes through.

#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "figures for people")]

mod cost;
mod drive;
mod due;
mod fill;
mod life;
mod memory;
mod plot;
mod restore;
#[allow(dead_code, reason = "each benchmark uses a part")]
#[path = "../support/mod.rs"]
mod support;
mod workers;

use mimalloc::MiMalloc;
use support::{EVERYTHING, RFM_ALONE, config_of};

/// As in the program.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The rules of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    Rfm,
    Everything,
}

impl Rules {
    const ALL: [Self; 2] = [Self::Rfm, Self::Everything];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rfm => "rfm",
            Self::Everything => "everything",
        }
    }

    pub(crate) fn config(self) -> ebbflow::config::Config {
        config_of(match self {
            Self::Rfm => RFM_ALONE,
            Self::Everything => EVERYTHING,
        })
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    if let [child, what, customers] = words.as_slice()
        && child == memory::CHILD
    {
        return memory::child(what, customers.parse().expect("a count"));
    }
    let most = std::env::var("MOST").map_or(10_000_000, |text| text.parse().expect("a number"));
    let only = std::env::var("RULES").ok();
    let rules = Rules::ALL.into_iter().filter(|it| only.as_deref().is_none_or(|o| o == it.name()));
    let rules: Vec<Rules> = rules.collect();
    let is_wanted = |part: &str| words.is_empty() || words.iter().any(|word| word == part);
    let each = |part: &str, run: &dyn Fn(Rules)| {
        if is_wanted(part) {
            rules.iter().for_each(|rules| run(*rules));
        }
    };
    let mut curves = Vec::new();
    for rules in &rules {
        if is_wanted("customers") {
            curves.push(("customers", rules.name(), cost::by_customers(*rules, most)));
        }
        if is_wanted("partitions") {
            curves.push(("partitions", rules.name(), cost::by_partitions(*rules, most)));
        }
        if is_wanted("timers") {
            curves.push(("timers", rules.name(), cost::by_timers(*rules, most)));
        }
    }
    each("due", &|rules| due::due(rules, most.min(1_000_000)));
    each("workers", &workers::workers);
    each("restore", &restore::restore);
    if is_wanted("memory") {
        memory::memory(most);
    }
    if let Ok(folder) = std::env::var("SVG") {
        plot::write(&folder, &curves);
    }
}
