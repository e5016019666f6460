//! What a transaction holds of a task, and how it ends.
//!
//! Until [`PartitionTask::commit`] everything can be forgotten. Next: `store.rs`, the customers.

use crate::domain::apply::Tally;
use crate::domain::mark::{Mark, SaltedId};
use crate::domain::pack::UnpackError;
use crate::domain::progress::{OffsetMetadata, Progress};
use crate::domain::publish::profile::{Profile, profile};
use crate::domain::rules::ProfilesOn;
use crate::domain::subject::Subject;
use crate::domain::time::Timestamp;
use crate::mutation::Mutation;
use crate::task::PartitionTask;
use crate::task::marks::CommittedMarks;
use crate::task::partition_task::Position;
use std::sync::Arc;

/// What becomes of the profile of a customer that a transaction changed.
#[derive(Debug)]
pub enum ProfileWrite {
    /// It stays as it is.
    Nothing,
    /// It is written.
    Profile(Box<Profile>),
    /// It is removed.
    Tombstone,
}

impl PartitionTask {
    /// Puts a mark of the changelog in place; `None` removes it.
    pub fn restore_mark(&mut self, id: SaltedId, mark: Option<Mark>) {
        if !Mutation::MarksNotRestored.is_on() {
            self.marks.restore(id, mark);
        }
    }

    /// The committed marks, for readers.
    #[must_use]
    pub fn committed_marks(&self) -> &Arc<CommittedMarks> {
        self.marks.committed()
    }

    /// How many marks of subjects that are gone there are when the open transaction is committed.
    #[must_use]
    pub fn erasures(&self) -> u64 {
        self.marks.len_after_commit()
    }

    /// Committed redirects.
    #[must_use]
    pub const fn redirects(&self) -> u64 {
        self.marks.redirects()
    }

    /// Estimated heap bytes of customers, marks and what waits.
    #[must_use]
    pub fn estimated_bytes(&self) -> u64 {
        let waiting = self.room.estimated_bytes() as u64;
        self.store.estimated_bytes() + self.marks.estimated_bytes() + waiting
    }

    /// The marks of subjects that are gone that the open transaction set or removed.
    pub fn marks(&self) -> impl Iterator<Item = (&SaltedId, Option<&Mark>)> {
        self.marks.changes()
    }

    /// Packs what the transaction changed since customers were settled last: for each the id, the
    /// state (none when it is erased) and what becomes of the profile.
    pub fn pack(&mut self, each: impl FnMut(&str, Option<&[u8]>, ProfileWrite)) {
        self.pack_those(true, each);
    }

    /// The same of those who are not expected back before the commit.
    pub fn pack_passing(&mut self, each: impl FnMut(&str, Option<&[u8]>, ProfileWrite)) {
        self.pack_those(false, each);
    }

    fn pack_those(&mut self, all: bool, mut each: impl FnMut(&str, Option<&[u8]>, ProfileWrite)) {
        let rules = &self.config.rules;
        let on_touch = self.config.profiles_on_touch;
        self.store.pack_touched(rules, all, |touched, packed| {
            let customer = &touched.customer;
            let write = if touched.erased {
                ProfileWrite::Tombstone
            } else if rules.output.profiles == ProfilesOn::Never
                || !rules.emits_subject(Subject::of(&customer.id))
            {
                ProfileWrite::Nothing
            } else if touched.published || on_touch {
                ProfileWrite::Profile(Box::new(profile(customer, rules, customer.evaluated_at)))
            } else {
                ProfileWrite::Nothing
            };
            each(&customer.id, packed, write);
        });
    }

    /// Lets go of the unpacked customers that were packed just before.
    pub fn settle_customers(&mut self) {
        self.store.settle();
    }

    /// The progress that the open transaction commits.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let rules = &self.config.rules;
        let latest_order_at = self.position.latest_order_at.unwrap_or(Timestamp::MIN);
        Progress {
            next_offsets: self
                .position
                .inputs
                .map(|input| input.next_offset - i64::from(Mutation::OffsetOfLastRecord.is_on())),
            highest: self.position.inputs.map(|input| input.highest),
            clock: self.clock(),
            commit_counter: self.commit_counter + 1,
            customers: self.store.len_after_commit(),
            erased: self.marks.len_after_commit(),
            erasures: self.position.erasures,
            waiting: self.waiting(),
            partitions: self.config.partitions,
            rules_revision: rules.identity.revision,
            rules_hash: rules.identity.hash.to_string(),
            latest_order_at,
            rates: rules.rates.history(latest_order_at),
            fold_hash: rules.identity.fold_hash.to_string(),
            rfm_values: rules.names.rfm.iter().map(ToString::to_string).collect(),
            audiences: rules.names.audiences.iter().map(ToString::to_string).collect(),
            lineage: self.lineage,
            control_offset: self.control_offset,
            cursor: self.position.cursor.filter(|_| !Mutation::CursorNotWritten.is_on()),
            phase: self.position.phase,
        }
    }

    /// The metadata that goes with the offsets of [`Self::progress`].
    #[must_use]
    pub fn offset_metadata(&self) -> OffsetMetadata {
        OffsetMetadata {
            clock: self.clock(),
            commit_counter: self.commit_counter + 1,
            lineage: self.lineage,
            waits_at: self.room.first_mover_at(),
        }
    }

    /// The open transaction is committed.
    ///
    /// # Errors
    /// When a state cannot be read.
    pub fn commit(&mut self) -> Result<(), UnpackError> {
        self.store.commit()?;
        self.marks.commit();
        self.room.commit();
        self.committed = self.position;
        self.commit_counter += 1;
        self.touched = false;
        Ok(())
    }

    /// The open transaction is aborted: everything since the last commit is forgotten.
    pub fn rollback(&mut self) {
        self.store.rollback();
        self.marks.rollback();
        self.room.rollback();
        self.position = Position { held_at: self.position.held_at, ..self.committed };
        self.ahead = self.ahead_again();
        self.touched = false;
        self.changes.clear();
        self.told_here.clear();
        if !Mutation::RelayKeptAfterAbort.is_on() {
            self.outgoing.clear();
        }
        self.tally = Tally::default();
        (self.walk, self.walked) = (None, false);
    }
}
