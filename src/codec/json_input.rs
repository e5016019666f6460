//! Events from JSON: one pass when all is well, a second and slow one to say what is not.
//!
//! serde names no field in its errors; a dead letter has to. Next: `validate`, which comes after.

use crate::codec::raw::{RawInteraction, RawPurchase, Str};
use crate::codec::validate::{self, shown};
use crate::domain::event::Event;
use crate::domain::money::ExchangeRates;
use crate::domain::refusal::{Reason, Refusal};
use serde::Deserialize;
use serde_json::Value;

/// A JSON object with the fields of `purchases`.
pub(super) fn purchase<'r>(bytes: &'r [u8], rates: &ExchangeRates) -> Result<Event<'r>, Refusal> {
    let raw: RawPurchase<'r> =
        serde_json::from_slice(bytes).map_err(|error| explain(bytes, PURCHASE_FIELDS, &error))?;
    validate::purchase(raw, rates)
}

/// A JSON object with the fields of `interactions`.
pub(super) fn interaction<'r>(
    bytes: &'r [u8],
    rates: &ExchangeRates,
) -> Result<Event<'r>, Refusal> {
    let raw: RawInteraction<'r> = serde_json::from_slice(bytes)
        .map_err(|error| explain(bytes, INTERACTION_FIELDS, &error))?;
    validate::interaction(raw, rates)
}

/// A JSON object of either topic; the kind decides, and what is no kind of purchase is an
/// interaction.
pub(super) fn either<'r>(bytes: &'r [u8], rates: &ExchangeRates) -> Result<Event<'r>, Refusal> {
    #[derive(Deserialize)]
    struct OnlyKind<'a> {
        #[serde(borrow)]
        kind: Option<Str<'a>>,
    }
    match serde_json::from_slice::<OnlyKind<'_>>(bytes) {
        Ok(OnlyKind { kind: Some(kind) }) if validate::is_purchase_kind(&kind.0) => {
            purchase(bytes, rates)
        }
        _ => interaction(bytes, rates),
    }
}

/// What a field of a record has to be.
#[derive(Clone, Copy)]
enum Expected {
    Text,
    Integer,
    Time,
    Items,
    MapOfText,
    MapOfBoolean,
}

type Field = (&'static str, Expected);

const PURCHASE_FIELDS: &[Field] = &[
    ("event_id", Expected::Text),
    ("kind", Expected::Text),
    ("customer_id", Expected::Text),
    ("anonymous_id", Expected::Text),
    ("account_id", Expected::Text),
    ("occurred_at", Expected::Time),
    ("source", Expected::Text),
    ("order_id", Expected::Text),
    ("amount_minor", Expected::Integer),
    ("currency", Expected::Text),
    ("channel", Expected::Text),
    ("coupon", Expected::Text),
    ("items", Expected::Items),
    ("refund_id", Expected::Text),
    ("subscription_id", Expected::Text),
    ("plan", Expected::Text),
    ("term_days", Expected::Integer),
];

const ITEM_FIELDS: &[Field] = &[
    ("sku", Expected::Text),
    ("category", Expected::Text),
    ("quantity", Expected::Integer),
    ("amount_minor", Expected::Integer),
];

const INTERACTION_FIELDS: &[Field] = &[
    ("event_id", Expected::Text),
    ("kind", Expected::Text),
    ("customer_id", Expected::Text),
    ("anonymous_id", Expected::Text),
    ("account_id", Expected::Text),
    ("occurred_at", Expected::Time),
    ("source", Expected::Text),
    ("sku", Expected::Text),
    ("category", Expected::Text),
    ("channel", Expected::Text),
    ("query", Expected::Text),
    ("quantity", Expected::Integer),
    ("campaign", Expected::Text),
    ("minutes", Expected::Integer),
    ("score", Expected::Integer),
    ("referred_customer_id", Expected::Text),
    ("survey", Expected::Text),
    ("reason", Expected::Text),
    ("cost", Expected::Text),
    ("amount_minor", Expected::Integer),
    ("currency", Expected::Text),
    ("element", Expected::Text),
    ("evidence", Expected::Text),
    ("outcome", Expected::Text),
    ("traits", Expected::MapOfText),
    ("from_customer_id", Expected::Text),
    ("purposes", Expected::MapOfBoolean),
];

/// Finds what serde stumbled over: a field of a wrong type, or no JSON at all.
fn explain(bytes: &[u8], fields: &[Field], error: &serde_json::Error) -> Refusal {
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => return undecodable(bytes, &error),
    };
    wrong_field(&value, fields, "").unwrap_or_else(|| undecodable(bytes, error))
}

fn undecodable(bytes: &[u8], error: &serde_json::Error) -> Refusal {
    let detail = match std::str::from_utf8(bytes) {
        Ok(_) => format!("not a JSON object of a record: {error}"),
        Err(utf8) => format!("not UTF-8 after {} bytes", utf8.valid_up_to()),
    };
    Refusal::new(Reason::Undecodable, detail)
}

fn wrong_field(record: &Value, fields: &[Field], path: &str) -> Option<Refusal> {
    let Value::Object(object) = record else {
        let place = if path.is_empty() { "the record" } else { path.trim_end_matches('.') };
        return Some(wrong_type(place, record, "an object"));
    };
    fields.iter().find_map(|(name, expected)| {
        let value = object.get(*name)?;
        if value.is_null() { None } else { wrong_value(&format!("{path}{name}"), value, *expected) }
    })
}

fn wrong_value(name: &str, value: &Value, expected: Expected) -> Option<Refusal> {
    match expected {
        Expected::Text if value.is_string() => None,
        Expected::Text => Some(wrong_type(name, value, "a string")),
        Expected::Integer if value.is_i64() => None,
        Expected::Integer if value.is_u64() && name.ends_with("amount_minor") => {
            let detail = format!("\"{name}\" = {value} is above every amount");
            Some(Refusal::new(Reason::AmountTooLarge, detail))
        }
        Expected::Integer => Some(wrong_type(name, value, "an integer")),
        Expected::Time if value.is_string() || value.is_i64() || value.is_u64() => None,
        Expected::Time => Some(wrong_type(name, value, "an RFC 3339 time or integer milliseconds")),
        Expected::Items => match value {
            Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
                wrong_field(item, ITEM_FIELDS, &format!("{name}[{index}]."))
            }),
            _ => Some(wrong_type(name, value, "an array")),
        },
        Expected::MapOfText => wrong_entry(name, value, Value::is_string, "a string"),
        Expected::MapOfBoolean => wrong_entry(name, value, Value::is_boolean, "true or false"),
    }
}

fn wrong_entry(
    name: &str,
    value: &Value,
    right: impl Fn(&Value) -> bool,
    expected: &str,
) -> Option<Refusal> {
    let Value::Object(entries) = value else { return Some(wrong_type(name, value, "an object")) };
    let (key, entry) = entries.iter().find(|(_, entry)| !right(entry))?;
    let detail =
        format!("\"{name}\": {} is {}, expected {expected}", shown(key), shown_value(entry));
    Some(Refusal::new(Reason::WrongType, detail))
}

fn wrong_type(name: &str, value: &Value, expected: &str) -> Refusal {
    let detail = format!("\"{name}\" is {}, expected {expected}", shown_value(value));
    Refusal::new(Reason::WrongType, detail)
}

fn shown_value(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("the string {}", shown(text)),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
