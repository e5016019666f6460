//! The consumer group: static members, generations, range assignment, offsets with metadata.
//!
//! Classic protocol: a rebalance takes everything from everybody, and the new assignment is
//! handed out when the last member has answered or was expelled. Next: `cluster.rs`.

use ebbflow::runtime::broker::{CommittedOffsets, TaskOffsets};
use std::collections::BTreeMap;

/// What a member hears when it polls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum News {
    Nothing,
    /// It has to answer with `rejoin`.
    Revoked,
    /// It is no member (any more).
    Unknown,
    /// Another process has its instance id.
    Replaced,
    Assigned {
        generation: u32,
        partitions: Vec<u32>,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Standing {
    /// It waits for an assignment.
    Joined,
    /// It was given partitions; whether it has heard of them.
    Holds { heard: bool },
}

#[derive(Clone, Debug)]
struct Member {
    id: u64,
    standing: Standing,
    partitions: Vec<u32>,
    heard_from_ms: i64,
}

/// Offsets of one task that a transaction carries, and who sent them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Committed {
    pub(crate) transaction: u64,
    pub(crate) instance: usize,
    pub(crate) generation: u32,
    /// Whether the group had given the task to that member in that generation.
    pub(crate) owned: bool,
    pub(crate) offsets: TaskOffsets,
}

/// The group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    partitions: u32,
    session_ms: i64,
    generation: u32,
    rebalancing: bool,
    members: BTreeMap<usize, Member>,
    offsets: BTreeMap<u32, TaskOffsets>,
    pending: BTreeMap<u64, Vec<Committed>>,
    /// All that was ever committed, in order.
    pub(crate) commits: Vec<Committed>,
    pub(crate) rebalances: u64,
    /// Partitions that a rebalance took from a member and gave back to it.
    pub(crate) came_back: u64,
}

impl Group {
    pub(crate) const fn new(partitions: u32, session_ms: i64) -> Self {
        Self {
            partitions,
            session_ms,
            generation: 0,
            rebalancing: false,
            members: BTreeMap::new(),
            offsets: BTreeMap::new(),
            pending: BTreeMap::new(),
            commits: Vec::new(),
            rebalances: 0,
            came_back: 0,
        }
    }

    /// A member joins, or comes back under its static id: then it gets what it had.
    pub(crate) fn join(&mut self, instance: usize, id: u64, now_ms: i64) {
        let known = self.members.get_mut(&instance);
        if let Some(member) = known {
            member.id = id;
            member.heard_from_ms = now_ms;
            member.standing = match member.standing {
                // What it held it holds no longer; while a rebalance is under way it waits.
                Standing::Holds { .. } if !self.rebalancing => Standing::Holds { heard: false },
                _ => Standing::Joined,
            };
            self.settle();
            return;
        }
        let (standing, partitions) = (Standing::Joined, Vec::new());
        let member = Member { id, standing, partitions, heard_from_ms: now_ms };
        self.members.insert(instance, member);
        self.rebalance();
    }

    pub(crate) fn leave(&mut self, instance: usize, id: u64) {
        if self.members.get(&instance).is_some_and(|member| member.id == id) {
            self.members.remove(&instance);
            self.rebalance();
        }
    }

    /// Takes everything from everybody.
    pub(crate) fn rebalance(&mut self) {
        self.rebalancing = true;
        self.settle();
    }

    pub(crate) fn poll(&mut self, instance: usize, id: u64, now_ms: i64) -> News {
        let Some(member) = self.members.get_mut(&instance) else { return News::Unknown };
        if member.id != id {
            return News::Replaced;
        }
        member.heard_from_ms = now_ms;
        match member.standing {
            Standing::Holds { heard: false } => {
                member.standing = Standing::Holds { heard: true };
                let partitions = member.partitions.clone();
                News::Assigned { generation: self.generation, partitions }
            }
            Standing::Holds { heard: true } if self.rebalancing => News::Revoked,
            Standing::Holds { .. } | Standing::Joined => News::Nothing,
        }
    }

    /// The answer to [`News::Revoked`].
    pub(crate) fn rejoin(&mut self, instance: usize, id: u64, now_ms: i64) {
        if let Some(member) = self.members.get_mut(&instance).filter(|member| member.id == id) {
            member.standing = Standing::Joined;
            member.heard_from_ms = now_ms;
        }
        self.settle();
    }

    /// Everybody that is listed is alive: heartbeats went on while time was skipped.
    pub(crate) fn keep_alive(&mut self, instances: &[usize], now_ms: i64) {
        for instance in instances {
            if let Some(member) = self.members.get_mut(instance) {
                member.heard_from_ms = now_ms;
            }
        }
    }

