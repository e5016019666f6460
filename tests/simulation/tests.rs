//! The simulator itself: the broker behaves as a real one, and the oracle can fail.
//!
//! `tests/conformance` holds it against a real one. Next: `cluster.rs`, `oracle.rs`.

use crate::simulation::cluster::{Cluster, Refused, Topic};
use crate::simulation::group::News;
use crate::simulation::log::Payload;
use crate::simulation::oracle::{
    check_equal, check_forgotten, check_invariants, check_nothing_due,
};
use crate::simulation::outcome::Partition;
use crate::simulation::random::Random;
use crate::simulation::reference::Marks;
use crate::simulation::replay::check_replayed;
use crate::simulation::run::{Mode, run};
use crate::simulation::schedule::check_schedule;
use ebbflow::codec::state::PROGRESS_KEY;
use ebbflow::domain::time::Timestamp;
use ebbflow::runtime::broker::TaskOffsets;

const PLACE: (Topic, u32) = (Topic::State, 0);

fn cluster() -> Cluster {
    Cluster::new(2, 6_000, 10_000, Random::new(1))
}

fn payload(text: &str) -> Payload {
    Payload { value: Some(text.as_bytes().to_vec()), ..Payload::default() }
}

fn visible(cluster: &mut Cluster) -> Vec<String> {
    let committed = cluster.log(PLACE.0, PLACE.1).committed();
    committed
        .map(|(_, payload)| String::from_utf8(payload.value.clone().unwrap()).unwrap())
        .collect()
}

/// A member alone in the group, with its generation.
fn member(cluster: &mut Cluster, instance: usize, id: u64) -> (usize, u64, u32) {
    let now_ms = cluster.now_ms;
    cluster.group.join(instance, id, now_ms);
    match cluster.group.poll(instance, id, now_ms) {
        News::Assigned { generation, .. } => (instance, id, generation),
        other => panic!("{other:?}"),
    }
}

fn offsets(next_offset: i64) -> [TaskOffsets; 1] {
    let next_offsets = [next_offset; 3];
    [TaskOffsets { partition: 0, next_offsets, metadata: format!("at {next_offset}") }]
}

#[test]
fn an_open_transaction_holds_back_everything_behind_it() {
    let mut cluster = cluster();
    let (a, b) = ((0, cluster.init(0)), (1, cluster.init(1)));
    cluster.produce(a, PLACE, payload("a")).unwrap();
    cluster.produce(b, PLACE, payload("b")).unwrap();
    cluster.end(b, true).unwrap();
    cluster.log(PLACE.0, PLACE.1).append(payload("plain"), None);
    assert!(visible(&mut cluster).is_empty());
    let log = cluster.log(PLACE.0, PLACE.1);
    assert_eq!((log.stable_end(), log.end()), (0, 4));
    cluster.end(a, true).unwrap();
    assert_eq!(visible(&mut cluster), ["a", "b", "plain"]);
}

#[test]
fn aborted_records_are_never_seen_and_markers_take_offsets() {
    let mut cluster = cluster();
    let a = (0, cluster.init(0));
    cluster.produce(a, PLACE, payload("gone")).unwrap();
    cluster.end(a, false).unwrap();
    cluster.produce(a, PLACE, payload("kept")).unwrap();
    cluster.end(a, true).unwrap();
    assert_eq!(visible(&mut cluster), ["kept"]);
    let log = cluster.log(PLACE.0, PLACE.1);
    assert_eq!((log.next_visible(0), log.next_visible(3), log.end()), (2, 4, 4));
}

