//! The schema registry: a blocking client of the Confluent API, as Confluent, Apicurio, Karapace
//! and Redpanda speak it.
//!
//! Never caches (the decoders do) and never retries: an error says whether waiting can help.
//! Next: `codec/decoder.rs`, which asks for schemas.

use crate::config::RegistryConfig;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::json;
use std::fs;
use std::io;
use std::path::PathBuf;
use ureq::Agent;
use ureq::http::Response;

/// Largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: u64 = 8 * 1024 * 1024;
/// Characters of an answer that an error shows.
const SHOWN_CHARACTERS: usize = 200;
/// What the API calls JSON.
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// Errors by what the caller does about them.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Down, overloaded or not reachable: the same call may succeed later.
    #[error("schema registry \"{url}\" was not available: {reason}")]
    Unavailable {
        /// What was asked.
        url: String,
        /// Why there was no answer.
        reason: String,
    },
    /// The registry answers and does not know it.
    #[error("schema registry \"{url}\" does not know it: {reason}")]
    NotFound {
        /// What was asked.
        url: String,
        /// What it answered.
        reason: String,
    },
    /// The registry answers and refuses: wrong credentials, or an incompatible schema.
    #[error("schema registry \"{url}\" refuses with status {status}: {reason}")]
    Denied {
        /// What was asked.
        url: String,
        /// HTTP status.
        status: u16,
        /// What it answered.
        reason: String,
    },
    /// What came back is not the Confluent API.
    #[error(
        "\"{url}\" does not speak the Confluent registry API: {reason}; hint: check registry.url"
    )]
    Unexpected {
        /// What was asked.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The password file cannot be read.
    #[error("cannot read registry.password_file \"{}\"", path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A schema as the registry has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchedSchema {
    /// `AVRO`, `JSON` or `PROTOBUF`.
    pub schema_type: String,
    /// The schema itself.
    pub text: String,
}

/// A client of one registry.
#[derive(Debug)]
pub struct Registry {
    agent: Agent,
    url: String,
    authorization: Option<String>,
}

impl Registry {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    /// When the password file cannot be read.
    pub fn new(config: &RegistryConfig) -> Result<Self, RegistryError> {
        let authorization = match &config.user {
            None => None,
            Some(user) => Some(basic_authorization(user, &password(config)?)),
        };
        let agent = Agent::config_builder()
            .timeout_global(Some(config.timeout))
            .http_status_as_error(false)
            .build()
            .new_agent();
        Ok(Self { agent, url: config.url.trim_end_matches('/').to_owned(), authorization })
    }

    /// The schema of an id.
    ///
    /// # Errors
    /// `NotFound` when the registry says that there is none; `Unavailable` when it does not
    /// answer; `Denied` or `Unexpected` when it answers something else.
    pub fn fetch_schema(&self, id: u32) -> Result<FetchedSchema, RegistryError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            schema: String,
            schema_type: Option<String>,
        }
        let url = format!("{}/schemas/ids/{id}", self.url);
        let mut request = self.agent.get(&url).header("Accept", CONTENT_TYPE);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let answer: Answer = read(&url, request.call())?;
        Ok(FetchedSchema {
            schema_type: answer.schema_type.unwrap_or_else(|| "AVRO".to_owned()),
            text: answer.schema,
        })
    }

    /// Registers an Avro schema under a subject, `<topic>-value`; the same schema again has the
    /// same id.
    ///
    /// # Errors
    /// `Denied` with status 409 when it is incompatible with the subject's older versions; else as
    /// [`Self::fetch_schema`].
    pub fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        #[derive(Deserialize)]
        struct Answer {
            id: u32,
        }
        let url = format!("{}/subjects/{}/versions", self.url, percent_encoded(subject));
        let mut request = self.agent.post(&url).header("Accept", CONTENT_TYPE);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let body = json!({ "schemaType": "AVRO", "schema": schema }).to_string();
        let answer: Answer = read(&url, request.content_type(CONTENT_TYPE).send(body))?;
        Ok(answer.id)
    }
}

fn password(config: &RegistryConfig) -> Result<String, RegistryError> {
    let Some(path) = &config.password_file else { return Ok(String::new()) };
    let text = fs::read_to_string(path)
        .map_err(|source| RegistryError::PasswordFile { path: path.clone(), source })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// The answer's JSON, or the error that its status or absence means.
fn read<T: for<'de> Deserialize<'de>>(
    url: &str,
    answer: Result<Response<ureq::Body>, ureq::Error>,
) -> Result<T, RegistryError> {
    let unavailable = |reason: String| RegistryError::Unavailable { url: url.to_owned(), reason };
    let unexpected = |reason: String| RegistryError::Unexpected { url: url.to_owned(), reason };
    let mut answer = match answer {
        Ok(answer) => answer,
        Err(ureq::Error::BadUri(reason)) => return Err(unexpected(reason)),
        Err(error) => return Err(unavailable(error.to_string())),
    };
    let status = answer.status().as_u16();
    let body = answer
        .body_mut()
        .with_config()
        .limit(MAX_ANSWER_BYTES)
        .read_to_string()
        .map_err(|error| unavailable(error.to_string()))?;
    match status {
        200..=299 => serde_json::from_str(&body)
            .map_err(|error| unexpected(format!("{error} in {}", shown(&body)))),
        404 if is_api_error(&body) => {
            Err(RegistryError::NotFound { url: url.to_owned(), reason: shown(&body) })
        }
        // A proxy that has lost its registry, or a wrong path: no word about the id.
        404 => Err(unexpected(format!("status 404 and {}", shown(&body)))),
        408 | 429 | 500..=599 => Err(unavailable(format!("status {status} and {}", shown(&body)))),
        _ => Err(RegistryError::Denied { url: url.to_owned(), status, reason: shown(&body) }),
    }
}

/// Whether an answer is an error of the API (such as 40403, schema not found) and not of
/// something else that listens there.
fn is_api_error(body: &str) -> bool {
    #[derive(Deserialize)]
    struct ApiError {
        error_code: u32,
    }
    serde_json::from_str::<ApiError>(body)
        .is_ok_and(|error| error.error_code == 404 || error.error_code / 100 == 404)
}

fn shown(body: &str) -> String {
    let body = body.trim();
    match body.char_indices().nth(SHOWN_CHARACTERS) {
        None => format!("{body:?}"),
        Some((end, _)) => format!("{:?}...", &body[..end]),
    }
}

/// A text as one segment of a path.
pub(crate) fn percent_encoded(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The header of basic authentication. Source: RFC 7617.
fn basic_authorization(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

#[cfg(test)]
mod tests;
