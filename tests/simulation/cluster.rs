//! The simulated cluster: logs, the transaction coordinator, the group, and virtual time.
//!
//! What a real broker does is told in the file comments by name; nothing here is random but the
//! delay of the markers that end a transaction. Next: `broker.rs`, one process's connection.

use crate::simulation::group::Group;
use crate::simulation::log::{Log, Payload};
use crate::simulation::random::Random;
use ebbflow::runtime::broker::{Output, TaskOffsets};
use std::collections::{BTreeMap, BTreeSet};

/// Every topic of the application.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Topic {
    Interactions,
    Purchases,
    Relay,
    SegmentChanges,
    Customers,
    State,
    DeadLetters,
    Control,
}

impl Topic {
    pub(crate) const INPUTS: [Self; 3] = [Self::Interactions, Self::Purchases, Self::Relay];
}

impl From<Output> for Topic {
    fn from(output: Output) -> Self {
        match output {
            Output::SegmentChanges => Self::SegmentChanges,
            Output::Customers => Self::Customers,
            Output::State => Self::State,
            Output::Relay => Self::Relay,
            Output::DeadLetters => Self::DeadLetters,
            Output::Control => Self::Control,
        }
    }
}

/// Why the coordinator refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// The epoch is not the latest.
    Fenced,
    /// The group's generation or member is stale.
    StaleMember,
}

/// Where a marker has to be written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Place {
    Log(Topic, u32),
    Offsets,
}

/// A transactional id.
#[derive(Clone, Debug)]
struct Producer {
    id: u64,
    epoch: u32,
    /// What the open or just decided transaction has touched and no marker has reached yet.
    places: BTreeSet<Place>,
    /// `None` while it is open.
    decision: Option<bool>,
    began_ms: i64,
    /// The latest transaction that was begun.
    transaction: u64,
}

/// A request that arrives when its sender has given it up.
#[derive(Debug)]
enum Stray {
    /// The end of a transaction: commit or abort.
    End(bool),
    /// A record of this transaction.
    Record { transaction: u64, place: (Topic, u32), payload: Payload },
}

/// The cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) now_ms: i64,
    pub(crate) logs: BTreeMap<(Topic, u32), Log>,
    pub(crate) group: Group,
    producers: BTreeMap<usize, Producer>,
    transaction_ms: i64,
    next_id: u64,
    /// Markers take their time.
    pub(crate) slow_markers: bool,
    random: Random,
    /// Nothing is answered before.
    down_until_ms: i64,
    /// Requests that are still on their way: when they arrive, from whom.
    strays: Vec<(i64, (usize, u32), Stray)>,
    /// Those that arrived, and how many of them have hit another transaction.
    pub(crate) strays_landed: u64,
    pub(crate) strays_hit: u64,
    pub(crate) timed_out: u64,
    pub(crate) expelled: u64,
}

impl Cluster {
    pub(crate) fn new(
        partitions: u32,
        session_ms: i64,
        transaction_ms: i64,
        random: Random,
    ) -> Self {
        Self {
            now_ms: 0,
            logs: BTreeMap::new(),
            group: Group::new(partitions, session_ms),
            producers: BTreeMap::new(),
            transaction_ms,
            next_id: 1,
            slow_markers: false,
            random,
            down_until_ms: 0,
            strays: Vec::new(),
            strays_landed: 0,
            strays_hit: 0,
            timed_out: 0,
            expelled: 0,
        }
    }

    pub(crate) fn log(&mut self, topic: Topic, partition: u32) -> &mut Log {
        self.logs.entry((topic, partition)).or_default()
    }

    /// An id that nobody has.
    pub(crate) fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Time passes: transactions time out, members are expelled, markers arrive.
    pub(crate) fn pass(&mut self, ms: i64) {
        self.now_ms += ms;
        if self.is_down() {
            return;
        }
        if self.down_until_ms > 0 {
            // Whoever has lost its memory of heartbeats gives everybody another session.
            self.down_until_ms = 0;
            self.group.keep_all_alive(self.now_ms);
        }
        self.land_strays();
        let transactions: Vec<usize> = self.producers.keys().copied().collect();
        for transactional in transactions {
            self.expire(transactional, false);
            if !self.slow_markers || self.random.chance(150) {
                self.write_markers(transactional, 1);
            }
        }
        self.expelled += self.group.expire(self.now_ms) as u64;
    }

    /// Nothing is answered for so long.
    pub(crate) fn go_down(&mut self, ms: i64) {
        self.down_until_ms = self.down_until_ms.max(self.now_ms + ms);
    }

    pub(crate) const fn is_down(&self) -> bool {
        self.now_ms < self.down_until_ms
    }

    /// The same end of a transaction arrives once more, so much later.
    pub(crate) fn delay_end(&mut self, ms: i64, producer: (usize, u32), commit: bool) {
        self.strays.push((self.now_ms + ms, producer, Stray::End(commit)));
    }

    /// A record whose partition is in the transaction already arrives so much later.
    pub(crate) fn delay_record(
        &mut self,
        ms: i64,
        (transactional, epoch): (usize, u32),
        place: (Topic, u32),
        payload: Payload,
    ) -> Result<(), Refused> {
        let writer = self.writer(transactional, epoch, Place::Log(place.0, place.1))?;
        let stray = Stray::Record { transaction: writer.transaction, place, payload };
        self.strays.push((self.now_ms + ms, (transactional, epoch), stray));
        Ok(())
    }

