//! `ebbflow why` over what `replay` wrote, and the examples of docs/http.md.
//!
//! Next: `src/why/mod.rs`.

use crate::{TemporaryFile, ebbflow, text};
use insta::assert_snapshot;
use serde_json::Value;

const DOCUMENT: &str = include_str!("../../docs/http.md");

/// The block behind `<!-- begin NAME -->`, without its fences.
fn block(name: &str) -> &'static str {
    let begin = format!("<!-- begin {name} -->");
    let (_, rest) = DOCUMENT.split_once(&begin).expect("the block is there");
    let (block, _) = rest.split_once("<!-- end ").expect("the block ends");
    let (_, inner) = block.split_once('\n').expect("a line");
    let (_, inner) = inner.split_once('\n').expect("the fence");
    let (inner, _) = inner.split_once("```").expect("the other fence");
    inner
}

/// What `replay` makes of the events of the document: profiles and changes.
fn replayed(name: &str) -> (TemporaryFile, TemporaryFile) {
    let events = TemporaryFile::new(&format!("{name}-events.jsonl"), block("example-events"));
    let profiles = TemporaryFile::new(&format!("{name}-profiles.jsonl"), "");
    let changes = TemporaryFile::new(&format!("{name}-changes.jsonl"), "");
    let output = ebbflow(&[
        "replay",
        "--now",
        "2026-06-01T00:00:00Z",
        "--advance-to",
        "2026-06-01T00:00:00Z",
        "--customers",
        profiles.path(),
        "--changes",
        changes.path(),
        events.path(),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    (profiles, changes)
}

/// Exit code, stdout and stderr.
fn why(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = ebbflow(&[&["why"], arguments].concat());
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_profile_of_the_document_is_what_its_events_make() {
    let (profiles, _) = replayed("document");
    let written = std::fs::read_to_string(profiles.path()).expect("a profile");
    let made: Value = serde_json::from_str(&written).expect("JSON");
    let shown: Value = serde_json::from_str(block("example-profile")).expect("JSON");
    let fresh = serde_json::to_string_pretty(&made).expect("JSON");
    assert_eq!(shown, made, "the document should have:\n{written}\n{fresh}");
}

#[test]
fn why_of_the_document_is_what_the_command_prints() {
    let (profiles, changes) = replayed("why");
    let (profiles, changes) = (profiles.path(), changes.path());
    let from = ["--replay", profiles, "--replay", changes, "--customer", "c-1"];
    let (code, told, errors) = why(&[&from[..], &["--history"]].concat());
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(told, block("example-why"), "the document should have:\n{told}");
    // Without the changes, and the changes alone.
    let (_, sheet, _) = why(&from);
    assert!(told.starts_with(&sheet) && sheet.len() < told.len(), "{sheet}");
    let only = ["--replay", changes, "--customer", "c-1", "--history"];
    let (code, history, _) = why(&only);
    assert_eq!(code, Some(0));
    assert!(told.ends_with(&history) && history.starts_with("history, from "), "{history}");
}

#[test]
fn a_folder_is_read_and_other_files_in_it_do_no_harm() {
    let folder = std::env::temp_dir().join(format!("ebbflow-why-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (profiles, changes) = replayed("folder");
    std::fs::copy(profiles.path(), folder.join("profiles.jsonl")).expect("a copy");
    std::fs::copy(changes.path(), folder.join("changes.jsonl")).expect("a copy");
    std::fs::write(folder.join("events.jsonl"), block("example-events")).expect("events");
    std::fs::write(folder.join("notes.txt"), "no JSON").expect("notes");
    let path = folder.to_str().expect("UTF-8");
    let (code, told, errors) = why(&["--replay", path, "--customer", "c-1", "--history"]);
    std::fs::remove_dir_all(&folder).expect("the folder goes");
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(told, block("example-why"));
}

#[test]
fn who_is_not_known_or_erased_exits_with_3() {
    let (profiles, changes) = replayed("unknown");
    let nobody = ["--replay", profiles.path(), "--customer", "nobody"];
    let (code, told, errors) = why(&nobody);
    assert_eq!((code, told.as_str()), (Some(3), ""));
    let expected = "ebbflow: customer nobody is not known: never seen, or erased long ago\n";
    assert_eq!(errors, expected);
    drop((profiles, changes));

    let erase = r#"{"event_id":"e-9","kind":"erase_requested","customer_id":"c-1","occurred_at":"2026-05-01T10:00:00Z"}"#;
    let events = format!("{}{erase}\n", block("example-events"));
    let events = TemporaryFile::new("erased-events.jsonl", &events);
    let changes = TemporaryFile::new("erased-changes.jsonl", "");
    let replay = ["replay", "--changes", changes.path(), events.path()];
    assert_eq!(ebbflow(&replay).status.code(), Some(0));
    let (code, told, errors) = why(&["--replay", changes.path(), "--customer", "c-1", "--history"]);
    assert_eq!((code, told.as_str()), (Some(3), ""));
    assert_snapshot!(errors, @"ebbflow: customer c-1 was erased on 2026-05-01 10:00 UTC; what was told before is not shown");
}

#[test]
fn what_cannot_be_asked_exits_with_2_and_who_does_not_answer_with_1() {
    let (profiles, changes) = replayed("usage");
    let (profiles, changes) = (profiles.path(), changes.path());
    let long = "c".repeat(257);
    for arguments in [
        &[][..],
        &["--customer", ""],
        &["--customer", &long],
        &["--customer", "c-1", "--replay", "no-such-file.jsonl"],
        // No lines that replay writes; no profile, and no changes asked for.
        &["--customer", "c-1", "--replay", "Cargo.toml"],
        &["--customer", "c-1", "--replay", changes],
        &["--customer", "c-1", "--replay", profiles, "--instance", "127.0.0.1:1"],
        &["--customer", "c-1", "--instance", "http://[broken"],
        &["--customer", "c-1", "--set", "http.admin_listen=127.0.0.1:0"],
    ] {
        let (code, told, errors) = why(arguments);
        assert_eq!((code, told.as_str()), (Some(2), ""), "{arguments:?}: {errors}");
    }
    // An address that is given needs none in the configuration.
    let away = ["--instance", "127.0.0.1:1", "--set", "http.admin_listen=127.0.0.1:0"];
    let (code, told, errors) = why(&[&["--customer", "c-1"], &away[..]].concat());
    assert_eq!((code, told.as_str()), (Some(1), ""), "{errors}");
    assert!(errors.contains("no answer about customer c-1: 127.0.0.1:1: cannot be reached"));
    assert_eq!(errors.matches("hint: ").count(), 1, "{errors}");
}
