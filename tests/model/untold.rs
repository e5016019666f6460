//! A dimension that is not written for a while: `previous` is what was told last, and what moved
//! unseen is told once it is written again.
//!
//! Next: `src/domain/publish/evaluate.rs`.

use crate::fixture::{config, eur, event, feed, klaviyo_rules, ordered, rules, taken, task};
use crate::known::INITIAL;
use crate::workload;
use ebbflow::domain::change::{CauseKind, Change};
use ebbflow::domain::dimension::{COUNT, Dimension};
use ebbflow::domain::event::{Body, Event, Interaction};
use ebbflow::domain::pack::unpack;
use ebbflow::domain::rules::Rules;
use ebbflow::domain::subject::Subject;
use ebbflow::domain::time::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is told of one customer by instances that write other dimensions from time to time.
struct Told<'a> {
    rules: &'a Rules,
    states: BTreeMap<String, Vec<u8>>,
    /// What a consumer knows, by dimension.
    known: BTreeMap<String, String>,
}

impl Told<'_> {
    /// Lets an instance that writes these dimensions take an event in.
    fn feed(&mut self, event: &Event<'_>, written: [bool; COUNT], offset: i64) -> Vec<Change> {
        let mut rules = self.rules.clone();
        rules.output.dimensions = written;
        let mut task = task(&Arc::new(rules));
        for (id, packed) in &self.states {
            task.restore_state(id, Some(packed)).expect("a state");
        }
        feed(&mut task, event, offset);
        let changes = taken(&mut task);
        task.pack(|id, packed, _| {
            match packed {
                Some(packed) => self.states.insert(id.to_owned(), packed.to_vec()),
                None => self.states.remove(id),
            };
        });
        changes
    }

    /// Takes in what is told, as a consumer does.
    fn hear(&mut self, changes: &[Change]) -> Result<(), TestCaseError> {
        for change in changes {
            let known = &self.known[&*change.dimension];
            prop_assert_eq!(change.previous.as_deref(), Some(&**known), "{:?}", change);
            prop_assert_ne!(&change.previous, &change.current);
            prop_assert!(change.entry > 0 || change.cause.kind == CauseKind::Erase);
            let initial = INITIAL.iter().find(|(name, _)| **name == *change.dimension);
            let closed = initial.expect("a dimension").1;
            let current = change.current.as_deref().unwrap_or(closed).to_owned();
            self.known.insert(change.dimension.to_string(), current);
        }
        Ok(())
    }
}

fn check(
    events: &[Event<'static>],
    switches: &[[bool; COUNT]],
    rules: &Rules,
) -> Result<(), TestCaseError> {
    let initial = INITIAL.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut told = Told { rules, states: BTreeMap::new(), known: initial.into() };
    let mut offset = 0;
    for (event, written) in events.iter().zip(switches.iter().cycle()) {
        let changes = told.feed(event, *written, offset);
        told.hear(&changes)?;
        offset += 1;
    }
    let last = events.iter().map(|event| event.occurred_at.0).max().unwrap_or(0);
    let order = event("e-order", "c-0", Timestamp(last + 1), ordered("o-last", eur(100)));
    let changes = told.feed(&order, [true; COUNT], offset);
    told.hear(&changes)?;
    for change in changes.iter().filter(|change| change.cause.kind == CauseKind::Rules) {
        prop_assert!(change.backfill && !change.actionable && change.cause.event_id.is_none());
    }
    let customer = unpack(&told.states["c-0"], &rules.rates).expect("a state");
    for dimension in Dimension::all_of(Subject::Customer) {
        let value = dimension.value_name(customer.published(dimension).value, rules);
        prop_assert_eq!(&told.known[dimension.built_in_name()], &*value);
    }
    // Unseen again, and then erased: only what is known is closed.
    let order = event("e-again", "c-0", Timestamp(last + 2), ordered("o-again", eur(90_000)));
    prop_assert!(told.feed(&order, [false; COUNT], offset + 1).is_empty());
    let erase = Body::Interaction(Interaction::EraseRequested);
    let erase = event("e-erase", "c-0", Timestamp(last + 3), erase);
    let changes = told.feed(&erase, [true; COUNT], offset + 2);
    told.hear(&changes)?;
    for (name, value) in INITIAL {
        prop_assert_eq!(&*told.known[name], value);
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_consumer_is_told_what_moved_unseen(
        events in workload::history(1, 1..20, false),
        switches in vec(any::<[bool; COUNT]>(), 1..8),
        other_map in any::<bool>(),
    ) {
        let rules = if other_map { klaviyo_rules() } else { rules() };
        check(&events, &switches, &rules)?;
    }
}
