//! The naive model: keeps all events of a customer and recomputes everything from zero.
//!
//! Written from the contract (sections 2, 3, 4), not from the code; slow and obvious.
//! Next: `known.rs`, what follows from the fold; `predict.rs`, what will be published.

use crate::facts::NaiveFacts;
use crate::known::{Known, Values};
use ebbflow::domain::event::{Body, Event, Purchase, Term};
use ebbflow::domain::id::{EventKey, hash64};
use ebbflow::domain::money::{Currency, Money};
use ebbflow::domain::rules::Rules;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use std::collections::BTreeMap;

/// When a record happened; its id decides between equal times.
pub(crate) type When = (i64, String);

/// The fold of an order's records; the ids say which records won.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NaiveOrder {
    pub(crate) base: When,
    pub(crate) base_amount: Money,
    pub(crate) update: Option<(When, Money)>,
    pub(crate) refunds: BTreeMap<String, (When, Option<Money>)>,
    pub(crate) cancelled: bool,
}

/// What a record set: price, length of a term, plan.
pub(crate) type NaivePrice = (Option<Money>, Option<u32>, Option<String>);

/// What is known of a subscription, as of the end of all events.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct NaiveSubscription {
    pub(crate) latest: Option<When>,
    pub(crate) prices: BTreeMap<When, NaivePrice>,
    pub(crate) cancelled: Option<When>,
    pub(crate) ended: Option<When>,
}

/// Orders and subscriptions by id.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Folded {
    pub(crate) orders: BTreeMap<String, NaiveOrder>,
    pub(crate) subscriptions: BTreeMap<String, NaiveSubscription>,
}

/// All events of one customer, each with its id once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reference {
    pub(crate) events: Vec<Event<'static>>,
}

pub(crate) fn when(event: &Event<'_>) -> When {
    // A hash of the id decides between events of one time.
    let EventKey(hash) = EventKey::of(hash64(&event.event_id));
    (event.occurred_at.0, format!("{hash:08x} {}", event.event_id))
}

fn price_of(term: &Term<'_>) -> NaivePrice {
    (term.amount, term.term_days, term.plan.as_ref().map(|plan| plan.clone().into_owned()))
}

fn term_order(term: &Term<'_>, at: Timestamp) -> String {
    match &term.order_id {
        Some(order) => order.to_string(),
        None => {
            let instant = jiff::Timestamp::from_millisecond(at.0).expect("a writable instant");
            format!("{}@{}", term.subscription_id, instant.strftime("%Y-%m-%d"))
        }
    }
}

/// The fixture's table by hand: EUR stays, USD has two rates, JPY one and no decimals.
pub(crate) fn to_base(money: Money, at: i64) -> i64 {
    let nano: i128 = match money.currency.code() {
        "EUR" => return money.amount_minor,
        "USD" if at.div_euclid(DAY_MS) < 19_753 => 911_000_000,
        "USD" => 1_090_000_001,
        "JPY" => 612_300_000,
        code => panic!("{code} has no rate in the fixture"),
    };
    let product = i128::from(money.amount_minor) * nano;
    i64::try_from((2 * product + 1_000_000_000) / 2_000_000_000).expect("a small amount")
}

impl Reference {
    /// Orders that have a base record, and subscriptions.
    pub(crate) fn fold(&self) -> Folded {
        let mut folded = Folded::default();
        for event in &self.events {
            let Body::Purchase(purchase) = &event.body else { continue };
            match purchase {
                Purchase::SubscriptionStarted(term) | Purchase::SubscriptionRenewed(term) => {
                    let known =
                        folded.subscriptions.entry(term.subscription_id.to_string()).or_default();
                    known.latest = known.latest.clone().max(Some(when(event)));
                    if term.amount.is_some() || term.plan.is_some() || term.term_days.is_some() {
                        known.prices.insert(when(event), price_of(term));
                    }
                }
                Purchase::SubscriptionChanged(term) => {
                    let known =
                        folded.subscriptions.entry(term.subscription_id.to_string()).or_default();
                    known.prices.insert(when(event), price_of(term));
                }
                Purchase::SubscriptionCancelled { subscription_id } => {
                    let known =
                        folded.subscriptions.entry(subscription_id.to_string()).or_default();
                    known.cancelled = known.cancelled.clone().max(Some(when(event)));
                }
                Purchase::SubscriptionEnded { subscription_id } => {
                    let known =
                        folded.subscriptions.entry(subscription_id.to_string()).or_default();
                    known.ended = known.ended.clone().max(Some(when(event)));
                }
                _ => {}
            }
        }
        for event in &self.events {
            let Some((order, amount)) = self.base_of(event, &folded) else { continue };
            let known = folded.orders.entry(order).or_insert_with(|| NaiveOrder {
                base: when(event),
                base_amount: amount,
                update: None,
                refunds: BTreeMap::new(),
                cancelled: false,
            });
            if when(event) < known.base {
                (known.base, known.base_amount) = (when(event), amount);
            }
        }
        for event in &self.events {
            let Some(order) = amends(event) else { continue };
            let Some(known) = folded.orders.get_mut(order) else { continue };
            match &event.body {
                Body::Purchase(Purchase::OrderUpdated { amount, .. }) => {
                    if known.update.as_ref().is_none_or(|(present, _)| *present < when(event)) {
                        known.update = Some((when(event), *amount));
                    }
                }
                Body::Purchase(Purchase::OrderRefunded { refund_id, amount, .. }) => {
                    let refund = (when(event), *amount);
                    let present = known.refunds.entry(refund_id.to_string()).or_insert(refund);
                    if when(event) < present.0 {
                        *present = (when(event), *amount);
                    }
                }
                _ => known.cancelled = true,
            }
        }
        folded
    }

