//! Packed customers: unpacking gives the same customer, and Avro reads what the schema says.

use crate::fixture::{config, currency, klaviyo_rules, rules};
use crate::order::applied;
use crate::workload;
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use ebbflow::domain::customer::Customer;
use ebbflow::domain::dimension::{Dimension, Entries, Published};
use ebbflow::domain::facts::order::{Order, OrderChanges, Refund, Stamp};
use ebbflow::domain::facts::order_book::{
    EvictedOrder, OlderOrders, OrderBook, Parked, ParkedRecord, RareParts,
};
use ebbflow::domain::facts::signals::{Scored, Signals};
use ebbflow::domain::facts::subscription::{Price, Subscription};
use ebbflow::domain::id::EventKey;
use ebbflow::domain::money::Money;
use ebbflow::domain::pack::{pack, peek, unpack};
use ebbflow::domain::time::{Day, Timestamp};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

fn timestamp() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        8 => 0..4_000_000_000_000_i64,
        1 => -4_000_000_000_000_i64..0,
        1 => Just(0),
    ]
    .prop_map(Timestamp)
}

fn stamp() -> impl Strategy<Value = Stamp> {
    (timestamp(), any::<(u64, u32)>())
        .prop_map(|(at, (prefix, hash))| Stamp { at, key: EventKey { prefix, hash } })
}

fn money() -> impl Strategy<Value = Money> {
    (0..=1_000_000_000_000_000_i64, prop_oneof![Just("EUR"), Just("USD"), Just("JPY")])
        .prop_map(|(amount_minor, code)| Money { amount_minor, currency: currency(code) })
}

fn order() -> impl Strategy<Value = Order> {
    let refund = (any::<u64>(), stamp(), of(money())).prop_map(|(id, stamp, amount)| Refund {
        id,
        stamp,
        amount,
    });
    let changes = (of((stamp(), money())), vec(refund, 0..17), any::<i64>()).prop_map(
        |(update, refunds, further_refunds_minor)| {
            Box::new(OrderChanges { update, refunds, further_refunds_minor })
        },
    );
    (any::<u64>(), stamp(), money(), of(any::<u64>()), any::<bool>(), of(changes)).prop_map(
        |(id, base, amount, priced_by, cancelled, changes)| Order {
            id,
            base,
            amount,
            priced_by,
            cancelled,
            changes,
        },
    )
}

fn rare() -> impl Strategy<Value = RareParts> {
    let day = || (-50_000..80_000_i64).prop_map(Day);
    let evicted = (any::<u64>(), day(), 0..=1_000_000_000_000_000_i64, any::<bool>())
        .prop_map(|(id, day, net_minor, cancelled)| EvictedOrder { id, day, net_minor, cancelled });
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
        (any::<u64>(), of(money())).prop_map(|(id, amount)| ParkedRecord::Refund(id, amount)),
    ];
    let parked = (any::<u64>(), stamp(), timestamp(), what)
        .prop_map(|(order, stamp, parked_at, what)| Parked { order, stamp, parked_at, what });
    let price = (stamp(), of(money()), of(any::<u64>()), of(any::<u32>()))
        .prop_map(|(stamp, amount, plan, term_days)| Price { stamp, amount, plan, term_days });
    let subscription = (any::<u64>(), of(stamp()), vec(price, 0..9), of(stamp()), of(stamp()))
        .prop_map(|(id, latest_term, prices, cancelled_at, ended_at)| Subscription {
            id,
            latest_term,
            prices,
            cancelled_at,
            ended_at,
        });
    (vec(evicted, 0..20), before, vec(parked, 0..17), vec(subscription, 0..4)).prop_map(
        |(evicted, before, parked, subscriptions)| RareParts {
            evicted,
            before,
            parked,
            subscriptions,
        },
    )
}

fn signals() -> impl Strategy<Value = Signals> {
    let never = || prop_oneof![3 => timestamp(), 1 => Just(Timestamp::MIN)];
    let scored = || (stamp(), 0..=10_u8).prop_map(|(stamp, score)| Scored { stamp, score });
    let times = (never(), never(), never(), never());
    ([never(), never(), never()], of(scored()), of(scored()), times).prop_map(
        |(product_views, nps, review, (considered_at, referral_at, good_review_at, shared_at))| {
            Signals {
                product_views,
                considered_at,
                referral_at,
                nps,
                review,
                good_review_at,
                shared_at,
            }
        },
    )
}

