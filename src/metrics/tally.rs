//! What one open transaction did, counted without atomics by the worker that runs it.
//!
//! Only what was committed reaches the registry: an aborted transaction is read again, and would
//! be counted twice. Handles of labelled series are looked up once and kept.
//! Next: `mod.rs`, the metrics that this is added to.

use super::Metrics;
use crate::domain::apply::Relays;
use crate::domain::relay::REASONS;
use crate::domain::time::Timestamp;
use prometheus::{IntCounter, IntCounterVec};
use std::sync::Arc;

/// Counts of the open transaction of one worker.
#[derive(Debug)]
pub struct TransactionTally {
    metrics: Arc<Metrics>,
    /// Events that were duplicates.
    pub duplicates: u64,
    /// Events applied late.
    pub late: u64,
    /// Events whose time was clamped.
    pub clamped: u64,
    /// Events parked.
    pub parked: u64,
    /// Parked events given up.
    pub unmatched: u64,
    /// Events of another partition's subject.
    pub misrouted: u64,
    /// Refunds above what was left.
    pub clipped_refunds: u64,
    /// Entries that fell out of a customer's memory.
    pub evicted: u64,
    /// Changes that have to wait for a dwell or a cool-down.
    pub suppressed: u64,
    /// Changes that have to wait for consent.
    pub withheld: u64,
    /// Interactions too old to be scored.
    pub unscored: u64,
    /// Customers erased.
    pub erased: u64,
    /// Events of customers who were erased.
    pub after_erase: u64,
    /// Customers judged by new rules.
    pub reevaluated: u64,
    /// What went from subject to subject.
    pub relays: Relays,
    dead_letter_count: u64,
    recorded_at: Vec<Timestamp>,
    events: Series<[&'static str; 2]>,
    input_records: Series<[&'static str; 1]>,
    input_bytes: Series<[&'static str; 1]>,
    dead_letters: Series<[&'static str; 2]>,
    outputs: Series<[&'static str; 1]>,
    changes: Series<(String, String, &'static str)>,
}

impl Metrics {
    /// A tally for one worker.
    #[must_use]
    pub fn tally(self: &Arc<Self>) -> TransactionTally {
        TransactionTally {
            metrics: Arc::clone(self),
            duplicates: 0,
            late: 0,
            clamped: 0,
            parked: 0,
            unmatched: 0,
            misrouted: 0,
            clipped_refunds: 0,
            evicted: 0,
            suppressed: 0,
            withheld: 0,
            unscored: 0,
            erased: 0,
            after_erase: 0,
            reevaluated: 0,
            relays: Relays::default(),
            dead_letter_count: 0,
            recorded_at: Vec::new(),
            events: Series::new(),
            input_records: Series::new(),
            input_bytes: Series::new(),
            dead_letters: Series::new(),
            outputs: Series::new(),
            changes: Series::new(),
        }
    }
}

impl TransactionTally {
    /// A record was consumed: its input, the size of key and value in bytes, its timestamp.
    pub fn record(&mut self, topic: &'static str, bytes: u64, recorded_at: Option<Timestamp>) {
        self.input_records.add(&self.metrics.input_records, &[topic], 1);
        self.input_bytes.add(&self.metrics.input_bytes, &[topic], bytes);
        self.recorded_at.extend(recorded_at);
    }

    /// An event was applied.
    pub fn event(&mut self, topic: &'static str, kind: &'static str) {
        self.events.add(&self.metrics.events, &[topic, kind], 1);
    }

    /// A record of an input became a dead letter; `reason` is the stable code.
    pub fn dead_letter(&mut self, topic: &'static str, reason: &'static str) {
        self.dead_letter_count += 1;
        self.dead_letters.add(&self.metrics.dead_letters, &[topic, reason], 1);
    }

    /// The dead letters of the open transaction: topic, reason and how many.
    pub fn dead_letters(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let counts = self.dead_letters.met.iter().filter(|(_, count, _)| *count > 0);
        counts.map(|([topic, reason], count, _)| (*topic, *reason, *count))
    }

    /// A segment change was sent; `None` = the dimension closed.
    pub fn change(&mut self, dimension: &str, value: Option<&str>, cause: &'static str) {
        let value = value.unwrap_or("closed");
        let metric = &self.metrics.changes;
        self.changes.add_where(
            |(of, to, by)| *by == cause && to == value && of == dimension,
            1,
            || {
                let handle = metric.with_label_values(&[dimension, value, cause]);
                ((dimension.to_owned(), value.to_owned(), cause), handle)
            },
        );
    }

    /// Records were sent.
    pub fn sent(&mut self, output: &'static str, count: u64) {
        self.outputs.add(&self.metrics.output_records, &[output], count);
    }

    /// The transaction was committed at `now` (wall time): everything is added to the metrics.
    pub fn commit(&mut self, now: Timestamp) {
        let metrics = &self.metrics;
        for (counter, count) in [
            (&metrics.duplicate_events, self.duplicates),
            (&metrics.late_events, self.late),
            (&metrics.clamped_events, self.clamped),
            (&metrics.parked_events, self.parked),
            (&metrics.unmatched_events, self.unmatched),
            (&metrics.misrouted_events, self.misrouted),
            (&metrics.clipped_refunds, self.clipped_refunds),
            (&metrics.evicted_entries, self.evicted),
            (&metrics.suppressed_changes, self.suppressed),
            (&metrics.withheld_changes, self.withheld),
            (&metrics.unscored_interactions, self.unscored),
            (&metrics.erased_customers, self.erased),
            (&metrics.events_after_erase, self.after_erase),
            (&metrics.reevaluated_customers, self.reevaluated),
            (&metrics.relay_hops, self.relays.hops),
            (&metrics.relay_arrivals, self.relays.arrived),
            (&metrics.shared_visitors, self.relays.shared_visitors),
            (&metrics.forgotten_visitors, self.relays.forgotten_visitors),
            (&metrics.relay_unproven, self.relays.unproven),
        ] {
            counter.inc_by(count);
        }
        for (reason, sent) in REASONS.into_iter().zip(self.relays.sent) {
            if sent > 0 {
                metrics.relay_records.with_label_values(&[reason]).inc_by(sent);
            }
        }
        let latency = metrics.end_to_end_latency.local();
        for recorded_at in &self.recorded_at {
            latency.observe(seconds(now.since(*recorded_at)));
        }
        latency.flush();
        if self.dead_letter_count > 0 {
            metrics.dead_letter_minutes().add(now, self.dead_letter_count);
        }
        self.events.flush();
        self.input_records.flush();
        self.input_bytes.flush();
        self.dead_letters.flush();
        self.outputs.flush();
        self.changes.flush();
        self.discard();
    }

    /// The transaction was aborted: nothing of it counts.
    pub fn discard(&mut self) {
        self.duplicates = 0;
        self.late = 0;
        self.clamped = 0;
        self.parked = 0;
        self.unmatched = 0;
        self.misrouted = 0;
        self.clipped_refunds = 0;
        self.evicted = 0;
        self.suppressed = 0;
        (self.withheld, self.unscored) = (0, 0);
        (self.erased, self.after_erase, self.reevaluated) = (0, 0, 0);
        self.relays = Relays::default();
        self.dead_letter_count = 0;
        self.recorded_at.clear();
        self.events.clear();
        self.input_records.clear();
        self.input_bytes.clear();
        self.dead_letters.clear();
        self.outputs.clear();
        self.changes.clear();
    }
}

/// Milliseconds as seconds; a record from the future took no time.
#[expect(clippy::cast_precision_loss, reason = "a latency needs no more than 53 bits")]
fn seconds(ms: i64) -> f64 {
    ms.max(0) as f64 / 1000.0
}

/// The labelled series that a worker has met: label values, the count of the open transaction,
/// and the handle. They are few; a scan beats hashing.
#[derive(Debug)]
struct Series<L> {
    met: Vec<(L, u64, IntCounter)>,
}

impl<const N: usize> Series<[&'static str; N]> {
    fn add(&mut self, metric: &IntCounterVec, labels: &[&'static str; N], count: u64) {
        self.add_where(
            |met| met == labels,
            count,
            || (*labels, metric.with_label_values(labels.as_slice())),
        );
    }
}

impl<L> Series<L> {
    const fn new() -> Self {
        Self { met: Vec::new() }
    }

    fn add_where(
        &mut self,
        same: impl Fn(&L) -> bool,
        count: u64,
        open: impl FnOnce() -> (L, IntCounter),
    ) {
        match self.met.iter_mut().find(|(labels, _, _)| same(labels)) {
            Some((_, counted, _)) => *counted += count,
            None => {
                let (labels, handle) = open();
                self.met.push((labels, count, handle));
            }
        }
    }

    fn flush(&self) {
        for (_, count, handle) in &self.met {
            handle.inc_by(*count);
        }
    }

    fn clear(&mut self) {
        for (_, count, _) in &mut self.met {
            *count = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Snapshot;

    fn rendered(metrics: &Metrics, now: Timestamp) -> String {
        metrics.render(now, &Snapshot::default()).unwrap()
    }

    #[test]
    fn only_what_was_committed_is_counted() {
        let metrics = Arc::new(Metrics::new(1, 10).unwrap());
        let mut tally = metrics.tally();
        let fill = |tally: &mut TransactionTally| {
            tally.record("purchases", 120, Some(Timestamp(1_000)));
            tally.event("purchases", "order_completed");
            tally.change("rfm", Some("at_risk"), "timer");
            tally.change("rfm", None, "erase");
            tally.duplicates += 1;
            tally.sent("segment-changes", 2);
            tally.evicted += 3;
        };
        fill(&mut tally);
        tally.discard();
        fill(&mut tally);
        tally.commit(Timestamp(1_030));
        fill(&mut tally);
        tally.commit(Timestamp(1_030));
        let text = rendered(&metrics, Timestamp(2_000));
        for line in [
            "ebbflow_input_records_total{topic=\"purchases\"} 2",
            "ebbflow_input_bytes_total{topic=\"purchases\"} 240",
            "ebbflow_events_total{kind=\"order_completed\",topic=\"purchases\"} 2",
            "ebbflow_changes_total{cause=\"timer\",dimension=\"rfm\",value=\"at_risk\"} 2",
            "ebbflow_changes_total{cause=\"erase\",dimension=\"rfm\",value=\"closed\"} 2",
            "ebbflow_duplicate_events_total 2",
            "ebbflow_output_records_total{output=\"segment-changes\"} 4",
            "ebbflow_evicted_entries_total 6",
            "ebbflow_end_to_end_latency_seconds_bucket{le=\"0.025\"} 0",
            "ebbflow_end_to_end_latency_seconds_bucket{le=\"0.05\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn dead_letters_above_the_budget_of_a_minute_are_shown_and_forgotten() {
        let metrics = Arc::new(Metrics::new(1, 2).unwrap());
        let mut tally = metrics.tally();
        for _ in 0..5 {
            tally.dead_letter("purchases", "wrong_type");
        }
        tally.commit(Timestamp(600_000));
        let over = rendered(&metrics, Timestamp(600_001));
        assert!(over.contains("\nebbflow_dead_letters_over_budget 3\n"), "{over}");
        let count = "ebbflow_dead_letters_total{reason=\"wrong_type\",topic=\"purchases\"} 5";
        assert!(over.contains(count), "{over}");
        let after = rendered(&metrics, Timestamp(720_001));
        assert!(after.contains("\nebbflow_dead_letters_over_budget 0\n"), "{after}");
    }
}
