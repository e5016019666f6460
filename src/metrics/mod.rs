//! Every metric: its name, help, unit and labels, in a registry of its own.
//!
//! Labels are bounded: topics, partitions, kinds, reasons, names of dimensions and their values.
//! A customer id is never one of them. What happens per event is counted in a
//! [`TransactionTally`] and added here when its transaction has committed; what is true of a
//! moment is a [`Snapshot`], taken when somebody asks.
//! Next: `tally.rs`, then `runtime/status`, where snapshots come from.

mod budget;
mod labels;
mod registration;
mod snapshot;
mod tally;

pub use labels::{AbortClass, Rebalance};
pub use prometheus::TEXT_FORMAT;
pub use snapshot::{InputGauges, Snapshot, TaskGauges};
pub use tally::TransactionTally;

use crate::domain::refusal::Reason;
use crate::domain::time::Timestamp;
use budget::MinuteCount;
#[cfg(target_os = "linux")]
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Counter, GaugeVec, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
    TextEncoder,
};
use registration::{counter, counters, gauge, gauges, gauges_f64, histogram, options, register};
use std::sync::{Mutex, PoisonError};

/// Every metric of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    rendering: Mutex<()>,
    dead_letter_minutes: Mutex<MinuteCount>,
    dead_letter_budget: u64,

    // Counted per event, through a `TransactionTally`.
    events: IntCounterVec,
    input_records: IntCounterVec,
    input_bytes: IntCounterVec,
    duplicate_events: IntCounter,
    late_events: IntCounter,
    clamped_events: IntCounter,
    parked_events: IntCounter,
    unmatched_events: IntCounter,
    misrouted_events: IntCounter,
    clipped_refunds: IntCounter,
    evicted_entries: IntCounter,
    dead_letters: IntCounterVec,
    changes: IntCounterVec,
    suppressed_changes: IntCounter,
    withheld_changes: IntCounter,
    unscored_interactions: IntCounter,
    erased_customers: IntCounter,
    events_after_erase: IntCounter,
    reevaluated_customers: IntCounter,
    relay_unproven: IntCounter,
    relay_records: IntCounterVec,
    relay_hops: IntCounter,
    relay_arrivals: IntCounter,
    shared_visitors: IntCounter,
    forgotten_visitors: IntCounter,
    output_records: IntCounterVec,
    end_to_end_latency: Histogram,

    // Counted where they happen.
    commit_duration: Histogram,
    transaction_aborts: IntCounterVec,
    producer_reinits: IntCounter,
    rebalances: IntCounterVec,
    holds_given_up: IntCounter,
    restore_records: IntCounter,
    restore_seconds: Counter,

    // True of a moment: set from a `Snapshot`.
    dead_letters_over_budget: IntGauge,
    ready: IntGauge,
    broker_up: IntGauge,
    partitions: IntGauge,
    tasks: IntGaugeVec,
    last_commit: GaugeVec,
    segment_volatility: GaugeVec,
    customers: IntGaugeVec,
    state_bytes: IntGaugeVec,
    redirects: IntGaugeVec,
    relay_waiting: IntGaugeVec,
    timers_pending: IntGaugeVec,
    reevaluation_left: IntGaugeVec,
    timer_overdue: GaugeVec,
    timer_hold: GaugeVec,
    task_clock_lag: GaugeVec,
    input_lag_records: IntGaugeVec,
    input_lag_seconds: GaugeVec,
}

/// Seconds from a record's timestamp to the commit of what it brought about.
const LATENCY_BUCKETS: [f64; 15] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0];
/// Seconds from the drain of the producer to the answer to the commit.
const COMMIT_BUCKETS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

