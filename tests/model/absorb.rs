//! Two customers who turn out to be one: the facts are those of all their events together.
//!
//! Whatever came first, the events or the absorbing. Next: `absorb_bounds.rs`, what lies beyond
//! the bounds of what is kept.

use crate::fixture::caused;
use crate::fixture::{T0, config, day, eur, klaviyo_rules, ordered, place, refunded, rules};
use crate::fixture::{event, started, term};
use crate::order::{arrived, computed, context};
use crate::workload;
use ebbflow::domain::absorb::absorb;
use ebbflow::domain::apply::{Tally, apply};
use ebbflow::domain::customer::Customer;
use ebbflow::domain::decay::Decayed;
use ebbflow::domain::dimension::Dimension;
use ebbflow::domain::event::{Body, Event, Interaction};
use ebbflow::domain::facts::interactions::Interactions;
use ebbflow::domain::facts::order::{Marks, Order};
use ebbflow::domain::facts::order_book::RareParts;
use ebbflow::domain::facts::preferences::Preference;
use ebbflow::domain::rules::Rules;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::{BTreeMap, BTreeSet};

/// Applies one event with the clock at `clock`.
pub(crate) fn feed(
    customer: &mut Customer,
    event: &Event<'_>,
    rules: &Rules,
    clock: i64,
    tally: &mut Tally,
) {
    let (context, at) = (context(rules, clock), event.occurred_at);
    apply(customer, event, &caused(event, at), None, &context, (tally, &mut Vec::new()));
}

/// A customer who had these events, in this order; blank without any.
pub(crate) fn of(events: &[Event<'_>], rules: &Rules, clock: i64) -> Customer {
    let first = events.first().map_or(Timestamp(clock), |event| event.occurred_at);
    let mut customer = Customer::new("c-0", first, 1);
    for event in events {
        feed(&mut customer, event, rules, clock, &mut Tally::default());
    }
    customer
}

/// The one after it has taken over the other, and what was counted meanwhile.
pub(crate) fn both(mut target: Customer, source: Customer, rules: &Rules) -> (Customer, Tally) {
    let mut tally = Tally::default();
    absorb(&mut target, source, rules, &mut tally);
    (target, tally)
}

/// Names of categories and channel in the place of their numbers, which hang on arrival.
pub(crate) type NamedOrder = (Order, BTreeSet<String>, Option<String>);

/// All facts, with nothing of how and when they came: the rest of the customer is blank.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Facts {
    rest: Customer,
    orders: Vec<NamedOrder>,
    rare: RareParts,
    /// Categories of orders that are no longer kept exactly.
    older: BTreeSet<String>,
    preferences: [BTreeMap<String, Decayed>; 2],
}

impl Facts {
    /// The orders with the names of their categories and channels.
    pub(crate) fn orders(&self) -> &[NamedOrder] {
        &self.orders
    }
}

/// The facts of a customer. Scores are left out where the order of arrival decides what is too
/// old to be scored, or long times which of their last bits are lost.
pub(crate) fn facts(customer: &Customer, with_scores: bool) -> Facts {
    let preferences = customer.preferences.as_deref();
    let categories = preferences.map_or(&[][..], |it| &it.categories);
    let channels = preferences.map_or(&[][..], |it| &it.channels);
    let named = |mask: u8| {
        let in_mask = categories.iter().enumerate().filter(|(place, _)| mask >> place & 1 == 1);
        in_mask.map(|(_, it)| it.name.to_string()).collect::<BTreeSet<String>>()
    };
    let orders = customer.book.orders.iter().cloned().map(|mut order| {
        let Marks { coupon, categories, channel } = order.marks;
        order.marks = Marks { coupon, ..Marks::default() };
        order.changes = order.changes.filter(|it| **it != Default::default());
        let channel =
            usize::from(channel).checked_sub(1).map(|place| channels[place].name.to_string());
        (order, named(categories), channel)
    });
    let mut rare = customer.book.rare.as_deref().cloned().unwrap_or_default();
    let older = named(std::mem::take(&mut rare.categories));
    rare.parked.sort_by_key(|it| (it.order, it.stamp));
    let scored = |list: &[Preference]| {
        let scored = list.iter().filter(|it| with_scores && it.score.sum > 0);
        scored.map(|it| (it.name.to_string(), it.score)).collect()
    };
    let interactions = customer.interactions.clone().map(|it| match with_scores {
        true => it,
        false => {
            let (total, contact_at) = (it.total, it.contact_at);
            Box::new(Interactions { total, contact_at, ..Interactions::default() })
        }
    });
    let rest = Customer {
        signals: customer.signals.clone(),
        interactions,
        spending: customer.spending.clone(),
        surveys: customer.surveys.clone(),
        meddic: customer.meddic.clone(),
        traits: customer.traits.clone(),
        consent: customer.consent.clone(),
        ..Customer::default()
    };
    let preferences = [scored(categories), scored(channels)];
    Facts { rest, orders: orders.collect(), rare, older, preferences }
}

