//! What the program must not go on with: it ends, says why and what to do.
//!
//! Next: `outages.rs`.

use crate::admin::{
    add_partitions, create_topic, delete_group, delete_records, delete_topic, set_offset, set_topic,
};
use crate::crashes::SMALL_STEPS;
use crate::instances::LONG;
use crate::outputs::{assert_same_changes, by_customer, committed_changes, replay};
use crate::program::{Application, PARTITIONS};
use crate::records::{ReadRecord, produce, read_committed};
use crate::workload::{ADVANCE_TO, Formats, Workload};
use rdkafka::producer::Producer;

/// An application that has run to the end of some events and has left its group.
pub(crate) fn with_state(name: &str) -> Application {
    let application = Application::new(name, &["leave_on_stop=true", "rules.revision=2"]);
    Workload::new(8, 200).produce(&application, Formats::JSON);
    application.run_to_the_end(ADVANCE_TO);
    application
}

/// It ends with this code, and its log says all of this.
pub(crate) fn assert_refuses(application: &Application, code: i32, says: &[&str]) {
    let (found, log) = application.run(&[]);
    assert_eq!(found, code, "{log}");
    for text in says {
        assert!(log.contains(text), "it does not say {text:?}: {log}");
    }
}

#[test]
fn missing_topic_is_named_with_the_way_to_make_it() {
    let application = Application::new("missing", &[]);
    let topic = application.topic("customers");
    delete_topic(&application, &topic);
    let says = [format!("{topic:?}"), "ebbflow topics --config FILE --create".to_owned()];
    assert_refuses(&application, 2, &says.each_ref().map(String::as_str));
}

#[test]
fn unequal_partition_counts_are_told() {
    for name in ["purchases", "relay"] {
        let application = Application::new("unequal", &[]);
        let topic = application.topic(name);
        add_partitions(&application, &topic, 6);
        assert_refuses(&application, 2, &[&format!("{topic:?} has 6")]);
    }
}

#[test]
fn other_number_of_partitions_than_the_state_was_written_for_is_refused() {
    let application = with_state("repartitioned");
    for topic in [
        "interactions",
        "purchases",
        "relay",
        "state",
        "segment-changes",
        "customers",
        "dead-letters",
    ] {
        add_partitions(&application, &application.topic(topic), 6);
    }
    assert_refuses(
        &application,
        2,
        &["have 6 partitions", "written for 4", "hint: create new topics"],
    );
}

/// What a refusal has named as the way out leads out: everything is said again.
fn assert_rebuilds(application: &Application) {
    let before = committed_changes(application).len();
    let (code, log) = application.run(&["--rebuild", "--until-end", "--advance-to", ADVANCE_TO]);
    assert_eq!(code, 0, "{log}");
    assert_eq!(committed_changes(application).len(), 2 * before);
}

#[test]
fn group_without_offsets_is_not_begun_anew() {
    let application = with_state("no-offsets");
    delete_group(&application);
    assert_refuses(&application, 1, &["the consumer group has no offsets", "--rebuild"]);
    assert_rebuilds(&application);
}

#[test]
fn offsets_that_were_moved_by_hand_are_noticed() {
    let application = with_state("moved");
    set_offset(&application, &application.topic("purchases"), 2, 0);
    assert_refuses(&application, 1, &["partition 2", "disagree", "--rebuild"]);
    assert_rebuilds(&application);
}

#[test]
fn state_that_was_deleted_is_noticed() {
    let application = with_state("stateless");
    let topic = application.topic("state");
    delete_topic(&application, &topic);
    create_topic(&application, &topic, &[("cleanup.policy", "compact")]);
    assert_refuses(&application, 1, &["no progress record", "--rebuild"]);
    assert_rebuilds(&application);
}

#[test]
fn state_that_has_lost_its_beginning_is_noticed() {
    let application = with_state("half-a-state");
    let topic = application.topic("state");
    let records = read_committed(application.bootstrap(), &topic);
    // Up to behind the first customer that is not written again.
    let lost = records.iter().find(|record| {
        let again = |other: &ReadRecord| other.key == record.key && other != *record;
        !records.iter().any(again)
    });
    let lost = lost.expect("a customer that was written once");
    assert_ne!(lost.key.as_deref(), Some(&b"p"[..]));
    // Kafka deletes nothing of a compacted topic: it was none for a while.
    set_topic(&application, &topic, "cleanup.policy", "delete");
    delete_records(&application, &topic, lost.partition, lost.offset + 1);
    set_topic(&application, &topic, "cleanup.policy", "compact");
    let partition = format!("partition {}: the state topic has ", lost.partition);
    assert_refuses(&application, 1, &[&partition, "its progress names ", "--rebuild"]);
    assert_rebuilds(&application);
}

#[test]
fn state_that_is_not_compacted_is_refused_before_anything_is_read() {
    let application = with_state("not-compacted");
    set_topic(&application, &application.topic("state"), "cleanup.policy", "delete");
    assert_refuses(
        &application,
        2,
        &["state\" has cleanup.policy \"delete\"", "hint: set cleanup.policy=compact"],
    );
}

