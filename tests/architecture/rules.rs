//! What the code must not do, as functions from a path and its text to problems.
//!
//! Each rule is shown to fail in `tests/architecture.rs`. Next: that file.

use crate::source::{is_word, line_of, lines_with, word};

/// Who may import whom. A module that is not here may not exist.
pub(crate) const IMPORTS: [(&str, &[&str]); 17] = [
    ("mutation", &[]),
    ("domain", &["mutation"]),
    ("task", &["domain", "mutation"]),
    ("codec", &["domain"]),
    ("config", &["domain"]),
    ("metrics", &["domain"]),
    ("logging", &["config"]),
    ("runtime", &["domain", "task", "codec", "config", "metrics", "mutation"]),
    ("kafka", &["domain", "config", "metrics", "runtime"]),
    ("registry", &["domain", "codec", "config", "metrics", "runtime"]),
    ("http", &["domain", "config", "metrics", "runtime"]),
    ("service", &BELOW_SERVICE),
    ("replay", &["domain", "task", "codec", "config", "metrics", "runtime"]),
    ("why", &["domain", "codec", "config", "runtime", "kafka", "registry"]),
    ("demo", &BELOW_CLI),
    ("cli", &BELOW_CLI),
    ("main", &["cli", "logging", "service"]),
];

const BELOW_SERVICE: [&str; 9] =
    ["domain", "task", "codec", "config", "metrics", "runtime", "kafka", "registry", "http"];

const BELOW_CLI: [&str; 14] = [
    "domain", "task", "codec", "config", "metrics", "runtime", "kafka", "registry", "http",
    "logging", "service", "replay", "demo", "why",
];

/// What may be named only in some places: the text, where it is at home, why.
const AT_HOME: [(&str, &[&str], &str); 20] = [
    ("rdkafka", &["src/kafka/"], "the other modules know the Broker trait"),
    ("axum", &["src/http/"], "the other modules know no HTTP"),
    ("tokio", &TOKIO, "workers are threads"),
    ("prometheus", &["src/metrics/"], "metrics are named in one place"),
    ("ureq", &ASKING, "the other modules ask nobody over HTTP"),
    ("::now(", &["src/runtime/clock.rs"], "time is an argument"),
    ("SystemTime", &["src/runtime/clock.rs"], "time is an argument"),
    ("Instant", &["src/runtime/clock.rs"], "time is an argument"),
    ("env::var", &["src/config/load.rs"], "the environment is read in one place"),
    ("env::vars", &["src/config/load.rs"], "the environment is read in one place"),
    ("env::var_os", &["src/config/load.rs"], "the environment is read in one place"),
    ("env::vars_os", &["src/config/load.rs"], "the environment is read in one place"),
    ("thread::sleep", &["src/kafka/"], "Broker::wait ends when there is work"),
    ("process::exit", &["src/main.rs"], "main decides the exit code"),
    ("unsafe", &AUDITED, "one module is audited"),
    ("println!", &["src/cli", "src/main.rs"], "logs go to stderr, data through a writer"),
    ("print!", &["src/cli", "src/main.rs"], "logs go to stderr, data through a writer"),
    ("eprintln!", &["src/cli", "src/main.rs"], "logs go through tracing"),
    ("eprint!", &["src/cli", "src/main.rs"], "logs go through tracing"),
    ("dbg!", &[], "it is for debugging"),
];

/// Pointers into librdkafka's memory, and what Miri calls in its place.
const AUDITED: [&str; 2] = ["src/kafka/batch.rs", "src/kafka/batch/stand_in.rs"];

/// The schema registry; and running instances, for people who ask about a customer.
const ASKING: [&str; 2] = ["src/registry", "src/why/instance.rs"];

/// Servers and signals; and administrative requests, which rdkafka offers as futures only.
const TOKIO: [&str; 5] =
    ["src/http/", "src/service", "src/cli", "src/main.rs", "src/kafka/topic_settings.rs"];

/// What the pure modules must not even name.
const IMPURE: [&str; 10] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "tracing",
    "rand",
    "RandomState",
    "OsRng",
    "thread_rng",
];

/// Modules that are functions of their arguments.
const PURE: [&str; 3] = ["src/domain/", "src/task/", "src/codec/"];

/// Top-level modules that the code of a file in `src` names, with their lines.
pub(crate) fn imports(path: &str, code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let roots: &[&str] =
        if path == "src/main.rs" { &["crate::", "ebbflow::"] } else { &["crate::"] };
    for root in roots {
        for (at, _) in code.match_indices(root) {
            let continues = code[..at].chars().next_back();
            if continues.is_some_and(|character| is_word(character) || character == '$') {
                continue;
            }
            let line = line_of(code, at);
            let names = names_after(&code[at + root.len()..]);
            found.extend(names.into_iter().map(|name| (line, name)));
        }
    }
    let climb = "super::".repeat(depth(path));
    for (at, _) in code.match_indices(&climb) {
        let rest = &code[at + climb.len()..];
        if !code[..at].ends_with("::") && !rest.starts_with("super::") {
            let names = names_after(rest);
            found.extend(names.into_iter().map(|name| (line_of(code, at), name)));
        }
    }
    // `crate::Name` is an item of the crate's root, not a module.
    found.retain(|(_, name)| name.starts_with(|character: char| character.is_lowercase()));
    found
}

/// How many `super` lead from a file to the crate's root.
fn depth(path: &str) -> usize {
    let parts = path.trim_start_matches("src/").split('/').count();
    let is_folder = path.ends_with("/mod.rs");
    if is_folder { parts - 1 } else { parts }
}

