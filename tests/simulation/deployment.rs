//! Who is deployed next, and with which revision of the rules.
//!
//! Never stops or starts anybody itself. Next: `stage.rs`, which asks.

use crate::simulation::rules;
use std::collections::BTreeMap;

/// What a process says that may run none of its tasks.
const OUTDATED: &str = "none of the tasks can be run here";

/// The deployment that is under way, or the last one.
#[derive(Debug)]
pub(super) struct Deployment {
    /// Instances that are still to be deployed, the next one last.
    waiting: Vec<usize>,
    /// Revisions of the rules before and after.
    revisions: (u32, u32),
    /// Revision of the rules of each process, by place.
    running: BTreeMap<usize, u32>,
    /// Starts that were refused for rules that are older than those of the state.
    refused: u64,
}

impl Default for Deployment {
    fn default() -> Self {
        let revisions = (rules::REVISION, rules::REVISION);
        Self { waiting: Vec::new(), revisions, running: BTreeMap::new(), refused: 0 }
    }
}

impl Deployment {
    /// Whether nobody is waiting.
    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_empty()
    }

    /// So many instances are deployed one after the other, with this revision or as they are.
    pub(super) fn begin(&mut self, instances: usize, revision: Option<u32>) {
        let before = self.revisions.1;
        self.revisions = (before, revision.unwrap_or(before));
        self.waiting.extend(0..instances);
    }

    /// Whoever starts from now on has the next revision, if there is one.
    pub(super) fn begin_at_once(&mut self) {
        let newest = self.next().unwrap_or(self.revisions.1);
        self.revisions = (newest, newest);
        self.waiting.clear();
    }

    /// The revision after the newest.
    pub(super) fn next(&self) -> Option<u32> {
        Some(self.revisions.1 + 1).filter(|revision| *revision <= rules::LAST)
    }

    /// The revision that an instance has when it starts.
    pub(super) fn revision(&self, instance: usize) -> u32 {
        let (old, new) = self.revisions;
        if self.waiting.contains(&instance) { old } else { new }
    }

    /// A process starts.
    pub(super) fn starts(&mut self, place: usize, instance: usize) {
        let revision = self.revision(instance);
        self.running.insert(place, revision);
    }

    /// Whether it is this instance's turn; `gone` says of whom no process lives.
    pub(super) fn takes_turn(&mut self, instance: usize, gone: impl Fn(usize) -> bool) -> bool {
        while self.waiting.last().is_some_and(|next| gone(*next)) {
            self.waiting.pop();
        }
        self.waiting.pop_if(|next| *next == instance).is_some()
    }

    /// Whether a process has old rules when all are deployed: another one of its name had the turn.
    pub(super) fn has_passed_by(&self, place: usize) -> bool {
        let old = |revision: &u32| *revision < self.revisions.1;
        self.is_over() && self.running.get(&place).is_some_and(old)
    }

    /// Whether an instance ended with these words because its rules are old; it may be deployed
    /// out of turn then.
    pub(super) fn refuses(&mut self, instance: usize, words: &str, out_of_turn: bool) -> bool {
        let outdated = words.contains(OUTDATED) && self.revision(instance) < self.revisions.1;
        self.refused += u64::from(outdated);
        if outdated && out_of_turn {
            self.waiting.retain(|waiting| *waiting != instance);
        }
        outdated
    }

    /// Starts that were refused.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }
}
