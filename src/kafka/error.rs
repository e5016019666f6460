//! Errors of rdkafka, sorted by what the worker does about them.
//!
//! Never retries and never logs: it only names the class and writes the sentence.
//! Next: `runtime/broker.rs`, `BrokerError`.

use crate::kafka::diagnostics::{Diagnostics, hint};
use crate::runtime::broker::BrokerError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// Sorts the error of a transaction call, saying what was tried ("commit").
pub(crate) fn transaction(doing: &str, error: &KafkaError, told: &Diagnostics) -> BrokerError {
    let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
    // A member that lost its session and came back is fenced as what it was before. Of another
    // living process the consumer tells, for good.
    if code != Code::FencedInstanceId
        && let Some(fatal) = never_heals(doing, code, &error.to_string())
    {
        return fatal;
    }
    let text = sentence(doing, error, told);
    let (fatal, abort, retriable) = match error {
        KafkaError::Transaction(inner) => {
            (inner.is_fatal(), inner.txn_requires_abort(), inner.is_retriable())
        }
        _ => (code == Code::Fatal, false, is_transient(code)),
    };
    if fatal || is_fenced(code) {
        BrokerError::Fenced(text)
    } else if abort {
        BrokerError::Abort(text)
    } else if retriable || is_transient(code) {
        BrokerError::Retriable(text)
    } else {
        // Neither fatal, nor abortable, nor retriable: the state of the producer is unknown, and
        // only what is committed can be trusted.
        BrokerError::Fenced(text)
    }
}

/// Sorts the error of sending or delivering a record.
pub(crate) fn delivery(topic: &str, code: Code) -> BrokerError {
    let doing = format!("write to topic \"{topic}\"");
    if let Some(fatal) = never_heals(&doing, code, &code.to_string()) {
        return fatal;
    }
    let text = format!("could not {doing}: {}", lowered(&code.to_string()));
    match code {
        Code::MessageSizeTooLarge => BrokerError::Fatal(format!(
            "{text}; hint: raise max.message.bytes of the topic, and message.max.bytes in \
             kafka.properties; for dead letters lower dead_letters.max_bytes instead"
        )),
        Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicOrPartition => {
            BrokerError::Fatal(format!("{text}; hint: run `ebbflow topics --config FILE`"))
        }
        Code::InvalidTimestamp => BrokerError::Fatal(format!(
            "{text}; hint: the clock of this machine is far from the broker's: set it, or see \
             message.timestamp.before.max.ms and message.timestamp.after.max.ms of the topic"
        )),
        Code::InvalidRecord | Code::PolicyViolation => BrokerError::Fatal(format!(
            "{text}; hint: something at the broker refuses what is written to this topic: see its \
             log, and the topic's settings in `ebbflow topics --help`"
        )),
        code if is_fenced(code) || code == Code::Fatal => BrokerError::Fenced(text),
        _ => BrokerError::Abort(text),
    }
}

/// Sorts the error of a query: `Retriable`, unless it never heals.
pub(crate) fn query(doing: &str, error: &KafkaError, told: &Diagnostics) -> BrokerError {
    let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
    never_heals(doing, code, &error.to_string())
        .or_else(|| if is_transient(code) { wrong_credentials(doing, told) } else { None })
        .unwrap_or_else(|| BrokerError::Retriable(sentence(doing, error, told)))
}

/// A query that timed out because the broker refuses the login.
pub(crate) fn wrong_credentials(doing: &str, told: &Diagnostics) -> Option<BrokerError> {
    let last = told.last()?;
    (last.code == Code::Authentication).then(|| {
        BrokerError::Fatal(format!(
            "could not {doing}: {}; hint: {}",
            last.reason,
            hint(last.code).unwrap_or_default()
        ))
    })
}

/// Errors of the consumer with which the process has to end.
pub(crate) fn fatal_consumer(code: Code, reason: &str) -> BrokerError {
    never_heals("read as a member of the group", code, reason).unwrap_or_else(|| {
        BrokerError::Fatal(format!("the consumer failed for good: {}", lowered(reason)))
    })
}

/// Errors with which a partition is read no further: the position does not exist.
pub(crate) fn out_of_range(doing: &str, code: Code, reason: &str) -> Option<BrokerError> {
    matches!(
        code,
        Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation | Code::NoOffset
    )
    .then(|| {
        BrokerError::Fatal(format!(
            "could not {doing}: the offset is out of range, retention has removed records that \
             were not read yet or the topic was made anew ({reason}); hint: `ebbflow run \
             --rebuild` starts a new lineage from what the inputs still hold"
        ))
    })
}

/// Errors with which nothing behind a place can be trusted: what follows is read from within
/// damaged bytes.
pub(crate) fn damaged(doing: &str, code: Code, reason: &str) -> Option<BrokerError> {
    matches!(code, Code::BadMessage | Code::BadCompression | Code::NotImplemented).then(|| {
        BrokerError::Fatal(format!(
            "could not {doing}: a batch of records cannot be read ({reason}); nothing is lost; \
             hint: start again, it may have been damaged on its way; if the same comes again, \
             check the disk of the partition's leader"
        ))
    })
}

