//! docs/dimensions.md is true: its keys, values, numbers and facts are those of the program.
//!
//! Tables of keys and example changes are blocks that are made here; see `common/blocks.rs`.
//! Next: `docs/dimensions.md`, `config/default.toml`.

#[path = "common/blocks.rs"]
mod blocks;

use blocks::{check_block, project, replayed, text};
use ebbflow::config::{DEFAULTS, FileText, Setting, from_sources};
use ebbflow::domain::dimension::Dimension;
use ebbflow::domain::predicate::quantity::Quantity;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

const DOCUMENT: &str = "docs/dimensions.md";
const STORY: &str = "tests/golden/story.jsonl";
const END: &str = "2027-06-30T00:00:00Z";
const ALL: &str = r#"output.dimensions=["rfm","lifecycle","activity","value_mode","value_tier",
    "engagement","satisfaction","qualification","contacts"]"#;

/// Tables of the configuration that the document explains: name of the block, tables.
const TABLES: [(&str, &[&str]); 14] = [
    ("rfm", &["rfm"]),
    ("gap", &["gap", "subscriptions"]),
    ("lifecycle", &["lifecycle"]),
    ("activity", &["activity"]),
    ("value_mode", &["value_mode"]),
    ("value_tier", &["value_tier"]),
    ("engagement", &["engagement"]),
    ("preferences", &["preferences"]),
    ("satisfaction", &["satisfaction"]),
    ("perceived_value", &["perceived_value"]),
    ("qualification", &["qualification"]),
    ("contacts", &["contacts", "accounts"]),
    ("costs", &["costs"]),
    ("dwell", &["dwell", "cool_down"]),
];

/// Keys, or tables, that have no default: their names are the user's own.
const OWN: [&str; 11] = [
    "audience",
    "audience.win-back",
    "consent.policies",
    "consent.purposes",
    "costs.touch_minor",
    "holdout.dimensions",
    "perceived_value.benefits",
    "perceived_value.costs",
    "rules.when",
    "season.months",
    "season.by",
];

/// The changes that are shown: dimension and value; the first of the story.
const EXAMPLES: [(&str, &str); 9] = [
    ("rfm", "cannot_lose"),
    ("lifecycle", "lapsed"),
    ("activity", "at_risk"),
    ("value_mode", "contracting"),
    ("value_tier", "top"),
    ("engagement", "hot"),
    ("satisfaction", "detractor"),
    ("qualification", "qualified"),
    ("audience:win-back", "in"),
];

/// Every effective key with its default.
fn defaults() -> BTreeMap<String, String> {
    from_sources(None, [], &[]).expect("the defaults are valid").values().clone()
}

/// The comment above each key of `config/default.toml`, and the one behind its value; one between
/// keys belongs to the next only.
fn reasons() -> BTreeMap<String, (String, String)> {
    let (mut table, mut above, mut between) = (String::new(), String::new(), None);
    let mut after_key = false;
    let mut reasons = BTreeMap::new();
    for line in DEFAULTS.lines() {
        let plain = line.trim_start_matches("# ");
        let key = plain
            .split_once(" = ")
            .filter(|(key, _)| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        if line.is_empty() {
            (above, between, after_key) = (String::new(), None, false);
        } else if let Some(name) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            name.clone_into(&mut table);
        } else if let Some((key, value)) = key {
            let reason: String = between.take().unwrap_or_else(|| above.clone());
            let inline = value.strip_prefix("{ ").map(|inner| inner.split(", "));
            let parts = inline.into_iter().flatten().filter_map(|part| part.split_once(" = "));
            for (part, _) in parts {
                reasons.insert(format!("{table}.{key}.{part}"), (reason.clone(), String::new()));
            }
            let behind = value.split_once("# ").map_or("", |(_, behind)| behind);
            reasons.insert(format!("{table}.{key}"), (reason, behind.to_owned()));
            after_key = !line.starts_with('#');
        } else {
            let text = if after_key { between.get_or_insert_default() } else { &mut above };
            *text = format!("{text} {}", plain.trim_start_matches('#')).trim().to_owned();
        }
    }
    reasons
}

