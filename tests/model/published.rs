//! What a task publishes is what the naive model predicts.

use crate::fixture::{advance, config, feed, klaviyo_rules, rules, taken, task};
use crate::known::INITIAL;
use crate::order::computed;
use crate::predict::{Observed, Predicted};
use crate::workload;
use ebbflow::domain::change::{Change, Number};
use ebbflow::domain::dimensions::lifecycle::Stage;
use ebbflow::domain::event::Event;
use ebbflow::domain::pack::unpack;
use ebbflow::domain::rules::Rules;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use ebbflow::task::PartitionTask;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the naive model publishes, by customer, and the customers at the end. An event is late when
/// its customer was looked at later, by a deadline of which nothing came too: when is in `looked`.
fn predicted(
    events: &[Event<'static>],
    looked: &[Option<Timestamp>],
    rules: &Rules,
    end: i64,
) -> BTreeMap<String, Observed> {
    let mut customers: BTreeMap<String, Observed> = BTreeMap::new();
    let mut clock = i64::MIN;
    for (event, looked_at) in events.iter().zip(looked) {
        clock = clock.max(event.occurred_at.0);
        for customer in customers.values_mut() {
            customer.advance(rules, clock);
        }
        let id = event.customer_id.as_ref().expect("a customer").to_string();
        let customer = customers.entry(id).or_insert_with(|| Observed::new(event.occurred_at.0));
        if let Some(looked_at) = looked_at {
            customer.look(looked_at.0);
        }
        customer.observe(event, rules, clock);
        customer.advance(rules, clock);
    }
    for customer in customers.values_mut() {
        customer.advance(rules, end);
    }
    customers
}

/// When a customer was looked at last.
fn looked_at(task: &mut PartitionTask, id: &str, rules: &Rules) -> Option<Timestamp> {
    let mut found = None;
    task.pack(|of, packed, _| {
        if of == id {
            let customer = unpack(packed.expect("a state"), &rules.rates).expect("packed");
            found = Some(customer.evaluated_at);
        }
    });
    found
}

fn seen(change: &Change) -> Predicted {
    Predicted {
        seq: change.seq,
        dimension: INITIAL
            .into_iter()
            .find_map(|(name, _)| (change.dimension == name).then_some(name))
            .expect("a dimension"),
        previous: change.previous.as_ref().expect("a previous value").to_string(),
        current: change.current.as_ref().expect("a current value").to_string(),
        occurred_at: change.occurred_at.0,
        cause: change.cause.kind.name(),
        event_id: change.cause.event_id.clone(),
        entry: change.entry,
        dwell_ms: change.dwell_ms,
        correction_of: change.correction_of,
        group: (change.group.index, change.group.size),
    }
}

/// Whether an evidence entry is true after the change.
fn holds(name: &str, op: &str, after: &Number, threshold: &Number) -> bool {
    let number = |number: &Number| match number {
        Number::Integer(value) =>
        {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            Some(*value as f64)
        }
        Number::Decimal(value) => Some(*value),
        Number::None | Number::Text(_) => None,
    };
    if op == "=" && matches!(threshold, Number::None) {
        // Told for its own sake: nothing was compared.
        return true;
    }
    let (Some(after), Some(threshold)) = (number(after), number(threshold)) else {
        return name.is_empty();
    };
    match op {
        ">" => after > threshold,
        ">=" => after >= threshold,
        "<" => after < threshold,
        "<=" => after <= threshold,
        _ => after == threshold,
    }
}

fn check_consistency(changes: &[Change], rules: &Rules) -> Result<(), TestCaseError> {
    for change in changes {
        let (_, stage) =
            change.dimensions.iter().find(|(name, _)| *name == "lifecycle").expect("a stage");
        let stage = Stage::ALL.iter().position(|known| *stage == known.name());
        prop_assert_eq!(change.owner_role.as_ref(), stage.map(|stage| &rules.roles[stage]));
        prop_assert!(change.dwell_ms >= 0);
        prop_assert!(change.entry >= 1);
        prop_assert!(!change.evidence.is_empty(), "no evidence: {change:?}");
        for evidence in &change.evidence {
            prop_assert!(
                holds(evidence.name, evidence.op, &evidence.after, &evidence.threshold),
                "untrue evidence {evidence:?} of {change:?}"
            );
        }
        let group: Vec<&Change> =
            changes.iter().filter(|other| other.group.id == change.group.id).collect();
        prop_assert_eq!(group.len(), change.group.size as usize);
        prop_assert_eq!(&group[0].change_id, &change.group.id);
        for (index, member) in (1..).zip(&group) {
            prop_assert_eq!(member.group.index, index);
            prop_assert_eq!(member.seq, group[0].seq + u64::from(index) - 1);
            prop_assert_eq!(&member.dimensions, &change.dimensions);
            prop_assert_eq!(member.occurred_at, change.occurred_at);
        }
        let own = change.dimensions.iter().find(|(name, _)| *name == change.dimension);
        prop_assert_eq!(own.map(|(_, value)| value), change.current.as_ref());
    }
    Ok(())
}

fn check_published(
    events: &[Event<'static>],
    rules: &Arc<Rules>,
    tail_ms: i64,
) -> Result<(), TestCaseError> {
    let end = events.iter().map(|event| event.occurred_at.0).max().unwrap_or(0) + tail_ms;
    let mut task = task(rules);
    let (mut changes, mut looked) = (Vec::new(), Vec::new());
    for (offset, event) in (0..).zip(events) {
        advance(&mut task, event.occurred_at);
        looked.push(looked_at(&mut task, event.customer_id.as_ref().expect("a customer"), rules));
        feed(&mut task, event, offset);
        changes.extend(taken(&mut task));
    }
    advance(&mut task, Timestamp(end));
    changes.extend(taken(&mut task));
    check_consistency(&changes, rules)?;
    let expected = predicted(events, &looked, rules, end);
    let mut states = BTreeMap::new();
    task.pack(|id, packed, _| {
        states.insert(id.to_owned(), packed.expect("a state").to_vec());
    });
    for (id, observed) in &expected {
        let own: Vec<Predicted> =
            changes.iter().filter(|change| change.customer_id == *id).map(seen).collect();
        prop_assert_eq!(&own, &observed.changes, "customer {}", id);
        let customer = unpack(&states[id], &rules.rates).expect("a packed customer");
        prop_assert_eq!(customer.seq, own.len() as u64);
        let naive = observed.reference().raw(rules, end);
        prop_assert_eq!(computed(&customer, rules, end), naive);
    }
    Ok(())
}

proptest! {
    // Each case scans years of instants.
    #![proptest_config(ProptestConfig { cases: config().cases / 8, ..config() })]

    #[test]
    fn events_in_time_order_publish_what_is_predicted(
        events in workload::history(3, 1..22, false),
        tail_days in 0..800_i64,
        other_map in any::<bool>(),
    ) {
        let rules = Arc::new(if other_map { klaviyo_rules() } else { rules() });
        check_published(&events, &rules, tail_days * DAY_MS)?;
    }

    #[test]
    fn late_events_publish_what_is_predicted(
        events in workload::history(3, 1..22, true),
        tail_days in 0..800_i64,
        other_map in any::<bool>(),
    ) {
        let rules = Arc::new(if other_map { klaviyo_rules() } else { rules() });
        check_published(&events, &rules, tail_days * DAY_MS)?;
    }
}
