//! The status as others read it: gauges for `/metrics`, values for `/tasks`.
//!
//! Computes ages from the wall time that it is given. Next: `http`, which encodes them.

use super::{Status, TaskState, TaskStatus, Trouble, WorkerStatus, lock};
use crate::domain::time::Timestamp;
use crate::metrics::{InputGauges, Snapshot, TaskGauges};
use crate::runtime::broker::Input;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

impl Status {
    /// The gauges at `now` (wall time).
    #[must_use]
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let workers = self.worker_copies();
        let mut by_state: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut tasks = Vec::new();
        for (partition, task) in workers.iter().flat_map(|worker| &worker.tasks) {
            *by_state.entry(task.state.name()).or_default() += 1;
            if task.state.assigned() {
                tasks.push(task.gauges(*partition, now));
            }
        }
        let count = |name| (name, by_state.get(name).copied().unwrap_or(0));
        let seconds = |worker: &WorkerStatus| worker.last_commit_at.map_or(0.0, |at| seconds(at.0));
        Snapshot {
            ready: self.ready().is_ok(),
            broker_up: self.cluster.is_up(),
            partitions: self.partitions.load(Ordering::Relaxed).into(),
            tasks_by_state: TaskState::NAMES.into_iter().map(count).collect(),
            last_commits: workers.iter().map(seconds).enumerate().collect(),
            tasks,
        }
    }

    /// The workers with their tasks, and the troubles of the process.
    #[must_use]
    pub fn report(&self) -> (Vec<WorkerStatus>, BTreeMap<Trouble, String>) {
        (self.worker_copies(), lock(&self.troubles).clone())
    }
}

impl TaskStatus {
    /// How far the clock is past the oldest timer that has not fired, in ms.
    #[must_use]
    pub fn overdue_ms(&self) -> i64 {
        match (self.clock, self.oldest_due_at) {
            (Some(clock), Some(due_at)) => clock.since(due_at).max(0),
            _ => 0,
        }
    }

    /// How far the clock is past the oldest timer that waits for other tasks, in ms.
    #[must_use]
    pub fn hold_ms(&self) -> i64 {
        match (self.clock, self.oldest_held_at) {
            (Some(clock), Some(held_at)) => clock.since(held_at).max(0),
            _ => 0,
        }
    }

    /// How far the clock is behind `now` (wall time), in ms; `None` while it has no time or
    /// follows the events alone.
    #[must_use]
    pub fn clock_lag_ms(&self, now: Timestamp) -> Option<i64> {
        self.clock.filter(|_| self.follows_wall).map(|clock| now.since(clock).max(0))
    }

    fn gauges(&self, partition: u32, now: Timestamp) -> TaskGauges {
        let input = |input: Input| {
            let status = &self.inputs[input.index()];
            InputGauges {
                topic: input.name(),
                lag_records: status.lag_records(),
                lag_seconds: seconds(status.lag_ms(now)),
            }
        };
        TaskGauges {
            partition,
            customers: self.customers,
            state_bytes: self.state_bytes,
            redirects: self.redirects,
            relay_waiting: self.relay_waiting,
            timers_pending: self.timers_pending,
            reevaluation_left: self.reevaluation.map_or(0, |reevaluation| reevaluation.left),
            timer_overdue_seconds: seconds(self.overdue_ms()),
            timer_hold_seconds: seconds(self.hold_ms()),
            clock_lag_seconds: self.clock_lag_ms(now).map(seconds),
            held_by: self.held_by.name(),
            inputs: Input::ALL.map(input).to_vec(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge needs no more than 53 bits")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::super::{HeldBy, InputStatus};
    use super::*;

    #[test]
    fn gauges_are_ages_at_the_time_of_asking_and_end_with_their_task() {
        let status = Status::new(1);
        let worker = status.reporter(0, 1);
        worker.update(|worker| {
            worker.joined = true;
            worker.last_commit_at = Some(Timestamp(1_500));
        });
        worker.update_task(7, |task| {
            *task = TaskStatus {
                state: TaskState::Running,
                clock: Some(Timestamp(8_000)),
                follows_wall: true,
                held_by: HeldBy::Input(Input::Purchases),
                oldest_due_at: Some(Timestamp(5_500)),
                oldest_held_at: Some(Timestamp(7_000)),
                ..TaskStatus::default()
            };
            task.inputs[Input::Purchases.index()] = InputStatus {
                next_offset: 10,
                end_offset: Some(14),
                waiting_since: Some(Timestamp(7_000)),
            };
        });
        let snapshot = status.snapshot(Timestamp(10_000));
        assert!(snapshot.ready);
        assert_eq!(snapshot.last_commits, [(0, 1.5)]);
        assert_eq!(snapshot.tasks_by_state[2], ("running", 1));
        let task = &snapshot.tasks[0];
        assert_eq!((task.clock_lag_seconds, task.held_by), (Some(2.0), "purchases"));
        assert_eq!((task.timer_overdue_seconds, task.partition), (2.5, 7));
        assert_eq!(task.timer_hold_seconds, 1.0);
        let lag = |lag_records, lag_seconds| (lag_records, lag_seconds);
        assert_eq!(lag(task.inputs[1].lag_records, task.inputs[1].lag_seconds), (4, 3.0));
        assert_eq!(lag(task.inputs[0].lag_records, task.inputs[0].lag_seconds), (0, 0.0));
        worker.update_task(7, |task| task.state = TaskState::Suspended);
        assert_eq!(status.snapshot(Timestamp(10_000)).tasks, []);
    }
}
