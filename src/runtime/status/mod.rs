//! What the workers are doing, for people and probes: a copy that the workers keep up to date.
//!
//! Nothing decides by it; the truth is in the workers and in Kafka. Each worker writes its own
//! part once per round, HTTP reads. Next: `task.rs`, one task; `cluster.rs`, whether Kafka answers;
//! `report.rs`, what is told.

mod cluster;
mod report;
mod task;

pub use cluster::{Away, ClusterHealth};
pub use task::{HeldBy, InputStatus, Reevaluation, TaskState, TaskStatus};

use crate::domain::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A hold that is longer is told, in seconds: with all tasks at their ends it lasts a few.
const TELL_HOLD_SECONDS: i64 = 60;

/// The status of the process.
#[derive(Debug)]
pub struct Status {
    workers: Vec<Arc<WorkerSlot>>,
    cluster: ClusterHealth,
    troubles: Mutex<BTreeMap<Trouble, String>>,
    /// Partitions of the inputs, over all instances; 0 = not known yet.
    partitions: AtomicU32,
    stopping: AtomicBool,
}

/// What may be wrong with the surroundings of the process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Trouble {
    /// The last error that the Kafka client told.
    Broker,
    /// The schema registry does not answer.
    Registry,
    /// Others are in the consumer group that do not belong there.
    Group,
}

impl Trouble {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Registry => "registry",
            Self::Group => "group",
        }
    }
}

/// What one worker tells of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerStatus {
    /// The group has assigned tasks to it, perhaps none.
    pub joined: bool,
    /// Wall time of its last commit.
    pub last_commit_at: Option<Timestamp>,
    /// Its tasks by partition: assigned ones and those kept from before a rebalance.
    pub tasks: BTreeMap<u32, TaskStatus>,
}

#[derive(Debug, Default)]
struct WorkerSlot {
    /// Monotonic milliseconds of the last round; 0 before the first.
    beat_ms: AtomicI64,
    dead: AtomicBool,
    status: Mutex<WorkerStatus>,
}

/// The end of a worker's thread that writes. When it is dropped, the worker is taken for dead.
#[derive(Debug)]
pub struct WorkerReporter {
    slot: Arc<WorkerSlot>,
}

