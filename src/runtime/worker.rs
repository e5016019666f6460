//! The worker: one thread with one broker connection and its tasks, in numbered steps.
//!
//! Everything happens in line on its thread; nothing is shared but status, metrics and committed
//! states. Reading order: this file, `group.rs` (rebalances), `prepare.rs` (verifying and
//! restoring), `commit.rs` (transactions), `pump.rs` (records into a task), `report.rs` (what is
//! told).

use crate::codec::change::ChangeEncoder;
use crate::codec::decoder::SchemaId;
use crate::codec::profile::ProfileEncoder;
use crate::codec::state::Lineage;
use crate::domain::pack::UnpackError;
use crate::domain::progress::Phase;
use crate::domain::time::Timestamp;
use crate::metrics::{Metrics, TransactionTally};
use crate::runtime::broker::{Broker, BrokerError};
use crate::runtime::clock::{Clock, SteadyWall};
use crate::runtime::commit::{PURGE_CUSTOMERS, Transaction};
use crate::runtime::group::Answer;
use crate::runtime::heads::TopicDecoders;
use crate::runtime::hold::Hold;
use crate::runtime::pump::{Limits, Pumped, SchemaNeeded, pump};
use crate::runtime::remarks::Remarks;
use crate::runtime::report::Restoring;
use crate::runtime::settings::{AskForSchema, Round, SchemaAnswer, Settings, WorkerError};
use crate::runtime::share::{Share, Shares};
use crate::runtime::slot::Slot;
use crate::runtime::start::Start;
use crate::runtime::status::{HeldBy, Status, Trouble, WorkerReporter};
use crate::runtime::stores::Stores;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A queue shorter than this is topped up.
pub(super) const LOW_WATER: usize = 500;
/// Records fetched for an input at once.
pub(super) const FETCH_RECORDS: usize = 2000;
/// Records processed for a task before the next one has its turn.
pub(super) const PUMP_RECORDS: usize = 256;
/// How long an idle worker may sleep.
const IDLE: Duration = Duration::from_millis(20);
/// How long to wait before the registry is asked again, in ms.
const REGISTRY_RETRY_MS: i64 = 1000;

/// What a worker shares with the rest of the process.
pub struct Shared {
    /// What is told to people and probes.
    pub status: Arc<Status>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where committed states can be read.
    pub stores: Arc<Stores>,
    /// What is known of the other workers while the process starts.
    pub start: Arc<Start>,
}

/// One thread's work: a broker connection and its tasks.
pub struct Worker<B: Broker, C: Clock> {
    /// Before the broker: fetched records must be dropped first.
    pub(super) slots: BTreeMap<u32, Slot<B::Record>>,
    pub(super) broker: B,
    clock: C,
    steady: SteadyWall,
    pub(super) settings: Settings,
    pub(super) transaction: Transaction,
    pub(super) decoders: TopicDecoders,
    ask_for_schema: AskForSchema,
    next_question_ms: i64,
    pub(super) schema_wanted: Option<SchemaNeeded>,
    pub(super) changes: ChangeEncoder,
    pub(super) profiles: ProfileEncoder,
    pub(super) shared: Shared,
    /// Its place among the workers of the process.
    pub(super) index: usize,
    pub(super) tally: TransactionTally,
    pub(super) reporter: WorkerReporter,
    pub(super) remarks: Remarks,
    /// From an assignment until all of its tasks run.
    pub(super) restoring: Option<Restoring>,
    pub(super) lineage: Option<Lineage>,
    /// What is known of the tasks elsewhere; `None` = timers wait for nobody.
    pub(super) hold: Option<Hold>,
    /// What the group was told last and has to be answered still.
    pub(super) unanswered: Option<Answer>,
    /// The task whose question got no answer last.
    pub(super) last_unanswered: Option<u32>,
    /// When questions may be asked again, in monotonic ms.
    pub(super) next_ask_ms: i64,
    /// End offsets of a run that ends by itself, taken when a task first began to read; they stay
    /// when it goes and comes back.
    pub(super) ends: BTreeMap<u32, [i64; 3]>,
    /// The group's latest word was an assignment.
    pub(super) assigned: bool,
    pub(super) assigned_before: bool,
    /// Steady wall time of this round.
    pub(super) now: Timestamp,
    /// Monotonic ms of this round.
    pub(super) now_ms: i64,
    pub(super) next_report_ms: i64,
    /// Which of the running tasks comes first in this round.
    turn: usize,
}

