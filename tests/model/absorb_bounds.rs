//! What is taken over of another customer stays within the bounds; what falls out is counted.
//!
//! Next: `largest.rs`, the largest state that the bounds allow.

use crate::absorb::{both, facts, feed, of};
use crate::fixture::{cancelled, config, day, eur, event, ordered, refunded, rules};
use crate::fixture::{renewed, term, updated, visited};
use crate::order::computed;
use crate::packing::packed;
use ebbflow::domain::apply::Tally;
use ebbflow::domain::customer::{Customer, MAX_RECENT_EVENTS};
use ebbflow::domain::event::{
    Body, Event, Interaction, Item, MessageKind, Purchase, Survey, Text, VisitKind,
};
use ebbflow::domain::facts::older_orders::MAX_EVICTED_TERMS;
use ebbflow::domain::facts::order::MAX_REFUNDS;
use ebbflow::domain::facts::order_book::{
    BookTally, MAX_ALL_REFUNDS, MAX_EVICTED, MAX_ORDERS, MAX_PARKED, MAX_SUBSCRIPTIONS,
};
use ebbflow::domain::facts::order_facts::OrderFacts;
use ebbflow::domain::facts::preferences::MAX_PREFERENCES;
use ebbflow::domain::facts::spending::MAX_TOUCH_DAYS;
use ebbflow::domain::facts::surveys::MAX_PARTS;
use ebbflow::domain::facts::traits::{MAX_PURPOSES, MAX_TRAITS};
use ebbflow::domain::pack::unpack;
use ebbflow::domain::time::Day;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Later than every event here.
const CLOCK: i64 = 4_000;

/// Customers of events that are numbered in the order of their days.
fn customers<const N: usize>(
    days: impl Iterator<Item = i64>,
    owner: impl Fn(usize) -> usize,
    body: impl Fn(usize) -> Body<'static>,
) -> [Customer; N] {
    let rules = rules();
    let mut events: [Vec<Event<'static>>; N] = std::array::from_fn(|_| Vec::new());
    for (number, days) in days.enumerate() {
        events[owner(number)].push(event(&format!("e-{number}"), "c", day(days), body(number)));
    }
    events.map(|events| of(&events, &rules, day(CLOCK).0))
}

/// Two customers who had every other event, and one who had all.
fn halves(
    days: impl Iterator<Item = i64> + Clone,
    body: impl Fn(usize) -> Body<'static>,
) -> ([Customer; 2], Customer) {
    let [whole] = customers(days.clone(), |_| 0, &body);
    (customers(days, |number| number % 2, &body), whole)
}

fn said(interaction: Interaction<'static>) -> Body<'static> {
    Body::Interaction(interaction)
}

fn bought(order: &str, minor: i64, category: &str, channel: &str) -> Body<'static> {
    let category = Some(Text::from(category.to_owned()));
    Body::Purchase(Purchase::OrderCompleted {
        order_id: order.to_owned().into(),
        amount: eur(minor),
        channel: Some(channel.to_owned().into()),
        coupon: None,
        items: vec![Item { sku: None, category, quantity: None, amount_minor: None }],
    })
}

fn renewal(subscription: &str, order: &str) -> Body<'static> {
    renewed(term(subscription, Some(order), Some(eur(100)), Some(30)))
}

fn traits(name: String) -> Body<'static> {
    said(Interaction::ProfileUpdated { traits: vec![(name.into(), "x".into())] })
}

fn purposes(name: String) -> Body<'static> {
    said(Interaction::ConsentChanged { purposes: vec![(name.into(), true)] })
}

fn benefit(name: String) -> Body<'static> {
    let survey = Survey::Benefit(name.into());
    said(Interaction::SurveyAnswered { survey, score: Some(5), reason: None })
}

fn sent() -> Body<'static> {
    let (kind, channel) = (MessageKind::Sent, Some("email".into()));
    said(Interaction::Message { kind, campaign: None, channel })
}

fn order_facts(customer: &Customer) -> OrderFacts {
    OrderFacts::of(&customer.book, &rules().rates)
}

