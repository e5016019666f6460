//! Takes typed values out of the layers and collects every problem on the way.
//!
//! Which keys exist is known from which are read: what nobody read is unknown. Every read returns
//! `None` exactly when it recorded a problem. Next: `validate.rs`, which reads.

use crate::config::layers::{Entry, Layers};
use crate::config::problem::{Problem, Source, is_secret, shown};
use crate::config::values::{duration_ms, show_ms};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::{Table, Value};

/// The layers being read.
pub(crate) struct Reader<'a> {
    layers: &'a mut Layers,
    folder: &'a Path,
    /// Keys that were asked for, in order.
    known: Vec<String>,
    taken: BTreeSet<Vec<String>>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Reads `layers`; relative paths of a file start at `folder`.
    pub(crate) fn new(layers: &'a mut Layers, folder: &'a Path) -> Self {
        let problems = std::mem::take(&mut layers.problems);
        Self { layers, folder, known: Vec::new(), taken: BTreeSet::new(), problems }
    }

    /// Every problem, unknown keys included, and the keys that were asked for.
    pub(crate) fn finish(mut self) -> (Vec<Problem>, Vec<String>) {
        let unknown: Vec<_> = self
            .layers
            .entries
            .iter()
            .filter(|(path, _)| !self.taken.contains(*path))
            .map(|(path, entry)| self.unknown(&path.join("."), entry))
            .collect();
        self.problems.extend(unknown);
        (self.problems, self.known)
    }

    /// The problems of the keys that were asked for.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// The value of a key, checked by `parse`, which is told the entry and says what it expected.
    fn parsed<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&Entry) -> Result<T, String>,
    ) -> Option<T> {
        let path = self.ask(key);
        let Some(entry) = self.layers.entries.get(&path) else {
            // A table stands where a value is expected, or the default is missing.
            self.problems.push(Problem {
                key: key.to_owned(),
                value: None,
                source: Source::Default,
                message: "has no value".to_owned(),
            });
            return None;
        };
        match parse(entry) {
            Ok(value) => Some(value),
            Err(message) => {
                self.problem(key, message);
                None
            }
        }
    }

    fn ask(&mut self, key: &str) -> Vec<String> {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        self.known.push(key.to_owned());
        self.taken.insert(path.clone());
        path
    }

    /// Records a problem of the value that `key` has.
    pub(crate) fn problem(&mut self, key: &str, message: impl Into<String>) {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        let entry = self.layers.entries.get(&path);
        self.problems.push(Problem {
            key: key.to_owned(),
            value: entry.map(|entry| shown(key, &entry.value)),
            source: entry.map_or(Source::Default, |entry| entry.source.clone()),
            message: message.into(),
        });
    }

    /// Any text that `check` accepts and turns into a value.
    pub(crate) fn text<T>(
        &mut self,
        key: &str,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.parsed(key, |entry| check(text_of(entry)?))
    }

    /// Like [`Self::text`], but the empty text means none.
    pub(crate) fn text_or_none<T>(
        &mut self,
        key: &str,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        self.text(key, |text| if text.is_empty() { Ok(None) } else { check(text).map(Some) })
    }

    /// One of the words.
    pub(crate) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        self.text(key, |text| match choices.iter().find(|(name, _)| *name == text) {
            Some((_, value)) => Ok(*value),
            None => Err(expected_one_of(choices.iter().map(|(name, _)| *name))),
        })
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, key: &str) -> Option<bool> {
        self.parsed(key, |entry| {
            entry.value.as_bool().ok_or_else(|| "expected true or false".to_owned())
        })
    }

    /// A whole number within a range.
    pub(crate) fn integer<T: TryFrom<i64>>(
        &mut self,
        key: &str,
        range: RangeInclusive<i64>,
    ) -> Option<T> {
        self.parsed(key, |entry| {
            let number = entry.value.as_integer().filter(|number| range.contains(number));
            number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
                format!("expected a whole number from {} to {}", range.start(), range.end())
            })
        })
    }

    /// A whole number within a range, or the word that means none.
    pub(crate) fn integer_or_none<T: TryFrom<i64>>(
        &mut self,
        key: &str,
        none: &str,
        range: RangeInclusive<i64>,
    ) -> Option<Option<T>> {
        self.parsed(key, |entry| {
            if entry.value.as_str() == Some(none) {
                return Ok(None);
            }
            let number = entry.value.as_integer().filter(|number| range.contains(number));
            number.and_then(|number| T::try_from(number).ok()).map(Some).ok_or_else(|| {
                format!(
                    "expected \"{none}\" or a whole number from {} to {}",
                    range.start(),
                    range.end()
                )
            })
        })
    }

    /// A duration within a range, in ms.
    pub(crate) fn milliseconds(&mut self, key: &str, range: RangeInclusive<i64>) -> Option<i64> {
        self.text(key, |text| within(duration_ms(text)?, &range))
    }

    /// A duration within a range of ms.
    pub(crate) fn duration(&mut self, key: &str, range: RangeInclusive<i64>) -> Option<Duration> {
        let ms = self.milliseconds(key, range)?;
        Some(Duration::from_millis(ms.unsigned_abs()))
    }

    /// Whole numbers, or `None` where the key is absent, which it may be.
    pub(crate) fn integers_or_absent(
        &mut self,
        key: &str,
        check: impl FnOnce(&[i64]) -> Result<(), String>,
    ) -> Option<Option<Vec<i64>>> {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        if !self.layers.entries.contains_key(&path) {
            self.known.push(key.to_owned());
            return Some(None);
        }
        self.parsed(key, |entry| {
            let numbers: Option<Vec<i64>> = entry
                .value
                .as_array()
                .and_then(|values| values.iter().map(Value::as_integer).collect());
            let numbers = numbers
                .ok_or_else(|| "expected a list of whole numbers such as [1, 2]".to_owned())?;
            check(&numbers)?;
            Ok(Some(numbers))
        })
    }

    /// Tables of a list with their entry, or `None` where the key is absent, which it may be.
    pub(crate) fn tables_or_absent(&mut self, key: &str) -> Option<Option<(Vec<Table>, Entry)>> {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        if !self.layers.entries.contains_key(&path) {
            self.known.push(key.to_owned());
            return Some(None);
        }
        self.parsed(key, |entry| {
            let tables: Option<Vec<Table>> = entry
                .value
                .as_array()
                .and_then(|values| values.iter().map(|it| it.as_table().cloned()).collect());
            let tables = tables.ok_or_else(|| format!("expected tables [[{key}]]"))?;
            Ok(Some((tables, entry.clone())))
        })
    }

    /// Everything that was written.
    pub(crate) const fn entries(&self) -> &BTreeMap<Vec<String>, Entry> {
        &self.layers.entries
    }

    /// Where relative paths of a file start.
    pub(crate) const fn folder(&self) -> &'a Path {
        self.folder
    }

    /// Whether anybody asked for a key.
    pub(crate) fn has_taken(&self, path: &[String]) -> bool {
        self.taken.contains(path)
    }

    /// Some of the words, each at most once.
    pub(crate) fn choices(&mut self, key: &str, choices: &[&str]) -> Option<Vec<String>> {
        self.parsed(key, |entry| {
            let words: Option<Vec<String>> = entry
                .value
                .as_array()
                .and_then(|values| values.iter().map(|v| v.as_str().map(str::to_owned)).collect());
            let fits = |words: &Vec<String>| {
                let distinct: BTreeSet<_> = words.iter().collect();
                distinct.len() == words.len()
                    && words.iter().all(|word| choices.contains(&word.as_str()))
            };
            words.filter(fits).ok_or_else(|| {
                let names: Vec<_> = choices.iter().map(|name| format!("\"{name}\"")).collect();
                format!("expected a list of distinct {}", names.join(", "))
            })
        })
    }

    /// A path, or `None` when it is empty.
    pub(crate) fn path_or_none(&mut self, key: &str) -> Option<Option<PathBuf>> {
        let path = self.text_or_none(key, |text| Ok(PathBuf::from(text)))?;
        Some(path.map(|path| self.resolve(key, &path)))
    }

    /// Makes a path absolute: one of a file starts at that file's folder. Printed, it is absolute.
    pub(crate) fn resolve(&mut self, key: &str, path: &Path) -> PathBuf {
        let parts: Vec<String> = key.split('.').map(str::to_owned).collect();
        let Some(entry) = self.layers.entries.get_mut(&parts) else {
            return path.to_owned();
        };
        let path = match entry.source {
            Source::File { .. } => self.folder.join(path),
            _ => path.to_owned(),
        };
        // Without a working directory it stays relative, and opening it will tell.
        let path = std::path::absolute(&path).unwrap_or(path);
        if let Some(text) = path.to_str() {
            entry.value = Value::String(text.to_owned());
        }
        path
    }

    /// Records what a key that is absent effectively is, for printing.
    pub(crate) fn effective(&mut self, key: &str, value: Value, source: Source) {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        self.taken.insert(path.clone());
        self.layers.entries.entry(path).or_insert(Entry { value, text: None, source });
    }

    /// All values below a table whose keys are the user's, each with its path below that table.
    pub(crate) fn table(&mut self, key: &str) -> BTreeMap<Vec<String>, Entry> {
        let prefix: Vec<String> = key.split('.').map(str::to_owned).collect();
        self.known.push(format!("{key}.*"));
        let below: BTreeMap<_, _> = self
            .layers
            .entries
            .iter()
            .filter(|(path, _)| path.len() > prefix.len() && path.starts_with(&prefix))
            .map(|(path, entry)| (path[prefix.len()..].to_vec(), entry.clone()))
            .collect();
        for path in below.keys() {
            self.taken.insert([prefix.as_slice(), path.as_slice()].concat());
        }
        below
    }

    /// Records a problem of an entry of such a table.
    pub(crate) fn table_problem(&mut self, key: String, entry: &Entry, message: String) {
        let value = Some(shown(&key, &entry.value));
        self.problems.push(Problem { key, value, source: entry.source.clone(), message });
    }

    fn unknown(&self, key: &str, entry: &Entry) -> Problem {
        let inside = self.known.iter().find(|known| known.starts_with(&format!("{key}.")));
        let above = self.known.iter().find(|known| key.starts_with(&format!("{known}.")));
        let message = if let Some(inside) = inside {
            match inside.strip_suffix(".*") {
                Some(table) => format!("expected a table [{table}]"),
                None => format!("expected a table [{key}] with keys such as {inside}"),
            }
        } else if let Some(above) = above {
            format!("{above} is a value, not a table")
        } else {
            match self.nearest(key) {
                Some(near) => format!("unknown key; did you mean \"{near}\"?"),
                None => self.unknown_place(key),
            }
        };
        Problem {
            key: key.to_owned(),
            // Whatever stands at an unknown key may be a misplaced secret of a longer name.
            value: (!is_secret(key)).then(|| shown(key, &entry.value)),
            source: entry.source.clone(),
            message,
        }
    }

    /// What to say of a key that no other is like.
    fn unknown_place(&self, key: &str) -> String {
        let all = "`ebbflow check-config --print` shows every key";
        let Some((table, _)) = key.split_once('.') else {
            return format!("unknown key; {all}");
        };
        let tables: BTreeSet<&str> =
            self.known.iter().filter_map(|known| Some(known.split_once('.')?.0)).collect();
        if tables.contains(table) {
            return format!("unknown key of [{table}]; {all}");
        }
        let near = tables.iter().map(|known| (strsim::damerau_levenshtein(known, table), known));
        match near.filter(|(distance, _)| *distance <= (table.len() / 3).max(1)).min() {
            Some((_, near)) => format!("unknown table; did you mean [{near}]? {all}"),
            None => format!("unknown table; {all}"),
        }
    }

    /// The known key that `key` may be a misspelling of, or that it is in another table.
    fn nearest(&self, key: &str) -> Option<&str> {
        let limit = (key.len() / 4).clamp(1, 4);
        let spelled = self
            .known
            .iter()
            .map(|known| (strsim::damerau_levenshtein(known, key), known))
            .filter(|(distance, _)| *distance <= limit)
            .min();
        let last = |path: &str| path.rsplit('.').next().map(str::to_owned);
        let misplaced = || self.known.iter().find(|known| last(known) == last(key));
        spelled.map(|(_, known)| known).or_else(misplaced).map(String::as_str)
    }
}

/// The text of a value; in the environment and flags it needs no quotes.
pub(crate) fn text_of(entry: &Entry) -> Result<&str, String> {
    match (&entry.value, &entry.text) {
        (Value::String(text), _) | (_, Some(text)) => Ok(text),
        _ => Err("expected text in quotes".to_owned()),
    }
}

fn within(ms: i64, range: &RangeInclusive<i64>) -> Result<i64, String> {
    if range.contains(&ms) {
        Ok(ms)
    } else {
        let (least, most) = (show_ms(*range.start()), show_ms(*range.end()));
        Err(format!("expected a duration from {least} to {most}"))
    }
}

fn expected_one_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.map(|name| format!("\"{name}\"")).collect();
    format!("expected {}", names.join(" or "))
}
