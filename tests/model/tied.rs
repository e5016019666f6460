//! Any values of what a subject is tied to, and what Avro says of them.
//!
//! Only keeps the order that packed parts need. Next: `packing.rs`, the rest of a customer.

use crate::packing::{field, items, long, some, stamp, timestamp};
use apache_avro::types::Value;
use ebbflow::domain::customer::Customer;
use ebbflow::domain::facts::contacts::{Contact, Contacts, MAX_CONTACTS};
use ebbflow::domain::facts::ties::{
    Heard, MAX_ALIASES, MAX_MEMBERSHIPS, MAX_REFERRED, Membership, Referrer, Ties,
};
use ebbflow::domain::time::Timestamp;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

fn heard(most: usize) -> impl Strategy<Value = Vec<Heard>> {
    let heard = |(id, at)| Heard { id, at };
    btree_map("\\PC{1,12}", timestamp(), 0..=most)
        .prop_map(move |list| list.into_iter().map(heard).collect())
}

pub(crate) fn ties() -> impl Strategy<Value = Ties> {
    let membership = |(account, (first_at, last_at, told_left))| Membership {
        account,
        first_at,
        last_at,
        told_left,
    };
    let times = (timestamp(), timestamp(), any::<bool>());
    let memberships = btree_map("account:\\PC{1,9}", times, 0..=MAX_MEMBERSHIPS)
        .prop_map(move |list| list.into_iter().map(membership).collect());
    let referrer = ("\\PC{1,12}", stamp(), any::<i64>()).prop_map(|(id, stamp, credited_minor)| {
        Referrer { id, at: stamp.at, key: stamp.key, credited_minor }
    });
    let counts = (any::<u32>(), any::<i64>());
    (heard(MAX_ALIASES), memberships, of(referrer), heard(MAX_REFERRED), counts).prop_map(
        |(aliases, memberships, referrer, referred, (accepted, referred_revenue_minor))| Ties {
            aliases,
            memberships,
            referrer,
            referred,
            accepted,
            referred_revenue_minor,
        },
    )
}

pub(crate) fn contacts() -> impl Strategy<Value = Contacts> {
    let or = |other| prop_oneof![6 => timestamp(), 1 => Just(other)];
    let times = (or(Timestamp::MAX), or(Timestamp::MIN), or(Timestamp::MIN));
    let contact = (any::<u64>(), times, of((stamp(), 0..=3_u8)));
    vec(contact, 0..=MAX_CONTACTS).prop_map(|mut list| {
        list.sort_by_key(|(hash, ..)| *hash);
        list.dedup_by_key(|(hash, ..)| *hash);
        let list = list.into_iter().map(|(hash, times, champion)| {
            let (first_at, last_at, elsewhere_at) = times;
            Contact { hash, first_at, last_at, elsewhere_at, champion }
        });
        Contacts { list: list.collect() }
    })
}

/// Says whether Avro reads the ties as the schema says; gives back what stands beside them.
pub(crate) fn check_avro<'a>(customer: &Customer, avro: &'a Value) -> Option<&'a Value> {
    let Customer { ties, contacts, .. } = customer;
    let heard_since =
        customer.id.starts_with("anon:") && customer.heard_at != customer.evaluated_at;
    let Value::Union(2, tied) = avro else {
        assert!(!heard_since && ties.is_none() && contacts.is_none());
        return some(avro);
    };
    let part = |name: &str| some(field(tied, name));
    assert_eq!(part("heard_at").is_some(), heard_since);
    assert_eq!(part("ties").is_some(), ties.is_some());
    if let (Some(avro), Some(own)) = (part("ties"), ties) {
        let text = |value: &Value, name: &str| match field(value, name) {
            Value::String(text) => text.clone(),
            other => panic!("{other:?} is no text"),
        };
        for (name, list) in [("aliases", &own.aliases), ("referred", &own.referred)] {
            let ids: Vec<String> =
                items(field(avro, name)).iter().map(|it| text(it, "id")).collect();
            assert_eq!(ids, list.iter().map(|heard| heard.id.clone()).collect::<Vec<_>>());
        }
        let told = |value: &Value| *field(value, "told_left") == Value::Boolean(true);
        let memberships = items(field(avro, "memberships")).iter();
        assert_eq!(
            memberships.map(|it| (text(it, "account"), told(it))).collect::<Vec<_>>(),
            own.memberships.iter().map(|it| (it.account.clone(), it.told_left)).collect::<Vec<_>>()
        );
        let credited = |value: &Value| long(field(value, "credited_minor"));
        let referrer = own.referrer.as_ref();
        let credit = some(field(avro, "referrer")).map(credited);
        assert_eq!(credit, referrer.map(|own| own.credited_minor));
        assert_eq!(long(field(avro, "accepted")), i64::from(own.accepted));
        assert_eq!(long(field(avro, "referred_revenue_minor")), own.referred_revenue_minor);
    }
    assert_eq!(part("contacts").is_some(), contacts.is_some());
    if let (Some(avro), Some(own)) = (part("contacts"), contacts) {
        let list = items(field(avro, "list"));
        assert_eq!(list.len(), own.list.len());
        for (own, avro) in own.list.iter().zip(list) {
            let hash = Value::Fixed(8, own.hash.to_be_bytes().to_vec());
            assert_eq!(*field(avro, "hash"), hash);
            let score = some(field(avro, "champion")).map(|it| long(field(it, "score")));
            assert_eq!(score, own.champion.map(|(_, score)| i64::from(score)));
        }
    }
    some(field(tied, "more"))
}
