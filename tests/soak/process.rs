//! What a process looks like from outside: `/proc` and its own `/metrics`. Linux only.
//!
//! Next: `verdict.rs`.

use crate::program::Program;
use crate::verdict::Sample;
use std::fs;
use std::time::Duration;

/// Looks at it, so long after the beginning.
///
/// # Panics
/// When it has ended.
pub(crate) fn look(program: &mut Program, at: Duration) -> Sample {
    let pid = program.pid();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let number = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name)).expect("a line of status");
        line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
    };
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count();
    let (_, metrics) = program.get("/metrics");
    Sample {
        at,
        memory_bytes: number("VmRSS:") * 1024,
        file_bytes: number("RssFile:") * 1024,
        descriptors: u64::try_from(descriptors).expect("few"),
        threads: number("Threads:"),
        commits: buckets(&metrics),
    }
}

fn buckets(metrics: &str) -> Vec<(f64, u64)> {
    let name = "ebbflow_commit_duration_seconds_bucket{le=\"";
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(name));
    let buckets = lines.map(|line| {
        let (bound, count) = line.split_once("\"} ").expect("a bucket");
        // `+Inf` is read as infinite.
        (bound.parse().expect("a bound"), count.parse().expect("a count"))
    });
    buckets.collect()
}
