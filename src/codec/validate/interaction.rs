//! What each kind of interaction needs; an unknown kind is an interaction like any other.
//!
//! Next: `domain/event.rs`, what comes out.

use super::field;
use crate::codec::raw::{Pairs, RawInteraction};
use crate::domain::event::{
    CostKind, Interaction, MeddicElement, MessageKind, Outcome, Qualification, Survey, Text,
    VisitKind,
};
use crate::domain::money::ExchangeRates;
use crate::domain::refusal::{Reason, Refusal};
use std::borrow::Cow;

/// Scale of stars.
const STARS: (u8, u8) = (1, 5);
/// Scale of a MEDDIC element.
const MEDDIC: (u8, u8) = (0, 3);

/// The body of an interaction; `raw` is without the fields that all records have.
pub(super) fn body<'a>(
    kind: Text<'a>,
    raw: RawInteraction<'a>,
    customer_id: Option<&str>,
    rates: &ExchangeRates,
) -> Result<Interaction<'a>, Refusal> {
    if let Some(kind) = visit_kind(&kind) {
        return Ok(Interaction::Visit {
            kind,
            sku: field::text(raw.sku),
            category: field::text(raw.category),
            channel: field::text(raw.channel),
        });
    }
    if let Some(kind) = message_kind(&kind) {
        return Ok(Interaction::Message {
            kind,
            campaign: field::text(raw.campaign),
            channel: field::text(raw.channel),
        });
    }
    Ok(match &*kind {
        "support_contacted" => Interaction::SupportContacted {
            minutes: minutes(raw.minutes)?,
            channel: field::text(raw.channel),
        },
        "product_reviewed" => Interaction::ProductReviewed {
            score: field::required_score(raw.score, STARS)?,
            sku: field::text(raw.sku),
        },
        "shared" => Interaction::Shared {
            score: field::score(raw.score, STARS)?,
            sku: field::text(raw.sku),
        },
        "referral_sent" => Interaction::ReferralSent {
            referred_customer_id: field::customer_id(
                "referred_customer_id",
                raw.referred_customer_id,
            )?,
        },
        "referral_accepted" => referral_accepted(raw, customer_id)?,
        "survey_answered" => survey_answered(raw)?,
        "cost_recorded" => Interaction::CostRecorded {
            cost: cost_kind(&field::required("cost", raw.cost)?)?,
            amount: field::required_money(raw.amount_minor, raw.currency, rates)?,
        },
        "qualification_updated" => Interaction::QualificationUpdated(qualification(raw)?),
        "profile_updated" => Interaction::ProfileUpdated {
            traits: pairs("traits", raw.traits)?
                .into_iter()
                .map(|(name, value)| (name, value.0))
                .collect(),
        },
        "customers_merged" => customers_merged(raw, customer_id)?,
        "consent_changed" => {
            Interaction::ConsentChanged { purposes: pairs("purposes", raw.purposes)? }
        }
        "erase_requested" => Interaction::EraseRequested,
        _ => Interaction::Unknown { kind },
    })
}

fn visit_kind(kind: &str) -> Option<VisitKind> {
    Some(match kind {
        "page_viewed" => VisitKind::PageViewed,
        "product_viewed" => VisitKind::ProductViewed,
        "products_searched" => VisitKind::ProductsSearched,
        "product_added" => VisitKind::ProductAdded,
        "product_removed" => VisitKind::ProductRemoved,
        "cart_viewed" => VisitKind::CartViewed,
        "checkout_started" => VisitKind::CheckoutStarted,
        "review_read" => VisitKind::ReviewRead,
        "signed_up" => VisitKind::SignedUp,
        "logged_in" => VisitKind::LoggedIn,
        "usage_recorded" => VisitKind::UsageRecorded,
        _ => return None,
    })
}

fn message_kind(kind: &str) -> Option<MessageKind> {
    Some(match kind {
        "message_sent" => MessageKind::Sent,
        "message_delivered" => MessageKind::Delivered,
        "message_opened" => MessageKind::Opened,
        "message_clicked" => MessageKind::Clicked,
        "unsubscribed" => MessageKind::Unsubscribed,
        _ => return None,
    })
}

fn minutes(minutes: Option<i64>) -> Result<Option<u32>, Refusal> {
    let Some(minutes) = minutes else { return Ok(None) };
    match u32::try_from(minutes) {
        Ok(minutes) => Ok(Some(minutes)),
        Err(_) => Err(field::invalid("minutes", &minutes.to_string(), "0 or above")),
    }
}

