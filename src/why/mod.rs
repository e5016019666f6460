//! `ebbflow why`: why a customer stands where they stand, in words for people.
//!
//! Asks a running instance, or reads what `replay` wrote; keeps and changes nothing.
//! Reading order: `sheet.rs`, the text; `words.rs`, its words; `profile.rs` and `change.rs`, what
//! is read; `instance.rs`, `replayed.rs`, `history.rs`, from where.

mod change;
mod history;
mod instance;
mod profile;
mod replayed;
mod sheet;
mod words;

use crate::config::Config;
use history::History;
use profile::Profile;
use std::path::PathBuf;
use words::{clean, instant};

/// Who is asked about, and where.
#[derive(Clone, Debug)]
pub struct Request {
    /// The customer's id.
    pub customer: String,
    /// Whether the changes are told too.
    pub history: bool,
    /// Addresses of instances, as `host:port` or URL; none = `http.admin_listen`.
    pub instances: Vec<String>,
    /// Files and folders that `replay` wrote, instead of an instance.
    pub replayed: Vec<PathBuf>,
}

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
pub enum WhyError {
    /// Nobody knows the customer, or they were erased.
    #[error("{0}")]
    Unknown(String),
    /// What was asked for cannot be: an address or a file that holds something else.
    #[error("{0}")]
    Usage(String),
    /// Instance, cluster or file did not answer.
    #[error("{0}")]
    Failed(String),
}

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    /// For people.
    pub text: String,
    /// What it lacks, when a part could not be had.
    pub lacks: Option<String>,
}

/// What is known of a customer.
#[derive(Debug, Default)]
struct Told {
    profile: Option<Profile>,
    /// Why it could not be had.
    no_profile: Option<String>,
    history: Option<History>,
}

/// The text that answers a request.
///
/// # Errors
/// When the customer is not known, or whoever knows does not answer.
pub fn why(request: &Request, config: &Config) -> Result<Answer, WhyError> {
    let told = if request.replayed.is_empty() {
        from_instances(request, config)?
    } else {
        replayed::read(&request.replayed, &request.customer)?
    };
    let id = &request.customer;
    let found = match &told {
        Told { profile: Some(_), .. } => true,
        Told { history: Some(history), .. } => history.is_told(),
        Told { .. } => false,
    };
    let lacks: Vec<String> = told
        .no_profile
        .iter()
        .cloned()
        .chain(told.history.as_ref().and_then(History::incomplete))
        .collect();
    if !found {
        return Err(match told.no_profile {
            Some(text) if !told.history.as_ref().is_some_and(History::was_erased) => {
                WhyError::Failed(text)
            }
            _ => unknown(id, told.history.as_ref(), request),
        });
    }
    let mut text = String::new();
    match &told.profile {
        Some(profile) => text += &sheet::sheet(profile, config.rules.rates.base()),
        None if request.history => {}
        None => {
            return Err(WhyError::Usage(format!(
                "no profile of {} was given; hint: `ebbflow replay --customers FILE` writes them, \
                 and --history tells the changes without one",
                clean(id)
            )));
        }
    }
    if let Some(history) = told.history.as_ref().filter(|_| request.history) {
        if !text.is_empty() {
            text.push('\n');
        }
        text += &history.told(told.profile.as_ref().map(|profile| profile.seq));
    }
    Ok(Answer { text, lacks: (!lacks.is_empty()).then(|| lacks.join("\n")) })
}

fn from_instances(request: &Request, config: &Config) -> Result<Told, WhyError> {
    let id = &request.customer;
    let (profile, no_profile) = match instance::ask(&request.instances, &config.http, id) {
        Ok(profile) => (profile, None),
        Err(WhyError::Failed(text)) if request.history => (None, Some(text)),
        Err(error) => return Err(error),
    };
    let mut history = None;
    if request.history {
        let mut read = history::read(config, id).map_err(|error| match (error, &no_profile) {
            (WhyError::Failed(error), Some(text)) => WhyError::Failed(format!("{text}\n{error}")),
            (error, _) => error,
        })?;
        // Nobody comes back while there is a mark.
        read.marked_erased =
            profile.is_none() && read.is_told() && history::marked_erased(config, id)?;
        history = Some(read);
    }
    Ok(Told { profile, no_profile, history })
}

fn unknown(id: &str, history: Option<&History>, request: &Request) -> WhyError {
    let id = clean(id);
    WhyError::Unknown(match history.and_then(History::erased_at) {
        Some(at) => format!(
            "customer {id} was erased on {}; what was told before is not shown",
            instant(at)
        ),
        None if history.is_some_and(|history| history.marked_erased) => {
            format!("customer {id} was erased; what was told before is not shown")
        }
        None if request.replayed.is_empty() && !request.history => format!(
            "customer {id} is not known: never seen, or erased; hint: --history tells whether \
             they were erased"
        ),
        None => format!("customer {id} is not known: never seen, or erased long ago"),
    })
}
