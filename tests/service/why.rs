//! `ebbflow why` against running instances: who answers, the whole history, and what is gone.
//!
//! Next: `src/why/mod.rs`.

use crate::admin::delete_records;
use crate::outputs::{committed_changes, string};
use crate::program::{Application, PARTITIONS, Program, poll_for, wait_until_read};
use crate::records::{produce, read_committed};
use crate::workload::{Formats, Workload};
use ebbflow::domain::id::partition_of;
use serde_json::Value;
use std::collections::BTreeMap;

/// Where an instance tells of customers.
fn admin_address(program: &mut Program) -> String {
    program.wait_for("the address", |program| {
        let log = program.log();
        let (_, rest) = log.split_once(" admin=")?;
        rest.split_whitespace().next().map(str::to_owned)
    })
}

/// Exit code, stdout and stderr.
fn why(application: &Application, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = application.output("why", arguments);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_customer_is_told_by_the_instance_that_has_them_with_all_that_is_kept() {
    let application = Application::new("why", &[]);
    let mut first = application.with(&["instance_id=0"]).start(&[]);
    let mut second = application.with(&["instance_id=1"]).start(&[]);
    first.wait_for("half of the partitions", |first| {
        (first.running().len() == 2 && second.running().len() == 2).then_some(())
    });
    let workload = Workload::new(21, 600);
    workload.produce(&application, Formats::JSON);
    wait_until_read(&mut [&mut first, &mut second], workload.lines.len());

    let mut changes: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for change in committed_changes(&application) {
        changes.entry(string(&change["customer_id"])).or_default().push(change);
    }
    let mine = first.running();
    let is_mine = |id: &str| mine.contains(&u64::from(partition_of(id, PARTITIONS)));
    let (id, told) = changes
        .iter()
        .filter(|(id, _)| !is_mine(id))
        .max_by_key(|(_, changes)| changes.len())
        .expect("somebody is at the second instance");
    let addresses = [admin_address(&mut first), admin_address(&mut second)];
    let both = addresses.join(",");
    let ask = |more: &[&str]| why(&application, &[&["--customer", id], more].concat());

    // Both are asked, one has the customer; every change is told, in the order of the log.
    let (code, text, errors) = ask(&["--history", "--instance", &both]);
    assert_eq!(code, Some(0), "{errors}");
    let head = format!("customer {id}, {} changes, as of ", told.len());
    assert!(text.starts_with(&head), "{text}");
    assert!(text.contains("\nlifecycle: "), "{text}");
    let (_, history) = text.split_once("history, from ").expect("a history");
    let lines: Vec<&str> = history.lines().skip(1).collect();
    assert_eq!(lines.len(), told.len(), "{text}");
    for (line, change) in lines.iter().zip(told) {
        assert!(line.contains(&string(&change["occurred_at"])), "{line} is not {change}");
        assert!(line.contains(&string(&change["summary"])), "{line} is not {change}");
        let current = change["current"].as_str().unwrap_or("nothing");
        assert!(line.contains(&format!(" -> {current} ")), "{line} is not {change}");
    }

    // The wrong one alone says who it is, once the group has told it.
    let owner = format!("is at \"{}-1-000\", not here", application.name());
    let said = poll_for(|| {
        let (code, _, errors) = ask(&["--instance", &addresses[0]]);
        assert_eq!(code, Some(1), "{errors}");
        errors.contains(&owner).then_some(errors)
    });
    let said = said.expect("the owner is known");
    assert!(said.contains("hint: name that instance's http.admin_listen"), "{said}");
    let (code, _, errors) = why(&application, &["--customer", "nobody", "--instance", &both]);
    assert_eq!(code, Some(3), "{errors}");
    assert!(errors.contains("customer nobody is not known: never seen, or erased"), "{errors}");

    // What retention has removed is said, and from when on there is something.
    let topic = application.topic("segment-changes");
    let partition = i32::try_from(partition_of(id, PARTITIONS)).expect("few");
    let records = read_committed(application.bootstrap(), &topic);
    let first_own = records.iter().find(|record| record.key.as_deref() == Some(id.as_bytes()));
    let first_own = first_own.expect("a change of the customer").offset;
    delete_records(&application, &topic, partition, first_own + 1);
    let (code, text, errors) = ask(&["--history", "--instance", &both]);
    assert_eq!(code, Some(0), "{errors}");
    let gone = format!("(change 1 is no longer there: \"{topic}\" partition {partition} reaches");
    assert!(text.contains(&gone), "{text}");
    let kept = text.lines().filter(|line| line.contains(" -> ")).count();
    assert_eq!(kept, told.len() - 1, "{text}");

    // Erased: nothing is told, but that and when.
    let erase = format!(
        r#"{{"event_id":"erase","kind":"erase_requested","customer_id":"{id}","occurred_at":"2025-12-01T00:00:00Z"}}"#
    );
    let topic = application.topic("interactions");
    produce(application.bootstrap(), &topic, partition, &[(id, &erase)]);
    let erased = poll_for(|| {
        let (code, text, errors) = ask(&["--history", "--instance", &both]);
        assert!(code == Some(3) || !text.is_empty(), "{errors}");
        (code == Some(3)).then_some(errors)
    });
    let erased = erased.expect("the customer is erased");
    assert!(erased.contains(&format!("customer {id} was erased on ")), "{erased}");

    // One who is at the beginning everywhere has nothing to close: the mark tells of the erase.
    let answer = r#"{"event_id":"b-1","kind":"survey_answered","customer_id":"back","occurred_at":"2020-01-01T00:00:00Z","survey":"nps","score":5}"#;
    let erase = r#"{"event_id":"b-2","kind":"erase_requested","customer_id":"back","occurred_at":"2025-12-01T00:00:00Z"}"#;
    let partition = i32::try_from(partition_of("back", PARTITIONS)).expect("few");
    let history = || why(&application, &["--customer", "back", "--history", "--instance", &both]);
    produce(application.bootstrap(), &topic, partition, &[("back", answer)]);
    let expired = poll_for(|| history().1.contains("detractor -> unknown").then_some(()));
    assert!(expired.is_some(), "{:?}", history());
    produce(application.bootstrap(), &topic, partition, &[("back", erase)]);
    let erased = poll_for(|| Some(history()).filter(|(code, ..)| *code == Some(3)));
    let (_, told, errors) = erased.expect("the customer is erased");
    assert_eq!(told, "");
    assert!(errors.contains("customer back was erased; what was told"), "{errors}");

    assert_eq!(second.terminate().code(), Some(0));
    let (code, _, errors) = ask(&["--instance", &addresses[1]]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("cannot be reached"), "{errors}");

    // Nobody answers: the changes of somebody else are told all the same.
    let other = changes.keys().find(|other| *other != id).expect("somebody else");
    let away = ["--customer", other, "--history", "--instance", &addresses[1]];
    let (code, text, errors) = why(&application, &away);
    assert_eq!(code, Some(1), "{errors}");
    assert!(text.starts_with("history, from ") && text.contains(" -> "), "{text}");
    assert!(errors.contains("cannot be reached"), "{errors}");
    assert_eq!(first.terminate().code(), Some(0));
}
