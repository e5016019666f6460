//! A cluster that does not answer for long: rounds end all the same, and a task that gets no answer
//! does not hold the others.
//!
//! Next: `run.rs`.

use crate::simulation::cluster::Topic;
use crate::simulation::faults::{Fault, Plan};
use crate::simulation::log::Payload;
use crate::simulation::run::{Mode, Run};
use crate::simulation::stage::EPOCH;
use ebbflow::runtime::broker::{Input, TaskOffsets};

/// One process that has all partitions, and nothing goes wrong but what the test says.
fn alone(mode: Mode, plan: Plan) -> Run {
    let runs = (0..).map(|seed| Run::new(mode, seed, &None));
    let run = runs.into_iter().find(|run| run.instances == 1 && !run.stage.avro).unwrap();
    *run.stage.plan.borrow_mut() = plan;
    run
}

fn preloaded(plan: Plan) -> Run {
    let mut run = alone(Mode::Event, plan);
    run.preload();
    run
}

#[test]
fn a_cluster_that_never_answers_holds_no_round() {
    let mut run = preloaded(Plan::always(Fault::Unanswered));
    while run.stage.plan.borrow().counts.get(&Fault::Unanswered).is_none_or(|it| *it < 10_000) {
        run.step().unwrap();
    }
    *run.stage.plan.borrow_mut() = Plan::calm();
    run.play_to_the_end().unwrap();
    run.left().unwrap();
}

#[test]
fn a_task_that_gets_no_answer_does_not_hold_the_others() {
    // Whoever has all tasks of a run that ends by itself moves them in step.
    let runs = (0..).map(|seed| Run::new(Mode::Event, seed, &None));
    let fits = |run: &Run| run.instances == 2 && run.partitions == 4 && !run.stage.avro;
    let mut run = runs.into_iter().find(fits).unwrap();
    *run.stage.plan.borrow_mut() = Plan::calm();
    run.preload();
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

/// What was the end of an input before an outage may not be it any more: until it is asked again,
/// nothing goes ahead of that input.
#[test]
fn an_end_that_was_seen_long_ago_is_not_believed() {
    let mut run = alone(Mode::Wall, Plan::calm());
    let purchases = |run: &mut Run| {
        let mut cluster = run.stage.cluster.borrow_mut();
        let log = cluster.log(Topic::Purchases, 0);
        let value = format!(
            r#"{{"event_id":"e-{}","kind":"order_completed","customer_id":"c-1","occurred_at":{},
               "order_id":"o-1","amount_minor":100,"currency":"EUR"}}"#,
            log.end(),
            EPOCH.0
        );
        let (key, value) = (Some(b"c-1".to_vec()), Some(value.into_bytes()));
        log.append(Payload { key, value, at: EPOCH, ..Payload::default() }, None);
        log.end()
    };
    let committed = |run: &Run| {
        let committed = run.stage.cluster.borrow().group.committed(0);
        committed.and_then(|offsets| offsets.next_offsets[Input::Purchases.index()])
    };
    let until = |run: &mut Run, ms: i64| {
        let until_ms = run.stage.now_ms() + ms;
        while run.stage.now_ms() < until_ms {
            run.step().unwrap();
        }
    };
    let first = purchases(&mut run);
    until(&mut run, 20_000);
    assert_eq!(committed(&run), Some(first));

    *run.stage.plan.borrow_mut() = Plan::always(Fault::EndsUnknown);
    until(&mut run, 5_000);
    let second = purchases(&mut run);
    until(&mut run, 20_000);
    assert_eq!(committed(&run), Some(first));

    *run.stage.plan.borrow_mut() = Plan::calm();
    until(&mut run, 60_000);
    assert_eq!(committed(&run), Some(second));
}
