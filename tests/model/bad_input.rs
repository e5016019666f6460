//! Bad input that is not refused as a whole: what is left of it, and what is counted.
//!
//! What is refused is in `src/codec/validate/tests.rs`. Next: `src/domain/apply.rs`, the counts.

use crate::fixture::{rules, task};
use ebbflow::codec::decoder::decode_json_line;
use ebbflow::domain::apply::Tally;
use ebbflow::domain::customer::Customer;
use ebbflow::domain::pack::unpack;
use ebbflow::domain::refusal::Reason;
use ebbflow::task::EventRecord;
use serde_json::{Value, json};
use std::sync::Arc;

/// The longest state of a customer, in bytes.
const MAX_STATE_BYTES: usize = 64 * 1024;

fn record(place: usize, fields: &Value) -> String {
    let mut record = json!({"event_id": format!("e-{place}"), "customer_id": "ann",
        "occurred_at": "2026-01-01T00:00:00Z"});
    for (name, value) in fields.as_object().expect("fields") {
        record[name] = value.clone();
    }
    record.to_string()
}

/// The customer after these records, and what was counted.
fn after(records: &[Value]) -> (Customer, Tally) {
    let rules = Arc::new(rules());
    let mut task = task(&rules);
    for (place, fields) in records.iter().enumerate() {
        let line = record(place, fields);
        let event = decode_json_line(line.as_bytes(), &rules.rates).expect("an event");
        let at = event.occurred_at;
        let offset = i64::try_from(place).expect("few");
        let record = EventRecord {
            input: 0,
            topic: &"events".into(),
            offset,
            event: &event,
            at,
            value: &[],
        };
        task.handle_event(&record, None).expect("an event of this partition");
    }
    let mut customer = None;
    task.pack(|_, packed, _| {
        let packed = packed.expect("a state");
        assert!(packed.len() <= MAX_STATE_BYTES, "{} bytes", packed.len());
        customer = Some(unpack(packed, &rules.rates).expect("a customer"));
    });
    (customer.expect("a customer"), task.take_tally())
}

#[test]
fn every_refusal_has_a_code_that_is_counted_by() {
    use Reason::{InvalidValue, MissingField};
    let rules = rules();
    for (fields, reason) in [
        (json!({"kind": "survey_answered", "survey": "nps", "score": 11}), InvalidValue),
        (json!({"kind": "survey_answered", "survey": "ces", "score": 0}), InvalidValue),
        (json!({"kind": "survey_answered", "survey": "nps"}), MissingField),
        (json!({"kind": "survey_answered", "survey": "benefit:speed"}), MissingField),
        (json!({"kind": "product_reviewed", "score": 6}), InvalidValue),
        (json!({"kind": "qualification_updated", "element": "budget", "score": 1}), InvalidValue),
        (json!({"kind": "qualification_updated", "element": "champion"}), MissingField),
        (
            json!({"kind": "cost_recorded", "cost": "rent", "amount_minor": 1, "currency": "EUR"}),
            InvalidValue,
        ),
        (
            json!({"kind": "subscription_started", "subscription_id": "s", "plan": "gold",
                "term_days": 30}),
            MissingField,
        ),
    ] {
        let line = record(0, &fields);
        let refusal = decode_json_line(line.as_bytes(), &rules.rates).expect_err("a refusal");
        assert_eq!(refusal.reason, reason, "{line}");
    }
}

#[test]
fn of_ten_thousand_traits_the_first_that_come_are_kept_and_the_others_counted() {
    let traits: serde_json::Map<String, Value> =
        (0..10_000).map(|place| (format!("t{place:05}"), json!("v".repeat(300)))).collect();
    let (customer, tally) = after(&[json!({"kind": "profile_updated", "traits": traits})]);
    let kept = customer.traits.expect("traits").entries;
    assert_eq!(kept.len(), 64);
    assert!(kept.iter().all(|(_, _, value)| value.len() == 256));
    assert_eq!(tally.bounded, 10_000);
}

#[test]
fn a_trait_of_a_megabyte_is_cut_at_a_character_and_counted() {
    let value = format!("a{}", "\u{d55c}".repeat(350_000));
    let (customer, tally) = after(&[
        json!({"kind": "profile_updated", "traits": {"city": value, "tier": "gold"}}),
        json!({"kind": "profile_updated", "traits": {"n".repeat(1_000_000): "x"}}),
    ]);
    let traits = customer.traits.expect("traits");
    assert_eq!(traits.get("city").map(|city| city.len()), Some(256));
    assert_eq!(traits.get("tier").map(|tier| &**tier), Some("gold"));
    assert_eq!(traits.get(&"n".repeat(64)).map(|value| &**value), Some("x"));
    assert_eq!(tally.bounded, 2);
}

#[test]
fn consent_for_a_purpose_that_nobody_asks_for_is_kept() {
    let (customer, tally) = after(&[
        json!({"kind": "consent_changed", "purposes": {"space travel": true}}),
        json!({"kind": "unsubscribed", "channel": "fax"}),
    ]);
    let consent = customer.consent.expect("consent");
    assert_eq!(consent.get("space travel"), Some(&true));
    assert_eq!(consent.get("marketing:fax"), Some(&false));
    assert_eq!(tally.bounded, 0);
    let purposes: serde_json::Map<String, Value> =
        (0..100).map(|place| (format!("p{place:03}"), json!(true))).collect();
    let (customer, tally) = after(&[json!({"kind": "consent_changed", "purposes": purposes})]);
    assert_eq!(customer.consent.expect("consent").entries.len(), 32);
    assert_eq!(tally.bounded, 68);
}

#[test]
fn a_plan_without_a_price_keeps_the_price_before() {
    let (customer, _) = after(&[
        json!({"kind": "subscription_started", "subscription_id": "s", "plan": "basic",
            "amount_minor": 1_000, "currency": "EUR", "term_days": 30,
            "occurred_at": "2026-01-01T00:00:00Z"}),
        json!({"kind": "subscription_changed", "subscription_id": "s", "plan": "gold",
            "occurred_at": "2026-01-10T00:00:00Z"}),
        json!({"kind": "subscription_renewed", "subscription_id": "s",
            "occurred_at": "2026-01-31T00:00:00Z"}),
    ]);
    let rules = rules();
    let nets: Vec<i64> = customer.book.orders.iter().map(|it| it.net_minor(&rules.rates)).collect();
    assert_eq!(nets, [1_000, 1_000]);
}

#[test]
fn orders_of_one_event_id_and_instant_count_each_whichever_comes_first() {
    let order = |id: &str, amount_minor: i64| {
        json!({"event_id": "e-x", "kind": "order_completed", "order_id": id,
            "amount_minor": amount_minor, "currency": "EUR"})
    };
    for other in ["o-2", "o-3", "o-4", "o-5"] {
        let (small, large) = (order("o-1", 1), order(other, 10_000_000));
        let values = |records: &[Value]| {
            let customer = after(records).0;
            assert_eq!(customer.book.orders.len(), 2);
            customer.published.map(|published| published.value)
        };
        assert_eq!(values(&[small.clone(), large.clone()]), values(&[large, small]), "{other}");
    }
}
