//! Processes step by step: the test says who acts when, and what happens meanwhile.
//!
//! For what takes several faults in a row, which seeds rarely bring together. Next: `stage.rs`.

use crate::simulation::cluster::Topic;
use crate::simulation::faults::{Fault, Plan};
use crate::simulation::log::Payload;
use crate::simulation::outcome::outcome;
use crate::simulation::run::{Mode, Run};
use crate::simulation::stage::{EPOCH, SESSION_MS, SimWorker, TRANSACTION_MS};
use ebbflow::domain::id::partition_of;
use ebbflow::domain::progress::OffsetMetadata;
use ebbflow::domain::time::Timestamp;
use ebbflow::runtime::broker::TaskOffsets;
use ebbflow::runtime::settings::{Round, WorkerError};

/// Who holds the offsets of a task back, by partition.
const HOLDER: u64 = u64::MAX - 100;

/// Two instances or more, and nothing goes wrong but what the test says.
fn script(mode: Mode) -> Run {
    let runs = (0..).map(|seed| Run::new(mode, seed, &None));
    let fits = |run: &Run| {
        let ends = mode == Mode::Wall || run.advance_to.is_some();
        let settings = &run.stage.settings;
        let patient = settings.commit.max_records > 1_000 && settings.commit.max_bytes > 10_000;
        run.instances > 1 && !run.stage.avro && !settings.leave_on_stop && patient && ends
    };
    let run = runs.into_iter().find(fits).unwrap();
    *run.stage.plan.borrow_mut() = Plan::calm();
    run
}

impl Run {
    /// An order of the first customer who belongs into a partition.
    fn order(&self, partition: u32, at: Timestamp) {
        let id = (0..)
            .map(|it| format!("c-{it}"))
            .find(|id| partition_of(id, self.partitions) == partition);
        let id = id.unwrap();
        let mut cluster = self.stage.cluster.borrow_mut();
        let log = cluster.log(Topic::Purchases, partition);
        let count = log.end();
        let value = format!(
            r#"{{"event_id":"e-{partition}-{count}","kind":"order_completed","customer_id":"{id}",
               "occurred_at":{},"order_id":"o-{count}","amount_minor":100,"currency":"EUR"}}"#,
            at.0
        );
        let (key, value) = (Some(id.into_bytes()), Some(value.into_bytes()));
        log.append(Payload { key, value, at, ..Payload::default() }, None);
    }

    /// Somebody's open transaction holds the offsets of a partition back, or does so no longer.
    fn hold(&self, partition: u32, holds: bool) {
        let held = TaskOffsets { partition, next_offsets: [0; 3], metadata: String::new() };
        let group = &mut self.stage.cluster.borrow_mut().group;
        match holds {
            true => group.hold(HOLDER + u64::from(partition), held),
            false => group.decide(HOLDER + u64::from(partition), false),
        }
    }

    /// The commits of a partition, as its offsets tell.
    fn commits(&self, partition: u32) -> u64 {
        let committed = self.stage.cluster.borrow().group.committed(partition).unwrap();
        let told = committed.metadata.as_deref().and_then(OffsetMetadata::parse);
        told.map_or(0, |told| told.commit_counter)
    }

    /// One process acts alone for so long, or until it is done.
    fn drive(&self, worker: &mut SimWorker, ms: i64) -> Result<(), WorkerError> {
        let until_ms = self.stage.now_ms() + ms;
        while self.stage.now_ms() < until_ms {
            match worker.round()? {
                Round::Busy => {}
                Round::Idle(at_most) => {
                    self.stage.pass(i64::try_from(at_most.as_millis()).unwrap().max(1));
                }
                Round::Done => break,
            }
        }
        Ok(())
    }

    /// Nobody acts until every session and every transaction is over.
    fn stand_still(&self) {
        self.stage.pass(SESSION_MS + TRANSACTION_MS);
    }
}

