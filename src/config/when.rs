//! Reads `[[rules.when]]`: thresholds of customers to whom a condition on their traits applies.
//!
//! An entry is read like the whole rule set, with its own keys laid over the others, so that what
//! may stand in it is what may stand outside. Next: `rules.rs`, which reads thresholds.

use crate::config::cel::{Known, compile};
use crate::config::layers::{Entry, Layers};
use crate::config::reader::Reader;
use crate::config::rules;
use crate::domain::predicate::season::Seasons;
use crate::domain::predicate::{Predicate, Text, TextTest};
use crate::domain::rules::When;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// Entries that a rule set may have.
const MAX_ENTRIES: usize = 32;
/// Combinations of values, times comparisons, that are tried to find out whether entries can be
/// reached: a fifth of a second.
const MAX_TRIALS: usize = 20_000_000;
/// Stands for every value that no condition names.
const OTHER: &str = "\u{0}any other value";

/// The entries, in their order; `seasons` are those that there are, if they are known.
pub(super) fn when(reader: &mut Reader<'_>, seasons: Option<&Seasons>) -> Option<Vec<When>> {
    let Some((tables, entry)) = reader.tables_or_absent("rules.when")? else {
        return Some(Vec::new());
    };
    let mut found: Vec<(usize, When)> = Vec::new();
    let mut sound = true;
    if tables.len() > MAX_ENTRIES {
        reader.problem("rules.when", format!("expected at most {MAX_ENTRIES} entries"));
        return None;
    }
    for (number, table) in (1..).zip(&tables) {
        match read(reader, table, &entry, seasons) {
            Ok(when) => found.push((number, when)),
            Err(problems) => {
                sound = false;
                for (key, problem) in problems {
                    reader.table_problem(format!("rules.when[{number}].{key}"), &entry, problem);
                }
            }
        }
    }
    let conditions: Vec<&Predicate> = found.iter().map(|(_, when)| &when.condition).collect();
    match reached(&conditions, seasons) {
        Ok(reached) => {
            for ((number, _), _) in found.iter().zip(reached).filter(|(_, reached)| !reached) {
                sound = false;
                let problem = "never applies: entries before it apply to all of these customers, \
                               or nobody is like this";
                reader.table_problem(format!("rules.when[{number}].if"), &entry, problem.into());
            }
        }
        Err(problem) => {
            sound = false;
            reader.problem("rules.when", problem);
        }
    }
    sound.then(|| found.into_iter().map(|(_, when)| when).collect())
}

type Problems = Vec<(String, String)>;