    fn base_of(&self, event: &Event<'_>, folded: &Folded) -> Option<(String, Money)> {
        match &event.body {
            Body::Purchase(Purchase::OrderCompleted { order_id, amount, .. }) => {
                Some((order_id.to_string(), *amount))
            }
            Body::Purchase(
                Purchase::SubscriptionStarted(term) | Purchase::SubscriptionRenewed(term),
            ) => {
                let prices = &folded.subscriptions.get(&*term.subscription_id)?.prices;
                let set =
                    |range: Vec<&NaivePrice>| range.into_iter().find_map(|(amount, ..)| *amount);
                let amount = term
                    .amount
                    .or_else(|| set(prices.range(..=when(event)).rev().map(|(_, p)| p).collect()))
                    .or_else(|| set(prices.values().collect()))
                    .unwrap_or(Money {
                        amount_minor: 0,
                        currency: Currency::parse("EUR").expect("a code"),
                    });
                Some((term_order(term, event.occurred_at), amount))
            }
            _ => None,
        }
    }

    /// The last instant of each subscription that runs.
    pub(crate) fn runs(folded: &Folded, rules: &Rules) -> Vec<(i64, u32)> {
        let mut runs = Vec::new();
        for known in folded.subscriptions.values() {
            let Some(latest) = &known.latest else { continue };
            let days = known
                .prices
                .range(..=latest.clone())
                .rev()
                .find_map(|(_, (_, days, _))| *days)
                .or_else(|| known.prices.values().find_map(|(_, days, _)| *days));
            let Some(days) = days else { continue };
            let end = latest.0 + i64::from(days) * DAY_MS;
            let grace = rules.thresholds.gap.subscription_grace_ms;
            let cancelled = known.cancelled.as_ref().is_some_and(|at| at >= latest);
            let mut until = if cancelled { end } else { end + grace };
            if let Some(ended) = known.ended.as_ref().filter(|at| *at >= latest) {
                until = until.min(ended.0 - 1);
            }
            runs.push((until, days));
        }
        runs
    }

    pub(crate) fn net(order: &NaiveOrder) -> i64 {
        if order.cancelled {
            return 0;
        }
        let gross = order.update.as_ref().map_or(order.base_amount, |(_, amount)| *amount);
        let at = order.base.0;
        let mut same = 0;
        let mut other = 0;
        for (_, amount) in order.refunds.values() {
            match amount {
                None => return 0,
                Some(part) if part.currency == gross.currency => same += part.amount_minor,
                Some(part) => other += to_base(*part, at),
            }
        }
        let rest = Money { amount_minor: (gross.amount_minor - same).max(0), ..gross };
        (to_base(rest, at) - other).max(0)
    }

    /// Expected gap as (days, parts).
    pub(crate) fn gap(folded: &Folded, rules: &Rules, at: i64) -> (i64, i64) {
        let running = Self::runs(folded, rules).into_iter().filter(|(until, _)| at <= *until);
        if let Some(days) = running.map(|(_, days)| days).min() {
            return (i64::from(days), 1);
        }
        let days = Self::order_days(folded);
        let (span, gaps) = match (days.first(), days.last()) {
            (Some(first), Some(last)) => {
                (last - first, i64::try_from(days.len()).expect("few") - 1)
            }
            _ => (0, 0),
        };
        (span + 2 * rules.thresholds.gap.prior_days, gaps + 2)
    }

    pub(crate) fn order_days(folded: &Folded) -> Vec<i64> {
        let mut days: Vec<i64> = folded
            .orders
            .values()
            .filter(|order| !order.cancelled)
            .map(|order| order.base.0.div_euclid(DAY_MS))
            .collect();
        days.sort_unstable();
        days.dedup();
        days
    }

    /// What does not depend on an instant.
    pub(crate) fn known<'a>(&'a self, rules: &'a Rules) -> Known<'a> {
        Known::new(self, rules)
    }

    /// Raw values and facts at an instant.
    pub(crate) fn raw(&self, rules: &Rules, at: i64) -> (Values, NaiveFacts) {
        let known = self.known(rules);
        (known.values(at), known.facts(at))
    }
}

/// The order that a record amends.
pub(crate) fn amends<'a>(event: &'a Event<'_>) -> Option<&'a str> {
    match &event.body {
        Body::Purchase(
            Purchase::OrderUpdated { order_id, .. }
            | Purchase::OrderCancelled { order_id }
            | Purchase::OrderRefunded { order_id, .. },
        ) => Some(order_id),
        _ => None,
    }
}
