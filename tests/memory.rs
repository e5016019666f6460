//! Heap bytes of a customer with three orders, by part; and that unpacking never allocates wildly.
//!
//! Counts the blocks of the allocator that the program uses, whole.
//! A million customers with `cargo test --release`, 100,000 without.

#![expect(unsafe_code, reason = "a global allocator cannot be written without")]

#[path = "model/fixture.rs"]
#[expect(dead_code, reason = "shared with the model tests")]
mod fixture;

use ebbflow::domain::customer::Customer;
use ebbflow::domain::event::{
    Body, CostKind, Interaction, Item, MeddicElement, MessageKind, Purchase, Qualification, Survey,
    VisitKind,
};
use ebbflow::domain::id::{hash64, salted_id};
use ebbflow::domain::mark::Mark;
use ebbflow::domain::pack::{pack, peek, unpack};
use ebbflow::domain::time::{DAY_MS, Timestamp};
use ebbflow::task::EventRecord;
use ebbflow::task::marks::{MARK_BYTES, Marks, TO_BYTES};
use ebbflow::task::store::OVERHEAD_BYTES;
use ebbflow::task::timers::Timers;
use fixture::{T0, currency, eur, event, nps, ordered, refunded, rules, task, updated};
use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::Arc;

/// The bar: heap bytes per customer, all included.
const LIMIT_BYTES: usize = 256;
/// The same where all dimensions are in use.
const ALL_LIMIT_BYTES: usize = 600;

struct Counting;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

/// Bytes of the block at a pointer.
fn taken(block: *const u8) -> usize {
    // SAFETY: only called with blocks of this allocator that are in use.
    unsafe { MiMalloc.usable_size(block) }
}

// SAFETY: every call is passed on to the allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.set(LARGEST.get().max(layout.size()));
        ALLOCATED.set(ALLOCATED.get() + layout.size());
        // SAFETY: the caller's promises are passed on.
        let block = unsafe { MiMalloc.alloc(layout) };
        LIVE.set(LIVE.get().wrapping_add(taken(block)));
        block
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get().wrapping_sub(taken(pointer)));
        // SAFETY: the caller's promises are passed on.
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn customer_id(n: u64, long: bool) -> String {
    if long { format!("c_{n:019}") } else { format!("customer-{n:06}") }
}