/// Errors that no repetition heals, with what to do about them.
pub(crate) fn never_heals(doing: &str, code: Code, reason: &str) -> Option<BrokerError> {
    let hint = match code {
        Code::FencedInstanceId => {
            "another living process has the same application_id and instance_id: give each process \
             its own instance_id; if there is none, this one stood still or the cluster was away \
             for longer than kafka.session_timeout: start it again"
        }
        Code::TransactionalIdAuthorizationFailed => {
            "grant Write on the transactional ids that begin with the application_id and \"-\""
        }
        Code::GroupAuthorizationFailed => "grant Read on the Group named by the application_id",
        Code::TopicAuthorizationFailed => {
            "grant Read on the topics that are read (inputs, relay, state, control) and Write on \
             those that are written (segment-changes, customers, state, relay, dead-letters, \
             control)"
        }
        Code::ClusterAuthorizationFailed => "grant what the refused call needs on the Cluster",
        Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism => {
            "check kafka.properties: sasl.mechanisms, sasl.username, sasl.password"
        }
        Code::InvalidTransactionTimeout => {
            "kafka.transaction_timeout exceeds transaction.max.timeout.ms of the broker"
        }
        Code::InvalidSessionTimeout => {
            "kafka.session_timeout lies outside group.min.session.timeout.ms and \
             group.max.session.timeout.ms of the broker"
        }
        Code::InconsistentGroupProtocol => {
            "the group has members of another kind: choose another application_id, or stop them"
        }
        Code::UnsupportedFeature | Code::UnsupportedVersion => "Kafka 2.5 or later is needed",
        _ => return None,
    };
    Some(BrokerError::Fatal(format!("could not {doing}: {}; hint: {hint}", lowered(reason))))
}

/// The broker or the coordinator turned this producer away for good.
fn is_fenced(code: Code) -> bool {
    matches!(
        code,
        Code::Fenced
            | Code::ProducerFenced
            | Code::InvalidProducerEpoch
            | Code::InvalidProducerIdMapping
            | Code::UnknownProducerId
            | Code::TransactionCoordinatorFenced
    )
}

fn is_transient(code: Code) -> bool {
    matches!(
        code,
        Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::NetworkException
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::ConcurrentTransactions
            | Code::PreviousInProgress
            | Code::InProgress
    )
}

/// "could not commit: ...", with the last error that librdkafka told and what to check.
pub(crate) fn sentence(doing: &str, error: &KafkaError, told: &Diagnostics) -> String {
    let mut text = format!("could not {doing}: {}", lowered(&error.to_string()));
    let last = told.last();
    if let Some(last) = &last {
        text.push_str(&format!("; last told by the client: {}", last.reason));
    }
    // A handshake that fails at once is told as a failure of the connection.
    let unverified = last.as_ref().is_some_and(|last| last.reason.contains("certificate verify"));
    let told = last.map(|last| last.code).or_else(|| error.rdkafka_error_code());
    let code = if unverified { Some(Code::SSL) } else { told };
    if let Some(hint) = code.and_then(hint) {
        text.push_str(&format!("; hint: {hint}"));
    }
    text
}

/// rdkafka's texts begin with a capital; ours stand within a sentence.
fn lowered(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(chars).collect::<String>().trim_end_matches('.').to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the login has to do with is a query that got no answer, and none other.
    #[test]
    fn records_that_the_broker_never_takes_end_the_process_and_say_why() {
        let told = |code| match delivery("state", code) {
            BrokerError::Fatal(text) => text,
            other => panic!("{other:?}"),
        };
        assert!(told(Code::InvalidTimestamp).contains("the clock of this machine"));
        assert!(told(Code::InvalidRecord).contains("refuses what is written"));
        assert!(matches!(delivery("state", Code::MessageTimedOut), BrokerError::Abort(_)));
    }

    #[test]
    fn damaged_bytes_are_told_as_what_they_are() {
        let text = damaged("read", Code::BadMessage, "CRC").expect("damaged").to_string();
        assert!(text.contains("nothing is lost") && !text.contains("--rebuild"), "{text}");
        assert_eq!(damaged("read", Code::OffsetOutOfRange, ""), None);
    }

    #[test]
    fn wrong_credentials_explain_a_query_without_an_answer_and_no_other_error() {
        let told = Diagnostics::default();
        told.tell(Code::Authentication, "SASL authentication error");
        let sorted = |code| query("ask", &KafkaError::MetadataFetch(code), &told);
        for unanswered in [Code::OperationTimedOut, Code::BrokerTransportFailure] {
            assert!(matches!(sorted(unanswered), BrokerError::Fatal(_)), "{unanswered:?}");
        }
        for answered in [Code::State, Code::UnknownPartition] {
            assert!(matches!(sorted(answered), BrokerError::Retriable(_)), "{answered:?}");
        }
    }
}
