//! Subjects that others tell of before, or after, anything is heard of themselves.
//!
//! What others tell comes through other partitions, whenever it comes: since when a subject is
//! known, and what is told of it, must not hang on that. Next: `src/task/ties.rs`.

use crate::fixture::{day, eur, event, ordered, rules, visited};
use crate::network::Network;
use ebbflow::domain::customer::Customer;
use ebbflow::domain::event::{Body, Event, Interaction, VisitKind};
use ebbflow::domain::id::partition_of;
use std::sync::Arc;

const PARTITIONS: u32 = 3;

fn referred(by: &str, days: i64) -> Event<'static> {
    named("c-new", by, days)
}

fn named(who: &'static str, by: &str, days: i64) -> Event<'static> {
    let body = Interaction::ReferralAccepted { referred_customer_id: Some(who.into()) };
    event(&format!("{by} {days}"), by, day(days), Body::Interaction(body))
}

fn bought(days: i64) -> Event<'static> {
    let id = format!("o-{days}");
    event(&id, "c-new", day(days), ordered(&id, eur(1_000)))
}

/// What is known in the end, and what was told: of which value, by which kind of cause, after how
/// long.
fn known_after(clock_days: i64, events: &[&Event<'static>]) -> (Customer, Vec<String>) {
    let mut network = Network::new(&Arc::new(rules()), PARTITIONS, day(clock_days));
    for event in events {
        network.read(0, event);
        network.drain();
    }
    let mut known = network.subject("c-new").expect("somebody told of it");
    let changes = network.changes.iter().filter(|change| change.customer_id == "c-new");
    let told = changes
        .map(|it| format!("{} {:?} {:?} {}", it.dimension, it.cause.kind, it.current, it.dwell_ms))
        .collect();
    // Both grow only, as long as nothing is due.
    (known.evaluated_at, known.deadline) = (day(0), day(0));
    (known, told)
}

fn in_every_order(clock_days: i64, events: [&Event<'static>; 3]) {
    let [a, b, c] = events;
    let expected = known_after(clock_days, &[a, b, c]);
    for order in [[a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] {
        assert_eq!(known_after(clock_days, &order), expected, "clock {clock_days}, {order:?}");
    }
}

#[test]
fn in_whichever_order_two_tell_of_somebody_it_is_known_since_the_first() {
    let (first, second) = (referred("r-1", 3), referred("r-2", 5));
    for clock_days in [0, 4, 30] {
        let expected = known_after(clock_days, &[&first, &second]);
        assert_eq!(expected.0.first_seen_at, day(3), "clock {clock_days}");
        assert_eq!(expected.0.initial(), expected.0.published[0]);
        assert_eq!(known_after(clock_days, &[&second, &first]), expected, "clock {clock_days}");
    }
}

#[test]
fn whoever_does_something_is_known_since_then_whatever_others_told_before() {
    for clock_days in [0, 4, 30] {
        for own in [2, 4, 6] {
            let (own, first, second) = (bought(own), referred("r-1", 3), referred("r-2", 5));
            in_every_order(clock_days, [&own, &first, &second]);
            let (known, told) = known_after(clock_days, &[&first, &second, &own]);
            assert_eq!(known.first_seen_at, own.occurred_at);
            assert!(!told.is_empty());
        }
    }
}

#[test]
fn who_takes_over_another_one_is_known_since_what_either_did_whatever_others_told() {
    let body = Interaction::CustomersMerged { from_customer_id: "c-old".into() };
    let merged = event("m-1", "c-new", day(7), Body::Interaction(body));
    let (own, told) = (bought(5), named("c-old", "r-1", 3));
    for clock_days in [0, 30] {
        for order in [[&own, &told, &merged], [&own, &merged, &told], [&told, &own, &merged]] {
            let (known, _) = known_after(clock_days, &order);
            assert_eq!(known.first_seen_at, day(5), "clock {clock_days}, {order:?}");
        }
    }
}

#[test]
fn what_a_referrer_was_told_of_itself_is_taken_back_once() {
    let body = Interaction::CustomersMerged { from_customer_id: "r-1".into() };
    let merged = event("m-1", "c-new", day(5), Body::Interaction(body));
    let (told, order) = (referred("r-1", 1), bought(3));
    let mut network = Network::new(&Arc::new(rules()), PARTITIONS, day(0));
    for event in [&told, &order] {
        network.read(0, event);
        network.drain();
    }
    let revenue = |network: &Network, id: &str| {
        network.subject(id).and_then(|it| it.ties).map(|ties| ties.referred_revenue_minor)
    };
    assert_eq!(revenue(&network, "r-1"), Some(1_000));
    // What was merged is on its way while an order that is known comes again: it moves nothing,
    // but finds that the customer brought itself.
    let home = partition_of("c-new", PARTITIONS) as usize;
    assert_ne!(home, partition_of("r-1", PARTITIONS) as usize);
    network.read(home, &merged);
    for _ in 0..2 {
        network.read(home, &order);
    }
    network.drain();
    assert_eq!(network.whoever_is("r-1"), "c-new");
    assert_eq!(revenue(&network, "c-new"), Some(0));
    assert_eq!(network.subject("c-new").and_then(|it| it.ties?.referrer), None);
}

#[test]
fn a_visitor_is_kept_from_when_it_was_last_heard_of_even_by_what_is_known() {
    let mut network = Network::new(&Arc::new(rules()), PARTITIONS, day(0));
    let visit = |id: &str, days| Event {
        customer_id: None,
        anonymous_id: Some("v-1".into()),
        ..event(id, "v-1", day(days), visited(VisitKind::PageViewed))
    };
    let again = visit("e-1", 9);
    for event in [&visit("e-1", 1), &again] {
        network.read(0, event);
        network.drain();
    }
    assert_eq!(network.subject("anon:v-1").expect("a visitor").heard_at, day(9));
}
