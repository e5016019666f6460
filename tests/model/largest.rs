//! The largest state that the bounds allow, part by part: orders alone stay below 64 KiB.
//!
//! Next: `packing.rs`, how a state is packed.

use crate::fixture::currency;
use crate::packing::packed;
use ebbflow::domain::customer::{Customer, MAX_RECENT_EVENTS};
use ebbflow::domain::decay::Decayed;
use ebbflow::domain::dimension::{Dimension, Entries};
use ebbflow::domain::facts::interactions::{DayCount, Interactions, SCORED_DAYS};
use ebbflow::domain::facts::meddic::{Element, MAX_EVIDENCE_BYTES, Meddic};
use ebbflow::domain::facts::older_orders::{EvictedOrder, OlderOrders};
use ebbflow::domain::facts::order::{
    MAX_REFUNDS, Marks, Order, OrderChanges, PaidTerm, Refund, Stamp,
};
use ebbflow::domain::facts::order_book::{
    MAX_EVICTED, MAX_ORDERS, MAX_PARKED, MAX_SUBSCRIPTIONS, Parked, ParkedRecord, RareParts,
};
use ebbflow::domain::facts::preferences::{self, MAX_PREFERENCES, Preference, Preferences};
use ebbflow::domain::facts::scored_kind::ScoredKind;
use ebbflow::domain::facts::signals::{Scored, Signals};
use ebbflow::domain::facts::spending::{MAX_TOUCH_DAYS, Spending};
use ebbflow::domain::facts::subscription::{MAX_PLAN_BYTES, MAX_PRICES, Price, Subscription};
use ebbflow::domain::facts::surveys::{
    self, Answers, MAX_PARTS, MAX_REASON_BYTES, MAX_REASONS, Part, Side, Surveys,
};
use ebbflow::domain::facts::traits::{self, Latest, MAX_PURPOSES, MAX_TRAITS, MAX_VALUE_BYTES};
use ebbflow::domain::id::EventKey;
use ebbflow::domain::money::Money;
use ebbflow::domain::time::{Day, Timestamp};

const AT: Timestamp = Timestamp(1_700_000_000_000);

const STAMP: Stamp = Stamp { at: AT, key: EventKey { prefix: u64::MAX, hash: u32::MAX } };

fn text(bytes: usize) -> Box<str> {
    "x".repeat(bytes).into()
}

fn orders(money: Money) -> (Vec<Order>, RareParts) {
    let refund = Refund { id: u64::MAX, stamp: STAMP, amount: Some(money) };
    let changes = OrderChanges {
        update: Some((STAMP, money)),
        refunds: vec![refund; MAX_REFUNDS],
        further_refunds_minor: i64::MAX,
    };
    let term =
        PaidTerm { subscription: u64::MAX, days: u32::MAX, own_amount: false, own_days: false };
    let order = Order {
        id: u64::MAX,
        base: STAMP,
        amount: money,
        term: Some(term),
        marks: Marks { coupon: true, categories: u8::MAX, channel: 8 },
        cancelled: false,
        changes: Some(Box::new(changes)),
    };
    let price = Price {
        stamp: STAMP,
        amount: Some(money),
        plan: Some(text(MAX_PLAN_BYTES)),
        term_days: Some(u32::MAX),
    };
    let subscription = Subscription {
        id: u64::MAX,
        latest_term: Some(STAMP),
        prices: vec![price; MAX_PRICES],
        cancelled_at: Some(STAMP),
        ended_at: Some(STAMP),
    };
    let what = ParkedRecord::Refund(u64::MAX, Some(money));
    let parked = Parked { order: u64::MAX, stamp: STAMP, parked_at: AT, what };
    let evicted = EvictedOrder {
        id: u64::MAX,
        day: AT.day(),
        net_minor: money.amount_minor,
        cancelled: false,
    };
    let rare = RareParts {
        evicted: vec![evicted; MAX_EVICTED],
        before: OlderOrders::default(),
        categories: u8::MAX,
        parked: vec![parked; MAX_PARKED],
        subscriptions: vec![subscription; MAX_SUBSCRIPTIONS],
    };
    (vec![order; MAX_ORDERS], rare)
}

