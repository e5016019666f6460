//! The member of the consumer group: rebalances answered later, inputs read by partition.
//!
//! The rebalance callback only queues what happened and returns without an answer. librdkafka
//! then waits (heartbeats going on, nothing fetched) until the worker has committed and calls
//! [`Group::assign`] or [`Group::unassign`]. Lost partitions are given back by the callback itself:
//! there is nothing to commit any more, and a static member that has lost its session goes on with
//! heartbeats without a member id until it is answered, for which the coordinator fences it for
//! good. Nor does closing wait for a worker that has gone.
//! Never decides what is committed. Next: `batch.rs`; `runtime/group.rs`.

use crate::kafka::batch::{FetchedRecord, PartitionReader, offset_metadata};
use crate::kafka::client::{Clients, Names, create};
use crate::kafka::diagnostics::{self, Diagnostics};
use crate::kafka::ends::{Ends, number};
use crate::kafka::error;
use crate::kafka::mark::Mark;
use crate::kafka::waker::Waker;
use crate::runtime::broker::{BrokerError, CommittedOffsets, GroupEvent, Input};
use crate::runtime::clock::monotonic_ms;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the group's offsets are waited for in one call.
const COMMITTED_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a seek may take; it is a call within this process.
const SEEK_TIMEOUT: Duration = Duration::from_secs(1);
/// What is taken at once from a queue in which an error is looked for.
const DRAIN_RECORDS: usize = 1_000;
/// How long leaving may take, in ms.
const LEAVE_TIMEOUT_MS: i64 = 5_000;
/// How often callbacks are served while a transaction ends, in ms.
const SERVE_EVERY_MS: i64 = 100;
/// Events of the consumer served in one call.
const POLLS_PER_CALL: usize = 4;
/// Events served before the consumer is closed.
const LAST_POLLS: usize = 256;

/// Callbacks of the member.
pub(crate) struct GroupContext {
    diagnostics: Diagnostics,
    events: Mutex<VecDeque<Rebalance>>,
    /// The consumer is being closed: nobody will answer.
    closing: AtomicBool,
}

/// A rebalance as the callback saw it.
enum Rebalance {
    Assigned { partitions: Vec<(String, i32)>, metadata: Option<ConsumerGroupMetadata> },
    Revoked { lost: bool, answered: bool },
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        diagnostics::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.diagnostics.callback(&error, reason);
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        if self.closing.load(Ordering::Relaxed) {
            // Nobody would take the answer any more.
            if !consumer.closed()
                && let Err(error) = consumer.unassign()
            {
                tracing::error!(%error, "could not give partitions back while closing");
            }
            return;
        }
        let event = if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let elements = list.elements();
            Rebalance::Assigned {
                partitions: elements
                    .iter()
                    .map(|element| (element.topic().to_owned(), element.partition()))
                    .collect(),
                metadata: consumer.group_metadata(),
            }
        } else {
            // Meaningful only here: the answer resets it.
            let lost = consumer.assignment_lost();
            let answered = lost && consumer.unassign().is_ok();
            Rebalance::Revoked { lost, answered }
        };
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
    }
}

/// An input of an assigned task.
struct InputReader {
    reader: PartitionReader<GroupContext>,
    /// Whether it was told where to read. Until then it stands at the end of the log, and what
    /// arrives there is not handed out.
    sought: bool,
}

/// The member of the group.
pub(crate) struct Group {
    // In this order, because a queue must not outlive the consumer.
    readers: Vec<Option<[InputReader; 3]>>,
    consumer: Arc<BaseConsumer<GroupContext>>,
    /// The rebalance that the worker was told of and has not answered.
    unanswered: bool,
    /// Taken at the last assignment; valid until the next.
    metadata: Option<ConsumerGroupMetadata>,
    /// When callbacks were served last, in monotonic ms.
    served_ms: i64,
    names: Arc<Names>,
    mark: Mark,
    waker: Arc<Waker>,
}

