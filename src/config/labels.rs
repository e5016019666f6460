//! Reads the words of a locale: those shipped, with the user's own laid over them.
//!
//! Next: `config/labels/en.toml`, the words; `domain/publish/labels.rs`, what comes out.

use crate::config::layers::Entry;
use crate::config::reader::{Reader, text_of};
use crate::domain::publish::labels::{Labels, Phrase};
use toml::{Table, Value};

/// Locales that are shipped.
const SHIPPED: [(&str, &str); 5] = [
    ("en", include_str!("../../config/labels/en.toml")),
    ("de", include_str!("../../config/labels/de.toml")),
    ("ko", include_str!("../../config/labels/ko.toml")),
    ("ja", include_str!("../../config/labels/ja.toml")),
    ("zh", include_str!("../../config/labels/zh.toml")),
];

/// The words of `output.locale`; of a locale that is not shipped what is missing is English.
pub(super) fn labels(reader: &mut Reader<'_>) -> Option<Labels> {
    let own = reader.table("labels");
    let known = |locale: &str| {
        SHIPPED.iter().any(|(shipped, _)| *shipped == locale)
            || own.keys().any(|path| path.first().is_some_and(|of| of == locale))
    };
    let locale = reader.text("output.locale", |text| match known(text) {
        true => Ok(text.to_owned()),
        false => {
            let names = SHIPPED.map(|(name, _)| name).join(", ");
            Err(format!("expected one of {names}, or a locale with words in [labels.{text}]"))
        }
    });
    let mut labels = shipped(SHIPPED[0].1);
    if let Some((_, text)) = SHIPPED.iter().find(|(name, _)| Some(*name) == locale.as_deref()) {
        labels = shipped(text);
    }
    let mut sound = true;
    for (path, entry) in own {
        let of_locale = path.first().map(String::as_str) == locale.as_deref();
        let mut of_others = Labels::default();
        let into = if of_locale { &mut labels } else { &mut of_others };
        if let Err(problem) = lay(into, &path, &entry) {
            sound = false;
            reader.table_problem(format!("labels.{}", path.join(".")), &entry, problem);
        }
    }
    locale.filter(|_| sound).map(|_| labels)
}

fn lay(labels: &mut Labels, path: &[String], entry: &Entry) -> Result<(), String> {
    let text = text_of(entry)?.to_owned();
    match path {
        [_, key] if key == "decimal" => labels.decimal = text,
        [_, table, name] if table == "phrases" => {
            let phrase =
                Phrase::of_name(name).ok_or("unknown phrase; see config/labels/en.toml")?;
            labels.phrases.resize(Phrase::ALL.len(), String::new());
            labels.phrases[phrase as usize] = text;
        }
        [_, table, name @ ..] if table == "values" && !name.is_empty() => {
            labels.values.retain(|(known, _)| *known != name.join("."));
            labels.values.push((name.join("."), text));
        }
        _ => return Err("expected [labels.LOCALE.phrases] or [labels.LOCALE.values]".to_owned()),
    }
    Ok(())
}

#[expect(clippy::expect_used, reason = "part of the program, read by a test")]
fn shipped(text: &str) -> Labels {
    let table: Table = text.parse().expect("a shipped locale is TOML");
    let texts = |name: &str| -> Vec<(String, String)> {
        let table = table.get(name).and_then(Value::as_table);
        let pairs = table.into_iter().flatten();
        pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    let phrases = texts("phrases");
    let phrase = |name: &str| {
        let found = phrases.iter().find(|(known, _)| known == name);
        found.map_or(String::new(), |(_, text)| text.clone())
    };
    Labels {
        decimal: table.get("decimal").and_then(Value::as_str).unwrap_or(".").to_owned(),
        phrases: Phrase::ALL.map(|(_, name)| phrase(name)).into(),
        values: texts("values"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands in braces, in order of names.
    fn places(phrase: &str) -> Vec<&str> {
        let mut names: Vec<&str> = phrase
            .split('{')
            .skip(1)
            .filter_map(|part| part.split_once('}').map(|(name, _)| name))
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_locale_has_every_phrase_with_the_same_places() {
        let english = shipped(SHIPPED[0].1);
        for (locale, text) in SHIPPED {
            let labels = shipped(text);
            for ((phrase, english), (_, name)) in
                labels.phrases.iter().zip(&english.phrases).zip(Phrase::ALL)
            {
                assert!(!phrase.is_empty(), "{locale} has no {name}");
                assert_eq!(places(phrase), places(english), "{locale}: {name}");
            }
            let table: Table = text.parse().expect("TOML");
            let known = table["phrases"].as_table().expect("a table");
            assert_eq!(known.len(), Phrase::ALL.len(), "{locale} has phrases nobody knows");
        }
    }
}
