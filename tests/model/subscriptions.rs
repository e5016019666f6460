//! Subscriptions that go on for years: what a renewal leaves open stays as it was set before.
//!
//! Next: `src/domain/facts/subscription.rs`, the bounds.

use crate::fixture::{cancelled, config, day, eur, event, renewed, rules, started, term};
use crate::order::{applied, arrived, computed};
use ebbflow::domain::event::{Body, Event, Purchase, Term};
use ebbflow::domain::facts::order::Stamp;
use ebbflow::domain::facts::subscription::{MAX_PRICES, Price, Subscription};
use ebbflow::domain::id::EventKey;
use ebbflow::domain::publish::profile::profile;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

/// Net revenue and running subscriptions after `(days after T0, what)`, on the last day.
fn lived(list: &[(i64, Body<'static>)]) -> (i64, u32) {
    let events: Vec<Event<'static>> = (0..)
        .zip(list)
        .map(|(n, (days, body))| event(&format!("e{n:05}"), "c-0", day(*days), body.clone()))
        .collect();
    let rules = rules();
    let at = events[events.len() - 1].occurred_at;
    let told = profile(&applied(&events, &rules, at.0), &rules, at);
    (told.facts.net_minor, told.more.running_subscriptions)
}

fn basic(amount: Option<i64>, days: Option<u32>) -> Term<'static> {
    Term { plan: Some("basic".into()), ..term("s-1", None, amount.map(eur), days) }
}

fn changed(term: Term<'static>) -> Body<'static> {
    Body::Purchase(Purchase::SubscriptionChanged(term))
}

#[test]
fn a_price_set_once_holds_for_any_number_of_renewals() {
    let mut list = vec![(0, started(basic(Some(1_000), Some(30))))];
    for renewal in 1..=20 {
        list.push((30 * renewal, renewed(basic(None, None))));
        assert_eq!(lived(&list), (1_000 * (renewal + 1), 1), "renewal {renewal}");
    }
    list.push((610, changed(basic(Some(2_000), None))));
    assert_eq!(lived(&list), (21_000, 1));
    list.push((630, renewed(basic(None, None))));
    assert_eq!(lived(&list), (23_000, 1));
}

#[test]
fn many_changes_of_a_price_leave_the_terms_before_as_they_were() {
    let mut list = vec![(0, started(basic(Some(1_000), Some(30))))];
    let mut net_minor = 1_000;
    for renewal in 1..=30 {
        let price = 1_000 + renewal;
        list.push((30 * renewal - 1, changed(basic(Some(price), None))));
        list.push((30 * renewal, renewed(term("s-1", None, None, None))));
        net_minor += price;
        assert_eq!(lived(&list), (net_minor, 1), "renewal {renewal}");
    }
}

/// Contract, section 2: a subscription runs until its latest term's end, unless ended.
#[test]
fn a_term_whose_order_is_cancelled_earns_nothing_and_still_runs() {
    let term = term("s-1", Some("o-1"), Some(eur(1_000)), Some(30));
    let mut list = vec![(0, started(term)), (1, cancelled("o-1"))];
    assert_eq!(lived(&list), (0, 1));
    list.push((2, Body::Purchase(Purchase::SubscriptionEnded { subscription_id: "s-1".into() })));
    assert_eq!(lived(&list), (0, 0));
}

/// A long history in the order of its times, of one plan.
fn history() -> impl Strategy<Value = Vec<Event<'static>>> {
    let record = (10..50_i64, 0..4_u8, of(100..5_000_i64), of(7..60_u32), any::<bool>());
    // Most records leave most open.
    let rarely = |it: Option<i64>, place: usize| it.filter(|_| place.is_multiple_of(7));
    vec(record, 20..45).prop_map(move |records| {
        let mut days = 0;
        let event_of = |(place, (step, kind, amount, term_days, planned))| {
            days += step;
            let term = Term {
                plan: Some("basic".into()).filter(|_| planned),
                ..term("s-1", None, rarely(amount, place).map(eur), term_days)
            };
            let term = Term { term_days: term.term_days.filter(|_| place % 5 == 3), ..term };
            let body = match kind {
                0 => changed(term),
                _ if place == 0 => started(term),
                _ => renewed(term),
            };
            event(&format!("e{place:05}"), "c-0", day(days), body)
        };
        records.into_iter().enumerate().map(event_of).collect()
    })
}

/// Prices in the order of their times.
fn prices() -> impl Strategy<Value = Vec<Price>> {
    let price = (of(1..9_i64), of(0..3_u8), of(1..9_u32));
    vec(price, 1..30).prop_map(|prices| {
        let price_of = |(at, (amount, plan, term_days)): (i64, (Option<i64>, Option<u8>, _))| {
            let stamp = Stamp { at: Timestamp(at * DAY_MS), key: EventKey(0) };
            let plan = plan.map(|plan| format!("plan-{plan}").into());
            Price { stamp, amount: amount.map(eur), plan, term_days }
        };
        (0..).zip(prices).map(price_of).collect()
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_long_subscription_is_what_the_naive_model_says(
        events in history(),
        later_days in 0..400_i64,
    ) {
        let rules = rules();
        let last = events[events.len() - 1].occurred_at;
        for clock in [last.0, last.plus_days(later_days).0] {
            let customer = applied(&events, &rules, clock);
            prop_assert_eq!(computed(&customer, &rules, clock), arrived(&events).raw(&rules, clock));
        }
    }

    #[test]
    fn the_prices_that_are_kept_do_not_depend_on_their_arrival(
        (inputs, arrivals) in prices().prop_flat_map(|it| (Just(it.clone()), Just(it).prop_shuffle())),
    ) {
        let kept = |prices: &[Price]| {
            let mut subscription = Subscription::new(1);
            for price in prices {
                subscription.set_price(price.clone());
            }
            subscription
        };
        let ends = kept(&inputs);
        prop_assert_eq!(&ends, &kept(&arrivals));
        prop_assert!(ends.prices.len() <= MAX_PRICES + 3);
        // From the oldest of the latest on every price is what it would be of all.
        let oldest = inputs[inputs.len().saturating_sub(MAX_PRICES)].stamp;
        for Price { stamp, .. } in inputs.iter().filter(|price| price.stamp >= oldest) {
            let before = |price: &&Price| price.stamp <= *stamp;
            let set = inputs.iter().filter(before).rev().find_map(|price| price.amount);
            let first = inputs.iter().find_map(|price| price.amount);
            prop_assert_eq!(ends.amount_at(*stamp), set.or(first));
        }
    }
}
