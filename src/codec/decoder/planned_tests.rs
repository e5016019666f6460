//! What a plan reads is what `serde_avro_fast` reads, of whole and of damaged records.

use super::*;
use crate::codec::raw::{Pairs, RawTime, Str};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde::Serialize;
use serde_avro_fast::ser::SerializerConfig;
use std::borrow::Cow;

fn text() -> impl Strategy<Value = Str<'static>> {
    ".{0,12}".prop_map(|text| Str(Cow::Owned(text)))
}

fn texts() -> impl Strategy<Value = Option<Str<'static>>> {
    option::of(text())
}

fn number() -> impl Strategy<Value = Option<i64>> {
    option::of(any::<i32>().prop_map(i64::from))
}

fn items() -> impl Strategy<Value = Option<Vec<RawItem<'static>>>> {
    let item = (texts(), texts(), number(), number()).prop_map(
        |(sku, category, quantity, amount_minor)| RawItem { sku, category, quantity, amount_minor },
    );
    option::of(vec(item, 0..4))
}

fn purchase() -> impl Strategy<Value = RawPurchase<'static>> {
    (
        (text(), text(), -1_i64 << 60..1 << 60, items()),
        [texts(), texts(), texts(), texts()],
        number(),
    )
        .prop_map(
            |((event_id, kind, at, items), [customer_id, order_id, channel, plan], minor)| {
                RawPurchase {
                    event_id: Some(event_id),
                    kind: Some(kind),
                    occurred_at: Some(RawTime::Millis(at)),
                    items,
                    customer_id,
                    order_id,
                    channel,
                    plan,
                    amount_minor: minor,
                    ..RawPurchase::default()
                }
            },
        )
}

fn interaction() -> impl Strategy<Value = RawInteraction<'static>> {
    let traits = option::of(vec((text(), text()), 0..4).prop_map(Pairs));
    let purposes = option::of(vec((text(), any::<bool>()), 0..4).prop_map(Pairs));
    ((text(), text(), -1_i64 << 60..1 << 60), [texts(), texts()], number(), traits, purposes)
        .prop_map(|((event_id, kind, at), [customer_id, sku], score, traits, purposes)| {
            RawInteraction {
                event_id: Some(event_id),
                kind: Some(kind),
                occurred_at: Some(RawTime::Millis(at)),
                customer_id,
                sku,
                score,
                traits,
                purposes,
                ..RawInteraction::default()
            }
        })
}