#[test]
fn every_key_stands_there_with_its_default_and_reason() {
    let (defaults, reasons) = (defaults(), reasons());
    for (name, tables) in TABLES {
        // Keys of one reason share a row.
        let mut rows: Vec<(&str, String)> = Vec::new();
        for table in tables {
            let of_table = defaults.iter().filter(|(key, _)| {
                key.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'))
            });
            for (key, value) in of_table {
                let (reason, behind) = reasons.get(key).unwrap_or_else(|| panic!("{key}?"));
                let place = rows.iter().position(|(known, _)| known == reason);
                let place = place.unwrap_or_else(|| {
                    rows.push((reason, String::new()));
                    rows.len() - 1
                });
                let keys = &mut rows[place].1;
                let (comma, open, close) = (
                    if keys.is_empty() { "" } else { ", " },
                    if behind.is_empty() { "" } else { " (" },
                    if behind.is_empty() { "" } else { ")" },
                );
                write!(keys, "{comma}`{key}` = `{value}`{open}{behind}{close}").expect("text");
            }
        }
        let head = "| key = default | what and why |\n|---|---|".to_owned();
        let row = |text: String, (reason, keys): (&str, String)| {
            format!("{text}\n| {keys} | {} |", reason.replace('|', "\\|"))
        };
        check_block(DOCUMENT, &format!("keys {name}"), &rows.into_iter().fold(head, row));
    }
}

#[test]
fn no_key_is_named_that_is_unknown() {
    let defaults = defaults();
    let tables: BTreeSet<&str> =
        defaults.keys().filter_map(|key| Some(key.split_once('.')?.0)).collect();
    for name in names(&text(DOCUMENT)) {
        let Some((table, _)) = name.split_once('.') else { continue };
        if !tables.contains(table) || OWN.contains(&name.as_str()) {
            continue;
        }
        let known = defaults.contains_key(&name)
            || defaults.keys().any(|key| key.starts_with(&format!("{name}.")));
        assert!(known, "{DOCUMENT}: \"{name}\" is no key");
    }
}

/// What stands in backticks and looks like a name with dots or without.
fn names(document: &str) -> BTreeSet<String> {
    let quoted = document.split('`').skip(1).step_by(2);
    let is_name = |text: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-:@<>".contains(&byte);
        !text.is_empty() && text.bytes().all(allowed)
    };
    quoted.filter(is_name).map(str::to_owned).collect()
}

/// The part of the document about a dimension.
fn section<'a>(document: &'a str, dimension: &str) -> &'a str {
    let dimension = dimension.split(':').next().unwrap_or_default();
    let heading = format!("\n## `{dimension}");
    let from = document.find(&heading).unwrap_or_else(|| panic!("no section {dimension}"));
    let rest = &document[from + 1..];
    rest.find("\n## ").map_or(rest, |until| &rest[..until])
}

#[test]
fn every_value_of_every_dimension_is_named() {
    let document = text(DOCUMENT);
    let loaded = from_sources(None, [], &[]).expect("the defaults are valid");
    let map = &loaded.config.rules.thresholds.rfm.map;
    for dimension in Dimension::BUILT_IN.into_iter().chain([Dimension::Audience(0)]) {
        let section = section(&document, dimension.built_in_name());
        for value in dimension.value_names(map) {
            let quoted = format!("`{value}`");
            assert!(section.contains(&quoted), "{}: no {quoted}", dimension.built_in_name());
        }
    }
}

#[test]
fn every_number_behind_a_change_is_explained() {
    let document = text(DOCUMENT);
    let folder = std::fs::read_dir(project("tests/golden")).expect("the scenarios");
    let mut seen = 0;
    for entry in folder {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|it| it != "jsonl") {
            continue;
        }
        for change in scenario(&path) {
            let dimension = change["dimension"].as_str().expect("a name");
            // Audiences compare facts, which have a section of their own.
            let of_facts = dimension.starts_with("audience:");
            let section = if of_facts { &document } else { section(&document, dimension) };
            for evidence in change["evidence"].as_array().expect("a list") {
                let name = evidence["name"].as_str().expect("a name");
                seen += 1;
                assert!(section.contains(&format!("`{name}`")), "{dimension}: no `{name}`");
            }
        }
    }
    assert!(seen > 100, "{seen} numbers");
}

/// The changes of a golden scenario by its first rules: other ones, which a line of it asks for,
/// are no event.
fn scenario(path: &Path) -> Vec<Value> {
    let lines = std::fs::read_to_string(path).expect("a scenario");
    let is_event = |line: &&str| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        line.get("rules").is_none()
    };
    let events: String = lines.lines().filter(is_event).flat_map(|line| [line, "\n"]).collect();
    let name = path.file_stem().and_then(|name| name.to_str()).expect("UTF-8");
    let file = format!("ebbflow-scenario-{}-{name}.jsonl", std::process::id());
    let file = std::env::temp_dir().join(file);
    std::fs::write(&file, events).expect("a temporary file");
    let end = "2028-01-01T00:00:00Z";
    let mut arguments =
        vec![file.to_str().expect("UTF-8"), "--now", end, "--advance-to", end, "--set", ALL];
    let config = path.with_extension("toml");
    if config.exists() {
        arguments.extend(["--config", config.to_str().expect("UTF-8")]);
    }
    let changes = replayed(&arguments);
    std::fs::remove_file(&file).expect("the temporary file goes");
    changes
}

