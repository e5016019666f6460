//! The sources of a configuration, laid over each other: default, file, environment, flags.
//!
//! Knows nothing of which keys exist. Next: `reader.rs`, which takes typed values out.

use crate::config::problem::{Problem, Source, shown};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use toml::Value;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// Environment variables that start so are configuration; two underscores separate tables.
pub const VARIABLE_PREFIX: &str = "EBBFLOW__";
/// Every key and its default.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Keys below it are librdkafka's and have dots themselves.
const PROPERTIES: [&str; 2] = ["kafka", "properties"];

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    /// The characters of an environment variable or flag, which need no quotes around text.
    pub(crate) text: Option<String>,
    pub(crate) source: Source,
}

/// All values by key path, the strongest source of each.
#[derive(Default, Debug)]
pub(crate) struct Layers {
    pub(crate) entries: BTreeMap<Vec<String>, Entry>,
    pub(crate) problems: Vec<Problem>,
}

impl Layers {
    /// The defaults alone.
    pub(crate) fn of_defaults() -> Self {
        let mut layers = Self::default();
        layers.add_toml(DEFAULTS, &|_| Source::Default);
        layers
    }

    /// Lays the user's file over what is there; `name` is for messages.
    pub(crate) fn add_file(&mut self, name: &str, text: &str) {
        self.add_toml(text, &|line| Source::File { name: name.to_owned(), line });
    }

    /// Lays an environment variable over what is there, if its name starts with
    /// [`VARIABLE_PREFIX`].
    pub(crate) fn add_variable(&mut self, name: &OsStr, value: &OsStr) {
        let name = name.to_string_lossy();
        let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else {
            return;
        };
        let source = Source::Variable(name.to_string());
        let lower = rest.to_ascii_lowercase();
        let mut path: Vec<String> = lower.split("__").map(str::to_owned).collect();
        // Neither dots nor dashes are allowed in the names of variables.
        if is_property(&path) {
            path = vec![path[0].clone(), path[1].clone(), path[2..].join("__").replace('_', ".")];
        } else if path[0] == "rates" {
            path = path.iter().map(|part| part.replace('_', "-")).collect();
            if let Some(currency) = path.get_mut(1) {
                currency.make_ascii_uppercase();
            }
        }
        match value.to_str() {
            Some(text) => self.add_text(path, text, source),
            None => self.problems.push(Problem {
                key: path.join("."),
                value: None,
                source,
                message: "the value is not UTF-8".to_owned(),
            }),
        }
    }

    /// Lays `key.path=value` over what is there; `flag` is for messages.
    pub(crate) fn add_setting(&mut self, flag: &'static str, setting: &str) {
        if let Some((path, text)) = setting.split_once('=') {
            let path = path.trim().split('.').map(str::to_owned).collect();
            self.add_text(path, text, Source::Flag(flag));
        } else {
            self.problems.push(Problem {
                key: setting.to_owned(),
                value: None,
                source: Source::Flag(flag),
                message: "expected KEY.PATH=VALUE".to_owned(),
            });
        }
    }

    fn add_text(&mut self, path: Vec<String>, text: &str, source: Source) {
        let value = ValueDeserializer::parse(text)
            .and_then(Value::deserialize)
            .unwrap_or_else(|_| Value::String(text.to_owned()));
        match value {
            // `--set log={json=true}` sets what a table in a file would.
            Value::Table(table) => self.add_table(&path, table, &source),
            value => self.insert(path, Entry { value, text: Some(text.to_owned()), source }),
        }
    }

    fn add_table(&mut self, path: &[String], table: toml::Table, source: &Source) {
        for (key, value) in table {
            let mut path = path.to_vec();
            path.push(key);
            match value {
                Value::Table(inner) => self.add_table(&path, inner, source),
                value => self.insert(path, Entry { value, text: None, source: source.clone() }),
            }
        }
    }

    fn add_toml(&mut self, text: &str, source: &dyn Fn(usize) -> Source) {
        let (table, mut errors) = DeTable::parse_recoverable(text);
        errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
        let line_at =
            |at: usize| text.as_bytes()[..at.min(text.len())].split(|b| *b == b'\n').count();
        let mut broken = Vec::new();
        for error in errors {
            let line = error.span().map_or(1, |span| line_at(span.start));
            if broken.contains(&line) {
                continue;
            }
            broken.push(line);
            self.problems.push(Problem {
                key: String::new(),
                value: None,
                source: source(line),
                message: format!("not TOML: {}", error.message().replace('\n', ", ")),
            });
        }
        // What the parser made of a broken line is a guess, not the user's intention.
        let source = |at: usize| {
            let line = line_at(at);
            (!broken.contains(&line)).then(|| source(line))
        };
        self.add_parsed(&[], table.into_inner(), &source);
    }

