//! What each kind of purchase needs; an unknown kind is refused, since a typo would lose revenue.
//!
//! Next: `interaction.rs`, which is more lenient.

use super::field;
use crate::codec::kinds::did_you_mean;
use crate::codec::raw::{RawItem, RawPurchase, Str};
use crate::domain::event::{Item, Purchase, Term, Text};
use crate::domain::money::ExchangeRates;
use crate::domain::refusal::{Reason, Refusal};

/// Longest term of a subscription: a hundred years, beyond which it is a mistake in writing.
const MAX_TERM_DAYS: u32 = 36_525;

/// Whether a kind belongs to the `purchases` topic.
#[must_use]
pub fn is_kind(kind: &str) -> bool {
    matches!(
        kind,
        "order_completed"
            | "order_updated"
            | "order_cancelled"
            | "order_refunded"
            | "order_paid"
            | "order_fulfilled"
            | "subscription_started"
            | "subscription_renewed"
            | "subscription_changed"
            | "subscription_cancelled"
            | "subscription_ended"
    )
}

/// The body of a purchase; `raw` is without the fields that all records have.
pub(super) fn body<'a>(
    kind: &str,
    raw: RawPurchase<'a>,
    event_id: &Text<'a>,
    rates: &ExchangeRates,
) -> Result<Purchase<'a>, Refusal> {
    Ok(match kind {
        "order_completed" => Purchase::OrderCompleted {
            order_id: order_id(raw.order_id)?,
            amount: field::required_money(raw.amount_minor, raw.currency, rates)?,
            channel: field::text(raw.channel),
            coupon: field::text(raw.coupon),
            items: items(raw.items)?,
        },
        "order_updated" => Purchase::OrderUpdated {
            order_id: order_id(raw.order_id)?,
            amount: field::required_money(raw.amount_minor, raw.currency, rates)?,
        },
        "order_cancelled" => Purchase::OrderCancelled { order_id: order_id(raw.order_id)? },
        "order_refunded" => Purchase::OrderRefunded {
            order_id: order_id(raw.order_id)?,
            refund_id: field::id("refund_id", raw.refund_id)?.unwrap_or_else(|| event_id.clone()),
            amount: field::money(raw.amount_minor, raw.currency, rates)?,
        },
        "order_paid" => Purchase::OrderPaid { order_id: order_id(raw.order_id)? },
        "order_fulfilled" => Purchase::OrderFulfilled { order_id: order_id(raw.order_id)? },
        "subscription_started" => {
            let term = term(raw, rates)?;
            require_whole(&term)?;
            Purchase::SubscriptionStarted(term)
        }
        "subscription_renewed" => Purchase::SubscriptionRenewed(term(raw, rates)?),
        "subscription_changed" => Purchase::SubscriptionChanged(term(raw, rates)?),
        "subscription_cancelled" => Purchase::SubscriptionCancelled {
            subscription_id: field::required_id("subscription_id", raw.subscription_id)?,
        },
        "subscription_ended" => Purchase::SubscriptionEnded {
            subscription_id: field::required_id("subscription_id", raw.subscription_id)?,
        },
        _ => {
            let mut detail = format!("\"kind\" = {} is no kind of purchase", field::shown(kind));
            if let Some(meant) = did_you_mean(kind).filter(|meant| is_kind(meant)) {
                detail.push_str(&format!("; did you mean \"{meant}\"?"));
            }
            return Err(Refusal::new(Reason::UnknownKind, detail));
        }
    })
}

fn order_id(order_id: Option<Str<'_>>) -> Result<Text<'_>, Refusal> {
    field::required_id("order_id", order_id)
}

fn items(raw: Option<Vec<RawItem<'_>>>) -> Result<Vec<Item<'_>>, Refusal> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    raw.into_iter()
        .enumerate()
        .map(|(index, item)| {
            let amount_minor = item.amount_minor.map(|amount| {
                field::amount_minor(format_args!("items[{index}].amount_minor"), amount)
            });
            Ok(Item {
                sku: field::text(item.sku),
                category: field::text(item.category),
                quantity: item.quantity,
                amount_minor: amount_minor.transpose()?,
            })
        })
        .collect()
}

fn term<'a>(raw: RawPurchase<'a>, rates: &ExchangeRates) -> Result<Term<'a>, Refusal> {
    let term_days = match raw.term_days {
        None => None,
        Some(days) => Some(
            u32::try_from(days).ok().filter(|days| (1..=MAX_TERM_DAYS).contains(days)).ok_or_else(
                || {
                    let expected = format!("1 to {MAX_TERM_DAYS}");
                    field::invalid("term_days", &days.to_string(), &expected)
                },
            )?,
        ),
    };
    Ok(Term {
        subscription_id: field::required_id("subscription_id", raw.subscription_id)?,
        order_id: field::id("order_id", raw.order_id)?,
        plan: field::text(raw.plan),
        amount: field::money(raw.amount_minor, raw.currency, rates)?,
        term_days,
    })
}

/// The first term has nothing to inherit from.
fn require_whole(term: &Term<'_>) -> Result<(), Refusal> {
    if term.plan.is_none() {
        return Err(field::missing("plan"));
    }
    if term.amount.is_none() {
        return Err(field::missing("amount_minor"));
    }
    if term.term_days.is_none() {
        return Err(field::missing("term_days"));
    }
    Ok(())
}
