//! What the naive model says will be published, event by event and instant by instant.
//!
//! Scans every instant that can matter instead of computing deadlines.

use crate::reference::{Reference, amends};
use ebbflow::domain::event::{Body, Event, Purchase};
use ebbflow::domain::rules::Rules;
use ebbflow::domain::time::DAY_MS;
use std::collections::BTreeMap;

const PARKED_MS: i64 = 180 * DAY_MS;

/// A change as the naive model sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Predicted {
    pub(crate) seq: u64,
    pub(crate) dimension: &'static str,
    pub(crate) previous: String,
    pub(crate) current: String,
    pub(crate) occurred_at: i64,
    pub(crate) cause: &'static str,
    pub(crate) event_id: Option<String>,
    pub(crate) entry: u32,
    pub(crate) dwell_ms: i64,
    pub(crate) correction_of: Option<u64>,
    pub(crate) group: (u32, u32),
}

/// One customer under observation.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    reference: Reference,
    /// Amendments without their order: event id and when they were parked.
    parked: Vec<(String, i64)>,
    evaluated_at: i64,
    published: [(String, i64, u64); 2],
    entries: BTreeMap<(usize, String), u32>,
    seq: u64,
    seen: Vec<String>,
    pub(crate) changes: Vec<Predicted>,
}

const NAMES: [&str; 2] = ["rfm", "lifecycle"];

impl Observed {
    pub(crate) fn new(at: i64) -> Self {
        Self {
            reference: Reference::default(),
            parked: Vec::new(),
            evaluated_at: at,
            published: [("none".to_owned(), at, 0), ("awareness".to_owned(), at, 0)],
            entries: BTreeMap::new(),
            seq: 0,
            seen: Vec::new(),
            changes: Vec::new(),
        }
    }

    pub(crate) fn reference(&self) -> &Reference {
        &self.reference
    }

    /// Fires all that time alone does until `clock`.
    pub(crate) fn advance(&mut self, rules: &Rules, clock: i64) {
        let mut instants = self.reference.instants(rules);
        instants.extend(self.parked.iter().map(|(_, at)| at + PARKED_MS + 1));
        instants.sort_unstable();
        for at in instants {
            if at <= self.evaluated_at || at > clock {
                continue;
            }
            let before = self.parked.len();
            let expired: Vec<String> = self
                .parked
                .extract_if(.., |(_, parked_at)| at - *parked_at > PARKED_MS)
                .map(|(id, _)| id)
                .collect();
            self.reference.events.retain(|event| !expired.iter().any(|id| *id == event.event_id));
            let expired = before != self.parked.len();
            let (values, _) = self.reference.raw(rules, at);
            let differs = (0..2).any(|i| values[i] != self.published[i].0);
            if expired || differs {
                self.publish(&values, at, "timer", None);
            }
        }
    }

    /// Takes an event in at the task's clock.
    pub(crate) fn observe(&mut self, event: &Event<'static>, rules: &Rules, clock: i64) {
        if self.seen.iter().any(|seen| *seen == event.event_id) {
            return;
        }
        let at = event.occurred_at.0;
        let kind = match &event.body {
            Body::Purchase(Purchase::OrderRefunded { .. } | Purchase::OrderCancelled { .. }) => {
                "refund"
            }
            _ if at < self.evaluated_at => "late_event",
            _ => "event",
        };
        let instant = if kind == "event" { at } else { at.max(clock).max(self.evaluated_at) };
        self.advance(rules, instant);
        let before = self.reference.fold();
        let waits = amends(event).is_some_and(|order| !before.orders.contains_key(order));
        self.reference.events.push(event.clone());
        let after = self.reference.fold();
        if waits {
            self.parked.push((event.event_id.to_string(), instant.max(clock)));
        } else if matches!(event.body, Body::Purchase(_)) && before == after {
            let contact = matches!(
                event.body,
                Body::Purchase(Purchase::OrderPaid { .. } | Purchase::OrderFulfilled { .. })
            );
            if !contact {
                self.reference.events.pop();
                return;
            }
        }
        self.seen.push(event.event_id.to_string());
        let events = &self.reference.events;
        self.parked.retain(|(id, _)| {
            let parked = events.iter().find(|event| event.event_id == *id).expect("a kept event");
            !after.orders.contains_key(amends(parked).expect("an amendment"))
        });
        let (values, _) = self.reference.raw(rules, instant);
        self.publish(&values, instant, kind, Some(event));
    }

    fn publish(
        &mut self,
        values: &[String; 2],
        at: i64,
        cause: &'static str,
        event: Option<&Event<'_>>,
    ) {
        self.evaluated_at = at;
        let first = self.changes.len();
        for (index, value) in values.iter().enumerate() {
            let (previous, since, seq) = self.published[index].clone();
            if *value == previous {
                continue;
            }
            let entry = self.entries.entry((index, value.clone())).or_default();
            *entry += 1;
            self.seq += 1;
            self.published[index] = (value.clone(), at, self.seq);
            self.changes.push(Predicted {
                seq: self.seq,
                dimension: NAMES[index],
                previous,
                current: value.clone(),
                occurred_at: at,
                cause,
                event_id: event.map(|event| event.event_id.to_string()),
                entry: *entry,
                dwell_ms: at - since,
                correction_of: event
                    .filter(|event| event.occurred_at.0 < since && seq > 0)
                    .map(|_| seq),
                group: (0, 0),
            });
        }
        let group = &mut self.changes[first..];
        let size = u32::try_from(group.len()).expect("two at most");
        for (index, change) in (1..).zip(group) {
            change.group = (index, size);
        }
    }
}
