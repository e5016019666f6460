//! One application id used twice by mistake: who else is there is named.
//!
//! Next: `refusals.rs`, where nobody else is there.

use crate::admin::{await_no_members, create_topic, delete_group};
use crate::instances::SHORT_SESSION;
use crate::program::{Application, Program};
use crate::refusals::{assert_refuses, with_state};
use crate::workload::{Formats, Workload};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::time::Duration;

/// Waits until `/readyz` and the log name somebody.
fn wait_until_named(program: &mut Program, says: &str) {
    program.wait_for(says, |program| {
        let (status, reasons) = program.get("/readyz");
        (status == 503 && reasons.contains(says)).then_some(())
    });
    let log = program.log();
    assert!(log.contains(says) && log.contains("give each its own application_id"), "{log}");
}

#[test]
fn two_deployments_with_other_topics_name_each_other() {
    let leaves = ["leave_on_stop=true"];
    let first = Application::new("deployment", &leaves).with(&SHORT_SESSION);
    let second = Application::new("other-deployment", &leaves).with(&SHORT_SESSION);
    let same = format!("application_id={}", first.name());
    let mut running = first.start(&[]);
    running.wait_until_ready();
    let mut other = second.with(&[&same, "instance_id=other"]).start(&[]);
    wait_until_named(&mut running, &format!("{}-other-000 at ", first.name()));
    wait_until_named(&mut other, &format!("which reads \"{}", first.topic("")));
    assert_eq!(other.terminate().code(), Some(0));
    running.wait_until_ready();
    assert!(running.log().contains("has no strangers any more"), "{}", running.log());
    assert_eq!(running.terminate().code(), Some(0));
}

/// Each begins where the other has not committed yet, so neither is refused anything before one
/// has gone. The topics have more partitions than the configuration says.
#[test]
fn two_deployments_with_the_same_inputs_name_each_other_and_are_parted() {
    let first = Application::new("twice", &SHORT_SESSION);
    let second = first.with(&["topics.state=twice-state", "instance_id=1"]);
    second.create_topics();
    let [first, second] = [first, second].map(|it| it.with(&["topics.partitions=1"]));
    let mut programs = [first.start(&[]), second.start(&[])];
    for program in &mut programs {
        program.wait_for("its half of the partitions", |program| {
            (program.tasks().len() == 2).then_some(())
        });
    }
    Workload::new(30, 400).produce(&first, Formats::JSON);
    let [running, other] = &mut programs;
    let [state, other_state] = ["state", "twice-state"].map(|name| first.topic(name));
    wait_until_named(running, &format!("-1-000, whose state topic is {other_state:?}"));
    wait_until_named(other, &format!("-0-000, whose state topic is {state:?}"));
    assert!(running.log().contains("has offsets committed by"), "{}", running.log());

    // What the other has committed stays when it has gone: what the sentence says has to help.
    assert_eq!(other.terminate().code(), Some(0));
    assert_eq!(running.wait_for_end().code(), Some(1));
    assert!(running.log().contains("delete the group and run"), "{}", running.log());
    assert_refuses(&first, 1, &["stop all instances", "delete the group and run `ebbflow run"]);
    await_no_members(&first);
    delete_group(&first);
    let (code, log) = first.run(&["--rebuild", "--until-end"]);
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("a new lineage begins lineage=2"), "{log}");
}

#[test]
fn another_program_in_the_group_is_named() {
    let application = Application::new("mixed", &["leave_on_stop=true"]);
    let topic = application.topic("unrelated");
    create_topic(&application, &topic, &[]);
    let mut program = application.start(&[]);
    program.wait_until_ready();
    let stranger: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", application.bootstrap())
        .set("group.id", application.name())
        .set("client.id", "report")
        .set("partition.assignment.strategy", "range")
        .create()
        .expect("make a consumer");
    stranger.subscribe(&[&topic]).expect("subscribe");
    program.wait_for("the stranger's name", |program| {
        drop(stranger.poll(Duration::from_millis(50)));
        program.get("/readyz").1.contains("report at /127.0.0.1").then_some(())
    });
    assert!(program.log().contains("which is another program"), "{}", program.log());
    drop(stranger);
    program.wait_until_ready();
    assert_eq!(program.terminate().code(), Some(0));
}

#[test]
fn deployment_that_keeps_its_state_elsewhere_is_not_taken_for_a_lost_state() {
    let application = with_state("elsewhere");
    let other = application.with(&["topics.state=other-state"]);
    other.create_topics();
    let member = format!("committed by \"{}-0-000\"", application.name());
    let topics = [application.topic("state"), application.topic("other-state")];
    let topics = format!("is {:?}, not {:?}", topics[0], topics[1]);
    assert_refuses(&other, 1, &[&member, &topics, "the same application_id"]);
    let (code, log) = application.run(&["--until-end"]);
    assert_eq!(code, 0, "{log}");
}
