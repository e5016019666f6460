//! What is counted from an order book: orders, net, days, the expected gap, who is live.
//!
//! Facts are lifetime and independent of time; `live` and the gap of a running subscription are
//! asked for an instant. Next: `rfm.rs` and `lifecycle.rs`, which decide on them.

use crate::domain::change::Facts;
use crate::domain::facts::order::Order;
use crate::domain::facts::order_book::OrderBook;
use crate::domain::facts::subscription::Subscription;
use crate::domain::money::ExchangeRates;
use crate::domain::rules::{GapRules, LifecycleRules};
use crate::domain::time::{DAY_MS, Day, Timestamp};

/// Counts over all orders of a customer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OrderFacts {
    /// Counting orders: not cancelled, net above zero.
    pub orders: u64,
    /// Their net amounts in minor units of the base currency.
    pub net_minor: i64,
    /// First counting order.
    pub first_counting_at: Option<Timestamp>,
    /// Last counting order.
    pub last_counting_at: Option<Timestamp>,
    /// Last order that is not cancelled, refunded or free ones too.
    pub last_activity_at: Option<Timestamp>,
    /// First day of an order that is not cancelled.
    pub first_day: Option<Day>,
    /// Last day of an order that is not cancelled.
    pub last_day: Option<Day>,
    /// Distinct days of orders that are not cancelled.
    pub order_days: u64,
}

/// A duration as an exact fraction of days.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    /// Days times `parts`.
    pub days: i64,
    /// Never zero.
    pub parts: i64,
}

impl Default for Gap {
    fn default() -> Self {
        Self { days: 0, parts: 1 }
    }
}

impl Gap {
    /// The first instant at which more than `gaps` of this have passed since `from`.
    #[must_use]
    pub fn passed_at(self, from: Timestamp, gaps: i64) -> Timestamp {
        let ms = gaps.saturating_mul(self.days).saturating_mul(DAY_MS);
        from.plus_ms(ms.div_euclid(self.parts).saturating_add(1))
    }

    /// The first instant at which more than so many thousandths of this have passed since `from`.
    #[must_use]
    pub fn passed_at_milli(self, from: Timestamp, milli: i64) -> Timestamp {
        let ms = i128::from(self.days) * i128::from(DAY_MS) * i128::from(milli);
        let ms = ms.div_euclid(i128::from(self.parts) * 1000) + 1;
        from.plus_ms(i64::try_from(ms).unwrap_or(i64::MAX))
    }

    /// For people: the gap in days.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for people; decisions use the fraction")]
    pub fn in_days(self) -> f64 {
        self.days as f64 / self.parts as f64
    }
}

impl OrderFacts {
    /// Counts over a book.
    #[must_use]
    pub fn of(book: &OrderBook, rates: &ExchangeRates) -> Self {
        let mut facts = Self::default();
        if let Some(rare) = &book.rare {
            let before = &rare.before;
            facts.orders = before.orders;
            facts.net_minor = before.net_minor;
            facts.first_counting_at = before.first_counting_day.map(Day::start);
            facts.last_counting_at = before.last_counting_day.map(Day::start);
            facts.first_day = before.first_day;
            facts.last_day = before.last_day;
            facts.order_days = before.order_days;
            facts.last_activity_at = before.last_day.map(Day::start);
            for order in &rare.evicted {
                facts.add(order.day.start(), order.net_minor, order.cancelled);
            }
        }
        for order in &book.orders {
            facts.add(order.base.at, order.net_minor(rates), order.cancelled);
        }
        facts
    }

    /// These, of before an order with this id was completed, as they are after it; `ends` is how
    /// the book was before. One after all others is added, whether or not it pushed the first one
    /// out; else all are counted anew.
    #[must_use]
    pub(crate) fn after(
        mut self,
        book: &OrderBook,
        ends: Ends,
        id: u64,
        rates: &ExchangeRates,
    ) -> Self {
        let [others @ .., last] = &book.orders[..] else { return Self::of(book, rates) };
        let now = Ends::of(others);
        let pushed_out = ends.count > 1
            && now.count + 1 == ends.count
            && (now.first, now.last) == (ends.second, ends.last);
        let net_minor = last.net_minor(rates);
        let comes_last = last.id == id && last.id != ends.last && !last.cancelled && net_minor > 0;
        if !comes_last || (now.count != ends.count && !pushed_out) {
            return Self::of(book, rates);
        }
        self.add(last.base.at, net_minor, false);
        if pushed_out {
            self.first_counting_at = first_counting_at(book, rates);
            self.first_day = first_day(book);
        }
        debug_assert_eq!(self, Self::of(book, rates), "an order came last");
        self
    }

