//! `--rebuild` and `--baseline`: state computed anew, and state told for the first time.
//!
//! Next: `letters.rs`.

use crate::admin::delete_records;
use crate::crashes::SMALL_STEPS;
use crate::instances::SHORT_SESSION;
use crate::outputs::{
    assert_same_changes, by_customer, committed_changes, committed_profiles, replay, replay_with,
    string,
};
use crate::program::Application;
use crate::records::read_committed;
use crate::workload::{ADVANCE_TO, Formats, Line, Workload};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A customer whose only event is the first record of a log.
const FORGOTTEN: &str = "c-forgotten";

fn forgotten_order() -> Line {
    Line {
        topic: "purchases",
        customer: FORGOTTEN.to_owned(),
        text: format!(
            r#"{{"event_id":"e-forgotten","kind":"order_completed","customer_id":"{FORGOTTEN}",
            "occurred_at":"2024-01-01T00:00:00Z","order_id":"o-forgotten","amount_minor":990,
            "currency":"EUR"}}"#
        )
        .replace('\n', ""),
        readable: true,
    }
}

/// What came after these changes.
fn after(first: &[Value], both: Vec<Value>) -> Vec<Value> {
    let mut of_first: BTreeMap<String, usize> = BTreeMap::new();
    for change in first {
        *of_first.entry(string(&change["customer_id"])).or_default() += 1;
    }
    let mut second = both;
    second.retain(|change| {
        let left = of_first.entry(string(&change["customer_id"])).or_default();
        let skipped = *left > 0;
        *left = left.saturating_sub(1);
        !skipped
    });
    second
}

/// Begins a rebuild and kills it before it has deleted anything, and in the middle of that; who
/// goes on with it says nothing of a baseline.
fn killed_rebuild(application: &Application, arguments: &[&str]) {
    let mut program = application.start(arguments);
    program.wait_for_log("a new lineage begins lineage=2");
    program.kill();
    for _ in 0..3 {
        let mut program = application.start(&["--until-end"]);
        let deleting = "deleting the earlier lineage";
        let reached = program
            .wait_unless_ended(deleting, |program| program.log().contains(deleting).then_some(()));
        if reached.is_none() {
            return;
        }
        program.kill();
    }
}

#[test]
fn rebuild_that_is_killed_while_it_deletes_ends_right() {
    let workload = Workload::new(14, 3_000);
    let application = Application::new("purge-killed", &SMALL_STEPS).with(&SHORT_SESSION);
    let expected = replay(&application, &workload);
    workload.produce(&application, Formats::JSON);
    application.run_to_the_end(ADVANCE_TO);
    let first = committed_changes(&application);
    killed_rebuild(&application, &["--rebuild", "--until-end"]);
    application.run_to_the_end(ADVANCE_TO);
    let second = after(&first, committed_changes(&application));
    assert_same_changes(&by_customer(&second), &expected.changes);
    let profiles = committed_profiles(&application);
    assert!(profiles.keys().eq(expected.profiles.keys()));
}

#[test]
fn rebuild_with_a_baseline_stays_one_whoever_goes_on_with_it() {
    let workload = Workload::new(15, 3_000);
    let application = Application::new("purge-baseline", &SMALL_STEPS).with(&SHORT_SESSION);
    let expected = replay_with(&application, &workload, &[]);
    workload.produce(&application, Formats::JSON);
    application.run_to_the_end(ADVANCE_TO);
    let first = committed_changes(&application);
    killed_rebuild(&application, &["--rebuild", "--baseline", "--until-end"]);
    let (code, log) = application.run(&["--until-end"]);
    assert_eq!(code, 0, "{log}");
    let second = after(&first, committed_changes(&application));
    assert_eq!(told_once(&second, "baseline-2"), values(&expected.profiles));

    // Without a baseline it was said to begin, or it has begun.
    let other = Application::new("begun-without", &["leave_on_stop=true"]);
    workload.produce(&other, Formats::JSON);
    other.run_to_the_end(ADVANCE_TO);
    let (code, log) = other.run(&["--baseline"]);
    assert_eq!(code, 2, "{log}");
    assert!(log.contains("--baseline is for a first start"), "{log}");
    assert!(log.contains("hint: add --rebuild"), "{log}");
}

