//! Two order books become one, as if the records of both had always come to one customer.
//!
//! Within the bounds of a book the result depends on the records of both alone, never on which was
//! absorbed. Beyond them it keeps what is newest, and counts what falls out.
//! Next: `older_orders.rs`, what is left of orders beyond the bounds.

use crate::domain::facts::older_orders::{EvictedOrder, MAX_EVICTED_TERMS, OlderOrders};
use crate::domain::facts::order::{Folded, Order};
use crate::domain::facts::order_book::{
    BookTally, MAX_ALL_REFUNDS, MAX_EVICTED, MAX_ORDERS, MAX_PARKED, MAX_SUBSCRIPTIONS, OrderBook,
    Parked, RareParts, amend_order,
};
use crate::domain::facts::preferences::Places;
use crate::domain::facts::subscription::Subscription;
use crate::domain::money::ExchangeRates;

impl OrderBook {
    /// Takes over the book of another customer, whose categories and channels stand at `places`.
    pub fn absorb(
        &mut self,
        source: Self,
        places: &Places,
        rates: &ExchangeRates,
        tally: &mut BookTally,
    ) {
        let had_rare = self.rare.is_some();
        let other = source.rare.map_or_else(RareParts::default, |rare| *rare);
        let rare = self.rare.get_or_insert_default();
        rare.categories |= places.categories(other.categories);
        for subscription in other.subscriptions {
            rare.absorb_subscription(subscription);
        }
        for mut order in source.orders {
            order.marks = places.marks(order.marks);
            self.absorb_order(order, rates, tally);
        }
        self.orders.sort_by_key(|order| (order.base.at, order.id));
        // The prices of the one may be those of terms of the other.
        let subscriptions: Vec<u64> = self.subscriptions().iter().map(|it| it.id).collect();
        subscriptions.into_iter().for_each(|id| self.reprice(id));
        let rare = self.rare.get_or_insert_default();
        while rare.subscriptions.len() > MAX_SUBSCRIPTIONS {
            rare.forget_quietest(tally);
        }
        rare.absorb_evicted(other.evicted, &mut self.orders, rates);
        rare.absorb_parked(other.parked, &mut self.orders, rates, tally);
        rare.hold_orders(&mut self.orders, rates, tally);
        rare.hold_evicted(other.before);
        if !had_rare && **rare == RareParts::default() {
            self.rare = None;
        }
    }

    fn absorb_order(&mut self, order: Order, rates: &ExchangeRates, tally: &mut BookTally) {
        let Some(own) = self.orders.iter_mut().find(|own| own.id == order.id) else {
            self.orders.push(order);
            return;
        };
        let was_over = own.is_over_refunded(rates) || order.is_over_refunded(rates);
        tally.evicted += own.absorb(order, rates);
        tally.clipped += u64::from(!was_over && own.is_over_refunded(rates));
    }
}

impl RareParts {
    fn absorb_subscription(&mut self, source: Subscription) {
        match self.subscriptions.binary_search_by_key(&source.id, |own| own.id) {
            Ok(place) => self.subscriptions[place].absorb(source),
            Err(place) => self.subscriptions.insert(place, source),
        }
    }

    /// Takes over evicted orders; an order that only one of the two has exactly is evicted too.
    fn absorb_evicted(
        &mut self,
        source: Vec<EvictedOrder>,
        orders: &mut Vec<Order>,
        rates: &ExchangeRates,
    ) {
        for other in source {
            match self.evicted.iter_mut().find(|own| own.id == other.id) {
                Some(own) => own.absorb(other),
                None => self.evicted.push(other),
            }
        }
        let is_evicted = |order: &Order| self.evicted.iter().any(|it| it.id == order.id);
        let known: Vec<Order> = orders.extract_if(.., |order| is_evicted(order)).collect();
        for order in known {
            let other = self.evicted_of(&order, rates);
            let own = self.evicted.iter_mut().find(|own| own.id == other.id);
            own.into_iter().for_each(|own| own.absorb(other));
        }
    }

    /// Takes over records that wait; those of either whose order is there wait no longer.
    fn absorb_parked(
        &mut self,
        source: Vec<Parked>,
        orders: &mut [Order],
        rates: &ExchangeRates,
        tally: &mut BookTally,
    ) {
        let is_mixed = !source.is_empty();
        for other in source {
            let record = |it: &Parked| (it.order, it.stamp, it.what);
            match self.parked.iter_mut().find(|own| record(own) == record(&other)) {
                Some(own) => own.parked_at = own.parked_at.min(other.parked_at),
                None => self.parked.push(other),
            }
        }
        if is_mixed {
            self.parked.sort_by_key(|it| it.parked_at);
        }
        let evicted = &mut self.evicted;
        self.parked.retain(|Parked { order, stamp, what, .. }| {
            if let Some(order) = orders.iter_mut().find(|it| it.id == *order) {
                let was_over = order.is_over_refunded(rates);
                let folded = amend_order(order, *stamp, *what, rates);
                tally.evicted += u64::from(folded == Folded::Summed);
                tally.clipped += u64::from(!was_over && order.is_over_refunded(rates));
                return false;
            }
            let Some(order) = evicted.iter_mut().find(|it| it.id == *order) else { return true };
            order.amend(*what, rates, tally);
            false
        });
        let too_many = self.parked.len().saturating_sub(MAX_PARKED);
        self.parked.drain(..too_many);
        tally.unmatched += too_many as u64;
    }

    /// Evicts the oldest orders while there are too many of them or of their refunds, or an evicted
    /// one is later.
    fn hold_orders(
        &mut self,
        orders: &mut Vec<Order>,
        rates: &ExchangeRates,
        tally: &mut BookTally,
    ) {
        let refunds = |order: &Order| order.changes.as_ref().map_or(0, |it| it.refunds.len());
        let mut refunds_left: usize = orders.iter().map(refunds).sum();
        let evicted_until = self.evicted.iter().map(|it| it.day).max();
        let mut exact = orders.len();
        let beyond = orders.iter().take_while(|order| {
            let is_beyond = exact > MAX_ORDERS
                || refunds_left > MAX_ALL_REFUNDS
                || Some(order.base.at.day()) < evicted_until;
            exact -= 1;
            refunds_left -= refunds(order);
            is_beyond
        });
        let beyond = beyond.count();
        tally.evicted += beyond as u64;
        for order in orders.drain(..beyond) {
            let evicted = self.evicted_of(&order, rates);
            self.evicted.push(evicted);
        }
        self.evicted.sort_by_key(|it| (it.day, it.id));
    }

    /// Takes over the sums of orders that fell out altogether, adds the evicted ones that are too
    /// many, and forgets the terms of the older ones that are not.
    fn hold_evicted(&mut self, mut source: OlderOrders) {
        let beyond = self.evicted.len().saturating_sub(MAX_EVICTED);
        for order in self.evicted.drain(..beyond) {
            // Each day counts once: where it is the last one, else where all are before it.
            let last = [self.before.last_day, source.last_day];
            let is_own =
                last[0] == Some(order.day) || last[1] != Some(order.day) && last[0] <= last[1];
            if is_own { self.before.add(order) } else { source.add(order) }
        }
        self.before.absorb(source);
        let without = self.evicted.len().saturating_sub(MAX_EVICTED_TERMS);
        self.evicted[..without].iter_mut().for_each(|order| order.term = None);
    }
}