    fn add(&mut self, at: Timestamp, net_minor: i64, cancelled: bool) {
        if cancelled {
            return;
        }
        let day = at.day();
        if self.last_day < Some(day) {
            self.order_days += 1;
            self.last_day = Some(day);
        }
        self.first_day = self.first_day.or(Some(day));
        self.last_activity_at = Some(at);
        if net_minor > 0 {
            self.orders += 1;
            self.net_minor = self.net_minor.saturating_add(net_minor);
            self.first_counting_at = self.first_counting_at.or(Some(at));
            self.last_counting_at = Some(at);
        }
    }

    /// Own gaps between distinct order days: how many, and the days they span.
    #[must_use]
    pub fn own_gaps(&self) -> Option<Gap> {
        let parts = i64::try_from(self.order_days).ok()? - 1;
        let days = self.last_day?.0 - self.first_day?.0;
        (parts > 0).then_some(Gap { days, parts })
    }

    /// The own mean gap shrunk towards the prior: `(n * own + weight * prior) / (n + weight)`.
    #[must_use]
    pub fn shrunk_gap(&self, rules: &GapRules) -> Gap {
        let own = self.own_gaps().unwrap_or(Gap { days: 0, parts: 0 });
        Gap {
            days: own.days + rules.prior_weight * rules.prior_days,
            parts: own.parts + rules.prior_weight,
        }
    }

    /// Mean net amount of the counting orders, rounded half up; `None` without any.
    #[must_use]
    pub fn average_order_minor(&self) -> Option<i64> {
        let orders = i64::try_from(self.orders).unwrap_or(i64::MAX);
        (orders > 0).then(|| self.net_minor.saturating_add(orders / 2) / orders)
    }

    /// The facts that are written out; gaps as of `at`.
    #[must_use]
    pub fn written(&self, book: &OrderBook, rules: &GapRules, at: Timestamp) -> Facts {
        Facts {
            orders: self.orders,
            net_minor: self.net_minor,
            average_order_minor: self.average_order_minor(),
            first_order_at: self.first_counting_at,
            last_order_at: self.last_counting_at,
            average_gap_days: self.own_gaps().map(Gap::in_days),
            expected_gap_days: self
                .last_activity_at
                .map(|_| expected_gap(self, book, rules, at).in_days()),
        }
    }
}

/// When the first order that counts was placed, as exactly as is known.
fn first_counting_at(book: &OrderBook, rates: &ExchangeRates) -> Option<Timestamp> {
    let before = book.sums().first_counting_day.map(Day::start);
    before.or_else(|| book.counting(rates).next().map(|(at, _)| at))
}

/// The day of the first order that is not cancelled.
fn first_day(book: &OrderBook) -> Option<Day> {
    let evicted = book.evicted().iter().filter(|order| !order.cancelled).map(|order| order.day);
    let exact = book.orders.iter().filter(|order| !order.cancelled);
    book.sums().first_day.or_else(|| evicted.chain(exact.map(|it| it.base.at.day())).next())
}

/// The orders at the ends of those that a book has exactly; 0 where there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ends {
    count: usize,
    first: u64,
    second: u64,
    last: u64,
}

impl Ends {
    pub(crate) fn of(orders: &[Order]) -> Self {
        let id = |order: Option<&Order>| order.map_or(0, |order| order.id);
        let [first, second] = [orders.first(), orders.get(1)].map(id);
        Self { count: orders.len(), first, second, last: id(orders.last()) }
    }
}

/// What was counted last, so that it is not counted again. Says nothing of a customer: all are the
/// same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted(Option<OrderFacts>);