/// Every bound that a state has.
fn assert_within_bounds(customer: &Customer) {
    assert!(customer.recent_events.len() <= MAX_RECENT_EVENTS);
    let orders = &customer.book.orders;
    assert!(orders.len() <= MAX_ORDERS);
    assert!(orders.is_sorted_by_key(|order| (order.base.at, order.id)));
    let refunds = orders.iter().filter_map(|order| Some(order.changes.as_ref()?.refunds.len()));
    assert!(refunds.clone().all(|refunds| refunds <= MAX_REFUNDS));
    assert!(refunds.sum::<usize>() <= MAX_ALL_REFUNDS);
    let rare = customer.book.rare.as_deref().cloned().unwrap_or_default();
    assert!(rare.evicted.len() <= MAX_EVICTED);
    assert!(rare.evicted.is_sorted_by_key(|order| (order.day, order.id)));
    let exact = orders.first().map_or(Day(i64::MAX), |order| order.base.at.day());
    assert!(rare.evicted.last().is_none_or(|order| order.day <= exact));
    let oldest = rare.evicted.first().map(|order| order.day);
    assert!(rare.before.last_day.is_none() || rare.before.last_day <= oldest);
    let ids: BTreeSet<u64> = orders.iter().map(|order| order.id).collect();
    let older: BTreeSet<u64> = rare.evicted.iter().map(|order| order.id).collect();
    assert_eq!((ids.len(), older.len()), (orders.len(), rare.evicted.len()));
    assert!(ids.is_disjoint(&older));
    assert!(rare.parked.iter().all(|it| !ids.contains(&it.order) && !older.contains(&it.order)));
    let terms = rare.evicted.iter().filter(|order| order.term.is_some());
    assert!(terms.count() <= MAX_EVICTED_TERMS);
    assert!(rare.parked.len() <= MAX_PARKED);
    assert!(rare.subscriptions.len() <= MAX_SUBSCRIPTIONS);
    assert!(rare.subscriptions.is_sorted_by_key(|it| it.id));
    let named = customer.book.in_use();
    let preferences = customer.preferences.as_deref().cloned().unwrap_or_default();
    for (names, mask) in
        [(&preferences.categories, named.categories), (&preferences.channels, named.channels)]
    {
        assert!(names.len() <= MAX_PREFERENCES);
        assert!(u32::from(mask) < 1 << names.len());
        let distinct: BTreeSet<&str> = names.iter().map(|it| &*it.name).collect();
        assert_eq!(distinct.len(), names.len());
    }
    assert!(customer.spending.as_ref().is_none_or(|it| it.touch_days.len() <= MAX_TOUCH_DAYS));
    assert!(customer.surveys.as_ref().is_none_or(|it| it.parts.len() <= MAX_PARTS));
    assert!(customer.traits.as_ref().is_none_or(|it| it.entries.len() <= MAX_TRAITS));
    assert!(customer.consent.as_ref().is_none_or(|it| it.entries.len() <= MAX_PURPOSES));
    let bytes = packed(customer);
    assert!(bytes.len() <= 64 * 1024, "{} bytes", bytes.len());
    assert_eq!(unpack(&bytes, &rules().rates).as_ref(), Ok(customer));
}