    /// A request says nothing of which transaction it means: an end ends whatever this epoch has
    /// open, a record joins it if its partition is in it (KIP-890, part 1).
    fn land_strays(&mut self) {
        let now_ms = self.now_ms;
        for (_, (transactional, epoch), stray) in
            self.strays.extract_if(.., |stray| stray.0 <= now_ms).collect::<Vec<_>>()
        {
            self.strays_landed += 1;
            let producer = self.producers.get_mut(&transactional);
            let Some(producer) = producer
                .filter(|it| it.epoch == epoch && it.decision.is_none() && !it.places.is_empty())
            else {
                continue;
            };
            match stray {
                Stray::End(commit) => {
                    producer.decision = Some(commit);
                    self.strays_hit += 1;
                    self.write_markers(transactional, usize::MAX);
                }
                Stray::Record { transaction, place, mut payload } => {
                    if !producer.places.contains(&Place::Log(place.0, place.1)) {
                        continue;
                    }
                    self.strays_hit += u64::from(producer.transaction != transaction);
                    payload.transaction = producer.transaction;
                    payload.at = ebbflow::domain::time::Timestamp(now_ms);
                    let id = producer.id;
                    self.log(place.0, place.1).append(payload, Some(id));
                }
            }
        }
    }

    /// Whether every transaction is over.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.is_down()
            && self.strays.is_empty()
            && self.producers.values().all(|producer| producer.places.is_empty())
            && self.group.is_stable()
    }

    /// `InitProducerId`: ends what an earlier one of the same transactional id left.
    pub(crate) fn init(&mut self, transactional: usize) -> u32 {
        let id = self.fresh_id();
        self.producers.entry(transactional).or_insert_with(|| Producer {
            id,
            epoch: 0,
            places: BTreeSet::new(),
            decision: None,
            began_ms: 0,
            transaction: 0,
        });
        self.fence(transactional);
        self.producers[&transactional].epoch
    }

    /// Aborts what is open and raises the epoch.
    pub(crate) fn fence(&mut self, transactional: usize) {
        let Some(producer) = self.producers.get_mut(&transactional) else { return };
        producer.epoch += 1;
        producer.decision.get_or_insert(false);
        self.write_markers(transactional, usize::MAX);
    }

    /// The coordinator's time-out of an open transaction; `now` = whatever its age.
    pub(crate) fn expire(&mut self, transactional: usize, now: bool) -> bool {
        let Some(producer) = self.producers.get(&transactional) else { return false };
        let open = producer.decision.is_none() && !producer.places.is_empty();
        if !open || !(now || self.now_ms - producer.began_ms > self.transaction_ms) {
            return false;
        }
        self.timed_out += 1;
        self.fence(transactional);
        true
    }

    /// The producer that may write, with a transaction opened at this place.
    fn writer(
        &mut self,
        transactional: usize,
        epoch: u32,
        place: Place,
    ) -> Result<&mut Producer, Refused> {
        let current = self.producers.get(&transactional).map(|producer| producer.epoch);
        if current != Some(epoch) {
            return Err(Refused::Fenced);
        }
        if self.producers[&transactional].decision.is_some() {
            // CONCURRENT_TRANSACTIONS: the client waits for the markers of the last one.
            self.write_markers(transactional, usize::MAX);
        }
        let (now_ms, fresh_id) = (self.now_ms, self.fresh_id());
        let producer = self.producers.get_mut(&transactional).ok_or(Refused::Fenced)?;
        if producer.places.is_empty() {
            (producer.began_ms, producer.transaction) = (now_ms, fresh_id);
        }
        producer.places.insert(place);
        Ok(producer)
    }

    pub(crate) fn produce(
        &mut self,
        (transactional, epoch): (usize, u32),
        (topic, partition): (Topic, u32),
        mut payload: Payload,
    ) -> Result<(), Refused> {
        let writer = self.writer(transactional, epoch, Place::Log(topic, partition))?;
        let id = writer.id;
        payload.transaction = writer.transaction;
        payload.at = ebbflow::domain::time::Timestamp(self.now_ms);
        self.log(topic, partition).append(payload, Some(id));
        Ok(())
    }

    /// `TxnOffsetCommit`, which the group refuses from members that are none.
    pub(crate) fn add_offsets(
        &mut self,
        (transactional, epoch): (usize, u32),
        member: (usize, u64, u32),
        offsets: &[TaskOffsets],
    ) -> Result<(), Refused> {
        let writer = self.writer(transactional, epoch, Place::Offsets)?;
        let (id, transaction) = (writer.id, writer.transaction);
        if self.group.add(member, (id, transaction), offsets) {
            Ok(())
        } else {
            Err(Refused::StaleMember)
        }
    }

    /// `EndTxn`: decided at once; the markers may come later.
    pub(crate) fn end(
        &mut self,
        (transactional, epoch): (usize, u32),
        commit: bool,
    ) -> Result<(), Refused> {
        let producer = self.producers.get_mut(&transactional).ok_or(Refused::Fenced)?;
        if producer.epoch != epoch {
            return Err(Refused::Fenced);
        }
        if !producer.places.is_empty() {
            producer.decision.get_or_insert(commit);
        }
        if !self.slow_markers {
            self.write_markers(transactional, usize::MAX);
        }
        Ok(())
    }

    /// Writes at most `count` of the markers of a decided transaction.
    fn write_markers(&mut self, transactional: usize, count: usize) {
        for _ in 0..count {
            let Some(producer) = self.producers.get_mut(&transactional) else { return };
            let Some(commit) = producer.decision else { return };
            let places: Vec<Place> = producer.places.iter().copied().collect();
            if places.is_empty() {
                producer.decision = None;
                return;
            }
            let place = *self.random.pick(&places);
            producer.places.remove(&place);
            let id = producer.id;
            if producer.places.is_empty() {
                producer.decision = None;
            }
            match place {
                Place::Log(topic, partition) => self.log(topic, partition).decide(id, commit),
                Place::Offsets => self.group.decide(id, commit),
            }
        }
    }
}
