//! Every way in which a record can be wrong, with the reason and the sentence it gets.

use crate::codec::decoder::{DecodeError, Decoder, Format, RecordType};
use crate::codec::time::LAST_READABLE;
use crate::domain::event::{Body, Event, Interaction, Purchase, Survey};
use crate::domain::money::{Currency, DatedRate, ExchangeRates, MAX_AMOUNT_MINOR};
use crate::domain::time::{Day, Timestamp};
use serde_json::{Value, json};

fn rates() -> ExchangeRates {
    let currency = |code| Currency::parse(code).unwrap();
    let rate = DatedRate { from: Day(0), nano_base: 1_100_000_000 };
    ExchangeRates::new(currency("EUR"), vec![(currency("GBP"), vec![rate])])
}

fn order() -> Value {
    json!({"event_id": "e-1", "kind": "order_completed", "customer_id": "c-1",
        "occurred_at": "2026-03-01T09:30:00Z", "order_id": "o-1", "amount_minor": 5990,
        "currency": "EUR"})
}

fn interaction(kind: &str) -> Value {
    json!({"event_id": "e-1", "kind": kind, "customer_id": "c-1", "occurred_at": 0})
}

/// `base` with the fields of `changes` put in its place; null takes a field away.
fn with(mut base: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}

fn decode<'r>(record_type: RecordType, bytes: &'r [u8]) -> Result<Event<'r>, String> {
    let decoder = Decoder::new(record_type, Format::Json);
    decoder.decode(bytes, &rates()).map_err(|error| match error {
        DecodeError::Refused(refusal) => refusal.to_string(),
        DecodeError::SchemaNeeded(id) => panic!("JSON needs no schema {id}"),
    })
}

#[track_caller]
fn accepted(record_type: RecordType, record: &Value) {
    let bytes = record.to_string();
    assert_eq!(decode(record_type, bytes.as_bytes()).err(), None, "{bytes}");
}

#[track_caller]
fn refused(record_type: RecordType, record: &Value, expected: &str) {
    let bytes = record.to_string();
    let refusal = decode(record_type, bytes.as_bytes()).unwrap_err();
    assert_eq!(refusal, expected, "{bytes}");
}

#[track_caller]
fn bad_order(changes: &Value, expected: &str) {
    refused(RecordType::Purchases, &with(order(), changes), expected);
}

#[track_caller]
fn bad_interaction(kind: &str, changes: &Value, expected: &str) {
    refused(RecordType::Interactions, &with(interaction(kind), changes), expected);
}

#[test]
fn the_fields_of_all_records_are_checked() {
    bad_order(&json!({"event_id": null}), "missing_field: \"event_id\" is missing");
    bad_order(&json!({"event_id": ""}), "invalid_id: \"event_id\" is empty");
    bad_order(&json!({"kind": null}), "missing_field: \"kind\" is missing");
    bad_order(&json!({"kind": ""}), "invalid_value: \"kind\" is empty");
    bad_order(
        &json!({"customer_id": null}),
        "missing_field: neither \"customer_id\" nor \"anonymous_id\" is there",
    );
    bad_order(&json!({"customer_id": ""}), "invalid_id: \"customer_id\" is empty");
    bad_order(
        &json!({"customer_id": "x".repeat(1000)}),
        &format!(
            "invalid_id: \"customer_id\" = \"{}\"... (1000 bytes) is longer than 256 bytes",
            "x".repeat(64)
        ),
    );
    for prefix in ["account:", "anon:"] {
        bad_order(
            &json!({"customer_id": format!("{prefix}1")}),
            &format!(
                "invalid_id: \"customer_id\" = \"{prefix}1\" starts with the reserved \"{prefix}\""
            ),
        );
    }
    bad_order(&json!({"account_id": ""}), "invalid_id: \"account_id\" is empty");
    bad_order(&json!({"anonymous_id": ""}), "invalid_id: \"anonymous_id\" is empty");
    bad_order(&json!({"occurred_at": null}), "missing_field: \"occurred_at\" is missing");
    for (written, shown) in
        [(json!("yesterday"), "\"yesterday\""), (json!(i64::MAX), "9223372036854775807")]
    {
        bad_order(
            &json!({"occurred_at": written}),
            &format!(
                "invalid_value: \"occurred_at\" = {shown} \
                 is not an RFC 3339 time of the years 1 to 9999"
            ),
        );
    }
    accepted(RecordType::Purchases, &with(order(), &json!({"customer_id": "x".repeat(256)})));
    accepted(
        RecordType::Purchases,
        &with(order(), &json!({"customer_id": null, "anonymous_id": "v-1"})),
    );
    accepted(RecordType::Purchases, &with(order(), &json!({"new_field": {"a": [1, null]}})));
}

