//! Reads `[[rules.when]]`: thresholds of customers to whom a condition on their traits applies.
//!
//! An entry is read like the whole rule set, with its own keys laid over the others, so that what
//! may stand in it is what may stand outside. Next: `rules.rs`, which reads thresholds.

use crate::config::cel::compile;
use crate::config::layers::{Entry, Layers};
use crate::config::reader::Reader;
use crate::config::rules;
use crate::domain::predicate::{Predicate, Text, TextTest};
use crate::domain::rules::When;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// Entries that a rule set may have.
const MAX_ENTRIES: usize = 32;
/// Combinations of trait values that are tried to find out whether an entry can be reached.
const MAX_COMBINATIONS: usize = 100_000;
/// Stands for every value that no condition names.
const OTHER: &str = "\u{0}any other value";

/// The entries, in their order.
pub(super) fn when(reader: &mut Reader<'_>) -> Option<Vec<When>> {
    let Some((tables, entry)) = reader.tables_or_absent("rules.when")? else {
        return Some(Vec::new());
    };
    let mut found: Vec<When> = Vec::new();
    let mut sound = true;
    if tables.len() > MAX_ENTRIES {
        reader.problem("rules.when", format!("expected at most {MAX_ENTRIES} entries"));
        return None;
    }
    for (number, table) in (1..).zip(&tables) {
        match read(reader, table, &entry, &found) {
            Ok(when) => found.push(when),
            Err(problems) => {
                sound = false;
                for (key, problem) in problems {
                    reader.table_problem(format!("rules.when[{number}].{key}"), &entry, problem);
                }
            }
        }
    }
    sound.then_some(found)
}

type Problems = Vec<(String, String)>;

fn read(
    reader: &Reader<'_>,
    table: &Table,
    entry: &Entry,
    before: &[When],
) -> Result<When, Problems> {
    let mut problems = Problems::new();
    let condition = table.get("if").and_then(Value::as_str).ok_or_else(|| {
        let expected = "expected a condition on traits, such as 'traits.region == \"EU\"'";
        vec![("if".to_owned(), expected.to_owned())]
    })?;
    let condition = compile(condition, None).and_then(|condition| {
        check(&condition, before.iter().map(|when| &when.condition))?;
        Ok(condition)
    });
    let mut own = BTreeMap::new();
    flatten(table, &mut Vec::new(), &mut own);
    own.remove(&vec!["if".to_owned()]);
    let mut layers = Layers { entries: reader.entries().clone(), problems: Vec::new() };
    for (path, value) in &own {
        let entry = Entry { value: value.clone(), text: None, source: entry.source.clone() };
        layers.entries.insert(path.clone(), entry);
    }
    let mut inner = Reader::new(&mut layers, reader.folder());
    let thresholds = rules::thresholds(&mut inner, &mut Vec::new());
    for path in own.keys() {
        let key = path.join(".");
        if !inner.has_taken(path) || key == "rfm.map" {
            let message = "this cannot differ between customers; expected a threshold such as \
                           rfm.recency_days or gap.prior";
            problems.push((key, message.to_owned()));
        }
    }
    let of_own = |key: &str| own.keys().any(|path| path.join(".") == key);
    let of_own = inner.into_problems().into_iter().filter(|problem| of_own(&problem.key));
    problems.extend(of_own.map(|problem| (problem.key, problem.message)));
    match (condition, thresholds) {
        (Ok(condition), Some(thresholds)) if problems.is_empty() => {
            Ok(When { condition, thresholds })
        }
        (Err(problem), _) => {
            problems.push(("if".to_owned(), problem));
            Err(problems)
        }
        _ => Err(problems),
    }
}

fn flatten(table: &Table, path: &mut Vec<String>, into: &mut BTreeMap<Vec<String>, Value>) {
    for (key, value) in table {
        path.push(key.clone());
        match value {
            Value::Table(inner) => flatten(inner, path, into),
            value => {
                into.insert(path.clone(), value.clone());
            }
        }
        path.pop();
    }
}