fn customer() -> impl Strategy<Value = Customer> {
    let published = || {
        (prop_oneof![Just(0_u8), any::<u8>()], timestamp(), 0..1_000_000_u64)
            .prop_map(|(value, since, seq)| Published { value, since, seq })
    };
    let entries =
        (prop_oneof![Just(Dimension::Rfm), Just(Dimension::Lifecycle)], any::<u8>(), any::<u32>())
            .prop_map(|(dimension, value, count)| Entries { dimension, value, count });
    let head = ("\\PC{1,40}", any::<u32>(), 0..1_000_000_u64, any::<u32>(), timestamp());
    let parts =
        (vec(order(), 0..6), of(rare().prop_map(Box::new)), of(signals().prop_map(Box::new)));
    let lists = ([published(), published()], vec(entries, 0..9), vec(any::<u64>(), 0..33));
    (head, of(0..9_000_000_000_000_i64), lists, parts).prop_map(
        |((id, incarnation, seq, rules_revision, evaluated_at), deadline, lists, parts)| {
            let (published, mut entries, recent_events) = lists;
            for (dimension, published) in Dimension::ALL.into_iter().zip(&published) {
                if published.value != 0 {
                    entries.push(Entries {
                        dimension,
                        value: published.value,
                        count: incarnation % 3 + 1,
                    });
                }
            }
            entries.sort_by_key(|entry| (entry.dimension, entry.value));
            entries.dedup_by_key(|entry| (entry.dimension, entry.value));
            let (orders, rare, signals) = parts;
            Customer {
                id,
                incarnation,
                seq,
                rules_revision,
                evaluated_at,
                deadline: deadline.map_or(Timestamp::MAX, |after| evaluated_at.plus_ms(after)),
                published,
                entries,
                recent_events,
                book: OrderBook { orders, rare },
                signals,
            }
        },
    )
}

fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    let Value::Record(fields) = value else { panic!("{value:?} is no record") };
    let found = fields.iter().find(|(field, _)| field == name);
    &found.unwrap_or_else(|| panic!("no field {name}")).1
}

fn long(value: &Value) -> i64 {
    match value {
        Value::Long(value) => *value,
        Value::Int(value) => i64::from(*value),
        other => panic!("{other:?} is no number"),
    }
}

fn items(value: &Value) -> &[Value] {
    let Value::Array(items) = value else { panic!("{value:?} is no array") };
    items
}

/// The branch of a union; `None` = null.
fn some(value: &Value) -> Option<&Value> {
    let Value::Union(branch, value) = value else { panic!("{value:?} is no union") };
    (*branch != 0).then_some(value)
}

