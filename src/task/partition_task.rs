//! The task: takes events and time, gives changes, states and progress.
//!
//! Between two commits everything it does can be forgotten by [`PartitionTask::rollback`].
//! Next: `store.rs`, the customers; `clock.rs`, what moves time.

use crate::domain::apply::{Tally, expire};
use crate::domain::change::{CauseKind, Change};
use crate::domain::event::Event;
use crate::domain::name::Name;
use crate::domain::names::{Names, TooManyNames};
use crate::domain::pack::UnpackError;
use crate::domain::progress::{Phase, Progress};
use crate::domain::publish::context::Context;
use crate::domain::refusal::Refusal;
use crate::domain::relay::Relayed;
use crate::domain::rules::Rules;
use crate::domain::time::Timestamp;
use crate::mutation::Mutation;
use crate::task::clock::{Head, InputState, allowed_clock};
use crate::task::held::Ahead;
use crate::task::marks::Marks;
use crate::task::reevaluation::Walk;
use crate::task::relay::Outgoing;
use crate::task::room::Room;
use crate::task::store::Store;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a task is told when it is made.
#[derive(Clone, Debug)]
pub struct TaskConfig {
    /// Names the application in change ids.
    pub application_id: Arc<str>,
    /// The partition of every input.
    pub partition: u32,
    /// Partitions of every input.
    pub partitions: u32,
    /// The rules.
    pub rules: Arc<Rules>,
    /// Whether every record lies in its subject's partition.
    pub keys_are_trusted: bool,
    /// Write a profile at every change of facts.
    pub profiles_on_touch: bool,
    /// The run, for backfills.
    pub run_id: Arc<str>,
    /// When the last rebuild began: what occurred before was told by the lineage before.
    pub rebuilt_at: Timestamp,
}

/// An event with the place of its record.
#[derive(Clone, Copy, Debug)]
pub struct EventRecord<'a> {
    /// Index of the input.
    pub input: usize,
    /// Topic name.
    pub topic: &'a Name,
    /// Offset of the record.
    pub offset: i64,
    /// The event.
    pub event: &'a Event<'a>,
    /// Its effective time.
    pub at: Timestamp,
    /// The record's value, for whoever else is to read it.
    pub value: &'a [u8],
}

/// What a transaction can undo beside the customers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    pub(super) inputs: [InputState; 3],
    pub(super) clock: Option<Timestamp>,
    /// Timers wait here for other tasks, whatever the clock; not undone.
    pub(super) held_at: Option<Timestamp>,
    /// The first of what waits in the room: timers after it wait, too.
    pub(super) waits_at: Option<Timestamp>,
    pub(super) latest_order_at: Option<Timestamp>,
    pub(super) phase: Phase,
    /// The next key of a re-evaluation of all customers.
    pub(super) cursor: Option<u64>,
    /// Customers erased since the lineage began.
    pub(super) erasures: u32,
}

/// One partition of all co-partitioned inputs.
#[derive(Debug)]
pub struct PartitionTask {
    pub(super) config: TaskConfig,
    pub(super) store: Store,
    pub(super) position: Position,
    pub(super) committed: Position,
    pub(super) commit_counter: u64,
    pub(super) lineage: u32,
    pub(super) control_offset: i64,
    pub(super) touched: bool,
    pub(super) changes: Vec<Change>,
    /// What subjects of this partition have told one another.
    pub(super) told_here: VecDeque<Relayed<'static>>,
    /// What those of others are told.
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) tally: Tally,
    pub(super) marks: Marks,
    pub(super) room: Room,
    /// Events wait for other tasks too, not only timers.
    pub(super) events_wait: bool,
    pub(super) ahead: Ahead,
    /// The customers that a baseline or a re-evaluation goes through.
    pub(super) walk: Option<Walk>,
    /// A re-evaluation has come to the last customer once.
    pub(super) walked: bool,
}

impl PartitionTask {
    /// A task without state.
    #[must_use]
    pub fn new(config: TaskConfig, lineage: u32, phase: Phase) -> Self {
        let position = Position { phase, ..Position::default() };
        let store = Store::new(config.partitions);
        Self {
            config,
            store,
            position,
            committed: position,
            commit_counter: 0,
            lineage,
            control_offset: 0,
            touched: false,
            changes: Vec::new(),
            told_here: VecDeque::new(),
            outgoing: Vec::new(),
            tally: Tally::default(),
            marks: Marks::default(),
            room: Room::default(),
            events_wait: false,
            ahead: Ahead::default(),
            walk: None,
            walked: false,
        }
    }

