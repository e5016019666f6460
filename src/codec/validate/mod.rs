//! Raw records to events, or to a refusal that names the field and its value.
//!
//! Never guesses: what the contract does not allow is refused. The fields that all records have
//! are checked here. Next: `purchase.rs`, `interaction.rs`, the rules of each kind.

mod field;
mod interaction;
mod purchase;
#[cfg(test)]
mod tests;

use crate::codec::raw::{RawInteraction, RawPurchase, RawTime, Str};
use crate::domain::event::{Body, Event, Text};
use crate::domain::money::ExchangeRates;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::time::Timestamp;

pub use field::shown;
pub use purchase::is_kind as is_purchase_kind;

/// A purchase, checked against the rules of its kind.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn purchase<'a>(mut raw: RawPurchase<'a>, rates: &ExchangeRates) -> Result<Event<'a>, Refusal> {
    let common = Common {
        event_id: raw.event_id.take(),
        kind: raw.kind.take(),
        customer_id: raw.customer_id.take(),
        anonymous_id: raw.anonymous_id.take(),
        account_id: raw.account_id.take(),
        occurred_at: raw.occurred_at.take(),
        source: raw.source.take(),
    };
    common.with_body(|kind, event_id, _| {
        purchase::body(&kind, raw, event_id, rates).map(Body::Purchase)
    })
}

/// An interaction, checked against the rules of its kind.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn interaction<'a>(
    mut raw: RawInteraction<'a>,
    rates: &ExchangeRates,
) -> Result<Event<'a>, Refusal> {
    let common = Common {
        event_id: raw.event_id.take(),
        kind: raw.kind.take(),
        customer_id: raw.customer_id.take(),
        anonymous_id: raw.anonymous_id.take(),
        account_id: raw.account_id.take(),
        occurred_at: raw.occurred_at.take(),
        source: raw.source.take(),
    };
    common.with_body(|kind, _, customer_id| {
        if is_purchase_kind(&kind) {
            let detail = format!("kind = \"{kind}\" belongs to the topic of purchases");
            return Err(Refusal::new(Reason::UnknownKind, detail));
        }
        interaction::body(kind, raw, customer_id, rates).map(Body::Interaction)
    })
}

/// The fields that all records have.
struct Common<'a> {
    event_id: Option<Str<'a>>,
    kind: Option<Str<'a>>,
    customer_id: Option<Str<'a>>,
    anonymous_id: Option<Str<'a>>,
    account_id: Option<Str<'a>>,
    occurred_at: Option<RawTime<'a>>,
    source: Option<Str<'a>>,
}

impl<'a> Common<'a> {
    /// The event; `body` is given the kind, the event id and the customer id.
    fn with_body(
        self,
        body: impl FnOnce(Text<'a>, &Text<'a>, Option<&str>) -> Result<Body<'a>, Refusal>,
    ) -> Result<Event<'a>, Refusal> {
        let event_id = field::required_id("event_id", self.event_id)?;
        let kind = field::required("kind", self.kind)?;
        let customer_id = field::customer_id("customer_id", self.customer_id)?;
        let anonymous_id = field::id("anonymous_id", self.anonymous_id)?;
        if customer_id.is_none() && anonymous_id.is_none() {
            return Err(Refusal::new(
                Reason::MissingField,
                "neither \"customer_id\" nor \"anonymous_id\" is there",
            ));
        }
        let account_id = field::id("account_id", self.account_id)?;
        let occurred_at = instant(self.occurred_at)?;
        let body = body(kind, &event_id, customer_id.as_deref())?;
        Ok(Event {
            event_id,
            customer_id,
            anonymous_id,
            account_id,
            occurred_at,
            source: field::text(self.source),
            body,
        })
    }
}

fn instant(occurred_at: Option<RawTime<'_>>) -> Result<Timestamp, Refusal> {
    let written = occurred_at.ok_or_else(|| field::missing("occurred_at"))?;
    written.instant().ok_or_else(|| {
        let value = match &written {
            RawTime::Millis(ms) => ms.to_string(),
            RawTime::Text(text) => shown(&text.0),
        };
        Refusal::new(
            Reason::InvalidValue,
            format!("\"occurred_at\" = {value} is not an RFC 3339 time of the years 1 to 9999"),
        )
    })
}
