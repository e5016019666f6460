//! The largest state that the bounds allow: it stays below the cap of 64 KiB.
//!
//! Next: `packing.rs`, how a state is packed.

use crate::fixture::currency;
use crate::packing::packed;
use ebbflow::domain::change::CauseKind;
use ebbflow::domain::customer::{Customer, InAudience, MAX_RECENT_EVENTS};
use ebbflow::domain::decay::Decayed;
use ebbflow::domain::dimension::{Dimension, Entries, Published};
use ebbflow::domain::facts::contacts::{Contact, Contacts, MAX_CONTACTS};
use ebbflow::domain::facts::interactions::{DayCount, Interactions, SCORED_DAYS};
use ebbflow::domain::facts::meddic::{Element, MAX_EVIDENCE_BYTES, Meddic};
use ebbflow::domain::facts::older_orders::{EvictedOrder, MAX_EVICTED_TERMS, OlderOrders};
use ebbflow::domain::facts::order::{
    MAX_REFUNDS, Marks, Order, OrderChanges, PaidTerm, Refund, Stamp,
};
use ebbflow::domain::facts::order_book::{
    MAX_ALL_REFUNDS, MAX_EVICTED, MAX_ORDERS, MAX_PARKED, MAX_SUBSCRIPTIONS, Parked, ParkedRecord,
    RareParts,
};
use ebbflow::domain::facts::preferences::{self, MAX_PREFERENCES, Preference, Preferences};
use ebbflow::domain::facts::scored_kind::ScoredKind;
use ebbflow::domain::facts::signals::{Scored, Signals};
use ebbflow::domain::facts::spending::{MAX_TOUCH_DAYS, Spending};
use ebbflow::domain::facts::subscription::{MAX_PLAN_BYTES, MAX_PRICES, Price, Subscription};
use ebbflow::domain::facts::surveys::{
    self, Answers, MAX_PARTS, MAX_REASON_BYTES, MAX_REASONS, Part, Side, Surveys,
};
use ebbflow::domain::facts::ties::{
    Heard, MAX_ALIAS_BYTES, MAX_ALIASES, MAX_MEMBERSHIP_BYTES, MAX_MEMBERSHIPS, MAX_REFERRED,
    MAX_REFERRED_BYTES, Membership, Referrer, Ties,
};
use ebbflow::domain::facts::traits::{self, Latest, MAX_PURPOSES, MAX_TRAITS, MAX_VALUE_BYTES};
use ebbflow::domain::id::{ACCOUNT_PREFIX, ANONYMOUS_PREFIX, EventKey};
use ebbflow::domain::money::Money;
use ebbflow::domain::names::MAX_NAMES;
use ebbflow::domain::time::{Day, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering};

const AT: Timestamp = Timestamp(1_700_000_000_000);

/// The longest term that a record may name.
const TERM_DAYS: u32 = 36_525;

/// A time far from the one before, none of which is told twice: they take the most bytes.
fn at(n: usize) -> Timestamp {
    static TOLD: AtomicI64 = AtomicI64::new(0);
    let told = TOLD.fetch_add(1, Ordering::Relaxed);
    AT.plus_days(if n.is_multiple_of(2) { 0 } else { -9_000 }).plus_ms(told)
}

fn stamp(n: usize) -> Stamp {
    Stamp { at: at(n), key: EventKey(u32::MAX) }
}

/// As many as there may be, of alternating times.
fn many<T>(count: usize, item: impl Fn(usize) -> T) -> Vec<T> {
    (0..count).map(item).collect()
}

fn text(bytes: usize) -> Box<str> {
    "x".repeat(bytes).into()
}

fn orders(money: Money) -> (Vec<Order>, RareParts) {
    let refund = |n| Refund { id: u64::MAX, stamp: stamp(n), amount: Some(money) };
    let changes = |refunds| OrderChanges {
        update: Some((stamp(1), money)),
        refunds: many(refunds, refund),
        further_refunds_minor: i64::MAX,
    };
    let term =
        PaidTerm { subscription: u64::MAX, days: TERM_DAYS, own_amount: false, own_days: false };
    let order = |n| Order {
        id: u64::MAX,
        base: stamp(n),
        amount: money,
        term: Some(term),
        marks: Marks { coupon: true, categories: u8::MAX, channel: 8 },
        cancelled: false,
        changes: Some(Box::new(changes(if n < MAX_ALL_REFUNDS / MAX_REFUNDS {
            MAX_REFUNDS
        } else {
            0
        }))),
    };
    let price = |n| Price {
        stamp: stamp(n),
        amount: Some(money),
        plan: Some(text(MAX_PLAN_BYTES)),
        term_days: Some(TERM_DAYS),
    };
    let subscription = |_| Subscription {
        id: u64::MAX,
        latest_term: Some(stamp(1)),
        // The last amount, plan and length before the latest.
        prices: many(MAX_PRICES + 3, price),
        cancelled_at: Some(stamp(1)),
        ended_at: Some(stamp(0)),
    };
    let what = ParkedRecord::Refund(u64::MAX, Some(money));
    let parked = |_| Parked { order: u64::MAX, stamp: stamp(1), parked_at: at(0), what };
    let evicted = |n| EvictedOrder {
        id: u64::MAX,
        day: AT.day(),
        net_minor: money.amount_minor,
        cancelled: false,
        term: (n < MAX_EVICTED_TERMS).then_some((u64::MAX, TERM_DAYS)),
    };
    let rare = RareParts {
        evicted: many(MAX_EVICTED, evicted),
        before: OlderOrders::default(),
        categories: u8::MAX,
        parked: many(MAX_PARKED, parked),
        subscriptions: many(MAX_SUBSCRIPTIONS, subscription),
    };
    (many(MAX_ORDERS, order), rare)
}