/// The first names after a path's root: one, or those of a group in braces.
fn names_after(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        return vec![word(rest).to_owned()];
    };
    let mut names = Vec::new();
    let mut depth = 0;
    let mut at_start = true;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_start = true,
            _ if at_start && is_word(character) => {
                names.push(word(&group[at..]).to_owned());
                at_start = false;
            }
            _ => {}
        }
    }
    names
}

/// The top-level module of a file in `src`; `None` for `lib.rs`, which names them all.
fn module_of(path: &str) -> Option<&str> {
    let first = path.strip_prefix("src/")?.split('/').next()?;
    let module = first.trim_end_matches(".rs");
    (module != "lib").then_some(module)
}

/// Imports against the direction.
pub(crate) fn wrong_imports(path: &str, code: &str) -> Vec<String> {
    let Some(module) = module_of(path) else { return Vec::new() };
    let Some((_, allowed)) = IMPORTS.iter().find(|(name, _)| *name == module) else {
        return vec![format!("{path}: the module \"{module}\" is not in the table of imports")];
    };
    imports(path, code)
        .into_iter()
        .filter(|(_, name)| name != module && !allowed.contains(&name.as_str()))
        .map(|(line, name)| format!("{path}:{line}: \"{module}\" must not use \"{name}\""))
        .collect()
}

/// Names outside the places where they are at home, and impure ones in pure modules.
pub(crate) fn wrong_names(path: &str, code: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, homes, reason) in AT_HOME {
        if homes.iter().any(|home| path.starts_with(home)) {
            continue;
        }
        for line in lines_with(code, name) {
            problems.push(format!("{path}:{line}: \"{name}\" has no place here: {reason}"));
        }
    }
    if PURE.iter().any(|folder| path.starts_with(folder)) {
        for name in IMPURE {
            for line in lines_with(code, name) {
                problems.push(format!("{path}:{line}: \"{name}\" in a pure module"));
            }
        }
    }
    problems
}

/// Floats where integers decide about money; `order_facts` tells days to people.
pub(crate) fn floats_in_money(path: &str, code: &str) -> Vec<String> {
    let file = path.strip_prefix("src/domain/").unwrap_or("");
    let of_money = file.starts_with("money") || file.starts_with("order");
    if !of_money || file == "order_facts.rs" {
        return Vec::new();
    }
    ["f32", "f64"]
        .iter()
        .flat_map(|float| lines_with(code, float))
        .map(|line| format!("{path}:{line}: a float beside money"))
        .collect()
}

/// Iteration over hash maps in pure modules: the order would get into the output.
pub(crate) fn hash_iteration(path: &str, code: &str) -> Vec<String> {
    if !PURE.iter().any(|folder| path.starts_with(folder)) {
        return Vec::new();
    }
    let mut names: Vec<&str> = ["HashMap", "HashSet", "DashMap", "FxHashMap", "FxHashSet"]
        .iter()
        .flat_map(|kind| code.match_indices(kind))
        .filter_map(|(at, _)| name_declared_before(&code[..at]))
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut problems = Vec::new();
    for name in names {
        for call in
            ["iter()", "iter_mut()", "keys()", "values()", "values_mut()", "drain()", "into_iter()"]
        {
            for line in lines_with(code, &format!("{name}.{call}")) {
                problems.push(format!("{path}:{line}: iterates over the hash map \"{name}\""));
            }
        }
        for line in lines_with(code, "for") {
            let text = code.lines().nth(line - 1).unwrap_or("");
            let over = text.split_once(" in ").map_or("", |(_, over)| over);
            let over = over.trim_end_matches([' ', '{']).trim_start_matches("&mut ");
            let over = over.trim_start_matches(['&', ' ']).trim_start_matches("self.");
            if over == name {
                problems.push(format!("{path}:{line}: iterates over the hash map \"{name}\""));
            }
        }
    }
    problems
}

/// `name` of `name: HashMap`, `name: &mut std::collections::HashMap` or `let name = HashMap`.
fn name_declared_before(code: &str) -> Option<&str> {
    let mut rest = code;
    loop {
        let shorter = rest
            .trim_end_matches(|character: char| is_word(character))
            .trim_end_matches("::")
            .trim_end_matches("&mut ")
            .trim_end_matches(['&', ' ']);
        if shorter == rest {
            break;
        }
        rest = shorter;
        if rest.ends_with([':', '=']) && !rest.ends_with("::") {
            break;
        }
    }
    let rest = rest.strip_suffix([':', '='])?.trim_end();
    let start = rest.rfind(|character| !is_word(character)).map_or(0, |at| at + 1);
    let name = &rest[start..];
    (!name.is_empty()).then_some(name)
}

/// What holds for every file: a head that says what it is, a size that can be read, nothing
/// unfinished. `text` is whole, `code` has no comments and literals.
pub(crate) fn wrong_shape(path: &str, text: &str, code: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !text.starts_with("//! ") {
        problems.push(format!("{path}:1: does not open with //! and what it is"));
    }
    let count = text.lines().count();
    if count > 500 {
        problems.push(format!("{path}: {count} lines, more than 500"));
    }
    for (index, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        // What tests expect of a program's output keeps its own width.
        if columns > 100 && !path.starts_with("tests/") {
            problems.push(format!("{path}:{}: {columns} columns, more than 100", index + 1));
        }
    }
    for unfinished in ["todo!", "unimplemented!", "#[ignore"] {
        for line in lines_with(code, unfinished) {
            problems.push(format!("{path}:{line}: \"{unfinished}\" is not finished"));
        }
    }
    problems
}
