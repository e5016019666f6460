//! One order: the fold of its records, whatever their sequence.
//!
//! An order is a function of the *set* of its records; nothing here depends on arrival order.
//! Next: `order_book.rs`, all orders of a customer.

use crate::domain::id::EventKey;
use crate::domain::money::{ExchangeRates, Money};
use crate::domain::time::Timestamp;

/// Refunds kept one by one per order; further ones are only added up.
pub const MAX_REFUNDS: usize = 16;

/// When a record of an order happened, and how ties are decided.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Stamp {
    /// Effective time.
    pub at: Timestamp,
    /// Decides between records of equal time.
    pub key: EventKey,
}

/// An order whose base record has been seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// Hash of the order id.
    pub id: u64,
    /// The base record: the least one that opened the order.
    pub base: Stamp,
    /// Amount of the base record.
    pub amount: Money,
    /// The term of a subscription that it pays for.
    pub term: Option<PaidTerm>,
    /// What the base record said beside the amount.
    pub marks: Marks,
    /// Whether a cancellation was seen.
    pub cancelled: bool,
    /// Updates and refunds; most orders have none.
    pub changes: Option<Box<OrderChanges>>,
}

/// The term of a subscription that an order pays for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PaidTerm {
    /// Hash of the subscription id.
    pub subscription: u64,
    /// Its length in days; 0 = unknown.
    pub days: u32,
    /// Whether the record named the amount; else the subscription's price list sets it.
    pub own_amount: bool,
    /// Whether the record named the length; else the subscription's price list sets it.
    pub own_days: bool,
}

/// What the base record of an order said beside the amount.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Marks {
    /// Whether there was a coupon.
    pub coupon: bool,
    /// Places of its categories in the customer's preferences, a bit each.
    pub categories: u8,
    /// Place of its channel there, from 1; 0 = none.
    pub channel: u8,
}

/// What happened to an order after it was placed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OrderChanges {
    /// The greatest update and the amount it set.
    pub update: Option<(Stamp, Money)>,
    /// Distinct refunds, ordered by id.
    pub refunds: Vec<Refund>,
    /// Refunds beyond [`MAX_REFUNDS`], added up in minor units of the base currency.
    pub further_refunds_minor: i64,
}

/// One refund: of the records with its id, the least.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refund {
    /// Hash of the refund id.
    pub id: u64,
    /// The record that counts.
    pub stamp: Stamp,
    /// The refunded part; `None` = the whole order.
    pub amount: Option<Money>,
}

/// What a record changed in the fold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Folded {
    /// The order is another now.
    Changed,
    /// The record lost the fold, or had been seen.
    Lost,
    /// The record was merged into the sum of further refunds: remember its id elsewhere.
    Summed,
}

impl Order {
    /// Amount before refunds, in the order's or update's own currency.
    #[must_use]
    pub fn gross(&self) -> Money {
        self.changes.as_ref().and_then(|changes| changes.update).map_or(self.amount, |(_, set)| set)
    }

    /// Amount after refunds, in minor units of the base currency at the order's rate; 0 when
    /// cancelled, never below 0.
    #[must_use]
    pub fn net_minor(&self, rates: &ExchangeRates) -> i64 {
        if self.cancelled {
            return 0;
        }
        self.rest_minor(rates).max(0)
    }

    /// The amount less all refunds in minor units of the base currency, below 0 when they take
    /// more than there is. Refunds in the order's own currency are taken off before anything is
    /// rounded, so that an order refunded in parts leaves nothing.
    fn rest_minor(&self, rates: &ExchangeRates) -> i64 {
        let Money { mut amount_minor, currency } = self.gross();
        let to_base = |amount| rates.to_base_minor(amount, self.base.at);
        let Some(changes) = &self.changes else { return to_base(self.gross()) };
        let mut other_minor = changes.further_refunds_minor;
        for refund in &changes.refunds {
            let part = refund.amount.unwrap_or_else(|| self.gross());
            if part.currency == currency {
                amount_minor = amount_minor.saturating_sub(part.amount_minor);
            } else {
                other_minor = other_minor.saturating_add(to_base(part));
            }
        }
        let own_minor =
            if amount_minor < 0 { -1 } else { to_base(Money { amount_minor, currency }) };
        own_minor.saturating_sub(other_minor)
    }

    /// Takes an update in: the greatest one sets the amount.
    pub fn update(&mut self, stamp: Stamp, amount: Money) -> Folded {
        let changes = self.changes.get_or_insert_default();
        if changes.update.is_some_and(|(present, _)| present >= stamp) {
            return Folded::Lost;
        }
        changes.update = Some((stamp, amount));
        Folded::Changed
    }

    /// Takes a refund in: of the records with one id the least counts.
    pub fn refund(&mut self, refund: Refund, rates: &ExchangeRates) -> Folded {
        let gross = rates.to_base_minor(self.gross(), self.base.at);
        let at = self.base.at;
        let changes = self.changes.get_or_insert_default();
        match changes.refunds.binary_search_by_key(&refund.id, |present| present.id) {
            Ok(place) => {
                let present = &mut changes.refunds[place];
                if present.stamp <= refund.stamp {
                    return Folded::Lost;
                }
                *present = refund;
                Folded::Changed
            }
            Err(place) if changes.refunds.len() < MAX_REFUNDS => {
                changes.refunds.insert(place, refund);
                Folded::Changed
            }
            Err(_) => {
                let minor = refund.amount.map_or(gross, |amount| rates.to_base_minor(amount, at));
                changes.further_refunds_minor = changes.further_refunds_minor.saturating_add(minor);
                Folded::Summed
            }
        }
    }

    /// Takes over what another customer's book has of the same order; returns how many refunds
    /// could only be added up.
    pub fn absorb(&mut self, source: Self, rates: &ExchangeRates) -> u64 {
        if source.base < self.base {
            (self.base, self.amount) = (source.base, source.amount);
            (self.term, self.marks) = (source.term, source.marks);
        }
        self.cancelled |= source.cancelled;
        let Some(changes) = source.changes else { return 0 };
        if let Some((stamp, amount)) = changes.update {
            self.update(stamp, amount);
        }
        let own = self.changes.get_or_insert_default();
        own.further_refunds_minor =
            own.further_refunds_minor.saturating_add(changes.further_refunds_minor);
        let folded = changes.refunds.into_iter().map(|refund| self.refund(refund, rates));
        folded.map(|folded| u64::from(folded == Folded::Summed)).sum()
    }

    /// Whether refunds take more than there is.
    #[must_use]
    pub fn is_over_refunded(&self, rates: &ExchangeRates) -> bool {
        !self.cancelled && self.rest_minor(rates) < 0
    }
}
