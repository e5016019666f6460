//! From value created to value expanded: what counts as wider, and how far plans are looked ahead.
//!
//! Next: `steady.rs`, who must not move; `value_mode.rs`, the naive model.

use crate::fixture::{day, eur, event, rules, started, term};
use crate::order::applied;
use ebbflow::domain::dimensions::value_mode::{Decider, ValueMode, next_change};
use ebbflow::domain::dimensions::view::View;
use ebbflow::domain::event::{Body, Event, Item, Purchase};
use ebbflow::domain::raw::measure;

fn order(number: i64, category: Option<&'static str>) -> Event<'static> {
    let id = format!("o-{number}");
    let category = category.map(Into::into);
    let body = Body::Purchase(Purchase::OrderCompleted {
        order_id: id.clone().into(),
        amount: eur(5_000),
        channel: None,
        coupon: None,
        items: vec![Item { sku: None, category, quantity: None, amount_minor: None }],
    });
    event(&id, "c", day(30 * number), body)
}

#[test]
fn a_shop_that_begins_to_name_categories_widens_nobody() {
    let rules = rules();
    let decided = |categories: &[Option<&'static str>]| {
        let events: Vec<_> = (0..).zip(categories).map(|(n, it)| order(n, *it)).collect();
        let last = day(30 * (i64::try_from(events.len()).expect("few") - 1));
        let measured = measure(&applied(&events, &rules, last.0), &rules, last);
        (measured.value_mode.value, measured.value_mode.decider)
    };
    let mut categories = [None; 25];
    categories[23] = Some("shoes");
    assert_eq!(decided(&categories[..24]), (ValueMode::Plateau, Decider::Spend));
    categories[24] = Some("bags");
    assert_eq!(decided(&categories).0, ValueMode::Expanding);
    assert!(matches!(decided(&categories).1, Decider::Category(_)));
}

/// A term of millions of years changes its sums on every day of it.
#[test]
fn the_longest_plan_is_looked_ahead_in_few_steps() {
    let rules = rules();
    for amount in [1, 100, 1_000_000_000] {
        let plan = started(term("s", None, Some(eur(amount)), Some(u32::MAX)));
        let customer = applied(&[event("e", "c", day(0), plan)], &rules, day(0).0);
        for then in [day(0), day(1), day(1_000)] {
            let view = View::new(&customer, &rules, then);
            let present = measure(&customer, &rules, then).value_mode.value;
            let ahead = next_change(&view, then, present as u8);
            assert!(ahead.is_none_or(|(at, value)| at > then && value != present as u8));
        }
    }
}