#[test]
fn times_of_1970_and_of_the_far_future_are_read_as_they_are() {
    for (written, expected) in [
        (json!(0), 0),
        (json!("1970-01-01T00:00:00.001Z"), 1),
        (json!("9999-12-30T22:00:00.999Z"), LAST_READABLE.0),
        (json!(Timestamp::LAST_WRITABLE.0), Timestamp::LAST_WRITABLE.0),
        (json!(-5), -5),
    ] {
        let record = with(order(), &json!({"occurred_at": written})).to_string();
        let event = decode(RecordType::Purchases, record.as_bytes()).unwrap();
        assert_eq!(event.occurred_at, Timestamp(expected));
    }
}

#[test]
fn money_is_an_amount_in_bounds_of_a_currency_of_the_table() {
    bad_order(&json!({"amount_minor": null}), "missing_field: \"amount_minor\" is missing");
    bad_order(&json!({"currency": null}), "missing_field: \"currency\" is missing");
    bad_order(&json!({"amount_minor": -1}), "negative_amount: \"amount_minor\" = -1 is negative");
    bad_order(
        &json!({"amount_minor": MAX_AMOUNT_MINOR + 1}),
        "amount_too_large: \"amount_minor\" = 1000000000000001 is above 1000000000000000",
    );
    bad_order(
        &json!({"amount_minor": u64::MAX}),
        "amount_too_large: \"amount_minor\" = 18446744073709551615 is above every amount",
    );
    bad_order(
        &json!({"currency": "eur"}),
        "invalid_value: \"currency\" = \"eur\" is not a code of three upper-case letters",
    );
    bad_order(
        &json!({"currency": "USD"}),
        "unknown_currency: \"currency\" = \"USD\" is not in the rate table",
    );
    bad_order(
        &json!({"items": [{}, {"amount_minor": -2}]}),
        "negative_amount: \"items[1].amount_minor\" = -2 is negative",
    );
    accepted(RecordType::Purchases, &with(order(), &json!({"currency": "GBP"})));
    accepted(RecordType::Purchases, &with(order(), &json!({"amount_minor": 0})));
    accepted(RecordType::Purchases, &with(order(), &json!({"amount_minor": MAX_AMOUNT_MINOR})));
}

#[test]
fn a_wrong_type_names_the_field_and_the_value() {
    bad_order(
        &json!({"amount_minor": 59.9}),
        "wrong_type: \"amount_minor\" is 59.9, expected an integer",
    );
    bad_order(
        &json!({"amount_minor": "5990"}),
        "wrong_type: \"amount_minor\" is the string \"5990\", expected an integer",
    );
    bad_order(&json!({"customer_id": 7}), "wrong_type: \"customer_id\" is 7, expected a string");
    bad_order(
        &json!({"occurred_at": true}),
        "wrong_type: \"occurred_at\" is true, expected an RFC 3339 time or integer milliseconds",
    );
    bad_order(
        &json!({"occurred_at": 1.5}),
        "wrong_type: \"occurred_at\" is 1.5, expected an RFC 3339 time or integer milliseconds",
    );
    bad_order(&json!({"items": {}}), "wrong_type: \"items\" is an object, expected an array");
    bad_order(&json!({"items": [1]}), "wrong_type: \"items[0]\" is 1, expected an object");
    bad_order(
        &json!({"items": [{}, {"sku": []}]}),
        "wrong_type: \"items[1].sku\" is an array, expected a string",
    );
    bad_interaction(
        "profile_updated",
        &json!({"traits": {"a": "b", "age": 7}}),
        "wrong_type: \"traits\": \"age\" is 7, expected a string",
    );
    bad_interaction(
        "consent_changed",
        &json!({"purposes": {"marketing:email": null}}),
        "wrong_type: \"purposes\": \"marketing:email\" is null, expected true or false",
    );
    bad_interaction(
        "consent_changed",
        &json!({"purposes": "all"}),
        "wrong_type: \"purposes\" is the string \"all\", expected an object",
    );
    refused(
        RecordType::Purchases,
        &json!([1]),
        "wrong_type: \"the record\" is an array, expected an object",
    );
    refused(
        RecordType::Interactions,
        &json!(null),
        "wrong_type: \"the record\" is null, expected an object",
    );
}

