//! The example of the contract, and apache-avro as the oracle of what Avro says.

use super::*;
use crate::codec::time;
use crate::domain::change::{Cause, CauseKind, Direction, Group, Holdout, Origin, Rule};
use crate::domain::rules::RulesIdentity;
use apache_avro::types::Value;
use proptest::prelude::*;

const NINE_F: ChangeId = ChangeId(0x9f2c_u128.rotate_right(16).to_be_bytes());

fn at(text: &str) -> Timestamp {
    time::parse(text).unwrap()
}

fn example() -> Change {
    let pair = |name: &'static str, value: &'static str| (Name::from(name), Name::from(value));
    Change {
        change_id: NINE_F,
        seq: 7,
        customer_id: "c-1".into(),
        subject: "customer",
        dimension: "rfm".into(),
        previous: Some("need_attention".into()),
        current: Some("at_risk".into()),
        direction: Direction::Down,
        entry: 1,
        occurred_at: at("2026-09-02T09:30:00.001Z"),
        detected_at: at("2026-09-02T09:30:00.041Z"),
        cause: Cause { kind: CauseKind::Timer, event_id: None, occurred_at: None, origin: None },
        rule: Rule {
            identity: RulesIdentity {
                set: "default".into(),
                revision: 3,
                hash: "3f9a".into(),
                fold_hash: "9c".into(),
            },
            id: "rf-10:at_risk".into(),
        },
        evidence: vec![Evidence {
            name: "recency_days",
            op: ">",
            threshold: Number::Integer(180),
            before: Number::Integer(180),
            after: Number::Decimal(180.000_000_011_574),
        }],
        scores: Some(Scores {
            r: 2,
            f: 3,
            m: 3,
            frequency: 3,
            monetary_minor: 17_970,
            cuts: "config",
        }),
        facts: Facts {
            orders: 3,
            net_minor: 17_970,
            average_order_minor: Some(5_990),
            first_order_at: Some(at("2026-01-01T00:00:00Z")),
            last_order_at: Some(at("2026-03-06T09:30:00Z")),
            average_gap_days: Some(31.5),
            expected_gap_days: Some(60.75),
        },
        dimensions: vec![
            pair("rfm", "at_risk"),
            pair("lifecycle", "lapsed"),
            pair("activity", "lapsed"),
            pair("value_mode", "lapsed"),
        ]
        .into(),
        dwell_ms: 7_776_000_000,
        next: Some(NextChange {
            at: at("2026-09-04T15:30:00.001Z"),
            dimension: "activity".into(),
            value: "churned".into(),
        }),
        group: Group { id: NINE_F, index: 1, size: 1 },
        holdout: Holdout { bucket: 42, treated: true },
        owner_role: Some("success".into()),
        previous_owner_role: None,
        consent: vec![("marketing:email".to_owned(), true)],
        summary: "no order for 180 days, usual gap 61: now at risk".to_owned(),
        correction_of: None,
        backfill: false,
        actionable: true,
        run_id: None,
    }
}

fn encoded(format: OutputFormat, compact: bool, change: &Change) -> Vec<u8> {
    let mut bytes = b"left over".to_vec();
    ChangeEncoder::new(format, compact).encode(change, &mut bytes);
    bytes
}

fn avro(bytes: &[u8]) -> Vec<(String, Value)> {
    let schema = apache_avro::Schema::parse_str(SEGMENT_CHANGES.text).unwrap();
    let mut rest = bytes;
    let value = apache_avro::reader::datum::GenericDatumReader::builder(&schema)
        .build()
        .unwrap()
        .read_value(&mut rest)
        .unwrap();
    assert!(rest.is_empty(), "apache-avro reads to the end");
    match value {
        Value::Record(fields) => fields,
        other => panic!("{other:?} is no record"),
    }
}

fn field<'v>(fields: &'v [(String, Value)], name: &str) -> &'v Value {
    let value = &fields.iter().find(|(known, _)| known == name).unwrap().1;
    match value {
        Value::Union(_, inner) => inner,
        other => other,
    }
}

