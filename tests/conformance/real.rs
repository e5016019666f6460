//! A real Kafka with topics of its own for a history, through the code that the program uses.
//!
//! Its time is real: a history waits for what it has to see. Next: `src/kafka/mod.rs`.

use crate::broker::shared;
use crate::fixture::{config_with_topics, connect};
use crate::play::{Driver, Times, text};
use crate::records::read_committed;
use ebbflow::config::Config;
use ebbflow::kafka::KafkaBroker;
use ebbflow::runtime::broker::Output;
use std::thread;
use std::time::{Duration, Instant};

const PARTITIONS: u32 = 2;
/// Between two attempts.
const MOMENT: Duration = Duration::from_millis(5);

/// A real cluster.
pub(crate) struct Real {
    name: String,
    config: Config,
    began_at: Instant,
}

impl Real {
    pub(crate) fn new(name: &str, times: Times) -> Self {
        let mut config = config_with_topics(&shared().bootstrap(), name, PARTITIONS);
        config.kafka.session_timeout = times.session;
        config.kafka.max_poll_interval = times.max_poll;
        config.kafka.transaction_timeout = times.transaction;
        Self { name: name.to_owned(), config, began_at: Instant::now() }
    }

    /// The transactional id is made of both.
    fn connect(&self, application_id: String, instance_id: String) -> KafkaBroker {
        connect(&Config { application_id, instance_id, ..self.config.clone() })
    }
}

impl Driver for Real {
    type Broker = KafkaBroker;

    fn member(&mut self, place: usize) -> KafkaBroker {
        self.connect(format!("{}-m", self.name), place.to_string())
    }

    fn double(&mut self, place: usize) -> KafkaBroker {
        // The same transactional id in another group.
        self.connect(self.name.clone(), format!("m-{place}"))
    }

    fn pass(&mut self) {
        thread::sleep(MOMENT);
    }

    fn elapsed(&self) -> Duration {
        self.began_at.elapsed()
    }

    fn read(&mut self, output: Output) -> Vec<(u32, i64, String)> {
        let topics = &self.config.topics;
        let topic = match output {
            Output::SegmentChanges => &topics.segment_changes,
            Output::Customers => &topics.customers,
            Output::State => &topics.state,
            Output::Relay => &topics.relay,
            Output::DeadLetters => &topics.dead_letters,
            Output::Control => &topics.control,
        };
        let records = read_committed(&self.config.kafka.bootstrap_servers, topic).into_iter();
        let records = records.map(|record| {
            let partition = u32::try_from(record.partition).expect("a partition");
            (partition, record.offset, text(record.value.as_deref()))
        });
        records.collect()
    }
}
