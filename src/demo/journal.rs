//! What the topic of segment changes told: every customer's changes, checked as they are read.
//!
//! Looks at nothing but the topic, as any consumer would. Next: `report.rs`, which shows it.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Longest journey that is shown whole.
const SHOWN_STEPS: usize = 14;

/// The part of a change record that the demo reads.
#[derive(Deserialize)]
struct ChangeRecord {
    seq: u64,
    customer_id: String,
    dimension: String,
    current: Option<String>,
    direction: String,
    occurred_at: String,
    cause: CauseRecord,
    summary: String,
}

#[derive(Deserialize)]
struct CauseRecord {
    kind: String,
}

/// One change of a customer.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) dimension: String,
    pub(super) current: Option<String>,
    pub(super) direction: String,
    pub(super) occurred_at: String,
    pub(super) summary: String,
}

/// All changes that were read.
#[derive(Debug, Default)]
pub(super) struct Journal {
    journeys: BTreeMap<String, Vec<Step>>,
    /// Changes by cause.
    pub(super) by_cause: BTreeMap<String, u64>,
    /// Changes read.
    pub(super) count: u64,
}

impl Journal {
    /// Takes a record of the topic.
    ///
    /// # Errors
    /// When it cannot be read, or is not the next change of its customer.
    pub(super) fn take(&mut self, record: &[u8]) -> Result<()> {
        let change: ChangeRecord =
            serde_json::from_slice(record).context("could not read a change")?;
        let id = &change.customer_id;
        let steps = match self.journeys.get_mut(id) {
            Some(steps) => steps,
            None => self.journeys.entry(id.clone()).or_default(),
        };
        if change.seq != steps.len() as u64 + 1 {
            bail!("change {} of a customer was read after {}", change.seq, steps.len());
        }
        steps.push(Step {
            dimension: change.dimension,
            current: change.current,
            direction: change.direction,
            occurred_at: change.occurred_at,
            summary: change.summary,
        });
        *self.by_cause.entry(change.cause.kind).or_default() += 1;
        self.count += 1;
        Ok(())
    }

    /// The value of a dimension after everything that was read; `None` = never changed.
    pub(super) fn value(&self, customer_id: &str, dimension: &str) -> Option<&str> {
        let steps = self.journeys.get(customer_id)?;
        steps.iter().rev().find(|step| step.dimension == dimension)?.current.as_deref()
    }

    /// A customer worth telling of: of those who lapsed and came back, with no more changes than
    /// can be shown, the one with the most different things happening to them.
    pub(super) fn example(&self) -> Option<(&str, &[Step])> {
        let interest = |steps: &[Step]| {
            let values: BTreeSet<_> = steps.iter().map(|step| &step.current).collect();
            let ways: BTreeSet<_> = steps.iter().map(|step| &step.direction).collect();
            values.len() + ways.len()
        };
        let (id, steps) = self
            .journeys
            .iter()
            .filter(|(_, steps)| steps.len() <= SHOWN_STEPS)
            .filter(|(_, steps)| steps.iter().any(|step| step.direction == "reactivation"))
            .max_by_key(|(_, steps)| (interest(steps), steps.len()))?;
        Some((id, steps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(customer_id: &str, seq: u64, current: &str, direction: &str) -> Vec<u8> {
        format!(
            r#"{{"seq":{seq},"customer_id":"{customer_id}","dimension":"lifecycle",
            "previous":null,"current":"{current}","direction":"{direction}",
            "occurred_at":"2011-01-01T00:00:00.000Z","cause":{{"kind":"event"}},"summary":"x"}}"#
        )
        .into_bytes()
    }

    #[test]
    fn a_gap_and_a_repetition_are_errors() {
        let mut journal = Journal::default();
        journal.take(&change("a", 1, "purchase", "skip")).expect("the first");
        assert!(journal.take(&change("a", 1, "purchase", "skip")).is_err());
        assert!(journal.take(&change("a", 3, "lapsed", "back")).is_err());
        journal.take(&change("a", 2, "lapsed", "back")).expect("the second");
        assert!(journal.take(b"{}").is_err());
        assert_eq!((journal.count, journal.by_cause["event"]), (2, 2));
        assert_eq!(journal.value("a", "lifecycle"), Some("lapsed"));
        assert_eq!(journal.value("a", "rfm"), None);
    }

    #[test]
    fn the_example_came_back_and_fits_the_screen() {
        let mut journal = Journal::default();
        assert!(journal.example().is_none());
        for (seq, id) in [(1, "a"), (2, "a"), (3, "a"), (1, "b"), (2, "b")] {
            journal.take(&change(id, seq, "purchase", "forward")).expect("a change");
        }
        assert!(journal.example().is_none());
        journal.take(&change("b", 3, "purchase", "reactivation")).expect("a change");
        assert_eq!(journal.example().map(|(id, steps)| (id, steps.len())), Some(("b", 3)));
        for seq in 4..=15 {
            journal.take(&change("b", seq, "lapsed", "back")).expect("a change");
        }
        assert!(journal.example().is_none());
    }
}