impl Group {
    /// Makes the consumer and subscribes; joining goes on in the background.
    pub(crate) fn join(clients: &Clients, waker: &Arc<Waker>) -> Result<Self, BrokerError> {
        let context = GroupContext {
            diagnostics: clients.diagnostics.clone(),
            events: Mutex::default(),
            closing: AtomicBool::new(false),
        };
        let mut consumer: BaseConsumer<GroupContext> = create(&clients.member(), context)?;
        consumer.set_nonempty_callback({
            let waker = Arc::clone(waker);
            move || waker.wake()
        });
        let topics = Input::ALL.map(|input| clients.names.input(input));
        consumer.subscribe(&topics).map_err(|error| {
            error::query("subscribe to the inputs", &error, &clients.diagnostics)
        })?;
        Ok(Self {
            readers: Vec::new(),
            consumer: Arc::new(consumer),
            unanswered: false,
            metadata: None,
            served_ms: monotonic_ms(),
            names: Arc::clone(&clients.names),
            mark: clients.mark.clone(),
            waker: Arc::clone(waker),
        })
    }

    fn context(&self) -> &GroupContext {
        self.consumer.context()
    }

    fn diagnostics(&self) -> &Diagnostics {
        &self.context().diagnostics
    }

    /// Serves callbacks; returns the next rebalance.
    pub(crate) fn poll(&mut self) -> Result<Option<GroupEvent>, BrokerError> {
        for _ in 0..POLLS_PER_CALL {
            self.serve_one()?;
            let event =
                self.context().events.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match event {
                None => {}
                Some(Rebalance::Revoked { lost, answered }) => {
                    self.unanswered = !answered;
                    return Ok(Some(GroupEvent::Revoked { lost }));
                }
                Some(Rebalance::Assigned { partitions, metadata }) => {
                    self.unanswered = true;
                    self.metadata = metadata;
                    return self.tasks(&partitions).map(GroupEvent::Assigned).map(Some);
                }
            }
        }
        Ok(None)
    }

    /// Serves callbacks now and then while the worker waits for the end of a transaction; what they
    /// tell is kept for [`Self::poll`].
    pub(crate) fn serve(&mut self) -> Result<(), BrokerError> {
        let now_ms = monotonic_ms();
        if now_ms - self.served_ms < SERVE_EVERY_MS {
            return Ok(());
        }
        self.served_ms = now_ms;
        self.serve_one()
    }

    fn serve_one(&self) -> Result<(), BrokerError> {
        match self.consumer.poll(Duration::ZERO) {
            Some(Err(error)) => self.consumption_failed(&error),
            Some(Ok(_)) => Err(BrokerError::Fatal(
                "a record came outside of its partition's queue, its place in the order is \
                 unknown"
                    .to_owned(),
            )),
            None => Ok(()),
        }
    }

    /// The tasks of an assignment; an error unless every input has the same partitions.
    fn tasks(&self, assigned: &[(String, i32)]) -> Result<Vec<u32>, BrokerError> {
        let of = |input: Input| -> BTreeSet<u32> {
            let topic = self.names.input(input);
            let own = assigned.iter().filter(|(name, _)| name == topic);
            own.filter_map(|(_, partition)| u32::try_from(*partition).ok()).collect()
        };
        let [first, others @ ..] = Input::ALL.map(of);
        if others.iter().any(|other| *other != first) {
            return Err(BrokerError::Fatal(format!(
                "the group assigned different partitions of the inputs: {assigned:?}; hint: the \
                 input topics need equal partition counts, and all members of the group this \
                 program with the same topics; run `ebbflow topics --config FILE`"
            )));
        }
        Ok(first.into_iter().collect())
    }

    fn consumption_failed(&self, error: &KafkaError) -> Result<(), BrokerError> {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        if let KafkaError::MessageConsumptionFatal(_) = error {
            let reason = self.consumer.client().fatal_error().map(|(_, reason)| reason);
            let reason = reason.unwrap_or_else(|| error.to_string());
            return Err(error::fatal_consumer(code, &reason));
        }
        // The others were told by the error callback, are logged there, and heal.
        error::never_heals("read as a member of the group", code, &error.to_string())
            .map_or(Ok(()), Err)
    }

    /// An error when the consumer cannot go on; to be asked before every commit.
    pub(crate) fn alive(&self) -> Result<(), BrokerError> {
        match self.consumer.client().fatal_error() {
            None => Ok(()),
            Some((code, reason)) => Err(error::fatal_consumer(code, &reason)),
        }
    }

