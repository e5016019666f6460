//! Orders that are no longer kept exactly: by id, day, net and term, and what lies before as sums.
//!
//! Next: `order_book.rs`, which moves them here.

use crate::domain::facts::order::Order;
use crate::domain::facts::order_book::{BookTally, ParkedRecord};
use crate::domain::money::ExchangeRates;
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

impl EvictedOrder {
    /// What is left of an order.
    #[must_use]
    pub fn of(order: &Order, rates: &ExchangeRates) -> Self {
        Self {
            id: order.id,
            day: order.base.at.day(),
            net_minor: order.net_minor(rates),
            cancelled: order.cancelled,
            term: order.term.map(|term| (term.subscription, term.days)),
        }
    }

    /// Takes in a record of the order, as far as is still known of it.
    pub(super) fn amend(
        &mut self,
        what: ParkedRecord,
        rates: &ExchangeRates,
        tally: &mut BookTally,
    ) {
        match what {
            ParkedRecord::Cancel => (self.net_minor, self.cancelled) = (0, true),
            ParkedRecord::Update(amount) if !self.cancelled => {
                self.net_minor = rates.to_base_minor(amount, self.day.start());
            }
            ParkedRecord::Update(_) => {}
            ParkedRecord::Refund(_, amount) => {
                let minor = amount
                    .map_or(self.net_minor, |amount| rates.to_base_minor(amount, self.day.start()));
                tally.clipped += u64::from(minor > self.net_minor);
                self.net_minor = (self.net_minor - minor).max(0);
            }
        }
    }

    /// Takes over what another customer's book has of the same order. Of what was taken off the
    /// net amounts in both no records are left: the lesser one stands, so that none counts twice.
    pub(super) fn absorb(&mut self, source: Self) {
        self.cancelled |= source.cancelled;
        self.net_minor = self.net_minor.min(source.net_minor);
        let (first, second) =
            if source.day < self.day { (source.term, self.term) } else { (self.term, source.term) };
        self.term = first.or(second);
        self.day = self.day.min(source.day);
    }
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

    /// Adds other sums. Which days both have is known of the first and last ones only: all others
    /// are taken to be distinct, as far as there are days.
    pub fn absorb(&mut self, source: Self) {
        let known = |it: &Self| [it.first_day, it.last_day.filter(|_| it.first_day != it.last_day)];
        let others = known(&source);
        let shared = known(self).iter().filter(|day| day.is_some() && others.contains(day)).count();
        let earliest = |one: Option<Day>, other: Option<Day>| one.into_iter().chain(other).min();
        self.orders = self.orders.saturating_add(source.orders);
        self.net_minor = self.net_minor.saturating_add(source.net_minor);
        self.first_counting_day = earliest(self.first_counting_day, source.first_counting_day);
        self.last_counting_day = self.last_counting_day.max(source.last_counting_day);
        self.first_day = earliest(self.first_day, source.first_day);
        self.last_day = self.last_day.max(source.last_day);
        let days = self.order_days.saturating_add(source.order_days);
        let span =
            self.first_day.zip(self.last_day).map_or(0, |(first, last)| last.0 - first.0 + 1);
        let most = u64::try_from(span).unwrap_or(0);
        self.order_days = days.saturating_sub(shared as u64).min(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(days: &[i64]) -> OlderOrders {
        let mut sums = OlderOrders::default();
        for day in days {
            let (day, net_minor) = (Day(*day), 100);
            sums.add(EvictedOrder { id: 0, day, net_minor, cancelled: false, term: None });
        }
        sums
    }

    /// Of other days it is not known whether both sums have them.
    #[test]
    fn a_day_that_is_the_first_or_last_of_both_sums_is_one() {
        for (one, other, order_days) in [
            (&[1, 3, 9][..], &[9, 12, 20][..], 5),
            (&[1, 3, 9], &[1, 4, 9], 4),
            (&[1, 3, 9], &[1], 3),
            (&[5], &[5], 1),
            (&[5], &[], 1),
            (&[1, 3, 9], &[3, 7, 12], 6),
            (&[1, 2, 3], &[2], 3),
        ] {
            for (target, source) in [(one, other), (other, one)] {
                let mut united = sums(target);
                united.absorb(sums(source));
                let mut all = [one, other].concat();
                all.sort_unstable();
                assert_eq!(united, OlderOrders { order_days, ..sums(&all) }, "{all:?}");
            }
        }
    }
}
