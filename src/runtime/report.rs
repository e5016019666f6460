//! What a worker tells of its tasks, a few times a second.
//!
//! Copies only; nothing decides by it. Next: `status/task.rs`.

use crate::domain::time::Timestamp;
use crate::runtime::broker::{Broker, Input, Record};
use crate::runtime::clock::Clock;
use crate::runtime::slot::{Slot, SlotState};
use crate::runtime::status::{HeldBy, InputStatus, TaskState, TaskStatus};
use crate::runtime::worker::Worker;
use std::collections::BTreeMap;

/// Time between two reports, in ms.
const REPORT_MS: i64 = 200;

/// An assignment whose tasks do not all run yet.
#[derive(Debug)]
pub(super) struct Restoring {
    /// Monotonic ms of the assignment.
    pub(super) began_ms: i64,
    /// Changelog records read since.
    pub(super) records: u64,
}

impl<B: Broker, C: Clock> Worker<B, C> {
    /// Tells what the tasks are doing, unless it was told just before.
    pub(super) fn report(&mut self) {
        if self.now_ms < self.next_report_ms {
            return;
        }
        self.next_report_ms = self.now_ms + REPORT_MS;
        self.remarks.tell_refused(self.now_ms);
        self.tell_ready();
        let (wall, now_ms) = (self.settings.wall_clock, self.now_ms);
        let tasks: BTreeMap<u32, TaskStatus> =
            self.slots.iter_mut().map(|(at, slot)| (*at, status(slot, wall, now_ms))).collect();
        let joined = self.assigned;
        self.reporter.update(|worker| {
            worker.joined = joined;
            worker.tasks = tasks;
        });
    }

    /// One line when everything that was assigned runs.
    fn tell_ready(&mut self) {
        let settled = |slot: &Slot<B::Record>| {
            matches!(slot.state, SlotState::Running | SlotState::Blocked(_))
        };
        if !self.assigned || !self.slots.values().all(settled) {
            return;
        }
        let Some(Restoring { began_ms, records }) = self.restoring.take() else { return };
        let running = || self.slots.values().filter(|slot| slot.is_running());
        #[expect(clippy::cast_precision_loss, reason = "a duration in seconds for people")]
        let seconds = (self.now_ms - began_ms) as f64 / 1000.0;
        tracing::info!(
            partitions = running().count(),
            customers = running().map(|slot| slot.task.store().len()).sum::<usize>(),
            records,
            seconds,
            "ready"
        );
    }
}

fn status<R: Record>(slot: &mut Slot<R>, follows_wall: bool, now_ms: i64) -> TaskStatus {
    let reevaluation = slot.reevaluation(now_ms);
    let task = &slot.task;
    let state = match &slot.state {
        SlotState::Starting => TaskState::Created,
        SlotState::Restoring(restore) => TaskState::Restoring { records: restore.records },
        SlotState::Verifying | SlotState::Seeking => TaskState::Restoring { records: 0 },
        SlotState::Running => TaskState::Running,
        SlotState::Kept => TaskState::Suspended,
        SlotState::Blocked(reason) => TaskState::Blocked { reason: reason.clone() },
    };
    let ends = slot.last_ends();
    let timers = task.store().timers();
    let waits = task.timer_clock().plus_ms(1)..=task.clock();
    TaskStatus {
        held_by: if state == TaskState::Running { slot.held_by } else { HeldBy::Restore },
        state,
        clock: Some(task.clock()).filter(|clock| *clock != Timestamp::MIN),
        follows_wall,
        inputs: Input::ALL.map(|input| {
            let next_offset = task.inputs()[input.index()].next_offset;
            InputStatus {
                next_offset,
                end_offset: ends[input.index()],
                waiting_since: slot.oldest_waiting[input.index()],
            }
        }),
        customers: task.store().len() as u64,
        reevaluation,
        state_bytes: task.estimated_bytes(),
        redirects: task.redirects(),
        relay_waiting: task.waiting(),
        timers_pending: timers.len() as u64,
        oldest_due_at: timers.first().filter(|first| *first <= task.timer_clock()),
        oldest_held_at: timers.first().filter(|first| waits.contains(first)),
        commit_count: task.commit_counter(),
        last_commit_at: slot.last_commit_at,
    }
}
