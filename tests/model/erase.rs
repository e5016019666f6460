//! Who is erased is gone, stays gone while the mark lasts, and comes back as somebody else.
//!
//! Next: `tests/golden/erase.jsonl`, what is told.

use crate::fixture::{advance, day, eur, event, feed, ordered, rules, taken, task};
use ebbflow::domain::change::{CauseKind, Change};
use ebbflow::domain::dimension::Dimension;
use ebbflow::domain::event::{Body, Event, Interaction};
use ebbflow::domain::mark::{Mark, SaltedId};
use ebbflow::domain::pack::unpack;
use ebbflow::domain::progress::Phase;
use ebbflow::domain::rules::Rules;
use ebbflow::domain::subject::Subject;
use ebbflow::domain::time::DAY_MS;
use ebbflow::task::{PartitionTask, ProfileWrite, TaskConfig};
use std::collections::BTreeMap;
use std::sync::Arc;

const KEEP_DAYS: i64 = 30;

fn short_rules() -> Arc<Rules> {
    let mut rules = rules();
    rules.erase_keep_ms = KEEP_DAYS * DAY_MS;
    Arc::new(rules)
}

fn erase(id: &str, customer: &str, days: i64) -> Event<'static> {
    event(id, customer, day(days), Body::Interaction(Interaction::EraseRequested))
}

fn order(id: &str, customer: &str, days: i64) -> Event<'static> {
    event(id, customer, day(days), ordered(id, eur(6_000)))
}

/// What the topics hold: states, profiles, marks.
#[derive(Default, PartialEq, Debug)]
struct Topics {
    states: BTreeMap<String, Vec<u8>>,
    profiles: BTreeMap<String, bool>,
    marks: BTreeMap<SaltedId, Mark>,
    tombstones: u32,
}

impl Topics {
    fn commit(&mut self, task: &mut PartitionTask) -> Vec<Change> {
        let progress = task.progress();
        let Self { states, profiles, marks, tombstones } = self;
        task.pack(|id, packed, profile| {
            match packed {
                Some(packed) => {
                    states.insert(id.to_owned(), packed.to_vec());
                }
                None => {
                    assert!(states.remove(id).is_some(), "a tombstone of nobody");
                    *tombstones += 1;
                }
            }
            match profile {
                ProfileWrite::Nothing => {}
                ProfileWrite::Profile(_) => {
                    profiles.insert(id.to_owned(), true);
                }
                ProfileWrite::Tombstone => {
                    profiles.remove(id);
                }
            }
        });
        for (id, mark) in task.marks() {
            match mark {
                Some(mark) => marks.insert(*id, mark.clone()),
                None => marks.remove(id),
            };
        }
        let changes = taken(task);
        task.commit().expect("readable states");
        assert_eq!(
            (progress.customers, progress.erased),
            (states.len() as u64, marks.len() as u64)
        );
        assert_eq!(task.store().len(), states.len());
        changes
    }
}

