//! Any values of the parts of a customer that interactions leave behind, and what Avro says of them.
//!
//! Only keeps the order that packed parts need. Next: `packing.rs`, the rest of a customer.

use crate::packing::{field, items, long, some, stamp, timestamp};
use apache_avro::types::Value;
use ebbflow::domain::customer::Customer;
use ebbflow::domain::decay::Decayed;
use ebbflow::domain::facts::interactions::{DayCount, Interactions};
use ebbflow::domain::facts::meddic::{Element, Meddic};
use ebbflow::domain::facts::preferences::{Preference, Preferences};
use ebbflow::domain::facts::scored_kind::ScoredKind;
use ebbflow::domain::facts::signals::{Scored, Signals};
use ebbflow::domain::facts::spending::Spending;
use ebbflow::domain::facts::surveys::{Answers, Part, Side, Surveys};
use ebbflow::domain::facts::traits::{Consent, Latest, Traits};
use ebbflow::domain::time::{Day, Timestamp};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

fn day() -> impl Strategy<Value = Day> {
    (-50_000..80_000_i64).prop_map(Day)
}

fn text() -> impl Strategy<Value = Box<str>> {
    "\\PC{0,12}".prop_map(String::into_boxed_str)
}

fn never() -> impl Strategy<Value = Timestamp> {
    prop_oneof![3 => timestamp(), 1 => Just(Timestamp::MIN)]
}

pub(crate) fn signals() -> impl Strategy<Value = Signals> {
    let review = (stamp(), 1..=5_u8).prop_map(|(stamp, score)| Scored { stamp, score });
    let times = (never(), never(), never(), never());
    ([never(), never(), never()], of(review), times).prop_map(
        |(mut product_views, review, (considered_at, referral_at, good_review_at, shared_at))| {
            product_views.sort_by(|one, other| other.cmp(one));
            Signals { product_views, considered_at, referral_at, review, good_review_at, shared_at }
        },
    )
}

fn decayed() -> impl Strategy<Value = Decayed> {
    let sum = (any::<u64>(), 1..64_u32).prop_map(|(sum, by)| sum >> by << (by / 2));
    (-4_000..6_000_i64, sum).prop_map(|(block, sum)| Decayed { block, sum })
}

pub(crate) fn interactions() -> impl Strategy<Value = Interactions> {
    let kind = (0..ScoredKind::COUNT).prop_map(|place| ScoredKind::ALL[place]);
    let counts = vec((0..7_i64, kind, 1..=5_u32), 0..20);
    (any::<u32>(), decayed(), of(day()), counts, never()).prop_map(
        |(total, score, latest_day, counts, contact_at)| {
            let latest_day = latest_day.unwrap_or(Day(i64::MIN));
            let known = latest_day != Day(i64::MIN);
            let mut counts: Vec<DayCount> = counts
                .into_iter()
                .filter(|_| known)
                .map(|(age, kind, count)| DayCount { day: Day(latest_day.0 - age), kind, count })
                .collect();
            counts.sort_unstable();
            counts.dedup_by_key(|count| (count.day, count.kind));
            Interactions { total: total.into(), score, latest_day, counts, contact_at }
        },
    )
}

pub(crate) fn preferences() -> impl Strategy<Value = Preferences> {
    let list =
        || vec((text(), decayed()).prop_map(|(name, score)| Preference { name, score }), 0..9);
    (list(), list()).prop_map(|(categories, channels)| Preferences { categories, channels })
}

pub(crate) fn spending() -> impl Strategy<Value = Spending> {
    let days = vec((day(), any::<u32>()), 0..17).prop_map(|mut days| {
        days.sort_unstable();
        days.dedup_by_key(|(day, _)| *day);
        days
    });
    (any::<[i64; 3]>(), days, any::<u32>()).prop_map(|(costs, touch_days, later)| Spending {
        marketing_minor: costs[0],
        service_minor: costs[1],
        acquisition_minor: costs[2],
        touch_days,
        later_touches: later.into(),
    })
}

pub(crate) fn surveys() -> impl Strategy<Value = Surveys> {
    let answers = || {
        let reasons = vec((stamp(), text()), 0..4);
        (stamp(), of(0..=10_u8), any::<[u32; 3]>(), reasons).prop_map(
            |(last, score, [count, scored, sum], reasons)| {
                let (count, scored, sum) = (count.into(), scored.into(), sum.into());
                Box::new(Answers { last, score, count, scored, sum, reasons })
            },
        )
    };
    let answers = [of(answers()), of(answers()), of(answers()), of(answers()), of(answers())];
    let reason = (stamp(), vec((stamp(), text()), 0..4)).prop_map(|(last, reasons)| {
        let count = reasons.len() as u64;
        Box::new(Answers { last, score: None, count, scored: 0, sum: 0, reasons })
    });
    let part = ((0..4_usize), text(), timestamp(), 0..=10_u8)
        .prop_map(|(side, name, at, score)| Part { side: Side::ALL[side], name, at, score });
    (answers, of(reason), vec(part, 0..17)).prop_map(|(answers, reason, mut parts)| {
        parts.sort_by(|one, other| (one.side, &one.name).cmp(&(other.side, &other.name)));
        parts.dedup_by(|one, other| (one.side, &one.name) == (other.side, &other.name));
        let [nps, csat, ces, attention, brand] = answers;
        Surveys { answers: [nps, csat, ces, attention, brand, reason], parts }
    })
}

