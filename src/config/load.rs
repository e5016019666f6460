//! From files, environment and flags to a [`Config`]: the only place that reads the environment.
//!
//! Next: `layers.rs`, how the sources are laid over each other; `validate.rs`, what is checked.

use crate::config::layers::{Layers, without_effect};
use crate::config::problem::{ConfigError, Problem, Source, shown};
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
    /// Every effective value as TOML, secrets hidden.
    values: BTreeMap<String, String>,
    /// Where each key was written.
    sources: BTreeMap<String, Source>,
}

impl Loaded {
    /// The effective configuration as TOML that loads again, each value with its source as a
    /// comment; secrets are hidden.
    #[must_use]
    pub fn print(&self) -> &str {
        &self.effective
    }

    /// Every effective value as TOML by key, secrets hidden.
    #[must_use]
    pub const fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// What librdkafka says about keys of `kafka.properties`, as problems of the configuration;
    /// without a key it is about several together.
    #[must_use]
    pub fn refused_properties(&self, refused: &[(Option<String>, String)]) -> Vec<Problem> {
        let problem = |(property, message): &(Option<String>, String)| {
            let (key, source) = match property {
                Some(name) => {
                    let key = format!("{PROPERTIES}{name}");
                    let source = self.sources.get(&key);
                    (key, source)
                }
                None => {
                    let mut all = self.sources.iter();
                    let first = all.find(|(key, _)| key.starts_with(PROPERTIES));
                    ("kafka.properties".to_owned(), first.map(|(_, source)| source))
                }
            };
            Problem {
                key,
                // The name may be a misspelled one of a secret.
                value: None,
                source: source.cloned().unwrap_or(Source::Default),
                message: with_hint(message),
            }
        };
        refused.iter().map(problem).collect()
    }

    /// The files of secrets that cannot be read, or hold no token.
    #[must_use]
    pub fn unreadable_secrets(&self) -> Vec<Problem> {
        let registry = self.config.registry.as_ref();
        let password = registry.and_then(|registry| registry.password_file.as_deref());
        let token = self.config.http.admin_token_file.as_deref();
        let problem = |(key, path): (&str, Option<&Path>)| {
            let message = match std::fs::read_to_string(path?) {
                Ok(text) if text.trim().is_empty() && key == TOKEN => {
                    "the file is empty".to_owned()
                }
                Ok(_) => return None,
                Err(error) => format!("cannot read the file: {error}"),
            };
            Some(Problem {
                key: key.to_owned(),
                value: path.map(|path| format!("\"{}\"", path.display())),
                source: self.sources.get(key).cloned().unwrap_or(Source::Default),
                message,
            })
        };
        let files = [("registry.password_file", password), (TOKEN, token)];
        files.into_iter().filter_map(problem).collect()
    }
}

/// What the keys of librdkafka begin with.
const PROPERTIES: &str = "kafka.properties.";

/// Whose file must hold something: an empty password may be meant, an empty token is none.
const TOKEN: &str = "http.admin_token_file";

/// What librdkafka misses may be a secret, which belongs in the environment.
fn with_hint(message: &str) -> String {
    let of_password = message.contains("sasl.password");
    let hint = "; hint: give the password as EBBFLOW__KAFKA__PROPERTIES__SASL_PASSWORD";
    format!("{message}{}", if of_password { hint } else { "" })
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
    for (name, value) in &variables {
        layers.add_variable(name, value);
    }
    for setting in settings {
        layers.add_setting(setting.flag, &setting.text);
    }
    let folder = file.and_then(|file| file.path.parent()).unwrap_or(Path::new(""));
    let mut warnings = Vec::new();
    let mut reader = Reader::new(&mut layers, folder);
    let config = validate::read(&mut reader, &mut warnings);
    let (problems, keys) = reader.finish();
    let names = variables.iter().filter_map(|(name, _)| name.to_str());
    warnings.extend(names.filter_map(|name| without_effect(name, &keys)));
    match config {
        Some(config) if problems.is_empty() => {
            let effective = layers.print();
            let values = layers.entries.iter();
            let values = values.map(|(path, entry)| {
                let key = path.join(".");
                let value = shown(&key, &entry.value);
                (key, value)
            });
            let values = values.collect();
            let sources = layers.entries.into_iter();
            let sources = sources.map(|(path, entry)| (path.join("."), entry.source)).collect();
            Ok(Loaded { config, warnings, keys, effective, values, sources })
        }
        _ => Err(ConfigError::Problems(problems)),
    }
}