impl PartialEq for Counted {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Counted {}

impl Counted {
    /// Whoever changes the book counts anew, or says what there is now.
    pub(crate) const fn forget(&mut self) {
        self.0 = None;
    }

    pub(crate) const fn set(&mut self, facts: OrderFacts) {
        self.0 = Some(facts);
    }

    /// The facts of a book that was not changed since they were counted.
    pub(crate) fn get(self, book: &OrderBook, rates: &ExchangeRates) -> OrderFacts {
        let Some(counted) = self.0 else { return OrderFacts::of(book, rates) };
        debug_assert_eq!(counted, OrderFacts::of(book, rates), "counted before the book changed");
        counted
    }
}

/// The gap expected at `at`: the shortest term among running subscriptions, else the shrunk gap.
#[must_use]
pub fn expected_gap(facts: &OrderFacts, book: &OrderBook, rules: &GapRules, at: Timestamp) -> Gap {
    let term_days = book
        .subscriptions()
        .iter()
        .filter(|subscription| subscription.runs_at(at, rules.subscription_grace_ms))
        .filter_map(Subscription::term_days)
        .min();
    match term_days {
        Some(days) => Gap { days: i64::from(days), parts: 1 },
        None => facts.shrunk_gap(rules),
    }
}

/// Until when the customer is live, as of `at`: the last uncancelled order is at most the allowed
/// number of expected gaps old, or a subscription runs. `None` = not live at `at`.
///
/// The gap may change when a subscription stops, so this holds only until the next boundary.
#[must_use]
pub fn live_until(
    facts: &OrderFacts,
    book: &OrderBook,
    gap: &GapRules,
    lifecycle: &LifecycleRules,
    at: Timestamp,
) -> Option<Timestamp> {
    let running = running_until(book, gap, at);
    let recent = facts.last_activity_at.map(|last| {
        expected_gap(facts, book, gap, at).passed_at(last, lifecycle.live_gaps).plus_ms(-1)
    });
    running.max(recent).filter(|until| at <= *until)
}

/// How many subscriptions run at `at`.
#[must_use]
pub fn running(book: &OrderBook, gap: &GapRules, at: Timestamp) -> u32 {
    let running =
        book.subscriptions().iter().filter(|it| it.runs_at(at, gap.subscription_grace_ms));
    u32::try_from(running.count()).unwrap_or(u32::MAX)
}

/// Until when a subscription that runs at `at` runs.
#[must_use]
pub fn running_until(book: &OrderBook, gap: &GapRules, at: Timestamp) -> Option<Timestamp> {
    book.subscriptions()
        .iter()
        .filter_map(|subscription| subscription.runs_until(gap.subscription_grace_ms))
        .filter(|until| at <= *until)
        .max()
}

/// The first instant after `after` at which [`expected_gap`] may give another answer: a
/// subscription stops.
#[must_use]
pub fn next_gap_boundary(book: &OrderBook, gap: &GapRules, after: Timestamp) -> Option<Timestamp> {
    let stops =
        book.subscriptions().iter().filter_map(|it| it.runs_until(gap.subscription_grace_ms));
    stops.map(|until| until.plus_ms(1)).filter(|stop| *stop > after).min()
}

/// The first instant after `after` at which `live_until` may give another answer because of time.
#[must_use]
pub fn next_live_boundary(
    facts: &OrderFacts,
    book: &OrderBook,
    gap: &GapRules,
    lifecycle: &LifecycleRules,
    after: Timestamp,
) -> Option<Timestamp> {
    let last_at = facts.last_activity_at;
    let silence = |gap: Gap| last_at.map(|last_at| gap.passed_at(last_at, lifecycle.live_gaps));
    let ends = book.subscriptions().iter().flat_map(|subscription| {
        let stops = subscription.runs_until(gap.subscription_grace_ms);
        let term = subscription.term_days().map(|days| Gap { days: i64::from(days), parts: 1 });
        [stops.map(|until| until.plus_ms(1)), term.and_then(silence)]
    });
    ends.chain([silence(facts.shrunk_gap(gap))])
        .flatten()
        .filter(|boundary| *boundary > after)
        .min()
}
