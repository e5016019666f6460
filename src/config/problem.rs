//! What is wrong with a configuration, told so that it can be mended.
//!
//! Never shows the value of a secret. Next: `reader.rs`, which finds most problems.

use std::fmt;

/// Where a value was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// `config/default.toml`.
    Default,
    /// The user's file.
    File {
        /// As it was named on the command line.
        name: String,
        /// From 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A flag.
    Flag(&'static str),
    /// The chosen RFM map.
    Map(String),
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File { name, line } => write!(formatter, "{name}:{line}"),
            Self::Variable(name) => formatter.write_str(name),
            Self::Flag(name) => formatter.write_str(name),
            Self::Map(name) => write!(formatter, "map \"{name}\""),
        }
    }
}

/// One mistake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Key path with dots; empty when the text is no TOML.
    pub key: String,
    /// The value as TOML, secrets hidden.
    pub value: Option<String>,
    /// Where it was written.
    pub source: Source,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(formatter, " = {value}")?;
        }
        if !self.key.is_empty() {
            formatter.write_str(" ")?;
        }
        write!(formatter, "({}): {}", self.source, self.message)
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("could not read the configuration \"{name}\"")]
    Unreadable {
        /// As it was named on the command line.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// Every mistake that was found.
    #[error("{}", list(.0))]
    Problems(Vec<Problem>),
}

fn list(problems: &[Problem]) -> String {
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    };
    let lines: String = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    format!("{count} in the configuration:{lines}")
}

/// Whether the value of this key must never be shown.
pub(crate) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let named = ["password", "secret", "jaas", "token", "credential", "passphrase", ".pem"]
        .iter()
        .any(|word| key.contains(word));
    let carries = ["sasl.oauthbearer.config", "sasl.oauthbearer.extensions"];
    // A path is no secret, and seeing it helps.
    let is_place = ["_file", ".location", ".url"].iter().any(|end| key.ends_with(end));
    (named && !is_place) || carries.iter().any(|end| key.ends_with(end))
}

/// The value as TOML, or a mask when it is a secret.
pub(crate) fn shown(key: &str, value: &toml::Value) -> String {
    let has_login = || key == "registry.url" && value.as_str().is_some_and(|url| url.contains('@'));
    if is_secret(key) || has_login() { "\"(hidden)\"".to_owned() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_keys() {
        for key in [
            "kafka.properties.sasl.password",
            "kafka.properties.ssl.key.password",
            "kafka.properties.ssl.key.pem",
            "kafka.properties.sasl.jaas.config",
            "kafka.properties.sasl.oauthbearer.client.secret",
            "kafka.properties.sasl.oauthbearer.config",
        ] {
            assert!(is_secret(key), "{key}");
        }
        for key in [
            "http.admin_token_file",
            "registry.password_file",
            "kafka.properties.sasl.username",
            "kafka.properties.ssl.key.location",
            "kafka.properties.sasl.oauthbearer.token.endpoint.url",
        ] {
            assert!(!is_secret(key), "{key}");
        }
    }
}