/// Customers with three orders each, in time order, all due timers fired; bytes per customer.
fn check_customers(count: u64, long: bool) {
    let rules = Arc::new(rules());
    let before = LIVE.get();
    let mut task = task(&rules);
    let mut offset = 0;
    for round in 0..3 {
        for n in 0..count {
            let spread = i64::try_from(n * 45 * DAY_MS.unsigned_abs() / count).expect("a length");
            let at = Timestamp(T0 + round * 45 * DAY_MS + spread);
            let amount = 1_000 + i64::try_from(hash64(&format!("{n}")) % 20_000).expect("few");
            let id = customer_id(n, long);
            let order = ordered(&format!("order-{offset:09}"), eur(amount));
            let event =
                event(&format!("evt-{:016x}", hash64(&format!("{offset}"))), &id, at, order);
            task.advance_to(at);
            task.fire_timers(usize::MAX, None).expect("readable states");
            let record = EventRecord {
                input: 1,
                topic: &"purchases".into(),
                offset,
                event: &event,
                at,
                value: &[],
            };
            task.handle_event(&record, None).expect("an event of this partition");
            offset += 1;
            // Small transactions: what they need for themselves is no part of a customer.
            if offset % 50 == 0 || n + 1 == count {
                task.take_changes().for_each(drop);
                task.pack(|_, _, _| {});
                task.commit().expect("readable states");
            }
        }
    }
    let total = LIVE.get() - before;
    let store = task.store();
    let customers = store.len();
    let per = |bytes: usize| bytes / customers;

    let (mut ids, mut orders, mut packed, mut chunks, mut dimensions) = (0, 0, 0, 0, 0);
    let mut bytes = Vec::new();
    let mut size = |customer: &ebbflow::domain::customer::Customer| {
        bytes.clear();
        pack(customer, currency("EUR"), &mut bytes);
        bytes.len()
    };
    let mut deadlines = Vec::new();
    for key in store.keys_from(0) {
        let state = store.committed().get(&key).expect("a state");
        packed += state.len();
        chunks += taken(state.as_ptr());
        deadlines.push((peek(&state).expect("a customer").0, key));
        let mut customer = unpack(&state, &rules.rates).expect("a customer");
        ids += customer.id.len() + 1;
        let whole = size(&customer);
        customer.book.orders.clear();
        let without_orders = size(&customer);
        orders += whole - without_orders;
        customer.entries.clear();
        dimensions += without_orders - size(&customer) + customer.published.len() * 7 + 2;
    }
    let before = LIVE.get();
    let mut timers = Timers::default();
    deadlines.sort_unstable_by_key(|(_, key)| *key);
    for (deadline, key) in &deadlines {
        timers.reschedule(*key, Timestamp::MAX, *deadline);
    }
    let timer = LIVE.get() - before;
    let slot = total.saturating_sub(chunks + timer);
    #[expect(clippy::print_stdout, reason = "the table of ARCHITECTURE.md is made of this line")]
    {
        println!(
            "{customers} customers, id {}: total {} = id {} + order book {} + dimensions {} + rest of \
         the state {} + allocation {} + map slot {} + timer {}",
            customer_id(0, long),
            per(total),
            per(ids),
            per(orders),
            per(dimensions),
            per(packed.saturating_sub(ids + orders + dimensions)),
            per(chunks - packed),
            per(slot),
            per(timer),
        );
    }
    assert!(per(total) <= LIMIT_BYTES, "{} bytes per customer", per(total));
    let overhead = per(total - packed);
    let stated = usize::try_from(OVERHEAD_BYTES).expect("few");
    assert!(overhead.abs_diff(stated) <= 24, "overhead {overhead}, stated {stated}");
}

#[test]
fn a_customer_with_three_orders_fits_into_its_budget() {
    check_customers(100_000, true);
    if !cfg!(debug_assertions) {
        check_customers(100_000, false);
        check_customers(1_000_000, true);
    }
}

/// Visits of a customer in whom all dimensions are in use.
const VISITS: usize = 6;

/// What a customer does in whom all dimensions are in use: three orders with categories, channel
/// and coupon, two surveys, two traits, a consent, a cost, a message, six visits.
fn whole_life(n: u64) -> Vec<Body<'static>> {
    let visit = |kind| {
        let (category, channel) = (Some("shoes".into()), Some("web".into()));
        Body::Interaction(Interaction::Visit { kind, sku: None, category, channel })
    };
    let order = |m: u64| {
        let item = |category: &'static str| Item {
            sku: None,
            category: Some(category.into()),
            quantity: None,
            amount_minor: None,
        };
        Body::Purchase(Purchase::OrderCompleted {
            order_id: format!("order-{n:06}-{m}").into(),
            amount: eur(4_000),
            channel: Some("web".into()),
            coupon: (m == 0).then(|| "SPRING".into()),
            items: vec![item(["shoes", "bags", "hats"][usize::try_from(m % 3).expect("few")])],
        })
    };
    let said = Body::Interaction;
    let mut bodies: Vec<_> = (0..3).map(order).collect();
    let survey = |survey, score, reason: Option<&'static str>| {
        let (score, reason) = (Some(score), reason.map(Into::into));
        said(Interaction::SurveyAnswered { survey, score, reason })
    };
    bodies.push(survey(Survey::Nps, 9, Some("quick and kind service")));
    bodies.push(survey(Survey::Csat, 4, None));
    bodies.push(said(Interaction::ProfileUpdated {
        traits: [("country", "AT"), ("plan", "gold")]
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
    }));
    bodies.push(said(Interaction::ConsentChanged {
        purposes: vec![("marketing:email".into(), true)],
    }));
    let (cost, amount) = (CostKind::Acquisition, eur(250));
    bodies.push(said(Interaction::CostRecorded { cost, amount }));
    let (campaign, channel) = (None, Some("email".into()));
    bodies.push(said(Interaction::Message { kind: MessageKind::Sent, campaign, channel }));
    // One customer in ten is a company.
    if n.is_multiple_of(10) {
        for element in [MeddicElement::Champion, MeddicElement::IdentifyPain] {
            let evidence = Some("met in person".into());
            let update = Qualification::Element { element, score: 3, evidence };
            bodies.push(said(Interaction::QualificationUpdated(update)));
        }
    }
    bodies.extend((0..VISITS).map(|m| {
        visit([VisitKind::ProductViewed, VisitKind::PageViewed, VisitKind::ProductAdded][m % 3])
    }));
    bodies
}

