//! What the topic of segment changes told: every customer's changes, checked as they are read.
//!
//! Looks at nothing but the topic, as any consumer would. Next: `report.rs`, which shows it.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Longest journey that is shown whole.
const SHOWN_STEPS: usize = 12;
/// Dimensions that a journey tells of.
const SHOWN: [&str; 2] = ["lifecycle", "value_mode"];

/// The part of a change record that the demo reads.
#[derive(Deserialize)]
struct ChangeRecord {
    seq: u64,
    customer_id: String,
    dimension: String,
    previous: Option<String>,
    current: Option<String>,
    direction: String,
    occurred_at: String,
    cause: CauseRecord,
    #[serde(default)]
    evidence: Vec<EvidenceRecord>,
    summary: String,
}

#[derive(Deserialize)]
struct EvidenceRecord {
    name: String,
    after: serde_json::Value,
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

/// Customers who went from creating to expanding value: who, and what they spent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Expansion {
    pub(super) customers: u64,
    /// Net spend in the windows that decided, of each customer the first time.
    pub(super) window_minor: i64,
}

/// All changes that were read.
#[derive(Debug, Default)]
pub(super) struct Journal {
    journeys: BTreeMap<String, Vec<Step>>,
    expanded: BTreeSet<String>,
    /// From creating to expanding value.
    pub(super) expansion: Expansion,
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
        let moved = [change.previous.as_deref(), change.current.as_deref()];
        if change.dimension == "value_mode"
            && moved == [Some("creating"), Some("expanding")]
            && self.expanded.insert(id.clone())
        {
            let spent = change.evidence.iter().find(|it| it.name == "window_net_minor");
            let spent = spent.and_then(|it| it.after.as_i64());
            self.expansion.customers += 1;
            self.expansion.window_minor += spent.context("a change of value mode has no sum")?;
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

    /// A customer worth telling of: of those who expanded, lapsed and came back, with no more steps
    /// than can be shown, the one with the most different things happening to them.
    pub(super) fn example(&self) -> Option<(&str, Vec<&Step>)> {
        let interest = |steps: &[&Step]| {
            let values: BTreeSet<_> = steps.iter().map(|step| &step.current).collect();
            let ways: BTreeSet<_> = steps.iter().map(|step| &step.direction).collect();
            values.len() + ways.len()
        };
        let shown = |steps: &'_ [Step]| -> bool {
            steps.iter().any(|step| step.direction == "reactivation")
        };
        self.journeys
            .iter()
            .filter(|(id, steps)| shown(steps) && self.expanded.contains(*id))
            .map(|(id, steps)| {
                let told = steps.iter().filter(|step| SHOWN.contains(&step.dimension.as_str()));
                (id.as_str(), told.collect::<Vec<_>>())
            })
            .filter(|(_, steps)| steps.len() <= SHOWN_STEPS)
            .max_by_key(|(_, steps)| (interest(steps), steps.len()))
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

    /// A change of `value_mode` to expanding.
    fn expands(customer_id: &str, seq: u64, window_minor: i64) -> Vec<u8> {
        let change = String::from_utf8(change(customer_id, seq, "expanding", "up"));
        let change = change.expect("UTF-8").replace("\"lifecycle\"", "\"value_mode\"");
        let evidence = format!(r#"[{{"name":"window_net_minor","after":{window_minor}}}]"#);
        let moved = format!(r#""previous":"creating","evidence":{evidence}"#);
        change.replace("\"previous\":null", &moved).into_bytes()
    }

    #[test]
    fn a_customer_expands_once() {
        let mut journal = Journal::default();
        for (seq, minor) in [(1, 500), (2, 700)] {
            journal.take(&expands("a", seq, minor)).expect("a change");
        }
        journal.take(&expands("b", 1, 40)).expect("a change");
        let expansion = Expansion { customers: 2, window_minor: 540 };
        assert_eq!(journal.expansion, expansion);
    }

    #[test]
    fn the_example_expanded_and_came_back_and_fits_the_screen() {
        let mut journal = Journal::default();
        assert!(journal.example().is_none());
        for (seq, id) in [(1, "a"), (2, "a"), (3, "a"), (1, "b")] {
            journal.take(&change(id, seq, "purchase", "forward")).expect("a change");
        }
        journal.take(&expands("b", 2, 1)).expect("a change");
        assert!(journal.example().is_none());
        journal.take(&change("b", 3, "purchase", "reactivation")).expect("a change");
        assert_eq!(journal.example().map(|(id, steps)| (id, steps.len())), Some(("b", 3)));
        for seq in 4..=13 {
            journal.take(&change("b", seq, "lapsed", "back")).expect("a change");
        }
        assert!(journal.example().is_none());
    }
}
