//! All orders of one customer: the last 64 exactly, up to 512 older ones by id, day and net, what
//! lies before as sums; records that wait for their order; subscriptions.
//!
//! Within those bounds the book is a function of the set of records. It never knows what an
//! order means for a dimension. Next: `order_facts.rs`, what is counted from it.

use crate::domain::event::{Purchase, Term};
use crate::domain::id::hash64;
use crate::domain::money::{ExchangeRates, Money};
use crate::domain::order::{Folded, Order, Refund, Stamp};
use crate::domain::subscription::{Price, Subscription};
use crate::domain::time::{DAY_MS, Day, Timestamp};

/// Orders kept exactly.
pub const MAX_ORDERS: usize = 64;
/// Older orders kept by id, day and net.
pub const MAX_EVICTED: usize = 512;
/// Records that may wait for their order.
pub const MAX_PARKED: usize = 16;
/// How long a record waits for its order, in ms of task clock.
pub const PARKED_MS: i64 = 180 * DAY_MS;
/// Subscriptions kept; the one that is longest without news falls out.
pub const MAX_SUBSCRIPTIONS: usize = 8;

/// Orders, parked records and subscriptions of one customer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OrderBook {
    /// The latest orders, ordered by (time, id).
    pub orders: Vec<Order>,
    /// Rarely used parts.
    pub rare: Option<Box<RareParts>>,
}

/// What most customers do not have.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RareParts {
    /// Orders before the exact ones, ordered by (day, id).
    pub evicted: Vec<EvictedOrder>,
    /// Orders before the evicted ones.
    pub before: OlderOrders,
    /// Records whose order has not come, in arrival order.
    pub parked: Vec<Parked>,
    /// Subscriptions, ordered by id.
    pub subscriptions: Vec<Subscription>,
}

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

/// A record that waits for its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parked {
    /// Hash of the order id.
    pub order: u64,
    /// The record.
    pub stamp: Stamp,
    /// Task clock when it was parked.
    pub parked_at: Timestamp,
    /// What it does to its order.
    pub what: ParkedRecord,
}

/// What a parked record does to its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParkedRecord {
    /// Sets the amount.
    Update(Money),
    /// Cancels.
    Cancel,
    /// Refunds: id and part.
    Refund(u64, Option<Money>),
}

/// What happened to records, added up for the metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BookTally {
    /// Records that changed nothing.
    pub duplicates: u64,
    /// Records that wait for their order.
    pub parked: u64,
    /// Parked records given up: too old, or too many.
    pub unmatched: u64,
    /// Orders, refunds or subscriptions that fell out of a bound.
    pub evicted: u64,
    /// Refunds above the rest of their order.
    pub clipped: u64,
}

/// What a record did to the book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Booked {
    /// The book is another now.
    Changed,
    /// The record changed nothing.
    Duplicate,
    /// The book is another now, but may not know the record's id for long: remember it.
    ChangedUnknown,
}