impl Status {
    /// A status of `workers` workers, none of which has joined.
    #[must_use]
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            workers: (0..workers).map(|_| Arc::default()).collect(),
            cluster: ClusterHealth::default(),
            troubles: Mutex::default(),
            partitions: AtomicU32::new(0),
            stopping: AtomicBool::new(false),
        })
    }

    /// The writing end for worker `index`, whose thread starts at `now_ms` (monotonic).
    ///
    /// # Panics
    /// When there is no such worker.
    #[must_use]
    pub fn reporter(&self, index: usize, now_ms: i64) -> WorkerReporter {
        let slot = Arc::clone(&self.workers[index]);
        slot.dead.store(false, Ordering::Relaxed);
        let reporter = WorkerReporter { slot };
        reporter.beat(now_ms);
        reporter
    }

    /// Whether the Kafka cluster answers.
    #[must_use]
    pub const fn cluster(&self) -> &ClusterHealth {
        &self.cluster
    }

    /// The inputs have this many partitions; before it is told nothing is known of them.
    pub fn set_partitions(&self, partitions: u32) {
        self.partitions.store(partitions, Ordering::Relaxed);
    }

    /// Sets or clears a trouble.
    pub fn set_trouble(&self, trouble: Trouble, text: Option<String>) {
        let mut troubles = lock(&self.troubles);
        match text {
            Some(text) => troubles.insert(trouble, text),
            None => troubles.remove(&trouble),
        };
    }

    /// The process was asked to stop: it is alive and no longer ready.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the cluster answers, nobody else is in the group, every worker is joined, and every
    /// task that is assigned is restored.
    ///
    /// # Errors
    /// The reasons why not, in plain sentences.
    pub fn ready(&self) -> Result<(), Vec<String>> {
        let mut reasons = Vec::new();
        if self.stopping.load(Ordering::Relaxed) {
            reasons.push("the process is stopping".to_owned());
        }
        let away = self.cluster.away();
        reasons.extend(away.as_ref().map(Away::to_string));
        for (index, slot) in self.workers.iter().enumerate() {
            if slot.dead.load(Ordering::Relaxed) {
                reasons.push(format!("worker {index} has ended"));
                continue;
            }
            let worker = lock(&slot.status);
            if !worker.joined {
                reasons.push(format!("worker {index} has not joined the consumer group yet"));
            }
            for (partition, task) in &worker.tasks {
                reasons.extend(task.state.not_ready(*partition));
            }
        }
        let troubles = lock(&self.troubles);
        reasons.extend(troubles.get(&Trouble::Group).cloned());
        if reasons.is_empty() {
            return Ok(());
        }
        for (trouble, text) in &*troubles {
            let told = match trouble {
                Trouble::Broker => away.is_some(),
                Trouble::Group => true,
                Trouble::Registry => false,
            };
            if told {
                continue;
            }
            reasons.push(format!("last error of the {}: {text}", trouble.name()));
        }
        Err(reasons)
    }

    /// What goes on beside live events and keeps nobody from being ready, in plain sentences.
    #[must_use]
    pub fn under_way(&self) -> Vec<String> {
        let mut told = Vec::new();
        for worker in self.worker_copies() {
            for (partition, task) in &worker.tasks {
                let seconds = task.hold_ms() / 1000;
                if seconds >= TELL_HOLD_SECONDS {
                    told.push(format!(
                        "partition {partition} waits for the other partitions with what has been \
                         due for up to {seconds} s: they may still have events of its customers"
                    ));
                }
                if task.held_by == HeldBy::NewerProgram {
                    told.push(format!(
                        "partition {partition} stands still: a record of the relay is of a newer \
                         program or a later lineage; hint: run that program here, or restart"
                    ));
                }
                let Some(Reevaluation { revision, left, .. }) = task.reevaluation else { continue };
                let customers = task.customers;
                told.push(format!(
                    "partition {partition} judges its customers by rules revision {revision}: \
                     {left} of {customers} left"
                ));
            }
        }
        told
    }

    /// Whether every worker's thread runs and has looped within `stalled_after`; `now_ms` is
    /// monotonic. A worker whose thread has not started yet is alive.
    ///
    /// # Errors
    /// The reasons why not, in plain sentences.
    pub fn alive(&self, now_ms: i64, stalled_after: Duration) -> Result<(), Vec<String>> {
        let limit = i64::try_from(stalled_after.as_millis()).unwrap_or(i64::MAX);
        let stopping = self.stopping.load(Ordering::Relaxed);
        let mut reasons = Vec::new();
        for (index, slot) in self.workers.iter().enumerate() {
            if slot.dead.load(Ordering::Relaxed) {
                if !stopping {
                    reasons.push(format!("worker {index} has ended"));
                }
                continue;
            }
            let beat_ms = slot.beat_ms.load(Ordering::Relaxed);
            if beat_ms > 0 && now_ms - beat_ms > limit {
                let seconds = (now_ms - beat_ms) / 1000;
                reasons.push(format!("worker {index} has not looped for {seconds} s"));
            }
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    fn worker_copies(&self) -> Vec<WorkerStatus> {
        self.workers.iter().map(|slot| lock(&slot.status).clone()).collect()
    }
}

impl WorkerReporter {
    /// The worker has begun a round; `now_ms` is monotonic.
    pub fn beat(&self, now_ms: i64) {
        self.slot.beat_ms.store(now_ms.max(1), Ordering::Relaxed);
    }

    /// Changes what is told of the worker; readers see all of it or nothing.
    pub fn update(&self, change: impl FnOnce(&mut WorkerStatus)) {
        change(&mut lock(&self.slot.status));
    }

    /// Changes what is told of a task, which is created when it is new.
    pub fn update_task(&self, partition: u32, change: impl FnOnce(&mut TaskStatus)) {
        change(lock(&self.slot.status).tasks.entry(partition).or_default());
    }
}

impl Drop for WorkerReporter {
    fn drop(&mut self) {
        self.slot.dead.store(true, Ordering::Relaxed);
    }
}

/// A copy that a panicking writer left is still worth reading.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_joined_and_restored_and_the_reasons_are_sentences() {
        let status = Status::new(2);
        let first = status.reporter(0, 5);
        let second = status.reporter(1, 5);
        first.update(|worker| worker.joined = true);
        first.update_task(3, |task| task.state = TaskState::Restoring { records: 17 });
        first.update_task(4, |task| task.state = TaskState::Running);
        first.update_task(5, |task| {
            task.state = TaskState::Blocked {
                reason: "its state was written by rules revision 5, this instance has 4".into(),
            };
        });
        first.update_task(6, |task| task.state = TaskState::Suspended);
        status.set_trouble(Trouble::Broker, Some("all brokers are down".into()));
        assert_eq!(
            status.ready().unwrap_err(),
            [
                "partition 3 is being restored, 17 records so far",
                "does not run partition 5: its state was written by rules revision 5, this \
                 instance has 4",
                "worker 1 has not joined the consumer group yet",
                "last error of the broker: all brokers are down",
            ]
        );
        first.update_task(3, |task| task.state = TaskState::Running);
        first.update(|worker| {
            worker.tasks.remove(&5);
        });
        second.update(|worker| worker.joined = true);
        assert_eq!(status.ready(), Ok(()), "an empty assignment and old errors do not matter");
        status.stop();
        assert_eq!(status.ready().unwrap_err()[0], "the process is stopping");
    }

    #[test]
    fn a_cluster_that_is_away_is_told_with_its_last_error_and_since_when() {
        let status = Status::new(1);
        let worker = status.reporter(0, 5);
        worker.update(|worker| worker.joined = true);
        status.set_trouble(Trouble::Broker, Some("could not commit".into()));
        status.cluster().failed(0, Timestamp(0), Timestamp(9_000), "all brokers are down");
        assert_eq!(
            status.ready().unwrap_err(),
            ["the cluster has not answered since 1970-01-01T00:00:00.000Z: all brokers are down"]
        );
        status.cluster().answered(0, Timestamp(10_000));
        assert_eq!(status.ready(), Ok(()));
        status.set_trouble(Trouble::Group, Some("somebody else is in the group".into()));
        let told = ["somebody else is in the group", "last error of the broker: could not commit"];
        assert_eq!(status.ready().unwrap_err(), told);
    }

    #[test]
    fn alive_means_that_every_thread_runs_and_loops() {
        let status = Status::new(2);
        let limit = Duration::from_secs(10);
        assert_eq!(status.alive(50_000, limit), Ok(()), "not started is not stalled");
        let first = status.reporter(0, 50_000);
        let second = status.reporter(1, 50_000);
        assert_eq!(status.alive(60_000, limit), Ok(()));
        first.beat(60_000);
        assert_eq!(status.alive(62_500, limit).unwrap_err(), ["worker 1 has not looped for 12 s"]);
        drop(second);
        assert_eq!(status.alive(62_500, limit).unwrap_err(), ["worker 1 has ended"]);
        status.stop();
        assert_eq!(status.alive(62_500, limit), Ok(()), "ending is what was asked for");
    }
}
