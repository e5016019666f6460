//! The transactional producer.
//!
//! Never decides when a transaction ends, and never begins one by itself. Delivery reports are
//! served by the worker's own thread, in `send` and `drained`. Next: `runtime/commit.rs`.

use crate::kafka::client::{Clients, Names, create};
use crate::kafka::diagnostics::{self, Diagnostics};
use crate::kafka::ends::number;
use crate::kafka::error;
use crate::kafka::mark::Mark;
use crate::runtime::broker::{BrokerError, Ended, Input, OutRecord, Sent, TaskOffsets};
use crate::runtime::clock::monotonic_ms;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext, PurgeConfig};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long one call of the transaction may take; after it the same call is made again. Short,
/// since the member of the group is served only in between.
const CALL_TIMEOUT: Duration = Duration::from_secs(1);
/// An end of transaction that took longer makes the producer be initialised anew, in ms.
const SLOW_END_MS: i64 = 1_000;
/// How long purged records may take to be reported, in ms.
const PURGE_TIMEOUT_MS: i64 = 2_000;
/// Delivery reports are served after so many records.
const SENDS_PER_POLL: u32 = 100;

/// Callbacks of the producer.
struct TransactionContext {
    diagnostics: Diagnostics,
    /// The first record of the transaction that was not delivered.
    undelivered: Mutex<Option<(String, RDKafkaErrorCode)>>,
    /// The last line about a partition that the coordinator has refused; no call names it.
    refused: Mutex<Option<String>>,
}

impl ClientContext for TransactionContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        // Of the others that were asked for with it, it says that they were not attempted.
        if facility == "ADDPARTS"
            && !line.contains("not attempted")
            && let Some(place) = line.find("Failed to add")
        {
            let reason = Some(line[place..].to_owned());
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = reason;
        }
        diagnostics::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.diagnostics.callback(&error, reason);
    }
}

impl ProducerContext for TransactionContext {
    type DeliveryOpaque = ();

    fn delivery(&self, report: &DeliveryResult<'_>, (): ()) {
        if let Err((error, record)) = report {
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
            let mut undelivered = self.undelivered();
            // What was purged follows from what failed, and may be told before it.
            if undelivered.as_ref().is_none_or(|(_, known)| is_purged(*known)) {
                *undelivered = Some((record.topic().to_owned(), code));
            }
        }
    }
}

impl TransactionContext {
    fn undelivered(&self) -> std::sync::MutexGuard<'_, Option<(String, RDKafkaErrorCode)>> {
        self.undelivered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_purged(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight)
}

/// A producer with its open transaction, if any.
pub(crate) struct Transactional {
    config: ClientConfig,
    names: Arc<Names>,
    mark: Mark,
    diagnostics: Diagnostics,
    producer: Option<BaseProducer<TransactionContext>>,
    /// The producer was made and its initialisation timed out: it is asked again.
    initialising: bool,
    sends_since_poll: u32,
    /// When the end of the open transaction was first asked for, and whether that timed out.
    ending_since_ms: Option<i64>,
    timed_out: bool,
}

impl Transactional {
    pub(crate) fn new(clients: &Clients) -> Self {
        Self {
            config: clients.producer(),
            names: Arc::clone(&clients.names),
            mark: clients.mark.clone(),
            diagnostics: clients.diagnostics.clone(),
            producer: None,
            initialising: false,
            sends_since_poll: 0,
            ending_since_ms: None,
            timed_out: false,
        }
    }

    fn producer(&self) -> Result<&BaseProducer<TransactionContext>, BrokerError> {
        self.producer
            .as_ref()
            .ok_or_else(|| BrokerError::Fenced("the producer is not initialised".to_owned()))
    }

