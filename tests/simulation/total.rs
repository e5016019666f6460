//! What many runs came to: whether the faults really happened.
//!
//! Next: `faults.rs`.

use crate::simulation::faults::{Counts, Fault};
use crate::simulation::replay::Effort;
use crate::simulation::run::{Happened, Mode, Report};
use std::fmt;

/// The sum of reports.
#[derive(Default)]
pub(crate) struct Total {
    counts: Counts,
    happened: Happened,
    effort: Effort,
    changes: usize,
    /// Longest virtual time from the last fault to rest, in ms.
    slowest_ms: i64,
}

impl Total {
    pub(crate) fn add(&mut self, report: &Report) {
        for (fault, count) in &report.counts {
            *self.counts.entry(*fault).or_default() += count;
        }
        self.happened.resize(report.happened.len(), ("", 0));
        for ((name, total), (what, count)) in self.happened.iter_mut().zip(&report.happened) {
            *name = what;
            *total += count;
        }
        self.effort.cases += report.effort.cases;
        self.effort.given_up += report.effort.given_up;
        self.changes += report.changes;
        self.slowest_ms = self.slowest_ms.max(report.drained_ms);
    }

    /// What should have happened in so many runs and did not.
    pub(crate) fn missing(&self, mode: Mode) -> Vec<String> {
        // What an event clock writes while new rules come depends on when they do.
        let possible = |fault: &&Fault| match **fault {
            Fault::NewRules => mode == Mode::Wall,
            _ => true,
        };
        let faults = Fault::ALL.iter().filter(possible);
        let faults = faults.filter(|fault| !self.counts.contains_key(fault));
        let mut missing: Vec<String> = faults.map(|fault| format!("{fault:?}")).collect();
        for (what, count) in &self.happened {
            let other = match *what {
                "deletions rolled back" => mode == Mode::Wall,
                "changes by new rules" | "re-evaluations in parts" | "refused for old rules" => {
                    mode == Mode::Event
                }
                _ => false,
            };
            if *count == 0 && !other {
                missing.push((*what).to_owned());
            }
        }
        // A check that gives up is none.
        if self.effort.given_up * 1_000 > self.effort.cases {
            missing.push(format!("the replay of {} customers", self.effort.given_up));
        }
        missing
    }
}

impl fmt::Display for Total {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} changes, drained within {} ms, {} replayed of which {} given up, {:?}, {:?}",
            self.changes,
            self.slowest_ms,
            self.effort.cases,
            self.effort.given_up,
            self.happened,
            self.counts
        )
    }
}