/// Many different things, far more than is kept of each.
fn wide() -> impl Strategy<Value = Vec<(i64, Body<'static>)>> {
    let body = (0..18_u8, 0..1_000_u32).prop_map(|(kind, id)| {
        let order = format!("o-{}", id % 200);
        let subscription = format!("s-{}", id % 12);
        match kind {
            0..=4 => bought(&order, 100, &format!("c-{}", id % 11), &format!("w-{}", id % 10)),
            5..=8 => refunded(&format!("o-{}", id % 20), &format!("r-{id}"), Some(eur(1))),
            9 => refunded(&order, &format!("r-{id}"), None),
            10 => cancelled(&order),
            11 => updated(&order, eur(50)),
            12 => renewal(&subscription, &order),
            13 => {
                Body::Purchase(Purchase::SubscriptionEnded { subscription_id: subscription.into() })
            }
            14 => traits(format!("t-{}", id % 100)),
            15 => purposes(format!("p-{}", id % 50)),
            16 => benefit(format!("b-{}", id % 24)),
            _ => sent(),
        }
    });
    vec((0..CLOCK, body), 0..220)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: config().cases / 4, ..config() })]

    #[test]
    fn whatever_is_united_stays_within_the_bounds(
        [own, other, later] in [wide(), wide(), wide()],
    ) {
        let (rules, clock) = (rules(), day(CLOCK).0);
        let events = |events: Vec<(i64, Body<'static>)>, name: &str| {
            let events = events.into_iter().enumerate();
            let events = events.map(|(n, (days, body))| {
                event(&format!("{name}-{n}"), "c-0", day(days), body)
            });
            events.collect::<Vec<_>>()
        };
        let own = of(&events(own, "own"), &rules, clock);
        let other = of(&events(other, "other"), &rules, clock);
        assert_within_bounds(&both(other.clone(), own.clone(), &rules).0);
        let (mut united, _) = both(own, other.clone(), &rules);
        assert_within_bounds(&united);
        for event in events(later, "later").iter().take(60) {
            feed(&mut united, event, &rules, clock, &mut Tally::default());
        }
        assert_within_bounds(&united);
        // What was taken over before is known where it is kept.
        assert_within_bounds(&both(united, other, &rules).0);
    }
}

#[test]
fn orders_beyond_the_exact_ones_keep_day_and_net_of_both() {
    // Two a day now and then, on days of their own.
    let days = |number: usize| i64::try_from(number - usize::from(number % 10 > 7) * 2);
    let days = |number: usize| days(number).expect("few");
    for count in [60, 150, 640, 1_000, 1_700] {
        let body = |number: usize| {
            let category = if number == 1 { "ties" } else { ["hats", "bags"][number % 2] };
            bought(&format!("o-{number}"), 100 + 7 * (days(number) % 50), category, "web")
        };
        let ([own, other], whole) = halves((0..count).map(days), body);
        let evicted = own.book.evicted().len() + other.book.evicted().len();
        let (united, tally) = both(own, other, &rules());
        assert_eq!(order_facts(&united), order_facts(&whole), "{count} orders");
        assert!(facts(&united, false) == facts(&whole, false), "{count} orders");
        assert_within_bounds(&united);
        let fell_out = whole.book.evicted().len() - evicted.min(MAX_EVICTED);
        assert!(tally.book.evicted >= fell_out as u64, "{count} orders: {tally:?}");
        let at = day(days(count));
        let told = |it| computed(it, &rules(), at.0);
        assert_eq!(told(&united), told(&whole), "{count} orders");
    }
}

#[test]
fn of_evicted_orders_the_latest_keep_the_terms_that_they_pay_for() {
    let body = |number: usize| renewal("s-1", &format!("o-{number}"));
    let ([own, other], whole) = halves(0..250, body);
    let (united, _) = both(own, other, &rules());
    assert!(facts(&united, false) == facts(&whole, false));
    assert_within_bounds(&united);
}

#[test]
fn no_order_is_kept_exactly_before_an_evicted_one() {
    // So many refunds that the first two of twelve orders are evicted.
    let refunds = |number: usize| match number / 12 {
        0 => ordered(&format!("o-{number}"), eur(500)),
        turn => refunded(&format!("o-{}", number % 12), &format!("r-{turn}"), Some(eur(1))),
    };
    let days = (0..12 * 17).map(|number| 100 + number % 12);
    let [refunded] = customers(days, |_| 0, refunds);
    assert_eq!((refunded.book.orders.len(), refunded.book.evicted().len()), (10, 2));
    let [earlier] =
        customers(0..5, |_| 0, |number| ordered(&format!("earlier-{number}"), eur(500)));
    for (target, source) in [(refunded.clone(), earlier.clone()), (earlier, refunded)] {
        let (united, tally) = both(target, source, &rules());
        assert_within_bounds(&united);
        assert_eq!((united.book.orders.len(), united.book.evicted().len()), (10, 7));
        assert_eq!(tally.book, BookTally { evicted: 5, ..BookTally::default() });
        let facts = order_facts(&united);
        assert_eq!((facts.orders, facts.order_days, facts.net_minor), (17, 17, 17 * 500 - 192));
    }
}