impl<B: Broker, C: Clock> Worker<B, C> {
    /// A worker that has done nothing yet; `index` is its place in the status.
    pub fn new(
        broker: B,
        clock: C,
        settings: Settings,
        decoders: TopicDecoders,
        ask_for_schema: AskForSchema,
        shared: Shared,
        index: usize,
    ) -> Self {
        let now_ms = clock.monotonic_ms();
        Self {
            changes: ChangeEncoder::new(settings.changes, decoders.rules.output.compact),
            profiles: ProfileEncoder::new(settings.profiles),
            tally: shared.metrics.tally(),
            reporter: shared.status.reporter(index, now_ms),
            transaction: Transaction::new(now_ms),
            broker,
            clock,
            steady: SteadyWall::default(),
            settings,
            slots: BTreeMap::new(),
            decoders,
            ask_for_schema,
            next_question_ms: 0,
            schema_wanted: None,
            shared,
            index,
            remarks: Remarks::default(),
            restoring: None,
            lineage: None,
            hold: None,
            unanswered: None,
            last_unanswered: None,
            next_ask_ms: now_ms,
            ends: BTreeMap::new(),
            assigned: false,
            assigned_before: false,
            now: Timestamp::MIN,
            now_ms,
            next_report_ms: 0,
            turn: 0,
        }
    }

    /// One round of work.
    ///
    /// # Errors
    /// When the process has to end; the text says what to do.
    pub fn round(&mut self) -> Result<Round, WorkerError> {
        self.read_clocks();
        self.reporter.beat(self.now_ms);
        match self.steps() {
            Ok(round) => Ok(round),
            Err(Trip::End(error)) => Err(error),
            Err(Trip::Broker(error)) => {
                self.recover(error)?;
                Ok(Round::Busy)
            }
        }
    }

    pub(super) fn read_clocks(&mut self) {
        self.now_ms = self.clock.monotonic_ms();
        self.now = self.steady.read(self.clock.wall(), self.now_ms);
    }

    fn steps(&mut self) -> Result<Round, Trip> {
        // 1. The producer: none, or one that has to be renewed.
        if !self.ready_producer()? {
            self.serve_group()?;
            self.report();
            return Ok(Round::Idle(Duration::from_millis(100)));
        }
        // 2. The group: assigned and revoked tasks.
        self.serve_group()?;
        if !self.transaction.has_producer() {
            // What was open when tasks were revoked was fenced.
            return Ok(Round::Busy);
        }
        // The registry's answer may take long: never while a transaction is open.
        if !self.transaction.is_open()
            && let Some(SchemaNeeded { decoder, id, .. }) = self.schema_wanted.take()
        {
            self.fetch_schema(decoder, id);
        }
        // 3. Restoring, a slice at a time.
        let preparing = self.prepare_tasks()?;
        self.check_start()?;
        // 4. Records and timers, task by task.
        self.look_at_others()?;
        let mut busy = false;
        let partitions = self.in_turn();
        let (budget, tasks) = (self.settings.timers_per_round, partitions.len());
        let mut shares = Shares {
            timers: Share::new(budget, tasks),
            judged: Share::new(budget, tasks),
            purged: Share::new(PURGE_CUSTOMERS, tasks),
        };
        if self.goes_in_step() {
            busy |= self.work_in_step(&mut shares)?;
        } else {
            for partition in partitions {
                busy |= self.work_on(partition, &mut shares)?;
            }
        }
        // 5. The end of a run that ends by itself.
        let done = self.settings.until_end.is_some() && self.finish_tasks();
        if done && self.slots.values().any(|slot| slot.task.is_touched()) {
            self.begin()?;
        }
        // 6. Commit.
        let commits = self.commit_is_due(busy, done);
        if commits {
            self.commit()?;
        }
        // 7. What is told.
        self.report();
        if done && !self.transaction.is_open() {
            return Ok(Round::Done);
        }
        // What arrived during a commit may have woken nobody but its wait.
        if busy || preparing || commits {
            return Ok(Round::Busy);
        }
        Ok(Round::Idle(self.idle_time()))
    }

    /// The tasks that run, beginning with another one in every round.
    fn in_turn(&mut self) -> Vec<u32> {
        let running = self.slots.iter().filter(|(_, slot)| slot.is_running());
        let mut partitions: Vec<u32> = running.map(|(partition, _)| *partition).collect();
        if partitions.is_empty() {
            return partitions;
        }
        self.turn = (self.turn + 1) % partitions.len();
        // A walk over all customers begins while no transaction is open, and whoever comes first
        // may open one.
        let begins =
            |partition: &u32| self.slots.get(partition).is_some_and(|slot| slot.task.begins_walk());
        let walks = partitions.iter().position(begins).filter(|_| !self.transaction.is_open());
        partitions.rotate_left(walks.unwrap_or(self.turn));
        partitions
    }