    /// A new producer of the same transactional id.
    pub(crate) fn init(&mut self) -> Result<(), BrokerError> {
        let producer = match self.producer.take() {
            Some(producer) if self.initialising => producer,
            old => {
                drop(old);
                let context = TransactionContext {
                    diagnostics: self.diagnostics.clone(),
                    undelivered: Mutex::new(None),
                    refused: Mutex::new(None),
                };
                create(&self.config, context)?
            }
        };
        let result = producer.init_transactions(CALL_TIMEOUT);
        // Why it timed out (a wrong password, a wrong certificate) comes only in a poll.
        serve(&producer);
        let doing = "initialise the transactional producer";
        match result.map_err(|error| error::transaction(doing, &error, &self.diagnostics)) {
            Ok(()) => {
                self.producer = Some(producer);
                self.initialising = false;
                self.forget_transaction();
                Ok(())
            }
            Err(BrokerError::Retriable(text)) => {
                self.producer = Some(producer);
                self.initialising = true;
                Err(error::wrong_credentials(doing, &self.diagnostics)
                    .unwrap_or(BrokerError::Retriable(text)))
            }
            // Another one of the same id came in between: try once more with a new producer.
            Err(BrokerError::Fenced(text) | BrokerError::Abort(text)) => {
                self.initialising = false;
                Err(BrokerError::Retriable(text))
            }
            Err(fatal) => {
                self.initialising = false;
                Err(fatal)
            }
        }
    }

    fn forget_transaction(&mut self) {
        if let Some(producer) = &self.producer {
            *producer.context().undelivered() = None;
        }
        self.diagnostics.forget_transport_failure();
        self.ending_since_ms = None;
        self.timed_out = false;
    }

    pub(crate) fn begin(&mut self) -> Result<(), BrokerError> {
        self.forget_transaction();
        let begun = self.producer()?.begin_transaction();
        let doing = "begin a transaction";
        begun.map_err(|error| match error::transaction(doing, &error, &self.diagnostics) {
            // Nothing is open yet that could be called again or aborted.
            BrokerError::Retriable(text) | BrokerError::Abort(text) => BrokerError::Fenced(text),
            other => other,
        })
    }