/// The project's schema as others might write it.
fn written_as(own: &str, kind: u8) -> String {
    match kind {
        0 => own.to_owned(),
        1 => own.replace(r#"["null", "string"]"#, r#"["string", "null"]"#),
        2 => own.replace(r#"["null", "long"]"#, r#"["int", "null"]"#),
        _ => {
            let mut schema: serde_json::Value = serde_json::from_str(own).unwrap();
            schema["fields"].as_array_mut().unwrap().reverse();
            schema.to_string()
        }
    }
}

fn check<'de, T, Item>(datum: &'de [u8], text: &str, whole: bool) -> Result<(), TestCaseError>
where
    T: Deserialize<'de> + PartialEq + fmt::Debug,
    Item: Deserialize<'de>,
{
    let plan = Plan::of::<T, Item>(text).expect("a plan");
    let schema: FastSchema = text.parse().unwrap();
    let planned: Option<T> = plan.read(datum);
    prop_assert!(planned.is_some() || !whole, "a whole record is read by the plan");
    if let Some(planned) = planned {
        prop_assert_eq!(Ok(planned), read_datum::<T>(datum, &schema, None));
    }
    Ok(())
}

/// Reads a record as its type, and as another one that has few of its fields.
fn check_all<T, D>(
    record: &T,
    text: &str,
    damage: &[(prop::sample::Index, u8)],
    length: prop::sample::Index,
    read: D,
) -> Result<(), TestCaseError>
where
    T: Serialize,
    D: Fn(&[u8], &str, bool) -> Result<(), TestCaseError>,
{
    let schema: FastSchema = text.parse().unwrap();
    let mut config = SerializerConfig::new(&schema);
    let mut datum = serde_avro_fast::to_datum_vec(record, &mut config).unwrap();
    read(&datum, text, true)?;
    read(&datum[..length.index(datum.len())], text, false)?;
    for (place, bit) in damage {
        let place = place.index(datum.len());
        datum[place] ^= 1 << bit;
        read(&datum, text, false)?;
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_plan_reads_purchases_as_serde_avro_fast_does(
        record in purchase(),
        damage in vec((any::<prop::sample::Index>(), 0..8_u8), 0..12),
        length in any::<prop::sample::Index>(),
        kind in 0..4_u8,
    ) {
        let text = written_as(schema::PURCHASES.text, kind);
        check_all(&record, &text, &damage, length, |datum, text, whole| {
            check::<RawPurchase<'_>, RawItem<'_>>(datum, text, whole)?;
            check::<RawItem<'_>, RawItem<'_>>(datum, text, whole)
        })?;
    }

    #[test]
    fn a_plan_reads_interactions_as_serde_avro_fast_does(
        record in interaction(),
        damage in vec((any::<prop::sample::Index>(), 0..8_u8), 0..12),
        length in any::<prop::sample::Index>(),
        kind in 0..4_u8,
    ) {
        let text = written_as(schema::INTERACTIONS.text, kind);
        check_all(&record, &text, &damage, length, |datum, text, whole| {
            check::<RawInteraction<'_>, RawItem<'_>>(datum, text, whole)?;
            check::<RawItem<'_>, RawItem<'_>>(datum, text, whole)
        })?;
    }
}

#[test]
fn an_unusual_schema_has_no_plan() {
    for unusual in [
        r#"["null", "string", "bytes"]"#,
        r#"{"type": "array", "items": "null"}"#,
        r#"{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}"#,
        r#"["long", "int"]"#,
    ] {
        let text = schema::PURCHASES.text.replacen(r#"["null", "string"]"#, unusual, 1);
        assert!(text.parse::<FastSchema>().is_ok(), "{unusual}");
        assert!(Plan::of::<RawPurchase<'_>, RawItem<'_>>(&text).is_none(), "{unusual}");
    }
}

#[test]
fn a_record_in_a_union_and_a_schema_of_many_shapes_have_no_plan() {
    let interaction = schema::INTERACTIONS.text;
    for text in [format!(r#"["null", {interaction}]"#), format!(r#"[{interaction}, "null"]"#)] {
        assert!(text.parse::<FastSchema>().is_ok());
        assert!(Plan::of::<RawInteraction<'_>, RawItem<'_>>(&text).is_none());
    }
    let fields = |of: &str| {
        let field = |number| format!(r#"{{"name": "f{number}", "type": {of}}}"#);
        (0..100).map(field).collect::<Vec<_>>().join(",")
    };
    let record = |name: &str, of: &str| {
        let fields = fields(&format!("\"{of}\""));
        format!(r#"{{"type": "record", "name": "{name}", "fields": [{fields}]}}"#)
    };
    let named = |(number, of)| format!(r#"{{"name": "g{number}", "type": {of}}}"#);
    let all: Vec<String> = [record("A1", "int"), record("A2", "A1"), record("A3", "A2")]
        .into_iter()
        .enumerate()
        .map(named)
        .collect();
    let text =
        format!(r#"{{"type": "record", "name": "Purchase", "fields": [{}]}}"#, all.join(","));
    assert!(text.parse::<FastSchema>().is_ok());
    assert!(Plan::of::<RawPurchase<'_>, RawItem<'_>>(&text).is_none());
}

#[test]
fn a_length_of_more_bits_than_there_are_is_not_read() {
    let text =
        r#"{"type": "record", "name": "Item", "fields": [{"name": "sku", "type": "string"}]}"#;
    let mut datum = vec![0x8a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02];
    datum.extend(b"hello");
    check::<RawItem<'_>, RawItem<'_>>(&datum, text, false).unwrap();
    assert!(read_datum::<RawItem<'_>>(&datum, &text.parse().unwrap(), None).is_err());
}