impl Metrics {
    /// Registers every metric. More than `dead_letter_budget` dead letters per minute in the whole
    /// process raise `ebbflow_dead_letters_over_budget`.
    ///
    /// # Errors
    /// When two metrics share a name.
    pub fn new(rules_revision: u32, dead_letter_budget: u64) -> Result<Self, prometheus::Error> {
        let to = Registry::new();
        // Memory, CPU, start time: under the names that every client library gives them.
        #[cfg(target_os = "linux")]
        to.register(Box::new(ProcessCollector::for_self()))?;
        let build_info = gauges(
            &to,
            "build_info",
            "Always 1; the label tells which version this is.",
            &["version"],
        )?;
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        gauge(&to, "rules_revision", "Revision of the rules that this process runs.")?
            .set(i64::from(rules_revision));
        let metrics = Self {
            events: counters(
                &to,
                "events_total",
                "Events applied, by input topic and kind; unknown kinds are one.",
                &["topic", "kind"],
            )?,
            input_records: counters(
                &to,
                "input_records_total",
                "Records consumed, also those that were refused.",
                &["topic"],
            )?,
            input_bytes: counters(
                &to,
                "input_bytes_total",
                "Bytes of the keys and values of the records consumed.",
                &["topic"],
            )?,
            duplicate_events: counter(
                &to,
                "duplicate_events_total",
                "Events that changed nothing because they had been applied.",
            )?,
            late_events: counter(
                &to,
                "late_events_total",
                "Events applied whose effective time lies before the customer's last evaluation.",
            )?,
            clamped_events: counter(
                &to,
                "clamped_events_total",
                "Events whose time was ahead of their record's and was held at it.",
            )?,
            parked_events: counter(
                &to,
                "parked_events_total",
                "Refunds, cancellations and updates that wait for their order.",
            )?,
            unmatched_events: counter(
                &to,
                "unmatched_events_total",
                "Parked events whose order never came.",
            )?,
            misrouted_events: counter(
                &to,
                "misrouted_events_total",
                "Events that belong to the subject of another partition.",
            )?,
            clipped_refunds: counter(
                &to,
                "clipped_refunds_total",
                "Refunds above what was left of their order.",
            )?,
            evicted_entries: counter(
                &to,
                "evicted_entries_total",
                "Entries that fell out of a customer's bounded memory.",
            )?,
            dead_letters: counters(
                &to,
                "dead_letters_total",
                "Records that were refused, by input topic and reason.",
                &["topic", "reason"],
            )?,
            changes: counters(
                &to,
                "changes_total",
                "Segment changes committed, by dimension, new value and cause.",
                &["dimension", "value", "cause"],
            )?,
            suppressed_changes: counter(
                &to,
                "suppressed_changes_total",
                "Changes of raw values that have to wait for a dwell or a cool-down.",
            )?,
            withheld_changes: counter(
                &to,
                "withheld_changes_total",
                "Changes of raw values that have to wait for the customer's consent.",
            )?,
            unscored_interactions: counter(
                &to,
                "unscored_interactions_total",
                "Interactions that came too late to be scored for engagement.",
            )?,
            erased_customers: counter(
                &to,
                "erased_customers_total",
                "Customers erased, known before or not.",
            )?,
            events_after_erase: counter(
                &to,
                "events_after_erase_total",
                "Events that were dropped because their customer was erased.",
            )?,
            reevaluated_customers: counter(
                &to,
                "reevaluated_customers_total",
                "Customers judged anew by a higher revision of the rules.",
            )?,
            relay_records: counters(
                &to,
                "relay_records_total",
                "Records written to the relay, by what they tell: see docs/identity.md.",
                &["reason"],
            )?,
            relay_hops: counter(
                &to,
                "relay_hops_total",
                "Subjects that forwarded what was told another one; by relay_arrivals_total, the \
                 mean length of the way.",
            )?,
            relay_arrivals: counter(
                &to,
                "relay_arrivals_total",
                "Events, and what else subjects tell one another, that came to their subject.",
            )?,
            shared_visitors: counter(
                &to,
                "shared_visitors_total",
                "Times that a visitor who is known as one customer was named with another one.",
            )?,
            forgotten_visitors: counter(
                &to,
                "forgotten_visitors_total",
                "Visitors forgotten since nothing was heard of them for identity.keep_visitors.",
            )?,
            relay_unproven: counter(
                &to,
                "relay_unproven_total",
                "Records of the relay that made timers fire before all partitions had come as \
                 far, as too many others were waiting already.",
            )?,
            output_records: counters(
                &to,
                "output_records_total",
                "Records committed, by output topic.",
                &["output"],
            )?,
            end_to_end_latency: histogram(
                &to,
                "end_to_end_latency_seconds",
                "From the timestamp of an input record to the commit of what it brought about.",
                &LATENCY_BUCKETS,
            )?,
            commit_duration: histogram(
                &to,
                "commit_duration_seconds",
                "From the last record sent to the answer to the commit.",
                &COMMIT_BUCKETS,
            )?,
            transaction_aborts: counters(
                &to,
                "transaction_aborts_total",
                "Transactions that were not committed, by class.",
                &["class"],
            )?,
            producer_reinits: counter(
                &to,
                "producer_reinits_total",
                "Producers that took the place of a fenced, broken or doubtful one.",
            )?,
            rebalances: counters(
                &to,
                "rebalances_total",
                "Answers to the consumer group, by kind.",
                &["kind"],
            )?,
            holds_given_up: counter(
                &to,
                "holds_given_up_total",
                "Tasks that timers no longer wait for, since they did not get on for \
                 relay.max_hold.",
            )?,
            restore_records: counter(
                &to,
                "restore_records_total",
                "Changelog records read to restore tasks.",
            )?,
            restore_seconds: {
                let counter = Counter::with_opts(options(
                    "restore_seconds_total",
                    "Time spent on restoring tasks, added up over the tasks.",
                ))?;
                register(&to, counter)?
            },
            dead_letters_over_budget: gauge(
                &to,
                "dead_letters_over_budget",
                "Dead letters of this or the last minute above the budget; 0 when within.",
            )?,
            ready: gauge(&to, "ready", "1 when /readyz answers 200.")?,
            broker_up: gauge(&to, "broker_up", "1 while the Kafka cluster answers.")?,
            partitions: gauge(
                &to,
                "partitions",
                "Partitions of the inputs, each a task of some instance; 0 before it is known.",
            )?,
            tasks: gauges(&to, "tasks", "Tasks by state.", &["state"])?,
            last_commit: gauges_f64(
                &to,
                "last_commit_timestamp_seconds",
                "Wall time of the last commit in seconds since the Unix epoch; 0 before the first.",
                &["worker"],
            )?,
            segment_volatility: gauges_f64(
                &to,
                "segment_volatility",
                "Segment changes committed since the start by customer in memory, by dimension.",
                &["dimension"],
            )?,
            customers: gauges(&to, "customers", "Customers in memory.", &["partition"])?,
            redirects: gauges(
                &to,
                "redirects",
                "Redirects: ids that have become another subject's.",
                &["partition"],
            )?,
            relay_waiting: gauges(
                &to,
                "relay_waiting_records",
                "Relayed records that wait for other partitions, by partition.",
                &["partition"],
            )?,
            state_bytes: gauges(
                &to,
                "state_bytes",
                "Estimated memory of the customers' states, the marks of erased ones and the \
                 redirects.",
                &["partition"],
            )?,
            timers_pending: gauges(
                &to,
                "timers_pending",
                "Customers with a deadline ahead or due.",
                &["partition"],
            )?,
            reevaluation_left: gauges(
                &to,
                "reevaluation_customers_left",
                "Customers that are still to be judged by the present rules; 0 when all are.",
                &["partition"],
            )?,
            timer_overdue: gauges_f64(
                &to,
                "timer_overdue_seconds",
                "How far the task's clock is past its oldest timer that has not fired.",
                &["partition"],
            )?,
            timer_hold: gauges_f64(
                &to,
                "timer_hold_seconds",
                "How far the task's clock is past its oldest timer that waits for other tasks.",
                &["partition"],
            )?,
            task_clock_lag: gauges_f64(
                &to,
                "task_clock_lag_seconds",
                "How far the task's clock is behind the wall clock, by what holds it.",
                &["partition", "held_by"],
            )?,
            input_lag_records: gauges(
                &to,
                "input_lag_records",
                "Offsets between the next record and the end of the log.",
                &["topic", "partition"],
            )?,
            input_lag_seconds: gauges_f64(
                &to,
                "input_lag_seconds",
                "Age of the oldest record that waits; 0 at the end of the log.",
                &["topic", "partition"],
            )?,
            registry: to,
            rendering: Mutex::new(()),
            dead_letter_minutes: Mutex::new(MinuteCount::default()),
            dead_letter_budget,
        };
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// Counters appear with their bounded labels at once, so that a rate over them sees the first
    /// increment.
    fn begin_at_zero(&self) {
        for topic in ["purchases", "interactions"] {
            for reason in Reason::ALL {
                self.dead_letters.with_label_values(&[topic, reason.code()]);
            }
        }
        for class in AbortClass::ALL {
            self.transaction_aborts.with_label_values(&[class.name()]);
        }
        for kind in Rebalance::ALL {
            self.rebalances.with_label_values(&[kind.name()]);
        }
    }

    /// A transaction was committed; `seconds` since its last record was sent.
    pub fn committed(&self, seconds: f64) {
        self.commit_duration.observe(seconds);
    }

    /// A transaction was aborted, or given up with its producer.
    pub fn aborted(&self, class: AbortClass) {
        self.transaction_aborts.with_label_values(&[class.name()]).inc();
    }

    /// A producer took the place of an earlier one of this process.
    pub fn producer_reinitialised(&self) {
        self.producer_reinits.inc();
    }

    /// Timers do not wait for so many tasks any more.
    pub fn holds_given_up(&self, tasks: u64) {
        self.holds_given_up.inc_by(tasks);
    }

    /// The consumer group spoke.
    pub fn rebalanced(&self, kind: Rebalance) {
        self.rebalances.with_label_values(&[kind.name()]).inc();
    }

    /// Changelog records were read; `seconds` of the task's restoring have passed meanwhile.
    pub fn restored(&self, records: u64, seconds: f64) {
        self.restore_records.inc_by(records);
        self.restore_seconds.inc_by(seconds.max(0.0));
    }

    /// All metrics in the text format of Prometheus. Series of tasks that are not in the snapshot
    /// are gone from it.
    ///
    /// # Errors
    /// When the encoder refuses a metric.
    pub fn render(&self, now: Timestamp, snapshot: &Snapshot) -> Result<String, prometheus::Error> {
        // One at a time: a second reader must not see the gauges between reset and set.
        let _rendering = self.rendering.lock().unwrap_or_else(PoisonError::into_inner);
        self.show(snapshot);
        let over = self.dead_letter_minutes().most(now).saturating_sub(self.dead_letter_budget);
        self.dead_letters_over_budget.set(whole(over));
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    fn dead_letter_minutes(&self) -> std::sync::MutexGuard<'_, MinuteCount> {
        self.dead_letter_minutes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A count as a gauge takes it.
fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
