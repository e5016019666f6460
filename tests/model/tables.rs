//! One case a line: orders, refunds, edges, bounds, the table of stages, directions.

use crate::fixture::caused;
use crate::fixture::place;
use crate::fixture::{
    T0, advance, cancelled, currency, day, eur, event, feed, klaviyo_rules, nps, ordered, refunded,
    renewed, reviewed, rules, started, taken, task, term, updated, visited,
};
use crate::order::{applied, computed, context};
use ebbflow::domain::apply::{Tally, apply};
use ebbflow::domain::change::CauseKind;
use ebbflow::domain::customer::Customer;
use ebbflow::domain::dimension::Dimension;
use ebbflow::domain::dimensions::lifecycle::{Stage, direction};
use ebbflow::domain::event::{Body, Event, Interaction, Purchase, Survey, VisitKind};
use ebbflow::domain::facts::order_book::{MAX_EVICTED, MAX_ORDERS, MAX_PARKED};
use ebbflow::domain::money::Money;
use ebbflow::domain::progress::Phase;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use ebbflow::task::ProfileWrite;
use std::sync::Arc;

/// `(days after T0, what)`.
type Lines = Vec<(i64, Body<'static>)>;

/// Events of one customer, ids in their order, `(days after T0, what)`.
fn events(list: Lines) -> Vec<Event<'static>> {
    (0..)
        .zip(list)
        .map(|(n, (days, body))| event(&format!("e{n:05}"), "c-0", day(days), body))
        .collect()
}

