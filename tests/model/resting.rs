//! More customers who come again than may rest: each is found as it was left, whoever had to make
//! room.
//!
//! Next: `src/task/store/open.rs`, where they rest.

use crate::fixture::{config, day, rules};
use ebbflow::task::store::Store;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Of a task that is one of so many, hardly anybody may rest.
const TASKS: u32 = 100_000;
const CUSTOMERS: usize = 60;

/// How often each came.
type Counts = BTreeMap<usize, u64>;

#[derive(Clone, Debug)]
enum Step {
    Comes(usize),
    /// It is looked at, and nothing about it changes.
    IsAsked(usize),
    IsErased(usize),
    /// States are sent, of all or of those who are not expected back.
    Settle(bool),
    Commit,
    Rollback,
}

fn step() -> impl Strategy<Value = Step> {
    // Some come often, most do not.
    let who = || prop_oneof![0..20_usize, 0..CUSTOMERS];
    prop_oneof![
        30 => who().prop_map(Step::Comes),
        4 => who().prop_map(Step::IsAsked),
        1 => who().prop_map(Step::IsErased),
        3 => any::<bool>().prop_map(Step::Settle),
        2 => Just(Step::Commit),
        1 => Just(Step::Rollback),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whoever_makes_room_is_found_as_it_was_left(steps in vec(step(), 1..1_500)) {
        let rules = rules();
        let mut store = Store::new(TASKS);
        let (mut committed, mut open) = (Counts::new(), Counts::new());
        for step in steps {
            match step {
                // Nobody asks for somebody unknown.
                Step::IsAsked(who) if !open.contains_key(&who) => {}
                Step::Comes(who) | Step::IsAsked(who) | Step::IsErased(who) => {
                    let place = store.touch(&format!("c-{who}"), day(0), 0, &rules).expect("states");
                    let touched = store.at(place);
                    prop_assert_eq!(touched.customer.seq, open.get(&who).copied().unwrap_or(0));
                    match step {
                        Step::IsAsked(_) => {}
                        Step::IsErased(_) => {
                            (touched.erased, touched.changed) = (true, true);
                            open.remove(&who);
                        }
                        _ => {
                            touched.customer.seq += 1;
                            touched.changed = true;
                            *open.entry(who).or_default() += 1;
                        }
                    }
                }
                Step::Settle(all) => {
                    store.pack_touched(&rules, all, |_, _| {});
                    store.settle();
                }
                Step::Commit => {
                    store.pack_touched(&rules, true, |_, _| {});
                    store.commit().expect("readable states");
                    committed.clone_from(&open);
                    let known = store.customers(&rules).map(|it| it.expect("readable states"));
                    let known: BTreeMap<_, _> = known.map(|it| (it.id, it.seq)).collect();
                    let expected = committed.iter().map(|(who, seq)| (format!("c-{who}"), *seq));
                    prop_assert_eq!(known, expected.collect());
                }
                Step::Rollback => {
                    store.rollback();
                    open.clone_from(&committed);
                }
            }
        }
    }
}
