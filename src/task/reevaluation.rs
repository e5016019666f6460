//! What concerns all customers: judging them by new rules, and the changes of a baseline.
//!
//! A part of it is done at a time, live events go on in between, and a customer whom something
//! happens to goes first. Next: `domain/publish/evaluate.rs`, what is told.

use crate::domain::pack::UnpackError;
use crate::domain::progress::Phase;
use crate::domain::publish::evaluate::{publish_baseline, reevaluate};
use crate::domain::time::Timestamp;
use crate::mutation::Mutation;
use crate::task::PartitionTask;
use crate::task::partition_task::context;

impl PartitionTask {
    /// Before anything else happens to a customer: it is judged by the present rules, and in the
    /// baseline phase one that was never written is.
    pub(super) fn prepare(&mut self, place: usize, now: Option<Timestamp>) {
        let revision = self.config.rules.identity.revision;
        let touched = self.store.at(place);
        if self.position.cursor.is_some() && touched.customer.rules_revision != revision {
            let run_id = format!("rules-{revision}");
            let mut context = context(&self.config, self.lineage, &self.position, now);
            context.run_id = Some(&run_id);
            // Its first changes are those of the baseline.
            context.silent |= self.position.phase != Phase::Live && touched.customer.seq == 0;
            let before = touched.customer.deadline;
            let out = (&mut self.tally.unpublished, &mut self.changes);
            let profile = reevaluate(&mut touched.customer, &context, out);
            touched.changed = true;
            touched.published |= profile && !context.silent;
            self.tally.reevaluated += 1;
            self.store.reschedule(place, before);
            self.touched = true;
        }
        if self.position.phase != Phase::Baseline {
            return;
        }
        let touched = self.store.at(place);
        let customer = &mut touched.customer;
        if customer.seq > 0 || !customer.has_segments() {
            return;
        }
        let context = context(&self.config, self.lineage, &self.position, now);
        let first = self.changes.len();
        publish_baseline(customer, &context, &mut self.changes);
        touched.changed = true;
        touched.published |= self.changes.len() > first;
    }

    /// Does a part of what concerns all customers: ends the silent phase when its offsets are
    /// reached; writes at most `budget` customers of a baseline, or judges as many by the present
    /// rules. True when there was something to do.
    ///
    /// # Errors
    /// When a state cannot be read.
    pub fn work_on_all(
        &mut self,
        budget: usize,
        now: Option<Timestamp>,
    ) -> Result<bool, UnpackError> {
        match self.position.phase {
            Phase::Purging => Ok(false),
            Phase::Live => self.reevaluate_some(budget, now),
            Phase::Silent(ends) => {
                let reached = self
                    .position
                    .inputs
                    .iter()
                    .zip(ends)
                    .all(|(input, end)| input.next_offset >= end);
                let due = self.store.timers().due(self.clock()).is_some();
                if reached && !due && !self.touched {
                    self.position.phase = Phase::Baseline;
                    self.touched = true;
                    return Ok(true);
                }
                Ok(false)
            }
            Phase::Baseline => {
                let mut keys =
                    self.keys_left.take().unwrap_or_else(|| self.store.keys().into_iter());
                for key in keys.by_ref().take(budget) {
                    // Who was erased meanwhile is gone.
                    if self.store.holds(key) {
                        let place = self.store.touch_key(key, &self.config.rules)?;
                        self.prepare(place, now);
                    }
                }
                if keys.len() == 0 {
                    self.position.phase = Phase::Live;
                } else {
                    self.keys_left = Some(keys);
                }
                self.touched = true;
                Ok(true)
            }
        }
    }

    /// Judges at most `budget` customers by the present rules.
    fn reevaluate_some(
        &mut self,
        budget: usize,
        now: Option<Timestamp>,
    ) -> Result<bool, UnpackError> {
        let Some(cursor) = self.position.cursor else { return Ok(false) };
        let revision = self.config.rules.identity.revision;
        let mut keys = match self.keys_left.take() {
            Some(keys) => keys,
            // What the open transaction did is seen when it is committed.
            None if self.store.has_changes() => return Ok(false),
            None if Mutation::DormantNotJudged.is_on() => Vec::new().into_iter(),
            None => self.store.judged_otherwise(revision, cursor)?.into_iter(),
        };
        if keys.len() == 0 {
            let done = Mutation::DormantNotJudged.is_on()
                || self.store.judged_otherwise(revision, 0)?.is_empty();
            self.position.cursor = (!done).then_some(0);
        }
        for key in keys.by_ref().take(budget) {
            // Who was touched meanwhile may be gone.
            if self.store.holds(key) {
                let place = self.store.touch_key(key, &self.config.rules)?;
                self.prepare(place, now);
            }
            self.position.cursor = Some(key.saturating_add(1));
        }
        self.keys_left = Some(keys).filter(|keys| keys.len() > 0);
        self.touched = true;
        Ok(true)
    }

    /// Customers that are still to be judged by new rules, while that is being done: exactly once
    /// they were looked for, before by the place of the cursor among their hashed ids.
    #[must_use]
    pub fn reevaluation_left(&self) -> Option<u64> {
        let cursor = self.position.cursor?;
        let customers = self.store.len() as u128;
        let by_cursor = customers * u128::from(u64::MAX - cursor) / u128::from(u64::MAX);
        let left = self.keys_left.as_ref().map(ExactSizeIterator::len);
        Some(left.map_or(u64::try_from(by_cursor).unwrap_or(u64::MAX), |left| left as u64))
    }

    /// Whether customers are being judged by new rules.
    #[must_use]
    pub const fn is_reevaluating(&self) -> bool {
        self.position.cursor.is_some()
    }
}