#[test]
fn days_of_sums_that_overlap_are_no_more_than_there_are() {
    let days = (0..1_400).map(|number| number / 4);
    let ([own, other], whole) = halves(days, |number| ordered(&format!("o-{number}"), eur(100)));
    let (united, _) = both(own, other, &rules());
    let (united, whole) = (order_facts(&united), order_facts(&whole));
    assert_eq!(united, whole);
}

#[test]
fn a_record_that_waits_finds_an_order_that_is_no_longer_kept_exactly() {
    let rules = rules();
    let clock = day(CLOCK).0;
    let order = |number: i64| {
        let id = format!("o-{number}");
        event(&id, "c-0", day(number), ordered(&id, eur(100)))
    };
    let own: Vec<Event<'_>> = (0..70).map(order).collect();
    let waits = [
        event("e-1", "c-1", day(1), refunded("o-0", "r-1", Some(eur(30)))),
        event("e-2", "c-1", day(2), cancelled("o-1")),
        event("e-3", "c-1", day(3), updated("o-2", eur(1_000))),
        event("e-4", "c-1", day(4), refunded("o-3", "r-4", Some(eur(101)))),
        event("e-5", "c-1", day(5), refunded("o-none", "r-5", None)),
    ];
    let (own, other) = (of(&own, &rules, clock), of(&waits, &rules, clock));
    for (target, source) in [(own.clone(), other.clone()), (other, own)] {
        let (united, tally) = both(target, source, &rules);
        let evicted: Vec<i64> = united.book.evicted().iter().map(|it| it.net_minor).collect();
        assert_eq!(evicted, [70, 0, 1_000, 0, 100, 100]);
        assert_eq!(united.book.rare.as_ref().map(|rare| rare.parked.len()), Some(1));
        assert_eq!(tally.book, BookTally { clipped: 1, ..BookTally::default() });
    }
}

/// Of what was taken off in either there is no record any more.
#[test]
fn an_order_that_both_know_counts_once_where_one_has_it_no_longer_exactly() {
    let rules = rules();
    let clock = day(CLOCK).0;
    let order = |id: &str, days| event(id, "c-0", day(days), bought(id, 100, "hats", "web"));
    let mut own: Vec<Event<'_>> = (0..66).map(|n| order(&format!("o-{n}"), n)).collect();
    own.push(event("e-c", "c-0", day(1), cancelled("o-1")));
    let refund = event("e-r", "c-1", day(9), refunded("o-0", "r-1", Some(eur(30))));
    let other = [order("o-0", 0), order("o-1", 1), refund];
    let (own, other) = (of(&own, &rules, clock), of(&other, &rules, clock));
    for (target, source) in [(own.clone(), other.clone()), (other, own)] {
        let (united, tally) = both(target, source, &rules);
        assert_eq!(order_facts(&united).orders, 65);
        assert_eq!(order_facts(&united).net_minor, 6_470);
        assert_eq!((united.book.orders.len(), united.book.evicted().len()), (64, 2));
        assert_eq!(tally.book.evicted, 0);
        let (again, _) = both(united.clone(), united.clone(), &rules);
        assert_eq!(order_facts(&again), order_facts(&united));
    }
}

#[test]
fn refunds_beyond_those_of_one_order_are_added_up() {
    let body = |number: usize| match number {
        0 | 1 => ordered("o-1", eur(10_000)),
        _ => refunded("o-1", &format!("r-{number}"), Some(eur(100))),
    };
    let ([own, other], _) = halves(0..26, body);
    let (united, tally) = both(own, other, &rules());
    assert_eq!(order_facts(&united).net_minor, 10_000 - 24 * 100);
    assert_eq!(tally.book, BookTally { evicted: 8, ..BookTally::default() });
    assert_within_bounds(&united);
}