/// The names of the facts of a profile, in their order.
fn facts() -> Vec<String> {
    let schema: Value = serde_json::from_str(&text("schemas/customers.avsc")).expect("JSON");
    let fields = |schema: &Value| schema["fields"].as_array().cloned().unwrap_or_default();
    let facts = fields(&schema).into_iter().find(|field| field["name"] == "facts");
    let facts = fields(&facts.expect("the profile has facts")["type"]);
    facts.iter().map(|field| field["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn the_facts_that_are_shown_are_those_of_the_program() {
    let changes = std::env::temp_dir().join(format!("ebbflow-facts-{}", std::process::id()));
    let path = changes.to_str().expect("UTF-8");
    let end = "2026-12-31T00:00:00Z";
    let profiles = replayed(&[
        STORY,
        "--now",
        end,
        "--advance-to",
        end,
        "--changes",
        path,
        "--customers",
        "-",
    ]);
    std::fs::remove_file(&changes).expect("the temporary file goes");
    let own = profiles.iter().find(|profile| profile["customer_id"] == "mina");
    let own = &own.expect("her profile")["facts"];
    let fact = |name: &String| format!("  \"{name}\": {}", own[name.as_str()]);
    let rows: Vec<String> = facts().iter().map(fact).collect();
    let shown = format!("```json\n{{\n{}\n}}\n```", rows.join(",\n"));
    check_block(DOCUMENT, "example facts", &shown);
}

#[test]
fn every_fact_is_explained() {
    let document = text(DOCUMENT);
    let mut names = facts();
    assert!(names.len() > 20, "{} facts", names.len());
    names.extend(Quantity::FACTS.map(|(name, _)| name.to_owned()));
    for name in names {
        assert!(document.contains(&format!("`{name}`")), "the fact \"{name}\" is not explained");
    }
}

#[test]
fn the_changes_that_are_shown_are_those_of_the_program() {
    let document = text(DOCUMENT);
    let settings = blocks::between(&document, "audience");
    let settings = settings.trim_start_matches("```toml\n").trim_end_matches("```");
    let file = FileText { path: Path::new("audience.toml"), text: settings };
    from_sources(Some(file), [], &[] as &[Setting]).expect("a valid configuration");
    let name = format!("ebbflow-dimensions-{}.toml", std::process::id());
    let config = std::env::temp_dir().join(name);
    std::fs::write(&config, settings).expect("a temporary file");
    let path = config.to_str().expect("UTF-8");
    let changes =
        replayed(&[STORY, "--now", END, "--advance-to", END, "--set", ALL, "--config", path]);
    std::fs::remove_file(&config).expect("the temporary file goes");
    for (dimension, value) in EXAMPLES {
        let found = |it: &&Value| it["dimension"] == dimension && it["current"] == value;
        let change = changes.iter().find(found);
        let change = change.unwrap_or_else(|| panic!("nobody comes to {dimension}: {value}"));
        let name = dimension.split(':').next().unwrap_or_default();
        check_block(DOCUMENT, &format!("example {name}"), &shown(change));
    }
}

/// The fields of a change that differ from one dimension to another.
fn shown(change: &Value) -> String {
    let fields = |names: &[&str]| {
        let field = |name: &&str| format!("\"{name}\": {}", change[*name]);
        names.iter().map(field).collect::<Vec<_>>().join(", ")
    };
    let compared = ["name", "op", "threshold", "before", "after"];
    let evidence = change["evidence"].as_array().expect("a list").iter();
    let evidence: Vec<String> = evidence.map(|it| object(it, &compared)).collect();
    format!(
        "```json\n{{\n  {},\n  {},\n  \"cause\": {}, \"rule\": {},\n  \"evidence\": [\n    {}\n  \
         ],\n  \"next\": {},\n  {}\n}}\n```",
        fields(&["seq", "dimension", "previous", "current", "direction", "entry"]),
        fields(&["occurred_at", "actionable"]),
        object(&change["cause"], &["kind", "event_id"]),
        object(&change["rule"], &["id"]),
        evidence.join(",\n    "),
        object(&change["next"], &["at", "dimension", "value"]),
        fields(&["summary"]),
    )
}

/// These fields of an object on one line; what is no object as it is.
fn object(value: &Value, names: &[&str]) -> String {
    if !value.is_object() {
        return value.to_string();
    }
    let fields = names.iter().map(|name| format!("\"{name}\": {}", value[*name]));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
}
