//! Both formats, both framings, schemas of other versions, and bytes that are no record at all.

use super::*;
use crate::codec::encode::OutputFormat;
use crate::codec::event_writer::EventEncoder;
use crate::codec::schema::{INTERACTIONS, PURCHASES};
use crate::domain::event::{Body, Interaction, Item, Purchase, Term, VisitKind};
use crate::domain::money::{Currency, Money};
use crate::domain::time::Timestamp;
use apache_avro::types::Value;
use proptest::prelude::*;
use std::borrow::Cow;
use std::sync::LazyLock;

const CONFLUENT: Format = Format::Avro(Framing::Confluent);
const SINGLE: Format = Format::Avro(Framing::SingleObject);
static ORDER: &str = r#"{"event_id":"e-1","kind":"order_completed","customer_id":"c-1",
 "occurred_at":"2026-03-01T09:30:00Z","order_id":"o-1","amount_minor":5990,"currency":"EUR",
 "channel":"web","coupon":"SPR\u0049NG",
 "items":[{"sku":"s-1","category":"shoes","quantity":1,"amount_minor":5990}]}"#;

fn euro() -> Currency {
    Currency::parse("EUR").unwrap()
}

fn rates() -> ExchangeRates {
    ExchangeRates::new(euro(), Vec::new())
}

fn order() -> Event<'static> {
    let text = |text| Some(Cow::Borrowed(text));
    Event {
        event_id: "e-1".into(),
        customer_id: text("c-1"),
        anonymous_id: None,
        account_id: None,
        occurred_at: Timestamp(1_772_357_400_000),
        source: None,
        body: Body::Purchase(Purchase::OrderCompleted {
            order_id: "o-1".into(),
            amount: Money { amount_minor: 5990, currency: euro() },
            channel: text("web"),
            coupon: text("SPRING"),
            items: vec![Item {
                sku: text("s-1"),
                category: text("shoes"),
                quantity: Some(1),
                amount_minor: Some(5990),
            }],
        }),
    }
}

fn encoded(event: &Event<'_>, format: OutputFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    EventEncoder::new(format, format).encode(event, &mut bytes);
    bytes
}

fn refusal(result: Result<Event<'_>, DecodeError>) -> (Reason, String) {
    match result {
        Err(DecodeError::Refused(refusal)) => (refusal.reason, refusal.detail),
        other => panic!("{other:?} is no refusal"),
    }
}

/// The bytes of a record that apache-avro writes with another schema than ours.
fn written(schema: &str, fields: Vec<(&str, Value)>) -> Vec<u8> {
    let schema = apache_avro::Schema::parse_str(schema).unwrap();
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let datum = apache_avro::writer::datum::GenericDatumWriter::builder(&schema)
        .build()
        .unwrap()
        .write_value_to_vec(Value::Record(fields))
        .unwrap();
    [&[0, 0, 0, 0, 9], datum.as_slice()].concat()
}

/// Whether the text lies within the record.
fn borrowed(text: &str, record: &[u8]) -> bool {
    record.as_ptr_range().contains(&text.as_ptr())
}

#[test]
fn json_is_read_and_borrowed_where_nothing_is_escaped() {
    let decoder = Decoder::new(RecordType::Purchases, Format::Json);
    let event = decoder.decode(ORDER.as_bytes(), &rates()).unwrap();
    assert_eq!(event, order());
    let borrowed = |text: Option<&str>| borrowed(text.unwrap(), ORDER.as_bytes());
    assert!(borrowed(Some(&event.event_id)));
    assert!(borrowed(event.customer_id.as_deref()));
    let Body::Purchase(Purchase::OrderCompleted { channel, coupon, items, .. }) = &event.body
    else {
        panic!("an order")
    };
    assert!(borrowed(channel.as_deref()));
    assert!(!borrowed(coupon.as_deref()), "an escape has to be undone");
    assert!(borrowed(items[0].sku.as_deref()));
}

#[test]
fn avro_is_read_in_both_framings_and_borrowed() {
    let mut decoder = Decoder::new(RecordType::Purchases, CONFLUENT);
    decoder.add_schema(SchemaId::Registry(9), PURCHASES.text).unwrap();
    let bytes = encoded(&order(), OutputFormat::AvroConfluent { schema_id: 9 });
    let event = decoder.decode(&bytes, &rates()).unwrap();
    assert_eq!(event, order());
    assert!(borrowed(&event.event_id, &bytes));
    let decoder = Decoder::new(RecordType::Purchases, SINGLE);
    let bytes = encoded(&order(), OutputFormat::AvroSingleObject);
    assert_eq!(decoder.decode(&bytes, &rates()).unwrap(), order());
}

