//! Random histories: few customers, equal times, out of order, a millisecond around deadlines.
//!
//! Ids of events stay within eight bytes, so that ties are decided by the ids themselves.

use crate::fixture::{
    T0, cancelled, currency, event, nps, ordered, refunded, renewed, reviewed, started, term,
    updated, visited,
};
use ebbflow::domain::event::{Body, Event, Interaction, Purchase, VisitKind};
use ebbflow::domain::money::Money;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use proptest::prelude::*;

/// Lengths of time that decide something, in days.
const LENGTHS: [i64; 14] = [0, 1, 7, 20, 30, 33, 60, 63, 90, 122, 150, 180, 365, 730];

fn money() -> impl Strategy<Value = Money> {
    let amount = prop_oneof![
        2 => Just(0),
        6 => 1_i64..200,
        6 => 200_i64..60_000,
        1 => Just(5_000),
        1 => Just(5_001),
    ];
    let code = prop_oneof![8 => Just("EUR"), 3 => Just("USD"), 1 => Just("JPY")];
    (amount, code).prop_map(|(amount_minor, code)| Money { amount_minor, currency: currency(code) })
}

fn order_id() -> impl Strategy<Value = String> {
    prop_oneof![6 => 0..3_u8, 3 => 3..8_u8].prop_map(|n| format!("o-{n}"))
}

fn subscription(days: u32) -> impl Strategy<Value = Body<'static>> {
    let id = prop_oneof![Just("s-1"), Just("s-2")];
    let order = prop_oneof![4 => Just(None), 1 => Just(Some("o-1")), 1 => Just(Some("o-9"))];
    (id, order, proptest::option::of(money()), 0..7_u8).prop_map(
        move |(id, order, amount, what)| match what {
            0 | 1 => started(term(id, order, amount, Some(days))),
            2 | 3 => renewed(term(id, order, amount, None)),
            4 => Body::Purchase(Purchase::SubscriptionChanged(term(id, None, amount, None))),
            5 => Body::Purchase(Purchase::SubscriptionCancelled {
                subscription_id: id.to_owned().into(),
            }),
            _ => Body::Purchase(Purchase::SubscriptionEnded {
                subscription_id: id.to_owned().into(),
            }),
        },
    )
}

fn body() -> impl Strategy<Value = Body<'static>> {
    let refund = (order_id(), 0..4_u8, proptest::option::of(money()))
        .prop_map(|(order, refund, part)| refunded(&order, &format!("r-{refund}"), part));
    let interaction = prop_oneof![
        4 => Just(visited(VisitKind::ProductViewed)),
        1 => Just(visited(VisitKind::CartViewed)),
        1 => Just(visited(VisitKind::PageViewed)),
        2 => prop_oneof![Just(3_u8), Just(6), Just(7), Just(9), Just(10)].prop_map(nps),
        2 => (1..=5_u8).prop_map(reviewed),
        1 => Just(Body::Interaction(Interaction::Shared { score: None, sku: None })),
        1 => Just(Body::Interaction(Interaction::ReferralAccepted { referred_customer_id: None })),
    ];
    prop_oneof![
        8 => (order_id(), money()).prop_map(|(order, amount)| ordered(&order, amount)),
        1 => order_id().prop_map(|order| {
            Body::Purchase(Purchase::OrderPaid { order_id: order.into() })
        }),
        2 => (order_id(), money()).prop_map(|(order, amount)| updated(&order, amount)),
        1 => order_id().prop_map(|order| cancelled(&order)),
        3 => refund,
        2 => subscription(30),
        1 => subscription(7),
        5 => interaction,
    ]
}

/// A time that is some deciding length after the start or after the time before.
fn step() -> impl Strategy<Value = (i64, i64, bool)> {
    let days = prop_oneof![
        4 => (0..LENGTHS.len()).prop_map(|place| LENGTHS[place]),
        3 => 0..40_i64,
    ];
    let off = prop_oneof![4 => Just(0_i64), 2 => Just(1), 2 => Just(-1), 2 => 0..DAY_MS];
    (days, off, prop::bool::weighted(0.7))
}

/// Events of a few customers in the order of their log; `late` lets times go backwards.
pub(crate) fn history(
    customers: u8,
    length: std::ops::Range<usize>,
    late: bool,
) -> impl Strategy<Value = Vec<Event<'static>>> {
    let customer = prop_oneof![3 => Just(0_u8), 1 => 0..customers];
    proptest::collection::vec((body(), step(), customer, any::<u16>()), length).prop_map(
        move |drawn| {
            let mut at = T0;
            let mut events = Vec::with_capacity(drawn.len());
            for (place, (body, (days, off, forward), customer, shuffled)) in
                drawn.into_iter().enumerate()
            {
                let moved = days * DAY_MS + off;
                let time = if forward || !late { at + moved.max(0) } else { at - moved.max(0) };
                at = if late { at.max(time) } else { time };
                let id = format!("e{shuffled:04x}{place}");
                events.push(event(&id, &format!("c-{customer}"), Timestamp(time), body));
            }
            events
        },
    )
}

/// A history with some events repeated, in any order.
pub(crate) fn shuffled(
    length: std::ops::Range<usize>,
) -> impl Strategy<Value = (Vec<Event<'static>>, Vec<Event<'static>>)> {
    history(1, length, true).prop_flat_map(|events| {
        let count = events.len();
        let repeated = proptest::collection::vec(0..count, 0..=count / 2);
        repeated.prop_flat_map(move |repeated| {
            let mut all = events.clone();
            all.extend(repeated.into_iter().map(|place| events[place].clone()));
            (Just(events.clone()), Just(all).prop_shuffle())
        })
    })
}
