//! The naive model of who is one with whom: one thread, all events at hand, no partitions.
//!
//! A subject's facts are the fold of the events of all of its ids. Next: `oracle.rs`.

use crate::simulation::reference::Timed;
use ebbflow::domain::apply::{Tally, apply};
use ebbflow::domain::customer::Customer;
use ebbflow::domain::event::{Body, Interaction};
use ebbflow::domain::id::{ANONYMOUS_PREFIX, EventKey, hash64};
use ebbflow::domain::publish::context::Context;
use ebbflow::domain::rules::Rules;
use ebbflow::domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Sets of ids that are one.
#[derive(Clone, Default)]
pub(crate) struct Classes(BTreeMap<String, String>);

impl Classes {
    pub(crate) fn of(&self, id: &str) -> String {
        match self.0.get(id) {
            Some(of) => self.of(of),
            None => id.to_owned(),
        }
    }

    pub(crate) fn unite(&mut self, one: &str, other: &str) {
        let (one, other) = (self.of(one), self.of(other));
        if one != other {
            self.0.insert(other, one);
        }
    }
}

/// What the events say of ids.
#[derive(Clone, Default)]
pub(crate) struct Identity {
    pub(crate) classes: Classes,
    /// Ids that events name as a subject, or as one that became another.
    pub(crate) ids: BTreeSet<String>,
    /// Of a visitor whose device is shared, the customers who were seen there.
    pub(crate) sharing: BTreeSet<String>,
    pub(crate) erased: BTreeSet<String>,
}

/// A visitor whose device is shared.
pub(crate) const SHARED: &str = "anon:shared";

pub(crate) fn visitor_id(anonymous_id: &str) -> String {
    format!("{ANONYMOUS_PREFIX}{anonymous_id}")
}

impl Identity {
    pub(crate) fn add(&mut self, timed: &Timed<'_>) {
        let event = &timed.event;
        let id = event.subject_id().into_owned();
        if let (Some(customer), Some(anonymous_id)) = (&event.customer_id, &event.anonymous_id) {
            let visitor = visitor_id(anonymous_id);
            if visitor == SHARED {
                self.sharing.insert(customer.clone().into_owned());
            } else {
                self.classes.unite(customer, &visitor);
            }
            self.ids.insert(visitor);
        }
        match &event.body {
            Body::Interaction(Interaction::CustomersMerged { from_customer_id }) => {
                self.classes.unite(&id, from_customer_id);
                self.ids.insert(from_customer_id.clone().into_owned());
            }
            Body::Interaction(Interaction::EraseRequested) => {
                self.erased.insert(id.clone());
            }
            _ => {}
        }
        self.ids.insert(id);
    }
}

/// Events that were sent twice count once; in their order of time.
pub(crate) fn once<'a>(mut events: Vec<&'a Timed<'a>>) -> Vec<&'a Timed<'a>> {
    events.sort_by_key(|timed| timed.at);
    let mut seen = BTreeSet::new();
    events.retain(|timed| seen.insert(timed.event.event_id.clone()));
    events
}

/// A subject that had these events, in this order.
pub(crate) fn folded<'a>(
    id: &str,
    events: impl IntoIterator<Item = &'a Timed<'a>>,
    rules: &Rules,
) -> Customer {
    let events: Vec<_> = events.into_iter().collect();
    let first = events.first().map_or(Timestamp::MIN, |timed| timed.at);
    let mut customer = Customer::new(id, first, rules.identity.revision);
    for timed in events {
        let context = Context {
            rules,
            application_id: "naive",
            lineage: 1,
            clock: timed.at,
            now: None,
            silent: true,
            run_id: None,
            rebuilt_at: Timestamp::MIN,
        };
        let (mut tally, mut changes) = (Tally::default(), Vec::new());
        let topic = "naive".into();
        let cause = timed.cause(&topic, 0);
        let out = (&mut tally, &mut changes);
        apply(&mut customer, &timed.event, &cause, None, &context, out);
    }
    customer
}

/// By the class of whoever was referred, the id of whom the first of its referrals names.
pub(crate) fn referrers(
    events: &[&Timed<'_>],
    whoever: &impl Fn(&str) -> String,
) -> BTreeMap<String, String> {
    let mut first: BTreeMap<String, (Timestamp, EventKey, String)> = BTreeMap::new();
    for timed in events {
        let Body::Interaction(Interaction::ReferralAccepted { referred_customer_id: Some(who) }) =
            &timed.event.body
        else {
            continue;
        };
        let by = timed.event.subject_id().into_owned();
        let key = EventKey::of(hash64(&timed.event.event_id));
        if **who == *by {
            continue;
        }
        let said = (timed.at, key, by);
        let known = first.entry(whoever(who)).or_insert_with(|| said.clone());
        if said < *known {
            *known = said;
        }
    }
    first.into_iter().map(|(who, (_, _, by))| (who, by)).collect()
}
