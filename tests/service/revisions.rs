//! Rules that change while the state stays: judged anew, refused, or run by nobody here.
//!
//! Next: `lineages.rs`, where the state does not stay.

use crate::instances::SHORT_SESSION;
use crate::outputs::{committed_changes, string};
use crate::program::{Application, poll_for};
use crate::workload::{ADVANCE_TO, Formats, Workload};
use serde_json::Value;
use std::collections::BTreeMap;

/// The second revision, which gives many customers another `rfm`.
const SECOND: [&str; 2] = ["rules.revision=2", "rfm.frequency=[1, 1, 2, 3]"];

/// What is told of each customer and dimension last.
fn last_told(changes: &[Value]) -> BTreeMap<(String, String), String> {
    let key = |change: &Value| (string(&change["customer_id"]), string(&change["dimension"]));
    changes.iter().map(|change| (key(change), string(&change["current"]))).collect()
}

#[test]
fn second_revision_judges_everybody_and_the_first_is_refused_from_then_on() {
    let workload = Workload::of(16, 600, 40);
    let application = Application::new("revisions", &[]);
    workload.produce(&application, Formats::JSON);
    application.run_to_the_end(ADVANCE_TO);
    let first = committed_changes(&application);
    let second = application.with(&SECOND);
    second.run_to_the_end(ADVANCE_TO);
    let both = committed_changes(&application);
    let by_rules: Vec<&Value> =
        both.iter().filter(|change| change["cause"]["kind"] == "rules").collect();
    assert!(!by_rules.is_empty() && by_rules.len() == both.len() - first.len());
    for change in &by_rules {
        assert_eq!(change["dimension"], "rfm", "{change}");
        assert_eq!(change["rule"]["revision"], 2, "{change}");
        assert_eq!((&change["backfill"], &change["actionable"]), (&true.into(), &false.into()));
        assert_eq!(change["run_id"], "rules-2", "{change}");
        assert_ne!(change["previous"], change["current"], "{change}");
    }

    // Whoever begins with these rules is told the same in the end.
    let anew = Application::new("revised", &SECOND);
    workload.produce(&anew, Formats::JSON);
    anew.run_to_the_end(ADVANCE_TO);
    assert_eq!(last_told(&both), last_told(&committed_changes(&anew)));

    let refused = |application: &Application, arguments: &[&str], texts: &[&str]| {
        let (code, log) = application.run(arguments);
        assert_eq!(code, 2, "{log}");
        for text in texts {
            assert!(log.contains(text), "{text:?} is not in {log}");
        }
    };
    let older = "its state was written by rules revision 2, this instance has 1";
    refused(&application, &["--until-end"], &["is not run here", older]);
    refused(&application, &[], &[older, "none of the tasks can be run here", "newer rules"]);
    let other = second.with(&["rfm.frequency=[1, 2, 2, 3]"]);
    let same = "this instance has the same revision with hash";
    refused(&other, &[], &[same, "raise rules.revision"]);
    let fold = second.with(&["rules.revision=3", "engagement.daily_cap=7"]);
    refused(
        &fold,
        &[],
        &["revision 3 changes what events leave behind", "`ebbflow run --rebuild`"],
    );
    let (code, log) = fold.run(&["--rebuild", "--until-end"]);
    assert_eq!(code, 0, "{log}");
}

/// What newer rules have judged does not come back to an instance with older ones: it goes on with
/// the rest, and says so.
#[test]
fn instance_with_older_rules_leaves_tasks_to_newer_ones_and_is_not_ready() {
    let workload = Workload::of(17, 600, 40);
    let application = Application::new("older-rules", &["leave_on_stop=true"]).with(&SHORT_SESSION);
    workload.produce(&application, Formats::JSON);
    let mut older = application.with(&["instance_id=0"]).start(&[]);
    older.wait_for_commits(1).expect("it goes on");
    let mut newer = application.with(&["instance_id=1"]).with(&SECOND).start(&[]);
    let judged = poll_for(|| {
        let tasks = newer.tasks();
        // It has written progress of its own, and nobody is left to judge.
        let done =
            |task: &&Value| !task["last_commit_at"].is_null() && task["reevaluation"].is_null();
        let partitions = tasks.iter().filter(done).filter_map(|task| task["partition"].as_u64());
        let partitions: Vec<u64> = partitions.collect();
        (partitions.len() == 2).then_some(partitions)
    });
    let judged = judged.expect("the newer one has committed with its rules");
    assert_eq!(newer.terminate().code(), Some(0));
    older.wait_for("tasks that it does not run", |older| {
        let blocked: Vec<u64> = older
            .tasks()
            .iter()
            .filter(|task| task["state"] == "blocked")
            .filter_map(|task| task["partition"].as_u64())
            .collect();
        (blocked == judged).then_some(())
    });
    let (status, text) = older.get("/readyz");
    assert_eq!(status, 503, "{text}");
    let reason = "its state was written by rules revision 2, this instance has 1";
    assert_eq!(text.matches(reason).count(), 2, "{text}");
    assert_eq!(older.running().len(), 2);
    assert_eq!(older.terminate().code(), Some(0));
}
