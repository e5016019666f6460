//! Two instances: one joins late, partitions move, one goes; the output is that of one.
//!
//! What is still to be read is held back by open transactions, so that both have work left when
//! the partitions move. Next: `lineages.rs`.

use crate::crashes::SMALL_STEPS;
use crate::outputs::{assert_same_changes, by_customer, committed_changes, replay};
use crate::program::{Application, Program, poll_for, repeats};
use crate::workload::{ADVANCE_TO, Workload};
use rdkafka::producer::Producer;
use std::time::Duration;

/// How long a test's own transaction may take to end.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// So that a stopped instance is not waited for long.
pub(crate) const SHORT_SESSION: [&str; 2] =
    ["kafka.session_timeout=2s", "kafka.heartbeat_interval=200ms"];

/// Waits until the two share the partitions and have processed everything so far.
fn wait_for_halves(first: &mut Program, second: &mut Program) {
    let halves = poll_for(|| {
        let (mut of_first, of_second) = (first.running(), second.running());
        let both = !of_first.is_empty() && !of_second.is_empty();
        of_first.extend(of_second);
        of_first.sort_unstable();
        (both && of_first == [0, 1, 2, 3]).then_some(())
    });
    assert!(halves.is_some(), "the partitions are not shared: {}", second.log());
}

/// Transactions that the tasks of an instance have committed since they began.
fn commit_counts(program: &mut Program) -> u64 {
    let tasks = program.tasks();
    tasks.iter().filter_map(|task| task["commit_count"].as_u64()).sum()
}

fn two_instances_leave_what_one_leaves(name: &str, seed: u64, leaves: bool) {
    let workload = Workload::new(seed, 9_000);
    let third = workload.lines.len() / 3;
    let leave = format!("leave_on_stop={leaves}");
    let mut expected = None;
    for _ in 0..repeats() {
        let application = Application::new(name, &SMALL_STEPS).with(&SHORT_SESSION).with(&[&leave]);
        let expected = expected.get_or_insert_with(|| replay(&application, &workload).changes);
        let parts = [0..third, third..2 * third, 2 * third..workload.lines.len()];
        let held = parts.map(|part| workload.hold(&application, part));
        let [first_part, second_part, third_part] = held;
        first_part.commit_transaction(LONG).expect("commit");

        let mut first = application.with(&["instance_id=0"]).start(&[]);
        first.wait_for_commits(3).expect("it goes on");
        let mut second = application.with(&["instance_id=1"]).start(&[]);
        wait_for_halves(&mut first, &mut second);
        let before = [commit_counts(&mut first), commit_counts(&mut second)];
        second_part.commit_transaction(LONG).expect("commit");
        for (program, before) in [&mut first, &mut second].into_iter().zip(before) {
            program.wait_for("commits of both", |program| {
                (commit_counts(program) > before + 2).then_some(())
            });
        }

        // One goes while there is work; the other one takes over.
        third_part.commit_transaction(LONG).expect("commit");
        assert_eq!(first.terminate().code(), Some(0));
        second.wait_for("all partitions", |program| {
            (program.running() == [0, 1, 2, 3]).then_some(())
        });
        assert_eq!(second.terminate().code(), Some(0));
        application.with(&["instance_id=1"]).run_to_the_end(ADVANCE_TO);
        let changes = committed_changes(&application);
        assert_same_changes(&by_customer(&changes), expected);
    }
}

#[test]
fn partitions_move_to_a_late_instance_and_back_when_the_first_leaves() {
    two_instances_leave_what_one_leaves("leaves", 4, true);
}

#[test]
fn partitions_come_back_when_a_stopped_instance_stays_away() {
    two_instances_leave_what_one_leaves("stays-away", 5, false);
}

#[test]
fn run_to_the_end_beside_another_member_is_refused_and_leaves_it_alone() {
    let application = Application::new("not-alone", &SHORT_SESSION);
    let mut service = application.with(&["instance_id=0"]).start(&[]);
    service.wait_until_ready();
    let (code, log) = application.with(&["instance_id=1"]).run(&["--until-end"]);
    assert_eq!(code, 2, "{log}");
    assert!(log.contains(&format!("has other members: {}-0-000 at", application.name())), "{log}");
    assert!(log.contains("hint: stop all other instances"), "{log}");
    assert_eq!(service.running(), [0, 1, 2, 3]);
    assert!(!service.log().contains("revoked"), "{}", service.log());
    assert_eq!(service.terminate().code(), Some(0));
}

/// It would begin with changes where the others begin with a baseline.
#[test]
fn baseline_beside_an_instance_that_began_without_is_refused() {
    let application = Application::new("baseline-beside", &SHORT_SESSION);
    let mut service = application.with(&["instance_id=0"]).start(&[]);
    service.wait_until_ready();
    let (code, log) = application.with(&["instance_id=1"]).run(&["--baseline"]);
    assert_eq!(code, 2, "{log}");
    assert!(log.contains("--baseline begins everything, but the consumer group"), "{log}");
    assert!(log.contains("hint: stop all other instances"), "{log}");
    assert_eq!(service.terminate().code(), Some(0));
    // With one that says the same nobody is waited for.
    let mut services = ["instance_id=0", "instance_id=1"].map(|id| {
        let mut service = application.with(&[id]).start(&["--baseline"]);
        service.wait_until_ready();
        service
    });
    for service in &mut services {
        assert_eq!(service.terminate().code(), Some(0));
    }
}

#[test]
fn run_to_the_end_that_did_not_get_there_is_a_failure() {
    let workload = Workload::new(12, 2_000);
    let application = Application::new("not-all", &SMALL_STEPS).with(&SHORT_SESSION);
    let expected = replay(&application, &workload).changes;
    let held = workload.hold(&application, 0..workload.lines.len());
    let alone = application.with(&["instance_id=0"]);
    let mut run = alone.start(&["--until-end"]);
    run.wait_until_ready();
    assert_eq!(run.terminate().code(), Some(1));
    assert!(run.log().contains("stopped before the ends of the inputs"));

    let mut run = alone.start(&["--until-end"]);
    run.wait_until_ready();
    let late = application.with(&["instance_id=1"]);
    let mut other = late.start(&[]);
    wait_for_halves(&mut run, &mut other);
    held.commit_transaction(LONG).expect("commit");
    assert_eq!(run.wait_for_end().code(), Some(1));
    assert!(run.log().contains("has not finished partitions 2, 3"), "{}", run.log());
    assert_eq!(other.terminate().code(), Some(0));

    late.run_to_the_end(ADVANCE_TO);
    assert_same_changes(&by_customer(&committed_changes(&application)), &expected);
}

#[test]
fn run_to_the_end_gets_behind_markers_and_aborted_transactions() {
    let workload = Workload::new(17, 2_000);
    let lines = workload.lines.len();
    let application = Application::new("markers", &[]);
    let expected = replay(&application, &workload).changes;
    let aborted = workload.hold(&application, 0..lines / 2);
    aborted.abort_transaction(LONG).expect("abort");
    let committed = workload.hold(&application, 0..lines);
    committed.commit_transaction(LONG).expect("commit");
    let aborted = workload.hold(&application, lines / 2..lines);
    aborted.abort_transaction(LONG).expect("abort");
    // Nothing readable lies between the last order and the end, also not for a second run.
    for _ in 0..2 {
        application.run_to_the_end(ADVANCE_TO);
        assert_same_changes(&by_customer(&committed_changes(&application)), &expected);
    }
}
