//! All orders of one customer: the last 64 exactly, up to 512 older ones by id, day and net, what
//! lies before as sums; records that wait for their order; subscriptions.
//!
//! Within those bounds the book is a function of the set of records. It never knows what an
//! order means for a dimension. Next: `order_facts.rs`, what is counted from it.

mod absorb;

use crate::domain::event::{Purchase, Term};
use crate::domain::facts::bounded_text::cut;
use crate::domain::facts::older_orders::{EvictedOrder, OlderOrders, forget_terms};
use crate::domain::facts::order::{Folded, Marks, Order, PaidTerm, Refund, Stamp};
use crate::domain::facts::preferences::{InUse, Preferences, mark};
use crate::domain::facts::subscription::{MAX_PLAN_BYTES, Price, Subscription};
use crate::domain::id::id_hash;
use crate::domain::money::{ExchangeRates, Money};
use crate::domain::time::{DAY_MS, Timestamp};

/// Orders kept exactly.
pub const MAX_ORDERS: usize = 64;
/// Refunds that all exact orders may have together; the oldest orders give way.
pub const MAX_ALL_REFUNDS: usize = 160;
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
    /// Places of the categories of all these in the customer's preferences, a bit each.
    pub categories: u8,
    /// Records whose order has not come, in arrival order.
    pub parked: Vec<Parked>,
    /// Subscriptions, ordered by id.
    pub subscriptions: Vec<Subscription>,
}

impl RareParts {
    /// What is left of an order that is no longer kept exactly; its categories are.
    fn evicted_of(&mut self, order: &Order, rates: &ExchangeRates) -> EvictedOrder {
        // Of a cancelled one nothing was bought.
        if !order.cancelled {
            self.categories |= order.marks.categories;
        }
        EvictedOrder::of(order, rates)
    }

    /// Forgets the subscription that is longest without news.
    fn forget_quietest(&mut self, tally: &mut BookTally) {
        let quietest = (0..self.subscriptions.len())
            .min_by_key(|place| self.subscriptions[*place].latest_stamp())
            .unwrap_or(0);
        self.subscriptions.remove(quietest);
        tally.evicted += 1;
    }
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

/// What opens an order.
#[derive(Clone, Copy)]
struct Base {
    stamp: Stamp,
    amount: Money,
    term: Option<PaidTerm>,
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
        preferences: &mut Option<Box<Preferences>>,
        rates: &ExchangeRates,
        tally: &mut BookTally,
    ) -> Booked {
        match purchase {
            Purchase::OrderCompleted { order_id, amount, channel, coupon, items } => {
                let base = Base { stamp, amount: *amount, term: None };
                let mut left_out = 0;
                let marks = |book: &Self| {
                    let (in_use, channel) = (book.in_use(), channel.as_deref());
                    let preferred = mark(preferences, in_use, items, channel, &mut left_out);
                    let coupon = coupon.as_ref().is_some_and(|coupon| !coupon.is_empty());
                    Marks { coupon, ..preferred }
                };
                let folded = self.open(id_hash(order_id), base, marks, rates, tally);
                tally.evicted += left_out;
                booked(folded, tally)
            }
            Purchase::OrderUpdated { order_id, amount } => self.amend(
                id_hash(order_id),
                stamp,
                ParkedRecord::Update(*amount),
                clock,
                rates,
                tally,
            ),
            Purchase::OrderCancelled { order_id } => {
                self.amend(id_hash(order_id), stamp, ParkedRecord::Cancel, clock, rates, tally)
            }
            Purchase::OrderRefunded { order_id, refund_id, amount } => self.amend(
                id_hash(order_id),
                stamp,
                ParkedRecord::Refund(id_hash(refund_id), *amount),
                clock,
                rates,
                tally,
            ),
            Purchase::OrderPaid { .. } | Purchase::OrderFulfilled { .. } => Booked::ChangedUnknown,
            Purchase::SubscriptionStarted(term) | Purchase::SubscriptionRenewed(term) => {
                self.begin_term(term, stamp, rates, tally)
            }
            Purchase::SubscriptionChanged(term) => {
                let id = id_hash(&term.subscription_id);
                let folded = self.subscription(id, tally).set_price(price(term, stamp));
                self.reprice(id);
                booked(folded, tally)
            }
            Purchase::SubscriptionCancelled { subscription_id } => {
                let subscription = self.subscription(id_hash(subscription_id), tally);
                let folded = keep_latest(&mut subscription.cancelled_at, stamp);
                booked(folded, tally)
            }
            Purchase::SubscriptionEnded { subscription_id } => {
                let subscription = self.subscription(id_hash(subscription_id), tally);
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
    pub(in crate::domain) fn counting<'a>(
        &'a self,
        rates: &'a ExchangeRates,
    ) -> impl Iterator<Item = (Timestamp, i64)> + 'a {
        let evicted = self.evicted().iter().map(|order| (order.day.start(), order.net_minor));
        let exact = self.orders.iter().map(|order| (order.base.at, order.net_minor(rates)));
        evicted.chain(exact).filter(|(_, net_minor)| *net_minor > 0)
    }

    /// The places of categories and channels that orders name.
    #[must_use]
    pub fn in_use(&self) -> InUse {
        let mut in_use =
            InUse { categories: self.rare.as_ref().map_or(0, |rare| rare.categories), channels: 0 };
        for Order { marks, .. } in &self.orders {
            in_use.categories |= marks.categories;
            in_use.channels |= marks.channel.checked_sub(1).map_or(0, |place| 1 << place);
        }
        in_use
    }

    fn begin_term(
        &mut self,
        term: &Term<'_>,
        stamp: Stamp,
        rates: &ExchangeRates,
        tally: &mut BookTally,
    ) -> Booked {
        let id = id_hash(&term.subscription_id);
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
            || id_hash(&format!("{}@{}", term.subscription_id, stamp.at.day())),
            |order_id| id_hash(order_id),
        );
        let paid = PaidTerm {
            subscription: id,
            days: term.term_days.or_else(|| subscription.days_at(stamp)).unwrap_or(0),
            own_amount: term.amount.is_some(),
            own_days: term.term_days.is_some(),
        };
        let base = Base { stamp, amount, term: Some(paid) };
        let opened = self.open(order, base, |_| Marks::default(), rates, tally);
        self.reprice(id);
        // The term stands even where another record of the same order is its base.
        let lost = opened == Folded::Lost && folded == Folded::Lost;
        booked(if lost { Folded::Lost } else { Folded::Changed }, tally)
    }

