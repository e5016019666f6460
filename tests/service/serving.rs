//! What the running service answers over HTTP, and how it stops and comes back.
//!
//! Next: `src/http`, what answers.

use crate::outputs::{committed_changes, string};
use crate::program::{Application, PARTITIONS, metric, wait_until_read};
use crate::workload::{Formats, Workload};
use ebbflow::domain::id::partition_of;
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};

#[test]
fn every_path_answers_while_it_runs() {
    let application = Application::new("serving", &[]);
    let workload = Workload::new(11, 1_000);
    let mut program = application.start(&[]);
    program.wait_until_ready();
    workload.produce(&application, Formats::JSON);
    wait_until_read(&mut [&mut program], workload.lines.len());
    assert_eq!(program.get("/livez"), (200, "ok\n".to_owned()));
    assert_eq!(program.get("/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(program.running(), [0, 1, 2, 3]);

    let (status, metrics) = program.get("/metrics");
    assert_eq!(status, 200);
    let unreadable = workload.lines.iter().filter(|line| !line.readable).count();
    let count = |name| metric(&metrics, name);
    assert_eq!(count("ebbflow_dead_letters_total"), unreadable as u64);
    assert_eq!(count("ebbflow_changes_total"), committed_changes(&application).len() as u64);
    assert!(count("ebbflow_duplicate_events_total") > 0);
    assert!(count("ebbflow_late_events_total") > 0);
    assert!(count("ebbflow_parked_events_total") > 0);
    assert_eq!(count("ebbflow_input_lag_records"), 0);
    promtool(&metrics);

    let (status, tasks) = program.get("/tasks");
    let tasks: Value = serde_json::from_str(&tasks).expect("JSON");
    assert_eq!((status, &tasks["ready"]), (200, &Value::Bool(true)));

    let customer = &workload.lines[0].customer;
    let (status, profile) = program.get_admin(&format!("/customers/{customer}"));
    assert_eq!(status, 200, "{profile}");
    let profile: Value = serde_json::from_str(&profile).expect("JSON");
    assert_eq!(string(&profile["customer_id"]), *customer);
    assert_eq!(program.get_admin("/customers/nobody").0, 404);
    assert_eq!(program.get("/nothing").0, 404);
    assert_eq!(program.terminate().code(), Some(0));
}

fn promtool(metrics: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is there; on Debian: apt-get install prometheus");
    let mut input = promtool.stdin.take().expect("it has an input");
    input.write_all(metrics.as_bytes()).expect("write the metrics");
    drop(input);
    let output = promtool.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && told.is_empty(), "{told}");
}

#[test]
fn customer_of_another_instance_is_not_answered_for() {
    let application = Application::new("elsewhere", &[]);
    let mut first = application.with(&["instance_id=0"]).start(&[]);
    let mut second = application.with(&["instance_id=1"]).start(&[]);
    first.wait_for("half of the partitions", |first| {
        (first.running().len() == 2 && second.running().len() == 2).then_some(())
    });
    let mine = first.running();
    let is_mine = |id: &String| mine.contains(&u64::from(partition_of(id, PARTITIONS)));
    let mut ids = (0..).map(|number| format!("c-{number}"));
    let id = ids.find(|id| !is_mine(id)).expect("half of them");
    let (status, body) = first.get_admin(&format!("/customers/{id}"));
    assert_eq!(status, 421, "{body}");
    assert!(body.contains(&partition_of(&id, PARTITIONS).to_string()), "{body}");
    assert_eq!(second.get_admin(&format!("/customers/{id}")).0, 404);
}

#[test]
fn clean_stop_finishes_its_transaction_and_moves_no_partition() {
    // Longer than the test may take: who waits for it is found out.
    let settings = ["kafka.session_timeout=300s", "kafka.max_poll_interval=320s"];
    let application = Application::new("stopping", &settings);
    let workload = Workload::new(12, 3_000);
    let mut first = application.with(&["instance_id=0"]).start(&[]);
    let mut second = application.with(&["instance_id=1"]).start(&[]);
    first.wait_for("half of the partitions", |first| {
        (first.running().len() == 2 && second.running().len() == 2).then_some(())
    });
    let partitions = first.running();
    workload.produce(&application, Formats::JSON);
    first.wait_for_commits(1).expect("it goes on");
    assert_eq!(first.terminate().code(), Some(0));
    assert!(first.log().contains("SIGTERM received: stopping"));
    let rebalances = second.log().matches("revoked").count();

    let mut first = application.with(&["instance_id=0"]).start(&[]);
    first.wait_for("its partitions", |first| (first.running() == partitions).then_some(()));
    assert_eq!(second.log().matches("revoked").count(), rebalances, "partitions moved");
    assert_eq!(second.terminate().code(), Some(0));
    assert_eq!(first.terminate().code(), Some(0));
}
