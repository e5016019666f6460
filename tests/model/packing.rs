//! Packed customers: unpacking gives the same customer, and Avro reads what the schema says.

use crate::fixture::place;
use crate::fixture::{config, currency, klaviyo_rules, rules};
use crate::order::applied;
use crate::said::{
    self, consent, interactions, meddic, preferences, signals, spending, surveys, traits,
};
use crate::tied::{self, contacts, ties};
use crate::workload;
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use ebbflow::domain::change::CauseKind;
use ebbflow::domain::customer::Customer;
use ebbflow::domain::dimension::{COUNT, Dimension, Entries, Published};
use ebbflow::domain::facts::older_orders::{EvictedOrder, OlderOrders};
use ebbflow::domain::facts::order::{Marks, Order, OrderChanges, PaidTerm, Refund, Stamp};
use ebbflow::domain::facts::order_book::{OrderBook, Parked, ParkedRecord, RareParts};
use ebbflow::domain::facts::subscription::{Price, Subscription};
use ebbflow::domain::id::EventKey;
use ebbflow::domain::money::Money;
use ebbflow::domain::pack::{pack, peek, unpack, unpack_into};
use ebbflow::domain::time::{Day, Timestamp};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

pub(crate) fn timestamp() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        8 => 0..4_000_000_000_000_i64,
        1 => -4_000_000_000_000_i64..0,
        1 => Just(0),
    ]
    .prop_map(Timestamp)
}

pub(crate) fn stamp() -> impl Strategy<Value = Stamp> {
    (timestamp(), any::<u32>()).prop_map(|(at, key)| Stamp { at, key: EventKey(key) })
}

fn hash() -> impl Strategy<Value = u64> {
    0..1_u64 << 48
}

fn money() -> impl Strategy<Value = Money> {
    (0..=1_000_000_000_000_000_i64, prop_oneof![Just("EUR"), Just("USD"), Just("JPY")])
        .prop_map(|(amount_minor, code)| Money { amount_minor, currency: currency(code) })
}

fn order() -> impl Strategy<Value = Order> {
    let refund =
        (hash(), stamp(), of(money())).prop_map(|(id, stamp, amount)| Refund { id, stamp, amount });
    let changes = (of((stamp(), money())), vec(refund, 0..17), any::<i64>()).prop_map(
        |(update, refunds, further_refunds_minor)| {
            Box::new(OrderChanges { update, refunds, further_refunds_minor })
        },
    );
    let term = (hash(), any::<u32>(), any::<[bool; 2]>()).prop_map(
        |(subscription, days, [own_amount, own_days])| PaidTerm {
            subscription,
            days,
            own_amount,
            own_days,
        },
    );
    let marks = (any::<bool>(), any::<u8>(), 0..=8_u8)
        .prop_map(|(coupon, categories, channel)| Marks { coupon, categories, channel });
    (hash(), stamp(), money(), of(term), marks, any::<bool>(), of(changes)).prop_map(
        |(id, base, amount, term, marks, cancelled, changes)| Order {
            id,
            base,
            amount,
            term,
            marks,
            cancelled,
            changes,
        },
    )
}

fn rare() -> impl Strategy<Value = RareParts> {
    let day = || (-50_000..80_000_i64).prop_map(Day);
    let net_minor = 0..=1_000_000_000_000_000_i64;
    let evicted = (hash(), day(), net_minor, any::<bool>(), of((hash(), any::<u32>()))).prop_map(
        |(id, day, net_minor, cancelled, term)| EvictedOrder {
            id,
            day,
            net_minor,
            cancelled,
            term,
        },
    );
    let days = [of(day()), of(day()), of(day()), of(day())];
    let before = (0..1_000_000_u64, any::<i64>(), days, 0..9_000_u64).prop_map(
        |(orders, net_minor, days, order_days)| {
            let [first_counting_day, last_counting_day, first_day, last_day] = days;
            OlderOrders {
                orders,
                net_minor,
                first_counting_day,
                last_counting_day,
                first_day,
                last_day,
                order_days,
            }
        },
    );
    let what = prop_oneof![
        money().prop_map(ParkedRecord::Update),
        Just(ParkedRecord::Cancel),
        (hash(), of(money())).prop_map(|(id, amount)| ParkedRecord::Refund(id, amount)),
    ];
    let parked = (hash(), stamp(), timestamp(), what)
        .prop_map(|(order, stamp, parked_at, what)| Parked { order, stamp, parked_at, what });
    let plan = "\\PC{0,12}".prop_map(String::into_boxed_str);
    let price = (stamp(), of(money()), of(plan), of(any::<u32>()))
        .prop_map(|(stamp, amount, plan, term_days)| Price { stamp, amount, plan, term_days });
    let subscription = (hash(), of(stamp()), vec(price, 0..9), of(stamp()), of(stamp())).prop_map(
        |(id, latest_term, prices, cancelled_at, ended_at)| Subscription {
            id,
            latest_term,
            prices,
            cancelled_at,
            ended_at,
        },
    );
    let lists = (vec(evicted, 0..20), before, vec(parked, 0..17), vec(subscription, 0..4));
    (lists, any::<u8>()).prop_map(|((evicted, before, parked, subscriptions), categories)| {
        RareParts { evicted, before, categories, parked, subscriptions }
    })
}

