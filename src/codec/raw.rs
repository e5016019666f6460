//! Events as their records spell them: flat, every field optional, text borrowed where it can be.
//!
//! One struct per record type for JSON and Avro, reading and writing; nothing is checked here but
//! types. Next: `validate.rs`, which turns a raw record into an event or a refusal.

use crate::codec::time;
use crate::domain::event::Text;
use crate::domain::time::Timestamp;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A record of the `purchases` topic.
#[derive(Deserialize, Serialize, Default, PartialEq, Debug)]
#[expect(missing_docs, reason = "the fields are documented in schemas/purchases.avsc")]
pub struct RawPurchase<'a> {
    #[serde(borrow)]
    pub event_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub kind: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub anonymous_id: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub occurred_at: Option<RawTime<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub source: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_minor: Option<i64>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub coupon: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<RawItem<'a>>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub refund_id: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term_days: Option<i64>,
}

/// An order line.
#[derive(Deserialize, Serialize, Default, PartialEq, Debug)]
#[expect(missing_docs, reason = "the fields are documented in schemas/purchases.avsc")]
pub struct RawItem<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub category: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_minor: Option<i64>,
}

/// A record of the `interactions` topic.
#[derive(Deserialize, Serialize, Default, PartialEq, Debug)]
#[expect(missing_docs, reason = "the fields are documented in schemas/interactions.avsc")]
pub struct RawInteraction<'a> {
    #[serde(borrow)]
    pub event_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub kind: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub anonymous_id: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<Str<'a>>,
    #[serde(borrow)]
    pub occurred_at: Option<RawTime<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub source: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub category: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub query: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<i64>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub referred_customer_id: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub survey: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_minor: Option<i64>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub element: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub traits: Option<Pairs<'a, Str<'a>>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub from_customer_id: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub purposes: Option<Pairs<'a, bool>>,
}

/// Text that borrows from the record unless it has escapes in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Str<'a>(pub Text<'a>);

/// A time as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawTime<'a> {
    /// Milliseconds since the Unix epoch.
    Millis(i64),
    /// RFC 3339, not yet read.
    Text(Str<'a>),
}

/// A map, in the order of the record.
#[derive(Debug, PartialEq, Eq)]
pub struct Pairs<'a, V>(pub Vec<(Str<'a>, V)>);

impl RawTime<'_> {
    /// The instant; `None` when the text is no RFC 3339 time, or the year is not within 1 to 9999.
    #[must_use]
    pub fn instant(&self) -> Option<Timestamp> {
        let at = match self {
            Self::Millis(ms) => Timestamp(*ms),
            Self::Text(text) => time::parse(&text.0)?,
        };
        time::writable(at).then_some(at)
    }
}

struct StrVisitor;

impl<'de> Visitor<'de> for StrVisitor {
    type Value = Str<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Str<'de>, E> {
        Ok(Str(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Str<'de>, E> {
        Ok(Str(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Str<'de>, E> {
        Ok(Str(Cow::Owned(text)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(StrVisitor)
    }
}

impl Serialize for Str<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

struct TimeVisitor;

impl<'de> Visitor<'de> for TimeVisitor {
    type Value = RawTime<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an RFC 3339 time or integer milliseconds")
    }

    fn visit_i64<E: Error>(self, ms: i64) -> Result<RawTime<'de>, E> {
        Ok(RawTime::Millis(ms))
    }

    fn visit_u64<E: Error>(self, ms: u64) -> Result<RawTime<'de>, E> {
        // Beyond i64 it is beyond every time that is accepted, too.
        Ok(RawTime::Millis(i64::try_from(ms).unwrap_or(i64::MAX)))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<RawTime<'de>, E> {
        Ok(RawTime::Text(Str(Cow::Borrowed(text))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RawTime<'de>, E> {
        Ok(RawTime::Text(Str(Cow::Owned(text.to_owned()))))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawTime<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeVisitor)
    }
}

impl Serialize for RawTime<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Millis(ms) => serializer.serialize_i64(*ms),
            Self::Text(text) => text.serialize(serializer),
        }
    }
}

struct PairsVisitor<'a, V>(PhantomData<(&'a (), V)>);

impl<'de: 'a, 'a, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<'a, V> {
    type Value = Pairs<'a, V>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Pairs<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

impl<V: Serialize> Serialize for Pairs<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