/// Whether a condition asks for traits and the season only, in a way that can be enumerated, and
/// whether there is anybody to whom it applies and none of those before it.
fn check<'a>(
    condition: &'a Predicate,
    before: impl Iterator<Item = &'a Predicate>,
) -> Result<(), String> {
    let conditions: Vec<&Predicate> = before.chain([condition]).collect();
    let mut texts: Vec<(&Text, Vec<&str>)> = Vec::new();
    for condition in &conditions {
        let mut leaves = Vec::new();
        condition.leaves(&mut leaves);
        for leaf in leaves {
            let Predicate::Text(text @ (Text::Trait(_) | Text::Season), TextTest::OneOf(values)) =
                leaf
            else {
                if matches!(leaf, Predicate::Constant(_)) {
                    continue;
                }
                return Err("expected only comparisons of traits and the season with texts, by \
                            ==, != and in"
                    .to_owned());
            };
            let place = texts.iter().position(|(known, _)| *known == text);
            let place = place.unwrap_or_else(|| {
                texts.push((text, vec!["", OTHER]));
                texts.len() - 1
            });
            let known = &mut texts[place].1;
            known.extend(values.iter().map(String::as_str));
            known.sort_unstable();
            known.dedup();
        }
    }
    let combinations: usize = texts.iter().map(|(_, values)| values.len()).product();
    if combinations > MAX_COMBINATIONS {
        return Err("expected fewer different values: whether an entry can be reached cannot be \
                    found out"
            .to_owned());
    }
    let reached = (0..combinations).any(|combination| {
        let value_of = |text: &Text| {
            let mut rest = combination;
            for (known, values) in &texts {
                let value = values[rest % values.len()];
                rest /= values.len();
                if *known == text {
                    return value;
                }
            }
            ""
        };
        let first = conditions
            .iter()
            .position(|condition| condition.holds_if(&|text, test| test.holds(value_of(text))));
        first == Some(conditions.len() - 1)
    });
    if reached {
        Ok(())
    } else {
        Err("never applies: entries before it apply to all of these customers, or nobody is like \
             this"
            .to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigError, FileText, from_sources};
    use std::path::Path;

    fn loaded(text: &str) -> Result<Vec<When>, String> {
        let file = FileText { path: Path::new("test.toml"), text };
        match from_sources(Some(file), [], &[]) {
            Ok(loaded) => Ok(loaded.config.rules.when.clone()),
            Err(ConfigError::Problems(problems)) => {
                Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            }
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn an_entry_differs_where_it_says_so() {
        let when = loaded(
            "[gap]\nprior = \"30d\"\n\
             [[rules.when]]\nif = 'traits.region == \"EU\"'\nrfm.recency_days = [10, 20, 30, 40]\n\
             [[rules.when]]\nif = 'traits.contract in [\"yearly\"]'\ngap.prior = \"365d\"\n",
        )
        .expect("sound entries");
        assert_eq!(when[0].thresholds.rfm.recency_days, [10, 20, 30, 40]);
        assert_eq!(when[0].thresholds.gap.prior_days, 30);
        assert_eq!(when[1].thresholds.rfm.recency_days, [30, 90, 180, 365]);
        assert_eq!(when[1].thresholds.gap.prior_days, 365);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (entries, expected) in [
            ("[[rules.when]]\ngap.prior = \"1d\"\n", "rules.when[1].if"),
            ("[[rules.when]]\nif = 'facts.orders > 1'\n", "only comparisons of traits"),
            ("[[rules.when]]\nif = 'traits.a == \"b\"'\nrfm.map = \"rf-10\"\n", "rfm.map"),
            (
                "[[rules.when]]\nif = 'traits.a == \"b\"'\nengagement.daily_cap = 3\n",
                "cannot differ between customers",
            ),
            (
                "[[rules.when]]\nif = 'traits.a == \"b\"'\ngap.prior = \"x\"\n",
                "rules.when[1].gap.prior",
            ),
            (
                "[[rules.when]]\nif = 'traits.a != \"b\"'\n\
                 [[rules.when]]\nif = 'traits.a == \"c\"'\n",
                "rules.when[2].if",
            ),
            ("[[rules.when]]\nif = 'traits.a == \"b\" && traits.a == \"c\"'\n", "never applies"),
        ] {
            let refusal = loaded(entries).expect_err(entries);
            assert!(refusal.contains(expected), "{entries}: {refusal}");
        }
    }
}
