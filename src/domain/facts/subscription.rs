//! A subscription: its latest term, its price list, and until when it runs.
//!
//! Each term is also an order; that part is in `order_book.rs`. Like an order, a subscription is
//! a function of the set of its records.

use crate::domain::facts::order::{Folded, Stamp};
use crate::domain::money::{ExchangeRates, Money};
use crate::domain::time::{DAY_MS, Timestamp};

/// The latest prices of a subscription, all of which are kept. Of those before, the last that set
/// an amount, the last that set a plan and the last that set a length are, for later ones inherit
/// them.
pub const MAX_PRICES: usize = 7;

/// Bytes of a plan's name that are kept.
pub const MAX_PLAN_BYTES: usize = 32;

/// What is remembered of one subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscription {
    /// Hash of the subscription id.
    pub id: u64,
    /// The latest start or renewal.
    pub latest_term: Option<Stamp>,
    /// Price, plan and length set by starts, renewals and changes, ordered by stamp.
    pub prices: Vec<Price>,
    /// The latest cancellation.
    pub cancelled_at: Option<Stamp>,
    /// The latest immediate end.
    pub ended_at: Option<Stamp>,
}

/// What a record set for its term or later ones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Price {
    /// The record.
    pub stamp: Stamp,
    /// Price of a term.
    pub amount: Option<Money>,
    /// The plan's name, shortened.
    pub plan: Option<Box<str>>,
    /// Length of a term in days.
    pub term_days: Option<u32>,
}

impl Subscription {
    /// A subscription of which nothing is known yet.
    #[must_use]
    pub const fn new(id: u64) -> Self {
        Self { id, latest_term: None, prices: Vec::new(), cancelled_at: None, ended_at: None }
    }

    /// Takes in what a record set. Which prices are kept depends on the set of them alone.
    pub fn set_price(&mut self, price: Price) -> Folded {
        let stamp = price.stamp;
        let place = self.prices.binary_search_by_key(&stamp, |present| present.stamp);
        let Err(place) = place else { return Folded::Lost };
        self.prices.insert(place, price);
        let (mut amount, mut plan, mut term_days) = (false, false, false);
        for place in (0..self.older().len()).rev() {
            let price = &self.prices[place];
            let inherited = (price.amount.is_some() && !amount)
                || (price.plan.is_some() && !plan)
                || (price.term_days.is_some() && !term_days);
            amount |= price.amount.is_some();
            plan |= price.plan.is_some();
            term_days |= price.term_days.is_some();
            if !inherited {
                self.prices.remove(place);
            }
        }
        match self.prices.binary_search_by_key(&stamp, |present| present.stamp) {
            Ok(_) => Folded::Changed,
            Err(_) => Folded::Lost,
        }
    }

    /// Takes over what another customer's book has of the same subscription.
    pub fn absorb(&mut self, source: Self) {
        self.latest_term = self.latest_term.max(source.latest_term);
        self.cancelled_at = self.cancelled_at.max(source.cancelled_at);
        self.ended_at = self.ended_at.max(source.ended_at);
        for price in source.prices {
            self.set_price(price);
        }
    }

    /// The prices before the latest, of which some may have fallen out.
    fn older(&self) -> &[Price] {
        &self.prices[..self.prices.len().saturating_sub(MAX_PRICES)]
    }

    /// Takes in a start or renewal.
    pub fn begin_term(&mut self, stamp: Stamp) -> Folded {
        if self.latest_term >= Some(stamp) {
            return Folded::Lost;
        }
        self.latest_term = Some(stamp);
        Folded::Changed
    }

    /// Price of a term that began with `stamp`: the latest one set until then, else the first.
    #[must_use]
    pub fn amount_at(&self, stamp: Stamp) -> Option<Money> {
        self.latest_set(stamp, |price| price.amount)
    }

    fn latest_set<T>(&self, stamp: Stamp, field: impl Fn(&Price) -> Option<T>) -> Option<T> {
        self.prices
            .iter()
            .rev()
            .filter(|price| price.stamp <= stamp)
            .find_map(&field)
            .or_else(|| self.prices.iter().find_map(&field))
    }

    /// Length of a term that began with `stamp`, in days.
    #[must_use]
    pub fn days_at(&self, stamp: Stamp) -> Option<u32> {
        self.latest_set(stamp, |price| price.term_days)
    }