    fn open(
        &mut self,
        id: u64,
        base: Base,
        marks: impl FnOnce(&Self) -> Marks,
        rates: &ExchangeRates,
        tally: &mut BookTally,
    ) -> Folded {
        let Base { stamp, amount, term } = base;
        if let Some(place) = self.orders.iter().position(|order| order.id == id) {
            if self.orders[place].base <= stamp {
                return Folded::Lost;
            }
            let mut order = self.orders.remove(place);
            (order.base, order.amount, order.term) = (stamp, amount, term);
            order.marks = marks(self);
            self.insert(order, rates, tally);
            return Folded::Changed;
        }
        if self.evicted().iter().any(|evicted| evicted.id == id) {
            return Folded::Lost;
        }
        let marks = marks(self);
        let mut order =
            Order { id, base: stamp, amount, term, marks, cancelled: false, changes: None };
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
        self.hold_refunds(rates, tally);
    }

    /// Evicts the oldest orders while there are too many refunds: a state stays small.
    fn hold_refunds(&mut self, rates: &ExchangeRates, tally: &mut BookTally) {
        let refunds = |order: &Order| order.changes.as_ref().map_or(0, |it| it.refunds.len());
        while self.orders.iter().map(refunds).sum::<usize>() > MAX_ALL_REFUNDS {
            self.evict(rates, tally);
        }
    }

    fn evict(&mut self, rates: &ExchangeRates, tally: &mut BookTally) {
        tally.evicted += 1;
        let order = self.orders.remove(0);
        let rare = self.rare.get_or_insert_default();
        let evicted = rare.evicted_of(&order, rates);
        let place = rare
            .evicted
            .partition_point(|present| (present.day, present.id) < (evicted.day, evicted.id));
        rare.evicted.insert(place, evicted);
        forget_terms(&mut rare.evicted, place);
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
            if folded == Folded::Changed {
                self.hold_refunds(rates, tally);
            }
            // Once its order falls out, the book no longer knows which records it is made of.
            return match booked(folded, tally) {
                Booked::Duplicate => Booked::Duplicate,
                Booked::Changed | Booked::ChangedUnknown => Booked::ChangedUnknown,
            };
        }
        let rare = self.rare.get_or_insert_default();
        if let Some(evicted) = rare.evicted.iter_mut().find(|evicted| evicted.id == order) {
            evicted.amend(what, rates, tally);
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

    /// Orders that are kept by id, day and net, ordered by day.
    #[must_use]
    pub fn evicted(&self) -> &[EvictedOrder] {
        self.rare.as_ref().map_or(&[], |rare| &rare.evicted)
    }

    /// The orders before those.
    #[must_use]
    pub fn sums(&self) -> OlderOrders {
        self.rare.as_ref().map_or_else(OlderOrders::default, |rare| rare.before)
    }

    fn subscription(&mut self, id: u64, tally: &mut BookTally) -> &mut Subscription {
        let rare = self.rare.get_or_insert_default();
        if !rare.subscriptions.iter().any(|present| present.id == id) {
            if rare.subscriptions.len() == MAX_SUBSCRIPTIONS {
                rare.forget_quietest(tally);
            }
            let place = rare.subscriptions.partition_point(|present| present.id < id);
            rare.subscriptions.insert(place, Subscription::new(id));
        }
        let place = rare.subscriptions.partition_point(|present| present.id < id);
        &mut rare.subscriptions[place]
    }

    /// Sets the amounts and lengths of the terms that do not name their own. A term whose price has
    /// fallen out of the list keeps it.
    fn reprice(&mut self, subscription_id: u64) {
        let Self { orders, rare } = self;
        let subscriptions = rare.as_ref().map_or(&[][..], |rare| &rare.subscriptions);
        let Some(subscription) = subscriptions.iter().find(|s| s.id == subscription_id) else {
            return;
        };
        for Order { base, amount, term, .. } in orders {
            let Some(term) = term.as_mut().filter(|it| it.subscription == subscription_id) else {
                continue;
            };
            if !term.own_amount {
                *amount = subscription.known_amount_at(*base).unwrap_or(*amount);
            }
            if !term.own_days {
                term.days = subscription.known_days_at(*base).unwrap_or(term.days);
            }
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
        plan: term.plan.as_ref().map(|plan| cut(plan, MAX_PLAN_BYTES).into()),
        term_days: term.term_days,
    }
}
