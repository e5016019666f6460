//! One process's connection to the simulated cluster: the group's side and the input's.
//!
//! A call that the contract of `Broker` forbids is a panic, so the worker is held to it.
//! Next: `producer.rs`, the transaction's side.

use crate::simulation::changelog::Changelog;
use crate::simulation::cluster::Topic;
use crate::simulation::faults::Fault;
use crate::simulation::group::News;
use crate::simulation::log::Payload;
use crate::simulation::producer::Producing;
use crate::simulation::stage::{CRASH, EPOCH, REPLACED, SESSION_MS, Stage, TRANSACTION_MS};
use ebbflow::domain::time::Timestamp;
use ebbflow::runtime::broker::{
    Broker, BrokerError, ChangelogRecord, ClockSample, CommittedOffsets, EndSample, Ended,
    GroupEvent, Input, OutRecord, Record, Sent, TaskOffsets, TaskSample, Watermarks,
};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How old a sample of the end offsets may be.
const SAMPLE_MS: i64 = 30;

/// How old a sample of the clocks of all tasks may be.
const CLOCKS_MS: i64 = 1_000;

/// A fetched record.
#[derive(Clone, Debug)]
pub(crate) struct SimRecord {
    offset: i64,
    payload: Payload,
}

impl Record for SimRecord {
    fn key(&self) -> Option<&[u8]> {
        self.payload.key.as_deref()
    }

    fn value(&self) -> Option<&[u8]> {
        self.payload.value.as_deref()
    }

    fn offset(&self) -> i64 {
        self.offset
    }

    fn timestamp(&self) -> Option<Timestamp> {
        Some(self.payload.at)
    }
}

/// What the member was told and has not answered.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Question {
    None,
    Assigned(Vec<u32>),
    Revoked,
    Lost,
}

/// One process's connection.
pub(crate) struct SimBroker {
    pub(super) stage: Rc<Stage>,
    pub(super) instance: usize,
    pub(super) member: u64,
    /// Of the last assignment, as the client keeps it.
    pub(super) generation: Option<u32>,
    joined: bool,
    /// It was told that another process is the member now.
    replaced: bool,
    question: Question,
    assigned: Option<BTreeSet<u32>>,
    /// Positions of the inputs that were sought.
    positions: BTreeMap<(u32, usize), i64>,
    samples: BTreeMap<u32, EndSample>,
    clocks: Option<Arc<ClockSample>>,
    /// No sample is taken before.
    ends_known_ms: i64,
    pub(super) changelogs: BTreeMap<u32, Changelog>,
    pub(super) producing: Producing,
    dead: bool,
    /// How far the host's clock is off.
    skew_ms: Rc<Cell<i64>>,
    /// When the coordinator last answered.
    answered_ms: i64,
}

impl SimBroker {
    pub(crate) fn new(stage: Rc<Stage>, instance: usize, skew_ms: Rc<Cell<i64>>) -> Self {
        let member = stage.cluster.borrow_mut().fresh_id();
        let answered_ms = stage.now_ms();
        Self {
            stage,
            instance,
            member,
            generation: None,
            joined: false,
            replaced: false,
            question: Question::None,
            assigned: None,
            positions: BTreeMap::new(),
            samples: BTreeMap::new(),
            clocks: None,
            ends_known_ms: 0,
            changelogs: BTreeMap::new(),
            producing: Producing::None,
            dead: false,
            skew_ms,
            answered_ms,
        }
    }

    /// A call: takes time, and the process may stand still or end in front of it or behind it.
    pub(super) fn call<T>(
        &mut self,
        effect: impl FnOnce(&mut Self) -> Result<T, BrokerError>,
    ) -> Result<T, BrokerError> {
        let crashed = || BrokerError::Fatal(CRASH.to_owned());
        if self.dead || self.stage.failure().is_some() {
            return Err(crashed());
        }
        let ms = i64::from(self.stage.below(4) == 0);
        self.stage.pass(ms);
        if self.stage.strikes(Fault::Stall) {
            let ms = i64::try_from(self.stage.below(1_000)).unwrap();
            self.stage.stand_still(ms);
        }
        if self.stage.strikes(Fault::LongStall) {
            let ms = SESSION_MS + i64::try_from(self.stage.below(10_000)).unwrap();
            self.stage.start_twin(self.instance);
            self.stage.stand_still(ms);
        }
        if self.stage.strikes(Fault::ZombieStall) {
            let ms = TRANSACTION_MS + SESSION_MS + i64::try_from(self.stage.below(20_000)).unwrap();
            self.stage.start_twin(self.instance);
            self.stage.stand_still(ms);
        }
        if self.stage.strikes(Fault::CrashBefore) {
            self.dead = true;
            return Err(crashed());
        }
        self.stage.limit_round();
        let result = effect(self);
        if self.stage.strikes(Fault::CrashAfter) {
            self.dead = true;
            return Err(crashed());
        }
        result
    }

