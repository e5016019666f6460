//! A profile as HTTP and `replay` write it, as far as people are told of it.
//!
//! Fields that are not told are not read. Next: `codec/profile.rs`, which writes it.

use crate::codec::time;
use crate::domain::time::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;
use std::marker::PhantomData;

/// A customer.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Profile {
    pub(super) customer_id: String,
    /// The id that was asked for, where it is another one.
    #[serde(default)]
    pub(super) moved_from: Option<String>,
    pub(super) seq: u64,
    pub(super) as_of: Time,
    pub(super) dimensions: Pairs<Dimension>,
    pub(super) scores: Option<Scores>,
    pub(super) facts: Facts,
    pub(super) next: Vec<Next>,
    pub(super) holdout: Holdout,
    pub(super) traits: Pairs<String>,
    pub(super) consent: Pairs<bool>,
}

/// One dimension.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Dimension {
    pub(super) value: String,
    pub(super) raw: String,
    pub(super) since: Option<Time>,
    pub(super) cause: Option<String>,
    pub(super) pending: Option<Pending>,
    #[serde(default)]
    pub(super) evidence: Vec<Evidence>,
}

/// A value that waits to be published.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Pending {
    pub(super) value: String,
    pub(super) until: Option<Time>,
}

/// A number behind a value.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Evidence {
    pub(super) name: String,
    pub(super) op: String,
    pub(super) threshold: Value,
    pub(super) after: Value,
}

/// RFM scores.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Scores {
    pub(super) r: u8,
    pub(super) f: u8,
    pub(super) m: u8,
}

/// Facts in short.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Facts {
    pub(super) orders: u64,
    pub(super) net_minor: i64,
    pub(super) financial_value_minor: i64,
    pub(super) last_order_at: Option<Time>,
    pub(super) expected_date_of_next_order: Option<Time>,
    pub(super) running_subscriptions: u32,
}

/// What time alone will do.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Next {
    pub(super) at: Time,
    pub(super) dimension: String,
    pub(super) value: String,
}

/// The hold-out bucket.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Holdout {
    pub(super) bucket: u8,
    pub(super) treated: bool,
}

/// An instant: text in JSON, milliseconds in Avro.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Time(pub(super) Timestamp);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Time;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a time as RFC 3339 or in milliseconds")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                time::parse(text).map(Time).ok_or_else(|| E::custom("no time in RFC 3339"))
            }

            fn visit_i64<E: Error>(self, ms: i64) -> Result<Time, E> {
                Ok(Time(Timestamp(ms)))
            }

            fn visit_u64<E: Error>(self, ms: u64) -> Result<Time, E> {
                i64::try_from(ms).map(|ms| Time(Timestamp(ms))).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// The entries of an object, in their order.
#[derive(Clone, Debug)]
pub(super) struct Pairs<V>(pub(super) Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = Pairs<V>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<V>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}