    /// [`Self::amount_at`], unless the price that held then may have fallen out.
    #[must_use]
    pub fn known_amount_at(&self, stamp: Stamp) -> Option<Money> {
        self.known(stamp, |price| price.amount)
    }

    /// [`Self::days_at`], unless the length that held then may have fallen out.
    #[must_use]
    pub fn known_days_at(&self, stamp: Stamp) -> Option<u32> {
        self.known(stamp, |price| price.term_days)
    }

    fn known<T>(&self, stamp: Stamp, field: impl Fn(&Price) -> Option<T>) -> Option<T> {
        let inherited = self.older().iter().rfind(|price| field(price).is_some());
        if inherited.is_some_and(|price| stamp < price.stamp) {
            return None;
        }
        self.latest_set(stamp, field)
    }

    /// Length of the latest term in days.
    #[must_use]
    pub fn term_days(&self) -> Option<u32> {
        self.days_at(self.latest_term?)
    }

    /// Moves to a plan that costs more a day than the one before: when, and its name; in time
    /// order. What a record leaves open stays as it was set before.
    pub fn upgrades<'a>(
        &'a self,
        rates: &'a ExchangeRates,
    ) -> impl Iterator<Item = (Timestamp, &'a str)> + 'a {
        // Of those before it some may have fallen out.
        let inherited = self.older().iter().rposition(|price| price.plan.is_some()).unwrap_or(0);
        let prices = self.prices.iter().enumerate().skip(inherited);
        let planned = prices.filter(|(_, price)| price.plan.is_some());
        planned.clone().zip(planned.skip(1)).filter_map(move |((_, before), (place, after))| {
            let (old, new) = (before.plan.as_deref()?, after.plan.as_deref()?);
            if old == new {
                return None;
            }
            let daily = |stamp: Stamp| {
                let minor = rates.to_base_minor(self.amount_at(stamp)?, after.stamp.at);
                Some((i128::from(minor), i128::from(self.days_at(stamp)?)))
            };
            let (old_minor, old_days) = daily(self.prices[place - 1].stamp)?;
            let (new_minor, new_days) = daily(after.stamp)?;
            (new_minor * old_days > old_minor * new_days).then_some((after.stamp.at, new))
        })
    }

    /// Whether a term of so many days that began with `stamp` was running at a later instant, as
    /// far as was known then; of the cancellations and ends only the latest are known.
    #[must_use]
    pub fn ran_at(&self, stamp: Stamp, days: u32, at: Timestamp, grace_ms: i64) -> bool {
        let known =
            |record: Option<Stamp>| record.is_some_and(|record| record >= stamp && record.at <= at);
        let grace_ms = if known(self.cancelled_at) { 0 } else { grace_ms };
        let until = stamp.at.plus_ms(i64::from(days) * DAY_MS + grace_ms);
        stamp.at < at && at <= until && !known(self.ended_at)
    }

    /// The last instant at which it runs: the end of the latest term and the grace in which a
    /// renewal is awaited; no grace after a cancellation; the instant before an immediate end.
    #[must_use]
    pub fn runs_until(&self, grace_ms: i64) -> Option<Timestamp> {
        let term = self.latest_term?;
        let end = term.at.plus_ms(i64::from(self.term_days()?) * DAY_MS);
        let cancelled = self.cancelled_at.is_some_and(|cancelled| cancelled >= term);
        let awaited = if cancelled { end } else { end.plus_ms(grace_ms) };
        match self.ended_at {
            Some(ended) if ended >= term => Some(awaited.min(ended.at.plus_ms(-1))),
            _ => Some(awaited),
        }
    }

    /// Whether it runs at `at`.
    #[must_use]
    pub fn runs_at(&self, at: Timestamp, grace_ms: i64) -> bool {
        self.runs_until(grace_ms).is_some_and(|until| at <= until)
    }

    /// The latest thing known of it: decides which subscription is forgotten first.
    #[must_use]
    pub fn latest_stamp(&self) -> Option<Stamp> {
        self.latest_term
            .max(self.cancelled_at)
            .max(self.ended_at)
            .max(self.prices.last().map(|price| price.stamp))
    }
}