#[test]
fn each_kind_of_purchase_has_the_fields_it_needs() {
    bad_order(
        &json!({"kind": "order_complete"}),
        "unknown_kind: \"kind\" = \"order_complete\" is no kind of purchase; did you mean \
         \"order_completed\"?",
    );
    for kind in [
        "order_completed",
        "order_updated",
        "order_cancelled",
        "order_refunded",
        "order_paid",
        "order_fulfilled",
    ] {
        bad_order(
            &json!({"kind": kind, "order_id": null}),
            "missing_field: \"order_id\" is missing",
        );
    }
    for kind in ["order_cancelled", "order_refunded", "order_paid", "order_fulfilled"] {
        let bare = json!({"kind": kind, "amount_minor": null, "currency": null});
        accepted(RecordType::Purchases, &with(order(), &bare));
    }
    let term = json!({"kind": "subscription_started", "subscription_id": "s-1", "plan": "gold",
        "term_days": 30});
    accepted(RecordType::Purchases, &with(order(), &term));
    let started = with(order(), &term);
    for name in ["subscription_id", "plan", "amount_minor", "currency", "term_days"] {
        refused(
            RecordType::Purchases,
            &with(started.clone(), &json!({ name: null })),
            &format!("missing_field: \"{name}\" is missing"),
        );
    }
    accepted(RecordType::Purchases, &with(started.clone(), &json!({"term_days": 36_525})));
    for days in [0, -1, 36_526, i64::from(u32::MAX), i64::from(u32::MAX) + 1] {
        refused(
            RecordType::Purchases,
            &with(started.clone(), &json!({"term_days": days})),
            &format!("invalid_value: \"term_days\" = {days} is not 1 to 36525"),
        );
    }
    let bare = json!({"plan": null, "amount_minor": null, "currency": null, "term_days": null});
    for kind in ["subscription_renewed", "subscription_changed"] {
        let record = with(with(started.clone(), &bare), &json!({"kind": kind}));
        accepted(RecordType::Purchases, &record);
        refused(
            RecordType::Purchases,
            &with(record, &json!({"amount_minor": 5})),
            "missing_field: \"currency\" is missing",
        );
    }
    for kind in ["subscription_cancelled", "subscription_ended"] {
        bad_order(&json!({"kind": kind}), "missing_field: \"subscription_id\" is missing");
    }
}

#[test]
fn a_refund_without_an_id_has_that_of_its_event_and_without_an_amount_is_whole() {
    let record =
        with(order(), &json!({"kind": "order_refunded", "amount_minor": null, "currency": null}));
    let bytes = record.to_string();
    let event = decode(RecordType::Purchases, bytes.as_bytes()).unwrap();
    let Body::Purchase(Purchase::OrderRefunded { refund_id, amount, .. }) = event.body else {
        panic!("a refund")
    };
    assert_eq!((&*refund_id, amount), ("e-1", None));
}

#[test]
fn scores_stay_within_their_scales() {
    for (survey, low, high) in [
        ("nps", 0, 10),
        ("csat", 1, 5),
        ("ces", 1, 7),
        ("attention", 1, 5),
        ("brand", 1, 5),
        ("benefit:speed", 0, 10),
        ("cost:price", 0, 10),
    ] {
        let answer = |score| {
            let fields = json!({"survey": survey, "score": score});
            with(interaction("survey_answered"), &fields)
        };
        accepted(RecordType::Interactions, &answer(low));
        accepted(RecordType::Interactions, &answer(high));
        for score in [low - 1, high + 1, 1_i64 << 40] {
            refused(
                RecordType::Interactions,
                &answer(score),
                &format!("invalid_value: \"score\" = {score} is not {low} to {high}"),
            );
        }
        bad_interaction(
            "survey_answered",
            &json!({"survey": survey}),
            "missing_field: \"score\" is missing",
        );
    }
    bad_interaction("survey_answered", &json!({}), "missing_field: \"survey\" is missing");
    for survey in ["mps", "benefit:", "cost:"] {
        bad_interaction(
            "survey_answered",
            &json!({"survey": survey, "score": 1}),
            &format!("invalid_value: \"survey\" = \"{survey}\" is not a known survey"),
        );
    }
    bad_interaction(
        "product_reviewed",
        &json!({"score": 6}),
        "invalid_value: \"score\" = 6 is not 1 to 5",
    );
    bad_interaction("product_reviewed", &json!({}), "missing_field: \"score\" is missing");
    accepted(RecordType::Interactions, &interaction("shared"));
    let reason = json!({"survey": "purchase_reason", "reason": "a gift"});
    let record = with(interaction("survey_answered"), &reason).to_string();
    let event = decode(RecordType::Interactions, record.as_bytes()).unwrap();
    let Body::Interaction(Interaction::SurveyAnswered { survey, score, .. }) = event.body else {
        panic!("an answer")
    };
    assert_eq!((survey, score), (Survey::PurchaseReason, None));
}

