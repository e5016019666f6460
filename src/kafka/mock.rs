//! The demo's broker: librdkafka's mock cluster in this process, a producer and a reader for it.
//!
//! The mock keeps at most 5 MB or 100,000 records of a partition, no committed offsets, and knows
//! nothing of transactions: it shows the path, it proves nothing about it. Any Kafka client on
//! this machine can join in. Next: `demo/feed.rs`, which writes; `demo/mod.rs`, which reads.

use crate::config::Config;
use crate::kafka::client::{Clients, ConnectMode, create};
use crate::kafka::diagnostics::{self, Diagnostics, PlainContext};
use crate::kafka::ends::number;
use crate::kafka::error;
use crate::runtime::broker::{BrokerError, Input};
use crate::runtime::clock::monotonic_ms;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{
    BaseProducer, BaseRecord, DefaultProducerContext, Producer, ProducerContext,
};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long records may take to be delivered, in ms.
const DELIVERY_TIMEOUT_MS: i64 = 30_000;

/// A broker inside this process, gone when dropped.
pub struct MockBroker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl MockBroker {
    /// Starts it on a free port of the loopback interface.
    ///
    /// # Errors
    /// `Fatal` when it cannot be started.
    pub fn start() -> Result<Self, BrokerError> {
        let cluster = MockCluster::new(1).map_err(|error| failed("start", &error))?;
        Ok(Self { cluster })
    }

    /// `host:port`, for any Kafka client on this machine.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Makes every topic of the configuration.
    ///
    /// # Errors
    /// `Fatal` when one cannot be made.
    pub fn create_topics(&self, config: &Config) -> Result<(), BrokerError> {
        let topics = &config.topics;
        let partitions = number(topics.partitions);
        for (topic, partitions) in [
            (&topics.interactions, partitions),
            (&topics.purchases, partitions),
            (&topics.relay, partitions),
            (&topics.state, partitions),
            (&topics.segment_changes, partitions),
            (&topics.customers, partitions),
            (&topics.dead_letters, partitions),
            (&topics.control, 1),
        ] {
            self.cluster
                .create_topic(topic, partitions, 1)
                .map_err(|error| failed(&format!("make topic \"{topic}\" on"), &error))?;
        }
        Ok(())
    }
}

fn failed(doing: &str, error: &KafkaError) -> BrokerError {
    BrokerError::Fatal(format!("could not {doing} the embedded broker: {error}"))
}

/// Writes events to the inputs, outside of transactions as a shop would.
pub struct Feeder {
    producer: BaseProducer<FeederContext>,
    inputs: [String; 3],
}

/// Callbacks of the feeder's producer.
struct FeederContext {
    diagnostics: Diagnostics,
    delivered: AtomicU64,
    undelivered: Mutex<Option<BrokerError>>,
}

impl ClientContext for FeederContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        diagnostics::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.diagnostics.callback(&error, reason);
    }
}

impl ProducerContext for FeederContext {
    type DeliveryOpaque = ();

    fn delivery(&self, report: &DeliveryResult<'_>, (): ()) {
        match report {
            Ok(_) => {
                self.delivered.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, record)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
                let mut undelivered =
                    self.undelivered.lock().unwrap_or_else(PoisonError::into_inner);
                undelivered.get_or_insert_with(|| error::delivery(record.topic(), code));
            }
        }
    }
}

impl Feeder {
    /// A producer for the configured cluster.
    ///
    /// # Errors
    /// `Fatal` when librdkafka refuses a setting.
    pub fn new(config: &Config) -> Result<Self, BrokerError> {
        let clients = Clients::new(config, 0, ConnectMode::Mock);
        let context = FeederContext {
            diagnostics: clients.diagnostics.clone(),
            delivered: AtomicU64::new(0),
            undelivered: Mutex::new(None),
        };
        let inputs = Input::ALL.map(|input| clients.names.input(input).to_owned());
        Ok(Self { producer: create(&clients.plain_producer(), context)?, inputs })
    }

