//! Asks running instances for a customer: `GET /customers/{id}`, one after the other.
//!
//! A customer's partition is at one of them, which is the only one to answer. Never follows what
//! one says to another: it knows names, not addresses. Next: `http/customers.rs`, which answers.

use crate::config::HttpConfig;
use crate::domain::relay::MAX_PATH;
use crate::registry::percent_encoded;
use crate::why::WhyError;
use crate::why::profile::Profile;
use crate::why::words::clean;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use ureq::Agent;

/// How long an instance may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer that is read, in bytes: a state has at most 64 KiB.
const MAX_ANSWER_BYTES: u64 = 4 * 1024 * 1024;

/// What one instance answers.
enum Answer {
    Found(Box<Profile>),
    NotFound,
    /// Partition and owner; whom the customer became, where they did.
    Elsewhere(String, Option<String>),
    /// A sentence.
    Nothing(String),
}

/// The customer's profile; `None` when the instance that has the partition does not know them.
///
/// # Errors
/// When no instance that was asked has the partition, with what each of them says.
pub(super) fn ask(
    instances: &[String],
    http: &HttpConfig,
    id: &str,
) -> Result<Option<Profile>, WhyError> {
    ask_on(instances, http, id, 0)
}

/// The same, so many redirects having been followed from one instance to another.
fn ask_on(
    instances: &[String],
    http: &HttpConfig,
    id: &str,
    followed: usize,
) -> Result<Option<Profile>, WhyError> {
    let own = if instances.is_empty() { vec![local(http.admin_listen)?] } else { Vec::new() };
    let instances = if instances.is_empty() { own.as_slice() } else { instances };
    let token = token(http)?;
    let agent = Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .build()
        .new_agent();
    let (mut said, mut elsewhere) = (Vec::new(), false);
    for instance in instances {
        let base = match instance.contains("://") {
            true => instance.trim_end_matches('/').to_owned(),
            false => format!("http://{instance}"),
        };
        match get(&agent, &base, token.as_deref(), id)? {
            Answer::Found(profile) => return Ok(Some(*profile)),
            Answer::NotFound => return Ok(None),
            Answer::Elsewhere(text, moved_to) => {
                elsewhere = true;
                said.push(format!("{instance}: {text}"));
                if let Some(moved_to) = moved_to.filter(|to| followed < MAX_PATH && to != id) {
                    let mut found = ask_on(instances, http, &moved_to, followed + 1)?;
                    if let Some(profile) = &mut found {
                        profile.moved_from = Some(id.to_owned());
                    }
                    return Ok(found);
                }
            }
            Answer::Nothing(text) => said.push(format!("{instance}: {text}")),
        }
    }
    let mut text = match said.as_slice() {
        [one] => format!("no answer about customer {}: {one}", clean(id)),
        all => format!("no answer about customer {}:\n  {}", clean(id), all.join("\n  ")),
    };
    if elsewhere {
        text += "\n  hint: name that instance's http.admin_listen with --instance HOST:PORT; \
                 several with commas";
    }
    Err(WhyError::Failed(text))
}

/// Where an instance of this configuration is reached from its own machine.
fn local(listen: SocketAddr) -> Result<String, WhyError> {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    if listen.port() == 0 {
        return Err(WhyError::Usage(
            "http.admin_listen names no port; hint: give --instance HOST:PORT".to_owned(),
        ));
    }
    Ok(SocketAddr::new(ip, listen.port()).to_string())
}

fn token(http: &HttpConfig) -> Result<Option<String>, WhyError> {
    let Some(path) = &http.admin_token_file else { return Ok(None) };
    let text = std::fs::read_to_string(path).map_err(|error| {
        WhyError::Usage(format!("http.admin_token_file: cannot read {path:?}: {error}"))
    })?;
    Ok(Some(text.trim().to_owned()))
}