/// Applies events in their order and at their times; returns the customer and what was counted.
fn lived(events: &[Event<'static>]) -> (Customer, Tally) {
    let rules = rules();
    let mut customer = Customer::new("c-0", events[0].occurred_at, 1);
    let (mut tally, mut changes) = (Tally::default(), Vec::new());
    let mut clock = i64::MIN;
    for event in events {
        clock = clock.max(event.occurred_at.0);
        let context = context(&rules, clock);
        let at = event.occurred_at;
        apply(&mut customer, event, &caused(event, at), None, &context, (&mut tally, &mut changes));
    }
    (customer, tally)
}

#[expect(clippy::needless_pass_by_value, reason = "reads better at the calls")]
fn check_net(list: Lines, orders: u64, net_minor: i64) {
    let (customer, _) = lived(&events(list.clone()));
    let (_, facts) = computed(&customer, &rules(), T0 + 100 * DAY_MS);
    assert_eq!((facts.orders, facts.net_minor), (orders, net_minor), "{list:?}");
}

#[test]
fn net_is_the_amount_less_distinct_refunds() {
    let order = || (0, ordered("o", eur(100)));
    let usd = |amount_minor| Money { amount_minor, currency: currency("USD") };
    check_net(vec![order()], 1, 100);
    check_net(vec![order(), (1, refunded("o", "r", Some(eur(30))))], 1, 70);
    check_net(vec![order(), (1, refunded("o", "r", None))], 0, 0);
    check_net(vec![order(), (1, refunded("o", "r", Some(eur(300))))], 0, 0);
    let refund = |days, part| (days, refunded("o", "r", Some(eur(part))));
    check_net(vec![order(), refund(1, 30), refund(2, 50)], 1, 70);
    check_net(vec![order(), refund(2, 50), refund(1, 30)], 1, 70);
    check_net(vec![refund(1, 30), order()], 1, 70);
    check_net(vec![order(), (1, updated("o", eur(40))), refund(2, 30)], 1, 10);
    check_net(vec![order(), (2, updated("o", eur(40))), (1, updated("o", eur(70)))], 1, 40);
    check_net(vec![order(), (1, cancelled("o")), (2, updated("o", eur(70)))], 0, 0);
    check_net(vec![(0, ordered("o", eur(0)))], 0, 0);
    check_net(vec![order(), (1, ordered("o", eur(90)))], 1, 100);
    let foreign = || (0, ordered("o", usd(1_000)));
    check_net(vec![foreign()], 1, 911);
    let thirds = |n: u8, part| (i64::from(n), refunded("o", &format!("r{n}"), Some(usd(part))));
    check_net(vec![foreign(), thirds(1, 333), thirds(2, 333), thirds(3, 334)], 0, 0);
    check_net(vec![foreign(), (40, refunded("o", "r", Some(usd(500))))], 1, 456);
    check_net(vec![foreign(), (1, refunded("o", "r", Some(eur(11))))], 1, 900);
}

#[test]
fn the_seventeenth_refund_is_still_taken_off_and_counted_as_fallen_out() {
    let mut list = vec![(0, ordered("o", eur(1_000)))];
    list.extend((1..=17).map(|n| (n, refunded("o", &format!("r{n}"), Some(eur(10))))));
    let mut events = events(list);
    events.push(events[17].clone());
    events.push(events[3].clone());
    let (customer, tally) = lived(&events);
    let (_, facts) = computed(&customer, &rules(), T0 + 100 * DAY_MS);
    assert_eq!(facts.net_minor, 830);
    assert_eq!((tally.book.evicted, tally.duplicates), (1, 2));
}

#[test]
fn a_refund_above_the_rest_is_clipped_and_counted() {
    let list = vec![
        (0, ordered("o", eur(100))),
        (1, refunded("o", "r1", Some(eur(60)))),
        (2, refunded("o", "r2", Some(eur(60)))),
    ];
    let (_, tally) = lived(&events(list));
    assert_eq!(tally.book.clipped, 1);
}

#[test]
fn expected_gaps_are_shrunk_towards_ninety_days() {
    let cases: [(&[i64], Option<f64>, f64); 5] = [
        (&[0], None, 90.0),
        (&[0, 63], Some(63.0), 81.0),
        (&[0, 30, 63], Some(31.5), 60.75),
        (&[0, 0, 63, 63], Some(63.0), 81.0),
        (&[63, 0, 30], Some(31.5), 60.75),
    ];
    for (days, average, expected) in cases {
        let list = days.iter().enumerate();
        let list = list.map(|(n, days)| (*days, ordered(&format!("o{n}"), eur(100)))).collect();
        let (customer, _) = lived(&events(list));
        let (_, facts) = computed(&customer, &rules(), T0 + 70 * DAY_MS);
        assert_eq!((facts.average_gap_days, facts.expected_gap_days), (average, Some(expected)));
    }
}

#[test]
fn a_running_subscription_gives_its_term_as_gap() {
    let begin = || started(term("s", None, Some(eur(500)), Some(30)));
    let end = || Body::Purchase(Purchase::SubscriptionEnded { subscription_id: "s".into() });
    let cancel = || Body::Purchase(Purchase::SubscriptionCancelled { subscription_id: "s".into() });
    let renew = || renewed(term("s", None, None, None));
    let cases: [(Lines, i64, f64, u64); 7] = [
        (vec![(0, begin())], 33 * DAY_MS, 30.0, 1),
        (vec![(0, begin())], 33 * DAY_MS + 1, 90.0, 1),
        (vec![(0, begin()), (5, cancel())], 30 * DAY_MS, 30.0, 1),
        (vec![(0, begin()), (5, cancel())], 30 * DAY_MS + 1, 90.0, 1),
        (vec![(0, begin()), (5, end())], 5 * DAY_MS, 90.0, 1),
        (vec![(0, begin()), (5, cancel()), (30, renew())], 63 * DAY_MS, 30.0, 2),
        (vec![(0, begin()), (0, renew())], DAY_MS, 30.0, 1),
    ];
    for (list, at, expected, orders) in cases {
        let (customer, _) = lived(&events(list.clone()));
        let (_, facts) = computed(&customer, &rules(), T0 + at);
        assert_eq!((facts.expected_gap_days, facts.orders), (Some(expected), orders), "{list:?}");
    }
}

#[test]
fn a_renewal_without_amount_takes_the_price_set_before_it() {
    let list = vec![
        (0, started(term("s", None, Some(eur(500)), Some(30)))),
        (60, renewed(term("s", None, None, None))),
        (31, Body::Purchase(Purchase::SubscriptionChanged(term("s", None, Some(eur(700)), None)))),
        (30, renewed(term("s", None, None, None))),
    ];
    check_net(list, 3, 500 + 500 + 700);
}

#[test]
fn recency_edges_are_crossed_a_millisecond_after_their_days() {
    let customer = applied(&events(vec![(0, ordered("o", eur(100)))]), &rules(), T0);
    for (r, days) in [(4, 30), (3, 90), (2, 180), (1, 365)] {
        let score = |off| {
            let (_, facts) = computed(&customer, &rules(), T0 + days * DAY_MS + off);
            facts.scores.expect("scores").0
        };
        assert_eq!([score(-1), score(0), score(1)], [r + 1, r + 1, r], "{days} days");
    }
}

#[test]
fn values_equal_to_an_edge_are_not_above_it() {
    for (orders, f) in [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (8, 4), (9, 5)] {
        let list = (0..orders).map(|n| (n, ordered(&format!("o{n}"), eur(1)))).collect();
        let (customer, _) = lived(&events(list));
        let (_, facts) = computed(&customer, &rules(), T0 + 20 * DAY_MS);
        assert_eq!(facts.scores.expect("scores").1, f, "{orders} orders");
    }
    for (net, m) in [(4_999, 1), (5_000, 1), (5_001, 2), (15_000, 2), (15_001, 3), (100_001, 5)] {
        let customer = applied(&events(vec![(0, ordered("o", eur(net)))]), &rules(), T0);
        let (_, facts) = computed(&customer, &rules(), T0);
        assert_eq!(facts.scores.expect("scores").2, m, "{net}");
    }
}

#[test]
fn an_order_leaves_the_window_a_millisecond_after_its_length() {
    let list = vec![(0, ordered("o0", eur(900))), (10, ordered("o1", eur(100)))];
    let (customer, _) = lived(&events(list));
    let rules = klaviyo_rules();
    let cases = [
        (60 * DAY_MS, (2, 500)),
        (60 * DAY_MS + 1, (1, 100)),
        (70 * DAY_MS, (1, 100)),
        (70 * DAY_MS + 1, (0, 0)),
    ];
    for (at, expected) in cases {
        let (values, facts) = computed(&customer, &rules, T0 + at);
        let (_, f, m, frequency, monetary) = facts.scores.expect("scores");
        assert_eq!((frequency, monetary), expected, "at {at}");
        if frequency == 0 {
            assert_eq!((f, m, values[0].as_str()), (1, 1, "inactive"));
        }
    }
}

#[test]
fn without_a_counting_order_there_are_no_scores() {
    let list = vec![(0, ordered("o", eur(100))), (1, refunded("o", "r", None))];
    let (customer, _) = lived(&events(list));
    let (values, facts) = computed(&customer, &rules(), T0 + DAY_MS);
    assert_eq!((values[0].as_str(), facts.scores), ("none", None));
    assert_eq!(values[1], "purchase", "a return is not absence");
}

#[test]
fn stages_follow_the_table() {
    let order = |n: i64| (n, ordered(&format!("o{n}"), eur(100)));
    let view = |days| (days, visited(VisitKind::ProductViewed));
    let shared = || Body::Interaction(Interaction::Shared { score: None, sku: None });
    let accepted =
        || Body::Interaction(Interaction::ReferralAccepted { referred_customer_id: None });
    let cases: Vec<(Lines, i64, &str)> = vec![
        (vec![view(0)], 0, "awareness"),
        (vec![view(0), view(0)], 0, "awareness"),
        (vec![view(0), view(10), view(20)], 30 * DAY_MS, "consideration"),
        (vec![view(0), view(10), view(20)], 30 * DAY_MS + 1, "awareness"),
        (vec![(0, visited(VisitKind::CartViewed))], 30 * DAY_MS, "consideration"),
        (vec![(0, visited(VisitKind::PageViewed))], 0, "awareness"),
        (vec![order(0)], 180 * DAY_MS, "purchase"),
        (vec![order(0)], 180 * DAY_MS + 1, "lapsed"),
        (vec![order(0), (180, visited(VisitKind::ReviewRead))], 181 * DAY_MS, "consideration"),
        (vec![order(0), order(63)], (63 + 162) * DAY_MS, "retention"),
        (vec![order(0), order(63)], (63 + 162) * DAY_MS + 1, "lapsed"),
        (vec![order(0), (1, accepted())], 180 * DAY_MS, "advocacy"),
        (vec![order(0), (1, nps(9))], DAY_MS, "advocacy"),
        (vec![order(0), (1, nps(8))], DAY_MS, "purchase"),
        (vec![order(0), (1, accepted()), (2, nps(6))], 2 * DAY_MS, "purchase"),
        (vec![order(0), (1, accepted()), (2, nps(7))], 2 * DAY_MS, "advocacy"),
        (vec![order(0), (1, accepted()), (2, reviewed(2))], 2 * DAY_MS, "purchase"),
        (vec![order(0), (1, reviewed(5))], DAY_MS, "purchase"),
        (vec![order(0), order(1), (1, reviewed(4))], 91 * DAY_MS, "advocacy"),
        (vec![order(0), order(1), (1, reviewed(4))], 91 * DAY_MS + 1, "retention"),
        (vec![order(0), order(1), (1, reviewed(3))], DAY_MS, "retention"),
        (vec![order(0), order(1), (1, shared())], DAY_MS, "advocacy"),
        (vec![(0, accepted())], 0, "awareness"),
        (vec![order(0), (1, cancelled("o0"))], DAY_MS, "awareness"),
    ];
    for (list, at, stage) in cases {
        let (customer, _) = lived(&events(list.clone()));
        let (values, _) = computed(&customer, &rules(), T0 + at);
        assert_eq!(values[1], stage, "at {at}: {list:?}");
    }
}

#[test]
fn directions_of_the_lifecycle_have_words_of_their_own() {
    use Stage::{Advocacy, Awareness, Consideration, Lapsed, Purchase, Retention};
    let cases = [
        (Awareness, Consideration, "forward"),
        (Consideration, Purchase, "forward"),
        (Purchase, Retention, "forward"),
        (Retention, Advocacy, "forward"),
        (Awareness, Purchase, "skip"),
        (Purchase, Advocacy, "skip"),
        (Advocacy, Retention, "back"),
        (Consideration, Awareness, "back"),
        (Purchase, Lapsed, "back"),
        (Lapsed, Purchase, "reactivation"),
        (Lapsed, Retention, "reactivation"),
        (Lapsed, Advocacy, "reactivation"),
        (Lapsed, Consideration, "forward"),
        (Lapsed, Awareness, "back"),
    ];
    for (from, to, name) in cases {
        assert_eq!(direction(from, to).name(), name, "{from:?} to {to:?}");
    }
}

#[test]
fn orders_beyond_the_bounds_stay_in_the_sums() {
    for count in [MAX_ORDERS, MAX_ORDERS + 1, MAX_ORDERS + MAX_EVICTED, 600] {
        let count = i64::try_from(count).expect("few");
        let list = (0..count).map(|n| (n, ordered(&format!("o{n}"), eur(10)))).collect();
        let (customer, tally) = lived(&events(list));
        let mut rules = rules();
        rules.thresholds.rfm.window_ms = None;
        let (_, facts) = computed(&customer, &rules, T0 + count * DAY_MS);
        assert_eq!((facts.orders, facts.net_minor), (count.unsigned_abs(), 10 * count));
        assert_eq!(facts.average_gap_days, Some(1.0));
        let (.., frequency, monetary) = facts.scores.expect("scores");
        assert_eq!((frequency, monetary), (count.unsigned_abs(), 10 * count));
        let fallen = count - i64::try_from(MAX_ORDERS).expect("few");
        assert_eq!(tally.book.evicted, fallen.max(0).unsigned_abs());
    }
}

#[test]
fn a_refund_seen_before_its_order_fell_out_is_not_taken_off_again() {
    let mut list = vec![(0, ordered("o0", eur(100))), (1, refunded("o0", "r", Some(eur(30))))];
    list.extend((1..=64).map(|n| (n + 1, ordered(&format!("o{n}"), eur(1)))));
    let mut events = events(list);
    events.push(events[1].clone());
    let (customer, tally) = lived(&events);
    let (_, facts) = computed(&customer, &rules(), T0 + 70 * DAY_MS);
    assert_eq!((facts.net_minor, tally.duplicates), (70 + 64, 1));
}

#[test]
fn an_order_whose_base_moves_before_fallen_out_ones_keeps_the_days_right() {
    let mut list: Lines = (0..66).map(|n| (10 + n, ordered(&format!("o{n}"), eur(10)))).collect();
    list.push((0, ordered("o40", eur(10))));
    let (customer, _) = lived(&events(list));
    let (_, facts) = computed(&customer, &rules(), T0 + 80 * DAY_MS);
    assert_eq!(facts.first_order_at.map(|at| Timestamp(at).day()), Some(day(0).day()));
    assert_eq!(facts.average_gap_days, Some(75.0 / 65.0));
}

#[test]
fn sixteen_records_wait_for_their_orders_and_the_oldest_is_given_up() {
    let waiting = i64::try_from(MAX_PARKED).expect("few") + 1;
    let mut list: Lines = (0..waiting).map(|n| (n, cancelled(&format!("o{n}")))).collect();
    list.extend((0..waiting).map(|n| (20, ordered(&format!("o{n}"), eur(1)))));
    let (customer, tally) = lived(&events(list));
    let (_, facts) = computed(&customer, &rules(), T0 + 30 * DAY_MS);
    assert_eq!((facts.orders, tally.book.unmatched, tally.book.parked), (1, 1, 17));
}

#[test]
fn a_parked_record_is_given_up_after_180_days_of_clock() {
    for (days, off, net) in [(180, 0, 70), (180, 1, 100)] {
        let rules = Arc::new(rules());
        let mut task = task(&rules);
        let list = vec![(0, refunded("o", "r", Some(eur(30)))), (days, ordered("o", eur(100)))];
        let mut events = events(list);
        events[1].occurred_at = events[1].occurred_at.plus_ms(off);
        for (offset, event) in (0..).zip(&events) {
            feed(&mut task, event, offset);
        }
        let change = taken(&mut task).pop().expect("a change");
        assert_eq!(change.facts.net_minor, net, "{off} ms after {days} days");
        assert_eq!(task.take_tally().book.unmatched, off.unsigned_abs());
    }
}

#[test]
fn a_record_parked_before_the_clock_has_a_time_waits_all_the_same() {
    let rules = Arc::new(rules());
    let mut task = task(&rules);
    let list = vec![(0, refunded("o", "r", Some(eur(30)))), (1, ordered("o", eur(100)))];
    for (offset, event) in (0..).zip(&events(list)) {
        let at = event.occurred_at;
        let record = ebbflow::task::EventRecord {
            input: 1,
            topic: &"purchases".into(),
            offset,
            event,
            at,
            value: &[],
        };
        task.handle_event(&record, None).expect("an event of this partition");
    }
    let change = taken(&mut task).pop().expect("a change");
    assert_eq!(change.facts.net_minor, 70);
}

#[test]
fn thirty_two_recent_events_are_remembered() {
    for (between, views) in [(31, 1_u64), (32, 0)] {
        let mut list = vec![(0, visited(VisitKind::ProductViewed))];
        list.extend((0..between).map(|_| (1, visited(VisitKind::PageViewed))));
        let mut events = events(list);
        events.push(events[0].clone());
        let (_, tally) = lived(&events);
        assert_eq!(tally.duplicates, views, "{between} events between");
    }
}

#[test]
fn a_mean_is_of_the_answers_that_have_a_score() {
    let answer = |score| {
        let reason = Some("a gift".into());
        let survey = Survey::PurchaseReason;
        Body::Interaction(Interaction::SurveyAnswered { survey, score, reason })
    };
    for (scores, last, mean) in [
        (vec![Some(8), None, Some(10)], Some(10), Some(9.0)),
        (vec![Some(8), None], None, Some(8.0)),
        (vec![None], None, None),
    ] {
        let list = (0..).zip(&scores).map(|(days, score)| (days, answer(*score))).collect();
        let (customer, _) = lived(&events(list));
        let (_, facts) = computed(&customer, &rules(), T0 + 100 * DAY_MS);
        let (told, told_mean, count, _) = &facts.surveys["purchase_reason"];
        assert_eq!((*told, *told_mean, *count), (last, mean, scores.len() as u64));
    }
}

#[test]
fn deadlines_fire_at_their_millisecond() {
    let rules = Arc::new(rules());
    let mut task = task(&rules);
    feed(&mut task, &event("e", "c-0", day(0), ordered("o", eur(100))), 0);
    let segments = |task: &mut _| -> Vec<_> {
        taken(task).into_iter().filter(|change| change.dimension == "rfm").collect()
    };
    assert_eq!(segments(&mut task).len(), 1);
    advance(&mut task, day(30));
    assert_eq!(segments(&mut task).len(), 0);
    advance(&mut task, Timestamp(T0 + 30 * DAY_MS + 1));
    let changes = segments(&mut task);
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].current.as_deref(), Some("promising"));
    assert_eq!(changes[0].dwell_ms, 30 * DAY_MS + 1);
}

