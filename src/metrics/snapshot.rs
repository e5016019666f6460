//! What is true of a moment: the gauges of the workers and tasks.
//!
//! Made from `runtime::status` for each answer to `/metrics`, so that the series of a task that
//! has gone do not outlive it. Next: `runtime/status/report.rs`, which makes it.

use super::{Metrics, whole};
use prometheus::IntGaugeVec;
use prometheus::core::Collector;
use std::collections::BTreeMap;

/// The gauges of the process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Whether `/readyz` answers 200.
    pub ready: bool,
    /// Whether the Kafka cluster answers.
    pub broker_up: bool,
    /// Partitions of the inputs, over all instances; 0 = not known yet.
    pub partitions: u64,
    /// How many tasks are in each state; every state is named.
    pub tasks_by_state: Vec<(&'static str, u64)>,
    /// Wall time of the last commit by worker, in seconds since the Unix epoch.
    pub last_commits: Vec<(usize, f64)>,
    /// The tasks that are assigned.
    pub tasks: Vec<TaskGauges>,
}

/// The gauges of one task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskGauges {
    /// Its partition.
    pub partition: u32,
    /// Customers in memory.
    pub customers: u64,
    /// Estimated memory of their states.
    pub state_bytes: u64,
    /// Ids that have become another subject's.
    pub redirects: u64,
    /// Relayed records that wait for other tasks.
    pub relay_waiting: u64,
    /// Timers in the queue.
    pub timers_pending: u64,
    /// Customers that are still to be judged by the present rules.
    pub reevaluation_left: u64,
    /// How far the clock is past the oldest timer, in seconds.
    pub timer_overdue_seconds: f64,
    /// How far the clock is past the oldest timer that waits for other tasks, in seconds.
    pub timer_hold_seconds: f64,
    /// How far the clock is behind the wall clock, in seconds; `None` while it has no time or
    /// follows the events alone.
    pub clock_lag_seconds: Option<f64>,
    /// What holds the clock.
    pub held_by: &'static str,
    /// Its inputs.
    pub inputs: Vec<InputGauges>,
}

/// The gauges of one input of a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InputGauges {
    /// Name of the input.
    pub topic: &'static str,
    /// Offsets up to the end of the log.
    pub lag_records: u64,
    /// Age of the oldest record that waits.
    pub lag_seconds: f64,
}

impl Metrics {
    /// Replaces the series of all tasks; the caller holds the lock of `render`.
    pub(super) fn show(&self, snapshot: &Snapshot) {
        self.reset_snapshot();
        self.ready.set(i64::from(snapshot.ready));
        self.broker_up.set(i64::from(snapshot.broker_up));
        self.partitions.set(whole(snapshot.partitions));
        for (state, count) in &snapshot.tasks_by_state {
            self.tasks.with_label_values(&[*state]).set(whole(*count));
        }
        for (worker, seconds) in &snapshot.last_commits {
            self.last_commit.with_label_values(&[worker.to_string()]).set(*seconds);
        }
        for task in &snapshot.tasks {
            self.show_task(task);
        }
        let customers: u64 = snapshot.tasks.iter().map(|task| task.customers).sum();
        self.show_volatility(customers);
    }

    /// Changes of each dimension by customer.
    #[expect(clippy::cast_precision_loss, reason = "a ratio for a gauge")]
    fn show_volatility(&self, customers: u64) {
        if customers == 0 {
            return;
        }
        let mut changes: BTreeMap<String, f64> = BTreeMap::new();
        for metric in self.changes.collect().iter().flat_map(|family| family.get_metric()) {
            let mut labels = metric.get_label().iter();
            if let Some(dimension) = labels.find(|label| label.name() == "dimension") {
                *changes.entry(dimension.value().to_owned()).or_default() +=
                    metric.get_counter().get_value();
            }
        }
        for (dimension, changes) in changes {
            let volatility = changes / customers as f64;
            self.segment_volatility.with_label_values(&[&dimension]).set(volatility);
        }
    }

    fn show_task(&self, task: &TaskGauges) {
        let partition = task.partition.to_string();
        let set = |gauge: &IntGaugeVec, value: u64| {
            gauge.with_label_values(&[&partition]).set(whole(value));
        };
        set(&self.customers, task.customers);
        set(&self.state_bytes, task.state_bytes);
        set(&self.redirects, task.redirects);
        set(&self.relay_waiting, task.relay_waiting);
        set(&self.timers_pending, task.timers_pending);
        set(&self.reevaluation_left, task.reevaluation_left);
        self.timer_overdue.with_label_values(&[&partition]).set(task.timer_overdue_seconds);
        self.timer_hold.with_label_values(&[&partition]).set(task.timer_hold_seconds);
        if let Some(seconds) = task.clock_lag_seconds {
            self.task_clock_lag.with_label_values(&[partition.as_str(), task.held_by]).set(seconds);
        }
        for input in &task.inputs {
            let labels = [input.topic, partition.as_str()];
            self.input_lag_records.with_label_values(&labels).set(whole(input.lag_records));
            self.input_lag_seconds.with_label_values(&labels).set(input.lag_seconds);
        }
    }

    fn reset_snapshot(&self) {
        for gauge in [
            &self.tasks,
            &self.customers,
            &self.state_bytes,
            &self.redirects,
            &self.relay_waiting,
            &self.timers_pending,
            &self.reevaluation_left,
            &self.input_lag_records,
        ] {
            gauge.reset();
        }
        for gauge in [
            &self.last_commit,
            &self.segment_volatility,
            &self.timer_overdue,
            &self.timer_hold,
            &self.task_clock_lag,
            &self.input_lag_seconds,
        ] {
            gauge.reset();
        }
    }
}
