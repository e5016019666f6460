//! The group's offsets expire: the runtime stops and says so, and never begins anew on its own.
//!
//! Next: `run.rs`.

use crate::simulation::faults::Plan;
use crate::simulation::run::{Mode, Run};
use std::collections::BTreeMap;

#[test]
fn without_the_groups_offsets_nothing_goes_on() {
    let mut run = Run::new(Mode::Event, 1, &None);
    *run.stage.plan.borrow_mut() = Plan::calm();
    run.preload();
    run.play_to_the_end().unwrap();
    let (before, _) = run.left().unwrap();
    run.stage.cluster.borrow_mut().group.forget_offsets();
    run.stage.start_again(&BTreeMap::new());
    let error = run.play_to_the_end().unwrap_err();
    assert!(error.contains("they have expired") && error.contains("--rebuild"), "{error}");
    let mut cluster = run.stage.cluster.borrow_mut();
    while !cluster.is_quiet() {
        cluster.pass(1);
    }
    let commits = before.iter().map(|records| records.commits.len()).sum::<usize>();
    assert_eq!(cluster.group.commits.len(), commits, "something was committed all the same");
}
