//! From files, environment and flags to a [`Config`]: the only place that reads the environment.
//!
//! Next: `layers.rs`, how the sources are laid over each other; `validate.rs`, what is checked.

use crate::config::layers::Layers;
use crate::config::problem::{ConfigError, Problem, Source};
use crate::config::reader::Reader;
use crate::config::{Config, validate};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

/// A configuration that can be used, and what there is to say about it.
#[derive(Debug)]
pub struct Loaded {
    /// What the program uses.
    pub config: Config,
    /// What a careful user should know, one paragraph each.
    pub warnings: Vec<String>,
    /// Every key that can be set; `table.*` where the keys below a table are the user's.
    pub keys: Vec<String>,
    effective: String,
    /// Where each key of `kafka.properties` was written.
    properties: BTreeMap<String, Source>,
}

impl Loaded {
    /// The effective configuration as TOML that loads again, each value with its source as a
    /// comment; secrets are hidden.
    #[must_use]
    pub fn print(&self) -> &str {
        &self.effective
    }

    /// What librdkafka says about keys of `kafka.properties`, as problems of the configuration;
    /// without a key it is about several together.
    #[must_use]
    pub fn refused_properties(&self, refused: &[(Option<String>, String)]) -> ConfigError {
        let problem = |(property, message): &(Option<String>, String)| {
            let (key, source) = match property {
                Some(name) => (format!("kafka.properties.{name}"), self.properties.get(name)),
                None => ("kafka.properties".to_owned(), self.properties.values().next()),
            };
            Problem {
                key,
                // The name may be a misspelled one of a secret.
                value: None,
                source: source.cloned().unwrap_or(Source::Default),
                message: message.clone(),
            }
        };
        ConfigError::Problems(refused.iter().map(problem).collect())
    }
}

/// What a user wrote in a file.
#[derive(Clone, Copy, Debug)]
pub struct FileText<'a> {
    /// As it is named in messages; relative paths in it start at its folder.
    pub path: &'a Path,
    /// TOML.
    pub text: &'a str,
}

/// A `key.path=value` from the command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// The flag, for messages.
    pub flag: &'static str,
    /// `key.path=value`.
    pub text: String,
}

/// Reads the file, if any, and the environment, lays the settings over them and checks it all.
///
/// # Errors
/// When the file cannot be read, or with all problems at once.
pub fn load(file: Option<&Path>, settings: &[Setting]) -> Result<Loaded, ConfigError> {
    let text = match file {
        None => None,
        Some(path) => {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { name, source })?;
            Some((path, text))
        }
    };
    let file = text.as_ref().map(|(path, text)| FileText { path, text });
    from_sources(file, std::env::vars_os(), settings)
}

/// Lays the sources over the defaults, the later over the earlier, and checks it all.
///
/// # Errors
/// With all problems at once.
pub fn from_sources(
    file: Option<FileText<'_>>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    settings: &[Setting],
) -> Result<Loaded, ConfigError> {
    let mut layers = Layers::of_defaults();
    if let Some(file) = file {
        layers.add_file(&file.path.display().to_string(), file.text);
    }
    let mut variables: Vec<_> = environment.into_iter().collect();
    variables.sort();
    for (name, value) in variables {
        layers.add_variable(&name, &value);
    }
    for setting in settings {
        layers.add_setting(setting.flag, &setting.text);
    }
    let folder = file.and_then(|file| file.path.parent()).unwrap_or(Path::new(""));
    let mut warnings = Vec::new();
    let mut reader = Reader::new(&mut layers, folder);
    let config = validate::read(&mut reader, &mut warnings);
    let (problems, keys) = reader.finish();
    match config {
        Some(config) if problems.is_empty() => {
            let effective = layers.print();
            let below = |path: Vec<String>| match &path[..] {
                [kafka, table, key] if kafka == "kafka" && table == "properties" => {
                    Some(key.clone())
                }
                _ => None,
            };
            let properties = layers.entries.into_iter();
            let properties =
                properties.filter_map(|(path, entry)| Some((below(path)?, entry.source))).collect();
            Ok(Loaded { config, warnings, keys, effective, properties })
        }
        _ => Err(ConfigError::Problems(problems)),
    }
}
