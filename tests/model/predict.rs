//! What the naive model says will be published, event by event and instant by instant.
//!
//! Scans every instant that can matter instead of computing deadlines.

use crate::known::{INITIAL, Known, Values};
use crate::reference::{Reference, amends};
use ebbflow::domain::event::{Body, Event, Purchase};
use ebbflow::domain::rules::{AntiFlap, Rules};
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

/// What is published of a dimension.
#[derive(Clone, Debug)]
struct Value {
    name: String,
    since: i64,
    seq: u64,
    /// What was told last.
    told: String,
    /// The value before, and whether there was one.
    left: Option<String>,
}

/// One customer under observation.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    reference: Reference,
    /// Amendments without their order: event id and when they were parked.
    parked: Vec<(String, i64)>,
    evaluated_at: i64,
    published: [Value; 8],
    entries: BTreeMap<(usize, String), u32>,
    seq: u64,
    seen: Vec<String>,
    pub(crate) changes: Vec<Predicted>,
}

impl Observed {
    pub(crate) fn new(at: i64) -> Self {
        Self {
            reference: Reference::default(),
            parked: Vec::new(),
            evaluated_at: at,
            published: INITIAL.map(|(_, name)| Value {
                name: name.to_owned(),
                since: at,
                seq: 0,
                told: name.to_owned(),
                left: None,
            }),
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
        let mut instants = self.reference.known(rules).instants();
        instants.extend(self.parked.iter().map(|(_, at)| at + PARKED_MS + 1));
        instants.sort_unstable();
        let mut place = 0;
        let mut scanned = self.evaluated_at;
        loop {
            // A value may be published when its time to wait is over, too.
            let waited = (0..8).flat_map(|index| {
                let AntiFlap { dwell_ms, cool_down_ms } = rules.anti_flap[index];
                [dwell_ms, cool_down_ms].map(|ms| self.published[index].since + ms)
            });
            let waited = waited.filter(|at| *at > scanned).min();
            while instants.get(place).is_some_and(|at| *at <= scanned) {
                place += 1;
            }
            let Some(at) = instants.get(place).copied().into_iter().chain(waited).min() else {
                return;
            };
            if at > clock {
                return;
            }
            let before = self.parked.len();
            let expired: Vec<String> = self
                .parked
                .extract_if(.., |(_, parked_at)| at - *parked_at > PARKED_MS)
                .map(|(id, _)| id)
                .collect();
            let earlier = self.targets(rules, at - 1);
            self.reference.events.retain(|event| !expired.iter().any(|id| *id == event.event_id));
            let moved = self.publish(rules, &earlier, at, "timer", None);
            if moved || before != self.parked.len() {
                self.evaluated_at = at;
            }
            scanned = at;
        }
    }

    /// What is to be published: raw values, and what hysteresis keeps.
    fn targets(&self, rules: &Rules, at: i64) -> Values {
        let known = self.reference.known(rules);
        let mut targets = known.values(at);
        targets[5] = known.engagement(at, &self.published[5].name).to_owned();
        targets
    }

    /// When the published value may give way to another.
    fn allowed_at(&self, index: usize, target: &str, rules: &Rules) -> i64 {
        let AntiFlap { dwell_ms, cool_down_ms } = rules.anti_flap[index];
        let Value { since, left, .. } = &self.published[index];
        match left {
            // The first value ever taken waits for nothing.
            None => i64::MIN,
            Some(left) if left == target => since + dwell_ms.max(cool_down_ms),
            Some(_) => since + dwell_ms,
        }
    }

    /// Knows that the program has looked at it.
    pub(crate) fn look(&mut self, at: i64) {
        self.evaluated_at = self.evaluated_at.max(at);
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
            let contact = Known::is_contact(&event.body);
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
        let now = self.targets(rules, instant);
        self.publish(rules, &now, instant, kind, Some(event));
        self.evaluated_at = instant;
    }

    /// Publishes what may be; true when there was any. `earlier` is what was to be published a
    /// moment before, where time alone moves.
    fn publish(
        &mut self,
        rules: &Rules,
        earlier: &Values,
        at: i64,
        cause: &'static str,
        event: Option<&Event<'_>>,
    ) -> bool {
        let mut moved = false;
        let first = self.changes.len();
        for (index, value) in self.targets(rules, at).into_iter().enumerate() {
            if value == self.published[index].name || self.allowed_at(index, &value, rules) > at {
                continue;
            }
            moved = true;
            let waited = cause == "timer" && earlier[index] == value;
            let entry = self.entries.entry((index, value.clone())).or_default();
            *entry += 1;
            let published = &mut self.published[index];
            let (since, seq) = (published.since, published.seq);
            published.left = Some(std::mem::replace(&mut published.name, value.clone()));
            published.since = at;
            if !rules.output.dimensions[index] {
                continue;
            }
            self.seq += 1;
            published.seq = self.seq;
            self.changes.push(Predicted {
                seq: self.seq,
                dimension: INITIAL[index].0,
                previous: std::mem::replace(&mut published.told, value.clone()),
                current: value,
                occurred_at: at,
                cause: if waited { "dwell" } else { cause },
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
        let size = u32::try_from(group.len()).expect("eight at most");
        for (index, change) in (1..).zip(group) {
            change.group = (index, size);
        }
        moved
    }
}
