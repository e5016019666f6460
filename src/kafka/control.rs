//! The `control` topic from outside of any worker: what all tasks have to agree on.
//!
//! Never touches a state; the tasks do, when they read what was written.
//! Next: `runtime/prepare.rs`.

use crate::config::Config;
use crate::kafka::changelog::ChangelogReader;
use crate::kafka::client::{Clients, ConnectMode, create};
use crate::kafka::diagnostics::PlainContext;
use crate::kafka::ends::{CONNECT_TIMEOUT, Observer, number};
use crate::kafka::error;
use crate::kafka::waker::Waker;
use crate::runtime::broker::{BrokerError, Input, Output};
use crate::runtime::clock::monotonic_ms;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);
/// How long the topic may take to read, in ms.
const READ_TIMEOUT_MS: i64 = 30_000;
const BATCH: usize = 1000;

/// Reads and writes single records of `control`.
pub struct Control {
    clients: Clients,
    observer: Observer,
}

impl Control {
    /// Connects.
    ///
    /// # Errors
    /// When the cluster does not answer, or a setting is refused.
    pub fn new(config: &Config) -> Result<Self, BrokerError> {
        let clients = Clients::new(config, 0, ConnectMode::Cluster);
        let observer = Observer::new(&clients)?;
        observer.reach(CONNECT_TIMEOUT)?;
        Ok(Self { clients, observer })
    }

    /// The present value of a key.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, BrokerError> {
        let topic = self.clients.names.output(Output::Control);
        let waker = Arc::new(Waker::default());
        let mut reader = ChangelogReader::open(&self.clients, &self.observer, topic, 0, &waker)?;
        let mut records = Vec::new();
        let give_up_ms = monotonic_ms() + READ_TIMEOUT_MS;
        while !reader.read(BATCH, Duration::from_millis(50), &mut records)? {
            if monotonic_ms() > give_up_ms {
                return Err(BrokerError::Retriable(format!(
                    "could not read topic \"{topic}\" to its end in {READ_TIMEOUT_MS} ms"
                )));
            }
        }
        Ok(records.into_iter().rfind(|record| record.key == key).and_then(|record| record.value))
    }

    /// Replaces the value of a key.
    ///
    /// # Errors
    /// When the cluster refuses or does not answer.
    pub fn write(&self, key: &[u8], value: &[u8]) -> Result<(), BrokerError> {
        let topic = self.clients.names.output(Output::Control);
        let failed = |error: &dyn std::fmt::Display| {
            BrokerError::Fatal(format!("could not write to topic \"{topic}\": {error}"))
        };
        let producer: BaseProducer =
            self.clients.plain_producer().create().map_err(|error| failed(&error))?;
        let record = BaseRecord::to(topic).partition(0).key(key).payload(value);
        producer.send(record).map_err(|(error, _)| failed(&error))?;
        producer.flush(TIMEOUT).map_err(|error| failed(&error))?;
        // A record that was refused counts as flushed too.
        if self.read(key)?.as_deref() != Some(value) {
            return Err(failed(&"the record was not taken; hint: grant Write on it"));
        }
        Ok(())
    }

    /// Whether the group has committed offsets of any of so many partitions: the application has
    /// begun.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn has_begun(&self, partitions: u32) -> Result<bool, BrokerError> {
        let doing = "read the committed offsets of the consumer group";
        let failed = |error| error::query(doing, &error, &self.clients.diagnostics);
        let consumer: BaseConsumer<PlainContext> =
            create(&self.clients.reader(), self.clients.plain_context())?;
        let mut wanted = TopicPartitionList::new();
        for input in Input::ALL {
            for partition in 0..partitions {
                wanted.add_partition(self.clients.names.input(input), number(partition));
            }
        }
        let answer = consumer.committed_offsets(wanted, TIMEOUT).map_err(failed)?;
        let mut begun = false;
        for element in answer.elements() {
            element.error().map_err(failed)?;
            begun |= matches!(element.offset(), Offset::Offset(_));
        }
        Ok(begun)
    }
}