/// The parts that interactions leave behind.
fn said() -> impl Strategy<Value = Customer> {
    let one = (
        of(signals().prop_map(Box::new)),
        of(interactions().prop_map(Box::new)),
        of(preferences().prop_map(Box::new)),
        of(spending().prop_map(Box::new)),
    );
    let other = (
        of(surveys().prop_map(Box::new)),
        of(meddic().prop_map(Box::new)),
        of(traits().prop_map(Box::new)),
        of(consent().prop_map(Box::new)),
    );
    let any = (one, other).prop_map(
        |((signals, interactions, preferences, spending), (surveys, meddic, traits, consent))| {
            Customer {
                signals,
                interactions,
                preferences,
                spending,
                surveys,
                meddic,
                traits,
                consent,
                ..Customer::default()
            }
        },
    );
    prop_oneof![3 => any, 1 => Just(Customer::default())]
}

fn dimension() -> impl Strategy<Value = Dimension> {
    (0..COUNT).prop_map(|place| Dimension::BUILT_IN[place])
}

fn customer() -> impl Strategy<Value = Customer> {
    let cause = (0..CauseKind::ALL.len()).prop_map(|place| CauseKind::ALL[place]);
    let published = (0..3_u8, any::<u8>(), of(any::<u8>()), cause, timestamp(), 0..1_000_000_u64)
        .prop_map(|(value, left, told, cause, since, seq)| {
            let told = told.unwrap_or(Published::told_with(seq, value));
            Published { value, left, told, cause, since, seq }
        });
    let entries = (dimension(), any::<u8>(), any::<u32>())
        .prop_map(|(dimension, value, count)| Entries { dimension, value, count });
    let id = ("(account:|anon:|)", "\\PC{1,40}").prop_map(|(prefix, id)| prefix + &id);
    let head = (id, any::<u32>(), 0..1_000_000_u64, any::<u32>(), timestamp());
    let tied = (of(timestamp()), of(ties().prop_map(Box::new)), of(contacts().prop_map(Box::new)));
    let tied = prop_oneof![Just((None, None, None)), tied];
    let parts = (vec(order(), 0..6), of(rare().prop_map(Box::new)), said(), tied);
    let published = vec(of(published), COUNT);
    let lists = (published, vec(entries, 0..9), vec(0..1_u64 << 40, 0..33));
    let deadline = of(0..9_000_000_000_000_i64);
    (head, deadline, timestamp(), lists, parts).prop_map(
        |(head, deadline, first_seen_at, (published, mut entries, recent_events), parts)| {
            let (id, incarnation, seq, rules_revision, evaluated_at) = head;
            let mut told = [Published { since: first_seen_at, ..Published::default() }; COUNT];
            for (dimension, published) in Dimension::BUILT_IN.into_iter().zip(published) {
                let Some(published) = published else { continue };
                told[place(dimension)] = published;
                if published.value != 0 {
                    let count = incarnation % 3 + 1;
                    entries.push(Entries { dimension, value: published.value, count });
                }
            }
            entries.sort_by_key(|entry| (entry.dimension, entry.value));
            entries.dedup_by_key(|entry| (entry.dimension, entry.value));
            let (orders, rare, said, (heard_at, ties, contacts)) = parts;
            let heard_at = if id.starts_with("anon:") {
                heard_at.unwrap_or(evaluated_at)
            } else {
                Timestamp::MIN
            };
            Customer {
                id,
                incarnation,
                seq,
                rules_revision,
                first_seen_at,
                evaluated_at,
                deadline: deadline.map_or(Timestamp::MAX, |after| evaluated_at.plus_ms(after)),
                published: told,
                entries,
                recent_events,
                book: OrderBook { orders, rare },
                heard_at,
                ties,
                contacts,
                ..said
            }
        },
    )
}

pub(crate) fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    let Value::Record(fields) = value else { panic!("{value:?} is no record") };
    let found = fields.iter().find(|(field, _)| field == name);
    &found.unwrap_or_else(|| panic!("no field {name}")).1
}

