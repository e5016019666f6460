//! Begins a new lineage: the one record that `run --rebuild` writes before any worker starts.
//!
//! Never touches a state; the tasks do, when they find that theirs is older.
//! Next: `runtime/restore.rs`.

use crate::codec::state::{LINEAGE_KEY, Lineage, decode_lineage, encode_lineage};
use crate::config::Config;
use crate::kafka::changelog::ChangelogReader;
use crate::kafka::client::{Clients, ConnectMode, create};
use crate::kafka::diagnostics::PlainContext;
use crate::kafka::ends::{CONNECT_TIMEOUT, Observer};
use crate::kafka::waker::Waker;
use crate::runtime::broker::{BrokerError, Output};
use crate::runtime::clock::{monotonic_ms, wall_now};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);
const BATCH: usize = 1000;
/// How long after the session members are waited for, in ms.
const GRACE_MS: i64 = 3000;

/// Raises the lineage by one and returns it.
///
/// # Errors
/// When an instance is still running, or the cluster does not answer.
pub fn write_lineage(config: &Config) -> Result<u32, BrokerError> {
    let clients = Clients::new(config, 0, ConnectMode::Cluster);
    // A static member that was stopped stays until its session is over.
    let give_up_ms = monotonic_ms()
        + i64::try_from(config.kafka.session_timeout.as_millis()).unwrap_or(i64::MAX)
        + GRACE_MS;
    while let Err(error) = refuse_living_members(config, &clients) {
        if monotonic_ms() > give_up_ms {
            return Err(error);
        }
        tracing::info!("waiting until the consumer group has no members");
        std::thread::park_timeout(Duration::from_secs(1));
    }
    let topic = clients.names.output(Output::Control);
    let observer = Observer::new(&clients)?;
    observer.reach(CONNECT_TIMEOUT)?;
    let mut reader =
        ChangelogReader::open(&clients, &observer, topic, 0, &Arc::new(Waker::default()))?;
    let mut records = Vec::new();
    while !reader.read(BATCH, Duration::from_millis(50), &mut records)? {}
    let mut lineage = Lineage::FIRST;
    for record in records.iter().filter(|record| record.key == LINEAGE_KEY) {
        if let Some(value) = &record.value {
            lineage = decode_lineage(value)
                .map_err(|error| BrokerError::Fatal(format!("topic \"{topic}\": {error}")))?;
        }
    }
    let lineage = Lineage { number: lineage.number + 1, began_at: wall_now() };
    let failed = |error: &dyn std::fmt::Display| {
        BrokerError::Fatal(format!("could not write the lineage to topic \"{topic}\": {error}"))
    };
    let producer: BaseProducer =
        clients.plain_producer().create().map_err(|error| failed(&error))?;
    let value = encode_lineage(lineage);
    let record = BaseRecord::to(topic).partition(0).key(LINEAGE_KEY).payload(&value);
    producer.send(record).map_err(|(error, _)| failed(&error))?;
    producer.flush(TIMEOUT).map_err(|error| failed(&error))?;
    Ok(lineage.number)
}

fn refuse_living_members(config: &Config, clients: &Clients) -> Result<(), BrokerError> {
    let consumer: BaseConsumer<PlainContext> =
        create(&clients.observer(), clients.plain_context())?;
    let groups =
        consumer.fetch_group_list(Some(&config.application_id), TIMEOUT).map_err(|error| {
            BrokerError::Retriable(format!("could not describe the consumer group: {error}"))
        })?;
    let members: Vec<String> = groups
        .groups()
        .iter()
        .filter(|group| group.name() == config.application_id)
        .flat_map(|group| group.members())
        .map(|member| format!("{} at {}", member.client_id(), member.client_host()))
        .collect();
    if members.is_empty() {
        return Ok(());
    }
    Err(BrokerError::Fatal(format!(
        "a new lineage cannot begin while the consumer group \"{}\" has members: {}; hint: stop \
         all instances",
        config.application_id,
        members.join(", ")
    )))
}