#[test]
fn the_oldest_orders_give_way_to_refunds() {
    // Ten orders each, fifteen refunds of each order.
    let order = |number: usize| format!("o-{}", number % 20);
    let body = |number: usize| match number / 20 {
        0 => ordered(&order(number), eur(10_000)),
        turn => refunded(&order(number), &format!("r-{turn}"), Some(eur(100))),
    };
    let ([own, other], _) = halves(0..320, body);
    assert!(own.book.rare.is_none() && other.book.rare.is_none());
    let (united, tally) = both(own, other, &rules());
    assert_eq!((united.book.orders.len(), united.book.evicted().len()), (10, 10));
    assert_eq!(tally.book, BookTally { evicted: 10, ..BookTally::default() });
    let facts = order_facts(&united);
    assert_eq!((facts.orders, facts.net_minor, facts.order_days), (20, 20 * 8_500, 20));
    assert_within_bounds(&united);
}

#[test]
fn of_records_that_wait_the_oldest_are_given_up() {
    let rules = rules();
    let waiting = |name: &str, clock: i64| {
        let mut customer = of(&[], &rules, day(0).0);
        for number in 0..10 {
            let order = format!("o-{name}-{number}");
            let record = event(&order, "c-0", day(0), cancelled(&order));
            feed(&mut customer, &record, &rules, day(clock).0, &mut Tally::default());
        }
        customer
    };
    let (old, new) = (waiting("old", 1), waiting("new", 2));
    for (target, source) in [(old.clone(), new.clone()), (new, old)] {
        let (united, tally) = both(target, source, &rules);
        let parked = united.book.rare.expect("records that wait").parked;
        let newer = parked.iter().filter(|it| it.parked_at == day(2)).count();
        assert_eq!((parked.len(), newer), (MAX_PARKED, 10));
        assert_eq!(tally.book, BookTally { unmatched: 4, ..BookTally::default() });
    }
}

#[test]
fn subscriptions_that_are_longest_without_news_are_forgotten() {
    let body = |number: usize| renewal(&format!("s-{number}"), &format!("o-{number}"));
    let ([own, other], _) = halves(0..10, body);
    let (united, tally) = both(own, other, &rules());
    let first = united.book.subscriptions().iter().filter_map(|it| it.latest_term).min();
    assert_eq!(united.book.subscriptions().len(), MAX_SUBSCRIPTIONS);
    assert_eq!(first.map(|stamp| stamp.at), Some(day(2)));
    assert_eq!(tally.book, BookTally { evicted: 2, ..BookTally::default() });
    assert_eq!(order_facts(&united).orders, 10);
}

#[test]
fn names_that_find_no_room_are_left_out_and_counted() {
    let ([own, other], _) = halves(0..80, |number| traits(format!("t-{number}")));
    let (united, tally) = both(own.clone(), other, &rules());
    assert_eq!((united.traits.as_ref().map(|it| it.entries.len()), tally.bounded), (Some(64), 16));
    for (name, _, _) in &own.traits.expect("traits").entries {
        assert!(united.traits.as_ref().is_some_and(|it| it.get(name).is_some()));
    }
    let ([own, other], _) = halves(0..40, |number| purposes(format!("p-{number}")));
    let (united, tally) = both(own, other, &rules());
    assert_eq!((united.consent.map(|it| it.entries.len()), tally.bounded), (Some(32), 8));
    let ([own, other], _) = halves(0..20, |number| benefit(format!("b-{number}")));
    let (united, tally) = both(own, other, &rules());
    let parts = united.surveys.expect("answers").parts;
    assert_eq!((parts.len(), tally.bounded), (16, 4));
    assert!(parts.iter().all(|part| part.at >= day(4)));
}