fn get(agent: &Agent, base: &str, token: Option<&str>, id: &str) -> Result<Answer, WhyError> {
    let url = format!("{base}/customers/{}", percent_encoded(id));
    let mut request = agent.get(&url);
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let mut answer = match request.call() {
        Ok(answer) => answer,
        Err(error @ (ureq::Error::BadUri(_) | ureq::Error::Http(_))) => {
            return Err(WhyError::Usage(format!("{base:?} is no address: {error}")));
        }
        Err(error) => {
            return Ok(Answer::Nothing(format!(
                "cannot be reached: {error}; hint: is it running, and is this its \
                 http.admin_listen?"
            )));
        }
    };
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_string();
    Ok(match body {
        Ok(body) => answered(status, &body),
        Err(error) => Answer::Nothing(format!("the answer broke off: {error}")),
    })
}

/// What a status and a body mean.
fn answered(status: u16, body: &str) -> Answer {
    let json: Option<Value> = serde_json::from_str(body).ok();
    let field = |name: &str| json.as_ref().and_then(|json| json.get(name)).cloned();
    let error = field("error").and_then(|error| error.as_str().map(clean));
    match (status, error) {
        (200, _) => match serde_json::from_str(body) {
            Ok(profile) => Answer::Found(Box::new(profile)),
            Err(error) => Answer::Nothing(format!(
                "its profile cannot be read: {error}; hint: is it of another version?"
            )),
        },
        (404, Some(_)) => Answer::NotFound,
        (421, Some(_)) => {
            let partition = field("partition").unwrap_or_default();
            let owner = field("owner").and_then(|owner| owner.as_str().map(clean));
            let moved_to = field("customer_id").and_then(|id| id.as_str().map(ToOwned::to_owned));
            let is_at = match owner {
                Some(owner) => format!("partition {partition} is at {owner:?}, not here"),
                None => format!("partition {partition} is at another instance, not known which"),
            };
            Answer::Elsewhere(is_at, moved_to)
        }
        (401, _) => Answer::Nothing(
            "refused without its bearer token; hint: set http.admin_token_file".to_owned(),
        ),
        (503, Some(reason)) => Answer::Nothing(format!("not ready: {reason}")),
        (status, _) => Answer::Nothing(format!(
            "status {status}, which is no answer about a customer; hint: give http.admin_listen, \
             not http.metrics_listen"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_of_this_configuration_is_reached_on_loopback() {
        let of = |listen: &str| local(listen.parse().unwrap());
        assert_eq!(of("0.0.0.0:9465").unwrap(), "127.0.0.1:9465");
        assert_eq!(of("[::]:9465").unwrap(), "[::1]:9465");
        assert_eq!(of("10.0.0.5:9465").unwrap(), "10.0.0.5:9465");
        assert!(matches!(of("127.0.0.1:0"), Err(WhyError::Usage(_))));
    }

    #[test]
    fn an_answer_that_is_no_profile_says_what_to_do() {
        let said = |status, body: &str| match answered(status, body) {
            Answer::Found(_) => "found".to_owned(),
            Answer::NotFound => "not found".to_owned(),
            Answer::Elsewhere(text, _) | Answer::Nothing(text) => text,
        };
        insta::assert_snapshot!([
            said(200, include_str!("sheet_test.json")),
            said(200, "{}"),
            said(404, r#"{"error":"no such customer"}"#),
            said(404, "/livez\n/readyz\n"),
            said(421, r#"{"error":"another instance has it","partition":3,"owner":"shop-1-000"}"#),
            said(421, r#"{"error":"another instance has it","partition":3,"owner":null}"#),
            said(401, r#"{"error":"a bearer token is needed"}"#),
            said(503, r#"{"error":"the topics have not been looked at yet"}"#),
            said(500, "oops"),
        ].join("\n").replace("; hint: ", "\n  hint: "), @r#"
        found
        its profile cannot be read: missing field `customer_id` at line 1 column 2
          hint: is it of another version?
        not found
        status 404, which is no answer about a customer
          hint: give http.admin_listen, not http.metrics_listen
        partition 3 is at "shop-1-000", not here
        partition 3 is at another instance, not known which
        refused without its bearer token
          hint: set http.admin_token_file
        not ready: the topics have not been looked at yet
        status 500, which is no answer about a customer
          hint: give http.admin_listen, not http.metrics_listen
        "#);
    }
}