/// Who has which event at first, and which customer takes over which, before which arrival.
#[derive(Clone, Debug)]
struct Split {
    owners: Vec<usize>,
    absorbed: [(Index, usize, usize); 2],
}

fn split() -> impl Strategy<Value = Split> {
    let orders = Just([0, 1, 2]).prop_shuffle();
    (vec(0..3_usize, 40), orders, any::<bool>(), any::<[Index; 2]>()).prop_map(
        |(owners, [first, second, last], chain, [one, other])| {
            let into = if chain { second } else { last };
            let absorbed = [(one, first, into), (other, second, last)];
            Split { owners, absorbed }
        },
    )
}

/// The last of three customers between whom the arrivals are split, when it has taken over both
/// others; a repeated event comes to whoever had it, or has taken over who had it.
fn absorbed(
    events: &[Event<'static>],
    arrivals: &[Event<'static>],
    split: &Split,
    rules: &Rules,
    clock: i64,
) -> Customer {
    let mut customers = [0, 1, 2].map(|_| of(&[], rules, clock));
    let mut now = [0, 1, 2];
    let mut waiting =
        split.absorbed.map(|(at, from, into)| (at.index(arrivals.len() + 1), from, into));
    // The chain's first link goes first.
    waiting[1].0 = waiting[1].0.max(waiting[0].0);
    for arrival in 0..=arrivals.len() {
        for (_, from, into) in waiting.into_iter().filter(|(at, ..)| *at == arrival) {
            let source = customers[from].clone();
            absorb(&mut customers[into], source, rules, &mut Tally::default());
            now.iter_mut().filter(|it| **it == from).for_each(|it| *it = into);
        }
        let Some(event) = arrivals.get(arrival) else { break };
        let known = events.iter().position(|it| it.event_id == event.event_id);
        let owner = now[split.owners[known.expect("an arrival of an event")]];
        feed(&mut customers[owner], event, rules, clock, &mut Tally::default());
    }
    let last = split.absorbed[1].2;
    customers.into_iter().nth(last).expect("one of three")
}

fn after_all(events: &[Event<'_>]) -> i64 {
    events.iter().map(|event| event.occurred_at.0).max().unwrap_or(T0)
}

/// The same events within a week, in which nothing is too old to be scored.
fn within_a_week(mut events: Vec<Event<'static>>) -> Vec<Event<'static>> {
    for event in &mut events {
        let since = event.occurred_at.0 - T0;
        event.occurred_at = Timestamp(T0 + since.rem_euclid(6 * DAY_MS));
    }
    events
}

/// Rules by which many a thing that is done on one day is not scored.
fn capped() -> Rules {
    let mut rules = rules();
    rules.fold.daily_cap = 2;
    rules
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn facts_and_raw_values_are_those_of_one_customer_who_had_all_events(
        (events, arrivals) in workload::shuffled(1..26),
        split in split(),
        by_time in any::<bool>(),
        later in prop_oneof![Just(0), 0..400 * DAY_MS],
        other_map in any::<bool>(),
    ) {
        let mut rules = if other_map { klaviyo_rules() } else { rules() };
        // Of days that only one of two still has counts of, each was capped by itself.
        rules.fold.daily_cap = 1_000;
        let (clock, mut arrivals) = (after_all(&events), arrivals);
        if by_time {
            arrivals.sort_by_key(|event| event.occurred_at);
        }
        let united = absorbed(&events, &arrivals, &split, &rules, clock);
        let whole = of(&arrivals, &rules, clock);
        prop_assert_eq!(facts(&united, false), facts(&whole, false));
        let reference = arrived(&arrivals);
        for at in [clock, clock + later, clock + later + 700 * DAY_MS] {
            let (values, told) = computed(&united, &rules, at);
            if by_time {
                let (whole, whole_told) = computed(&whole, &rules, at);
                prop_assert_eq!((&values, &told), (&whole, &whole_told));
            }
            let (mut expected, mut naive) = reference.raw(&rules, at);
            let engagement = place(Dimension::Engagement);
            expected[engagement].clone_from(&values[engagement]);
            naive.engagement_score = told.engagement_score;
            prop_assert_eq!((values, told), (expected, naive));
        }
    }

    #[test]
    fn scores_are_capped_by_the_day_as_if_all_had_come_to_one(
        (events, arrivals) in workload::shuffled(1..40),
        split in split(),
    ) {
        let (events, arrivals, rules) = (within_a_week(events), within_a_week(arrivals), capped());
        let clock = after_all(&events);
        let united = absorbed(&events, &arrivals, &split, &rules, clock);
        let whole = of(&arrivals, &rules, clock);
        prop_assert_eq!(facts(&united, true), facts(&whole, true));
        for at in [clock, clock + 9 * DAY_MS] {
            prop_assert_eq!(computed(&united, &rules, at), computed(&whole, &rules, at));
        }
    }

    #[test]
    fn who_takes_over_whom_does_not_matter(
        (_, arrivals) in workload::shuffled(1..40),
        owners in vec(0..3_usize, 60),
    ) {
        let (arrivals, rules) = (within_a_week(arrivals), capped());
        let clock = after_all(&arrivals);
        let [one, other, third] = [0, 1, 2].map(|of_owner| {
            let own = arrivals.iter().zip(&owners).filter(|(_, owner)| **owner == of_owner);
            of(&own.map(|(event, _)| event.clone()).collect::<Vec<_>>(), &rules, clock)
        });
        let both = |target: &Customer, source: &Customer| {
            both(target.clone(), source.clone(), &rules).0
        };
        let expected = facts(&both(&both(&one, &other), &third), true);
        for united in [
            both(&one, &both(&other, &third)),
            both(&both(&other, &one), &third),
            both(&third, &both(&one, &other)),
            both(&both(&third, &other), &one),
            both(&other, &both(&third, &one)),
        ] {
            prop_assert_eq!(&facts(&united, true), &expected);
        }
    }

    #[test]
    fn a_blank_customer_changes_nothing_and_takes_over_everything(
        (_, arrivals) in workload::shuffled(1..40),
    ) {
        let rules = rules();
        let clock = after_all(&arrivals);
        let own = of(&arrivals, &rules, clock);
        let blank = || Customer::new("c-1", own.first_seen_at.plus_days(1), 1);
        let (same, tally) = both(own.clone(), blank(), &rules);
        prop_assert_eq!(&same, &own);
        prop_assert_eq!(tally, Tally::default());
        let (taken_over, tally) = both(blank(), own.clone(), &rules);
        prop_assert_eq!(facts(&taken_over, true), facts(&own, true));
        prop_assert_eq!(computed(&taken_over, &rules, clock), computed(&own, &rules, clock));
        prop_assert_eq!(&taken_over.recent_events, &own.recent_events);
        prop_assert_eq!(taken_over.first_seen_at, own.first_seen_at);
        prop_assert_eq!(tally, Tally::default());
    }
}

#[test]
fn only_facts_move() {
    let rules = rules();
    let clock = day(40).0;
    let mut target = of(&[event("e-1", "c-0", day(9), ordered("o-1", eur(500)))], &rules, clock);
    let mut source = of(&[event("e-2", "c-1", day(3), ordered("o-2", eur(900)))], &rules, clock);
    (target.incarnation, source.incarnation, source.id) = (1, 7, "c-1".to_owned());
    let (united, _) = both(target.clone(), source, &rules);
    let told = |it: &Customer| {
        let numbers = (it.incarnation, it.seq, it.rules_revision);
        (it.id.clone(), numbers, it.evaluated_at, it.deadline, it.entries.clone())
    };
    assert_eq!(told(&united), told(&target));
    assert_eq!(united.first_seen_at, day(3));
    for dimension in Dimension::BUILT_IN {
        let (before, after) = (target.published(dimension), united.published(dimension));
        if before == target.initial() {
            // What never changed is so since the customer is known.
            assert_eq!(after, united.initial(), "{dimension:?}");
        } else {
            assert_eq!(after, before, "{dimension:?}");
        }
    }
}

#[test]
fn records_of_one_order_that_came_to_two_customers_are_one_order() {
    let rules = rules();
    let clock = day(40).0;
    let own = of(&[event("e-1", "c-0", day(0), ordered("o-1", eur(500)))], &rules, clock);
    let other = [
        event("e-1", "c-1", day(0), ordered("o-1", eur(500))),
        event("e-2", "c-1", day(2), refunded("o-1", "r-1", Some(eur(200)))),
        event("e-3", "c-1", day(3), refunded("o-2", "r-2", Some(eur(50)))),
    ];
    let (mut united, tally) = both(own, of(&other, &rules, clock), &rules);
    let (_, facts) = computed(&united, &rules, clock);
    assert_eq!((facts.orders, facts.net_minor, tally), (1, 300, Tally::default()));
    assert_eq!(united.book.rare.as_ref().map(|rare| rare.parked.len()), Some(1));
    // Sent again: known from the source. The order of the refund that waits comes afterwards.
    let late = event("e-4", "c-0", day(1), ordered("o-2", eur(70)));
    for event in [&other[1], &late] {
        feed(&mut united, event, &rules, clock, &mut Tally::default());
    }
    let (_, facts) = computed(&united, &rules, clock);
    assert_eq!((facts.orders, facts.net_minor), (2, 320));
}

#[test]
fn a_term_takes_the_price_that_came_to_the_other_customer() {
    let rules = rules();
    let clock = day(40).0;
    let renewal = event("e-1", "c-0", day(30), started(term("s-1", Some("o-1"), None, None)));
    let start = started(term("s-1", Some("o-0"), Some(eur(900)), Some(30)));
    let (start, refund) = (
        event("e-0", "c-1", day(0), start),
        event("e-2", "c-1", day(31), refunded("o-1", "r-1", Some(eur(1_000)))),
    );
    let own = of(&[renewal], &rules, clock);
    assert_eq!(computed(&own, &rules, clock).1.net_minor, 0);
    let (united, tally) = both(own, of(&[start, refund], &rules, clock), &rules);
    assert_eq!(computed(&united, &rules, clock).1.net_minor, 900);
    assert_eq!(united.book.orders[1].net_minor(&rules.rates), 0);
    assert_eq!(tally.book.clipped, 1);
    let days: Vec<u32> = united.book.orders.iter().filter_map(|it| Some(it.term?.days)).collect();
    assert_eq!(days, [30, 30]);
}

#[test]
fn a_refusal_of_the_same_time_wins_whoever_said_it() {
    let rules = rules();
    let said = |id: &str, permitted| {
        let purposes = vec![("profiling".into(), permitted)];
        let body = Body::Interaction(Interaction::ConsentChanged { purposes });
        of(&[event(id, "c-0", day(1), body)], &rules, day(2).0)
    };
    for (own, other) in [(true, false), (false, true)] {
        let (united, _) = both(said("e-1", own), said("e-2", other), &rules);
        let consent = united.consent.expect("a refusal");
        assert_eq!(consent.get("profiling"), Some(&false));
    }
}