impl OrderBook {
    /// Takes one record in.
    pub fn apply(
        &mut self,
        purchase: &Purchase<'_>,
        stamp: Stamp,
        clock: Timestamp,
        rates: &ExchangeRates,
        tally: &mut BookTally,
    ) -> Booked {
        match purchase {
            Purchase::OrderCompleted { order_id, amount, .. } => {
                let folded = self.open(hash64(order_id), stamp, *amount, None, rates, tally);
                booked(folded, tally)
            }
            Purchase::OrderUpdated { order_id, amount } => self.amend(
                hash64(order_id),
                stamp,
                ParkedRecord::Update(*amount),
                clock,
                rates,
                tally,
            ),
            Purchase::OrderCancelled { order_id } => {
                self.amend(hash64(order_id), stamp, ParkedRecord::Cancel, clock, rates, tally)
            }
            Purchase::OrderRefunded { order_id, refund_id, amount } => self.amend(
                hash64(order_id),
                stamp,
                ParkedRecord::Refund(hash64(refund_id), *amount),
                clock,
                rates,
                tally,
            ),
            Purchase::OrderPaid { .. } | Purchase::OrderFulfilled { .. } => Booked::ChangedUnknown,
            Purchase::SubscriptionStarted(term) | Purchase::SubscriptionRenewed(term) => {
                self.begin_term(term, stamp, rates, tally)
            }
            Purchase::SubscriptionChanged(term) => {
                let id = hash64(&term.subscription_id);
                let folded = self.subscription(id, tally).set_price(price(term, stamp));
                self.reprice(id);
                booked(folded, tally)
            }
            Purchase::SubscriptionCancelled { subscription_id } => {
                let subscription = self.subscription(hash64(subscription_id), tally);
                let folded = keep_latest(&mut subscription.cancelled_at, stamp);
                booked(folded, tally)
            }
            Purchase::SubscriptionEnded { subscription_id } => {
                let subscription = self.subscription(hash64(subscription_id), tally);
                let folded = keep_latest(&mut subscription.ended_at, stamp);
                booked(folded, tally)
            }
        }
    }

    /// Gives up parked records whose time is over; true when there were any.
    pub fn expire_parked(&mut self, at: Timestamp, tally: &mut BookTally) -> bool {
        let Some(rare) = &mut self.rare else { return false };
        let before = rare.parked.len();
        rare.parked.retain(|parked| at.since(parked.parked_at) <= PARKED_MS);
        tally.unmatched += (before - rare.parked.len()) as u64;
        before != rare.parked.len()
    }

