//! Events to records: for demos, load generators and tests; the service itself never writes any.
//!
//! What is written reads back as the same event. Next: `raw.rs`, the shape of the records.

use crate::codec::decoder::RecordType;
use crate::codec::encode::{Encoder, OutputFormat};
use crate::codec::raw::{Pairs, RawInteraction, RawItem, RawPurchase, RawTime, Str};
use crate::codec::schema::{INTERACTIONS, PURCHASES};
use crate::codec::time;
use crate::domain::event::{
    Body, CostKind, Event, Interaction, MeddicElement, Outcome, Purchase, Qualification, Survey,
    Term, Text,
};
use crate::domain::money::Money;
use std::borrow::Cow;

/// Writes events of both record types.
#[derive(Debug)]
pub struct EventEncoder {
    purchases: Encoder,
    interactions: Encoder,
}

impl EventEncoder {
    /// An encoder for the formats of the two topics.
    #[must_use]
    pub fn new(purchases: OutputFormat, interactions: OutputFormat) -> Self {
        Self {
            purchases: Encoder::new(&PURCHASES, purchases),
            interactions: Encoder::new(&INTERACTIONS, interactions),
        }
    }

    /// Replaces what the buffer holds by the event; says which topic it belongs to.
    pub fn encode(&mut self, event: &Event<'_>, into: &mut Vec<u8>) -> RecordType {
        match &event.body {
            Body::Purchase(purchase) => {
                let raw = raw_purchase(event, purchase, self.purchases.writes_text());
                self.purchases.encode_by_name(&raw, into);
                RecordType::Purchases
            }
            Body::Interaction(interaction) => {
                let raw = raw_interaction(event, interaction, self.interactions.writes_text());
                self.interactions.encode_by_name(&raw, into);
                RecordType::Interactions
            }
        }
    }
}

fn option<'e>(text: &'e Option<Text<'_>>) -> Option<Str<'e>> {
    text.as_deref().map(literal)
}

fn literal(text: &str) -> Str<'_> {
    Str(Cow::Borrowed(text))
}

fn raw_time(event: &Event<'_>, as_text: bool) -> RawTime<'static> {
    if as_text {
        let text = time::format(event.occurred_at);
        RawTime::Text(Str(Cow::Owned(String::from_utf8_lossy(&text).into_owned())))
    } else {
        RawTime::Millis(event.occurred_at.0)
    }
}

fn raw_purchase<'e>(
    event: &'e Event<'_>,
    purchase: &'e Purchase<'_>,
    as_text: bool,
) -> RawPurchase<'e> {
    let mut raw = RawPurchase {
        event_id: Some(literal(&event.event_id)),
        kind: Some(literal(purchase.kind())),
        customer_id: option(&event.customer_id),
        anonymous_id: option(&event.anonymous_id),
        account_id: option(&event.account_id),
        occurred_at: Some(raw_time(event, as_text)),
        source: option(&event.source),
        ..RawPurchase::default()
    };
    match purchase {
        Purchase::OrderCompleted { order_id, amount, channel, coupon, items } => {
            raw.order_id = Some(literal(order_id));
            set_money(Some(amount), &mut raw.amount_minor, &mut raw.currency);
            raw.channel = option(channel);
            raw.coupon = option(coupon);
            let items = items.iter().map(|item| RawItem {
                sku: option(&item.sku),
                category: option(&item.category),
                quantity: item.quantity,
                amount_minor: item.amount_minor,
            });
            raw.items = Some(items.collect());
        }
        Purchase::OrderUpdated { order_id, amount } => {
            raw.order_id = Some(literal(order_id));
            set_money(Some(amount), &mut raw.amount_minor, &mut raw.currency);
        }
        Purchase::OrderCancelled { order_id }
        | Purchase::OrderPaid { order_id }
        | Purchase::OrderFulfilled { order_id } => raw.order_id = Some(literal(order_id)),
        Purchase::OrderRefunded { order_id, refund_id, amount } => {
            raw.order_id = Some(literal(order_id));
            raw.refund_id = Some(literal(refund_id));
            set_money(amount.as_ref(), &mut raw.amount_minor, &mut raw.currency);
        }
        Purchase::SubscriptionStarted(term)
        | Purchase::SubscriptionRenewed(term)
        | Purchase::SubscriptionChanged(term) => set_term(term, &mut raw),
        Purchase::SubscriptionCancelled { subscription_id }
        | Purchase::SubscriptionEnded { subscription_id } => {
            raw.subscription_id = Some(literal(subscription_id));
        }
    }
    raw
}

fn set_term<'e>(term: &'e Term<'_>, raw: &mut RawPurchase<'e>) {
    raw.subscription_id = Some(literal(&term.subscription_id));
    raw.order_id = option(&term.order_id);
    raw.plan = option(&term.plan);
    set_money(term.amount.as_ref(), &mut raw.amount_minor, &mut raw.currency);
    raw.term_days = term.term_days.map(i64::from);
}