#[test]
fn avro_is_checked_like_json() {
    let decoder = Decoder::new(RecordType::Purchases, SINGLE);
    let renewed = |days| {
        let subscription_id = "s-1".into();
        let term_days = Some(days);
        let term = Term { subscription_id, order_id: None, plan: None, amount: None, term_days };
        let body = Body::Purchase(Purchase::SubscriptionRenewed(term));
        encoded(&Event { body, ..order() }, OutputFormat::AvroSingleObject)
    };
    assert!(decoder.decode(&renewed(36_525), &rates()).is_ok());
    let expected = "\"term_days\" = 36526 is not 1 to 36525";
    let bytes = renewed(36_526);
    let refused = refusal(decoder.decode(&bytes, &rates()));
    assert_eq!(refused, (Reason::InvalidValue, expected.to_owned()));
}

#[test]
fn a_line_of_either_record_type_is_told_apart_by_its_kind() {
    assert_eq!(decode_json_line(ORDER.as_bytes(), &rates()).unwrap(), order());
    let view = br#"{"event_id":"e","kind":"product_viewed","anonymous_id":"v","occurred_at":7}"#;
    let event = decode_json_line(view, &rates()).unwrap();
    assert_eq!(event.kind(), "product_viewed");
    let unread = decode_json_line(b"{\"kind\":7}", &rates()).unwrap_err();
    assert_eq!(unread.to_string(), "wrong_type: \"kind\" is 7, expected a string");
}

#[test]
fn a_schema_of_the_registry_is_asked_for_once_and_then_known() {
    let mut decoder = Decoder::new(RecordType::Purchases, CONFLUENT);
    let bytes = encoded(&order(), OutputFormat::AvroConfluent { schema_id: 9 });
    assert_eq!(decoder.decode(&bytes, &rates()), Err(DecodeError::SchemaNeeded(9)));
    decoder.mark_unknown(SchemaId::Registry(9), "the registry has no schema of this id");
    assert_eq!(
        refusal(decoder.decode(&bytes, &rates())),
        (Reason::UnknownSchema, "schema id 9: the registry has no schema of this id".to_owned())
    );
    assert!(decoder.add_schema(SchemaId::Registry(9), INTERACTIONS.text).is_err());
    assert_eq!(
        refusal(decoder.decode(&bytes, &rates())),
        (
            Reason::IncompatibleSchema,
            "schema id 9: the writer's record is named \"Interaction\", not \"Purchase\""
                .to_owned()
        )
    );
    decoder.add_schema(SchemaId::Registry(9), PURCHASES.text).unwrap();
    assert_eq!(decoder.decode(&bytes, &rates()).unwrap(), order());
}

#[test]
fn unknown_ids_are_remembered_up_to_a_bound() {
    let mut decoder = Decoder::new(RecordType::Purchases, CONFLUENT);
    for id in 0..5_000 {
        decoder.mark_unknown(SchemaId::Registry(id), "gone");
    }
    assert!(decoder.unknown.len() <= MAX_UNKNOWN_SCHEMAS);
}

#[test]
fn a_fingerprint_that_nobody_gave_is_refused_and_one_that_was_given_is_read() {
    let older = r#"{"type":"record","name":"Interaction","fields":[
        {"name":"kind","type":"string"},{"name":"event_id","type":"string"},
        {"name":"occurred_at","type":"long"},{"name":"customer_id","type":"string"}]}"#;
    let mut decoder = Decoder::new(RecordType::Interactions, SINGLE);
    let schema: FastSchema = older.parse().unwrap();
    let id = SchemaId::Fingerprint(schema::fingerprint(&schema));
    let mut bytes = vec![0xC3, 0x01];
    bytes.extend_from_slice(schema.rabin_fingerprint());
    bytes.extend_from_slice(b"\x16page_viewed\x02e\x0e\x02c");
    let (reason, detail) = refusal(decoder.decode(&bytes, &rates()));
    assert_eq!(reason, Reason::UnknownSchema);
    assert_eq!(detail, format!("schema {id} is none of the known ones"));
    assert_eq!(decoder.add_schema_by_fingerprint(older), Ok(id));
    let event = decoder.decode(&bytes, &rates()).unwrap();
    assert_eq!(event.occurred_at, Timestamp(7));
    assert_eq!(event.customer_id.as_deref(), Some("c"));
    let Body::Interaction(Interaction::Visit { kind, .. }) = event.body else { panic!("a visit") };
    assert_eq!(kind, VisitKind::PageViewed);
}

