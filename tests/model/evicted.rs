//! What is remembered of orders that are no longer kept exactly.
//!
//! Next: `src/domain/facts/order_book.rs`, the bounds.

use crate::fixture::{cancelled, day, eur, event, rules};
use crate::order::applied;
use ebbflow::domain::dimensions::value_mode::Decider;
use ebbflow::domain::event::{Body, Event, Item, Purchase};
use ebbflow::domain::raw::measure;

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