fn said(customer: &mut Customer) {
    let decayed = Decayed { block: 5_000, sum: u64::MAX >> 1 };
    let review = Some(Scored { stamp: STAMP, score: 5 });
    customer.signals = Some(Box::new(Signals { review, ..Signals::default() }));
    let counts = (0..SCORED_DAYS).flat_map(|age| {
        let day = Day(AT.day().0 - age);
        ScoredKind::ALL.map(|kind| DayCount { day, kind, count: 1_000 })
    });
    customer.interactions = Some(Box::new(Interactions {
        total: u64::MAX,
        score: decayed,
        latest_day: AT.day(),
        counts: counts.collect(),
        contact_at: AT,
    }));
    let preference = Preference { name: text(preferences::MAX_NAME_BYTES), score: decayed };
    customer.preferences = Some(Box::new(Preferences {
        categories: vec![preference.clone(); MAX_PREFERENCES],
        channels: vec![preference; MAX_PREFERENCES],
    }));
    customer.spending = Some(Box::new(Spending {
        marketing_minor: i64::MAX,
        service_minor: i64::MAX,
        acquisition_minor: i64::MAX,
        touch_days: vec![(AT.day(), u32::MAX); MAX_TOUCH_DAYS],
        later_touches: u64::MAX,
    }));
    let answers = Answers {
        last: STAMP,
        score: Some(10),
        count: u64::MAX,
        sum: u64::MAX,
        reasons: vec![(STAMP, text(MAX_REASON_BYTES)); MAX_REASONS],
    };
    let name = text(surveys::MAX_NAME_BYTES);
    let part = Part { side: Side::AlternativeCost, name, at: AT, score: 10 };
    customer.surveys = Some(Box::new(Surveys {
        answers: [(); 6].map(|()| Some(Box::new(answers.clone()))),
        parts: vec![part; MAX_PARTS],
    }));
    let element = Element { at: AT, score: 3, evidence: text(MAX_EVIDENCE_BYTES) };
    customer.meddic = Some(Box::new(Meddic {
        elements: [(); 6].map(|()| Some(element.clone())),
        outcome: Some((AT, 2)),
    }));
    let name = || text(traits::MAX_NAME_BYTES);
    let traits = vec![(name(), AT, text(MAX_VALUE_BYTES)); MAX_TRAITS];
    customer.traits = Some(Box::new(Latest { entries: traits }));
    let consent = vec![(name(), AT, true); MAX_PURPOSES];
    customer.consent = Some(Box::new(Latest { entries: consent }));
}

#[test]
fn the_largest_state_that_the_bounds_allow_has_a_known_size() {
    let money = Money { amount_minor: 1_000_000_000_000_000, currency: currency("USD") };
    let mut customer = Customer::new(&"c".repeat(256), AT.plus_days(9_000), u32::MAX);
    customer.recent_events = vec![u64::MAX; MAX_RECENT_EVENTS];
    let values = (0..=u8::MAX).map(|value| (Dimension::Rfm, value));
    let entry = |(dimension, value)| Entries { dimension, value, count: u32::MAX };
    customer.entries = values.take(100).map(entry).collect();
    let head = packed(&customer).len();
    let (orders, rare) = orders(money);
    customer.book.orders = orders;
    let with_orders = packed(&customer).len();
    customer.book.rare = Some(Box::new(rare));
    let with_rare = packed(&customer).len();
    said(&mut customer);
    let bytes = packed(&customer).len();
    let parts = [head, with_orders - head, with_rare - with_orders, bytes - with_rare];
    let text = || format!("{bytes} bytes: head, orders, rare, said: {parts:?}");
    assert!(with_rare <= 64 * 1024, "{}", text());
    assert!(bytes <= 96 * 1024, "{}", text());
}
