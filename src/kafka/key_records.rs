//! The records of one key in a log, from where it begins to its end of this moment.
//!
//! Reads committed records only and never joins the group; for people who ask about one customer.
//! Next: `changelog.rs`, how the end is found.

use crate::config::Config;
use crate::domain::time::Timestamp;
use crate::kafka::changelog::ChangelogReader;
use crate::kafka::client::{Clients, ConnectMode};
use crate::kafka::ends::{CONNECT_TIMEOUT, Observer};
use crate::kafka::waker::Waker;
use crate::runtime::broker::{BrokerError, Record};
use crate::runtime::clock::monotonic_ms;
use std::sync::Arc;
use std::time::Duration;

/// How long no record may come before the end, in ms.
const STALLED_MS: i64 = 30_000;
const BATCH: usize = 10_000;
const WAIT: Duration = Duration::from_millis(50);

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRecords {
    /// The partition that was read.
    pub partition: u32,
    /// Offsets and values, oldest first; `None` is a tombstone.
    pub records: Vec<(i64, Option<Vec<u8>>)>,
    /// When the first record of the partition was written, if there were earlier ones.
    pub reaches_back_to: Option<Timestamp>,
}

/// Reads the partition that `partition_of` names of so many.
///
/// # Errors
/// `Retriable` when the cluster does not answer, `Fatal` when the topic is missing or refused.
pub fn read(
    config: &Config,
    topic: &str,
    key: &[u8],
    partition_of: impl FnOnce(u32) -> u32,
) -> Result<KeyRecords, BrokerError> {
    let clients = Clients::new(config, 0, ConnectMode::Cluster);
    let observer = Observer::new(&clients)?;
    let shape = observer.shape(topic, CONNECT_TIMEOUT)?;
    let Some(shape) = shape.filter(|shape| shape.partitions > 0) else {
        return Err(BrokerError::Fatal(format!(
            "topic \"{topic}\" does not exist; hint: check topics.prefix and \
             kafka.bootstrap_servers"
        )));
    };
    let partition = partition_of(shape.partitions);
    let cut = observer.watermarks(topic, partition)?.low > 0;
    let waker = Arc::new(Waker::default());
    let mut reader = ChangelogReader::open(&clients, &observer, topic, partition, &waker)?;
    let mut found = KeyRecords { partition, ..KeyRecords::default() };
    let (mut first_at, mut came_ms) = (None, monotonic_ms());
    let mut is_done = false;
    while !is_done {
        let mut came = false;
        is_done = reader.read_each(BATCH, WAIT, |record| {
            came = true;
            first_at = first_at.or(record.timestamp());
            if record.key() == Some(key) {
                found.records.push((record.offset(), record.value().map(<[u8]>::to_vec)));
            }
        })?;
        if came {
            came_ms = monotonic_ms();
        } else if !is_done && monotonic_ms() - came_ms > STALLED_MS {
            return Err(BrokerError::Retriable(format!(
                "topic \"{topic}\" partition {partition} delivered nothing for {STALLED_MS} ms"
            )));
        }
    }
    found.reaches_back_to = first_at.filter(|_| cut);
    Ok(found)
}