    /// Steps of one task; true when there is more to do at once.
    fn work_on(&mut self, partition: u32, shares: &mut Shares) -> Result<bool, Trip> {
        let (timers, judged) = (shares.timers.of_next(), shares.judged.of_next());
        let purged = shares.purged.of_next();
        let Some(slot) = self.slots.get_mut(&partition).filter(|slot| slot.is_running()) else {
            return Ok(false);
        };
        if slot.task.phase() == Phase::Purging {
            shares.purged.spend(self.purge(partition, purged)?);
            return Ok(true);
        }
        slot.task.hold(self.hold.as_ref().map(Hold::released));
        let fetched = slot.top_up(&mut self.broker, self.now, LOW_WATER, FETCH_RECORDS)?;
        let wall = self.settings.wall_clock.then_some(self.now);
        let limits = Limits {
            topics: &self.settings.topics,
            ends: slot.known_ends(self.now_ms),
            stop_at_ends: slot.until.is_some(),
            wall,
            in_step: None,
            limit: None,
            waits: self.hold.as_ref().is_some_and(|hold| !hold.is_caught_up(self.now)),
            records: PUMP_RECORDS,
            timers,
        };
        // Before any record: the silent phase ends between two transactions, and customers are
        // listed between two.
        let waits = slot.task.begins_walk() && self.transaction.is_open();
        let on_all = if waits { Ok(None) } else { slot.task.work_on_all(judged, wall) };
        let on_all = on_all.map_err(|error| damaged(partition, &error))?;
        shares.judged.spend(on_all.unwrap_or(0));
        let queues = slot.queues.each_mut().map(|queue| &*queue.make_contiguous());
        let pumped = pump(&mut slot.task, queues, &self.decoders, &limits)
            .map_err(|error| damaged(partition, &error))?;
        shares.timers.spend(pumped.timers);
        self.account(partition, &pumped);
        self.send_effects(partition, &pumped.refused)?;
        let Some(slot) = self.slots.get_mut(&partition) else { return Ok(false) };
        for (queue, consumed) in slot.queues.iter_mut().zip(pumped.consumed) {
            queue.drain(..consumed);
        }
        self.schema_wanted = pumped.schema_needed.or(self.schema_wanted);
        self.show_clock(partition)?;
        let worked = pumped.consumed.iter().any(|count| *count > 0) || pumped.timers > 0;
        Ok(worked || fetched > 0 || pumped.limited || on_all.is_some())
    }

    /// Counts what a pump did, and keeps what holds the clock.
    pub(super) fn account(&mut self, partition: u32, pumped: &Pumped) {
        let Some(slot) = self.slots.get_mut(&partition) else { return };
        for (input, consumed) in pumped.consumed.iter().enumerate() {
            let topic = crate::runtime::broker::Input::ALL[input].name();
            for record in slot.queues[input].iter().take(*consumed) {
                use crate::runtime::broker::Record;
                let bytes =
                    record.key().map_or(0, <[u8]>::len) + record.value().map_or(0, <[u8]>::len);
                self.tally.record(topic, bytes as u64, record.timestamp());
            }
            self.transaction.records += consumed;
            let waiting = slot.queues[input].get(*consumed);
            slot.oldest_waiting[input] =
                waiting.and_then(crate::runtime::broker::Record::timestamp);
        }
        if let Some(reason) = &pumped.left_alone {
            self.remarks.stands_still(partition, reason, self.now_ms);
        }
        for (input, kind) in &pumped.handled {
            self.tally.event(crate::runtime::broker::Input::ALL[*input].name(), kind);
        }
        self.tally.clamped += pumped.clamped;
        let domain = slot.task.take_tally();
        self.tally.duplicates += domain.duplicates + domain.book.duplicates;
        self.tally.late += domain.late;
        self.tally.parked += domain.book.parked;
        self.tally.unmatched += domain.book.unmatched;
        self.tally.clipped_refunds += domain.book.clipped;
        self.tally.suppressed += domain.unpublished.suppressed;
        self.tally.withheld += domain.unpublished.withheld;
        self.tally.evicted += domain.book.evicted + domain.bounded;
        self.tally.unscored += domain.unscored;
        self.tally.erased += domain.erased;
        self.tally.after_erase += domain.after_erase;
        self.tally.reevaluated += domain.reevaluated;
        self.tally.relays.add(domain.relayed);
        slot.held_by = match (pumped.schema_needed, pumped.awaited) {
            _ if pumped.left_alone.is_some() => HeldBy::NewerProgram,
            (Some(_), _) => HeldBy::Registry,
            (None, Some(input)) => HeldBy::Input(crate::runtime::broker::Input::ALL[input]),
            (None, None) if pumped.waits => HeldBy::Tasks,
            (None, None) if pumped.limited => HeldBy::Replaying,
            (None, None) => HeldBy::None,
        };
    }