#[test]
fn a_customer_with_all_dimensions_in_use_fits_into_its_budget() {
    const CUSTOMERS: u64 = if cfg!(debug_assertions) { 10_000 } else { 1_000_000 };
    let rules = Arc::new(rules());
    let before = LIVE.get();
    let mut task = task(&rules);
    let mut offset = 0;
    // A step of all customers after the other, in time order; the visits are of the last days.
    let most = whole_life(0).len() - VISITS;
    let steps = (0..most).map(|m| (m, i64::try_from(m).expect("few") * 9));
    let visits = (0..VISITS).map(|m| (most + m, 120 + i64::try_from(m).expect("few") / 2));
    for (step, days) in steps.chain(visits) {
        let at = Timestamp(T0 + days * DAY_MS);
        task.advance_to(at);
        // Small transactions: what they need for themselves is no part of a customer.
        while task.fire_timers(50, None).expect("readable states") > 0 {
            task.take_changes().for_each(drop);
            task.pack(|_, _, _| {});
            task.commit().expect("readable states");
        }
        for n in 0..CUSTOMERS {
            let mut bodies = whole_life(n);
            let said = bodies.len() - VISITS;
            let place = if step < most { step } else { said + step - most };
            if step >= said && step < most {
                continue;
            }
            let body = bodies.swap_remove(place);
            let event = event(&format!("evt-{n:08}-{step:03}"), &customer_id(n, true), at, body);
            let record = EventRecord {
                input: 1,
                topic: &"purchases".into(),
                offset,
                event: &event,
                at,
                value: &[],
            };
            task.handle_event(&record, None).expect("an event of this partition");
            offset += 1;
            if offset % 50 == 0 {
                task.take_changes().for_each(drop);
                task.pack(|_, _, _| {});
                task.commit().expect("readable states");
            }
        }
    }
    task.take_changes().for_each(drop);
    task.pack(|_, _, _| {});
    task.commit().expect("readable states");
    let customers = usize::try_from(CUSTOMERS).expect("few");
    let total = (LIVE.get() - before) / customers;
    let mut parts: Vec<(&str, usize)> = Vec::new();
    let mut packed = 0;
    let store = task.store();
    for key in store.keys_from(0) {
        let state = store.committed().get(&key).expect("a state");
        packed += state.len();
        let whole = unpack(&state, &rules.rates).expect("a customer");
        let mut without = |name, change: fn(&mut Customer)| {
            let mut customer = whole.clone();
            change(&mut customer);
            let mut bytes = Vec::new();
            pack(&customer, currency("EUR"), &mut bytes);
            let saved = state.len() - bytes.len();
            match parts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += saved,
                None => parts.push((name, saved)),
            }
        };
        without("recent events", |it| it.recent_events.clear());
        without("orders", |it| it.book.orders.clear());
        without("signals", |it| it.signals = None);
        without("interactions", |it| it.interactions = None);
        without("preferences", |it| it.preferences = None);
        without("spending", |it| it.spending = None);
        without("surveys", |it| it.surveys = None);
        without("meddic", |it| it.meddic = None);
        without("traits", |it| it.traits = None);
        without("consent", |it| it.consent = None);
    }
    for (_, sum) in &mut parts {
        *sum /= customers;
    }
    println!(
        "{customers} customers with all dimensions in use: total {total} = packed {} + overhead {}; \
         of the packed bytes {parts:?}",
        packed / customers,
        total - packed / customers,
    );
    assert!(total <= ALL_LIMIT_BYTES, "{total} bytes per customer: {parts:?}");
}