fn feed_all(task: &mut PartitionTask, events: &[Event<'static>]) {
    for (offset, event) in (0..).zip(events) {
        feed(task, event, offset);
    }
}

#[test]
fn an_erase_closes_what_was_told_and_removes_everything() {
    let mut task = task(&short_rules());
    let mut topics = Topics::default();
    feed_all(&mut task, &[order("o-1", "ann", 0), order("o-2", "bob", 0)]);
    let told = topics.commit(&mut task);
    assert_eq!(topics.profiles.len(), 2);
    feed(&mut task, &erase("e-3", "ann", 5), 2);
    let closing = topics.commit(&mut task);
    assert_eq!(topics.states.keys().collect::<Vec<_>>(), ["bob"]);
    assert_eq!(topics.profiles.keys().collect::<Vec<_>>(), ["bob"]);
    assert_eq!((topics.tombstones, topics.marks.len()), (1, 1));
    let of_ann: Vec<_> = told.iter().filter(|change| change.customer_id == "ann").collect();
    assert_eq!(closing.len(), of_ann.len());
    for (place, change) in closing.iter().enumerate() {
        assert_eq!((change.cause.kind, &change.current), (CauseKind::Erase, &None));
        assert_eq!(change.previous, of_ann[place].current);
        assert_eq!(change.seq, (of_ann.len() + place + 1) as u64);
        assert_eq!(change.occurred_at, day(5));
        // A closing change says nothing of who it was.
        assert_eq!((change.facts.orders, change.scores, change.evidence.len()), (0, None, 0));
        assert!(change.consent.is_empty() && change.next.is_none());
    }
    let tally = task.take_tally();
    assert_eq!((tally.erased, tally.after_erase), (1, 0));
}

#[test]
fn somebody_unknown_is_marked_and_counted_and_nothing_is_written() {
    let mut task = task(&short_rules());
    let mut topics = Topics::default();
    feed(&mut task, &erase("e-1", "ann", 0), 0);
    assert_eq!(topics.commit(&mut task), []);
    assert_eq!((topics.states.len(), topics.tombstones, topics.marks.len()), (0, 0, 1));
    assert_eq!(task.take_tally().erased, 1);
    feed(&mut task, &order("o-1", "ann", 1), 1);
    assert_eq!(topics.commit(&mut task), []);
    assert!(topics.states.is_empty());
    assert_eq!(task.take_tally().after_erase, 1);
}

#[test]
fn later_events_of_the_same_transaction_are_dropped_too() {
    let mut task = task(&short_rules());
    let mut topics = Topics::default();
    feed(&mut task, &order("o-1", "ann", 0), 0);
    topics.commit(&mut task);
    for events in [
        &[erase("e-1", "ann", 1), order("o-2", "ann", 1), erase("e-2", "ann", 2)][..],
        &[order("o-3", "ann", 1), erase("e-1", "ann", 1), order("o-4", "ann", 0)],
    ] {
        feed_all(&mut task, events);
        assert_eq!(task.progress().customers, 0);
        task.rollback();
        assert_eq!((task.progress().customers, task.progress().erased), (1, 0));
    }
    feed_all(&mut task, &[erase("e-1", "ann", 1), order("o-2", "ann", 1), erase("e-2", "ann", 2)]);
    let tally = task.take_tally();
    assert_eq!((tally.erased, tally.after_erase), (1, 2));
    topics.commit(&mut task);
    assert!(topics.states.is_empty());
    // Somebody who came and went within one transaction leaves a mark and no tombstone.
    feed_all(&mut task, &[order("o-5", "bob", 3), erase("e-3", "bob", 3)]);
    let told = topics.commit(&mut task);
    assert!(told.iter().any(|change| change.current.is_none()));
    assert_eq!((topics.tombstones, topics.marks.len()), (1, 2));
}

#[test]
fn who_comes_back_is_somebody_else() {
    let rules = short_rules();
    let back = day(1 + KEEP_DAYS);
    // Before the clock has taken the mark away, and after.
    for clock_first in [false, true] {
        let mut task = task(&rules);
        let mut topics = Topics::default();
        feed_all(&mut task, &[order("o-1", "ann", 0), erase("e-1", "ann", 1)]);
        let mut told = topics.commit(&mut task);
        let dropped = event("o-2", "ann", back.plus_ms(-1), ordered("o-2", eur(1)));
        feed(&mut task, &dropped, 2);
        assert_eq!(task.take_tally().after_erase, 1);
        if clock_first {
            advance(&mut task, back);
            topics.commit(&mut task);
            assert!(topics.marks.is_empty());
        }
        let event = event("o-3", "ann", back, ordered("o-3", eur(7_000)));
        let record = ebbflow::task::EventRecord {
            input: 1,
            topic: &"purchases".into(),
            offset: 3,
            event: &event,
            at: back,
            value: &[],
        };
        task.handle_event(&record, None).expect("an event of this partition");
        let again = topics.commit(&mut task);
        assert_eq!(again[0].seq, 1);
        assert_eq!(again[0].facts.orders, 1);
        let customer = unpack(&topics.states["ann"], &rules.rates).expect("a state");
        assert_eq!(customer.incarnation, 1);
        told.extend(again);
        let mut ids: Vec<_> = told.iter().map(|change| change.change_id.0).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), told.len(), "a change id is used twice");
    }
}

#[test]
fn reading_all_inputs_again_does_not_bring_anybody_back() {
    let events = [
        order("o-1", "ann", 0),
        order("o-2", "bob", 0),
        erase("e-1", "ann", 1),
        order("o-3", "ann", 2),
    ];
    let ends = [0, 1].map(|lineage| {
        let mut task = fresh(lineage, Phase::Live);
        let mut topics = Topics::default();
        for (offset, event) in (0..).zip(&events) {
            feed(&mut task, event, offset);
            topics.commit(&mut task);
        }
        topics
    });
    assert_eq!(ends[0], ends[1]);
    assert_eq!(ends[0].states.keys().collect::<Vec<_>>(), ["bob"]);
    assert_eq!(ends[0].marks.len(), 1);
}