fn set_money<'e>(
    money: Option<&'e Money>,
    amount_minor: &mut Option<i64>,
    currency: &mut Option<Str<'e>>,
) {
    *amount_minor = money.map(|money| money.amount_minor);
    *currency = money.map(|money| literal(money.currency.code()));
}

fn raw_interaction<'e>(
    event: &'e Event<'_>,
    interaction: &'e Interaction<'_>,
    as_text: bool,
) -> RawInteraction<'e> {
    let mut raw = RawInteraction {
        event_id: Some(literal(&event.event_id)),
        kind: Some(literal(interaction.kind())),
        customer_id: option(&event.customer_id),
        anonymous_id: option(&event.anonymous_id),
        account_id: option(&event.account_id),
        occurred_at: Some(raw_time(event, as_text)),
        source: option(&event.source),
        ..RawInteraction::default()
    };
    match interaction {
        Interaction::Visit { kind: _, sku, category, channel } => {
            raw.sku = option(sku);
            raw.category = option(category);
            raw.channel = option(channel);
        }
        Interaction::Message { kind: _, campaign, channel } => {
            raw.campaign = option(campaign);
            raw.channel = option(channel);
        }
        Interaction::SupportContacted { minutes, channel } => {
            raw.minutes = minutes.map(i64::from);
            raw.channel = option(channel);
        }
        Interaction::ProductReviewed { score, sku } => {
            raw.score = Some(i64::from(*score));
            raw.sku = option(sku);
        }
        Interaction::Shared { score, sku } => {
            raw.score = score.map(i64::from);
            raw.sku = option(sku);
        }
        Interaction::ReferralSent { referred_customer_id }
        | Interaction::ReferralAccepted { referred_customer_id } => {
            raw.referred_customer_id = option(referred_customer_id);
        }
        Interaction::SurveyAnswered { survey, score, reason } => {
            raw.survey = Some(Str(survey_name(survey)));
            raw.score = score.map(i64::from);
            raw.reason = option(reason);
        }
        Interaction::CostRecorded { cost, amount } => {
            raw.cost = Some(literal(match cost {
                CostKind::Marketing => "marketing",
                CostKind::Service => "service",
                CostKind::Acquisition => "acquisition",
            }));
            set_money(Some(amount), &mut raw.amount_minor, &mut raw.currency);
        }
        Interaction::QualificationUpdated(update) => set_qualification(update, &mut raw),
        Interaction::ProfileUpdated { traits } => {
            let pairs = traits.iter().map(|(name, value)| (literal(name), literal(value)));
            raw.traits = Some(Pairs(pairs.collect()));
        }
        Interaction::CustomersMerged { from_customer_id } => {
            raw.from_customer_id = Some(literal(from_customer_id));
        }
        Interaction::ConsentChanged { purposes } => {
            let pairs = purposes.iter().map(|(name, allowed)| (literal(name), *allowed));
            raw.purposes = Some(Pairs(pairs.collect()));
        }
        Interaction::EraseRequested => {}
        Interaction::Unknown { kind } => raw.kind = Some(literal(kind)),
    }
    raw
}

fn survey_name<'e>(survey: &'e Survey<'_>) -> Text<'e> {
    Cow::Borrowed(match survey {
        Survey::Nps => "nps",
        Survey::Csat => "csat",
        Survey::Ces => "ces",
        Survey::Attention => "attention",
        Survey::Brand => "brand",
        Survey::PurchaseReason => "purchase_reason",
        Survey::Benefit(name) => return Cow::Owned(format!("benefit:{name}")),
        Survey::Cost(name) => return Cow::Owned(format!("cost:{name}")),
    })
}

fn set_qualification<'e>(update: &'e Qualification<'_>, raw: &mut RawInteraction<'e>) {
    match update {
        Qualification::Element { element, score, evidence } => {
            raw.element = Some(literal(match element {
                MeddicElement::Metrics => "metrics",
                MeddicElement::EconomicBuyer => "economic_buyer",
                MeddicElement::DecisionCriteria => "decision_criteria",
                MeddicElement::DecisionProcess => "decision_process",
                MeddicElement::IdentifyPain => "identify_pain",
                MeddicElement::Champion => "champion",
            }));
            raw.score = Some(i64::from(*score));
            raw.evidence = option(evidence);
        }
        Qualification::Outcome(outcome) => {
            raw.outcome = Some(literal(match outcome {
                Outcome::Won => "won",
                Outcome::Lost => "lost",
                Outcome::Disqualified => "disqualified",
            }));
        }
    }
}

#[cfg(test)]
mod tests;