#[test]
fn each_kind_of_interaction_has_the_fields_it_needs() {
    bad_interaction("cost_recorded", &json!({}), "missing_field: \"cost\" is missing");
    bad_interaction(
        "cost_recorded",
        &json!({"cost": "rent", "amount_minor": 1, "currency": "EUR"}),
        "invalid_value: \"cost\" = \"rent\" is not \"marketing\", \"service\" or \"acquisition\"",
    );
    bad_interaction(
        "cost_recorded",
        &json!({"cost": "service"}),
        "missing_field: \"amount_minor\" is missing",
    );
    bad_interaction(
        "cost_recorded",
        &json!({"cost": "service", "amount_minor": -7, "currency": "EUR"}),
        "negative_amount: \"amount_minor\" = -7 is negative",
    );
    bad_interaction(
        "qualification_updated",
        &json!({}),
        "missing_field: neither \"element\" nor \"outcome\" is there",
    );
    bad_interaction(
        "qualification_updated",
        &json!({"element": "pain", "score": 1}),
        "invalid_value: \"element\" = \"pain\" is not one of metrics, economic_buyer, \
         decision_criteria, decision_process, identify_pain, champion",
    );
    bad_interaction(
        "qualification_updated",
        &json!({"element": "champion", "score": 4}),
        "invalid_value: \"score\" = 4 is not 0 to 3",
    );
    bad_interaction(
        "qualification_updated",
        &json!({"element": "champion", "score": 1, "outcome": "won"}),
        "invalid_value: \"element\" and \"outcome\" are both there, only one may be",
    );
    bad_interaction(
        "qualification_updated",
        &json!({"outcome": "draw"}),
        "invalid_value: \"outcome\" = \"draw\" is not \"won\", \"lost\" or \"disqualified\"",
    );
    bad_interaction(
        "support_contacted",
        &json!({"minutes": -1}),
        "invalid_value: \"minutes\" = -1 is not 0 or above",
    );
    bad_interaction("profile_updated", &json!({}), "missing_field: \"traits\" is missing");
    bad_interaction("consent_changed", &json!({}), "missing_field: \"purposes\" is missing");
    bad_interaction(
        "customers_merged",
        &json!({}),
        "missing_field: \"from_customer_id\" is missing",
    );
    bad_interaction(
        "customers_merged",
        &json!({"from_customer_id": "c-1"}),
        "invalid_value: \"from_customer_id\" = \"c-1\" is not another id than \"customer_id\"",
    );
    bad_interaction(
        "customers_merged",
        &json!({"from_customer_id": "c-2", "customer_id": null, "anonymous_id": "v"}),
        "missing_field: \"customer_id\" is missing",
    );
    bad_interaction(
        "referral_accepted",
        &json!({"referred_customer_id": "anon:1"}),
        "invalid_id: \"referred_customer_id\" = \"anon:1\" starts with the reserved \"anon:\"",
    );
    bad_interaction(
        "referral_accepted",
        &json!({"referred_customer_id": "c-1"}),
        "invalid_value: \"referred_customer_id\" = \"c-1\" is not another id than \
         \"customer_id\"",
    );
}

#[test]
fn an_account_may_have_the_id_of_a_customer() {
    let record = with(order(), &json!({"customer_id": "c-1", "account_id": "c-1"})).to_string();
    let event = decode(RecordType::Purchases, record.as_bytes()).unwrap();
    assert_eq!(event.customer_id, event.account_id);
    assert_eq!(event.subject_id(), "c-1");
}

#[test]
fn an_unknown_kind_of_interaction_is_kept_by_name() {
    let record = interaction("gift_wrapped").to_string();
    let event = decode(RecordType::Interactions, record.as_bytes()).unwrap();
    let Body::Interaction(Interaction::Unknown { kind }) = event.body else { panic!("unknown") };
    assert_eq!(kind, "gift_wrapped");
}

#[test]
fn a_kind_of_the_other_topic_is_not_accepted_as_a_purchase() {
    bad_order(
        &json!({"kind": "page_viewed"}),
        "unknown_kind: \"kind\" = \"page_viewed\" is no kind of purchase",
    );
}