/// A task at its end, whose clock a run that ends by itself has advanced, is touched before a
/// transaction is open. When another instance has gone on with it, the others' commit leaves it
/// out.
#[test]
fn memory_of_before_a_lost_session_is_not_committed_with_other_tasks() {
    let mut run = script(Mode::Event);
    let end = run.advance_to.unwrap();
    run.order(0, end.plus_days(-2));
    run.order(1, end.plus_days(-2));
    run.hold(1, true);
    let mut service = run.stage.start(1);
    service.go_on();
    run.drive(&mut service, 3_000).unwrap();
    assert_eq!(run.commits(0), 1);
    drop(service);

    run.stand_still();
    let mut first = run.stage.start(0);
    while run.stage.stores.borrow()[&0].get(0).is_none() {
        run.drive(&mut first, 1).unwrap();
    }
    run.stand_still();
    run.order(0, end.plus_days(-1));
    let mut second = run.stage.start(1);
    second.go_on();
    run.drive(&mut second, 3_000).unwrap();
    assert_eq!(run.commits(0), 2);
    drop(second);

    run.stand_still();
    run.hold(0, true);
    run.hold(1, false);
    // Tasks that go in step wait for the one whose memory is compared.
    run.drive(&mut first, 3_000).unwrap();
    assert_eq!(run.commits(1), 0);
    run.hold(0, false);
    run.drive(&mut first, 3_000).unwrap();
    drop(first);
    run.play_to_the_end().unwrap();
    run.left().unwrap();
}

/// A member that does not know yet that it was expelled restores a task of which others have begun
/// the next lineage: what it knows of lineages is old, and the control topic is not lost.
#[test]
fn lineage_that_began_while_a_member_stood_still_is_taken_for_one() {
    let mut run = script(Mode::Event);
    let end = run.advance_to.unwrap();
    run.order(0, end.plus_days(-2));
    run.order(1, end.plus_days(-2));
    run.hold(1, true);
    let mut first = run.stage.start(0);
    first.go_on();
    run.drive(&mut first, 3_000).unwrap();
    assert_eq!(run.commits(0), 1);

    run.stand_still();
    run.hold(1, false);
    let mut second = run.stage.start(1);
    run.drive(&mut second, 10_000).unwrap();
    let (left, _) = run.left().unwrap();
    run.stand_still();
    let began_at = run.begin_lineage();
    let mut second = run.stage.start(1);
    run.drive(&mut second, 10_000).unwrap();
    drop(second);

    run.stand_still();
    *run.stage.plan.borrow_mut() = Plan::always(Fault::LateNews);
    run.drive(&mut first, 2_000).unwrap();
    *run.stage.plan.borrow_mut() = Plan::calm();
    run.drive(&mut first, 10_000).unwrap();
    drop(first);
    run.play_to_the_end().unwrap();
    run.left_again(&left, began_at).unwrap();
}

/// A task of the first lineage that was never committed is one of the second after a rebuild.
#[test]
fn task_without_a_commit_begins_in_the_lineage_of_a_rebuild() {
    let mut run = script(Mode::Event);
    let end = run.advance_to.unwrap();
    run.hold(1, true);
    let mut first = run.stage.start(0);
    first.go_on();
    run.drive(&mut first, 3_000).unwrap();
    assert_eq!(run.commits(0), 0);

    run.stand_still();
    run.hold(1, false);
    let nothing = outcome(&mut run.stage.cluster.borrow_mut(), run.partitions, false);
    let began_at = run.begin_lineage();
    run.order(0, end.plus_days(-1));
    first.end_at(&run.ends(), run.advance_to);
    run.drive(&mut first, 10_000).unwrap();
    drop(first);
    run.play_to_the_end().unwrap();
    run.left_again(&nothing, began_at).unwrap();
}

#[test]
fn what_a_lost_session_has_left_is_shown_to_nobody() {
    let run = script(Mode::Wall);
    run.order(0, EPOCH);
    let mut worker = run.stage.start(0);
    run.drive(&mut worker, 10_000).unwrap();
    let shown = || run.stage.stores.borrow()[&0].get(0).is_some();
    assert!(shown());
    run.stage.cluster.borrow_mut().go_down(3 * SESSION_MS);
    run.drive(&mut worker, SESSION_MS / 2).unwrap();
    assert!(shown(), "it may be back in time");
    run.drive(&mut worker, SESSION_MS).unwrap();
    assert!(!shown());
    run.drive(&mut worker, 5 * SESSION_MS).unwrap();
    assert!(shown());
}

/// Whoever stops with a transaction that cannot be committed for a reason that stays says so.
#[test]
fn last_commit_that_fails_for_good_is_a_failure() {
    let failed = (0..60).any(|rounds| {
        let run = script(Mode::Wall);
        let mut worker = run.stage.start(0);
        run.drive(&mut worker, 10_000).unwrap();
        run.order(0, EPOCH.plus_ms(10_000));
        for _ in 0..rounds {
            worker.round().unwrap();
        }
        *run.stage.plan.borrow_mut() = Plan::always(Fault::CrashBefore);
        let stopped = worker.stop();
        stopped.is_err()
    });
    assert!(failed);
}
