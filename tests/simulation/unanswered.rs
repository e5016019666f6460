//! A cluster that does not answer for long: rounds end all the same, and a task that gets no answer
//! does not hold the others.
//!
//! Next: `run.rs`.

use crate::simulation::faults::{Fault, Plan};
use crate::simulation::run::{Mode, Run};
use ebbflow::runtime::broker::TaskOffsets;

/// One process that has all partitions, and nothing goes wrong but what the test says.
fn alone(plan: Plan) -> Run {
    let runs = (0..).map(|seed| Run::new(Mode::Event, seed, &None));
    let mut run = runs.into_iter().find(|run| run.instances == 1).unwrap();
    *run.stage.plan.borrow_mut() = plan;
    run.preload();
    run
}

#[test]
fn a_cluster_that_never_answers_holds_no_round() {
    let mut run = alone(Plan::always(Fault::Unanswered));
    while run.stage.plan.borrow().counts.get(&Fault::Unanswered).is_none_or(|it| *it < 10_000) {
        run.step().unwrap();
    }
    *run.stage.plan.borrow_mut() = Plan::calm();
    run.play_to_the_end().unwrap();
    run.left().unwrap();
}

#[test]
fn a_task_that_gets_no_answer_does_not_hold_the_others() {
    let mut run = alone(Plan::calm());
    let held = TaskOffsets { partition: 0, next_offsets: [0; 3], metadata: String::new() };
    run.stage.cluster.borrow_mut().group.hold(u64::MAX, held);
    while run.stage.now_ms() < 30_000 {
        run.step().unwrap();
    }
    for partition in 0..run.partitions {
        let committed = run.stage.cluster.borrow().group.committed(partition);
        let done = committed.is_some_and(|offsets| offsets.next_offsets[0].is_some());
        assert_eq!(done, partition > 0, "partition {partition}");
    }
    run.stage.cluster.borrow_mut().group.decide(u64::MAX, false);
    run.play_to_the_end().unwrap();
    run.left().unwrap();
}