fn survey_answered(raw: RawInteraction<'_>) -> Result<Interaction<'_>, Refusal> {
    let name = field::required("survey", raw.survey)?;
    let (survey, scale) = survey(&name)?;
    let score = if survey == Survey::PurchaseReason {
        field::score(raw.score, scale)?
    } else {
        Some(field::required_score(raw.score, scale)?)
    };
    Ok(Interaction::SurveyAnswered { survey, score, reason: field::text(raw.reason) })
}

/// The survey and its scale.
fn survey<'a>(name: &Text<'a>) -> Result<(Survey<'a>, (u8, u8)), Refusal> {
    Ok(match &**name {
        "nps" => (Survey::Nps, (0, 10)),
        "csat" => (Survey::Csat, (1, 5)),
        "ces" => (Survey::Ces, (1, 7)),
        "attention" => (Survey::Attention, (1, 5)),
        "brand" => (Survey::Brand, (1, 5)),
        "purchase_reason" => (Survey::PurchaseReason, (0, 10)),
        _ => {
            if let Some(about) = after_prefix(name, "benefit:") {
                (Survey::Benefit(about), (0, 10))
            } else if let Some(about) = after_prefix(name, "cost:") {
                (Survey::Cost(about), (0, 10))
            } else {
                return Err(field::invalid("survey", &field::shown(name), "a known survey"));
            }
        }
    })
}

/// What follows the prefix, borrowed as the whole was; `None` without the prefix or after it.
fn after_prefix<'a>(text: &Text<'a>, prefix: &str) -> Option<Text<'a>> {
    let rest = match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.strip_prefix(prefix)?),
        Cow::Owned(text) => Cow::Owned(text.strip_prefix(prefix)?.to_owned()),
    };
    (!rest.is_empty()).then_some(rest)
}

fn cost_kind(cost: &str) -> Result<CostKind, Refusal> {
    match cost {
        "marketing" => Ok(CostKind::Marketing),
        "service" => Ok(CostKind::Service),
        "acquisition" => Ok(CostKind::Acquisition),
        _ => Err(field::invalid(
            "cost",
            &field::shown(cost),
            "\"marketing\", \"service\" or \"acquisition\"",
        )),
    }
}

fn qualification(raw: RawInteraction<'_>) -> Result<Qualification<'_>, Refusal> {
    match (raw.element, raw.outcome) {
        (Some(_), Some(_)) => Err(Refusal::new(
            Reason::InvalidValue,
            "\"element\" and \"outcome\" are both there, only one may be",
        )),
        (Some(element), None) => Ok(Qualification::Element {
            element: meddic_element(&element.0)?,
            score: field::required_score(raw.score, MEDDIC)?,
            evidence: field::text(raw.evidence),
        }),
        (None, Some(outcome)) => Ok(Qualification::Outcome(match &*outcome.0 {
            "won" => Outcome::Won,
            "lost" => Outcome::Lost,
            "disqualified" => Outcome::Disqualified,
            other => {
                let expected = "\"won\", \"lost\" or \"disqualified\"";
                return Err(field::invalid("outcome", &field::shown(other), expected));
            }
        })),
        (None, None) => {
            Err(Refusal::new(Reason::MissingField, "neither \"element\" nor \"outcome\" is there"))
        }
    }
}

fn meddic_element(element: &str) -> Result<MeddicElement, Refusal> {
    Ok(match element {
        "metrics" => MeddicElement::Metrics,
        "economic_buyer" => MeddicElement::EconomicBuyer,
        "decision_criteria" => MeddicElement::DecisionCriteria,
        "decision_process" => MeddicElement::DecisionProcess,
        "identify_pain" => MeddicElement::IdentifyPain,
        "champion" => MeddicElement::Champion,
        _ => {
            let expected = "one of metrics, economic_buyer, decision_criteria, decision_process, \
                            identify_pain, champion";
            return Err(field::invalid("element", &field::shown(element), expected));
        }
    })
}

fn customers_merged<'a>(
    raw: RawInteraction<'a>,
    customer_id: Option<&str>,
) -> Result<Interaction<'a>, Refusal> {
    let into = customer_id.ok_or_else(|| field::missing("customer_id"))?;
    let from_customer_id = field::customer_id("from_customer_id", raw.from_customer_id)?
        .ok_or_else(|| field::missing("from_customer_id"))?;
    if from_customer_id == into {
        let value = field::shown(&from_customer_id);
        return Err(field::invalid("from_customer_id", &value, "another id than \"customer_id\""));
    }
    Ok(Interaction::CustomersMerged { from_customer_id })
}

fn referral_accepted<'a>(
    raw: RawInteraction<'a>,
    customer_id: Option<&str>,
) -> Result<Interaction<'a>, Refusal> {
    let referred_customer_id =
        field::customer_id("referred_customer_id", raw.referred_customer_id)?;
    match &referred_customer_id {
        Some(referred) if Some(&**referred) == customer_id => Err(field::invalid(
            "referred_customer_id",
            &field::shown(referred),
            "another id than \"customer_id\"",
        )),
        _ => Ok(Interaction::ReferralAccepted { referred_customer_id }),
    }
}

fn pairs<'a, V>(name: &str, pairs: Option<Pairs<'a, V>>) -> Result<Vec<(Text<'a>, V)>, Refusal> {
    let pairs = pairs.ok_or_else(|| field::missing(name))?;
    Ok(pairs.0.into_iter().map(|(name, value)| (name.0, value)).collect())
}
