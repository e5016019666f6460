//! Reads the user's own rules: audiences in CEL, and the seasons that they may ask for.
//!
//! Next: `cel.rs`, which compiles a rule; `domain/predicate`, what comes out.

use crate::config::cel::{Known, compile};
use crate::config::layers::Entry;
use crate::config::reader::{Reader, text_of};
use crate::config::values::{self, CENTURY_MS};
use crate::domain::dimension::Dimension;
use crate::domain::facts::traits::MAX_NAME_BYTES;
use crate::domain::predicate::season::Seasons;
use crate::domain::publish::consent::ConsentPolicy;
use crate::domain::rules::{AntiFlap, Audience, ConsentRules};
use std::collections::BTreeMap;

/// Audiences that a rule set may have.
const MAX_AUDIENCES: usize = 64;

/// One audience while it is read.
#[derive(Default)]
struct Parts {
    predicate: Option<crate::domain::predicate::Predicate>,
    anti_flap: AntiFlap,
    held: Option<u8>,
    purpose: Option<String>,
}

/// The audiences, in the order of their names; `percent` are held out where nothing else is said.
pub(super) fn audiences(
    reader: &mut Reader<'_>,
    known: Known<'_>,
    percent: u8,
) -> Option<Vec<Audience>> {
    let mut found: BTreeMap<String, Parts> = BTreeMap::new();
    let mut sound = true;
    for (path, entry) in reader.table("audience") {
        let read = match path.as_slice() {
            [name, key] => values::id(name).and_then(|name| {
                let parts = found.entry(name).or_default();
                part(parts, key, &entry, known)
            }),
            _ => Err("expected [audience.NAME] with a rule".to_owned()),
        };
        if let Err(problem) = read {
            sound = false;
            reader.table_problem(format!("audience.{}", path.join(".")), &entry, problem);
        }
    }
    if found.len() > MAX_AUDIENCES {
        let problem = format!("expected at most {MAX_AUDIENCES} audiences");
        reader.problem("audience", problem);
        return None;
    }
    let mut audiences = Vec::new();
    for (name, parts) in found {
        let Some(predicate) = parts.predicate else {
            if sound {
                reader.problem(&format!("audience.{name}.rule"), "expected a rule in CEL");
            }
            sound = false;
            continue;
        };
        audiences.push(Audience {
            name: name.into(),
            number: u8::MAX,
            reads: predicate.reads(),
            predicate,
            anti_flap: parts.anti_flap,
            held: parts.held.unwrap_or(percent),
            purpose: parts.purpose,
        });
    }
    sound.then_some(audiences)
}

fn part(parts: &mut Parts, key: &str, entry: &Entry, known: Known<'_>) -> Result<(), String> {
    let duration = || match values::duration_ms(text_of(entry)?)? {
        ms if ms <= CENTURY_MS => Ok(ms),
        _ => Err("expected at most a hundred years".to_owned()),
    };
    match key {
        "rule" => parts.predicate = Some(compile(text_of(entry)?, known)?),
        "dwell" => parts.anti_flap.dwell_ms = duration()?,
        "cool_down" => parts.anti_flap.cool_down_ms = duration()?,
        "holdout" => {
            let percent = entry.value.as_integer().and_then(|it| u8::try_from(it).ok());
            let percent = percent.filter(|percent| *percent <= 100);
            parts.held = Some(percent.ok_or("expected 0 to 100")?);
        }
        "purpose" => parts.purpose = Some(purpose(text_of(entry)?)?),
        _ => return Err("expected rule, dwell, cool_down, holdout or purpose".to_owned()),
    }
    Ok(())
}

/// Checks the name of a purpose.
fn purpose(name: &str) -> Result<String, String> {
    if (1..=MAX_NAME_BYTES).contains(&name.len()) {
        Ok(name.to_owned())
    } else {
        Err(format!("expected a purpose of 1 to {MAX_NAME_BYTES} bytes"))
    }
}

