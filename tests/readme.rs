//! What the documents show is what the program does: output, commands, configuration, links.
//!
//! A block between `<!-- begin NAME -->` and `<!-- end NAME -->` is made from the binary's output;
//! see `common/blocks.rs`. Next: `README.md`, `docs/events.md`.

#[path = "common/blocks.rs"]
mod blocks;

use blocks::{between, check_block, project, replayed, text};
use clap::Parser;
use ebbflow::cli::Cli;
use ebbflow::config::{Config, ConfigError, FileText, from_sources, load};
use ebbflow::domain::refusal::Reason;
use serde_json::Value;
use std::path::Path;

const DOCUMENTS: [&str; 9] = [
    "README.md",
    "docs/correctness.md",
    "docs/dimensions.md",
    "docs/events.md",
    "docs/changes.md",
    "docs/operations.md",
    "docs/privacy.md",
    "docs/revisions.md",
    "CONTRIBUTING.md",
];
const STORY: &str = "examples/story.jsonl";
/// The dimensions of it that the README shows.
const SHOWN: [&str; 2] = ["lifecycle", "value_mode"];
/// One customer's story from the first visit on.
const JOURNEY: &str = "tests/golden/story.jsonl";
/// What the README tells of it: dimension, value, and the how-manieth time.
const STEPS: [(&str, &str, u64); 18] = [
    ("lifecycle", "consideration", 1),
    ("lifecycle", "purchase", 1),
    ("value_mode", "creating", 1),
    ("lifecycle", "retention", 1),
    ("value_mode", "expanding", 1),
    ("value_tier", "high", 1),
    ("lifecycle", "advocacy", 1),
    ("qualification", "qualified", 1),
    ("value_tier", "top", 1),
    ("lifecycle", "retention", 2),
    ("satisfaction", "detractor", 1),
    ("activity", "at_risk", 1),
    ("lifecycle", "lapsed", 1),
    ("rfm", "cannot_lose", 1),
    ("activity", "reactivated", 1),
    ("value_mode", "contracting", 1),
    ("value_mode", "expanding", 2),
    ("lifecycle", "advocacy", 2),
];
/// Where a change is explained field by field.
const CHANGES: &str = "docs/changes.md";
/// The change that is.
const EXPLAINED_SEQ: u64 = 20;

/// Code blocks: language and content.
fn blocks(document: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in document.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => open = Some((language.to_owned(), String::new())),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some((language, content))) => open = Some((language, content + line + "\n")),
            (None, None) => {}
        }
    }
    assert_eq!(open, None, "a code block is not closed");
    blocks
}

/// The lines of shell blocks that call the program; a backslash continues a line.
fn commands(document: &str) -> Vec<String> {
    let shell = blocks(document).into_iter().filter(|(language, _)| language == "sh");
    let joined: Vec<String> = shell.map(|(_, content)| content.replace("\\\n", " ")).collect();
    let lines = joined.iter().flat_map(|content| content.lines());
    let commands = lines.filter_map(|line| line.find("ebbflow ").map(|at| (line, at)));
    commands
        .filter(|(line, at)| line[..*at].split_whitespace().all(|word| word.contains("EBBFLOW__")))
        .map(|(line, at)| line[at..].trim().to_owned())
        .collect()
}

fn words(command: &str) -> Vec<&str> {
    let command = command.split(['#', '|', '>']).next().unwrap_or_default();
    command.split_whitespace().collect()
}

/// The changes that the README's own command makes of a file.
fn changes(file: &str) -> Vec<Value> {
    let readme = text("README.md");
    let commands = commands(&readme);
    let command = commands.iter().find(|command| command.contains(file)).expect("the command");
    replayed(&words(command)[2..])
}

fn word<'a>(value: &'a Value, what: &str) -> &'a str {
    value.as_str().unwrap_or_else(|| panic!("{what} is {value}"))
}

/// One line of the README's table.
fn row(change: &Value) -> String {
    let at = word(&change["occurred_at"], "occurred_at");
    let waited = change["cause"]["kind"] == "dwell";
    let nobody = if waited { "**had to wait**" } else { "**time alone**" };
    let cause = change["cause"]["event_id"].as_str().unwrap_or(nobody);
    format!(
        "| {} | {} {} | {cause} | {}: {} to **{}** | {} |",
        change["seq"],
        &at[..10],
        &at[11..23],
        word(&change["dimension"], "dimension"),
        word(&change["previous"], "previous"),
        word(&change["current"], "current"),
        word(&change["summary"], "summary"),
    )
}