    pub(crate) fn keep_all_alive(&mut self, now_ms: i64) {
        for member in self.members.values_mut() {
            member.heard_from_ms = now_ms;
        }
    }

    /// The group's retention has passed.
    pub(crate) fn forget_offsets(&mut self) {
        self.offsets.clear();
    }

    /// Expels members that were not heard of for a session; returns how many.
    pub(crate) fn expire(&mut self, now_ms: i64) -> usize {
        let before = self.members.len();
        let session_ms = self.session_ms;
        self.members.retain(|_, member| now_ms - member.heard_from_ms <= session_ms);
        let expelled = before - self.members.len();
        if expelled > 0 {
            self.rebalance();
        }
        expelled
    }

    /// Whether this member has asked to join and not been answered.
    pub(crate) fn is_waiting(&self, instance: usize, id: u64) -> bool {
        let member = self.members.get(&instance).filter(|member| member.id == id);
        member.is_some_and(|member| member.standing == Standing::Joined)
    }

    /// Whether this member has heard of its latest assignment.
    pub(crate) fn has_heard(&self, instance: usize) -> bool {
        let member = self.members.get(&instance);
        member.is_some_and(|member| member.standing == Standing::Holds { heard: true })
    }

    pub(crate) fn is_stable(&self) -> bool {
        !self.rebalancing || self.members.is_empty()
    }

    fn settle(&mut self) {
        // A member that holds what it has not heard of yet has nothing to give back.
        for member in self.members.values_mut() {
            if self.rebalancing && member.standing == (Standing::Holds { heard: false }) {
                member.standing = Standing::Joined;
            }
        }
        let waiting = self.members.values().all(|member| member.standing == Standing::Joined);
        if !self.rebalancing || !waiting || self.members.is_empty() {
            return;
        }
        self.generation += 1;
        self.rebalances += 1;
        self.rebalancing = false;
        let count = u32::try_from(self.members.len()).unwrap();
        let (share, rest) = (self.partitions / count, self.partitions % count);
        let mut next = 0;
        for (place, member) in (0..).zip(self.members.values_mut()) {
            let end = next + share + u32::from(place < rest);
            let kept = member.partitions.iter().filter(|partition| (next..end).contains(partition));
            self.came_back += kept.count() as u64;
            member.partitions = (next..end).collect();
            member.standing = Standing::Holds { heard: false };
            next = end;
        }
    }

    /// Takes offsets into a transaction; false when the generation or the member is stale.
    pub(crate) fn add(
        &mut self,
        (instance, id, generation): (usize, u64, u32),
        (producer, transaction): (u64, u64),
        offsets: &[TaskOffsets],
    ) -> bool {
        let Some(member) = self.members.get(&instance).filter(|member| member.id == id) else {
            return false;
        };
        if generation != self.generation {
            return false;
        }
        let pending = self.pending.entry(producer).or_default();
        for offsets in offsets {
            // Which partitions a member owns is not looked at: as the real coordinator does.
            let owned = member.partitions.contains(&offsets.partition);
            let offsets = offsets.clone();
            pending.retain(|before| before.offsets.partition != offsets.partition);
            pending.push(Committed { transaction, instance, generation, owned, offsets });
        }
        true
    }

    /// Offsets of a transaction that somebody else has left open.
    pub(crate) fn hold(&mut self, producer: u64, offsets: TaskOffsets) {
        let (transaction, instance, generation, owned) = (0, usize::MAX, 0, false);
        let held = Committed { transaction, instance, generation, owned, offsets };
        self.pending.entry(producer).or_default().push(held);
    }

    /// The marker of a transaction reaches the offsets.
    pub(crate) fn decide(&mut self, producer: u64, commit: bool) {
        for pending in self.pending.remove(&producer).unwrap_or_default() {
            if commit {
                self.offsets.insert(pending.offsets.partition, pending.offsets.clone());
                self.commits.push(pending);
            }
        }
    }

    /// The committed offsets; `None` while a transaction with offsets of this task is open.
    pub(crate) fn committed(&self, partition: u32) -> Option<CommittedOffsets> {
        let mut pending = self.pending.values().flatten();
        if pending.any(|pending| pending.offsets.partition == partition) {
            return None;
        }
        Some(self.committed_last(partition))
    }

    /// The offsets committed last, whatever is open.
    pub(crate) fn committed_last(&self, partition: u32) -> CommittedOffsets {
        let offsets = self.offsets.get(&partition);
        CommittedOffsets {
            next_offsets: offsets.map_or([None; 3], |offsets| offsets.next_offsets.map(Some)),
            metadata: offsets.map(|offsets| offsets.metadata.clone()),
        }
    }
}