    /// Answers an assignment: every input at the end of its log, handing nothing out.
    pub(crate) fn assign(&mut self, ends: &Ends) -> Result<(), BrokerError> {
        let doing = "take the assigned partitions";
        self.readers.clear();
        let mut assignment = TopicPartitionList::with_capacity(ends.len() * 3);
        for (task, task_ends) in ends {
            for input in Input::ALL {
                // An absolute offset: a logical one is resolved later, and its late answer would
                // undo a seek.
                assignment
                    .add_partition_offset(
                        self.names.input(input),
                        number(*task),
                        Offset::Offset(task_ends[input.index()]),
                    )
                    .map_err(|error| error::query(doing, &error, self.diagnostics()))?;
            }
            let readers = [
                self.split(Input::Interactions, *task)?,
                self.split(Input::Purchases, *task)?,
                self.split(Input::Relay, *task)?,
            ];
            let index = place(*task);
            if self.readers.len() <= index {
                self.readers.resize_with(index + 1, || None);
            }
            self.readers[index] = Some(readers);
        }
        self.consumer
            .assign(&assignment)
            .map_err(|error| error::query(doing, &error, self.diagnostics()))?;
        self.unanswered = false;
        Ok(())
    }

    fn split(&self, input: Input, task: u32) -> Result<InputReader, BrokerError> {
        let topic = self.names.input(input);
        let mut reader =
            PartitionReader::split(&self.consumer, topic, number(task)).ok_or_else(|| {
                BrokerError::Retriable(format!(
                    "could not read topic \"{topic}\" partition {task}: unknown partition"
                ))
            })?;
        reader.on_records({
            let waker = Arc::clone(&self.waker);
            move || waker.wake()
        });
        Ok(InputReader { reader, sought: false })
    }

    /// Answers a revocation.
    pub(crate) fn unassign(&mut self) -> Result<(), BrokerError> {
        self.readers.clear();
        if !self.unanswered {
            return Ok(());
        }
        self.consumer
            .unassign()
            .map_err(|error| error::query("give partitions back", &error, self.diagnostics()))?;
        self.unanswered = false;
        Ok(())
    }

    /// Leaves the group for good; the consumer is of no use after it.
    pub(crate) fn leave(&mut self) -> Result<(), BrokerError> {
        self.context().closing.store(true, Ordering::Relaxed);
        if self.unanswered {
            self.unassign()?;
        }
        self.readers.clear();
        self.consumer.unsubscribe();
        let give_up_ms = monotonic_ms() + LEAVE_TIMEOUT_MS;
        loop {
            // Errors of a consumer that leaves change nothing; the callback has logged them.
            drop(self.consumer.poll(Duration::from_millis(10)));
            let assignment = self
                .consumer
                .assignment()
                .map_err(|error| error::query("leave the group", &error, self.diagnostics()))?;
            if assignment.count() == 0 {
                return Ok(());
            }
            if monotonic_ms() > give_up_ms {
                return Err(BrokerError::Retriable(
                    "could not leave the group: partitions still assigned".to_owned(),
                ));
            }
        }
    }

    /// Serves what is queued; each rebalance is answered at once, as nobody else will.
    fn serve_last(&self) {
        for _ in 0..LAST_POLLS {
            // Errors of a consumer that is closed change nothing; the callback has logged them.
            drop(self.consumer.poll(Duration::ZERO));
        }
    }

    fn reader(&mut self, task: u32, input: Input) -> Option<&mut InputReader> {
        Some(&mut self.readers.get_mut(place(task))?.as_mut()?[input.index()])
    }

    /// Fetches from `next_offset` on. Waits for librdkafka's answer: before it the position is
    /// still the old one.
    pub(crate) fn seek(
        &mut self,
        task: u32,
        input: Input,
        next_offset: i64,
    ) -> Result<(), BrokerError> {
        let topic = self.names.input(input).to_owned();
        let doing = format!("seek topic \"{topic}\" partition {task} to offset {next_offset}");
        let Some(reader) = self.reader(task, input) else {
            return Err(BrokerError::Fatal(format!("could not {doing}: not assigned")));
        };
        // If anything fails below, nothing is handed out until a seek has succeeded.
        reader.sought = false;
        let failed = |error: &KafkaError| error::query(&doing, error, self.diagnostics());
        let mut target = TopicPartitionList::with_capacity(1);
        target
            .add_partition_offset(&topic, number(task), Offset::Offset(next_offset))
            .map_err(|error| failed(&error))?;
        // Its errors stand in the list: `State` until the partition has its first offset, and for
        // ever when it has stopped at an offset out of range, which only its queue tells.
        let answer =
            self.consumer.seek_partitions(target, SEEK_TIMEOUT).map_err(|error| failed(&error))?;
        let refused = answer.elements().iter().find_map(|element| element.error().err());
        if let Some(error) = refused {
            let error = failed(&error);
            let left = self
                .reader(task, input)
                .map(|reader| reader.reader.fetch(DRAIN_RECORDS, Duration::ZERO, drop));
            let mut told = left.iter().flatten();
            let stopped = told.find_map(|told| error::out_of_range(&doing, told.code, &told.text));
            return Err(stopped.unwrap_or(error));
        }
        if let Some(reader) = self.reader(task, input) {
            reader.sought = true;
        }
        Ok(())
    }