    /// Queues a record; false when the queue is full and it has to be sent again.
    ///
    /// # Errors
    /// When a record cannot be delivered.
    pub fn send(
        &self,
        input: Input,
        partition: u32,
        key: &str,
        value: &[u8],
    ) -> Result<bool, BrokerError> {
        let topic = &self.inputs[input.index()];
        let record =
            BaseRecord::<str, [u8]>::to(topic).partition(number(partition)).key(key).payload(value);
        match self.producer.send(record) {
            Ok(()) => Ok(true),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Ok(false),
            Err((error, _)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
                Err(error::delivery(topic, code))
            }
        }
    }

    /// Serves delivery reports; the number of records that the broker has taken so far.
    ///
    /// # Errors
    /// When a record could not be delivered.
    pub fn delivered(&self) -> Result<u64, BrokerError> {
        let context = self.producer.context();
        let mut before = None;
        loop {
            let delivered = context.delivered.load(Ordering::Relaxed);
            let undelivered = &context.undelivered;
            if let Some(error) = undelivered.lock().unwrap_or_else(PoisonError::into_inner).clone()
            {
                return Err(error);
            }
            if before == Some(delivered) {
                return Ok(delivered);
            }
            before = Some(delivered);
            self.producer.poll(Duration::ZERO);
        }
    }

    /// Waits until the broker has taken `count` records.
    ///
    /// # Errors
    /// When a record could not be delivered, or not in time.
    pub fn wait_for(&self, count: u64) -> Result<(), BrokerError> {
        let give_up_ms = monotonic_ms() + DELIVERY_TIMEOUT_MS;
        while self.delivered()? < count {
            if monotonic_ms() > give_up_ms {
                return Err(BrokerError::Fatal(format!(
                    "the embedded broker did not take all {count} records in \
                     {DELIVERY_TIMEOUT_MS} ms"
                )));
            }
            self.producer.poll(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// Reads all partitions of a topic from their beginning, in no group.
pub struct TopicReader {
    consumer: BaseConsumer<PlainContext>,
    topic: String,
}

impl TopicReader {
    /// Begins to fetch.
    ///
    /// # Errors
    /// When librdkafka refuses a setting.
    pub fn open(config: &Config, topic: &str) -> Result<Self, BrokerError> {
        let clients = Clients::new(config, 0, ConnectMode::Mock);
        let mut settings = clients.reader();
        // A record that has gone unread must not go unnoticed.
        settings.set("auto.offset.reset", "error");
        let consumer: BaseConsumer<PlainContext> = create(&settings, clients.plain_context())?;
        let count = usize::try_from(config.topics.partitions).unwrap_or(0);
        let mut assignment = TopicPartitionList::with_capacity(count);
        let doing = format!("read topic \"{topic}\"");
        let failed = |error: KafkaError| error::query(&doing, &error, &clients.diagnostics);
        for partition in 0..config.topics.partitions {
            assignment
                .add_partition_offset(topic, number(partition), Offset::Offset(0))
                .map_err(failed)?;
        }
        consumer.assign(&assignment).map_err(failed)?;
        Ok(Self { consumer, topic: topic.to_owned() })
    }

    /// Hands out what is there, waiting at most `wait` for the first record; says how many.
    ///
    /// # Errors
    /// When records were removed before they were read, or cannot be read.
    pub fn read(&self, wait: Duration, mut each: impl FnMut(&[u8])) -> Result<u64, BrokerError> {
        let mut count = 0;
        let mut wait = wait;
        while let Some(polled) = self.consumer.poll(wait) {
            wait = Duration::ZERO;
            match polled {
                Ok(record) => {
                    each(record.payload().unwrap_or_default());
                    count += 1;
                }
                Err(error) => {
                    return Err(BrokerError::Fatal(format!(
                        "could not read topic \"{}\": {error}",
                        self.topic
                    )));
                }
            }
        }
        Ok(count)
    }
}