#[test]
fn categories_that_orders_name_come_before_those_that_were_looked_at() {
    let seen = |name: &str, days| {
        let (category, channel) = (Some(name.to_owned().into()), None);
        let kind = VisitKind::CheckoutStarted;
        event(name, "c", day(days), said(Interaction::Visit { kind, sku: None, category, channel }))
    };
    let order = |name: &str| event(name, "c", day(0), bought(name, 100, name, "web"));
    let rules = rules();
    let clock = day(CLOCK).0;
    // Six each; of the target's one was bought, of the source's four.
    let own =
        [order("a1"), seen("a2", 1), seen("a3", 9), seen("a4", 8), seen("a5", 7), seen("a6", 6)];
    let other = [order("b1"), order("b2"), order("b3"), order("b4"), seen("b5", 5), seen("b6", 10)];
    let (united, tally) = both(of(&own, &rules, clock), of(&other, &rules, clock), &rules);
    let names: BTreeSet<String> = united
        .preferences
        .iter()
        .flat_map(|it| it.categories.iter().map(|it| it.name.to_string()))
        .collect();
    let kept = ["a1", "a3", "a4", "b1", "b2", "b3", "b4", "b6"];
    assert_eq!(names, kept.map(str::to_owned).into());
    assert_eq!(tally.bounded, 1);
    for (order, categories, channel) in facts(&united, false).orders() {
        assert_eq!((categories.len(), channel.as_deref()), (1, Some("web")), "{order:?}");
    }
    // Nine that were bought are one too many.
    let names = |side: &str, count: usize| -> Vec<Event<'static>> {
        (0..count).map(|n| order(&format!("{side}{n}"))).collect()
    };
    let (own, other) = (of(&names("a", 5), &rules, clock), of(&names("b", 4), &rules, clock));
    let (united, tally) = both(own, other, &rules);
    let named = facts(&united, false).orders().iter().filter(|it| it.1.len() == 1).count();
    assert_eq!((named, tally.bounded), (8, 1));
    assert_within_bounds(&united);
}

#[test]
fn the_newest_ids_of_both_are_remembered() {
    let ([own, other], _) = halves(0..60, |_| visited(VisitKind::PageViewed));
    let (united, _) = both(own.clone(), other.clone(), &rules());
    let newest: BTreeSet<u64> =
        own.recent_events[14..].iter().chain(&other.recent_events[14..]).copied().collect();
    assert_eq!(united.recent_events.iter().copied().collect::<BTreeSet<u64>>(), newest);
    assert_eq!(united.recent_events[30..], [other.recent_events[29], own.recent_events[29]]);
    // Where one has few, more of the other's are.
    let few = of(&[event("e-1", "c", day(1), sent())], &rules(), day(CLOCK).0);
    let (united, _) = both(few.clone(), own, &rules());
    assert_eq!(united.recent_events.len(), 31);
    let (again, _) = both(united, few, &rules());
    assert_eq!(again.recent_events.len(), 31);
}

#[test]
fn the_first_days_with_messages_are_those_of_both() {
    let ([own, other], whole) = halves((0..48).map(|number| number / 2 * 3 % 23), |_| sent());
    let (united, _) = both(own, other, &rules());
    assert_eq!(united.spending, whole.spending);
    assert!(united.spending.is_some_and(|it| it.touch_days.len() == 16 && it.later_touches == 14));
}

#[test]
fn what_is_capped_by_the_day_is_so_for_both_where_both_have_the_day() {
    let rules = rules();
    let views = |name: &'static str, days: i64| {
        (0..4).map(move |n| {
            event(&format!("{name}{n}"), "c", day(days), visited(VisitKind::PageViewed))
        })
    };
    let clock = day(20).0;
    let score = |own: &[Event<'_>], other: &[Event<'_>]| {
        let (united, _) = both(of(own, &rules, clock), of(other, &rules, clock), &rules);
        let interactions = united.interactions.expect("interactions");
        let milli = interactions.score.milli(day(0).day(), &rules.fold.engagement_half_life);
        (milli, interactions.total, interactions.counts.len())
    };
    let (own, other): (Vec<_>, Vec<_>) = (views("a", 0).collect(), views("b", 0).collect());
    assert_eq!(score(&own, &other), (5_000, 8, 1));
    // A week on one side has forgotten how many there were.
    let later: Vec<_> = views("a", 0).chain(views("c", 14)).collect();
    assert_eq!(score(&later, &other), (16_000, 12, 1));
    assert_eq!(score(&other, &later), (16_000, 12, 1));
}