/// A task that has not begun, of this lineage and in this phase.
fn fresh(lineage: u32, phase: Phase) -> PartitionTask {
    let config = TaskConfig {
        application_id: "test".into(),
        partition: 0,
        partitions: 1,
        rules: short_rules(),
        keys_are_trusted: true,
        profiles_on_touch: false,
        run_id: "run".into(),
        rebuilt_at: ebbflow::domain::time::Timestamp::MIN,
    };
    PartitionTask::new(config, lineage, phase)
}

#[test]
fn what_an_earlier_lineage_told_is_closed_whether_this_one_has_told_anything_or_not() {
    // In the silence before a baseline, and of somebody whose events the inputs hold no more.
    for (known, phase) in
        [(true, Phase::Silent([0, 9, 0])), (false, Phase::Silent([0, 9, 0])), (false, Phase::Live)]
    {
        let mut task = fresh(2, phase);
        let mut topics = Topics::default();
        if known {
            feed(&mut task, &order("o-1", "ann", 0), 0);
        }
        assert_eq!(topics.commit(&mut task), []);
        feed(&mut task, &erase("e-1", "ann", 5), 1);
        let closing = topics.commit(&mut task);
        // Nobody knows which dimensions it told of.
        assert_eq!(closing.len(), Dimension::all_of(Subject::Customer).count());
        for (seq, change) in (1..).zip(&closing) {
            assert_eq!((change.cause.kind, &change.current), (CauseKind::Erase, &None));
            assert_eq!((change.seq, change.dwell_ms), (seq, 0));
            assert_eq!(change.customer_id, "ann");
        }
        // This lineage has told nothing: `previous` is what a dimension begins with.
        let previous: Vec<_> = closing.iter().map(|it| it.previous.as_deref().unwrap()).collect();
        assert_eq!(previous[..3], ["none", "awareness", "none"]);
        // Again while the mark lasts, and what comes later: dropped.
        feed(&mut task, &erase("e-2", "ann", 6), 2);
        feed(&mut task, &order("o-2", "ann", 7), 3);
        assert_eq!(topics.commit(&mut task), []);
        assert_eq!((topics.states.len(), topics.marks.len()), (0, 1));
        assert_eq!(task.take_tally().after_erase, 2);
    }
    // Nothing was told before the first lineage.
    for phase in [Phase::Silent([0, 9, 0]), Phase::Live] {
        let mut task = fresh(1, phase);
        feed(&mut task, &erase("e-1", "ann", 5), 1);
        assert_eq!(taken(&mut task), []);
    }
    // What this lineage has told says which dimensions there are to close.
    let mut task = fresh(2, Phase::Live);
    feed(&mut task, &order("o-1", "ann", 0), 0);
    let told = taken(&mut task);
    feed(&mut task, &erase("e-1", "ann", 5), 1);
    assert_eq!(taken(&mut task).len(), told.len());
}

#[test]
fn a_baseline_passes_over_who_is_erased_meanwhile() {
    let customers = ["ann", "bob", "cid", "dan"];
    let mut task = fresh(0, Phase::Silent([0, 4, 0]));
    let mut topics = Topics::default();
    for (offset, customer) in (0..).zip(customers) {
        feed(&mut task, &order(&format!("o-{customer}"), customer, 0), offset);
    }
    assert_eq!(topics.commit(&mut task), []);
    assert!(task.work_on_all(1, None).expect("readable states").is_some());
    topics.commit(&mut task);
    assert_eq!(task.phase(), Phase::Baseline);
    assert!(task.work_on_all(1, None).expect("readable states").is_some());
    let mut told = topics.commit(&mut task);
    for (offset, customer) in (4..).zip(&customers[1..]) {
        feed(&mut task, &erase(&format!("e-{customer}"), customer, 1), offset);
    }
    told.extend(topics.commit(&mut task));
    for _ in 0..8 {
        task.work_on_all(1, None).expect("whoever is gone is passed over");
        told.extend(topics.commit(&mut task));
    }
    assert_eq!(task.phase(), Phase::Live);
    let opened: Vec<_> = told.iter().filter(|change| change.previous.is_none()).collect();
    let closed: Vec<_> = told.iter().filter(|change| change.current.is_none()).collect();
    assert!(!opened.is_empty() && closed.len() < opened.len());
    assert_eq!(topics.states.len(), 1);
}
