//! Arrival order does not matter: facts and raw values are a function of the set of events.

use crate::fixture::{T0, config, day, eur, event, klaviyo_rules, renewed, rules, term};
use crate::reference::{NaiveFacts, Reference};
use crate::workload;
use ebbflow::domain::apply::{Tally, apply};
use ebbflow::domain::customer::Customer;
use ebbflow::domain::dimension::Dimension;
use ebbflow::domain::event::Event;
use ebbflow::domain::publish::evaluate::Context;
use ebbflow::domain::raw::measure;
use ebbflow::domain::rules::Rules;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use proptest::prelude::*;

pub(crate) fn context(rules: &Rules, clock: i64) -> Context<'_> {
    Context {
        rules,
        application_id: "test",
        lineage: 0,
        clock: Timestamp(clock),
        now: None,
        silent: false,
        run_id: None,
        rebuilt_at: Timestamp::MIN,
    }
}

/// Applies events in their order, with the clock at `clock` all the time.
pub(crate) fn applied(events: &[Event<'static>], rules: &Rules, clock: i64) -> Customer {
    let context = context(rules, clock);
    let mut customer = Customer::new("c-0", events[0].occurred_at, 1);
    let (mut tally, mut changes) = (Tally::default(), Vec::new());
    for event in events {
        let at = event.occurred_at;
        apply(&mut customer, event, at, (&"t".into(), 0, 0), &context, &mut tally, &mut changes);
    }
    customer
}

/// Raw values and facts as the code has them.
pub(crate) fn computed(customer: &Customer, rules: &Rules, at: i64) -> ([String; 2], NaiveFacts) {
    let measured = measure(customer, rules, Timestamp(at));
    let written = measured.facts.written(&customer.book, &rules.thresholds.gap, Timestamp(at));
    let facts = NaiveFacts {
        orders: written.orders,
        net_minor: written.net_minor,
        first_order_at: written.first_order_at.map(|at| at.0),
        last_order_at: written.last_order_at.map(|at| at.0),
        average_gap_days: written.average_gap_days,
        expected_gap_days: written.expected_gap_days,
        scores: measured.scores.map(|s| (s.r, s.f, s.m, s.frequency, s.monetary_minor)),
    };
    let values = [Dimension::Rfm, Dimension::Lifecycle].map(|dimension| {
        dimension.value_name(measured.values[dimension.index()], rules).to_string()
    });
    (values, facts)
}

/// A renewal dated ahead of its record is held at that record's time, and so falls on another day
/// when the record is sent again.
#[test]
fn a_term_that_is_sent_again_counts_once_whatever_its_effective_time() {
    let rules = rules();
    let context = context(&rules, T0);
    let renewal = event("e-1", "c-0", day(2), renewed(term("s-1", None, Some(eur(100)), Some(30))));
    let mut customer = Customer::new("c-0", day(0), 1);
    let (mut tally, mut changes) = (Tally::default(), Vec::new());
    let mut take = |at| {
        apply(&mut customer, &renewal, at, (&"t".into(), 0, 0), &context, &mut tally, &mut changes)
    };
    assert!(take(day(1).plus_ms(-60_000)));
    assert!(!take(day(1).plus_ms(60_000)));
    assert_eq!(tally.duplicates, 1);
    assert_eq!(customer.book.orders.len(), 1);
}

fn after_all(events: &[Event<'_>]) -> i64 {
    events.iter().map(|event| event.occurred_at.0).max().unwrap_or(T0)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_permutation_with_duplicates_ends_like_the_naive_model(
        (events, arrivals) in workload::shuffled(1..26),
        later in prop_oneof![Just(0), 0..400 * DAY_MS],
        other_map in any::<bool>(),
    ) {
        let rules = if other_map { klaviyo_rules() } else { rules() };
        let clock = after_all(&events) + later;
        let customer = applied(&arrivals, &rules, clock);
        let reference = Reference { events };
        prop_assert_eq!(computed(&customer, &rules, clock), reference.raw(&rules, clock));
    }

    #[test]
    fn raw_values_are_constant_until_the_deadline_and_change_at_it(
        (events, arrivals) in workload::shuffled(1..20),
        other_map in any::<bool>(),
    ) {
        let rules = if other_map { klaviyo_rules() } else { rules() };
        let clock = after_all(&events);
        let customer = applied(&arrivals, &rules, clock);
        let reference = Reference { events };
        let begin = customer.evaluated_at.0;
        let deadline = customer.deadline.0;
        let (present, _) = reference.raw(&rules, begin);
        let ends = deadline.min(after_all(&reference.events) + 4_000 * DAY_MS);
        for at in reference.instants(&rules).into_iter().chain([ends - 1]) {
            if at > begin && at < deadline {
                let (then, _) = reference.raw(&rules, at);
                prop_assert_eq!(&then, &present, "changed at {} before {}", at, deadline);
            }
        }
        if deadline != i64::MAX {
            let (then, _) = reference.raw(&rules, deadline);
            let expires = customer.book.next_expiry() == Some(Timestamp(deadline));
            prop_assert!(then != present || expires, "nothing happens at {}", deadline);
        }
    }
}
