//! The shape of a profile, and apache-avro as the oracle of what Avro says.

use super::*;
use crate::codec::change::tests::assert_same;
use crate::domain::change::{Evidence, Facts, Holdout, NextChange, Number};
use crate::domain::facts::perceived_value::PerceivedValue;
use crate::domain::publish::profile::{MoreFacts, ProfileDimension, SurveyFacts};
use crate::domain::subject::Subject;
use apache_avro::types::Value;

fn example() -> Profile {
    let dimension = |name: &'static str, since| ProfileDimension {
        name: name.into(),
        value: "at_risk".into(),
        raw: "lost".into(),
        since,
        cause: since.map(|_| CauseKind::Timer),
        pending: since.map(|_| ("lost".into(), Some(Timestamp(3_000)))),
        evidence: vec![Evidence {
            name: "nps_reason",
            op: "=",
            threshold: Number::None,
            before: Number::Integer(1),
            after: Number::Text("slow".into()),
        }],
    };
    Profile {
        customer_id: "c \"1\"".to_owned(),
        subject: Subject::Customer,
        seq: 7,
        as_of: Timestamp(1_000),
        dimensions: vec![dimension("rfm", Some(Timestamp(-1))), dimension("lifecycle", None)],
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
            last_order_at: Some(Timestamp(0)),
            expected_gap_days: Some(60.75),
            ..Facts::default()
        },
        more: MoreFacts {
            recency_days: Some(1_000.0 / 86_400_000.0),
            perceived_value: Some(PerceivedValue {
                benefit: 8.0,
                cost: 4.0,
                ratio: 2.0,
                difference: 4.0,
                against_alternative: None,
            }),
            preferred_channel: Some("web".to_owned()),
            ..MoreFacts::default()
        },
        surveys: vec![(
            "nps",
            SurveyFacts {
                last: Some(9),
                at: Timestamp(5),
                mean: Some(8.5),
                count: 2,
                reasons: vec!["service".to_owned()],
            },
        )],
        next: vec![NextChange {
            at: Timestamp(2_000),
            dimension: "rfm".into(),
            value: "lost".into(),
        }],
        holdout: Holdout { bucket: 42, treated: true },
        traits: vec![("city".to_owned(), "Łódź".to_owned())],
        consent: vec![("marketing:email".to_owned(), false)],
    }
}

fn encoded(format: OutputFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    ProfileEncoder::new(format).encode(&example(), &mut bytes);
    bytes
}

#[test]
fn json_has_the_fields_of_the_contract() {
    let expected = concat!(
        r#"{"customer_id":"c \"1\"","subject":"customer","seq":7,"#,
        r#""as_of":"1970-01-01T00:00:01.000Z","#,
        r#""dimensions":{"rfm":{"value":"at_risk","raw":"lost","#,
        r#""since":"1969-12-31T23:59:59.999Z","cause":"timer","#,
        r#""pending":{"value":"lost","until":"1970-01-01T00:00:03.000Z"}},"#,
        r#""lifecycle":{"value":"at_risk","raw":"lost","#,
        r#""since":null,"cause":null,"pending":null}},"#,
        r#""scores":{"r":2,"f":3,"m":3,"frequency":3,"monetary_minor":17970,"cuts":"config"},"#,
        r#""facts":{"orders":3,"net_minor":17970,"average_order_minor":5990,"#,
        r#""first_order_at":null,"last_order_at":"1970-01-01T00:00:00.000Z","#,
        r#""recency_days":0.000011574,"average_gap_days":null,"expected_gap_days":60.75,"#,
        r#""expected_date_of_next_order":null,"running_subscriptions":0,"net_365d_minor":0,"#,
        r#""annualised_net_minor":0,"marketing_cost_minor":0,"service_cost_minor":0,"#,
        r#""acquisition_cost_minor":0,"financial_value_minor":0,"#,
        r#""touches_before_first_order":0,"net_revenue_retention":null,"#,
        r#""perceived_value":{"benefit":8,"cost":4,"ratio":2,"difference":4,"#,
        r#""against_alternative":null},"attention_gap_days":null,"engagement_score":0,"#,
        r#""interactions":0,"discount_dependence":null,"preferred_category":null,"#,
        r#""preferred_channel":"web","meddic_sum":null,"accepted_referrals":0,"#,
        r#""referred_revenue_minor":0,"contacts":null},"#,
        r#""surveys":{"nps":{"last":9,"at":"1970-01-01T00:00:00.005Z","mean":8.5,"count":2,"#,
        r#""reasons":["service"]}},"#,
        r#""next":[{"at":"1970-01-01T00:00:02.000Z","dimension":"rfm","value":"lost"}],"#,
        r#""holdout":{"bucket":42,"treated":true},"traits":{"city":"Łódź"},"#,
        r#""consent":{"marketing:email":false}}"#,
    );
    assert_eq!(String::from_utf8(encoded(OutputFormat::Json)).unwrap(), expected);
}

#[test]
fn people_are_shown_the_evidence() {
    let mut bytes = Vec::new();
    ProfileEncoder::with_evidence().encode(&example(), &mut bytes);
    let profile: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let evidence = &profile["dimensions"]["rfm"]["evidence"][0];
    assert_eq!(evidence["after"], "slow");
    assert_eq!(evidence["before"], 1);
}

#[test]
fn avro_says_the_same_by_apache_avro() {
    let bytes = encoded(OutputFormat::AvroConfluent { schema_id: 1 });
    let schema = apache_avro::Schema::parse_str(CUSTOMERS.text).unwrap();
    let mut rest = &bytes[5..];
    let value = apache_avro::reader::datum::GenericDatumReader::builder(&schema)
        .build()
        .unwrap()
        .read_value(&mut rest)
        .unwrap();
    assert!(rest.is_empty());
    let json: serde_json::Value = serde_json::from_slice(&encoded(OutputFormat::Json)).unwrap();
    assert_same(&json, &value);
    let Value::Record(fields) = value else { panic!("a record") };
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).unwrap().1.clone();
    assert_eq!(field("as_of"), Value::TimestampMillis(1_000));
    let Value::Map(dimensions) = field("dimensions") else { panic!("a map") };
    let Value::Record(rfm) = &dimensions["rfm"] else { panic!("a record") };
    assert_eq!(rfm[2].1, Value::Union(1, Box::new(Value::TimestampMillis(-1))));
    let Value::Map(traits) = field("traits") else { panic!("a map") };
    assert_eq!(traits["city"], Value::String("Łódź".to_owned()));
    let Value::Array(next) = field("next") else { panic!("an array") };
    assert_eq!(next.len(), 1);
}