#[test]
fn a_new_producer_of_the_same_id_fences_the_old_one_and_ends_its_transaction() {
    let mut cluster = cluster();
    let old = (0, cluster.init(0));
    cluster.produce(old, PLACE, payload("old")).unwrap();
    let new = (0, cluster.init(0));
    assert_eq!(cluster.produce(old, PLACE, payload("late")), Err(Refused::Fenced));
    assert_eq!(cluster.end(old, true), Err(Refused::Fenced));
    cluster.produce(new, PLACE, payload("new")).unwrap();
    cluster.end(new, true).unwrap();
    assert_eq!(visible(&mut cluster), ["new"]);
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_fenced() {
    let mut cluster = cluster();
    let a = (0, cluster.init(0));
    cluster.produce(a, PLACE, payload("a")).unwrap();
    cluster.pass(10_001);
    assert_eq!(cluster.end(a, true), Err(Refused::Fenced));
    assert!(visible(&mut cluster).is_empty() && cluster.is_quiet());
}

#[test]
fn offsets_are_pending_until_decided_and_a_stale_member_is_refused() {
    let mut cluster = cluster();
    let a = (0, cluster.init(0));
    let first = member(&mut cluster, 0, 7);
    cluster.add_offsets(a, first, &offsets(5)).unwrap();
    assert_eq!(cluster.group.committed(0), None);
    cluster.end(a, false).unwrap();
    assert_eq!(cluster.group.committed(0).unwrap().next_offsets, [None; 3]);
    cluster.add_offsets(a, first, &offsets(6)).unwrap();
    cluster.end(a, true).unwrap();
    let committed = cluster.group.committed(0).unwrap();
    assert_eq!(committed.next_offsets, [Some(6); 3]);
    assert_eq!(committed.metadata.as_deref(), Some("at 6"));
    // A rebalance that it answers raises the generation.
    cluster.group.rebalance();
    assert_eq!(cluster.group.poll(0, 7, 0), News::Revoked);
    cluster.add_offsets(a, first, &offsets(7)).unwrap();
    cluster.group.rejoin(0, 7, 0);
    assert_eq!(cluster.add_offsets(a, first, &offsets(8)), Err(Refused::StaleMember));
}

#[test]
fn nobody_is_assigned_anything_before_everybody_has_answered_or_was_expelled() {
    let mut cluster = cluster();
    member(&mut cluster, 0, 7);
    cluster.group.join(1, 8, 0);
    assert_eq!(cluster.group.poll(1, 8, 0), News::Nothing);
    assert_eq!(cluster.group.poll(0, 7, 0), News::Revoked);
    assert_eq!(cluster.group.poll(1, 8, 0), News::Nothing);
    cluster.pass(5_000);
    assert_eq!(cluster.group.poll(1, 8, 5_000), News::Nothing);
    cluster.pass(2_000);
    assert_eq!(cluster.group.poll(0, 7, 7_000), News::Unknown);
    let all = News::Assigned { generation: 2, partitions: vec![0, 1] };
    assert_eq!(cluster.group.poll(1, 8, 7_000), all);
    // The same static member in another process gets what it had; the old process is told.
    cluster.group.join(1, 9, 7_000);
    assert_eq!(cluster.group.poll(1, 9, 7_000), all);
    assert_eq!(cluster.group.poll(1, 8, 7_000), News::Replaced);
}

#[test]
fn slow_markers_show_a_decided_transaction_bit_by_bit() {
    let mut cluster = cluster();
    cluster.slow_markers = true;
    let a = (0, cluster.init(0));
    let first = member(&mut cluster, 0, 7);
    cluster.produce(a, PLACE, payload("a")).unwrap();
    cluster.add_offsets(a, first, &offsets(5)).unwrap();
    cluster.end(a, true).unwrap();
    assert!(visible(&mut cluster).is_empty() && cluster.group.committed(0).is_none());
    while !cluster.is_quiet() {
        cluster.pass(1);
    }
    assert_eq!(visible(&mut cluster), ["a"]);
    assert!(cluster.group.committed(0).is_some());
}

#[test]
fn a_delayed_end_hits_the_next_transaction_of_its_epoch_and_no_other() {
    let mut cluster = cluster();
    let a = (0, cluster.init(0));
    cluster.produce(a, PLACE, payload("a")).unwrap();
    cluster.end(a, false).unwrap();
    cluster.delay_end(5, a, false);
    cluster.produce(a, PLACE, payload("hit")).unwrap();
    cluster.pass(10);
    cluster.produce(a, PLACE, payload("torn off")).unwrap();
    cluster.end(a, true).unwrap();
    assert_eq!(visible(&mut cluster), ["torn off"]);
    assert_eq!((cluster.strays_landed, cluster.strays_hit), (1, 1));
    cluster.delay_end(5, a, false);
    let renewed = (0, cluster.init(0));
    cluster.produce(renewed, PLACE, payload("whole")).unwrap();
    cluster.pass(10);
    cluster.end(renewed, true).unwrap();
    assert_eq!(visible(&mut cluster), ["torn off", "whole"]);
    assert_eq!((cluster.strays_landed, cluster.strays_hit), (2, 1));
}

#[test]
fn an_outage_stops_the_coordinators_clocks_for_members_but_not_for_transactions() {
    let mut cluster = cluster();
    let a = (0, cluster.init(0));
    member(&mut cluster, 0, 7);
    cluster.produce(a, PLACE, payload("a")).unwrap();
    cluster.go_down(20_000);
    cluster.pass(19_000);
    assert!(cluster.is_down() && cluster.timed_out == 0);
    cluster.pass(1_000);
    assert_eq!(cluster.timed_out, 1);
    assert_eq!(cluster.group.poll(0, 7, 20_000), News::Nothing);
}

#[test]
fn compaction_leaves_the_last_value_of_a_key_and_removes_deletions_later() {
    let mut cluster = cluster();
    let log = cluster.log(PLACE.0, PLACE.1);
    for (key, value) in [("a", Some("1")), ("b", Some("1")), ("a", Some("2")), ("b", None)] {
        let value = value.map(|value| value.as_bytes().to_vec());
        let key = Some(key.as_bytes().to_vec());
        log.append(Payload { key, value, ..Payload::default() }, None);
    }
    assert_eq!(log.cleaned(4, false), [0, 1]);
    assert_eq!(log.cleaned(4, true), [0, 1, 3]);
    assert!(log.cleaned(2, true).is_empty());
}

/// Damages a copy and expects the oracle to notice.
fn notices(
    outcome: &[Partition],
    check: impl Fn(&[Partition]) -> Result<(), String>,
    damage: impl Fn(&mut Partition) -> bool,
) {
    let mut damaged = outcome.to_vec();
    assert!(damaged.iter_mut().any(&damage), "there is nothing to damage");
    check(&damaged).expect_err("the damage went unnoticed");
}

#[test]
fn the_oracle_notices_damage() {
    let report = run(Mode::Event, 0, &None).unwrap();
    let whole = &report.partitions;
    let before = vec![(0, Marks::new()); whole.len()];
    let marks = vec![Marks::new(); whole.len()];
    let holds = |outcome: &[Partition]| check_invariants(outcome, &report.config, &before);
    let equal = |outcome: &[Partition]| {
        check_equal(outcome, &report.config, (1, &marks), report.advance_to)
    };
    (holds(whole), equal(whole)).0.unwrap();
    notices(whole, holds, |it| (!it.changes.is_empty()).then(|| it.changes.remove(0)).is_some());
    notices(whole, holds, |it| {
        let twice = it.changes.last().cloned();
        it.changes.extend(twice);
        !it.changes.is_empty()
    });
    notices(whole, holds, |it| {
        let two = it.changes.len() > 1 && it.changes[0].key == it.changes[1].key;
        if two {
            it.changes.swap(0, 1);
        }
        two
    });
    notices(whole, equal, |it| {
        let Some(value) = it.changes.last_mut().and_then(|it| it.value.as_mut()) else {
            return false;
        };
        let text = String::from_utf8(value.clone()).unwrap();
        *value = text.replace("\"dwell_ms\":", "\"dwell_ms\":1").into_bytes();
        true
    });
    notices(whole, equal, |it| {
        let change = it.changes.last_mut();
        change.and_then(|change| change.headers.pop()).is_some()
    });
    notices(whole, equal, |it| {
        let customer = it.states.iter().rposition(|it| it.key.as_deref() != Some(PROGRESS_KEY));
        customer.map(|place| it.states.remove(place)).is_some()
    });
    notices(whole, holds, |it| {
        let progress = it.states.iter().rposition(|it| it.key.as_deref() == Some(PROGRESS_KEY));
        progress.map(|place| it.states.remove(place)).is_some()
    });
    notices(whole, holds, |it| it.offsets.next_offsets[0].take().is_some());
    notices(whole, holds, |it| it.dead_letters.pop().is_some());
    notices(whole, holds, |it| {
        let twice = it.dead_letters.first().cloned();
        it.dead_letters.extend(twice);
        !it.dead_letters.is_empty()
    });
    check_forgotten(whole, whole).unwrap();
    let nothing: Vec<Partition> = whole.iter().map(|it| it.after(it)).collect();
    check_forgotten(whole, &nothing).expect_err("what was left went unnoticed");
    check_nothing_due(whole, Timestamp::MIN).unwrap();
    check_nothing_due(whole, Timestamp::MAX).expect_err("deadlines are always before the end");
}

/// Replaces a part of the last change's text.
fn reword(records: &mut Partition, part: &str, by: &str) -> bool {
    let change = records.changes.iter_mut().rev().find(|change| {
        String::from_utf8_lossy(change.value.as_deref().unwrap_or_default()).contains(part)
    });
    let Some(value) = change.and_then(|change| change.value.as_mut()) else { return false };
    let text = String::from_utf8(value.clone()).unwrap();
    *value = text.replacen(part, by, 1).into_bytes();
    true
}

#[test]
fn the_replay_notices_damage() {
    let report = run(Mode::Wall, 0, &None).unwrap();
    let whole = &report.partitions;
    let holds = |outcome: &[Partition]| check_replayed(outcome, &report.config, 0).map(|_| ());
    holds(whole).unwrap();
    check_schedule(whole).unwrap();
    notices(whole, holds, |it| it.changes.pop().is_some());
    notices(whole, holds, |it| reword(it, "\"entry\":1", "\"entry\":2"));
    notices(whole, holds, |it| reword(it, "\"detected_at\":\"2026", "\"detected_at\":\"2025"));
    notices(whole, holds, |it| reword(it, "\"detected_at\":\"2026", "\"detected_at\":\"2027"));
    notices(whole, holds, |it| it.changes.last_mut().and_then(|it| it.headers.pop()).is_some());
    notices(whole, holds, |it| it.profiles.pop().is_some());
    notices(whole, holds, |it| {
        let customer = it.states.iter().rposition(|it| it.key.as_deref() != Some(PROGRESS_KEY));
        customer.map(|place| it.states.remove(place)).is_some()
    });
    // An event that was lost, or that another transaction is said to have taken in.
    notices(whole, holds, |it| it.inputs[1].pop().is_some());
    notices(whole, check_schedule, |it| {
        let twice = it.commits.last().cloned();
        it.commits.extend(twice);
        !it.commits.is_empty()
    });
    notices(whole, check_schedule, |it| {
        let last = it.commits.last_mut();
        last.map(|commit| commit.owned = false).is_some()
    });
    notices(whole, check_schedule, |it| {
        let two = it.commits.len() > 1;
        if two {
            it.commits[0].instance += 1;
            it.commits[1].generation = it.commits[0].generation;
        }
        two
    });
    notices(whole, check_schedule, |it| {
        it.changes.last_mut().map(|change| change.transaction += 1).is_some()
    });
}
