//! What has to be true before the workers start: topics, lineage, who else is in the group.
//!
//! Waits for what may come, refuses what will not. Next: `workers.rs`.

use crate::codec::state::{LINEAGE_KEY, Lineage, decode_lineage, encode_lineage};
use crate::config::Config;
use crate::kafka::{Owners, check_topics, replace_control};
use crate::runtime::broker::BrokerError;
use crate::runtime::clock::{monotonic_ms, wall_now};
use crate::service::{RETRY, ServiceError, pause};
use anyhow::anyhow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long members are waited for beyond the session, in ms.
const GRACE_MS: i64 = 3000;
/// How often the group is asked for its members meanwhile.
const MEMBERS_EVERY: Duration = Duration::from_millis(500);

/// Raises the lineage by one; the tasks find that theirs is older and begin anew.
pub(super) fn begin_lineage(config: &Config) -> Result<(), ServiceError> {
    let next = |present: Option<&[u8]>| {
        let present = present.map(decode_lineage).transpose().map_err(|error| error.to_string())?;
        let number = present.unwrap_or(Lineage::FIRST).number + 1;
        tracing::info!(lineage = number, "a new lineage begins");
        Ok(encode_lineage(Lineage { number, began_at: wall_now() }))
    };
    replace_control(config, LINEAGE_KEY, next).map_err(|error| ServiceError::Failed(error.into()))
}

/// Waits for the cluster and checks its topics; `None` when told to stop meanwhile.
pub(super) fn wait_for_topics(
    config: &Config,
    stop: &AtomicBool,
) -> Result<Option<u32>, ServiceError> {
    while !stop.load(Ordering::Relaxed) {
        match check_topics(config) {
            Ok(report) => {
                for warning in &report.warnings {
                    tracing::warn!("{warning}");
                }
                return match report.tasks() {
                    Some(partitions) => Ok(Some(partitions)),
                    None => Err(ServiceError::Refused(anyhow!(
                        "the topics are not as they must be:\n  {}",
                        report.problems.join("\n  ")
                    ))),
                };
            }
            Err(BrokerError::Retriable(reason)) => {
                tracing::warn!(
                    servers = config.kafka.bootstrap_servers,
                    reason,
                    "the cluster does not answer; trying again"
                );
                pause(stop, RETRY);
            }
            Err(error) => return Err(ServiceError::Failed(error.into())),
        }
    }
    Ok(None)
}

/// Waits until the group has no member but this process's own; false when told to stop.
///
/// With others in the group a run that ends by itself would end with its own partitions alone. A
/// static member that was stopped stays in the group until its session is over.
pub(super) fn wait_until_alone(config: &Config, stop: &AtomicBool) -> Result<bool, ServiceError> {
    let asking = Owners::new(config).map_err(|error| ServiceError::Failed(error.into()))?;
    let session_ms = i64::try_from(config.kafka.session_timeout.as_millis()).unwrap_or(i64::MAX);
    let give_up_ms = monotonic_ms().saturating_add(session_ms).saturating_add(GRACE_MS);
    while !stop.load(Ordering::Relaxed) {
        match asking.others() {
            Ok(others) if others.is_empty() => return Ok(true),
            Ok(others) if monotonic_ms() > give_up_ms => {
                return Err(ServiceError::Refused(anyhow!(
                    "--until-end has to process every partition, but the consumer group \"{}\" \
                     has other members: {}; hint: stop all other instances, or run it under \
                     another application_id with output topics of its own",
                    config.application_id,
                    others.join(", ")
                )));
            }
            Ok(others) => tracing::info!(
                others = others.join(", "),
                "waiting until the consumer group has no other members"
            ),
            Err(error) => tracing::warn!(%error, "the members of the group are not known"),
        }
        pause(stop, MEMBERS_EVERY);
    }
    Ok(false)
}
