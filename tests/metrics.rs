//! The names of the metrics, which dashboards and alerts build on, and promtool's opinion of them.
//!
//! Never starts the service. Next: `config/alerts.yml`, which uses the names.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use ebbflow::domain::time::Timestamp;
use ebbflow::metrics::{InputGauges, Metrics, Snapshot, TaskGauges};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

const NAMES: [&str; 61] = [
    "ebbflow_broker_up",
    "ebbflow_build_info",
    "ebbflow_changes_total",
    "ebbflow_clamped_events_total",
    "ebbflow_clipped_refunds_total",
    "ebbflow_commit_duration_seconds",
    "ebbflow_customers",
    "ebbflow_dead_letters_over_budget",
    "ebbflow_dead_letters_total",
    "ebbflow_duplicate_events_total",
    "ebbflow_end_to_end_latency_seconds",
    "ebbflow_erased_customers_total",
    "ebbflow_events_after_erase_total",
    "ebbflow_events_total",
    "ebbflow_evicted_entries_total",
    "ebbflow_forgotten_visitors_total",
    "ebbflow_holds_given_up_total",
    "ebbflow_input_bytes_total",
    "ebbflow_input_lag_records",
    "ebbflow_input_lag_seconds",
    "ebbflow_input_records_total",
    "ebbflow_last_commit_timestamp_seconds",
    "ebbflow_late_events_total",
    "ebbflow_misrouted_events_total",
    "ebbflow_output_records_total",
    "ebbflow_parked_events_total",
    "ebbflow_partitions",
    "ebbflow_producer_reinits_total",
    "ebbflow_ready",
    "ebbflow_rebalances_total",
    "ebbflow_redirects",
    "ebbflow_reevaluated_customers_total",
    "ebbflow_reevaluation_customers_left",
    "ebbflow_relay_arrivals_total",
    "ebbflow_relay_hops_total",
    "ebbflow_relay_records_total",
    "ebbflow_relay_unproven_total",
    "ebbflow_relay_waiting_records",
    "ebbflow_restore_records_total",
    "ebbflow_restore_seconds_total",
    "ebbflow_rules_revision",
    "ebbflow_segment_volatility",
    "ebbflow_shared_visitors_total",
    "ebbflow_state_bytes",
    "ebbflow_suppressed_changes_total",
    "ebbflow_task_clock_lag_seconds",
    "ebbflow_tasks",
    "ebbflow_timer_hold_seconds",
    "ebbflow_timer_overdue_seconds",
    "ebbflow_timers_pending",
    "ebbflow_transaction_aborts_total",
    "ebbflow_unmatched_events_total",
    "ebbflow_unscored_interactions_total",
    "ebbflow_withheld_changes_total",
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_bytes",
];

/// The text of a process in which every metric has a series.
fn exposition() -> String {
    let metrics = Arc::new(Metrics::new(3, 10).unwrap());
    let mut tally = metrics.tally();
    tally.record("purchases", 100, Some(Timestamp(0)));
    tally.event("purchases", "order_completed");
    tally.evicted += 1;
    tally.relays.sent[0] += 1;
    tally.dead_letter("purchases", "wrong_type");
    tally.change("rfm", Some("champions"), "event");
    tally.sent("segment_changes", 1);
    tally.commit(Timestamp(20));
    metrics.committed(0.004);
    let task = TaskGauges {
        customers: 2,
        clock_lag_seconds: Some(0.5),
        held_by: "none",
        inputs: vec![InputGauges { topic: "purchases", ..InputGauges::default() }],
        ..TaskGauges::default()
    };
    let snapshot = Snapshot {
        ready: true,
        broker_up: true,
        partitions: 4,
        tasks_by_state: vec![("running", 1)],
        last_commits: vec![(0, 1.5)],
        tasks: vec![task],
    };
    metrics.render(Timestamp(20), &snapshot).unwrap()
}

/// Runs promtool; without it the tests fail and say what to install.
fn promtool(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new("promtool")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is needed: `apt-get install prometheus` (`make deps` does it)");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn assert_clean(arguments: &[&str], input: &str) {
    let output = promtool(arguments, input);
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}:\n{said}");
}

#[test]
fn the_set_of_names_is_the_one_that_others_build_on() {
    let text = exposition();
    let found: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(found, BTreeSet::from(NAMES));
}

#[test]
fn labels_are_bounded_and_never_name_a_customer() {
    let allowed = BTreeSet::from([
        "cause",
        "class",
        "dimension",
        "held_by",
        "kind",
        "le",
        "output",
        "partition",
        "reason",
        "state",
        "topic",
        "value",
        "version",
        "worker",
    ]);
    for line in exposition().lines().filter(|line| !line.starts_with('#')) {
        let Some((_, rest)) = line.split_once('{') else { continue };
        let labels = rest.split_once('}').unwrap().0;
        for label in labels.split("\",") {
            let name = label.split_once('=').unwrap().0;
            assert!(allowed.contains(name), "the label \"{name}\" of {line}");
        }
    }
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    let text = exposition();
    assert_clean(&["check", "metrics"], &text);
    let spoilt = text.replace("ebbflow_late_events_total", "ebbflow_late_events");
    assert!(!promtool(&["check", "metrics"], &spoilt).status.success(), "it can find something");
}

#[test]
fn promtool_finds_nothing_wrong_with_the_alerts() {
    assert_clean(&["check", "config", "config/prometheus.yml"], "");
    assert_clean(&["check", "rules", "config/alerts.yml"], "");
    assert_clean(&["test", "rules", "config/alerts.test.yml"], "");
}

#[test]
fn every_alert_is_tested_and_says_what_to_do_about_metrics_that_exist() {
    let read = |path: &str| {
        std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let tests = read("config/alerts.test.yml");
    let alerts: serde_json::Value = serde_saphyr::from_str(&read("config/alerts.yml")).unwrap();
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    assert!(!rules.is_empty());
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        assert!(tests.contains(name), "{name} has no test");
        for annotation in ["summary", "action"] {
            assert!(rule["annotations"][annotation].is_string(), "{name} has no {annotation}");
        }
        let expression = rule["expr"].as_str().unwrap();
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        let is_metric = |w: &str| w.starts_with("ebbflow_") || w.starts_with("process_");
        for word in expression.split(|c| !is_name(c)).filter(|word| is_metric(word)) {
            assert!(NAMES.contains(&word), "{name} asks for {word}, which does not exist");
        }
    }
}
