//! Blocks of the documents that tests make: between `<!-- begin NAME -->` and `<!-- end NAME -->`.
//!
//! A block that is not as it should be fails its test; `UPDATE_DOCS=1 cargo test --test readme
//! --test dimensions` writes them all anew. Next: `tests/readme.rs`, `tests/dimensions.rs`.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// One test writes a document at a time.
static WRITING: Mutex<()> = Mutex::new(());

/// A file of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file of the project.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands between the two marks of a name.
pub(crate) fn between<'a>(document: &'a str, name: &str) -> &'a str {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let from = document.find(&begin).unwrap_or_else(|| panic!("no {begin:?}")) + begin.len();
    let until = document[from..].find(&end).unwrap_or_else(|| panic!("no {end:?}"));
    document[from..from + until].trim_matches('\n')
}

/// Insists that a block is as expected, or writes it when asked to.
#[expect(clippy::disallowed_methods, reason = "how a test is asked to write")]
pub(crate) fn check_block(path: &str, name: &str, expected: &str) {
    let _writing = WRITING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let document = text(path);
    let shown = between(&document, name);
    if shown == expected {
        return;
    }
    if std::env::var("UPDATE_DOCS").is_ok() {
        let begin = format!("<!-- begin {name} -->\n");
        let from = document.find(&begin).expect("found before") + begin.len();
        let until = from + document[from..].find("<!-- end").expect("found before");
        let written = format!("{}{expected}\n{}", &document[..from], &document[until..]);
        // Others read it meanwhile: it is there whole, before and after.
        let beside = project(&format!("{path}.new"));
        std::fs::write(&beside, written).expect("the document can be written");
        std::fs::rename(beside, project(path)).expect("the document can be replaced");
        return;
    }
    panic!("{path}: \"{name}\" should be (UPDATE_DOCS=1 writes it)\n\n{expected}\n");
}

/// The changes that `ebbflow replay` writes with these arguments.
pub(crate) fn replayed(arguments: &[&str]) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_ebbflow"))
        .arg("replay")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_clear()
        .output()
        .expect("the binary runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !errors.contains("dead letter:"), "{errors}");
    let lines = String::from_utf8(output.stdout).expect("output is UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("a change is JSON")).collect()
}