fn said(customer: &mut Customer) {
    let decayed = Decayed { block: 5_000, sum: u64::MAX >> 1 };
    customer.signals = Some(Box::new(Signals {
        product_views: [at(0), at(1), at(0)],
        considered_at: at(1),
        referral_at: at(0),
        review: Some(Scored { stamp: stamp(1), score: 5 }),
        good_review_at: at(0),
        shared_at: at(1),
    }));
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
        last: stamp(0),
        score: Some(10),
        count: u64::MAX,
        scored: u64::MAX,
        sum: u64::MAX,
        reasons: many(MAX_REASONS, |n| (stamp(n + 1), text(MAX_REASON_BYTES))),
    };
    let name = text(surveys::MAX_NAME_BYTES);
    let part = |n| Part { side: Side::AlternativeCost, name: name.clone(), at: at(n), score: 10 };
    customer.surveys = Some(Box::new(Surveys {
        answers: [(); 6].map(|()| Some(Box::new(answers.clone()))),
        parts: many(MAX_PARTS, part),
    }));
    let element = |n| Element { at: at(n), score: 3, evidence: text(MAX_EVIDENCE_BYTES) };
    customer.meddic = Some(Box::new(Meddic {
        elements: [0, 1, 2, 3, 4, 5].map(|n| Some(element(n))),
        outcome: Some((at(0), 2)),
    }));
    let name = || text(traits::MAX_NAME_BYTES);
    let traits = many(MAX_TRAITS, |n| (name(), at(n), text(MAX_VALUE_BYTES)));
    customer.traits = Some(Box::new(Latest { entries: traits }));
    let consent = many(MAX_PURPOSES, |n| (name(), at(n), true));
    customer.consent = Some(Box::new(Latest { entries: consent }));
}

/// As many ids as there may be, of the most bytes together.
fn list(prefix: &'static str, bytes: usize, most: usize) -> Vec<Heard> {
    let id = |n| format!("{prefix}{n:02}{}", "x".repeat(bytes / most - prefix.len() - 2));
    many(most, |n| Heard { id: id(n), at: at(n) })
}

fn ties() -> Ties {
    let accounts = list(ACCOUNT_PREFIX, MAX_MEMBERSHIP_BYTES, MAX_MEMBERSHIPS);
    let membership = |heard: Heard| Membership {
        account: heard.id,
        first_at: heard.at,
        last_at: at(0),
        told_left: true,
    };
    let (id, key) = ("c".repeat(256), EventKey(u32::MAX));
    Ties {
        aliases: list(ANONYMOUS_PREFIX, MAX_ALIAS_BYTES, MAX_ALIASES),
        memberships: accounts.into_iter().map(membership).collect(),
        referrer: Some(Referrer { id, at: at(0), key, credited_minor: i64::MAX }),
        referred: list("", MAX_REFERRED_BYTES, MAX_REFERRED),
        accepted: u32::MAX,
        referred_revenue_minor: i64::MIN,
    }
}

fn contacts() -> Contacts {
    let contact = |n| Contact {
        hash: u64::MAX,
        first_at: at(n),
        last_at: at(n + 1),
        elsewhere_at: at(n),
        champion: Some((stamp(n + 1), 3)),
    };
    Contacts { list: many(MAX_CONTACTS, contact) }
}

#[test]
fn the_largest_state_that_the_bounds_allow_has_a_known_size() {
    let money = Money { amount_minor: 1_000_000_000_000_000, currency: currency("USD") };
    let mut customer = Customer::new(&"c".repeat(256), AT.plus_days(9_000), u32::MAX);
    customer.recent_events = vec![u64::MAX; MAX_RECENT_EVENTS];
    let entry = |dimension, value| Entries { dimension, value, count: u32::MAX };
    let (cause, seq) = (CauseKind::Dwell, 1 << 40);
    let told = |n| Published { value: 1, left: 2, told: 3, cause, since: at(n), seq };
    for (n, dimension) in Dimension::BUILT_IN.into_iter().enumerate() {
        *customer.published_mut(dimension) = told(n);
        customer.entries.extend((0..12).map(|value| entry(dimension, value)));
    }
    let names = u8::try_from(MAX_NAMES).expect("a byte");
    customer.entries.extend((12..names).map(|value| entry(Dimension::Rfm, value)));
    customer.entries.sort_by_key(|entry| (entry.dimension, entry.value));
    for number in 0..names {
        let published = told(usize::from(number));
        customer.audiences.push(InAudience { number, raw: true, published });
        customer.entries.extend((0..2).map(|value| entry(Dimension::Audience(number), value)));
    }
    let head = packed(&customer).len();
    let (orders, rare) = orders(money);
    customer.book.orders = orders;
    let with_orders = packed(&customer).len();
    customer.book.rare = Some(Box::new(rare));
    let with_rare = packed(&customer).len();
    said(&mut customer);
    let with_said = packed(&customer).len();
    customer.ties = Some(Box::new(ties()));
    let bytes = packed(&customer).len();
    let orders = [with_orders - head, with_rare - with_orders];
    let rest = [with_said - with_rare, bytes - with_said];
    let parts = format!("head {head}, orders, rare {orders:?}, said, tied {rest:?}");
    assert!(bytes <= 64 * 1024, "{bytes} bytes: {parts}");
    // An account has contacts; ties, traits and consent are those of persons.
    (customer.ties, customer.traits, customer.consent) = (None, None, None);
    customer.contacts = Some(Box::new(contacts()));
    let bytes = packed(&customer).len();
    assert!(bytes <= 64 * 1024, "{bytes} bytes of an account: {parts}");
}