#[test]
fn input_that_has_lost_what_was_not_read_is_noticed() {
    let application = with_state("too-late");
    let topic = application.topic("purchases");
    Workload::new(9, 400).produce(&application, Formats::JSON);
    // What retention does while nobody reads: up to the end, and something came after it.
    let end = read_committed(application.bootstrap(), &topic)
        .iter()
        .filter(|record| record.partition == 2)
        .map(|record| record.offset + 1)
        .max()
        .expect("records");
    delete_records(&application, &topic, 2, end);
    let partition = format!("could not read topic {topic:?} partition 2");
    assert_refuses(&application, 1, &[&partition, "out of range", "ebbflow run --rebuild"]);
}

#[test]
fn lineage_that_was_deleted_is_noticed() {
    let application = with_state("no-lineage");
    assert_rebuilds(&application);
    let topic = application.topic("control");
    delete_topic(&application, &topic);
    create_topic(&application, &topic, &[("cleanup.policy", "compact")]);
    assert_refuses(&application, 1, &["is of lineage 2", "knows is 1", "--rebuild` 2 times"]);
}

#[test]
fn state_of_a_newer_version_is_left_alone_and_the_rest_goes_on() {
    let application = with_state("newer");
    let newer = |partition: u32| {
        let partition = i32::try_from(partition).expect("few");
        produce(
            application.bootstrap(),
            &application.topic("state"),
            partition,
            &[("p", "\u{7}{}")],
        );
    };
    let reason = "its state was written in version 7 by a newer program";
    newer(1);
    let mut started = application.start(&[]);
    started.wait_for("a task that it does not run", |process| {
        let tasks = process.tasks();
        let blocked = tasks.iter().filter(|task| task["state"] == "blocked");
        let all_but_one = process.running().len() + 1 == PARTITIONS as usize;
        (all_but_one && blocked.map(|task| &task["partition"]).eq([1])).then_some(())
    });
    let (status, text) = started.get("/readyz");
    assert_eq!((status, text.matches(reason).count()), (503, 1), "{text}");
    assert_eq!(started.terminate().code(), Some(0));
    (0..PARTITIONS).filter(|partition| *partition != 1).for_each(newer);
    assert_refuses(&application, 2, &[reason, "start with the newer rules or program"]);
}

#[test]
fn other_rules_need_a_higher_revision() {
    let application = with_state("other-rules");
    let other = application.with(&["lifecycle.live_gaps=3"]);
    assert_refuses(&other, 2, &["rules.revision", "revision 2 with hash"]);
}

#[test]
fn rate_of_a_later_day_may_be_added_and_an_earlier_one_not_changed() {
    let application = with_state("rates");
    let rate = |day: &str, rate: &str| format!("rates.USD.{day}=\"{rate}\"");
    let first = rate("2026-01-01", "0.9");
    let run = |settings: &[&str]| application.with(settings).run(&["--until-end"]);
    assert_eq!(run(&[&first]).0, 0, "a currency that was not known");
    Workload::new(9, 50).produce(&application, Formats::JSON);
    assert_eq!(run(&[&first]).0, 0);
    let later = rate("2099-01-01", "0.8");
    assert_eq!(run(&[&first, &later]).0, 0, "a later day");
    let (code, log) = run(&[&rate("2026-01-01", "0.91"), &later]);
    assert_eq!(code, 2, "{log}");
    assert!(log.contains("was computed with other rates (USD "), "{log}");
    assert_eq!(run(&[&first]).0, 0, "what has not decided may go");
}

#[test]
fn lower_rules_revision_leaves_the_state_alone_and_says_so() {
    let application = with_state("lower").with(&["rules.revision=1"]);
    for arguments in [&[][..], &["--until-end"]] {
        let (code, log) = application.run(arguments);
        assert_eq!(code, 2, "{log}");
        assert!(log.contains("was written by rules revision 2, this instance has 1"), "{log}");
    }
}

#[test]
fn of_two_processes_with_one_id_the_earlier_ends_under_load_and_says_why() {
    let workload = Workload::new(16, 9_000);
    let half = workload.lines.len() / 2;
    let application = Application::new("twins", &SMALL_STEPS);
    let expected = replay(&application, &workload).changes;
    let parts = [0..half, half..workload.lines.len()];
    let [first_half, second_half] = parts.map(|part| workload.hold(&application, part));
    let mut first = application.start(&[]);
    first.wait_until_ready();
    first_half.commit_transaction(LONG).expect("commit");
    first.wait_for_commits(3).expect("it goes on");
    let mut second = application.start(&[]);
    second_half.commit_transaction(LONG).expect("commit");
    assert_eq!(first.wait_for_end().code(), Some(1));
    assert!(first.log().contains("give each process its own instance_id"), "{}", first.log());
    second.wait_until_ready();
    assert_eq!(second.terminate().code(), Some(0));
    // Neither has lost or doubled anything of the other.
    application.run_to_the_end(ADVANCE_TO);
    assert_same_changes(&by_customer(&committed_changes(&application)), &expected);
}