    /// The first instant at which a parked record is given up.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Timestamp> {
        let rare = self.rare.as_ref()?;
        rare.parked.iter().map(|parked| parked.parked_at.plus_ms(PARKED_MS + 1)).min()
    }

    /// Subscriptions of the customer.
    #[must_use]
    pub fn subscriptions(&self) -> &[Subscription] {
        self.rare.as_ref().map_or(&[], |rare| &rare.subscriptions)
    }

    /// Time and net amount of the orders that count, in time order, but for those before the
    /// evicted ones.
    pub(super) fn counting<'a>(
        &'a self,
        rates: &'a ExchangeRates,
    ) -> impl Iterator<Item = (Timestamp, i64)> + 'a {
        let evicted = self.evicted().iter().map(|order| (order.day.start(), order.net_minor));
        let exact = self.orders.iter().map(|order| (order.base.at, order.net_minor(rates)));
        evicted.chain(exact).filter(|(_, net_minor)| *net_minor > 0)
    }

    fn begin_term(
        &mut self,
        term: &Term<'_>,
        stamp: Stamp,
        rates: &ExchangeRates,
        tally: &mut BookTally,
    ) -> Booked {
        let id = hash64(&term.subscription_id);
        let subscription = self.subscription(id, tally);
        let mut folded = subscription.begin_term(stamp);
        if (term.amount.is_some() || term.plan.is_some() || term.term_days.is_some())
            && subscription.set_price(price(term, stamp)) == Folded::Changed
        {
            folded = Folded::Changed;
        }
        let unpriced = Money { amount_minor: 0, currency: rates.base() };
        let amount = term.amount.or_else(|| subscription.amount_at(stamp)).unwrap_or(unpriced);
        let order = term.order_id.as_ref().map_or_else(
            || hash64(&format!("{}@{}", term.subscription_id, utc_date(stamp.at.day()))),
            |order_id| hash64(order_id),
        );
        let priced_by = term.amount.is_none().then_some(id);
        let opened = self.open(order, stamp, amount, priced_by, rates, tally);
        self.reprice(id);
        // The term stands even where another record of the same order is its base.
        let lost = opened == Folded::Lost && folded == Folded::Lost;
        booked(if lost { Folded::Lost } else { Folded::Changed }, tally)
    }

    fn open(
        &mut self,
        id: u64,
        base: Stamp,
        amount: Money,
        priced_by: Option<u64>,
        rates: &ExchangeRates,
        tally: &mut BookTally,
    ) -> Folded {
        if let Some(place) = self.orders.iter().position(|order| order.id == id) {
            if self.orders[place].base <= base {
                return Folded::Lost;
            }
            let mut order = self.orders.remove(place);
            (order.base, order.amount, order.priced_by) = (base, amount, priced_by);
            self.insert(order, rates, tally);
            return Folded::Changed;
        }
        if self.evicted().iter().any(|evicted| evicted.id == id) {
            return Folded::Lost;
        }
        let mut order = Order { id, base, amount, priced_by, cancelled: false, changes: None };
        if let Some(rare) = &mut self.rare {
            for parked in rare.parked.extract_if(.., |parked| parked.order == id) {
                amend_order(&mut order, parked.stamp, parked.what, rates);
            }
        }
        if order.is_over_refunded(rates) {
            tally.clipped += 1;
        }
        self.insert(order, rates, tally);
        Folded::Changed
    }

    /// Puts an order in its place; evicted orders never lie behind exact ones.
    fn insert(&mut self, order: Order, rates: &ExchangeRates, tally: &mut BookTally) {
        let place = self
            .orders
            .partition_point(|present| (present.base.at, present.id) < (order.base.at, order.id));
        self.orders.insert(place, order);
        let evicted_until = self.evicted().last().map(|evicted| evicted.day);
        if self.orders.len() > MAX_ORDERS || Some(self.orders[0].base.at.day()) < evicted_until {
            self.evict(rates, tally);
        }
    }

    fn evict(&mut self, rates: &ExchangeRates, tally: &mut BookTally) {
        tally.evicted += 1;
        let order = self.orders.remove(0);
        let evicted = EvictedOrder {
            id: order.id,
            day: order.base.at.day(),
            net_minor: order.net_minor(rates),
            cancelled: order.cancelled,
        };
        let rare = self.rare.get_or_insert_default();
        let place = rare
            .evicted
            .partition_point(|present| (present.day, present.id) < (evicted.day, evicted.id));
        rare.evicted.insert(place, evicted);
        if rare.evicted.len() > MAX_EVICTED {
            let oldest = rare.evicted.remove(0);
            rare.before.add(oldest);
        }
    }

    /// Applies a record to its order, or parks it.
    fn amend(
        &mut self,
        order: u64,
        stamp: Stamp,
        what: ParkedRecord,
        clock: Timestamp,
        rates: &ExchangeRates,
        tally: &mut BookTally,
    ) -> Booked {
        if let Some(present) = self.orders.iter_mut().find(|present| present.id == order) {
            let folded = amend_order(present, stamp, what, rates);
            if matches!(what, ParkedRecord::Refund(..))
                && folded != Folded::Lost
                && present.is_over_refunded(rates)
            {
                tally.clipped += 1;
            }
            // Once its order falls out, the book no longer knows which records it is made of.
            return match booked(folded, tally) {
                Booked::Duplicate => Booked::Duplicate,
                Booked::Changed | Booked::ChangedUnknown => Booked::ChangedUnknown,
            };
        }
        let rare = self.rare.get_or_insert_default();
        if let Some(evicted) = rare.evicted.iter_mut().find(|evicted| evicted.id == order) {
            match what {
                ParkedRecord::Cancel => {
                    (evicted.net_minor, evicted.cancelled) = (0, true);
                }
                ParkedRecord::Update(amount) if !evicted.cancelled => {
                    evicted.net_minor = rates.to_base_minor(amount, evicted.day.start());
                }
                ParkedRecord::Update(_) => {}
                ParkedRecord::Refund(_, amount) => {
                    let minor = amount.map_or(evicted.net_minor, |amount| {
                        rates.to_base_minor(amount, evicted.day.start())
                    });
                    tally.clipped += u64::from(minor > evicted.net_minor);
                    evicted.net_minor = (evicted.net_minor - minor).max(0);
                }
            }
            return Booked::ChangedUnknown;
        }
        rare.parked.push(Parked { order, stamp, parked_at: clock, what });
        tally.parked += 1;
        if rare.parked.len() > MAX_PARKED {
            rare.parked.remove(0);
            tally.unmatched += 1;
        }
        Booked::ChangedUnknown
    }

    fn evicted(&self) -> &[EvictedOrder] {
        self.rare.as_ref().map_or(&[], |rare| &rare.evicted)
    }

    fn subscription(&mut self, id: u64, tally: &mut BookTally) -> &mut Subscription {
        let subscriptions = &mut self.rare.get_or_insert_default().subscriptions;
        if !subscriptions.iter().any(|present| present.id == id) {
            if subscriptions.len() == MAX_SUBSCRIPTIONS {
                let quietest = (0..subscriptions.len())
                    .min_by_key(|place| subscriptions[*place].latest_stamp())
                    .unwrap_or(0);
                subscriptions.remove(quietest);
                tally.evicted += 1;
            }
            let place = subscriptions.partition_point(|present| present.id < id);
            subscriptions.insert(place, Subscription::new(id));
        }
        let place = subscriptions.partition_point(|present| present.id < id);
        &mut subscriptions[place]
    }

    /// Sets the amounts of the terms that have no price of their own.
    fn reprice(&mut self, subscription_id: u64) {
        let Self { orders, rare } = self;
        let subscriptions = rare.as_ref().map_or(&[][..], |rare| &rare.subscriptions);
        let Some(subscription) = subscriptions.iter().find(|s| s.id == subscription_id) else {
            return;
        };
        for order in orders.iter_mut().filter(|o| o.priced_by == Some(subscription_id)) {
            if let Some(amount) = subscription.amount_at(order.base) {
                order.amount = amount;
            }
        }
    }
}