#[test]
fn json_has_the_fields_of_the_contract_in_their_order() {
    let expected = concat!(
        r#"{"change_id":"9f2c0000000000000000000000000000","seq":7,"customer_id":"c-1","#,
        r#""subject":"customer","#,
        r#""dimension":"rfm","#,
        r#""previous":"need_attention","current":"at_risk","direction":"down","entry":1,"#,
        r#""occurred_at":"2026-09-02T09:30:00.001Z","detected_at":"2026-09-02T09:30:00.041Z","#,
        r#""cause":{"kind":"timer","event_id":null,"occurred_at":null,"topic":null,"#,
        r#""partition":null,"offset":null},"#,
        r#""rule":{"set":"default","revision":3,"hash":"3f9a","id":"rf-10:at_risk"},"#,
        r#""evidence":[{"name":"recency_days","op":">","threshold":180,"before":180,"#,
        r#""after":180.000000012}],"scores":{"r":2,"f":3,"m":3,"cuts":"config"},"#,
        r#""facts":{"orders":3,"net_minor":17970,"last_order_at":"2026-03-06T09:30:00.000Z","#,
        r#""average_gap_days":31.5,"expected_gap_days":60.75},"#,
        r#""dimensions":{"rfm":"at_risk","lifecycle":"lapsed","activity":"lapsed","#,
        r#""value_mode":"lapsed"},"#,
        r#""dwell_ms":7776000000,"next":{"at":"2026-09-04T15:30:00.001Z","#,
        r#""dimension":"activity","value":"churned"},"#,
        r#""group":{"id":"9f2c0000000000000000000000000000","index":1,"size":1},"#,
        r#""holdout":{"bucket":42,"treated":true},"owner_role":"success","#,
        r#""previous_owner_role":null,"#,
        r#""consent":{"marketing:email":true},"#,
        r#""summary":"no order for 180 days, usual gap 61: now at risk","#,
        r#""correction_of":null,"backfill":false,"actionable":true,"run_id":null}"#,
    );
    let json = encoded(OutputFormat::Json, false, &example());
    assert_eq!(String::from_utf8(json).unwrap(), expected);
}

#[test]
fn compact_json_leaves_five_fields_out_and_keeps_the_rest() {
    let json: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&encoded(OutputFormat::Json, true, &example())).unwrap();
    let full: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&encoded(OutputFormat::Json, false, &example())).unwrap();
    for name in ["evidence", "facts", "dimensions", "summary", "consent"] {
        assert!(!json.contains_key(name), "{name}");
        assert!(full.contains_key(name), "{name}");
    }
    assert_eq!(json.len() + 5, full.len());
}

#[test]
fn avro_says_the_same_by_apache_avro() {
    let mut change = example();
    change.cause = Cause {
        kind: CauseKind::LateEvent,
        event_id: Some("e-1".to_owned()),
        occurred_at: Some(Timestamp(5)),
        origin: Some(Origin { topic: "purchases".into(), partition: 3, offset: 1 << 40 }),
    };
    let bytes = encoded(OutputFormat::AvroConfluent { schema_id: 258 }, false, &change);
    assert_eq!(&bytes[..5], &[0, 0, 0, 1, 2]);
    let fields = avro(&bytes[5..]);
    assert_eq!(field(&fields, "seq"), &Value::Long(7));
    assert_eq!(field(&fields, "current"), &Value::String("at_risk".to_owned()));
    assert_eq!(
        field(&fields, "occurred_at"),
        &Value::TimestampMillis(at("2026-09-02T09:30:00.001Z").0)
    );
    let Value::Record(cause) = field(&fields, "cause") else { panic!("a record") };
    assert_eq!(field(cause, "kind"), &Value::String("late_event".to_owned()));
    assert_eq!(field(cause, "occurred_at"), &Value::TimestampMillis(5));
    assert_eq!(field(cause, "partition"), &Value::Int(3));
    assert_eq!(field(cause, "offset"), &Value::Long(1 << 40));
    let Value::Array(evidence) = field(&fields, "evidence") else { panic!("an array") };
    let Value::Record(evidence) = &evidence[0] else { panic!("a record") };
    assert_eq!(field(evidence, "threshold"), &Value::Long(180));
    assert_eq!(field(evidence, "after"), &Value::Double(180.000_000_011_574));
    let Value::Map(dimensions) = field(&fields, "dimensions") else { panic!("a map") };
    assert_eq!(dimensions["lifecycle"], Value::String("lapsed".to_owned()));
    let Value::Map(consent) = field(&fields, "consent") else { panic!("a map") };
    assert_eq!(consent["marketing:email"], Value::Boolean(true));
    assert_eq!(field(&fields, "run_id"), &Value::Null);
    assert_eq!(field(&fields, "actionable"), &Value::Boolean(true));
}

#[test]
fn compact_avro_has_null_for_what_is_left_out() {
    let bytes = encoded(OutputFormat::AvroSingleObject, true, &example());
    assert_eq!(&bytes[..2], &[0xC3, 0x01]);
    assert_eq!(bytes[2..10], SEGMENT_CHANGES.fingerprint().to_le_bytes());
    let fields = avro(&bytes[10..]);
    for name in ["evidence", "facts", "dimensions", "summary", "consent"] {
        assert_eq!(field(&fields, name), &Value::Null, "{name}");
    }
    assert_eq!(field(&fields, "owner_role"), &Value::String("success".to_owned()));
    assert_eq!(field(&fields, "dwell_ms"), &Value::Long(7_776_000_000));
}