pub(crate) fn long(value: &Value) -> i64 {
    match value {
        Value::Long(value) => *value,
        Value::Int(value) => i64::from(*value),
        other => panic!("{other:?} is no number"),
    }
}

pub(crate) fn items(value: &Value) -> &[Value] {
    let Value::Array(items) = value else { panic!("{value:?} is no array") };
    items
}

/// The branch of a union; `None` = null.
pub(crate) fn some(value: &Value) -> Option<&Value> {
    let Value::Union(branch, value) = value else { panic!("{value:?} is no union") };
    (*branch != 0).then_some(value)
}

fn check_avro(customer: &Customer, bytes: &[u8], schema: &Schema) -> Result<(), TestCaseError> {
    let mut rest = bytes;
    let reader = GenericDatumReader::builder(schema).build().expect("a resolved schema");
    let datum = reader.read_value(&mut rest).expect("a datum of the schema");
    prop_assert!(rest.is_empty(), "{} bytes left over", rest.len());
    let at = customer.evaluated_at.0;
    let mut times = Times::default();
    let mut told = |at| times.told(at);
    prop_assert_eq!(long(field(&datum, "evaluated_at")), told(customer.evaluated_at));
    let deadline = if customer.deadline == Timestamp::MAX { -1 } else { customer.deadline.0 - at };
    prop_assert_eq!(long(field(&datum, "deadline")), deadline);
    prop_assert_eq!(field(&datum, "id"), &Value::String(customer.id.to_string()));
    prop_assert_eq!(long(field(&datum, "seq")), i64::try_from(customer.seq).expect("few"));
    prop_assert_eq!(long(field(&datum, "first_seen_at")), told(customer.first_seen_at));
    let orders = items(field(&datum, "orders"));
    prop_assert_eq!(orders.len(), customer.book.orders.len());
    for (own, avro) in customer.book.orders.iter().zip(orders) {
        prop_assert_eq!(field(avro, "id"), &Value::Fixed(6, own.id.to_be_bytes()[2..].to_vec()));
        prop_assert_eq!(long(field(avro, "at")), told(own.base.at));
        prop_assert_eq!(long(field(avro, "amount_minor")), own.amount.amount_minor);
        let Marks { coupon, categories, channel } = own.marks;
        let marks = i64::from(coupon) + 2 * i64::from(channel) + 32 * i64::from(categories);
        let more = some(field(avro, "more"));
        if let Some(rare @ Value::Record(_)) = more {
            prop_assert_eq!(long(field(rare, "marks")), marks);
            prop_assert_eq!(field(rare, "cancelled"), &Value::Boolean(own.cancelled));
            let code = own.amount.currency.code().as_bytes().to_vec();
            prop_assert_eq!(field(rare, "currency"), &Value::Fixed(3, code));
            let refunds =
                some(field(rare, "changes")).map(|changes| items(field(changes, "refunds")).len());
            prop_assert_eq!(refunds, own.changes.as_ref().map(|changes| changes.refunds.len()));
            if let Some(changes) = &own.changes {
                changes.update.iter().for_each(|(stamp, _)| _ = told(stamp.at));
                changes.refunds.iter().for_each(|refund| _ = told(refund.stamp.at));
            }
        } else {
            prop_assert!(!own.cancelled && own.changes.is_none() && own.term.is_none());
            prop_assert_eq!(more.map_or(0, long), marks);
        }
    }
    check_published(customer, items(field(&datum, "published")), &mut times);
    let more = tied::check_avro(customer, field(&datum, "more"));
    let Some(more) = more else {
        prop_assert!(customer.recent_events.is_empty() && customer.book.rare.is_none());
        return Ok(());
    };
    prop_assert_eq!(items(field(more, "recent_events")).len(), customer.recent_events.len());
    let rare = some(field(more, "rare"));
    prop_assert_eq!(rare.is_some(), customer.book.rare.is_some());
    if let (Some(avro), Some(own)) = (rare, &customer.book.rare) {
        prop_assert_eq!(items(field(avro, "evicted")).len(), own.evicted.len());
        let before = field(avro, "before");
        prop_assert_eq!(long(field(before, "net_minor")), own.before.net_minor);
        for (own, avro) in own.parked.iter().zip(items(field(avro, "parked"))) {
            let stamp = field(avro, "stamp");
            prop_assert_eq!(long(field(stamp, "at")), times.told(own.stamp.at));
            prop_assert_eq!(long(field(avro, "parked_at")), times.told(own.parked_at));
        }
        prop_assert_eq!(items(field(avro, "subscriptions")).len(), own.subscriptions.len());
    }
    said::check_avro(customer, field(more, "said"));
    Ok(())
}