fn check_avro(customer: &Customer, bytes: &[u8], schema: &Schema) -> Result<(), TestCaseError> {
    let mut rest = bytes;
    let reader = GenericDatumReader::builder(schema).build().expect("a resolved schema");
    let datum = reader.read_value(&mut rest).expect("a datum of the schema");
    prop_assert!(rest.is_empty(), "{} bytes left over", rest.len());
    let at = customer.evaluated_at.0;
    prop_assert_eq!(long(field(&datum, "evaluated_at")), at);
    let deadline = if customer.deadline == Timestamp::MAX { -1 } else { customer.deadline.0 - at };
    prop_assert_eq!(long(field(&datum, "deadline")), deadline);
    prop_assert_eq!(field(&datum, "id"), &Value::String(customer.id.to_string()));
    prop_assert_eq!(long(field(&datum, "seq")), i64::try_from(customer.seq).expect("few"));
    let published = items(field(&datum, "published"));
    for (own, avro) in customer.published.iter().zip(published) {
        prop_assert_eq!(long(field(avro, "value")), i64::from(own.value));
        prop_assert_eq!(long(field(avro, "since")), at - own.since.0);
    }
    let orders = items(field(&datum, "orders"));
    prop_assert_eq!(orders.len(), customer.book.orders.len());
    for (own, avro) in customer.book.orders.iter().zip(orders) {
        prop_assert_eq!(field(avro, "id"), &Value::Fixed(8, own.id.to_be_bytes().to_vec()));
        prop_assert_eq!(long(field(avro, "at")), at - own.base.at.0);
        prop_assert_eq!(long(field(avro, "amount_minor")), own.amount.amount_minor);
        if let Some(rare) = some(field(avro, "rare")) {
            prop_assert_eq!(field(rare, "cancelled"), &Value::Boolean(own.cancelled));
            let code = own.amount.currency.code().as_bytes().to_vec();
            prop_assert_eq!(field(rare, "currency"), &Value::Fixed(3, code));
            let refunds =
                some(field(rare, "changes")).map(|changes| items(field(changes, "refunds")).len());
            prop_assert_eq!(refunds, own.changes.as_ref().map(|changes| changes.refunds.len()));
        } else {
            prop_assert!(!own.cancelled && own.changes.is_none());
        }
    }
    let rare = some(field(&datum, "rare"));
    prop_assert_eq!(rare.is_some(), customer.book.rare.is_some());
    if let (Some(avro), Some(own)) = (rare, &customer.book.rare) {
        prop_assert_eq!(items(field(avro, "evicted")).len(), own.evicted.len());
        let before = field(avro, "before");
        prop_assert_eq!(long(field(before, "net_minor")), own.before.net_minor);
        for (own, avro) in own.parked.iter().zip(items(field(avro, "parked"))) {
            prop_assert_eq!(long(field(avro, "parked_at")), own.parked_at.0);
            prop_assert_eq!(long(field(field(avro, "stamp"), "at")), own.stamp.at.0);
        }
        prop_assert_eq!(items(field(avro, "subscriptions")).len(), own.subscriptions.len());
    }
    let signals = some(field(&datum, "signals"));
    prop_assert_eq!(
        signals.map(|signals| long(field(signals, "shared_at"))),
        customer.signals.as_ref().map(|signals| signals.shared_at.0)
    );
    Ok(())
}

fn packed(customer: &Customer) -> Vec<u8> {
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

/// Section 3: the state of one customer has a hard cap of 64 KiB.
#[test]
fn the_largest_state_that_the_bounds_allow_is_below_its_cap() {
    let at = Timestamp(1_700_000_000_000);
    let stamp = Stamp { at, key: EventKey { prefix: u64::MAX, hash: u32::MAX } };
    let money = Money { amount_minor: 1_000_000_000_000_000, currency: currency("USD") };
    let refund = Refund { id: u64::MAX, stamp, amount: Some(money) };
    let changes = OrderChanges {
        update: Some((stamp, money)),
        refunds: vec![refund; 16],
        further_refunds_minor: i64::MAX,
    };
    let order = Order {
        id: u64::MAX,
        base: stamp,
        amount: money,
        priced_by: Some(u64::MAX),
        cancelled: false,
        changes: Some(Box::new(changes)),
    };
    let price =
        Price { stamp, amount: Some(money), plan: Some(u64::MAX), term_days: Some(u32::MAX) };
    let subscription = Subscription {
        id: u64::MAX,
        latest_term: Some(stamp),
        prices: vec![price; 8],
        cancelled_at: Some(stamp),
        ended_at: Some(stamp),
    };
    let what = ParkedRecord::Refund(u64::MAX, Some(money));
    let parked = Parked { order: u64::MAX, stamp, parked_at: at, what };
    let evicted = EvictedOrder {
        id: u64::MAX,
        day: at.day(),
        net_minor: money.amount_minor,
        cancelled: false,
    };
    let scored = Scored { stamp, score: 10 };
    let signals = Signals { nps: Some(scored), review: Some(scored), ..Signals::default() };
    let mut customer = Customer::new(&"c".repeat(256), at.plus_days(9_000), u32::MAX);
    customer.recent_events = vec![u64::MAX; 32];
    let values = (0..=u8::MAX).map(|value| (Dimension::Rfm, value));
    let entry = |(dimension, value)| Entries { dimension, value, count: u32::MAX };
    customer.entries = values.take(70).map(entry).collect();
    customer.book.orders = vec![order; 64];
    customer.book.rare = Some(Box::new(RareParts {
        evicted: vec![evicted; 512],
        before: OlderOrders::default(),
        parked: vec![parked; 16],
        subscriptions: vec![subscription; 8],
    }));
    customer.signals = Some(Box::new(signals));
    let bytes = packed(&customer).len();
    assert!(bytes <= 64 * 1024, "{bytes} bytes");
}
