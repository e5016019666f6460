//! The transaction: what is sent in it, when it ends, and what happens when it cannot.
//!
//! One transaction holds everything that its events caused. Memory is changed for good only after
//! Kafka has said that it is committed. Sources: KIP-98, KIP-447, librdkafka "INTRODUCTION.md",
//! section "Transactional producer". Next: `group.rs`.

use crate::codec::profile::ProfileEncoder;
use crate::codec::relay::encode_relayed;
use crate::codec::state::{
    PROGRESS_KEY, customer_key, encode_mark, encode_progress, erased_key, frame, waiting_key,
};
use crate::config::CommitConfig;
use crate::domain::progress::Phase;
use crate::metrics::{AbortClass, TransactionTally};
use crate::mutation::Mutation;
use crate::runtime::broker::{Broker, BrokerError, Ended, OutRecord, Output, Sent, TaskOffsets};
use crate::runtime::clock::Clock;
use crate::runtime::settings::WorkerError;
use crate::runtime::slot::SlotState;
use crate::runtime::worker::damaged;
use crate::runtime::worker::{Trip, Worker};
use crate::task::{PartitionTask, ProfileWrite};
use std::collections::VecDeque;
use std::time::Duration;

/// Producers that may be given up within a minute; one more ends the process.
const MAX_RENEWALS: usize = 3;
const RENEWALS_WITHIN_MS: i64 = 60_000;
/// Between two looks for deliveries: whoever spins takes the processor from a broker beside it.
const DRAIN_WAIT: Duration = Duration::from_millis(1);
/// Customers of an earlier lineage who are deleted in one round.
pub(super) const PURGE_CUSTOMERS: usize = 5000;