pub(crate) fn meddic() -> impl Strategy<Value = Meddic> {
    let element = || {
        of((timestamp(), 0..=3_u8, text()).prop_map(|(at, score, evidence)| Element {
            at,
            score,
            evidence,
        }))
    };
    let elements = [element(), element(), element(), element(), element(), element()];
    (elements, of((timestamp(), 0..3_u8)))
        .prop_map(|(elements, outcome)| Meddic { elements, outcome })
}

fn latest<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Latest<T>> {
    vec((text(), timestamp(), value), 0..20).prop_map(|mut entries| {
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        entries.dedup_by(|one, other| one.0 == other.0);
        Latest { entries }
    })
}

pub(crate) fn traits() -> impl Strategy<Value = Traits> {
    latest(text())
}

pub(crate) fn consent() -> impl Strategy<Value = Consent> {
    latest(any::<bool>())
}

fn string(value: &Value) -> &str {
    let Value::String(text) = value else { panic!("{value:?} is no text") };
    text
}

fn check_decayed(own: Decayed, avro: &Value) {
    assert_eq!(long(field(avro, "block")), own.block);
    let sum = long(field(avro, "sum")).cast_unsigned() << long(field(avro, "zeros"));
    assert_eq!(sum, own.sum);
}

/// What Avro reads is what the customer has; `datum` is the field `said`.
pub(crate) fn check_avro(customer: &Customer, datum: &Value) {
    let Customer { signals, interactions, preferences, spending, .. } = customer;
    let Customer { surveys, meddic, traits, consent, .. } = customer;
    let Some(said) = some(datum) else {
        assert!(signals.is_none() && interactions.is_none() && preferences.is_none());
        assert!(spending.is_none() && surveys.is_none() && meddic.is_none());
        assert!(traits.is_none() && consent.is_none());
        return;
    };
    let part = |name: &str| some(field(said, name));
    assert_eq!(part("signals").is_some(), signals.is_some());
    if let (Some(avro), Some(own)) = (part("signals"), signals) {
        let never = own.shared_at == Timestamp::MIN;
        assert_eq!(long(field(avro, "shared_at")) == 0, never);
    }
    assert_eq!(part("interactions").is_some(), interactions.is_some());
    if let (Some(avro), Some(own)) = (part("interactions"), interactions) {
        assert_eq!(long(field(avro, "total")).unsigned_abs(), own.total);
        assert_eq!(long(field(avro, "latest_day")), own.latest_day.0);
        check_decayed(own.score, field(avro, "score"));
        assert_eq!(items(field(avro, "counts")).len(), own.counts.len());
        for (own_count, avro) in own.counts.iter().zip(items(field(avro, "counts"))) {
            let (kind, age) = (own_count.kind.index(), own.latest_day.0 - own_count.day.0);
            assert_eq!(long(field(avro, "kind")), age * 32 + i64::try_from(kind).expect("few"));
            assert_eq!(long(field(avro, "count")), i64::from(own_count.count));
        }
    }
    assert_eq!(part("preferences").is_some(), preferences.is_some());
    if let (Some(avro), Some(own)) = (part("preferences"), preferences) {
        for (name, list) in [("categories", &own.categories), ("channels", &own.channels)] {
            assert_eq!(items(field(avro, name)).len(), list.len());
            for (own, avro) in list.iter().zip(items(field(avro, name))) {
                assert_eq!(string(field(avro, "name")), &*own.name);
                check_decayed(own.score, field(avro, "score"));
            }
        }
    }
    let spent = |avro: &Value| long(field(avro, "service_minor"));
    assert_eq!(part("spending").map(spent), spending.as_ref().map(|own| own.service_minor));
    assert_eq!(part("surveys").is_some(), surveys.is_some());
    if let (Some(avro), Some(own)) = (part("surveys"), surveys) {
        for (name, own) in ["nps", "csat", "ces", "attention", "brand", "purchase_reason"]
            .into_iter()
            .zip(&own.answers)
        {
            let avro = some(field(avro, name));
            assert_eq!(
                avro.map(|avro| long(field(avro, "count")).unsigned_abs()),
                own.as_ref().map(|own| own.count)
            );
            for ((_, reason), avro) in own
                .iter()
                .flat_map(|own| &own.reasons)
                .zip(avro.map_or(&[][..], |avro| items(field(avro, "reasons"))))
            {
                assert_eq!(string(field(avro, "text")), &**reason);
            }
        }
        for (own, avro) in own.parts.iter().zip(items(field(avro, "parts"))) {
            assert_eq!(string(field(avro, "name")), &*own.name);
            assert_eq!(long(field(avro, "score")), i64::from(own.score));
        }
    }
    assert_eq!(part("meddic").is_some(), meddic.is_some());
    if let (Some(avro), Some(own)) = (part("meddic"), meddic) {
        for (own, name) in own.elements.iter().zip([
            "metrics",
            "economic_buyer",
            "decision_criteria",
            "decision_process",
            "identify_pain",
            "champion",
        ]) {
            let avro = some(field(avro, name));
            assert_eq!(
                avro.map(|avro| string(field(avro, "evidence"))),
                own.as_ref().map(|own| &*own.evidence)
            );
        }
    }
    for (own, avro) in traits
        .iter()
        .flat_map(|own| &own.entries)
        .zip(part("traits").map_or(&[][..], |avro| items(field(avro, "entries"))))
    {
        assert_eq!((string(field(avro, "name")), string(field(avro, "value"))), (&*own.0, &*own.2));
    }
    for (own, avro) in consent
        .iter()
        .flat_map(|own| &own.entries)
        .zip(part("consent").map_or(&[][..], |avro| items(field(avro, "entries"))))
    {
        assert_eq!(field(avro, "permitted"), &Value::Boolean(own.2));
    }
}