    /// Takes over what the changelog says of progress; states go through [`Self::restore_state`].
    /// Other rules than those of the progress begin a re-evaluation of all customers.
    ///
    /// # Errors
    /// When the rules and those before have too many names.
    pub fn restore_progress(&mut self, progress: &Progress) -> Result<(), TooManyNames> {
        let names = |names: &[String]| names.iter().cloned().map(Name::from).collect();
        let known = match Mutation::NamesNotRestored.is_on() {
            true => Names::default(),
            false => Names::of(names(&progress.rfm_values), names(&progress.audiences)),
        };
        self.config.rules = Arc::new(Rules::clone(&self.config.rules).with_names(known)?);
        let same = *progress.rules_hash == *self.config.rules.identity.hash;
        self.position.cursor = if same { progress.cursor } else { Some(0) };
        for (index, input) in self.position.inputs.iter_mut().enumerate() {
            input.next_offset = progress.next_offsets[index];
            input.highest = progress.highest[index];
        }
        self.position.clock = Some(progress.clock).filter(|_| !Mutation::ClockNotRestored.is_on());
        self.position.latest_order_at = Some(progress.latest_order_at);
        self.position.phase = progress.phase;
        self.position.waits_at = self.room.first_at();
        self.ahead = self.ahead_again();
        self.position.erasures =
            if Mutation::ErasuresNotCounted.is_on() { 0 } else { progress.erasures };
        self.committed = self.position;
        self.commit_counter = progress.commit_counter;
        self.lineage = progress.lineage;
        self.control_offset = progress.control_offset;
        Ok(())
    }

    /// Begins a lineage after so many commits: what earlier ones left is deleted first.
    pub fn begin_anew(&mut self, lineage: u32, commit_counter: u64) {
        let clock = Some(Timestamp::MIN);
        self.room.begin_anew();
        self.position = Position { phase: Phase::Purging, clock, ..Position::default() };
        self.committed = self.position;
        (self.lineage, self.commit_counter) = (lineage, commit_counter);
    }

    /// Puts a state of the changelog in place; `None` removes the customer.
    ///
    /// # Errors
    /// When the bytes are no packed customer.
    pub fn restore_state(&mut self, id: &str, packed: Option<&[u8]>) -> Result<(), UnpackError> {
        self.store.restore(id, packed)
    }

    /// The partition.
    #[must_use]
    pub const fn partition(&self) -> u32 {
        self.config.partition
    }

    /// The rules.
    #[must_use]
    pub const fn rules(&self) -> &Arc<Rules> {
        &self.config.rules
    }

    /// The customers.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// What is known of the inputs.
    #[must_use]
    pub const fn inputs(&self) -> &[InputState; 3] {
        &self.position.inputs
    }

    /// The next offsets as of the last commit.
    #[must_use]
    pub fn committed_offsets(&self) -> [i64; 3] {
        self.committed.inputs.map(|input| input.next_offset)
    }

    /// The clock; [`Timestamp::MIN`] before any event.
    #[must_use]
    pub fn clock(&self) -> Timestamp {
        self.position.clock.unwrap_or(Timestamp::MIN)
    }

