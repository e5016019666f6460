//! The settings of topics, as the brokers tell them.
//!
//! Judges nothing. Next: `topics.rs`, which does.

use crate::kafka::client::{Clients, create};
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an administrative request may take.
pub(super) const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Settings of one topic; what is not told is `None`.
pub(super) struct Settings {
    pub(super) cleanup_policy: Option<String>,
    pub(super) retention_ms: Option<i64>,
    pub(super) min_insync: Option<i64>,
    pub(super) max_message_bytes: Option<i64>,
    pub(super) removal: Removal,
}

/// Settings that say when Kafka removes what is to go; what is not told is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// `segment.ms`: a log is cut only between its segments.
    pub segment_ms: Option<i64>,
    /// `max.compaction.lag.ms`.
    pub max_compaction_lag_ms: Option<i64>,
    /// `delete.retention.ms`: how long a tombstone stays.
    pub delete_retention_ms: Option<i64>,
}

/// By topic; those that may not be read are missing.
pub(super) fn settings(
    clients: &Clients,
    names: &[&str],
) -> Result<BTreeMap<String, Settings>, String> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let admin: AdminClient<_> =
        create(&clients.observer(), clients.plain_context()).map_err(|error| error.to_string())?;
    let resources: Vec<ResourceSpecifier<'_>> =
        names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let options = AdminOptions::new().request_timeout(Some(ADMIN_TIMEOUT));
    let answers = block_on(admin.describe_configs(&resources, &options))
        .and_then(|answers| answers.map_err(|error| error.to_string()))?;
    let mut settings = BTreeMap::new();
    for (name, answer) in names.iter().zip(answers) {
        let Ok(resource) = answer else { continue };
        // That it is not allowed is not told otherwise: every topic has settings.
        if resource.entries.is_empty() {
            continue;
        }
        let value = |key: &str| resource.get(key).and_then(|entry| entry.value.clone());
        let number = |key: &str| value(key).and_then(|text| text.parse().ok());
        settings.insert(
            (*name).to_owned(),
            Settings {
                cleanup_policy: value("cleanup.policy"),
                retention_ms: number("retention.ms"),
                min_insync: number("min.insync.replicas"),
                max_message_bytes: number("max.message.bytes"),
                removal: Removal {
                    segment_ms: number("segment.ms"),
                    max_compaction_lag_ms: number("max.compaction.lag.ms"),
                    delete_retention_ms: number("delete.retention.ms"),
                },
            },
        );
    }
    Ok(settings)
}

/// Waits for an administrative request; rdkafka answers it from a thread of its own.
pub(super) fn block_on<T>(request: impl Future<Output = T>) -> Result<T, String> {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .map(|runtime| runtime.block_on(request))
        .map_err(|error| format!("could not start a runtime: {error}"))
}