    fn add_parsed(
        &mut self,
        path: &[String],
        table: DeTable<'_>,
        source: &dyn Fn(usize) -> Option<Source>,
    ) {
        for (key, spanned) in table {
            let mut path = path.to_vec();
            let key_at = key.span().start;
            path.push(key.into_inner().into_owned());
            if matches!(spanned.get_ref(), DeValue::Table(_)) {
                if let DeValue::Table(inner) = spanned.into_inner() {
                    self.add_parsed(&path, inner, source);
                }
                continue;
            }
            let Some(source) = source(key_at) else {
                continue;
            };
            match Value::deserialize(ValueDeserializer::from(spanned)) {
                Ok(value) => self.insert(path, Entry { value, text: None, source }),
                Err(error) => self.problems.push(Problem {
                    key: path.join("."),
                    value: None,
                    source,
                    message: error.message().replace('\n', ", "),
                }),
            }
        }
    }

    fn insert(&mut self, path: Vec<String>, entry: Entry) {
        let path = if is_property(&path) {
            vec![path[0].clone(), path[1].clone(), path[2..].join(".")]
        } else {
            path
        };
        self.entries.insert(path, entry);
    }

    /// The effective values as TOML, each with its source, secrets hidden.
    pub(crate) fn print(&self) -> String {
        let mut tables: BTreeMap<&[String], Vec<String>> = BTreeMap::new();
        for (path, entry) in &self.entries {
            let Some((key, table)) = path.split_last() else {
                continue;
            };
            let value = shown(&path.join("."), &entry.value);
            tables.entry(table).or_default().push(format!(
                "{} = {value}  # {}",
                quoted(key),
                entry.source
            ));
        }
        let mut text = String::new();
        for (table, lines) in tables {
            if !table.is_empty() {
                let name: Vec<_> = table.iter().map(|part| quoted(part)).collect();
                text.push_str(&format!("\n[{}]\n", name.join(".")));
            }
            text.push_str(&lines.join("\n"));
            text.push('\n');
        }
        text
    }
}

/// What to say of a variable whose name begins as ours do but for an underscore.
pub(crate) fn without_effect(name: &str, keys: &[String]) -> Option<String> {
    let rest = name.strip_prefix("EBBFLOW_").filter(|_| !name.starts_with(VARIABLE_PREFIX))?;
    // Kubernetes sets these for a service that is called as the program is.
    if rest == "PORT" || ["PORT_", "SERVICE_"].iter().any(|begin| rest.starts_with(begin)) {
        return None;
    }
    let flat = |key: &str| key.replace("__", "_").replace('.', "_").to_ascii_uppercase();
    let variable =
        |key: &str| format!("{VARIABLE_PREFIX}{}", key.replace('.', "__").to_uppercase());
    let rest = flat(rest);
    let meant = keys.iter().find_map(|key| match key.strip_suffix(".*") {
        Some(table) => rest
            .strip_prefix(&format!("{}_", flat(table)))
            .filter(|_| key.starts_with("kafka."))
            .map(|below| format!("{}__{below}", variable(table))),
        None => (flat(key) == rest).then(|| variable(key)),
    });
    let near = || {
        let plain = keys.iter().filter(|key| !key.ends_with('*'));
        let distances = plain.map(|key| (strsim::damerau_levenshtein(&flat(key), &rest), key));
        let nearest = distances.filter(|(distance, _)| *distance <= (rest.len() / 4).min(4)).min();
        nearest.map(|(_, key)| variable(key))
    };
    Some(match meant.or_else(near) {
        Some(meant) => format!("{name} in the environment has no effect; did you mean {meant}?"),
        None => format!(
            "{name} in the environment has no effect: names of keys begin with {VARIABLE_PREFIX}"
        ),
    })
}

fn is_property(path: &[String]) -> bool {
    path.len() > PROPERTIES.len() && path.iter().zip(PROPERTIES).all(|(part, name)| part == name)
}

/// The key as TOML, in quotes where it needs them.
fn quoted(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !key.is_empty() && key.bytes().all(bare) {
        key.to_owned()
    } else {
        Value::String(key.to_owned()).to_string()
    }
}
