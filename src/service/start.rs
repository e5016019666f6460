//! What has to be true before the workers start: topics, lineage, who else is in the group.
//!
//! Waits for what may come, refuses what will not. Next: `workers.rs`.

use crate::codec::state::{LINEAGE_KEY, Lineage, decode_lineage, encode_lineage};
use crate::config::Config;
use crate::kafka::{Control, Owners, check_topics};
use crate::runtime::broker::BrokerError;
use crate::runtime::clock::{monotonic_ms, wall_now};
use crate::runtime::status::Status;
use crate::service::{RETRY, ServiceError, pause};
use anyhow::anyhow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long members are waited for beyond the session, in ms.
const GRACE_MS: i64 = 3000;
/// How often the group is asked for its members meanwhile.
const MEMBERS_EVERY: Duration = Duration::from_millis(500);

/// Raises the lineage by one; the tasks find that theirs is older and begin anew. Whether with a
/// baseline stands in the lineage, so that it holds for whoever runs them. False when told to stop
/// before it was raised.
pub(super) fn begin_lineage(
    config: &Config,
    baseline: bool,
    stop: &AtomicBool,
) -> Result<bool, ServiceError> {
    let control = Control::new(config)?;
    if !wait_for_group(config, Owners::members, "--rebuild begins everything anew", stop)? {
        return Ok(false);
    }
    let number = lineage(&control)?.unwrap_or(Lineage::FIRST).number + 1;
    let rules_revision = config.rules.identity.revision;
    let next = Lineage { number, began_at: wall_now(), baseline, rules_revision };
    control.write(LINEAGE_KEY, &encode_lineage(next))?;
    tracing::info!(lineage = number, baseline, "a new lineage begins");
    Ok(true)
}

/// Makes the first lineage one that begins with a baseline, unless it has begun without. False
/// when told to stop before.
pub(super) fn begin_baseline(
    config: &Config,
    partitions: u32,
    stop: &AtomicBool,
) -> Result<bool, ServiceError> {
    let control = Control::new(config)?;
    let begins = || lineage(&control).map(|lineage| lineage.map(|lineage| lineage.baseline));
    let is_open = || -> Result<bool, ServiceError> {
        Ok(begins()?.is_none() && !control.has_begun(partitions)?)
    };
    if is_open()? {
        // A member that has looked for a baseline already may commit something any time. Unless
        // another instance has said so meanwhile: then its members may stay.
        let members = |asking: &Owners| match begins() {
            Ok(Some(true)) => Ok(Vec::new()),
            Ok(_) | Err(_) => asking.members(),
        };
        if !wait_for_group(config, members, "--baseline begins everything", stop)? {
            return Ok(false);
        }
        if is_open()? {
            let first = Lineage { baseline: true, ..Lineage::FIRST };
            control.write(LINEAGE_KEY, &encode_lineage(first))?;
        }
    }
    if begins()? == Some(true) {
        return Ok(true);
    }
    Err(ServiceError::Refused(anyhow!(
        "--baseline is for a first start, but \"{}\" has state that began without it; hint: add \
         --rebuild to begin anew, or leave --baseline out",
        config.application_id
    )))
}

fn lineage(control: &Control) -> Result<Option<Lineage>, ServiceError> {
    let present = control.read(LINEAGE_KEY)?;
    present
        .as_deref()
        .map(decode_lineage)
        .transpose()
        .map_err(|error| ServiceError::Failed(anyhow!("reading the control topic failed: {error}")))
}

/// Waits for the cluster and checks its topics; `None` when told to stop meanwhile.
pub(super) fn wait_for_topics(
    config: &Config,
    status: &Status,
    stop: &AtomicBool,
) -> Result<Option<u32>, ServiceError> {
    while !stop.load(Ordering::Relaxed) {
        let asked_at = wall_now();
        match check_topics(config) {
            Ok(report) => {
                status.cluster().answered(0, wall_now());
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
                status.cluster().failed(0, asked_at, wall_now(), &reason);
                pause(stop, RETRY);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Waits until the group has no member but this process's own; false when told to stop.
///
/// With others in the group a run that ends by itself would end with its own partitions alone.
pub(super) fn wait_until_alone(config: &Config, stop: &AtomicBool) -> Result<bool, ServiceError> {
    wait_for_group(config, Owners::others, "--until-end has to process every partition", stop)
}

/// Waits until the group has none of these members; false when told to stop. A static member that
/// was stopped stays in the group until its session is over.
fn wait_for_group(
    config: &Config,
    members: impl Fn(&Owners) -> Result<Vec<String>, BrokerError>,
    why: &str,
    stop: &AtomicBool,
) -> Result<bool, ServiceError> {
    let asking = Owners::new(config)?;
    let session_ms = i64::try_from(config.kafka.session_timeout.as_millis()).unwrap_or(i64::MAX);
    let give_up_ms = monotonic_ms().saturating_add(session_ms).saturating_add(GRACE_MS);
    let mut told = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        match members(&asking) {
            Ok(others) if others.is_empty() => return Ok(true),
            Ok(others) if monotonic_ms() > give_up_ms => {
                return Err(ServiceError::Refused(anyhow!(
                    "{why}, but the consumer group \"{}\" has other members: {}; hint: stop all \
                     other instances, or run it under another application_id with output topics \
                     of its own",
                    config.application_id,
                    others.join(", ")
                )));
            }
            Ok(others) if others != told => {
                let names = others.join(", ");
                tracing::info!(names, "waiting until the consumer group has no other members");
                told = others;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the members of the group are not known"),
        }
        pause(stop, MEMBERS_EVERY);
    }
    Ok(false)
}