    /// Asks the registry, at most once a second: while it does not answer, only the tasks whose
    /// next record needs the schema wait.
    fn fetch_schema(&mut self, input: usize, id: u32) {
        if self.now_ms < self.next_question_ms {
            return;
        }
        let answer = (self.ask_for_schema)(id);
        self.read_clocks();
        let decoder = &mut self.decoders.decoders[input];
        match answer {
            SchemaAnswer::Schema(schema) => {
                if let Err(reason) = decoder.add_schema(SchemaId::Registry(id), &schema) {
                    tracing::warn!(
                        id,
                        reason,
                        "a schema cannot be read as ours; its records are dead letters"
                    );
                }
                self.shared.status.set_trouble(Trouble::Registry, None);
            }
            SchemaAnswer::Unknown(reason) => decoder.mark_unknown(SchemaId::Registry(id), reason),
            SchemaAnswer::Unavailable(reason) => {
                tracing::warn!(
                    id,
                    reason,
                    "the schema registry does not answer; tasks wait for it"
                );
                self.shared.status.set_trouble(Trouble::Registry, Some(reason));
                self.next_question_ms = self.now_ms + REGISTRY_RETRY_MS;
            }
        }
    }

    /// Advances the clocks of tasks that reached their ends; true when all have finished.
    fn finish_tasks(&mut self) -> bool {
        let Some(advance_to) = self.settings.until_end else { return false };
        // What one task reads last may concern the customers of any.
        if self.goes_in_step() && !self.slots.values().all(Slot::has_read_all) {
            return false;
        }
        let mut done = self.assigned;
        for slot in self.slots.values_mut() {
            done &= slot.finish(advance_to);
        }
        done
    }

    /// The partitions of the tasks that this worker has; after [`Round::Done`] those it finished.
    #[must_use]
    pub fn partitions(&self) -> Vec<u32> {
        self.slots.keys().copied().collect()
    }

    fn idle_time(&self) -> Duration {
        let dry_ms = self.transaction.dry_deadline_ms(&self.settings.commit);
        match dry_ms {
            Some(at_ms) => {
                let left_ms = u64::try_from(at_ms - self.now_ms).unwrap_or(0);
                Duration::from_millis(left_ms).clamp(Duration::from_millis(1), IDLE)
            }
            None => IDLE,
        }
    }

    /// Ends, instead of what the settings said, when the inputs are processed up to these next
    /// offsets (by partition, for all tasks) and the clocks stand at the time, if any. For whoever
    /// knows beforehand what will be sent: tasks then wait for it, and what they write depends on
    /// the input alone, not on when it arrives. To be called while the tasks are running.
    pub fn end_at(&mut self, ends: &BTreeMap<u32, [i64; 3]>, advance_to: Option<Timestamp>) {
        self.settings.until_end = Some(advance_to);
        self.ends.clone_from(ends);
        for (partition, slot) in &mut self.slots {
            slot.until = ends.get(partition).copied();
            slot.finished = false;
        }
    }

    /// Runs until it is stopped, whatever was said before.
    pub fn go_on(&mut self) {
        self.settings.until_end = None;
        self.ends.clear();
        for slot in self.slots.values_mut() {
            slot.until = None;
        }
    }

    /// Sleeps until something arrives.
    pub fn wait(&mut self, at_most: Duration) {
        self.broker.wait(at_most);
    }

    /// Finishes the open transaction and gives the tasks up.
    ///
    /// # Errors
    /// When the transaction could not be finished for a reason that stays; nothing of it is
    /// visible then.
    pub fn stop(&mut self) -> Result<(), WorkerError> {
        self.read_clocks();
        let committed = if self.transaction.is_open() { self.commit() } else { Ok(()) };
        let result = match committed {
            Err(Trip::Broker(BrokerError::Fatal(reason))) => Err(WorkerError::Failed(reason)),
            Err(Trip::Broker(error)) => {
                tracing::warn!(%error, "the last transaction was not committed; it is read again");
                Ok(())
            }
            Err(Trip::End(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        for slot in self.slots.values_mut() {
            slot.clear_queues();
        }
        if self.settings.leave_on_stop {
            let left = self.broker.leave_group();
            return result.and(left.map_err(|error| WorkerError::Failed(error.to_string())));
        }
        result
    }
}

/// What interrupts a round.
#[derive(Debug)]
pub(super) enum Trip {
    /// The broker; the worker recovers, or ends.
    Broker(BrokerError),
    /// The process has to end.
    End(WorkerError),
}

impl From<BrokerError> for Trip {
    fn from(error: BrokerError) -> Self {
        Self::Broker(error)
    }
}

impl From<WorkerError> for Trip {
    fn from(error: WorkerError) -> Self {
        Self::End(error)
    }
}

pub(super) fn damaged(partition: u32, error: &UnpackError) -> Trip {
    Trip::End(WorkerError::Failed(format!(
        "partition {partition}: the state of a customer in memory cannot be read: {error}; \
         hint: restart; if it comes back, run `ebbflow run --rebuild`"
    )))
}