fn read(
    reader: &Reader<'_>,
    table: &Table,
    entry: &Entry,
    seasons: Option<&Seasons>,
) -> Result<When, Problems> {
    let mut problems = Problems::new();
    let condition = table.get("if").and_then(Value::as_str).ok_or_else(|| {
        let expected = "expected a condition on traits, such as 'traits.region == \"EU\"'";
        vec![("if".to_owned(), expected.to_owned())]
    })?;
    let condition = compile(condition, Known { map: None, seasons }).and_then(|condition| {
        check(&condition)?;
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

/// Whether a condition asks for traits and the season only, in a way that can be enumerated.
fn check(condition: &Predicate) -> Result<(), String> {
    let mut leaves = Vec::new();
    condition.leaves(&mut leaves);
    let can_be = |leaf: &&Predicate| {
        matches!(
            leaf,
            Predicate::Constant(_)
                | Predicate::Text(Text::Trait(_) | Text::Season, TextTest::OneOf(_))
        )
    };
    if leaves.iter().all(can_be) {
        Ok(())
    } else {
        let expected =
            "expected only comparisons of traits and the season with texts, by ==, != and in";
        Err(expected.to_owned())
    }
}

/// A condition on the places that values have among those of their texts.
enum Condition {
    Constant(bool),
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    /// The text, and the places of its values, ascending.
    OneOf(usize, Vec<usize>),
}

impl Condition {
    fn of(predicate: &Predicate, texts: &[(&Text, Vec<&str>)]) -> Self {
        let all = |parts: &[Predicate]| parts.iter().map(|part| Self::of(part, texts)).collect();
        match predicate {
            Predicate::Constant(holds) => Self::Constant(*holds),
            Predicate::All(parts) => Self::All(all(parts)),
            Predicate::Any(parts) => Self::Any(all(parts)),
            Predicate::Not(part) => Self::Not(Box::new(Self::of(part, texts))),
            Predicate::Text(text, TextTest::OneOf(named)) => {
                let place = texts.iter().position(|(known, _)| *known == text).unwrap_or(0);
                let place_of = |name: &String| texts[place].1.binary_search(&name.as_str()).ok();
                let mut places: Vec<usize> = named.iter().filter_map(place_of).collect();
                places.sort_unstable();
                Self::OneOf(place, places)
            }
            _ => Self::Constant(false),
        }
    }

    fn holds(&self, chosen: &[usize]) -> bool {
        match self {
            Self::Constant(holds) => *holds,
            Self::All(parts) => parts.iter().all(|part| part.holds(chosen)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(chosen)),
            Self::Not(part) => !part.holds(chosen),
            Self::OneOf(text, places) => places.binary_search(&chosen[*text]).is_ok(),
        }
    }
}

/// The values that a text may have, as far as conditions tell them apart, ascending.
fn values<'a>(text: &Text, named: &[&'a str], seasons: Option<&'a Seasons>) -> Vec<&'a str> {
    let mut values: Vec<&str> = match (text, seasons) {
        (Text::Season, Some(seasons)) => {
            let none = seasons.leave_gaps().then_some("");
            seasons.names().into_iter().chain(none).collect()
        }
        _ => named.iter().copied().chain(["", OTHER]).collect(),
    };
    values.sort_unstable();
    values.dedup();
    values
}

/// Whether each of some conditions is the first that holds of some customer.
fn reached(conditions: &[&Predicate], seasons: Option<&Seasons>) -> Result<Vec<bool>, String> {
    let mut texts: Vec<(&Text, Vec<&str>)> = Vec::new();
    let mut leaves = Vec::new();
    conditions.iter().for_each(|condition| condition.leaves(&mut leaves));
    for leaf in &leaves {
        let Predicate::Text(text, TextTest::OneOf(named)) = leaf else { continue };
        let place = texts.iter().position(|(known, _)| *known == text);
        let place = place.unwrap_or_else(|| {
            texts.push((text, Vec::new()));
            texts.len() - 1
        });
        texts[place].1.extend(named.iter().map(String::as_str));
    }
    for (text, named) in &mut texts {
        *named = values(text, named, seasons);
    }
    let combinations =
        texts.iter().try_fold(1_usize, |all, (_, values)| all.checked_mul(values.len()));
    let trials = combinations.and_then(|all| all.checked_mul(leaves.len().max(1)));
    if trials.is_none_or(|trials| trials > MAX_TRIALS) {
        let message = "expected fewer traits, values or comparisons: whether every entry can be \
                       reached cannot be found out";
        return Err(message.to_owned());
    }
    let conditions: Vec<Condition> =
        conditions.iter().map(|condition| Condition::of(condition, &texts)).collect();
    let mut reached = vec![false; conditions.len()];
    let mut chosen = vec![0; texts.len()];
    for _ in 0..combinations.unwrap_or(0) {
        if let Some(first) = conditions.iter().position(|condition| condition.holds(&chosen)) {
            reached[first] = true;
        }
        // Counts on, the first text fastest.
        for (place, (_, values)) in chosen.iter_mut().zip(&texts) {
            *place += 1;
            if *place < values.len() {
                break;
            }
            *place = 0;
        }
    }
    Ok(reached)
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
    #[test]
    fn only_seasons_that_there_are_can_be() {
        let seasons = |summer, winter| {
            format!(
                "[season]\nby = \"city\"\n[season.months.\"*\"]\nsummer = \"{summer}\"\n\
                 winter = \"{winter}\"\n"
            )
        };
        let entry = |rule| format!("[[rules.when]]\nif = '{rule}'\ngap.prior = \"30d\"\n");
        let both = ["season == \"summer\"", "season == \"winter\""].map(entry).concat();
        let rest = entry("true");
        assert_eq!(loaded(&(seasons("3-8", "9-1") + &both + &rest)).map(|it| it.len()), Ok(3));
        let refusal = loaded(&(seasons("3-8", "9-2") + &both + &rest)).expect_err("all year");
        assert!(refusal.contains("rules.when[3].if"), "{refusal}");
        let refusal = loaded(&entry("season == \"summer\"")).expect_err("no seasons");
        assert!(refusal.contains("there is no [season]"), "{refusal}");
        let refusal = loaded(&(seasons("3-8", "9-2") + &entry("season != \"sumer\"")));
        assert!(refusal.expect_err("a typo").contains("did you mean \"summer\"?"));
    }

    #[test]
    fn what_cannot_be_tried_out_is_refused_at_once() {
        let entries = |count: usize, rule: &dyn Fn(usize) -> String| -> String {
            let entry = |number| format!("[[rules.when]]\nif = '{}'\n", rule(number));
            (0..count).map(entry).collect()
        };
        // 3 to the power of 32 would wrap in 32 bits, 4 to the power of 32 in 64.
        for names in ["\"b\"", "\"b\", \"c\""] {
            let many = entries(32, &|number| format!("traits.a{number} in [{names}]"));
            let refusal = loaded(&many).expect_err("too many combinations");
            assert!(refusal.contains("expected fewer traits"), "{refusal}");
        }
        let wide = entries(32, &|number| {
            let names: Vec<String> = (0..200).map(|it| format!("\"{number}-{it}\"")).collect();
            format!("traits.a in [{}]", names.join(","))
        });
        assert_eq!(loaded(&wide).expect("one trait of many values").len(), 32);
    }
}
