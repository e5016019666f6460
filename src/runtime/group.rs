//! Rebalances: how tasks come to a worker, and how they leave it.
//!
//! Every rebalance takes all tasks away; what the next assignment gives back is used again only
//! if the group's offsets show that nobody else has committed since. Next: `prepare.rs`.

use crate::domain::progress::Phase;
use crate::metrics::{AbortClass, Rebalance};
use crate::mutation::Mutation;
use crate::runtime::broker::{Broker, BrokerError, GroupEvent};
use crate::runtime::clock::Clock;
use crate::runtime::report::Restoring;
use crate::runtime::settings::WorkerError;
use crate::runtime::slot::{Slot, SlotState};
use crate::runtime::worker::{Trip, Worker};
use crate::task::PartitionTask;

/// What the group is to be answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// To an assignment of these partitions.
    Assign(Vec<u32>),
    /// To a revocation.
    Unassign,
}

impl<B: Broker, C: Clock> Worker<B, C> {
    /// Serves the group until it has nothing more to tell.
    pub(super) fn serve_group(&mut self) -> Result<(), Trip> {
        self.answer_group()?;
        while let Some(event) = self.broker.poll_group()? {
            match event {
                GroupEvent::Assigned(partitions) => {
                    if self.settings.forgetful && self.assigned_before {
                        return Err(Trip::End(WorkerError::Failed(
                            "the tasks were assigned a second time, and the embedded broker \
                             keeps no offsets to go on from; hint: start again"
                                .to_owned(),
                        )));
                    }
                    // librdkafka rejoins without a revocation while an assignment is unanswered.
                    let is_kept = |slot: &Slot<_>| matches!(slot.state, SlotState::Kept);
                    if !self.slots.values().all(is_kept) {
                        self.revoked(true)?;
                    }
                    self.unanswered = Some(Answer::Assign(partitions));
                }
                GroupEvent::Revoked { lost } => {
                    self.unanswered = Some(Answer::Unassign);
                    self.revoked(lost)?;
                }
            }
            self.answer_group()?;
        }
        Ok(())
    }

    /// Answers what the group told last; once in a round while the broker says "again", so that a
    /// stop is seen meanwhile.
    fn answer_group(&mut self) -> Result<(), Trip> {
        let Some(answer) = self.unanswered.take() else { return Ok(()) };
        let answered = match &answer {
            Answer::Assign(partitions) => self.broker.assign(partitions),
            Answer::Unassign => self.broker.unassign(),
        };
        match answered {
            Err(BrokerError::Retriable(reason)) => {
                let what = "the group could not be answered";
                self.remarks.trying_again(what, &reason, false, self.now_ms);
                self.unanswered = Some(answer);
                return Ok(());
            }
            other => other?,
        }
        if let Answer::Assign(partitions) = answer {
            self.assigned(&partitions);
        }
        Ok(())
    }

    fn assigned(&mut self, partitions: &[u32]) {
        tracing::info!(?partitions, "assigned");
        self.shared.metrics.rebalanced(Rebalance::Assigned);
        let stores = &self.shared.stores;
        self.slots.retain(|partition, _| {
            let kept = partitions.contains(partition);
            if !kept {
                stores.remove(*partition);
            }
            kept
        });
        for partition in partitions {
            match self.slots.get_mut(partition) {
                Some(slot) => slot.state = SlotState::Verifying,
                None => {
                    let task = PartitionTask::new(self.task_config(*partition), 1, Phase::Live);
                    self.slots.insert(*partition, Slot::new(task));
                }
            }
        }
        // A rebuild may have happened while this member was away.
        self.lineage = None;
        (self.assigned, self.assigned_before) = (true, true);
        self.restoring = Some(Restoring { began_ms: self.now_ms, records: 0 });
        self.next_report_ms = 0;
    }

    /// Commits what is open, or rolls it back; the memory stays until the next assignment.
    fn revoked(&mut self, lost: bool) -> Result<(), Trip> {
        tracing::info!(lost, "revoked");
        self.shared.metrics.rebalanced(if lost { Rebalance::Lost } else { Rebalance::Revoked });
        self.assigned = false;
        self.shared.start.forget(self.index);
        if Mutation::RevokedTaskWrites.is_on() {
            return Ok(());
        }
        let result = match (self.transaction.is_open(), lost) {
            (true, false) => self.commit(),
            (true, true) => self.abort(AbortClass::Lost).map_err(Trip::End),
            (false, _) => {
                // A run that ends by itself touches tasks before it begins a transaction.
                self.roll_back(|state| state);
                Ok(())
            }
        };
        let result = match result {
            Err(Trip::Broker(error)) => self.recover(error).map_err(Trip::End),
            other => other,
        };
        for (partition, slot) in &mut self.slots {
            if matches!(slot.state, SlotState::Restoring(_)) {
                self.broker.close_changelog(*partition);
            }
            slot.clear_queues();
        }
        // Only a task that was complete is worth keeping. What was rolled back stands at its last
        // commit, so it is also good after a session that was lost while nobody took over, as
        // when the group's coordinator dies. Nobody is shown it, though: others may have moved on.
        let stores = &self.shared.stores;
        self.slots.retain(|partition, slot| {
            let complete = matches!(
                slot.state,
                SlotState::Running | SlotState::Seeking | SlotState::Verifying | SlotState::Kept
            );
            if lost || !complete {
                stores.remove(*partition);
            }
            slot.state = SlotState::Kept;
            complete
        });
        self.next_report_ms = 0;
        result
    }
}
