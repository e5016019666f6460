//! What a customer prefers: the category and channel with the greatest score, and coupons.
//!
//! Interactions have their fading scores; to them come the orders that are not cancelled, each
//! with the weight of an order on its day. Next: `preferences.rs`, the names.

use crate::domain::customer::Customer;
use crate::domain::facts::order::Order;
use crate::domain::facts::preferences::Preference;
use crate::domain::facts::scored_kind::ScoredKind;
use crate::domain::rules::FoldRules;

/// The preferred category and channel; `None` while nothing is known of it.
#[must_use]
pub fn preferred<'a>(customer: &'a Customer, rules: &FoldRules) -> [Option<&'a str>; 2] {
    let Some(preferences) = &customer.preferences else { return [None; 2] };
    let weight = u64::from(rules.weights[ScoredKind::OrderCompleted.index()]);
    let orders = || customer.book.orders.iter().filter(|order| !order.cancelled);
    let first = |list: &'a [Preference], has: &dyn Fn(&Order, usize) -> bool| {
        let score = |place: usize| {
            let mut score = list[place].score;
            for order in orders().filter(|order| has(order, place)) {
                score.add(weight, order.base.at.day(), &rules.preference_half_life);
            }
            score
        };
        let scores = list.iter().enumerate().map(|(place, it)| (score(place), &*it.name));
        let scores = scores.filter(|(score, _)| score.sum > 0);
        // Of two that are equal the first by name, whatever came first.
        let best = scores.max_by(|(one, name), (other, other_name)| {
            one.compare(other).then_with(|| other_name.cmp(name))
        });
        best.map(|(_, name)| name)
    };
    [
        first(&preferences.categories, &|order, place| order.marks.categories >> place & 1 == 1),
        first(&preferences.channels, &|order, place| usize::from(order.marks.channel) == place + 1),
    ]
}

/// The share of the counting orders kept exactly that came with a coupon, 0 to 1.
#[must_use]
pub fn discount_dependence(customer: &Customer, counting: impl Fn(&Order) -> bool) -> Option<f64> {
    let (mut orders, mut coupons) = (0_u32, 0_u32);
    for order in customer.book.orders.iter().filter(|order| counting(order)) {
        orders += 1;
        coupons += u32::from(order.marks.coupon);
    }
    (orders > 0).then(|| f64::from(coupons) / f64::from(orders))
}
