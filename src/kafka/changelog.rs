//! Reads a partition from its start to the high watermark of the moment it was opened, committed
//! records only.
//!
//! The end is found by the position, which passes control and aborted records, never by an
//! end-of-partition event, which comes in front of a transaction that is still open. Never joins
//! the group. Next: `runtime/restore.rs`.

use crate::kafka::batch::{FetchedRecord, PartitionReader};
use crate::kafka::client::{Clients, create};
use crate::kafka::diagnostics::PlainContext;
use crate::kafka::ends::{Observer, number};
use crate::kafka::error;
use crate::kafka::waker::Waker;
use crate::runtime::broker::{BrokerError, ChangelogRecord, Record};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;

/// A read under way; `None` inside when there was nothing to read.
pub(crate) struct ChangelogReader {
    source: Option<Source>,
    end: i64,
}

struct Source {
    // Before the consumer: a queue must not outlive it.
    reader: PartitionReader<PlainContext>,
    consumer: Arc<BaseConsumer<PlainContext>>,
    topic: String,
}

impl ChangelogReader {
    /// Takes the end and begins to fetch.
    pub(crate) fn open(
        clients: &Clients,
        observer: &Observer,
        topic: &str,
        partition: u32,
        waker: &Arc<Waker>,
    ) -> Result<Self, BrokerError> {
        let watermarks = observer.watermarks(topic, partition)?;
        if watermarks.low >= watermarks.high {
            return Ok(Self { source: None, end: watermarks.high });
        }
        let doing = format!("read topic \"{topic}\" partition {partition}");
        let failed = |error| error::query(&doing, &error, &clients.diagnostics);
        let consumer: Arc<BaseConsumer<PlainContext>> =
            Arc::new(create(&clients.reader(), clients.plain_context())?);
        let mut reader =
            PartitionReader::split(&consumer, topic, number(partition)).ok_or_else(|| {
                BrokerError::Retriable(format!("could not {doing}: unknown partition"))
            })?;
        reader.on_records({
            let waker = Arc::clone(waker);
            move || waker.wake()
        });
        let mut assignment = TopicPartitionList::with_capacity(1);
        assignment
            .add_partition_offset(topic, number(partition), Offset::Offset(watermarks.low))
            .map_err(failed)?;
        consumer.assign(&assignment).map_err(failed)?;
        let source = Source { reader, consumer, topic: topic.to_owned() };
        Ok(Self { source: Some(source), end: watermarks.high })
    }

    /// Moves at most `max` records to `into`, waiting at most `wait` for the first; true when the
    /// end was reached.
    pub(crate) fn read(
        &mut self,
        max: usize,
        wait: Duration,
        into: &mut Vec<ChangelogRecord>,
    ) -> Result<bool, BrokerError> {
        self.read_each(max, wait, |record| {
            into.push(ChangelogRecord {
                key: record.key().unwrap_or_default().to_vec(),
                value: record.value().map(<[u8]>::to_vec),
            });
        })
    }

    /// The same, each record handed over.
    pub(crate) fn read_each(
        &mut self,
        max: usize,
        wait: Duration,
        mut each: impl FnMut(&FetchedRecord),
    ) -> Result<bool, BrokerError> {
        let Some(source) = &mut self.source else {
            return Ok(true);
        };
        let diagnostics = &source.consumer.context().diagnostics;
        if let Some(Err(error)) = source.consumer.poll(Duration::ZERO)
            && let Some(code) = error.rdkafka_error_code()
            && let Some(fatal) = error::never_heals("read the changelog", code, &error.to_string())
        {
            return Err(fatal);
        }
        let end = self.end;
        let errors = source.reader.fetch(max, wait, |record| {
            // Records behind the end belong to whoever wrote them after the open.
            if record.offset() < end {
                each(&record);
            }
        });
        for error in errors {
            let doing = format!("read topic \"{}\"", source.topic);
            if let Some(fatal) = error::damaged(&doing, error.code, &error.text) {
                return Err(fatal);
            }
            if let Some(fatal) = error::never_heals(&doing, error.code, &error.text) {
                return Err(fatal);
            }
            diagnostics.tell(error.code, &error.text);
        }
        let done = source.reader.position().is_some_and(|next_offset| next_offset >= end);
        if done {
            self.source = None;
        }
        Ok(done)
    }
}
