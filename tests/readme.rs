//! What the documents show is what the program does: output, commands, configuration, links.
//!
//! A block between `<!-- begin NAME -->` and `<!-- end NAME -->` is made from the binary's output;
//! a failure prints the block as it should be. Next: `README.md`, `docs/events.md`.

use clap::Parser;
use ebbflow::cli::Cli;
use ebbflow::config::{Config, ConfigError, FileText, from_sources, load};
use ebbflow::domain::refusal::Reason;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const DOCUMENTS: [&str; 3] = ["README.md", "docs/events.md", "CONTRIBUTING.md"];
const STORY: &str = "examples/story.jsonl";
/// The change that the README explains field by field.
const EXPLAINED_SEQ: u64 = 10;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands between the two marks of a name.
fn between<'a>(document: &'a str, name: &str) -> &'a str {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let from = document.find(&begin).unwrap_or_else(|| panic!("no {begin:?}")) + begin.len();
    let until = document[from..].find(&end).unwrap_or_else(|| panic!("no {end:?}"));
    document[from..from + until].trim_matches('\n')
}

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

/// The changes that the README's own command makes of the story.
fn changes() -> Vec<Value> {
    let readme = text("README.md");
    let commands = commands(&readme);
    let command = commands.iter().find(|command| command.contains(STORY)).expect("the command");
    let output = Command::new(env!("CARGO_BIN_EXE_ebbflow"))
        .args(&words(command)[1..])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_clear()
        .output()
        .expect("the binary runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !errors.contains("dead letter:"), "{errors}");
    let lines = String::from_utf8(output.stdout).expect("output is UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("a change is JSON")).collect()
}

fn word<'a>(value: &'a Value, what: &str) -> &'a str {
    value.as_str().unwrap_or_else(|| panic!("{what} is {value}"))
}

/// One line of the README's table.
fn row(change: &Value) -> String {
    let at = word(&change["occurred_at"], "occurred_at");
    let cause = change["cause"]["event_id"].as_str().map_or("**time alone**", |id| id);
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
    let readme = text("README.md");
    let shown = between(&readme, "story");
    let expected = format!("```json\n{}\n```", text(STORY).trim_end());
    assert!(shown == expected, "the story should be\n\n{expected}\n");
    assert_eq!(text(STORY).lines().count(), 6);

    let rows: Vec<String> = changes().iter().map(row).collect();
    let head = "| seq | when (UTC) | because of | change | in words |\n|---|---|---|---|---|";
    let expected = format!("{head}\n{}", rows.join("\n"));
    assert!(between(&readme, "changes") == expected, "the table should be\n\n{expected}\n");
}

#[test]
fn the_explained_change_is_the_binarys_and_every_field_of_it_is_explained() {
    let readme = text("README.md");
    let changes = changes();
    let change = changes.iter().find(|change| change["seq"] == EXPLAINED_SEQ).expect("a change");
    let json = serde_json::to_string_pretty(change).expect("JSON can be written");
    let (_, shown) = blocks(between(&readme, "change")).pop().expect("a block");
    let shown: Value = serde_json::from_str(&shown).expect("the shown change is JSON");
    assert!(shown == *change, "the change should be\n\n{json}\n");

    let rows: Vec<&str> =
        between(&readme, "fields").lines().filter(|line| line.starts_with("| `")).collect();
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
    let readme = text("README.md");
    let table = |head: &str| -> toml::Table {
        let block = blocks(&readme).into_iter().find(|(_, content)| content.starts_with(head));
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
