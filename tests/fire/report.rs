//! The report of a fire, for people.
//!
//! Next: `main.rs`, where it is asked for.

use crate::fleet::{ABORT_CLASSES, Counts};
use crate::oracle::Verdict;
use crate::plan::KINDS;
use std::fmt;
use std::time::Duration;

/// Everything that is told at the end.
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) time: Duration,
    /// By kind of fault: how many there were, the longest stall that one brought.
    pub(crate) faults: [(usize, Duration); KINDS.len()],
    /// The longest stall of all, at a fault or between two.
    pub(crate) longest: Duration,
    /// The longest time in which the load committed nothing.
    pub(crate) load_gap: Duration,
    pub(crate) records: usize,
    pub(crate) aborted_inputs: usize,
    pub(crate) counts: Counts,
    pub(crate) gave_up: Vec<String>,
    pub(crate) verdict: Verdict,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, time, counts, verdict, .. } = self;
        writeln!(f, "=== under fire for {:.0} s, FIRE_SEED={seed}", time.as_secs_f64())?;
        writeln!(f, "{:<34} {:>5}  longest stall of a partition", "faults", "times")?;
        for (kind, (times, stall)) in KINDS.iter().zip(self.faults) {
            writeln!(f, "{kind:<34} {times:>5}  {:.1} s", stall.as_secs_f64())?;
        }
        writeln!(
            f,
            "records             {} in, and {} transactions of them aborted",
            self.records, self.aborted_inputs
        )?;
        let aborts: Vec<String> = ABORT_CLASSES
            .iter()
            .zip(counts.aborts)
            .map(|(class, count)| format!("{count} {class}"))
            .collect();
        writeln!(
            f,
            "transactions        {} committed, {} aborted ({}), as last seen of each process",
            counts.commits,
            counts.aborts.iter().sum::<u64>(),
            aborts.join(", ")
        )?;
        writeln!(
            f,
            "recovered           {} producers renewed, {} assignments lost, {} records restored",
            counts.reinits, counts.lost, counts.restored
        )?;
        writeln!(f, "instances gave up   {}", self.gave_up.len())?;
        for why in &self.gave_up {
            writeln!(f, "                    {why}")?;
        }
        writeln!(
            f,
            "longest stall       {:.1} s; the load itself stood still for up to {:.1} s",
            self.longest.as_secs_f64(),
            self.load_gap.as_secs_f64()
        )?;
        writeln!(f, "changes             {} of {} customers", verdict.changes, verdict.customers)?;
        writeln!(
            f,
            "duplicates          {} changes, {} dead letters",
            verdict.doubled, verdict.doubled_dead_letters
        )?;
        writeln!(
            f,
            "losses              {} changes, {} dead letters",
            verdict.lost, verdict.missing_dead_letters
        )?;
        write!(
            f,
            "other than replay   {} changes too many, {} customers with a gap in seq, {} profiles",
            verdict.surplus, verdict.gaps, verdict.wrong_profiles
        )
    }
}
