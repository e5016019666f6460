//! Says whether a process stayed as it was: memory, descriptors, threads, commit times.
//!
//! A function of samples, so that it can be shown to fail. Next: `main.rs`, where they come from.

use std::fmt;
use std::time::Duration;

/// Memory may grow by this between the end of the first window and the end.
const MEMORY_GROWTH: f64 = 1.05;
/// The 99th percentile of commit times may grow by this from the first window to the last.
const COMMIT_GROWTH: f64 = 1.5;
/// Descriptors that may come and go: connections to brokers are closed when idle.
const DESCRIPTORS: u64 = 3;

/// What a process looked like at a moment.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Since the beginning.
    pub(crate) at: Duration,
    /// Resident memory.
    pub(crate) memory_bytes: u64,
    /// The part of it that is files: the program itself.
    pub(crate) file_bytes: u64,
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
    /// Commits so far, by upper bound of their time in seconds; each has those before it too.
    pub(crate) commits: Vec<(f64, u64)>,
}

/// A first and a last value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<T> {
    pub(crate) first: T,
    pub(crate) last: T,
}

/// What became of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) memory_bytes: Change<u64>,
    pub(crate) descriptors: Change<u64>,
    pub(crate) threads: Change<u64>,
    /// Seconds.
    pub(crate) commit_p99: Change<f64>,
}

impl Verdict {
    /// Compares the first window of samples with the last one of the same length.
    ///
    /// # Panics
    /// When a window has no sample, or no commit.
    pub(crate) fn of(samples: &[Sample], window: Duration) -> Self {
        let end = samples.last().expect("samples").at;
        // The last fifth of each window stands for its end.
        let ends = |at: Duration| -> Vec<&Sample> {
            samples.iter().filter(|s| s.at <= at && s.at + window / 5 >= at).collect()
        };
        let both = |value: fn(&Sample) -> u64| Change {
            first: median(ends(window).into_iter().map(value).collect()),
            last: median(ends(end).into_iter().map(value).collect()),
        };
        let after = |at: Duration| samples.iter().find(|sample| sample.at >= at).expect("samples");
        let p99 = |from: Duration, to: Duration| percentile_99(&commits(after(from), after(to)));
        Self {
            memory_bytes: both(|sample| sample.memory_bytes),
            descriptors: both(|sample| sample.descriptors),
            threads: both(|sample| sample.threads),
            commit_p99: Change { first: p99(Duration::ZERO, window), last: p99(end - window, end) },
        }
    }

    /// What is not as it should be.
    pub(crate) fn problems(&self) -> Vec<String> {
        let Self { memory_bytes, descriptors, threads, commit_p99 } = self;
        let as_float = |bytes: u64| bytes as f64;
        let mut problems = Vec::new();
        if as_float(memory_bytes.last) > MEMORY_GROWTH * as_float(memory_bytes.first) {
            problems.push(format!("memory grew: {memory_bytes:?}"));
        }
        if descriptors.last > descriptors.first + DESCRIPTORS {
            problems.push(format!("descriptors leak: {descriptors:?}"));
        }
        if threads.last > threads.first {
            problems.push(format!("threads leak: {threads:?}"));
        }
        if commit_p99.last > COMMIT_GROWTH * commit_p99.first {
            problems.push(format!("commits take longer: {commit_p99:?}"));
        }
        problems
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory_bytes, descriptors, threads, commit_p99 } = self;
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let (first, last) = (mb(memory_bytes.first), mb(memory_bytes.last));
        let percent = (last / first - 1.0) * 100.0;
        write!(f, "memory {first:.1} -> {last:.1} MB ({percent:+.1} %), ")?;
        write!(f, "descriptors {} -> {}, ", descriptors.first, descriptors.last)?;
        write!(f, "threads {} -> {}, ", threads.first, threads.last)?;
        let (first, last) = (commit_p99.first * 1e3, commit_p99.last * 1e3);
        write!(f, "commit p99 {first:.1} -> {last:.1} ms")
    }
}

fn median(mut values: Vec<u64>) -> u64 {
    assert!(!values.is_empty(), "no sample in a window");
    values.sort_unstable();
    values[values.len() / 2]
}

/// Commits between two samples.
fn commits(from: &Sample, to: &Sample) -> Vec<(f64, u64)> {
    let pairs = from.commits.iter().zip(&to.commits);
    pairs.map(|((bound, before), (_, after))| (*bound, after - before)).collect()
}

/// Interpolated within its bucket.
fn percentile_99(buckets: &[(f64, u64)]) -> f64 {
    let all = buckets.last().map_or(0, |(_, count)| *count);
    assert!(all > 0, "no commit in a window");
    let wanted = all as f64 * 0.99;
    let (mut below, mut count_below) = (0.0, 0.0);
    for (bound, count) in buckets {
        let count = *count as f64;
        if count >= wanted {
            let share = (wanted - count_below) / (count - count_below);
            // The last bucket has no end.
            return if bound.is_finite() { below + share * (bound - below) } else { below };
        }
        (below, count_below) = (*bound, count);
    }
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    /// A minute of a process: its memory, descriptors, threads after so many seconds, and how many
    /// of its 100 commits a second take more than 10 ms.
    fn problems(at: impl Fn(u64) -> (u64, u64, u64, u64)) -> Vec<String> {
        let (mut fast, mut all) = (0, 0);
        let samples: Vec<Sample> = (0..=60)
            .map(|second| {
                let (memory_bytes, descriptors, threads, slow) = at(second);
                fast += 100 - slow;
                all += 100;
                let commits = vec![(0.01, fast), (0.1, all), (f64::INFINITY, all)];
                let at = Duration::from_secs(second);
                Sample { at, memory_bytes, file_bytes: 0, descriptors, threads, commits }
            })
            .collect();
        Verdict::of(&samples, WINDOW).problems()
    }

    #[track_caller]
    fn assert_names(problems: &[String], name: &str) {
        assert!(problems.len() == 1 && problems[0].starts_with(name), "{problems:?}");
    }

    #[test]
    fn a_steady_process_that_warms_up_passes() {
        let none = problems(|second| (1000 - 100 / (second + 1), 20 + second % 3, 9, 2));
        assert_eq!(none, Vec::<String>::new());
    }

    #[test]
    fn whatever_grows_is_found() {
        assert_names(&problems(|second| (1000 + 2 * second, 20, 9, 2)), "memory grew");
        assert_names(&problems(|second| (1000, 20 + second / 10, 9, 2)), "descriptors leak");
        assert_names(&problems(|second| (1000, 20, 9 + second / 30, 2)), "threads leak");
        let slow = |second| (1000, 20, 9, if second < 30 { 0 } else { 5 });
        assert_names(&problems(slow), "commits take longer");
    }
}