#[test]
fn rebuild_says_everything_again_and_forgets_what_the_inputs_have_forgotten() {
    let mut workload = Workload::new(6, 3_000);
    let application = Application::new("rebuilt", &["profiles.on=touch"]);
    let expected = replay(&application, &workload);
    let line = forgotten_order();
    let partition = i32::try_from(line.partition()).expect("few partitions");
    workload.lines.insert(0, line);
    workload.produce(&application, Formats::JSON);
    application.run_to_the_end(ADVANCE_TO);
    let first = committed_changes(&application);
    assert!(committed_profiles(&application).contains_key(FORGOTTEN));

    delete_records(&application, &application.topic("purchases"), partition, 1);
    let (code, log) = application.run(&["--rebuild", "--until-end", "--advance-to", ADVANCE_TO]);
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("a new lineage begins lineage=2"), "{log}");
    // The ids of both lineages together are distinct.
    let second = after(&first, committed_changes(&application));
    assert_same_changes(&by_customer(&second), &expected.changes);
    let profiles = committed_profiles(&application);
    assert_eq!(
        profiles.keys().collect::<BTreeSet<_>>(),
        expected.profiles.keys().collect::<BTreeSet<_>>()
    );

    // What was rebuilt is gone on with, not rebuilt again.
    let changes = committed_changes(&application).len();
    application.run_to_the_end(ADVANCE_TO);
    assert_eq!(committed_changes(&application).len(), changes);
}

#[test]
fn baseline_tells_every_present_value_once_also_when_killed_in_the_middle() {
    let workload = Workload::new(7, 6_000);
    // All tasks begin at once, and every customer takes a transaction.
    let slow = ["timers.per_round=1", "commit.max_bytes=1024"];
    let application = Application::new("baseline", &SMALL_STEPS).with(&slow);
    let expected = replay_with(&application, &workload, &[]);
    workload.produce(&application, Formats::JSON);

    let topic = application.topic("segment-changes");
    let some_told =
        |at_least: usize| read_committed(application.bootstrap(), &topic).len() >= at_least;
    let mut program = application.start(&["--baseline", "--until-end"]);
    program.wait_for("some values", |_| some_told(10).then_some(()));
    program.kill();
    let told = committed_changes(&application).len();
    let (code, log) = application.run(&["--until-end"]);
    assert_eq!(code, 0, "{log}");

    let changes = committed_changes(&application);
    assert!(told < changes.len(), "it was killed too late: all {told} were told");
    assert_eq!(told_once(&changes, "baseline-1"), values(&expected.profiles));

    // From then on changes are news.
    application.run_to_the_end(ADVANCE_TO);
    let after = committed_changes(&application).split_off(0);
    assert!(after.len() > changes.len());
    let later = after.iter().filter(|change| change["cause"]["kind"] != "baseline");
    assert!(later.clone().count() == after.len() - changes.len());
    for change in later {
        assert!(change["previous"].is_string(), "{change}");
        assert_eq!(change["backfill"], false, "{change}");
    }
}

/// What a baseline told: every value of a customer and dimension once, all of it by one run.
fn told_once(changes: &[Value], run_id: &str) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    for change in changes {
        let cause = &change["cause"]["kind"];
        assert_eq!(cause, "baseline", "{change}");
        assert_eq!(change["previous"], Value::Null, "{change}");
        assert_eq!(change["backfill"], true, "{change}");
        assert_eq!(change["actionable"], false, "{change}");
        assert_eq!(change["run_id"], run_id, "{change}");
        let key = (string(&change["customer_id"]), string(&change["dimension"]));
        let doubled = found.insert(key, string(&change["current"]));
        assert_eq!(doubled, None, "{change}");
    }
    found
}

/// By customer and dimension, every value that is not the initial one; engagement is not written.
fn values(profiles: &BTreeMap<String, Value>) -> BTreeMap<(String, String), String> {
    let mut values = BTreeMap::new();
    for (customer, profile) in profiles {
        let dimensions = profile["dimensions"].as_object().expect("an object");
        for (dimension, told) in dimensions.iter().filter(|(name, _)| *name != "engagement") {
            let value = string(&told["value"]);
            if !["none", "awareness", "prospect", "unknown", "out"].contains(&value.as_str()) {
                values.insert((customer.clone(), dimension.clone()), value);
            }
        }
    }
    values
}
