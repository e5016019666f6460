//! Rolled back is as if it never happened; restored is as if it never stopped.

use crate::fixture::{
    advance, config, day, eur, event, feed, klaviyo_rules, ordered, refunded, rules, taken, task,
    visited,
};
use crate::workload;
use ebbflow::domain::change::Change;
use ebbflow::domain::event::{Event, VisitKind};
use ebbflow::domain::id::partition_of;
use ebbflow::domain::pack::peek;
use ebbflow::domain::progress::{Phase, Progress};
use ebbflow::domain::rules::Rules;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use ebbflow::task::{EventRecord, PartitionTask, TaskConfig};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

type States = BTreeMap<String, Vec<u8>>;

fn pack(task: &mut PartitionTask, states: &mut States) {
    task.pack(|id, packed, _| {
        states.insert(id.to_owned(), packed.expect("a state").to_vec());
    });
}

/// States are sent in the middle of a transaction, of all or of those who do not come often.
fn settle(task: &mut PartitionTask, states: &mut States) {
    if task.store().staying() > 1 {
        pack(task, states);
    } else {
        task.pack_passing(|id, packed, _| {
            states.insert(id.to_owned(), packed.expect("a state").to_vec());
        });
    }
    task.settle_customers();
    assert_eq!(task.store().unpacked(), 0);
}

fn commit(task: &mut PartitionTask, states: &mut States) -> (Vec<Change>, Progress) {
    let progress = task.progress();
    pack(task, states);
    let changes = taken(task);
    task.commit().expect("readable states");
    (changes, progress)
}

fn committed(task: &PartitionTask) -> BTreeMap<u64, Vec<u8>> {
    let store = task.store();
    let state = |key: u64| store.committed().get(&key).expect("a state").to_vec();
    store.keys_from(0).into_iter().map(|key| (key, state(key))).collect()
}

fn next_deadline(task: &PartitionTask) -> Option<Timestamp> {
    let states = committed(task);
    let deadlines = states.values().map(|packed| peek(packed).expect("a state").0);
    deadlines.min().filter(|deadline| *deadline != Timestamp::MAX)
}

/// Everything that can be seen of two tasks is the same, to the last deadline.
fn check_equal(
    left: &mut PartitionTask,
    right: &mut PartitionTask,
    end: Timestamp,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(committed(left), committed(right));
    prop_assert_eq!(left.progress(), right.progress());
    prop_assert_eq!(left.inputs(), right.inputs());
    prop_assert_eq!(left.store().estimated_bytes(), right.store().estimated_bytes());
    loop {
        let deadline = next_deadline(left);
        prop_assert_eq!(deadline, next_deadline(right));
        let Some(deadline) = deadline.filter(|deadline| *deadline <= end) else {
            return Ok(());
        };
        advance(left, deadline);
        advance(right, deadline);
        let mut states = [States::new(), States::new()];
        let [ours, theirs] = &mut states;
        prop_assert_eq!(commit(left, ours), commit(right, theirs));
        prop_assert!(!ours.is_empty(), "the timer of {deadline:?} did not fire");
        prop_assert_eq!(ours, theirs);
    }
}

