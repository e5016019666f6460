//! Orders that are no longer kept exactly: by id, day, net and term, and what lies before as sums.
//!
//! Next: `order_book.rs`, which moves them here.

use crate::domain::time::Day;

/// What is left of an order that fell out of the exact ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EvictedOrder {
    /// Hash of the order id.
    pub id: u64,
    /// UTC day of the order.
    pub day: Day,
    /// Net amount in minor units of the base currency.
    pub net_minor: i64,
    /// Whether a cancellation was seen.
    pub cancelled: bool,
    /// The term that it pays for: hash of the subscription id, and days.
    pub term: Option<(u64, u32)>,
}

/// Sums over the orders that fell out altogether.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OlderOrders {
    /// Counting orders.
    pub orders: u64,
    /// Their net amounts.
    pub net_minor: i64,
    /// First day of a counting order.
    pub first_counting_day: Option<Day>,
    /// Last day of a counting order.
    pub last_counting_day: Option<Day>,
    /// First day of an order that was not cancelled.
    pub first_day: Option<Day>,
    /// Last day of an order that was not cancelled.
    pub last_day: Option<Day>,
    /// Distinct days of orders that were not cancelled.
    pub order_days: u64,
}

/// Evicted orders, the latest, whose paid terms are kept.
pub const MAX_EVICTED_TERMS: usize = 64;

/// Forgets the terms of the older ones, of which one has been put at `place`: most are over.
pub(super) fn forget_terms(evicted: &mut [EvictedOrder], place: usize) {
    let without = evicted.len().saturating_sub(MAX_EVICTED_TERMS);
    for place in [Some(place), without.checked_sub(1)].into_iter().flatten() {
        if place < without {
            evicted[place].term = None;
        }
    }
}

impl OlderOrders {
    /// Takes an order in that falls out altogether.
    pub fn add(&mut self, order: EvictedOrder) {
        if order.cancelled {
            return;
        }
        if self.last_day < Some(order.day) {
            self.order_days += 1;
        }
        self.first_day = Some(self.first_day.map_or(order.day, |day| day.min(order.day)));
        self.last_day = self.last_day.max(Some(order.day));
        if order.net_minor > 0 {
            self.orders += 1;
            self.net_minor = self.net_minor.saturating_add(order.net_minor);
            let first = self.first_counting_day.map_or(order.day, |day| day.min(order.day));
            self.first_counting_day = Some(first);
            self.last_counting_day = self.last_counting_day.max(Some(order.day));
        }
    }
}
