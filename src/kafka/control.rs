//! Writes to the `control` topic from outside of any worker, while no instance runs.
//!
//! Never touches a state; the tasks do, when they read what was written.
//! Next: `runtime/restore.rs`.

use crate::config::Config;
use crate::kafka::changelog::ChangelogReader;
use crate::kafka::client::{Clients, ConnectMode};
use crate::kafka::ends::{CONNECT_TIMEOUT, Observer};
use crate::kafka::owners::Owners;
use crate::kafka::waker::Waker;
use crate::runtime::broker::{BrokerError, Output};
use crate::runtime::clock::monotonic_ms;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);
const BATCH: usize = 1000;
/// How long after the session members are waited for, in ms.
const GRACE_MS: i64 = 3000;

/// Replaces the record of a key by what `next` makes of the present value.
///
/// # Errors
/// When an instance is still running after the session time-out, when `next` refuses, or when the
/// cluster does not answer.
pub fn replace_control(
    config: &Config,
    key: &[u8],
    next: impl FnOnce(Option<&[u8]>) -> Result<Vec<u8>, String>,
) -> Result<(), BrokerError> {
    let clients = Clients::new(config, 0, ConnectMode::Cluster);
    let group = Owners::new(config)?;
    // A static member that was stopped stays until its session is over.
    let give_up_ms = monotonic_ms()
        + i64::try_from(config.kafka.session_timeout.as_millis()).unwrap_or(i64::MAX)
        + GRACE_MS;
    while let Err(error) = refuse_living_members(config, &group) {
        if monotonic_ms() > give_up_ms {
            return Err(error);
        }
        tracing::info!("waiting until the consumer group has no members");
        std::thread::park_timeout(Duration::from_secs(1));
    }
    let topic = clients.names.output(Output::Control);
    let failed = |error: &dyn std::fmt::Display| {
        BrokerError::Fatal(format!("could not write to topic \"{topic}\": {error}"))
    };
    let observer = Observer::new(&clients)?;
    observer.reach(CONNECT_TIMEOUT)?;
    let mut reader =
        ChangelogReader::open(&clients, &observer, topic, 0, &Arc::new(Waker::default()))?;
    let mut records = Vec::new();
    while !reader.read(BATCH, Duration::from_millis(50), &mut records)? {}
    let present = records.iter().rev().find(|record| record.key == key);
    let value = next(present.and_then(|record| record.value.as_deref()))
        .map_err(|reason| failed(&reason))?;
    let producer: BaseProducer =
        clients.plain_producer().create().map_err(|error| failed(&error))?;
    let record = BaseRecord::to(topic).partition(0).key(key).payload(&value);
    producer.send(record).map_err(|(error, _)| failed(&error))?;
    producer.flush(TIMEOUT).map_err(|error| failed(&error))
}

fn refuse_living_members(config: &Config, group: &Owners) -> Result<(), BrokerError> {
    let members = group.members()?;
    if members.is_empty() {
        return Ok(());
    }
    Err(BrokerError::Fatal(format!(
        "nothing can be changed while the consumer group \"{}\" has members: {}; hint: stop \
         all instances",
        config.application_id,
        members.join(", ")
    )))
}