#[test]
fn a_mark_of_somebody_erased_takes_what_is_stated() {
    // The hash table is full, and half full.
    for count in [57_000_u64, 58_000] {
        let before = LIVE.get();
        let mut marks = Marks::default();
        for n in 0..count {
            let id = salted_id("salt", &customer_id(n, true));
            let until = Timestamp(T0 + i64::try_from(n).expect("few"));
            marks.set(id, Mark::erased(until));
            if n % 50 == 49 {
                marks.commit();
            }
        }
        let bytes = LIVE.get().wrapping_sub(before) as u64 / count;
        println!("{count} marks of erased customers: {bytes} bytes each");
        assert_eq!(marks.estimated_bytes(), count * MARK_BYTES);
        assert!(bytes.abs_diff(MARK_BYTES) <= 24, "{bytes} bytes, stated {MARK_BYTES}");
    }
}

#[test]
fn a_redirect_takes_what_is_stated() {
    let count = 50_000_u64;
    let before = LIVE.get();
    let mut marks = Marks::default();
    let mut texts = 0;
    for n in 0..count {
        let id = salted_id("salt", &customer_id(n, true));
        let until = Timestamp(T0 + i64::try_from(n).expect("few"));
        let to = customer_id(n + count, true);
        texts += to.len() as u64;
        marks.set(id, Mark { until, to: Some(to.into()) });
        if n % 50 == 49 {
            marks.commit();
        }
    }
    let bytes = LIVE.get().wrapping_sub(before) as u64 / count;
    println!("{count} redirects: {bytes} bytes each, {} of them the id", texts / count);
    let stated = marks.estimated_bytes() / count;
    assert_eq!(marks.estimated_bytes(), count * (MARK_BYTES + TO_BYTES) + texts);
    assert!(bytes.abs_diff(stated) <= 24, "{bytes} bytes, stated {stated}");
}

/// The largest state that the bounds allow, so that damage meets every part.
fn rare_bytes() -> Vec<u8> {
    let rules = Arc::new(rules());
    let mut task = task(&rules);
    let mut bodies = vec![nps(9)];
    for n in 0..80 {
        bodies.push(ordered(&format!("o{n}"), eur(100)));
        bodies.push(refunded(&format!("o{n}"), "r", Some(eur(1))));
        bodies.push(updated(&format!("p{n}"), eur(1)));
    }
    for (n, body) in (0..).zip(bodies) {
        let at = Timestamp(T0 + n * DAY_MS / 4);
        let event = event(&format!("e{n}"), "c", at, body);
        let record =
            EventRecord { input: 1, topic: &"t".into(), offset: n, event: &event, at, value: &[] };
        task.handle_event(&record, None).expect("an event of this partition");
    }
    let mut bytes = Vec::new();
    task.pack(|_, packed, _| bytes = packed.expect("a state").to_vec());
    bytes
}

#[test]
fn damaged_states_never_panic_nor_allocate_wildly() {
    let rules = rules();
    let bytes = rare_bytes();
    let check = |damaged: &[u8]| {
        LARGEST.set(0);
        ALLOCATED.set(0);
        let result = unpack(damaged, &rules.rates);
        assert!(LARGEST.get() <= 160 * bytes.len(), "{} bytes at once", LARGEST.get());
        assert!(ALLOCATED.get() <= 1_000 * bytes.len(), "{} bytes", ALLOCATED.get());
        result.is_ok()
    };
    assert!(check(&bytes));
    for length in (0..bytes.len()).step_by(3) {
        assert!(!check(&bytes[..length]), "{length} bytes are no state");
    }
    for place in (0..bytes.len()).step_by(3) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << (place % 8);
        check(&damaged);
        damaged.splice(place..place, [0xfe, 0xff, 0xff, 0xff, 0x0f]);
        check(&damaged);
    }
}
