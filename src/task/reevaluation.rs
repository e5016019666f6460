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

/// Customers that can be looked at in the time that it takes to judge one.
const LOOKS: usize = 32;

/// The customers that are gone through, a part at a time.
#[derive(Debug)]
pub(super) struct Walk {
    /// Who is still to come.
    keys: std::vec::IntoIter<u64>,
    /// It began with the first customer.
    whole: bool,
    /// Somebody was judged.
    found: bool,
}

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

    /// Whether the next part of what concerns all customers begins with a list of them, which takes
    /// its time: nothing that others wait for should be open then.
    #[must_use]
    pub const fn begins_walk(&self) -> bool {
        let walks = match self.position.phase {
            Phase::Baseline => true,
            Phase::Live => self.position.cursor.is_some(),
            Phase::Silent(_) | Phase::Purging => false,
        };
        walks && self.walk.is_none()
    }

    /// Whether what it reads still belongs to the silence before a baseline.
    #[must_use]
    pub fn reads_in_silence(&self) -> bool {
        let Phase::Silent(ends) = self.position.phase else { return false };
        self.position.inputs.iter().zip(ends).any(|(input, end)| input.next_offset < end)
    }

    /// Does a part of what concerns all customers: ends the silent phase when its offsets are
    /// reached; writes at most `budget` customers of a baseline, or judges as many by the present
    /// rules. How much of the budget that took; `None` when there is nothing to do.
    ///
    /// # Errors
    /// When a state cannot be read.
    pub fn work_on_all(
        &mut self,
        budget: usize,
        now: Option<Timestamp>,
    ) -> Result<Option<usize>, UnpackError> {
        match self.position.phase {
            Phase::Purging => Ok(None),
            Phase::Live => self.reevaluate_some(budget, now),
            Phase::Silent(_) => {
                let reached = !self.reads_in_silence() && self.waiting() == 0;
                let due = self.store.timers().due(self.timer_clock()).is_some();
                if reached && !due && !self.touched {
                    self.position.phase = Phase::Baseline;
                    self.touched = true;
                    return Ok(Some(0));
                }
                Ok(None)
            }
            Phase::Baseline => {
                let mut walk = self.walk.take().unwrap_or_else(|| self.walk_from(0));
                let mut spent = 0;
                for key in walk.keys.by_ref().take(budget) {
                    spent += 1;
                    // Who was erased meanwhile is gone.
                    if self.store.holds(key) {
                        let place = self.store.touch_key(key, &self.config.rules)?;
                        self.prepare(place, now);
                    }
                }
                if walk.keys.len() == 0 {
                    self.position.phase = Phase::Live;
                } else {
                    self.walk = Some(walk);
                }
                self.touched = true;
                Ok(Some(spent))
            }
        }
    }

    fn walk_from(&self, first: u64) -> Walk {
        Walk { keys: self.store.keys_from(first).into_iter(), whole: first == 0, found: false }
    }

    /// Judges at most `budget` customers by the present rules. Goes through all of them until it
    /// finds nobody who was judged otherwise: what was going on meanwhile may have hidden one.
    fn reevaluate_some(
        &mut self,
        budget: usize,
        now: Option<Timestamp>,
    ) -> Result<Option<usize>, UnpackError> {
        let Some(cursor) = self.position.cursor else { return Ok(None) };
        let mut walk = match self.walk.take() {
            Some(walk) => walk,
            // What the open transaction did is seen when it is committed.
            None if self.store.has_changes() => return Ok(None),
            None if Mutation::DormantNotJudged.is_on() => {
                (self.position.cursor, self.touched) = (None, true);
                return Ok(Some(0));
            }
            None => self.walk_from(cursor),
        };
        let revision = self.config.rules.identity.revision;
        let limit = budget.saturating_mul(LOOKS);
        let mut looks = 0;
        while looks < limit
            && let Some(key) = walk.keys.next()
        {
            // Who was touched meanwhile may be gone.
            if self.store.judged_by(key)?.is_none_or(|by| by == revision) {
                looks += 1;
                continue;
            }
            looks += LOOKS;
            let place = self.store.touch_key(key, &self.config.rules)?;
            self.prepare(place, now);
            self.position.cursor = Some(key.saturating_add(1));
            (walk.found, self.touched) = (true, true);
        }
        if walk.keys.len() > 0 {
            self.walk = Some(walk);
        } else {
            let done = walk.whole && !walk.found;
            self.position.cursor = (!done).then_some(0);
            (self.walked, self.touched) = (!done, true);
        }
        Ok(Some(looks.div_ceil(LOOKS)))
    }

    /// Customers that are still to be looked at, while they are being judged by new rules: exactly
    /// once they are listed, before by the place of the cursor among their hashed ids; none while
    /// it is only made sure that nobody was left out.
    #[must_use]
    pub fn reevaluation_left(&self) -> Option<u64> {
        let cursor = self.position.cursor?;
        let found = self.walk.as_ref().is_some_and(|walk| walk.found);
        if self.walked && !found {
            return Some(0);
        }
        let customers = self.store.len() as u128;
        let by_cursor = customers * u128::from(u64::MAX - cursor) / u128::from(u64::MAX);
        let left = self.walk.as_ref().map(|walk| walk.keys.len());
        Some(left.map_or(u64::try_from(by_cursor).unwrap_or(u64::MAX), |left| left as u64))
    }

    /// Whether customers are being judged by new rules.
    #[must_use]
    pub const fn is_reevaluating(&self) -> bool {
        self.position.cursor.is_some()
    }
}