/// The open transaction of a worker, and the health of its producer.
#[derive(Debug)]
pub(super) struct Transaction {
    state: TransactionState,
    began_ms: i64,
    ended_ms: i64,
    /// Records read since it began.
    pub(super) records: usize,
    pub(super) bytes: usize,
    renewals_ms: VecDeque<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum TransactionState {
    /// There is no producer, or it must not be used again.
    NoProducer,
    Idle,
    Open,
}

impl Transaction {
    pub(super) const fn new(now_ms: i64) -> Self {
        Self {
            state: TransactionState::NoProducer,
            began_ms: now_ms,
            ended_ms: now_ms,
            records: 0,
            bytes: 0,
            renewals_ms: VecDeque::new(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == TransactionState::Open
    }

    pub(super) fn has_producer(&self) -> bool {
        self.state != TransactionState::NoProducer
    }

    /// When a transaction whose inputs have run dry is to be committed.
    pub(super) fn dry_deadline_ms(&self, config: &CommitConfig) -> Option<i64> {
        self.is_open().then(|| self.ended_ms.saturating_add(whole_ms(config.idle_gap)))
    }

    fn end(&mut self, now_ms: i64, renew: bool) {
        self.state = if renew { TransactionState::NoProducer } else { TransactionState::Idle };
        self.ended_ms = now_ms;
        (self.records, self.bytes) = (0, 0);
    }
}

fn whole_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl<B: Broker, C: Clock> Worker<B, C> {
    /// Makes a producer where there is none; false while that does not succeed.
    pub(super) fn ready_producer(&mut self) -> Result<bool, Trip> {
        if self.transaction.has_producer() {
            return Ok(true);
        }
        match self.broker.init_producer() {
            Ok(()) => {
                self.transaction.state = TransactionState::Idle;
                Ok(true)
            }
            Err(BrokerError::Retriable(reason)) => {
                let what = "the producer could not be initialised";
                self.trying_again(what, &reason);
                self.shared
                    .status
                    .set_trouble(crate::runtime::status::Trouble::Broker, Some(reason));
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Begins a transaction unless one is open.
    pub(super) fn begin(&mut self) -> Result<(), Trip> {
        if !self.transaction.is_open() {
            self.broker.begin()?;
            self.transaction.state = TransactionState::Open;
            self.transaction.began_ms = self.now_ms;
        }
        Ok(())
    }

    /// Deletes what an earlier lineage left, of so many customers at most; of how many it was.
    pub(super) fn purge(&mut self, partition: u32, most: usize) -> Result<usize, Trip> {
        self.begin()?;
        let Some(slot) = self.slots.get_mut(&partition) else { return Ok(0) };
        let mut out = Out { broker: &mut self.broker, bytes: &mut self.transaction.bytes };
        let mut key = Vec::new();
        let before = slot.purge.len();
        let keep = before.saturating_sub(most);
        for id in slot.purge.drain(keep..) {
            customer_key(&id, &mut key);
            for (output, key) in
                [(Output::State, key.as_slice()), (Output::Customers, id.as_bytes())]
            {
                out.send(&OutRecord {
                    output,
                    partition,
                    key: Some(key),
                    value: None,
                    headers: &[],
                })?;
            }
        }
        slot.task.touch();
        if slot.purge.is_empty() {
            slot.task.enter_phase(slot.first_phase);
        }
        Ok(before - slot.purge.len())
    }

    /// Whether the open transaction is to be committed now.
    pub(super) fn commit_is_due(&self, busy: bool, done: bool) -> bool {
        let transaction = &self.transaction;
        if !transaction.is_open() {
            return false;
        }
        let config = &self.settings.commit;
        let dry = transaction.ended_ms.saturating_add(whole_ms(config.idle_gap));
        let late = transaction.began_ms.saturating_add(whole_ms(config.interval));
        done || self.has_question()
            || (!busy && self.now_ms >= dry)
            || self.now_ms >= late
            || transaction.records >= config.max_records
            || transaction.bytes >= config.max_bytes
    }

    /// Commits: states, profiles and progress of every touched task, their offsets, the end.
    pub(super) fn commit(&mut self) -> Result<(), Trip> {
        let began_ms = self.now_ms;
        let mut offsets = Vec::new();
        let mut out = Out { broker: &mut self.broker, bytes: &mut self.transaction.bytes };
        for (partition, slot) in self.slots.iter_mut().filter(|(_, slot)| slot.commits()) {
            let partition = *partition;
            let mut states = 0;
            let (mut key, mut value) = (Vec::new(), Vec::new());
            let (profiles, tally) = (&mut self.profiles, &mut self.tally);
            send_states(&mut slot.task, true, &mut out, profiles, tally)?;
            for (id, mark) in slot.task.marks() {
                erased_key(id, &mut key);
                let value = mark.map(encode_mark);
                out.send_value(Output::State, partition, &key, value.as_deref())?;
                states += 1;
            }
            let lineage = slot.task.lineage();
            for (number, relayed) in slot.task.waits() {
                waiting_key(number, &mut key);
                let value = relayed.map(|relayed| {
                    encode_relayed(lineage, relayed, &mut value);
                    value.as_slice()
                });
                out.send_value(Output::State, partition, &key, value)?;
                states += 1;
            }
            let progress = slot.task.progress();
            let value = encode_progress(&progress);
            out.send_value(Output::State, partition, PROGRESS_KEY, Some(&value))?;
            self.tally.sent("state", states + 1);
            offsets.push(TaskOffsets {
                partition,
                next_offsets: progress.next_offsets,
                metadata: slot.task.offset_metadata().text(),
            });
        }
        if !Mutation::CommitBeforeDrain.is_on() {
            self.drain()?;
        }
        if offsets.is_empty() {
            // Nothing that was sent belongs to a task: there is nothing to commit.
            return self.abort(AbortClass::Refused).map_err(Trip::End);
        }
        if !(Mutation::TimersWithoutOffsets.is_on() && self.transaction.records == 0) {
            self.persist(|broker| broker.send_offsets(&offsets))?;
        }
        let ended = match self.persist(Broker::commit) {
            Err(Trip::Broker(BrokerError::Fenced(_))) if Mutation::UnknownCommitCounts.is_on() => {
                Ended { renew_producer: true }
            }
            other => other?,
        };
        self.read_clocks();
        let renew = ended.renew_producer && !Mutation::ProducerNotRenewed.is_on();
        self.transaction.end(self.now_ms, renew);
        if ended.renew_producer {
            tracing::info!("the end of a transaction took long; its producer is renewed");
            self.shared.metrics.producer_reinitialised();
        }
        for (partition, slot) in self.slots.iter_mut().filter(|(_, slot)| slot.commits()) {
            slot.task.commit().map_err(|error| damaged(*partition, &error))?;
            slot.last_commit_at = Some(self.now);
        }
        self.remarks.refused(self.tally.dead_letters(), self.now_ms);
        self.tally.commit(self.now);
        #[expect(clippy::cast_precision_loss, reason = "a duration in seconds for a histogram")]
        let seconds = (self.now_ms - began_ms) as f64 / 1000.0;
        self.shared.metrics.committed(seconds);
        let now = self.now;
        self.reporter.update(|worker| worker.last_commit_at = Some(now));
        Ok(())
    }

    /// Waits until everything that was sent is delivered. What cannot be is told by the broker, at
    /// the latest when the transaction has timed out.
    fn drain(&mut self) -> Result<(), Trip> {
        while !self.broker.drained()? {
            self.broker.wait(DRAIN_WAIT);
            self.read_clocks();
            self.reporter.beat(self.now_ms);
        }
        Ok(())
    }

    /// Calls again while the broker says so, until patience ends; then the outcome is unknown and
    /// only what Kafka has committed counts.
    fn persist<T>(
        &mut self,
        mut call: impl FnMut(&mut B) -> Result<T, BrokerError>,
    ) -> Result<T, Trip> {
        let patience_ms = whole_ms(self.settings.commit_patience);
        let deadline_ms = self.now_ms.saturating_add(patience_ms);
        loop {
            match call(&mut self.broker) {
                Err(BrokerError::Retriable(reason)) => {
                    self.read_clocks();
                    self.reporter.beat(self.now_ms);
                    if self.now_ms >= deadline_ms {
                        return Err(BrokerError::Fenced(format!(
                            "a transaction could not be ended: {reason}"
                        ))
                        .into());
                    }
                    let what = "ending the transaction takes long";
                    self.trying_again(what, &reason);
                }
                Err(error) => return Err(error.into()),
                Ok(value) => return Ok(value),
            }
        }
    }

    /// Remarks that something is tried again, unless that follows from an outage that was told.
    pub(super) fn trying_again(&mut self, what: &'static str, reason: &str) {
        let told = self.shared.status.cluster().away().is_some();
        self.remarks.trying_again(what, reason, told, self.now_ms);
    }

    /// What a broker's error asks for.
    pub(super) fn recover(&mut self, error: BrokerError) -> Result<(), WorkerError> {
        let text = error.to_string();
        self.shared.status.set_trouble(crate::runtime::status::Trouble::Broker, Some(text));
        match error {
            BrokerError::Retriable(reason) => {
                self.trying_again("the broker did not answer", &reason);
                Ok(())
            }
            BrokerError::Abort(_) if Mutation::RefusalIgnored.is_on() => Ok(()),
            BrokerError::Abort(reason) => {
                tracing::warn!(reason, "the transaction is aborted; its records are read again");
                self.abort(AbortClass::Refused)
            }
            BrokerError::Fenced(reason) => {
                tracing::warn!(
                    reason,
                    "the producer was fenced or its transaction timed out; making a new one"
                );
                self.shared.metrics.aborted(AbortClass::Fenced);
                self.renew_after_fencing(&reason)
            }
            BrokerError::Fatal(reason) => Err(WorkerError::Failed(reason)),
        }
    }

    /// Aborts, rolls every task back and reads its records again.
    pub(super) fn abort(&mut self, class: AbortClass) -> Result<(), WorkerError> {
        if self.transaction.is_open() {
            match self.persist(Broker::abort) {
                Ok(ended) => {
                    self.shared.metrics.aborted(class);
                    self.read_clocks();
                    self.transaction.end(self.now_ms, ended.renew_producer);
                }
                Err(Trip::End(error)) => return Err(error),
                Err(Trip::Broker(BrokerError::Fatal(reason))) => {
                    return Err(WorkerError::Failed(reason));
                }
                Err(Trip::Broker(error)) => {
                    self.shared.metrics.aborted(AbortClass::Fenced);
                    return self.renew_after_fencing(&error.to_string());
                }
            }
        }
        self.roll_back(|state| match state {
            SlotState::Running => SlotState::Seeking,
            other => other,
        });
        Ok(())
    }

    fn renew_after_fencing(&mut self, reason: &str) -> Result<(), WorkerError> {
        self.read_clocks();
        let renewals = &mut self.transaction.renewals_ms;
        renewals.push_back(self.now_ms);
        renewals.retain(|at_ms| self.now_ms - at_ms <= RENEWALS_WITHIN_MS);
        if renewals.len() > MAX_RENEWALS {
            return Err(WorkerError::Failed(format!(
                "the fourth producer within a minute was fenced: {reason}; \
                 hint: make sure that no other living process has this application_id and \
                 instance_id, and that kafka.transaction_timeout is longer than the broker's pauses"
            )));
        }
        self.shared.metrics.producer_reinitialised();
        self.transaction.end(self.now_ms, true);
        // What was committed is unknown: every task is compared with the group's offsets.
        self.roll_back(|state| match state {
            SlotState::Running | SlotState::Seeking if Mutation::FencedMemoryTrusted.is_on() => {
                SlotState::Seeking
            }
            SlotState::Running | SlotState::Seeking => SlotState::Verifying,
            other => other,
        });
        Ok(())
    }

    /// Forgets what was not committed; `next` says where each task goes on.
    pub(super) fn roll_back(&mut self, next: impl Fn(SlotState) -> SlotState) {
        self.tally.discard();
        for slot in self.slots.values_mut() {
            let kept = Mutation::MemoryKeptAfterAbort.is_on()
                || (Mutation::LostMemoryKept.is_on() && !self.assigned);
            if !kept {
                slot.task.rollback();
            }
            slot.clear_queues();
            slot.finished = false;
            let state = std::mem::replace(&mut slot.state, SlotState::Kept);
            // The deletions that were sent are not there again: what is left is read anew.
            let purging =
                matches!(state, SlotState::Running) && slot.task.phase() == Phase::Purging;
            slot.state = match state {
                _ if purging => SlotState::Starting,
                SlotState::Running if Mutation::InputsNotRewound.is_on() => state,
                state => next(state),
            };
        }
    }
}

/// Sends the states of a task's customers that changed since they were sent last, and profiles; of
/// all, or of those who are not expected back before the commit.
pub(super) fn send_states<B: Broker>(
    task: &mut PartitionTask,
    all: bool,
    out: &mut Out<'_, B>,
    encoder: &mut ProfileEncoder,
    tally: &mut TransactionTally,
) -> Result<(), BrokerError> {
    let partition = task.partition();
    let (mut states, mut profiles) = (0, 0);
    let mut failed = None;
    let (mut key, mut value) = (Vec::new(), Vec::new());
    let each = |id: &str, packed: Option<&[u8]>, profile| {
        if failed.is_some() {
            return;
        }
        customer_key(id, &mut key);
        let state = packed.map(|packed| {
            frame(packed, &mut value);
            value.as_slice()
        });
        failed = out.send_value(Output::State, partition, &key, state).err();
        states += 1;
        if failed.is_some() || matches!(profile, ProfileWrite::Nothing) {
            return;
        }
        let profile = if let ProfileWrite::Profile(profile) = profile {
            encoder.encode(&profile, &mut value);
            Some(value.as_slice())
        } else {
            None
        };
        failed = out.send_value(Output::Customers, partition, id.as_bytes(), profile).err();
        profiles += 1;
    };
    if all {
        task.pack(each);
    } else {
        task.pack_passing(each);
    }
    tally.sent("state", states);
    tally.sent("customers", profiles);
    failed.map_or(Ok(()), Err)
}

/// Sends records, waiting while the producer's queue is full.
pub(super) struct Out<'a, B> {
    pub(super) broker: &'a mut B,
    pub(super) bytes: &'a mut usize,
}

impl<B: Broker> Out<'_, B> {
    pub(super) fn send(&mut self, record: &OutRecord<'_>) -> Result<(), BrokerError> {
        while self.broker.send(record)? == Sent::QueueFull
            && !Mutation::FullQueueLosesRecords.is_on()
        {
            // Serving the delivery reports makes room, sooner or later.
            self.broker.drained()?;
            self.broker.wait(DRAIN_WAIT);
        }
        *self.bytes += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        Ok(())
    }

    fn send_value(
        &mut self,
        output: Output,
        partition: u32,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), BrokerError> {
        self.send(&OutRecord { output, partition, key: Some(key), value, headers: &[] })
    }
}