#[test]
fn the_story_is_the_file_and_its_changes_are_those_of_the_binary() {
    let story = text(STORY);
    check_block("README.md", "story", &format!("```json\n{}\n```", story.trim_end()));
    assert_eq!(story.lines().count(), 6);

    let changes = changes(STORY);
    let shown = changes.iter().filter(|it| SHOWN.contains(&word(&it["dimension"], "dimension")));
    check_block("README.md", "changes", &table(shown));
    let (all, shown) = (changes.len(), SHOWN.join("` and `"));
    let said = format!("writes {all} changes; here are those of `{shown}`");
    assert!(text("README.md").contains(&said), "the README should say \"{said}\"");
}

#[test]
fn the_journey_is_told_as_the_binary_tells_it() {
    assert_eq!(text(JOURNEY).lines().count(), 60);
    let changes = changes(JOURNEY);
    let steps: Vec<&Value> = STEPS
        .iter()
        .map(|(dimension, value, entry)| {
            let is = |change: &&Value| {
                change["dimension"] == **dimension
                    && change["current"] == **value
                    && change["entry"] == *entry
            };
            changes.iter().find(is).unwrap_or_else(|| panic!("no {dimension} {value} {entry}"))
        })
        .collect();
    check_block("README.md", "journey", &table(steps.into_iter()));
    let said = format!("writes {} changes", changes.len());
    assert!(text("README.md").contains(&said), "the README should say \"{said}\"");
}

fn table<'a>(changes: impl Iterator<Item = &'a Value>) -> String {
    let head = "| seq | when (UTC) | because of | change | in words |\n|---|---|---|---|---|";
    changes.map(row).fold(head.to_owned(), |table, row| table + "\n" + &row)
}

#[test]
fn the_explained_change_is_the_binarys_and_every_field_of_it_is_explained() {
    let document = text(CHANGES);
    let changes = changes(STORY);
    let change = changes.iter().find(|change| change["seq"] == EXPLAINED_SEQ).expect("a change");
    check_block(CHANGES, "change", &format!("```json\n{}\n```", pretty(change)));

    let rows: Vec<&str> =
        between(&document, "fields").lines().filter(|line| line.starts_with("| `")).collect();
    let object = change.as_object().expect("a change is an object");
    for (name, value) in object {
        let row = rows.iter().find(|row| {
            let names = row.split('|').nth(1).unwrap_or_default();
            names.contains(&format!("`{name}`"))
        });
        let row = row.unwrap_or_else(|| panic!("\"{name}\" is not explained"));
        let inner = match value {
            Value::Array(list) => list.first().and_then(Value::as_object),
            other => other.as_object(),
        };
        // The names in these maps are the user's own or those of the dimensions.
        let free = ["dimensions", "consent"].contains(&name.as_str());
        for inner in inner.filter(|_| !free).into_iter().flat_map(|inner| inner.keys()) {
            assert!(row.contains(&format!("`{inner}`")), "{name}.{inner} is not explained");
        }
    }
}

/// A change in the order of its schema, a field a line.
fn pretty(change: &Value) -> String {
    let schema: Value = serde_json::from_str(&text("schemas/segment-changes.avsc")).expect("JSON");
    format!("{{\n{}\n}}", ordered(change, &schema, 1).join(",\n"))
}

/// The fields of a record, in the order of its schema; those of the outermost have their lines.
fn ordered(value: &Value, schema: &Value, depth: usize) -> Vec<String> {
    let fields = schema["fields"].as_array().expect("a record has fields");
    let indent = if depth == 1 { "  " } else { "" };
    let field = |field: &Value| {
        let name = word(&field["name"], "name");
        format!("{indent}\"{name}\": {}", inline(&value[name], &field["type"], depth + 1))
    };
    fields.iter().map(field).collect()
}

fn inline(value: &Value, schema: &Value, depth: usize) -> String {
    let record = |schema: &Value| schema["fields"].is_array();
    let alternatives = schema.as_array().map_or(std::slice::from_ref(schema), Vec::as_slice);
    let found = alternatives.iter().find(|it| it.is_object());
    match (value, found) {
        (Value::Object(_), Some(schema)) if record(schema) => {
            format!("{{{}}}", ordered(value, schema, depth).join(", "))
        }
        (Value::Array(list), Some(schema)) => {
            let inner = list.iter().map(|it| inline(it, &schema["items"], depth));
            format!("[{}]", inner.collect::<Vec<_>>().join(", "))
        }
        (Value::Object(map), _) => {
            let inner = map.iter().map(|(name, value)| format!("\"{name}\": {value}"));
            format!("{{{}}}", inner.collect::<Vec<_>>().join(", "))
        }
        _ => value.to_string(),
    }
}

