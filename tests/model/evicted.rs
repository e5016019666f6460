//! What is remembered of orders that are no longer kept exactly.
//!
//! Next: `src/domain/facts/order_book.rs`, the bounds.

use crate::fixture::{cancelled, day, eur, event, ordered, rules, started, term};
use crate::order::{applied, arrived, computed};
use ebbflow::domain::dimensions::value_mode::Decider;
use ebbflow::domain::event::{Body, Event, Item, Purchase};
use ebbflow::domain::raw::measure;
use ebbflow::domain::time::DAY_MS;

fn order(number: i64, category: &'static str) -> Event<'static> {
    let id = format!("o-{number}");
    let item =
        Item { sku: None, category: Some(category.into()), quantity: None, amount_minor: None };
    let body = Body::Purchase(Purchase::OrderCompleted {
        order_id: id.clone().into(),
        amount: eur(6_000),
        channel: None,
        coupon: None,
        items: vec![item],
    });
    event(&id, "c-0", day(7 * number), body)
}

/// Seventy weekly orders of shoes after one of bags, then bags again.
fn bags_again(first_is_cancelled: bool) -> Decider {
    let mut events = vec![order(0, "bags")];
    if first_is_cancelled {
        events.push(event("e-c", "c-0", day(1), cancelled("o-0")));
    }
    events.extend((1..70).map(|number| order(number, "shoes")));
    events.push(order(70, "bags"));
    let rules = rules();
    let customer = applied(&events, &rules, day(70 * 7).0);
    assert!(customer.book.evicted().iter().any(|evicted| evicted.cancelled == first_is_cancelled));
    measure(&customer, &rules, day(70 * 7)).value_mode.decider
}

#[test]
fn a_category_of_a_cancelled_order_is_new_when_it_is_bought() {
    assert_eq!(bags_again(false), Decider::Spend);
    assert!(matches!(bags_again(true), Decider::Category(_)));
}

/// A year is paid for, and then more is ordered than is kept exactly. Of orders that are not, the
/// day alone is known: all come at the beginning of one.
#[test]
fn a_term_runs_on_when_its_order_is_no_longer_kept_exactly() {
    let midnight = |days| day(days).plus_ms(-DAY_MS / 2);
    let paid = |id: &str, days, length| {
        let paid = term(id, Some(id), Some(eur(3_650)), Some(length));
        event(id, "c-0", midnight(days), started(paid))
    };
    let mut events = vec![paid("s-1", 0, 365), paid("s-2", 1, 360)];
    events.extend((1..=70).map(|number| {
        let id = format!("o-{number}");
        event(&id, "c-0", midnight(3 * number), ordered(&id, eur(100)))
    }));
    let ended = Purchase::SubscriptionEnded { subscription_id: "s-2".into() };
    events.push(event("e-end", "c-0", midnight(215), Body::Purchase(ended)));
    // Not away for long, by the length of the term that still runs.
    events.push(event("o-back", "c-0", midnight(270), ordered("o-back", eur(100))));
    let rules = rules();
    for count in [66, 67, 72, 73, 74] {
        let last = events[count - 1].occurred_at;
        for days in [0, 1, 30, 100, 400] {
            let clock = last.plus_days(days).0;
            let customer = applied(&events[..count], &rules, last.0);
            let (values, facts) = computed(&customer, &rules, clock);
            let (expected, mut naive) = arrived(&events[..count]).raw(&rules, clock);
            // Scores the orders alone that are kept exactly.
            naive.engagement_score = facts.engagement_score;
            assert_eq!((values, facts), (expected, naive), "{count} after {days} days");
        }
    }
}