    pub(crate) fn send(&mut self, record: &OutRecord<'_>) -> Result<Sent, BrokerError> {
        self.sends_since_poll += 1;
        if self.sends_since_poll >= SENDS_PER_POLL {
            self.sends_since_poll = 0;
            self.poll();
        }
        let topic = self.names.output(record.output);
        let mut message = BaseRecord::<[u8], [u8]>::to(topic).partition(number(record.partition));
        if let Some(key) = record.key {
            message = message.key(key);
        }
        if let Some(value) = record.value {
            message = message.payload(value);
        }
        if !record.headers.is_empty() {
            let empty = OwnedHeaders::new_with_capacity(record.headers.len());
            let headers = record.headers.iter().fold(empty, |headers, (key, value)| {
                headers.insert(Header { key, value: Some(value) })
            });
            message = message.headers(headers);
        }
        let producer = self.producer()?;
        match producer.send(message) {
            Ok(()) => Ok(Sent::Queued),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                self.poll();
                Ok(Sent::QueueFull)
            }
            Err((error, _)) => {
                self.undelivered()?;
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
                Err(error::delivery(topic, code))
            }
        }
    }

    /// Serves one event of the producer without waiting.
    pub(crate) fn poll(&self) {
        if let Some(producer) = &self.producer {
            producer.poll(Duration::ZERO);
        }
    }

    /// An error when a record of the open transaction was not delivered.
    fn undelivered(&self) -> Result<(), BrokerError> {
        let producer = self.producer()?;
        let undelivered = producer.context().undelivered().clone();
        let Some((topic, code)) = undelivered else {
            return Ok(());
        };
        if is_purged(code)
            && let Some(fatal) = refused(producer)
        {
            return Err(fatal);
        }
        let error = error::delivery(&topic, code);
        match producer.client().fatal_error() {
            Some((_, reason)) if !matches!(error, BrokerError::Fatal(_)) => {
                Err(BrokerError::Fenced(format!("the producer failed for good: {reason}")))
            }
            _ => Err(error),
        }
    }

    /// Serves delivery reports while they come; true when nothing is in flight.
    pub(crate) fn drained(&mut self) -> Result<bool, BrokerError> {
        let producer = self.producer()?;
        let mut in_flight = producer.in_flight_count();
        while in_flight > 0 {
            producer.poll(Duration::ZERO);
            let before = std::mem::replace(&mut in_flight, producer.in_flight_count());
            if in_flight >= before {
                break;
            }
        }
        self.undelivered()?;
        Ok(in_flight == 0)
    }

    pub(crate) fn send_offsets(
        &self,
        offsets: &[TaskOffsets],
        group: &ConsumerGroupMetadata,
    ) -> Result<(), BrokerError> {
        let doing = "send offsets to the transaction";
        if offsets.is_empty() {
            // The broker would not be asked, and the group would fence nothing.
            return Err(BrokerError::Abort(format!("could not {doing}: the list is empty")));
        }
        let failed = |error: KafkaError| error::transaction(doing, &error, &self.diagnostics);
        let mut list = TopicPartitionList::with_capacity(offsets.len() * 3);
        for task in offsets {
            let metadata = self.mark.add(&task.metadata);
            for input in Input::ALL {
                let mut element =
                    list.add_partition(self.names.input(input), number(task.partition));
                element
                    .set_offset(Offset::Offset(task.next_offsets[input.index()]))
                    .map_err(failed)?;
                element.set_metadata(&metadata);
            }
        }
        self.producer()?.send_offsets_to_transaction(&list, group, CALL_TIMEOUT).map_err(failed)
    }

    pub(crate) fn commit(&mut self) -> Result<Ended, BrokerError> {
        self.end("commit the transaction", |producer| producer.commit_transaction(CALL_TIMEOUT))
    }

    pub(crate) fn abort(&mut self) -> Result<Ended, BrokerError> {
        let producer = self.producer()?;
        // An abort with records undelivered blocks until its timeout.
        producer.purge(PurgeConfig::default().queue().inflight());
        let give_up_ms = monotonic_ms() + PURGE_TIMEOUT_MS;
        while producer.in_flight_count() > 0 && monotonic_ms() < give_up_ms {
            producer.poll(Duration::from_millis(1));
        }
        // The same record would fail again after every abort.
        if let Err(fatal @ BrokerError::Fatal(_)) = self.undelivered() {
            return Err(fatal);
        }
        // Records that got a sequence number and were never sent leave a gap, over which the next
        // transaction would fail.
        let gap = producer.context().undelivered().is_some();
        let ended =
            self.end("abort the transaction", |producer| producer.abort_transaction(CALL_TIMEOUT))?;
        Ok(Ended { renew_producer: ended.renew_producer || gap })
    }

    fn end(
        &mut self,
        doing: &str,
        call: impl FnOnce(&BaseProducer<TransactionContext>) -> Result<(), KafkaError>,
    ) -> Result<Ended, BrokerError> {
        let since_ms = *self.ending_since_ms.get_or_insert_with(monotonic_ms);
        let producer = self.producer()?;
        let result = call(producer);
        serve(producer);
        match result.map_err(|error| error::transaction(doing, &error, &self.diagnostics)) {
            Ok(()) => {
                let slow = monotonic_ms() - since_ms > SLOW_END_MS;
                let renew_producer = slow || self.timed_out || self.diagnostics.transport_failed();
                self.ending_since_ms = None;
                self.timed_out = false;
                Ok(Ended { renew_producer })
            }
            Err(error) => {
                match error {
                    BrokerError::Retriable(_) => self.timed_out = true,
                    // What comes next is an abort, an end of its own.
                    _ => self.ending_since_ms = None,
                }
                Err(error)
            }
        }
    }
}

/// Why records were purged, where it never heals: the delivery reports do not tell, nor does the
/// error callback.
fn refused(producer: &BaseProducer<TransactionContext>) -> Option<BrokerError> {
    // Nothing can begin while a transaction is open: the answer is what that one suffers from.
    let error = producer.begin_transaction().err()?;
    let refused = producer.context().refused.lock().unwrap_or_else(PoisonError::into_inner);
    let reason = refused.clone().unwrap_or_else(|| error.to_string());
    error::never_heals("write in a transaction", error.rdkafka_error_code()?, &reason)
}

/// Serves what is queued: error callbacks, log lines, delivery reports.
fn serve(producer: &BaseProducer<TransactionContext>) {
    for _ in 0..8 {
        producer.poll(Duration::ZERO);
    }
}