#[test]
fn every_command_that_is_shown_can_be_typed() {
    let mut shown = 0;
    for document in DOCUMENTS {
        for command in commands(&text(document)) {
            if let Err(error) = Cli::try_parse_from(words(&command)) {
                panic!("{document}: {command}\n{error}");
            }
            shown += 1;
        }
    }
    assert!(shown > 5, "the commands of the README are found: {shown}");
}

#[test]
fn every_configuration_that_is_shown_loads() {
    let mut shown = 0;
    for document in DOCUMENTS {
        for (language, content) in blocks(&text(document)) {
            if language != "toml" {
                continue;
            }
            let name = format!("ebbflow-readme-{}-{shown}.toml", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, &content).expect("a temporary file");
            let loaded = load(Some(&path), &[]);
            std::fs::remove_file(&path).expect("the temporary file goes");
            let error = loaded.err().map(|error: ConfigError| error.to_string());
            assert_eq!(error, None, "{document}:\n{content}");
            shown += 1;
        }
    }
    assert!(shown > 0, "the configurations of the README are found");
}

/// Lays the second over the first, table by table.
fn lay_over(under: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => lay_over(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

#[test]
fn the_backtest_reads_what_the_shop_reads_and_writes_elsewhere() {
    let shown = text("README.md") + "\n" + &text("docs/operations.md");
    let table = |head: &str| -> toml::Table {
        let block = blocks(&shown).into_iter().find(|(_, content)| content.starts_with(head));
        let (_, content) = block.unwrap_or_else(|| panic!("no configuration {head:?}"));
        content.parse().expect("TOML")
    };
    let config = |table: &toml::Table| -> Config {
        let text = table.to_string();
        let file = FileText { path: Path::new("shop.toml"), text: &text };
        from_sources(Some(file), [], &[]).expect("a valid configuration").config
    };
    let mut table_of_both = table("# shop.toml");
    let shop = config(&table_of_both);
    lay_over(&mut table_of_both, table("# backtest.toml"));
    let backtest = config(&table_of_both);

    let reads = |config: &Config| {
        let (topics, rules) = (&config.topics, &config.rules);
        let names = [topics.purchases.clone(), topics.interactions.clone()];
        format!("{names:?} {:?} {:?} {:?}", config.encoding, config.registry, rules.rates)
    };
    assert_eq!(reads(&backtest), reads(&shop));
    let owns = |config: &Config| {
        let (topics, http) = (&config.topics, &config.http);
        [
            config.application_id.clone(),
            topics.segment_changes.clone(),
            topics.customers.clone(),
            topics.state.clone(),
            topics.relay.clone(),
            topics.control.clone(),
            topics.dead_letters.clone(),
            http.metrics_listen.to_string(),
            http.admin_listen.to_string(),
        ]
    };
    let (shops, backtests) = (owns(&shop), owns(&backtest));
    for name in &backtests {
        assert!(!shops.contains(name), "{name} is the shop's");
    }
}

#[test]
fn every_link_leads_to_a_file() {
    for document in DOCUMENTS {
        let folder = project(document);
        let folder = folder.parent().expect("a document lies in a folder");
        for link in text(document).split("](").skip(1) {
            let target = link.split(')').next().unwrap_or_default();
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.starts_with("https://") {
                assert!(folder.join(path).exists(), "{document} links to {path}, which is missing");
            }
        }
    }
}

#[test]
fn every_kind_field_and_reason_is_documented() {
    let events = text("docs/events.md");
    let mut names: Vec<String> = Reason::ALL.iter().map(|reason| reason.code().into()).collect();
    for schema in ["schemas/purchases.avsc", "schemas/interactions.avsc"] {
        let schema: Value = serde_json::from_str(&text(schema)).expect("a schema is JSON");
        let fields = schema["fields"].as_array().expect("a record has fields");
        names.extend(fields.iter().map(|field| word(&field["name"], "name").to_owned()));
    }
    let kinds = arms(&text("src/domain/event.rs"));
    assert!(kinds.len() > 35, "the kinds are found: {kinds:?}");
    names.extend(kinds);
    for name in names {
        assert!(events.contains(&format!("`{name}`")), "\"{name}\" is not in docs/events.md");
    }
}

/// The names that the arms of `fn kind` return: `=> "page_viewed",`.
fn arms(source: &str) -> Vec<String> {
    source
        .lines()
        .filter_map(|line| line.trim().strip_suffix("\","))
        .filter_map(|line| line.split_once("=> \""))
        .map(|(_, kind)| kind.to_owned())
        .filter(|kind| kind != "unknown")
        .collect()
}