#[test]
fn older_newer_and_reordered_schemas_of_writers_are_read() {
    let older = r#"{"type":"record","name":"Purchase","namespace":"shop","fields":[
        {"name":"currency","type":"string"},
        {"name":"amount_minor","type":"int"},
        {"name":"order_id","type":["string","null"]},
        {"name":"occurred_at","type":{"type":"long","logicalType":"timestamp-millis"}},
        {"name":"customer_id","type":"string"},
        {"name":"kind","type":"string"},
        {"name":"event_id","type":["null","string"]}]}"#;
    let some = |text: &str| Value::Union(1, Box::new(Value::String(text.to_owned())));
    let text = |text: &str| Value::String(text.to_owned());
    let record = |event_id| {
        vec![
            ("currency", text("EUR")),
            ("amount_minor", Value::Int(5990)),
            ("order_id", Value::Union(0, Box::new(text("o-1")))),
            ("occurred_at", Value::TimestampMillis(1_772_357_400_000)),
            ("customer_id", text("c-1")),
            ("kind", text("order_completed")),
            ("event_id", event_id),
        ]
    };
    let mut decoder = Decoder::new(RecordType::Purchases, CONFLUENT);
    decoder.add_schema(SchemaId::Registry(9), older).unwrap();
    let bytes = written(older, record(some("e-1")));
    let event = decoder.decode(&bytes, &rates()).unwrap();
    assert_eq!((&*event.event_id, event.occurred_at), ("e-1", Timestamp(1_772_357_400_000)));
    let Body::Purchase(Purchase::OrderCompleted { order_id, amount, items, .. }) = &event.body
    else {
        panic!("an order")
    };
    assert_eq!((&**order_id, amount.amount_minor, items.len()), ("o-1", 5990, 0));
    let bytes = written(older, record(Value::Union(0, Box::new(Value::Null))));
    assert_eq!(
        refusal(decoder.decode(&bytes, &rates())),
        (Reason::MissingField, "\"event_id\" is missing".to_owned())
    );

    let newer = PURCHASES.text.replacen(
        "\"fields\": [",
        r#""fields": [
        {"name":"loyalty","type":{"type":"record","name":"Loyalty","fields":[
            {"name":"points","type":{"type":"array","items":"double"}},
            {"name":"tier","type":{"type":"enum","name":"Tier","symbols":["A","B"]}}]}},
        {"name":"tags","type":{"type":"map","values":["null","bytes"]}},"#,
        1,
    );
    decoder.add_schema(SchemaId::Registry(9), &newer).unwrap();
    let own = encoded(&order(), OutputFormat::AvroConfluent { schema_id: 9 });
    let loyalty = b"\x04\0\0\0\0\0\0\x45\x40\0\0\0\0\0\0\x45\x40\0\x02";
    let tags = b"\x02\x02t\x02\x04\xff\xff\0";
    let bytes = [&own[..5], loyalty, tags, &own[5..]].concat();
    assert_eq!(decoder.decode(&bytes, &rates()).unwrap(), order());
}

#[test]
fn bytes_that_are_no_record_are_undecodable() {
    let json = Decoder::new(RecordType::Interactions, Format::Json);
    let mut confluent = Decoder::new(RecordType::Interactions, CONFLUENT);
    confluent.add_schema(SchemaId::Registry(9), INTERACTIONS.text).unwrap();
    let single = Decoder::new(RecordType::Interactions, SINGLE);
    let utf8 = b"{\"event_id\":\"\xff\"}";
    let avro_utf8 = b"\0\0\0\0\x09\x02\xff\x02k";
    let twice = br#"{"event_id":"a","event_id":"b"}"#;
    let cases: [(&Decoder, &[u8], &str); 11] = [
        (&json, b"", "not a JSON object of a record: EOF while parsing a value at line 1 column 0"),
        (&json, utf8, "not UTF-8 after 13 bytes"),
        (&json, b"{} {}", "not a JSON object of a record: trailing characters at line 1 column 4"),
        (
            &json,
            twice,
            "not a JSON object of a record: duplicate field `event_id` at line 1 column 26",
        ),
        (&confluent, b"", "no Confluent header (a zero byte and four bytes of schema id)"),
        (&confluent, b"\0\0\0\0", "no Confluent header (a zero byte and four bytes of schema id)"),
        (
            &confluent,
            b"{\"event_id\":1}",
            "no Confluent header (a zero byte and four bytes of schema id)",
        ),
        (
            &single,
            b"\xC3\x01abcdefg",
            "no single-object header (C3 01 and eight bytes of fingerprint)",
        ),
        (
            &single,
            b"\0\0\0\0\x09",
            "no single-object header (C3 01 and eight bytes of fingerprint)",
        ),
        (&confluent, avro_utf8, "not Avro of its schema: "),
        (&confluent, b"\0\0\0\0\x09\x01", "not Avro of its schema: "),
    ];
    for (decoder, bytes, expected) in cases {
        let (reason, detail) = refusal(decoder.decode(bytes, &rates()));
        assert_eq!(reason, Reason::Undecodable, "{detail}");
        assert!(detail.starts_with(expected), "{detail}");
    }
    let mut longer = encoded(&order(), OutputFormat::AvroSingleObject);
    longer.push(0);
    let decoder = Decoder::new(RecordType::Purchases, SINGLE);
    let (_, detail) = refusal(decoder.decode(&longer, &rates()));
    assert_eq!(detail, "bytes after the end of the Avro record");
}