    /// What the task does with changes.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.position.phase
    }

    /// Transactions committed for this task.
    #[must_use]
    pub const fn commit_counter(&self) -> u64 {
        self.commit_counter
    }

    /// The lineage.
    #[must_use]
    pub const fn lineage(&self) -> u32 {
        self.lineage
    }

    /// Whether the open transaction has to be committed for this task.
    #[must_use]
    pub const fn is_touched(&self) -> bool {
        self.touched
    }

    /// Changes since the last call, in order.
    pub fn take_changes(&mut self) -> std::vec::Drain<'_, Change> {
        self.changes.drain(..)
    }

    /// Counts since the last call.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Sets where an input is read from first.
    pub fn start_at(&mut self, input: usize, next_offset: i64) {
        self.position.inputs[input].next_offset = next_offset;
        self.committed.inputs[input].next_offset = next_offset;
    }

    /// Passes over offsets that hold no record for readers (control and aborted records).
    pub fn skip_to(&mut self, input: usize, next_offset: i64) {
        let state = &mut self.position.inputs[input];
        state.next_offset = state.next_offset.max(next_offset);
    }

    /// Tells that the end offset sampled at wall time `at` has been passed.
    pub fn pass(&mut self, input: usize, at: Timestamp) {
        let state = &mut self.position.inputs[input];
        state.passed = state.passed.max(at);
    }

    /// Passes over a record that is refused.
    pub fn skip(&mut self, input: usize, offset: i64) {
        self.position.inputs[input].next_offset = offset + 1;
        self.touched = true;
    }

    /// Moves the clock as far as the inputs allow; `wall` is absent when only events move it. In
    /// step with other tasks, no further than the time of their next record.
    pub fn advance(
        &mut self,
        heads: &[Head; 3],
        wall: Option<Timestamp>,
        in_step: Option<Timestamp>,
    ) {
        let mut heads = *heads;
        let [interactions, purchases, relay] = &mut heads;
        if self.relay_moves_no_clock(wall) && [*interactions, *purchases] == [Head::AtEnd; 2] {
            *relay = Head::AtEnd;
        }
        let allowed = allowed_clock(&self.position.inputs, &heads, wall);
        self.advance_to(in_step.map_or(allowed, |others| allowed.min(others)));
    }

    /// Whether what others tell is no reason to take own inputs that are at their ends for passed:
    /// nobody waits for others, who may be further on.
    pub(super) fn relay_moves_no_clock(&self, wall: Option<Timestamp>) -> bool {
        wall.is_none() && self.config.keys_are_trusted
    }

    /// Whether the clock has reached a deadline, or the end of a mark.
    #[must_use]
    pub fn is_due(&self) -> bool {
        let clock = self.timer_clock();
        self.store.timers().due(clock).is_some() || self.marks.is_due(clock)
    }

    /// Moves the clock forward to `clock`.
    pub fn advance_to(&mut self, clock: Timestamp) {
        if clock > self.clock() {
            self.position.clock = Some(clock);
        }
    }

    /// Fires deadlines that the clock has reached, then removes marks of erased customers whose
    /// time is over: at most `budget` together. Returns how many there were.
    ///
    /// # Errors
    /// When a state cannot be read.
    pub fn fire_timers(
        &mut self,
        budget: usize,
        now: Option<Timestamp>,
    ) -> Result<usize, UnpackError> {
        let mut fired = 0;
        while fired < budget {
            let clock = self.timer_clock();
            let (moved, due) = self.store.next_due(clock, budget - fired)?;
            fired += moved;
            let Some(key) = due else { break };
            fired += 1;
            let place = self.store.touch_key(key, &self.config.rules)?;
            self.prepare(place, now);
            let context = context(&self.config, self.lineage, &self.position, now);
            let touched = self.store.at(place);
            let before = touched.customer.deadline;
            if before > clock && !Mutation::OldDeadlinesFire.is_on() {
                // By the present rules it is not due yet.
                continue;
            }
            let visitors_end = touched.customer.forget_at(self.config.rules.keep_visitors_ms);
            if visitors_end <= before {
                self.tally.relayed.forgotten_visitors += 1;
                self.remove(place, before, visitors_end, (CauseKind::Timer, None), now);
                continue;
            }
            let published =
                expire(&mut touched.customer, &context, &mut self.tally, &mut self.changes);
            touched.changed = true;
            touched.published |= published && !context.silent;
            self.store.fired(place, before);
            self.touched = true;
        }
        let expired = self.marks.expire(self.timer_clock(), budget - fired);
        self.touched |= expired > 0;
        Ok(fired + expired)
    }

    /// Begins in a phase, before anything was processed.
    pub fn begin_in(&mut self, phase: Phase) {
        self.position.phase = phase;
        self.committed.phase = phase;
    }

    /// Changes what the task does with changes; the next commit makes it last.
    pub fn enter_phase(&mut self, phase: Phase) {
        self.position.phase = phase;
        self.touched = true;
    }

    /// Makes the task part of the open transaction although no event touched it.
    pub fn touch(&mut self) {
        self.touched = true;
    }
}

/// Why an event could not be applied.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EventError {
    /// The record is a dead letter.
    #[error("{0}")]
    Refused(Refusal),
    /// The customer's state cannot be read.
    #[error("state of a customer: {0}")]
    State(#[from] UnpackError),
}

pub(super) fn context<'a>(
    config: &'a TaskConfig,
    lineage: u32,
    position: &Position,
    now: Option<Timestamp>,
) -> Context<'a> {
    Context {
        rules: &config.rules,
        application_id: &config.application_id,
        lineage,
        // What is judged now is judged by what is known to have happened.
        clock: position.timer_clock(),
        now,
        silent: matches!(position.phase, Phase::Silent(_)),
        run_id: Some(&config.run_id),
        rebuilt_at: config.rebuilt_at,
    }
}