    /// Moves at most `max` fetched records to `into`.
    pub(crate) fn fetch(
        &mut self,
        task: u32,
        input: Input,
        max: usize,
        into: &mut VecDeque<FetchedRecord>,
    ) -> Result<(), BrokerError> {
        let Some(reader) = self.reader(task, input) else {
            return Ok(());
        };
        if !reader.sought {
            return Ok(());
        }
        let before = into.len();
        let errors = reader.reader.fetch(max, Duration::ZERO, |record| into.push_back(record));
        if into.len() - before == max {
            // More may lie there, and a queue that never ran dry does not wake anybody.
            self.waker.wake();
        }
        for error in errors {
            let topic = self.names.input(input);
            let doing = format!("read topic \"{topic}\" partition {task}");
            if let Some(fatal) = error::damaged(&doing, error.code, &error.text) {
                return Err(fatal);
            }
            if let Some(fatal) = error::out_of_range(&doing, error.code, &error.text) {
                return Err(fatal);
            }
            if let Some(fatal) = error::never_heals(&doing, error.code, &error.text) {
                return Err(fatal);
            }
            self.diagnostics().tell(error.code, &error.text);
        }
        Ok(())
    }

    /// Next offset after what was fetched, control and aborted records included.
    pub(crate) fn position(&mut self, task: u32, input: Input) -> Option<i64> {
        let reader = self.reader(task, input)?;
        if reader.sought { reader.reader.position() } else { None }
    }

    /// The group's offsets of a task.
    pub(crate) fn committed(&self, task: u32) -> Result<CommittedOffsets, BrokerError> {
        let doing = format!("read the committed offsets of partition {task}");
        let failed = |error: KafkaError| error::query(&doing, &error, self.diagnostics());
        let mut wanted = TopicPartitionList::with_capacity(3);
        for input in Input::ALL {
            wanted.add_partition(self.names.input(input), number(task));
        }
        let answer = self.consumer.committed_offsets(wanted, COMMITTED_TIMEOUT).map_err(failed)?;
        let mut next_offsets = [None; 3];
        for (index, element) in answer.elements().iter().enumerate() {
            element.error().map_err(failed)?;
            if let Offset::Offset(next_offset) = element.offset() {
                next_offsets[index] = Some(next_offset);
            }
        }
        let marked = (0..answer.count()).find_map(|index| offset_metadata(&answer, index));
        let metadata = marked.map(|marked| self.mark.take_off(task, &marked)).transpose()?;
        Ok(CommittedOffsets { next_offsets, metadata })
    }

    /// Taken at the last assignment.
    pub(crate) fn metadata(&self) -> Option<&ConsumerGroupMetadata> {
        self.metadata.as_ref()
    }
}

fn place(task: u32) -> usize {
    usize::try_from(task).unwrap_or(usize::MAX)
}

impl Drop for Group {
    fn drop(&mut self) {
        self.context().closing.store(true, Ordering::Relaxed);
        #[cfg(debug_assertions)]
        for reader in self.readers.iter().flatten().flatten() {
            let live = reader.reader.live_records();
            if live > 0 {
                tracing::error!(live, "records outlive their broker, closing waits for them");
            }
        }
        self.readers.clear();
        // All before the close begins: librdkafka never acknowledges what is answered when it is
        // over (`rd_kafka_cgrp_op_serve`), and the answer would wait for that without end.
        self.serve_last();
        let queued = self.context().events.lock().unwrap_or_else(PoisonError::into_inner).len();
        if (self.unanswered || queued > 0)
            && let Err(error) = self.consumer.unassign()
        {
            tracing::error!(%error, "could not give partitions back while closing");
        }
        self.serve_last();
    }
}