impl OlderOrders {
    fn add(&mut self, order: EvictedOrder) {
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

fn amend_order(
    order: &mut Order,
    stamp: Stamp,
    what: ParkedRecord,
    rates: &ExchangeRates,
) -> Folded {
    match what {
        ParkedRecord::Update(amount) => order.update(stamp, amount),
        ParkedRecord::Cancel if order.cancelled => Folded::Lost,
        ParkedRecord::Cancel => {
            order.cancelled = true;
            Folded::Changed
        }
        ParkedRecord::Refund(id, amount) => order.refund(Refund { id, stamp, amount }, rates),
    }
}

fn booked(folded: Folded, tally: &mut BookTally) -> Booked {
    match folded {
        Folded::Changed => Booked::Changed,
        Folded::Summed => {
            tally.evicted += 1;
            Booked::ChangedUnknown
        }
        Folded::Lost => {
            tally.duplicates += 1;
            Booked::Duplicate
        }
    }
}

fn keep_latest(slot: &mut Option<Stamp>, stamp: Stamp) -> Folded {
    if *slot >= Some(stamp) {
        return Folded::Lost;
    }
    *slot = Some(stamp);
    Folded::Changed
}

fn price(term: &Term<'_>, stamp: Stamp) -> Price {
    Price {
        stamp,
        amount: term.amount,
        plan: term.plan.as_ref().map(|plan| hash64(plan)),
        term_days: term.term_days,
    }
}

/// `YYYY-MM-DD` of a day.
fn utc_date(day: Day) -> String {
    let (year, month, day_of_month) = day.civil();
    format!("{year:04}-{month:02}-{day_of_month:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_as_dates() {
        for (day, date) in
            [(0, "1970-01-01"), (-1, "1969-12-31"), (19_782, "2024-02-29"), (20_514, "2026-03-02")]
        {
            assert_eq!(utc_date(Day(day)), date);
        }
    }
}