/// How times are told, by the words of the schema.
#[derive(Default)]
struct Times {
    new: Vec<Timestamp>,
}

impl Times {
    fn told(&mut self, at: Timestamp) -> i64 {
        if at == Timestamp::MIN {
            return 0;
        }
        let known = |place: usize| {
            let newest = (0..self.new.len()).rev().find(|new| new % 8 == place);
            newest.map_or(Timestamp(0), |new| self.new[new])
        };
        if let Some(place) = (0..8).find(|place| known(*place) == at) {
            return i64::try_from(place + 1).expect("few");
        }
        let before = self.new.last().map_or(0, |last| last.0) - at.0;
        self.new.push(at);
        if before < 0 { before } else { before + 9 }
    }
}

/// The dimensions that Avro reads are those that left their initial state, as the schema says.
fn check_published(customer: &Customer, told: &[Value], times: &mut Times) {
    let mut next = 0;
    for avro in told {
        let value = long(field(avro, "value"));
        let byte = |by: u32| u8::try_from(value >> by & 255).expect("a byte");
        let skipped = usize::from(byte(0) & 7);
        let place = if skipped == 7 { usize::from(byte(24)) } else { next + skipped };
        for (skipped, own) in customer.published.iter().enumerate().take(place).skip(next) {
            assert_eq!((skipped, *own), (skipped, customer.initial()));
        }
        next = place + 1;
        let own = customer.published[place];
        assert_eq!((byte(8), byte(16), byte(0) >> 7), (own.value, own.left, 0));
        assert_eq!(CauseKind::ALL[usize::from(byte(0) >> 3 & 15)], own.cause);
        let seen = if own.seq == 0 { 0 } else { own.value };
        let told = if own.told == seen { 0 } else { i64::from(own.told) + 1 };
        assert_eq!(value >> 32, told);
        assert_eq!(long(field(avro, "since")), times.told(own.since));
        assert_eq!(long(field(avro, "seq")).unsigned_abs(), own.seq);
    }
    assert!(customer.published.iter().skip(next).all(|own| *own == customer.initial()));
}

pub(crate) fn packed(customer: &Customer) -> Vec<u8> {
    let mut bytes = Vec::new();
    pack(customer, currency("EUR"), &mut bytes);
    bytes
}

fn schema() -> Schema {
    Schema::parse_str(include_str!("../../schemas/state.avsc")).expect("a schema")
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_customer_is_unpacked_as_it_was_and_is_a_datum_of_the_schema(own in customer()) {
        let bytes = packed(&own);
        let rates = rules().rates;
        prop_assert_eq!(peek(&bytes), Ok((own.deadline, &*own.id)));
        prop_assert_eq!(unpack(&bytes, &rates), Ok(own.clone()));
        check_avro(&own, &bytes, &schema())?;
        for damage in 0..bytes.len().min(300) {
            prop_assert!(unpack(&bytes[..damage], &rates).is_err());
        }
    }

    #[test]
    fn nothing_of_the_customer_before_is_left_in_the_memory(
        customers in vec(customer(), 2), cut in any::<prop::sample::Index>(),
    ) {
        let rates = rules().rates;
        let (before, bytes) = (packed(&customers[0]), packed(&customers[1]));
        let mut memory = Customer::default();
        // Whoever was read in part leaves nothing behind either.
        for before in [&before[..], &before[..cut.index(before.len())]] {
            let _answer = unpack_into(&mut memory, before, &rates);
            prop_assert_eq!(unpack_into(&mut memory, &bytes, &rates), Ok(()));
            prop_assert_eq!(&memory, &customers[1]);
        }
    }

    #[test]
    fn a_customer_with_a_history_is_unpacked_as_it_was(
        (events, arrivals) in workload::shuffled(1..40),
        other_map in any::<bool>(),
        flips in vec((any::<prop::sample::Index>(), 0..8_u8), 1..20),
    ) {
        let rules = if other_map { klaviyo_rules() } else { rules() };
        let clock = events.iter().map(|event| event.occurred_at.0).max().expect("events");
        let own = applied(&arrivals, &rules, clock);
        let mut bytes = packed(&own);
        prop_assert_eq!(unpack(&bytes, &rules.rates), Ok(own.clone()));
        check_avro(&own, &bytes, &schema())?;
        for (place, bit) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            // Any answer will do; what it must not do is panic.
            let _answer = unpack(&bytes, &rules.rates);
        }
    }
}