    pub(super) fn is_down(&self) -> bool {
        self.stage.cluster.borrow().is_down()
    }

    /// Whether the cluster answers a question.
    pub(super) fn answers(&self) -> Result<(), BrokerError> {
        if self.is_down() {
            self.stage.pass(500);
            return Err(BrokerError::Retriable("all brokers are down".to_owned()));
        }
        self.succeeds()
    }

    fn succeeds(&self) -> Result<(), BrokerError> {
        if self.stage.strikes(Fault::Unanswered) {
            self.stage.pass(50);
            return Err(BrokerError::Retriable("no answer".to_owned()));
        }
        Ok(())
    }

    fn check_assigned(&self, partition: u32, what: &str) {
        let ours = self.assigned.as_ref().is_some_and(|ours| ours.contains(&partition));
        assert!(ours, "{what} of partition {partition}, which is not assigned");
    }

    fn check_no_transaction(&self, what: &str) {
        let open =
            !matches!(self.producing, Producing::None | Producing::Idle { .. } | Producing::Fenced);
        assert!(!open, "{what} asked for while a transaction is open");
    }

    /// Whoever was told that it is not has nothing to commit.
    pub(super) fn is_still_the_member(&self) -> Result<(), BrokerError> {
        if self.replaced { Err(BrokerError::Fatal(REPLACED.to_owned())) } else { Ok(()) }
    }

    fn wall(&self) -> Timestamp {
        EPOCH.plus_ms(self.stage.now_ms() + self.skew_ms.get())
    }
}

impl Broker for SimBroker {
    type Record = SimRecord;

    fn poll_group(&mut self) -> Result<Option<GroupEvent>, BrokerError> {
        let told = self.call(|this| {
            let late = this.joined && this.stage.strikes(Fault::LateNews);
            if late || this.question != Question::None {
                return Ok(None);
            }
            let mut cluster = this.stage.cluster.borrow_mut();
            let now_ms = cluster.now_ms;
            if cluster.is_down() {
                // The client itself gives up what it can have no session for.
                let gone = now_ms - this.answered_ms > SESSION_MS;
                if !gone || this.assigned.is_none() {
                    return Ok(None);
                }
                this.question = Question::Lost;
                return Ok(Some(GroupEvent::Revoked { lost: true }));
            }
            this.answered_ms = now_ms;
            if !this.joined {
                cluster.group.join(this.instance, this.member, now_ms);
                this.joined = true;
                return Ok(None);
            }
            Ok(match cluster.group.poll(this.instance, this.member, now_ms) {
                News::Nothing => None,
                News::Replaced => {
                    this.replaced = true;
                    return Err(BrokerError::Fatal(REPLACED.to_owned()));
                }
                News::Unknown if this.assigned.is_some() => {
                    this.question = Question::Lost;
                    Some(GroupEvent::Revoked { lost: true })
                }
                News::Unknown => {
                    cluster.group.join(this.instance, this.member, now_ms);
                    None
                }
                News::Revoked => {
                    this.question = Question::Revoked;
                    Some(GroupEvent::Revoked { lost: false })
                }
                News::Assigned { generation, partitions } => {
                    this.generation = Some(generation);
                    this.question = Question::Assigned(partitions.clone());
                    Some(GroupEvent::Assigned(partitions))
                }
            })
        });
        let revoked = matches!(told, Ok(Some(GroupEvent::Revoked { .. })));
        if revoked && self.stage.strikes(Fault::StallInRevoke) {
            self.stage.stand_still(2 * SESSION_MS);
        }
        told
    }