/// What customers have to permit.
pub(super) fn consent(reader: &mut Reader<'_>) -> Option<ConsentRules> {
    let mut rules = ConsentRules { purposes: Default::default(), policies: Vec::new() };
    let mut sound = true;
    for (path, entry) in reader.table("consent.purposes") {
        let dimension = match path.as_slice() {
            [name] => Dimension::BUILT_IN.iter().position(|it| it.built_in_name() == name),
            _ => None,
        };
        let read = text_of(&entry).and_then(purpose).and_then(|purpose| {
            let dimension = dimension.ok_or("expected the name of a dimension")?;
            rules.purposes[dimension] = Some(purpose);
            Ok(())
        });
        if let Err(problem) = read {
            sound = false;
            let key = format!("consent.purposes.{}", path.join("."));
            reader.table_problem(key, &entry, problem);
        }
    }
    for (path, entry) in reader.table("consent.policies") {
        let policy = match text_of(&entry) {
            Ok("flag") => Ok(ConsentPolicy::Flag),
            Ok("withhold") => Ok(ConsentPolicy::Withhold),
            Ok("always") => Ok(ConsentPolicy::Always),
            _ => Err("expected \"flag\", \"withhold\" or \"always\"".to_owned()),
        };
        match policy.and_then(|policy| Ok((purpose(&path.join("."))?, policy))) {
            Ok(policy) => rules.policies.push(policy),
            Err(problem) => {
                sound = false;
                let key = format!("consent.policies.{}", path.join("."));
                reader.table_problem(key, &entry, problem);
            }
        }
    }
    sound.then_some(rules)
}

/// The seasons.
pub(super) fn seasons(reader: &mut Reader<'_>) -> Option<Seasons> {
    let by = reader.text("season.by", |text| Ok(text.to_owned()));
    let mut months: BTreeMap<String, [String; 12]> = BTreeMap::new();
    let mut sound = true;
    for (path, entry) in reader.table("season.months") {
        let read = match path.as_slice() {
            [value, season] => {
                let of = months.entry(value.clone()).or_default();
                text_of(&entry).and_then(|range| fill(of, season, range))
            }
            _ => Err("expected [season.months.VALUE] with summer = \"6-8\"".to_owned()),
        };
        if let Err(problem) = read {
            sound = false;
            reader.table_problem(format!("season.months.{}", path.join(".")), &entry, problem);
        }
    }
    let by = by?;
    if by.is_empty() && !months.is_empty() {
        reader.problem("season.by", "expected the trait whose values season.months has");
        return None;
    }
    sound.then(|| Seasons { by, months: months.into_iter().collect() })
}

/// Gives the months of a range such as `12-2` to a season.
fn fill(months: &mut [String; 12], season: &str, range: &str) -> Result<(), String> {
    let expected = "expected months such as \"6-8\" or \"12-2\"";
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let month = |text: &str| {
        let month = text.trim().parse::<usize>().ok().filter(|month| (1..=12).contains(month));
        month.map(|month| month - 1).ok_or_else(|| expected.to_owned())
    };
    let (first, last) = (month(first)?, month(last)?);
    let mut place = first;
    loop {
        if !months[place].is_empty() {
            return Err(format!("month {} is of \"{}\" already", place + 1, months[place]));
        }
        season.clone_into(&mut months[place]);
        if place == last {
            return Ok(());
        }
        place = (place + 1) % 12;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_belong_to_one_season() {
        let mut months = <[String; 12]>::default();
        fill(&mut months, "winter", "12-2").expect("free months");
        fill(&mut months, "summer", "6-8").expect("free months");
        assert_eq!(
            [0, 1, 2, 5, 7, 11].map(|month| &*months[month]),
            ["winter", "winter", "", "summer", "summer", "winter"]
        );
        assert!(fill(&mut months, "spring", "2-5").is_err_and(|it| it.contains("\"winter\"")));
        assert!(fill(&mut months, "spring", "0-5").is_err());
    }
}