#[test]
fn a_string_of_a_megabyte_is_read_and_a_refusal_of_it_stays_short() {
    let decoder = Decoder::new(RecordType::Interactions, Format::Json);
    let long = "ä".repeat(1 << 19);
    let record = |name: &str| {
        format!(
            r#"{{"event_id":"e","kind":"page_viewed","customer_id":"c",
                "occurred_at":0,"{name}":"{long}"}}"#
        )
    };
    let fine = record("channel");
    assert!(decoder.decode(fine.as_bytes(), &rates()).is_ok());
    for name in ["account_id", "score"] {
        let bad = record(name);
        let (_, detail) = refusal(decoder.decode(bad.as_bytes(), &rates()));
        assert!(detail.len() < 300, "{detail}");
    }
}

#[test]
fn a_block_that_claims_more_elements_than_bytes_is_refused_at_once() {
    let schema = r#"{"type":"record","name":"Interaction","fields":[
        {"name":"nulls","type":{"type":"array","items":"null"}},
        {"name":"event_id","type":"string"},{"name":"kind","type":"string"},
        {"name":"occurred_at","type":"long"}]}"#;
    let mut decoder = Decoder::new(RecordType::Interactions, CONFLUENT);
    decoder.add_schema(SchemaId::Registry(9), schema).unwrap();
    let bytes = b"\0\0\0\0\x09\xfe\xff\xff\xff\xff\xff\xff\xff\x7f\0\x02e\x02k\0";
    let (reason, detail) = refusal(decoder.decode(bytes, &rates()));
    assert_eq!(reason, Reason::Undecodable, "{detail}");
}

#[test]
fn a_record_cut_at_any_byte_is_refused_and_never_panics() {
    let whole = order();
    let mut confluent = Decoder::new(RecordType::Purchases, CONFLUENT);
    confluent.add_schema(SchemaId::Registry(9), PURCHASES.text).unwrap();
    let cases = [
        (Decoder::new(RecordType::Purchases, Format::Json), OutputFormat::Json),
        (confluent, OutputFormat::AvroConfluent { schema_id: 9 }),
        (Decoder::new(RecordType::Purchases, SINGLE), OutputFormat::AvroSingleObject),
    ];
    for (decoder, format) in cases {
        let bytes = encoded(&whole, format);
        for end in 0..bytes.len() {
            let (reason, detail) = refusal(decoder.decode(&bytes[..end], &rates()));
            assert_eq!(reason, Reason::Undecodable, "{format:?} cut at {end}: {detail}");
        }
        assert_eq!(decoder.decode(&bytes, &rates()).unwrap(), whole);
    }
}

fn read_or_refused(decoder: &Decoder, bytes: &[u8]) {
    if let Err(DecodeError::SchemaNeeded(id)) = decoder.decode(bytes, &rates()) {
        panic!("schema {id} is known");
    }
}

static SINGLE_DECODER: LazyLock<Decoder> =
    LazyLock::new(|| Decoder::new(RecordType::Purchases, SINGLE));

proptest! {
    #[test]
    fn damaged_records_never_panic(
        position in 0..200_usize,
        byte in any::<u8>(),
        tail in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let single = (&*SINGLE_DECODER, OutputFormat::AvroSingleObject);
        let json = Decoder::new(RecordType::Purchases, Format::Json);
        for (decoder, format) in [single, (&json, OutputFormat::Json)] {
            let mut bytes = encoded(&order(), format);
            let header_bytes = if format == OutputFormat::Json { 0 } else { 10 };
            let position = header_bytes + position % (bytes.len() - header_bytes);
            bytes[position] = byte;
            read_or_refused(decoder, &bytes);
            bytes.truncate(position);
            bytes.extend_from_slice(&tail);
            read_or_refused(decoder, &bytes);
        }
    }
}