    fn assign(&mut self, partitions: &[u32]) -> Result<(), BrokerError> {
        self.call(|this| {
            assert_eq!(this.question, Question::Assigned(partitions.to_vec()));
            this.succeeds()?;
            this.question = Question::None;
            this.assigned = Some(partitions.iter().copied().collect());
            let (stage, instance) = (&this.stage, this.instance);
            stage.tell(|| format!("{instance} has {partitions:?}"));
            Ok(())
        })
    }

    fn unassign(&mut self) -> Result<(), BrokerError> {
        self.call(|this| {
            let lost = this.question == Question::Lost;
            assert!(lost || this.question == Question::Revoked, "nothing was revoked");
            this.succeeds()?;
            this.question = Question::None;
            this.assigned = None;
            this.positions.clear();
            this.samples.clear();
            assert!(this.changelogs.is_empty(), "a changelog is still read");
            let mut cluster = this.stage.cluster.borrow_mut();
            if lost || cluster.is_down() {
                this.joined = false;
                return Ok(());
            }
            let now_ms = cluster.now_ms;
            cluster.group.rejoin(this.instance, this.member, now_ms);
            drop(cluster);
            this.stage.tell(|| format!("{} gave back", this.instance));
            Ok(())
        })
    }

    fn leave_group(&mut self) -> Result<(), BrokerError> {
        self.call(|this| {
            let mut cluster = this.stage.cluster.borrow_mut();
            if !cluster.is_down() {
                cluster.group.leave(this.instance, this.member);
            }
            Ok(())
        })
    }

    fn seek(&mut self, partition: u32, input: Input, next_offset: i64) -> Result<(), BrokerError> {
        self.call(|this| {
            this.answers()?;
            this.check_assigned(partition, "seek");
            let mut cluster = this.stage.cluster.borrow_mut();
            let log = cluster.log(Topic::INPUTS[input.index()], partition);
            if next_offset < log.low() || next_offset > log.end() {
                return Err(BrokerError::Fatal(format!("offset {next_offset} out of range")));
            }
            this.positions.insert((partition, input.index()), next_offset);
            Ok(())
        })
    }

    fn fetch(
        &mut self,
        partition: u32,
        input: Input,
        max: usize,
        into: &mut VecDeque<SimRecord>,
    ) -> Result<(), BrokerError> {
        self.call(|this| {
            this.check_assigned(partition, "fetch");
            if this.is_down() {
                return Ok(());
            }
            let slow = this.stage.strikes(Fault::SlowFetch);
            let count = if slow { this.stage.below(3) } else { 1 + this.stage.below(40) };
            let Some(position) = this.positions.get_mut(&(partition, input.index())) else {
                return Ok(());
            };
            let mut cluster = this.stage.cluster.borrow_mut();
            let log = cluster.log(Topic::INPUTS[input.index()], partition);
            for _ in 0..count.min(max) {
                *position = log.next_visible(*position);
                let Some(payload) = log.visible(*position) else { break };
                into.push_back(SimRecord { offset: *position, payload: payload.clone() });
                *position += 1;
            }
            Ok(())
        })
    }

    fn position(&mut self, partition: u32, input: Input) -> Option<i64> {
        self.check_assigned(partition, "position");
        if self.stage.below(10) == 0 {
            return None;
        }
        self.positions.get(&(partition, input.index())).copied()
    }

    fn end_offsets(&mut self, partition: u32) -> Option<EndSample> {
        self.check_assigned(partition, "end offsets");
        let at = self.wall();
        let now_ms = self.stage.now_ms();
        let is_fresh = |last: &EndSample| now_ms - last.asked_ms < SAMPLE_MS;
        let fresh = self.samples.get(&partition).is_some_and(is_fresh);
        if !fresh && self.stage.strikes(Fault::EndsUnknown) {
            self.ends_known_ms = now_ms + i64::try_from(self.stage.below(20_000)).unwrap();
        }
        let known = now_ms >= self.ends_known_ms;
        if !fresh && self.stage.below(3) > 0 && !self.is_down() && known {
            let mut cluster = self.stage.cluster.borrow_mut();
            let ends = Topic::INPUTS.map(|topic| cluster.log(topic, partition).end());
            self.samples.insert(partition, EndSample { at, asked_ms: now_ms, ends });
        }
        self.samples.get(&partition).copied()
    }

