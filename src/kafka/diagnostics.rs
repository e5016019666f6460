//! The last error that librdkafka told.
//!
//! A wrong password, a wrong certificate or a broker that is down never come as the error of a
//! call: the call only times out, and the cause is in a callback. It is kept here and told with
//! the next error. Never ends anything by itself. Next: `error.rs`.

use crate::runtime::clock::monotonic_ms;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The same kind of error is logged at most once in this time, in ms.
const LOG_EVERY_MS: i64 = 60_000;
/// An error older than this explains nothing, in ms.
const EXPLAINS_FOR_MS: i64 = 60_000;

/// What the clients of one broker object have told; shared by all of them.
#[derive(Clone, Default)]
pub(crate) struct Diagnostics {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    told: Mutex<Told>,
    transport_failed: AtomicBool,
}

#[derive(Default)]
struct Told {
    last: Option<LastError>,
    logged_at_ms: BTreeMap<i32, i64>,
}

/// An error from a callback.
#[derive(Clone)]
pub(crate) struct LastError {
    pub(crate) code: RDKafkaErrorCode,
    pub(crate) reason: String,
    at_ms: i64,
}

impl Diagnostics {
    /// Keeps and logs an error; what a connection suffers is told by whoever waits for an answer.
    pub(crate) fn tell(&self, code: RDKafkaErrorCode, reason: &str) {
        let of_transport = is_transport(code);
        if of_transport {
            self.shared.transport_failed.store(true, Ordering::Relaxed);
        }
        let now_ms = monotonic_ms();
        let mut told = self.shared.told.lock().unwrap_or_else(PoisonError::into_inner);
        // That all brokers are down follows from an error that says more.
        let keeps_better = code == RDKafkaErrorCode::AllBrokersDown
            && told.last.as_ref().is_some_and(|last| now_ms - last.at_ms < EXPLAINS_FOR_MS);
        if !keeps_better {
            told.last = Some(LastError { code, reason: reason.to_owned(), at_ms: now_ms });
        }
        if of_transport {
            tracing::debug!(?code, reason, "kafka client error");
            return;
        }
        let due = told
            .logged_at_ms
            .get(&(code as i32))
            .is_none_or(|logged_ms| now_ms - logged_ms >= LOG_EVERY_MS);
        if due {
            told.logged_at_ms.insert(code as i32, now_ms);
            drop(told);
            tracing::warn!(?code, reason, "kafka client error");
        }
    }

    /// The last error, if it is recent enough to explain anything.
    pub(crate) fn last(&self) -> Option<LastError> {
        let told = self.shared.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.last.clone().filter(|last| monotonic_ms() - last.at_ms < EXPLAINS_FOR_MS)
    }

    /// Whether a connection failed since [`Self::forget_transport_failure`].
    pub(crate) fn transport_failed(&self) -> bool {
        self.shared.transport_failed.load(Ordering::Relaxed)
    }

    /// Begins to watch for a failed connection anew.
    pub(crate) fn forget_transport_failure(&self) {
        self.shared.transport_failed.store(false, Ordering::Relaxed);
    }

    /// `ClientContext::error` of every client.
    pub(crate) fn callback(&self, error: &KafkaError, reason: &str) {
        self.tell(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown), reason);
    }
}

fn is_transport(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::SSL
            | RDKafkaErrorCode::Authentication
    )
}

/// What to check, where it is known.
pub(crate) fn hint(code: RDKafkaErrorCode) -> Option<&'static str> {
    match code {
        RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => {
            Some("check kafka.properties: sasl.mechanisms, sasl.username, sasl.password")
        }
        RDKafkaErrorCode::SSL => Some("check kafka.properties: security.protocol, ssl.ca.location"),
        RDKafkaErrorCode::AllBrokersDown
        | RDKafkaErrorCode::BrokerTransportFailure
        | RDKafkaErrorCode::Resolve => Some(
            "check kafka.bootstrap_servers, and in kafka.properties that security.protocol is \
             what the listener wants (PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL)",
        ),
        _ => None,
    }
}

/// librdkafka's log lines, as `tracing` events.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        // These repeat, with every attempt, what the callers tell with limits.
        _ if ["FAIL", "ERROR", "REQTMOUT", "GETPID"].contains(&facility) => {
            tracing::debug!(target: "librdkafka", facility, "{line}");
        }
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{line}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(target: "librdkafka", facility, "{line}");
        }
    }
}

/// Context of clients that only read or administer.
pub(crate) struct PlainContext {
    pub(crate) diagnostics: Diagnostics,
}

impl rdkafka::ClientContext for PlainContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.diagnostics.callback(&error, reason);
    }
}

impl rdkafka::consumer::ConsumerContext for PlainContext {}
