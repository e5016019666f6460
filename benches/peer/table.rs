//! The figures of all runs as a table: median, and from least to most.
//!
//! Next: `main.rs`.

use crate::outputs::Output;
use crate::watch::Run;
use std::fmt;

/// One run of one program.
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) speed: Run,
    pub(crate) changes: Output,
    pub(crate) states: Output,
}

/// All runs.
#[derive(Default)]
pub(crate) struct Table(Vec<Line>);

impl Table {
    /// Adds a run and shows it.
    pub(crate) fn add(&mut self, line: Line) {
        let Line { what, speed, changes, states } = &line;
        println!(
            "{what}: {:.0} events/s, {:.2} CPU-s per million; second half {:.0} and {:.2}; \
             {} MB; {} changes, {} MB; {} states, {} MB; {:.1} s",
            speed.whole.events_per_second,
            speed.whole.cpu_seconds_per_million,
            speed.warm.events_per_second,
            speed.warm.cpu_seconds_per_million,
            speed.peak_mb,
            changes.records,
            changes.bytes / 1_000_000,
            states.records,
            states.bytes / 1_000_000,
            speed.seconds
        );
        self.0.push(line);
    }
}

/// A figure of a run.
type Figure = (&'static str, usize, fn(&Line) -> f64);

const FIGURES: [Figure; 9] = [
    ("events/s, whole", 0, |line| line.speed.whole.events_per_second),
    ("CPU-s/M, whole", 2, |line| line.speed.whole.cpu_seconds_per_million),
    ("events/s, 2nd half", 0, |line| line.speed.warm.events_per_second),
    ("CPU-s/M, 2nd half", 2, |line| line.speed.warm.cpu_seconds_per_million),
    ("peak MB", 0, |line| line.speed.peak_mb as f64),
    ("changes", 0, |line| line.changes.records as f64),
    ("MB of changes/s", 1, |line| line.changes.bytes as f64 / 1e6 / line.speed.seconds),
    ("states", 0, |line| line.states.records as f64),
    ("MB of states/s", 1, |line| line.states.bytes as f64 / 1e6 / line.speed.seconds),
];

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "| what |")?;
        FIGURES.iter().try_for_each(|(name, ..)| write!(formatter, " {name} |"))?;
        write!(formatter, "\n|---|{}", "---|".repeat(FIGURES.len()))?;
        let mut shown: Vec<&str> = Vec::new();
        for line in &self.0 {
            if shown.contains(&line.what.as_str()) {
                continue;
            }
            shown.push(&line.what);
            write!(formatter, "\n| {} |", line.what)?;
            for (_, digits, figure) in FIGURES {
                let runs = self.0.iter().filter(|other| other.what == line.what);
                let mut values: Vec<f64> = runs.map(figure).collect();
                values.sort_by(f64::total_cmp);
                let (least, most) = (values[0], values[values.len() - 1]);
                let median = values[values.len() / 2];
                write!(formatter, " {median:.digits$}")?;
                if least < most {
                    write!(formatter, " ({least:.digits$} to {most:.digits$})")?;
                }
                write!(formatter, " |")?;
            }
        }
        Ok(())
    }
}