fn end_of(events: &[Event<'_>]) -> Timestamp {
    let last = events.iter().map(|event| event.occurred_at).max().expect("events");
    last.plus_ms(1_000 * DAY_MS)
}

fn chosen(other_map: bool) -> Arc<Rules> {
    Arc::new(if other_map { klaviyo_rules() } else { rules() })
}

#[test]
fn only_orders_that_were_taken_in_fix_rates() {
    let rules = Arc::new(rules());
    let config = TaskConfig {
        application_id: "test".into(),
        partition: partition_of("c-1", 2),
        partitions: 2,
        rules: Arc::clone(&rules),
        keys_are_trusted: true,
        profiles_on_touch: false,
        run_id: "run".into(),
        rebuilt_at: Timestamp::MIN,
    };
    let mut task = PartitionTask::new(config, 1, Phase::Live);
    let elsewhere = (2..).map(|n| format!("c-{n}"));
    let elsewhere = elsewhere.into_iter().find(|id| partition_of(id, 2) != task.partition());
    let elsewhere = elsewhere.expect("a customer of the other partition");
    let anonymous = |event: Event<'static>| Event {
        customer_id: None,
        anonymous_id: event.customer_id,
        ..event
    };
    let visitor = (1..).map(|n| format!("v-{n}"));
    let visitor =
        visitor.into_iter().find(|id| partition_of(&format!("anon:{id}"), 2) == task.partition());
    let mut take = |event: Event<'_>| {
        let at = event.occurred_at;
        let record = EventRecord {
            input: 1,
            topic: &"purchases".into(),
            offset: 0,
            event: &event,
            at,
            value: &[],
        };
        let refused = task.handle_event(&record, None).is_err();
        (refused, task.progress().rates)
    };
    // A rate begins at day 30.
    let [earlier, later] = [0, 30].map(|days| rules.rates.history(day(days)));
    assert_ne!(earlier, later);
    let visit = |id| event(id, "c-1", day(40), visited(VisitKind::PageViewed));
    assert_eq!(take(visit("e-0")), (false, rules.rates.history(Timestamp::MIN)), "no money yet");
    let order = |id, days| event(id, "c-1", day(days), ordered("o-1", eur(100)));
    assert_eq!(take(order("e-1", 29)), (false, earlier.clone()));
    let order_of = |id: &str, customer: &str| event(id, customer, day(40), ordered(id, eur(100)));
    assert_eq!(take(order_of("e-2", &elsewhere)), (true, earlier.clone()), "misrouted");
    let visitor = visitor.expect("a visitor of this partition");
    let of_visitor = anonymous(event("e-3", &visitor, day(29), ordered("e-3", eur(100))));
    assert_eq!(take(of_visitor), (false, earlier.clone()), "a visitor's");
    assert_eq!(take(order("e-1", 40)), (false, earlier.clone()), "lost the fold");
    assert_eq!(take(visit("e-4")), (false, earlier.clone()), "no money");
    let refund = event("e-5", "c-1", day(40), refunded("o-1", "r-1", Some(eur(1))));
    assert_eq!(take(refund), (false, earlier), "converted at its order's rate");
    assert_eq!(take(event("e-6", "c-1", day(30), ordered("o-2", eur(1)))), (false, later));
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_rolled_back_never_happened(
        events in workload::history(4, 2..30, true),
        stray in workload::history(6, 1..10, true),
        // After each event: 0, 1 nothing, 2, 3 states are sent, 4 to 6 commit, 7 to 9 commit, stray
        // work, rollback.
        plan in vec(0..10_u8, 30),
        other_map in any::<bool>(),
        days_ahead in 0..200_i64,
    ) {
        let rules = chosen(other_map);
        let (mut disturbed, mut calm) = (task(&rules), task(&rules));
        let (mut states, mut calm_states) = (States::new(), States::new());
        for (offset, event) in (0..).zip(&events) {
            feed(&mut disturbed, event, offset);
            feed(&mut calm, event, offset);
            let step = plan[usize::try_from(offset).expect("few")];
            if (2..4).contains(&step) {
                settle(&mut disturbed, &mut states);
            }
            if step < 4 {
                continue;
            }
            let expected = commit(&mut calm, &mut calm_states);
            prop_assert_eq!(commit(&mut disturbed, &mut states), expected);
            if step < 7 {
                continue;
            }
            for (offset, event) in (offset + 1..).zip(&stray) {
                feed(&mut disturbed, event, offset);
                if step == 8 {
                    settle(&mut disturbed, &mut States::new());
                }
            }
            let ahead = disturbed.clock().plus_ms(days_ahead * DAY_MS);
            advance(&mut disturbed, ahead);
            if step == 9 {
                disturbed.pack(|_, _, _| {});
            }
            disturbed.rollback();
            prop_assert_eq!(taken(&mut disturbed), vec![]);
            prop_assert_eq!(committed(&disturbed), committed(&calm));
        }
        let expected = commit(&mut calm, &mut calm_states);
        prop_assert_eq!(commit(&mut disturbed, &mut states), expected);
        prop_assert_eq!(states, calm_states);
        check_equal(&mut disturbed, &mut calm, end_of(&events))?;
    }

    #[test]
    fn a_restored_task_goes_on_like_the_living_one(
        events in workload::history(4, 2..30, true),
        cut in any::<prop::sample::Index>(),
        other_map in any::<bool>(),
        quiet_days in 0..400_i64,
    ) {
        let rules = chosen(other_map);
        let mut living = task(&rules);
        let mut states = States::new();
        let cut = cut.index(events.len());
        let mut progress = None;
        for (offset, event) in (0..).zip(&events[..cut]) {
            feed(&mut living, event, offset);
            progress = Some(commit(&mut living, &mut states).1);
        }
        let mut restored = task(&rules);
        if let Some(progress) = &progress {
            restored.restore_progress(progress).expect("few names");
        }
        // A compacted topic may still hold an older state of a customer, or a removed one.
        for (id, packed) in states.iter().rev() {
            restored.restore_state(id, Some(packed)).expect("a packed customer");
            restored.restore_state(id, None).expect("a packed customer");
        }
        for (id, packed) in &states {
            restored.restore_state(id, Some(packed)).expect("a packed customer");
        }
        prop_assert_eq!(committed(&restored), committed(&living));
        let quiet = living.clock().plus_ms(quiet_days * DAY_MS);
        if cut > 0 {
            advance(&mut living, quiet);
            advance(&mut restored, quiet);
        }
        let offset = i64::try_from(cut).expect("few");
        for (offset, event) in (offset..).zip(&events[cut..]) {
            feed(&mut living, event, offset);
            feed(&mut restored, event, offset);
        }
        let mut restored_states = states.clone();
        let expected = commit(&mut living, &mut states);
        prop_assert_eq!(commit(&mut restored, &mut restored_states), expected);
        prop_assert_eq!(restored_states, states);
        check_equal(&mut restored, &mut living, end_of(&events))?;
    }
}