#[test]
fn a_closing_change_without_scores_is_written_in_every_format() {
    let mut change = example();
    change.previous = None;
    change.current = None;
    change.scores = None;
    change.next = None;
    change.evidence[0].before = Number::None;
    change.evidence[0].after = Number::Decimal(f64::NAN);
    let json: serde_json::Value =
        serde_json::from_slice(&encoded(OutputFormat::Json, false, &change)).unwrap();
    assert_eq!(json["current"], serde_json::Value::Null);
    assert_eq!(json["scores"], serde_json::Value::Null);
    assert_eq!(json["evidence"][0]["after"], serde_json::Value::Null);
    let bytes = encoded(OutputFormat::AvroSingleObject, false, &change);
    assert_eq!(field(&avro(&bytes[10..]), "scores"), &Value::Null);
    let names: Vec<_> = headers(&change).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["dimension", "cause", "actionable"]);
}

#[test]
fn headers_allow_filtering_without_decoding() {
    let headers: Vec<_> = headers(&example())
        .into_iter()
        .map(|(name, value)| format!("{name}={}", String::from_utf8(value).unwrap()))
        .collect();
    assert_eq!(
        headers,
        [
            "dimension=rfm",
            "previous=need_attention",
            "current=at_risk",
            "cause=timer",
            "actionable=true"
        ]
    );
}

/// Whether JSON and Avro say the same, field by field: a time as text is one in ms, what one leaves
/// out is null in the other.
pub(in crate::codec) fn assert_same(json: &serde_json::Value, avro: &Value) {
    use serde_json::Value as Json;
    match (json, avro) {
        (_, Value::Union(_, inner)) => assert_same(json, inner),
        (Json::Object(members), Value::Record(fields)) => {
            let known = |name: &String| fields.iter().any(|(field, _)| field == name);
            assert!(members.keys().all(known), "{members:?} and {fields:?}");
            let names = fields.iter().map(|(name, value)| (members.get(name), value));
            names.for_each(|(json, avro)| assert_same(json.unwrap_or(&Json::Null), avro));
        }
        (Json::Object(members), Value::Map(entries)) => {
            assert_eq!(members.len(), entries.len(), "{members:?}");
            members.iter().for_each(|(name, json)| assert_same(json, &entries[name]));
        }
        (Json::Array(items), Value::Array(values)) => {
            assert_eq!(items.len(), values.len(), "{items:?}");
            items.iter().zip(values).for_each(|(json, avro)| assert_same(json, avro));
        }
        (Json::String(text), Value::TimestampMillis(at)) => {
            assert_eq!(text.as_bytes(), time::format(Timestamp(*at)));
        }
        (Json::String(text), Value::String(avro)) => assert_eq!(text, avro),
        (Json::Bool(json), Value::Boolean(avro)) => assert_eq!(json, avro),
        (Json::Number(number), Value::Int(avro)) => {
            assert_eq!(number.as_i64(), Some((*avro).into()))
        }
        (Json::Number(number), Value::Long(avro)) => assert_eq!(number.as_i64(), Some(*avro)),
        (Json::Number(number), Value::Double(avro)) => {
            let difference = (number.as_f64().unwrap() - avro).abs();
            assert!(difference <= 5e-10 + avro.abs() * f64::EPSILON, "{number} and {avro}");
        }
        (Json::Null, Value::Null) => {}
        (Json::Null, Value::Double(avro)) => assert!(!avro.is_finite(), "{avro}"),
        other => panic!("not the same: {other:?}"),
    }
}

proptest! {
    #[test]
    fn extreme_values_are_written_in_every_format(
        integers in any::<[i64; 3]>(),
        decimal in any::<f64>(),
        text in "\\PC{0,30}|[\u{0}-\u{1f}\"\\\\]{0,30}",
        entry in any::<u32>(),
        compact in any::<bool>(),
        pairs in prop::collection::vec(("[a-z]{0,3}", any::<bool>()), 0..5),
    ) {
        let mut change = example();
        change.customer_id.clone_from(&text);
        change.summary.clone_from(&text);
        change.entry = entry;
        change.rule.identity.revision = entry;
        change.group.size = entry;
        change.detected_at = Timestamp(integers[0]);
        change.facts.net_minor = integers[1];
        change.facts.average_gap_days = Some(decimal);
        change.evidence[0].before = Number::Integer(integers[2]);
        change.evidence[0].after = Number::Decimal(decimal);
        change.consent = pairs;
        let json: serde_json::Value =
            serde_json::from_slice(&encoded(OutputFormat::Json, compact, &change)).unwrap();
        prop_assert_eq!(json["customer_id"].as_str(), Some(text.as_str()));
        let bytes = encoded(OutputFormat::AvroSingleObject, compact, &change);
        let fields = avro(&bytes[10..]);
        prop_assert_eq!(field(&fields, "detected_at"), &Value::TimestampMillis(integers[0]));
        prop_assert_eq!(field(&fields, "customer_id"), &Value::String(text));
        prop_assert_eq!(field(&fields, "entry"), &Value::Long(i64::from(entry)));
        assert_same(&json, &Value::Record(fields));
    }
}