    fn clocks(
        &mut self,
        partitions: u32,
        _: bool,
    ) -> Result<Option<Arc<ClockSample>>, BrokerError> {
        let now_ms = self.stage.now_ms();
        let is_fresh = |last: &ClockSample| now_ms - last.asked_ms < CLOCKS_MS;
        let fresh = self.clocks.as_deref().is_some_and(is_fresh);
        if fresh || self.stage.below(3) == 0 || self.is_down() {
            return Ok(self.clocks.clone());
        }
        // What is asked for first is what others do something behind.
        let offsets = {
            let cluster = self.stage.cluster.borrow();
            let offsets = |partition| cluster.group.committed_last(partition);
            (0..partitions).map(offsets).collect::<Vec<_>>()
        };
        if self.stage.strikes(Fault::Stall) {
            let ms = i64::try_from(self.stage.below(1_000)).unwrap();
            self.stage.stand_still(ms);
        }
        let (at, asked_ms) = (self.wall(), self.stage.now_ms());
        let mut cluster = self.stage.cluster.borrow_mut();
        let mut ends = |partition| Topic::INPUTS.map(|topic| cluster.log(topic, partition).end());
        let tasks = (0..)
            .zip(offsets)
            .map(|(partition, committed)| TaskSample { committed, ends: Some(ends(partition)) });
        let tasks = tasks.collect();
        self.clocks = Some(Arc::new(ClockSample { asked_ms, at, tasks }));
        Ok(self.clocks.clone())
    }

    fn watermarks(&mut self, partition: u32, input: Input) -> Result<Watermarks, BrokerError> {
        self.call(|this| {
            this.answers()?;
            let mut cluster = this.stage.cluster.borrow_mut();
            let log = cluster.log(Topic::INPUTS[input.index()], partition);
            Ok(Watermarks { low: log.low(), high: log.end() })
        })
    }

    fn committed(&mut self, partition: u32) -> Result<CommittedOffsets, BrokerError> {
        self.call(|this| {
            this.check_no_transaction("committed offsets");
            this.answers()?;
            let cluster = this.stage.cluster.borrow();
            if cluster.group.is_waiting(this.instance, this.member) {
                // Its connection to the coordinator is held by the request to join.
                return Err(BrokerError::Retriable("the group is rebalancing".to_owned()));
            }
            let committed = cluster.group.committed(partition);
            committed.ok_or_else(|| BrokerError::Retriable("a transaction is open".to_owned()))
        })
    }

    fn open_changelog(&mut self, partition: u32) -> Result<(), BrokerError> {
        self.call(|this| this.changelog_open(partition))
    }

    fn read_changelog(
        &mut self,
        partition: u32,
        max: usize,
        into: &mut Vec<ChangelogRecord>,
    ) -> Result<bool, BrokerError> {
        self.call(|this| this.changelog_read(partition, max, into))
    }

    fn close_changelog(&mut self, partition: u32) {
        self.changelogs.remove(&partition);
    }

    fn read_control(&mut self) -> Result<Vec<ChangelogRecord>, BrokerError> {
        self.call(|this| {
            this.check_no_transaction("control");
            this.control_read()
        })
    }

    fn init_producer(&mut self) -> Result<(), BrokerError> {
        self.call(Self::producer_init)
    }

    fn begin(&mut self) -> Result<(), BrokerError> {
        self.call(Self::producer_begin)
    }

    fn send(&mut self, record: &OutRecord<'_>) -> Result<Sent, BrokerError> {
        self.call(|this| this.producer_send(record))
    }

    fn drained(&mut self) -> Result<bool, BrokerError> {
        self.call(Self::producer_drained)
    }

    fn send_offsets(&mut self, offsets: &[TaskOffsets]) -> Result<(), BrokerError> {
        self.call(|this| this.producer_send_offsets(offsets))
    }

    fn commit(&mut self) -> Result<Ended, BrokerError> {
        self.call(Self::producer_commit)
    }

    fn abort(&mut self) -> Result<Ended, BrokerError> {
        self.call(Self::producer_abort)
    }

    fn wait(&mut self, _at_most: Duration) {
        // The stage decides when a waiting process acts again.
    }
}