#[test]
fn a_dimension_that_is_written_later_begins_with_what_nobody_was_told() {
    let mut unwritten = rules();
    unwritten.output.dimensions[place(Dimension::Lifecycle)] = false;
    let mut task = task(&Arc::new(unwritten));
    feed(&mut task, &event("e", "c", day(0), ordered("o", eur(100))), 0);
    assert!(taken(&mut task).iter().all(|change| change.dimension != "lifecycle"));
    let mut states = Vec::new();
    task.pack(|id, packed, profile| {
        let ProfileWrite::Profile(profile) = profile else { panic!("a profile") };
        assert_eq!(*profile.dimensions[1].value, *"purchase");
        states.push((id.to_owned(), packed.expect("a state").to_vec()));
    });
    let mut task = crate::fixture::task(&Arc::new(rules()));
    for (id, packed) in states {
        task.restore_state(&id, Some(&packed)).expect("a state");
    }
    feed(&mut task, &event("e-2", "c", day(1), ordered("o-2", eur(100))), 1);
    let changes = taken(&mut task);
    let stage = changes.iter().find(|change| change.dimension == "lifecycle").expect("a change");
    assert_eq!(stage.previous.as_deref(), Some("awareness"));
    assert_eq!(stage.current.as_deref(), Some("retention"));
}

#[test]
fn a_baseline_tells_what_was_published_and_what_falls_due_follows() {
    let rules = Arc::new(rules());
    let mut task = task(&rules);
    task.begin_in(Phase::Silent([0, 1, 0]));
    feed(&mut task, &event("e", "c", day(0), ordered("o", eur(100))), 0);
    task.pack(|_, _, _| {});
    task.commit().expect("readable states");
    assert!(task.work_on_all(1, None).expect("readable states").is_some());
    let due = Timestamp(T0 + 30 * DAY_MS + 1);
    advance(&mut task, due);
    let changes = taken(&mut task);
    let told: Vec<_> = changes
        .iter()
        .filter(|change| change.dimension == "rfm")
        .map(|change| (change.cause.kind, change.occurred_at, change.scores.map(|scores| scores.r)))
        .collect();
    // The customer's next deadline is that of another dimension, before the clock.
    let written = day(25).plus_ms(-DAY_MS / 2 - 1);
    let expected = [(CauseKind::Baseline, written, Some(5)), (CauseKind::Timer, due, Some(4))];
    assert_eq!(told, expected);
    // What is not written is not announced.
    assert_eq!(changes[0].next.as_ref().map(|next| next.at), Some(due));
}
