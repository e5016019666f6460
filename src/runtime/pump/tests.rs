//! What the pump refuses, and what it lets wait.

use super::*;
use crate::codec::decoder::{DecodeError, decode_json_line};
use crate::codec::relay::encode_relayed;
use crate::config::from_sources;
use crate::domain::event::Event;
use crate::domain::id::partition_of;
use crate::domain::progress::Phase;
use crate::domain::relay::{EventOrigin, Relayed, Told, Why};
use crate::domain::rules::Rules;
use crate::domain::time::DAY_MS;
use crate::task::{PartitionTask, TaskConfig};
use std::sync::Arc;

const PARTITIONS: u32 = 3;

struct Line {
    offset: i64,
    key: Option<String>,
    value: Vec<u8>,
}

impl Record for Line {
    fn key(&self) -> Option<&[u8]> {
        self.key.as_deref().map(str::as_bytes)
    }

    fn value(&self) -> Option<&[u8]> {
        Some(&self.value)
    }

    fn offset(&self) -> i64 {
        self.offset
    }

    fn timestamp(&self) -> Option<Timestamp> {
        Some(Timestamp(self.offset))
    }
}

struct Json(Arc<Rules>);

impl Decode for Json {
    fn decode<'r>(&self, _: usize, value: &'r [u8]) -> Result<Event<'r>, DecodeError> {
        Ok(decode_json_line(value, &self.0.rates)?)
    }
}

fn event(kind: &str, id: &str, at: i64) -> String {
    format!(r#"{{"event_id":"e-{at}","kind":"{kind}","customer_id":"{id}","occurred_at":{at}}}"#)
}

/// An event of a customer that was read in another partition.
fn relayed_line(id: &str, day: i64) -> Line {
    let value = event("product_added", id, day * DAY_MS).into_bytes();
    told_line(id, day, Told::Event { input: 0, tied: false, value: value.into() })
}

/// A customer becomes another one.
fn move_line(id: &str, into: &str, day: i64) -> Line {
    told_line(id, day, Told::Move { into: into.to_owned(), why: Why::Merged })
}

fn told_line(id: &str, day: i64, told: Told<'_>) -> Line {
    let at = Timestamp(day * DAY_MS);
    let relayed = Relayed {
        to: id.to_owned(),
        path: Vec::new(),
        at,
        cause: EventOrigin {
            event_id: format!("e-{}", at.0),
            occurred_at: at,
            at,
            topic: "interactions".into(),
            partition: 1,
            offset: 0,
        },
        told,
    };
    let mut value = Vec::new();
    encode_relayed(1, &relayed, &mut value);
    Line { offset: at.0, key: None, value }
}

#[test]
fn what_is_refused_of_somebody_erased_is_dropped_and_counted() {
    let rules = from_sources(None, [], &[]).expect("the defaults are valid").config.rules;
    let ids = (0..40).map(|n| format!("c-{n}"));
    let (here, elsewhere): (Vec<_>, Vec<_>) = ids.partition(|id| partition_of(id, PARTITIONS) == 0);
    let (gone, known, other) = (&here[0], &here[1], &elsewhere[0]);
    let (broken, far) = (|| "{".to_owned(), 3 * DAY_MS);
    let records = [
        (Some(gone), broken()),
        (Some(gone), event("erase_requested", gone, 1)),
        (Some(gone), broken()),
        (Some(known), broken()),
        (None, broken()),
        (None, event("page_viewed", gone, far)),
        (Some(known), event("page_viewed", known, far)),
        (Some(gone), event("page_viewed", other, 1)),
        (None, event("page_viewed", other, 1)),
    ];
    let lines: Vec<Line> = (0..)
        .zip(records)
        .map(|(offset, (key, value))| Line { offset, key: key.cloned(), value: value.into_bytes() })
        .collect();
    let mut task = trusting_task(0, &rules);
    let limits = Limits {
        topics: &["interactions".into(), "purchases".into(), "relay".into()],
        ends: [Some(9), Some(0), Some(0)],
        stop_at_ends: true,
        wall: None,
        in_step: None,
        limit: None,
        waits: false,
        records: 100,
        timers: 100,
    };
    let pumped = pump(&mut task, [&lines, &[], &[]], &Json(rules), &limits).expect("states");
    assert_eq!(pumped.consumed, [9, 0, 0]);
    let refused: Vec<usize> = pumped.refused.iter().map(|(_, place, _)| *place).collect();
    assert_eq!(refused, [0, 3, 4, 6, 7, 8], "{:?}", pumped.refused);
    assert_eq!(task.take_tally().after_erase, 2);
}
#[test]
fn an_event_waits_for_other_tasks_when_a_timer_would_fire_before_it_and_others_go_on() {
    let rules = from_sources(None, [], &[]).expect("the defaults are valid").config.rules;
    let ids = (0..40).map(|n| format!("c-{n}"));
    let here: Vec<String> = ids.filter(|id| partition_of(id, PARTITIONS) == 0).collect();
    let line = |id: &String, day: i64| Line {
        offset: day * DAY_MS,
        key: None,
        value: event("product_added", id, day * DAY_MS).into_bytes(),
    };
    let visits = [line(&here[0], 1), line(&here[0], 400), line(&here[1], 401)];
    let relayed = [relayed_line(&here[2], 402), relayed_line(&here[0], 403)];
    let mut task = task_of(0, &rules);
    let limits = Limits {
        topics: &["interactions".into(), "purchases".into(), "relay".into()],
        ends: [Some(0); 3],
        stop_at_ends: false,
        wall: Some(Timestamp(500 * DAY_MS)),
        in_step: None,
        limit: None,
        waits: true,
        records: 100,
        timers: 100,
    };
    let at = |day: i64| Some(Timestamp(day * DAY_MS));
    (0..3).for_each(|input| task.pass(input, Timestamp(500 * DAY_MS)));
    task.hold(at(1));
    let decode = Json(rules);
    let pumped = pump(&mut task, [&visits, &[], &relayed[..1]], &decode, &limits);
    let pumped = pumped.expect("states");
    assert_eq!((pumped.consumed, pumped.timers, task.waiting()), ([3, 0, 1], 0, 1));
    assert!(task.take_changes().all(|change| change.cause.event_id.is_some()));

    task.hold(at(2));
    pump(&mut task, none(), &decode, &limits).expect("states");
    assert_eq!((task.take_changes().count(), task.waiting()), (0, 1));
    task.hold(at(400));
    let pumped = pump(&mut task, none(), &decode, &limits).expect("states");
    assert!(pumped.timers > 0);
    assert!(task.take_changes().all(|change| change.occurred_at <= Timestamp(400 * DAY_MS)));
    assert_eq!((pumped.waited, task.waiting()), (1, 0));

    // What the relay brings is not held up in it, and others are held up by it only where it will
    // tell them something.
    task.hold(at(402));
    let records = [relayed_line(&here[0], 800), relayed_line(&here[3], 801)];
    let pumped = pump(&mut task, [&[], &[], &records], &decode, &limits).expect("states");
    assert_eq!((pumped.consumed, pumped.timers, task.waiting()), ([0, 0, 2], 0, 1));
    assert_eq!(task.offset_metadata().waits_at, None);
    let moves = move_line(&here[2], "c-elsewhere", 802);
    pump(&mut task, [&[], &[], &[moves]], &decode, &limits).expect("states");
    assert_eq!((task.waiting(), task.offset_metadata().waits_at), (2, at(802)));
    for (held, left) in [(402, 2), (802, 0)] {
        task.hold(at(held));
        pump(&mut task, none(), &decode, &limits).expect("states");
        assert_eq!(task.waiting(), left);
    }
    assert_eq!(task.offset_metadata().waits_at, None);

    // With all about as far as the wall clock only timers wait.
    let near = Limits { waits: false, ..limits };
    let pumped = pump(&mut task, [&[line(&here[0], 1300)], &[], &[]], &decode, &near);
    assert_eq!((pumped.expect("states").consumed, task.waiting()), ([1, 0, 0], 0));
}

#[test]
fn inputs_wait_when_they_are_far_ahead_of_other_tasks_and_the_relay_does_not() {
    let rules = from_sources(None, [], &[]).expect("the defaults are valid").config.rules;
    let topics = ["interactions".into(), "purchases".into(), "relay".into()];
    let limits = Limits { records: 20_000, ..history(&topics) };
    let decode = Json(Arc::clone(&rules));
    let (here, elsewhere) = ids();
    let visits: Vec<Line> = (1..=10_010).map(|day| visit_line(&elsewhere, day)).collect();
    let mut task = task_of(0, &rules);
    task.hold(Some(Timestamp::MIN));
    let relayed = relayed_line(&here, 20_000);
    let records: [&[Line]; 3] = [&visits, &[], &[relayed]];
    let pumped = pump(&mut task, records, &decode, &limits).expect("states");
    assert_eq!((pumped.consumed, pumped.waits), ([10_000, 0, 1], true));
    task.hold(Some(Timestamp(5 * DAY_MS)));
    let records: [&[Line]; 3] = [&visits[10_000..], &[], &[]];
    let pumped = pump(&mut task, records, &decode, &limits).expect("states");
    assert_eq!((pumped.consumed, pumped.waits), ([5, 0, 0], true));
}

#[test]
fn what_tells_others_leaves_the_room_of_a_task_far_ahead_although_its_next_record_is_earlier() {
    let rules = from_sources(None, [], &[]).expect("the defaults are valid").config.rules;
    let topics = ["interactions".into(), "purchases".into(), "relay".into()];
    let limits = Limits { records: 20_000, ..history(&topics) };
    let decode = Json(Arc::clone(&rules));
    let (here, elsewhere) = ids();
    let mut task = task_of(0, &rules);
    pass_all(&mut task);
    task.hold(Some(Timestamp(DAY_MS)));
    let moves = move_line(&here, &elsewhere, 400);
    let records: [&[Line]; 3] = [&[visit_line(&here, 1)], &[], &[moves]];
    pump(&mut task, records, &decode, &limits).expect("states");
    let visits: Vec<Line> = (500..10_500).map(|day| visit_line(&elsewhere, day)).collect();
    let pumped = pump(&mut task, [&visits, &[], &[]], &decode, &limits).expect("states");
    assert_eq!((pumped.consumed, task.waiting()), ([10_000, 0, 0], 1));
    relayed_by(&mut task);

    let late = [visit_line(&elsewhere, 2)];
    let pumped = pump(&mut task, [&late, &[], &[]], &decode, &limits).expect("states");
    assert_eq!((pumped.consumed, pumped.waits, task.waiting()), ([0; 3], true, 1));
    task.hold(Some(Timestamp(400 * DAY_MS)));
    let pumped = pump(&mut task, [&late, &[], &[]], &decode, &limits).expect("states");
    assert_eq!((pumped.consumed, pumped.waits, task.waiting()), ([0; 3], true, 0));
    assert!(!relayed_by(&mut task).is_empty(), "its state goes to whom it became");
}

/// A customer of the first partition, and one of another.
fn ids() -> (String, String) {
    let is_home = |id: &String| partition_of(id, PARTITIONS) == 0;
    let here = (0..).map(|n| format!("c-{n}")).find(is_home).expect("an id");
    let elsewhere = (0..).map(|n| format!("c-{n}")).find(|id| !is_home(id)).expect("an id");
    (here, elsewhere)
}

/// A task of one of the partitions, and its limits, far from the present.
fn task_of(partition: u32, rules: &Arc<Rules>) -> PartitionTask {
    PartitionTask::new(config_of(partition, rules), 1, Phase::Live)
}

/// The same where keys are trusted.
fn trusting_task(partition: u32, rules: &Arc<Rules>) -> PartitionTask {
    let config = TaskConfig { keys_are_trusted: true, ..config_of(partition, rules) };
    PartitionTask::new(config, 1, Phase::Live)
}

fn config_of(partition: u32, rules: &Arc<Rules>) -> TaskConfig {
    TaskConfig {
        application_id: "test".into(),
        partition,
        partitions: PARTITIONS,
        rules: Arc::clone(rules),
        keys_are_trusted: false,
        profiles_on_touch: false,
        run_id: "run".into(),
        rebuilt_at: Timestamp::MIN,
    }
}

/// Lets the clock go on to the present.
fn pass_all(task: &mut PartitionTask) {
    (0..3).for_each(|input| task.pass(input, Timestamp(500 * DAY_MS)));
}

fn none() -> [&'static [Line]; 3] {
    [&[], &[], &[]]
}

fn history(topics: &[Name; 3]) -> Limits<'_> {
    Limits {
        topics,
        ends: [Some(0); 3],
        stop_at_ends: false,
        wall: Some(Timestamp(500 * DAY_MS)),
        in_step: None,
        limit: None,
        waits: true,
        records: 100,
        timers: 100,
    }
}

fn order_line(id: &str, account: &str, day: i64) -> Line {
    let at = day * DAY_MS;
    let value = format!(
        r#"{{"event_id":"o-{at}","kind":"order_completed","customer_id":"{id}","occurred_at":{at},
            "account_id":"{account}","order_id":"o-{day}","amount_minor":5000,"currency":"EUR"}}"#
    );
    Line { offset: at, key: None, value: value.into_bytes() }
}

fn visit_line(id: &str, day: i64) -> Line {
    let at = day * DAY_MS;
    let value = event("product_added", id, at).into_bytes();
    Line { offset: at, key: None, value }
}

/// What a task tells the others, as it is written to the relay.
fn relayed_by(task: &mut PartitionTask) -> Vec<(u32, Line)> {
    let outgoing = task.take_outgoing().map(|outgoing| {
        let mut value = Vec::new();
        encode_relayed(1, &outgoing.relayed, &mut value);
        (outgoing.partition, Line { offset: outgoing.relayed.at.0, key: None, value })
    });
    outgoing.collect()
}

/// Dimension, value and time of what a task tells.
fn told(task: &mut PartitionTask) -> Vec<(String, String, Option<String>, Timestamp)> {
    let changes = task.take_changes().map(|change| {
        let (who, dimension) = (change.customer_id.to_string(), change.dimension.to_string());
        (who, dimension, change.current.map(|value| value.to_string()), change.occurred_at)
    });
    let mut told: Vec<_> = changes.collect();
    told.sort_by(|one, other| (one.3, &one.0, &one.1).cmp(&(other.3, &other.0, &other.1)));
    told
}

#[test]
fn what_other_partitions_have_of_a_customer_is_told_as_if_it_had_come_in_order() {
    let rules = from_sources(None, [], &[]).expect("the defaults are valid").config.rules;
    let topics = ["interactions".into(), "purchases".into(), "relay".into()];
    let (limits, decode) = (history(&topics), Json(Arc::clone(&rules)));
    let home = |id: &String| partition_of(id, PARTITIONS) == 0;
    let id = (0..).map(|n| format!("c-{n}")).find(home).expect("an id");
    let account = (0..).map(|n| format!("a-{n}"));
    let account = account.into_iter().find(|id| home(&format!("account:{id}"))).expect("an id");
    let orders = || [order_line(&id, &account, 1), order_line(&id, &account, 100)];

    let mut straight = task_of(0, &rules);
    let records = [&[visit_line(&id, 300)][..], &orders(), &[]];
    pump(&mut straight, records, &decode, &limits).expect("states");
    pass_all(&mut straight);
    pump(&mut straight, none(), &decode, &limits).expect("states");
    let in_order = told(&mut straight);
    assert!(in_order.len() > 10, "{in_order:?}");

    // The visit, in one wrong partition, arrives before the second order, in another one.
    let mut others = [task_of(1, &rules), task_of(2, &rules)];
    for task in &mut others {
        task.hold(Some(Timestamp(DAY_MS)));
        pass_all(task);
    }
    let [first, second] = orders();
    let visit = [visit_line(&id, 300)];
    pump(&mut others[0], [&visit, &[], &[]], &decode, &limits).expect("states");
    pump(&mut others[1], [&[], &[second], &[]], &decode, &limits).expect("states");
    let on_its_way = others.each_mut().map(|task| relayed_by(task).pop().expect("a record"));
    let mut task = task_of(0, &rules);
    pass_all(&mut task);
    task.hold(Some(Timestamp(DAY_MS)));
    pump(&mut task, [&[], &[first], &[]], &decode, &limits).expect("states");
    for (partition, line) in on_its_way {
        assert_eq!(partition, 0);
        pump(&mut task, [&[], &[], &[line]], &decode, &limits).expect("states");
    }
    for day in (1..300).step_by(7).chain([300, 500]) {
        task.hold(Some(Timestamp(day * DAY_MS)));
        pump(&mut task, none(), &decode, &limits).expect("states");
        let waits_at = task.offset_metadata().waits_at;
        assert!(waits_at.is_none_or(|at| at > Timestamp(day * DAY_MS)));
    }
    assert_eq!(told(&mut task), in_order);
}

#[test]
fn a_record_of_another_program_or_lineage_is_left_alone_or_passed_over() {
    let rules = from_sources(None, [], &[]).expect("the defaults are valid").config.rules;
    let topics = ["interactions".into(), "purchases".into(), "relay".into()];
    let (limits, decode) = (history(&topics), Json(Arc::clone(&rules)));
    let home = |id: &String| partition_of(id, PARTITIONS) == 0;
    let id = (0..).map(|n| format!("c-{n}")).find(home).expect("an id");
    let of = |first: &dyn Fn(&mut Vec<u8>)| {
        let mut line = relayed_line(&id, 402);
        first(&mut line.value);
        let mut task = task_of(0, &rules);
        pass_all(&mut task);
        let pumped = pump(&mut task, [&[], &[], &[line]], &decode, &limits).expect("states");
        (pumped.consumed[2], pumped.left_alone, task.store().len())
    };
    let (consumed, left_alone, _) = of(&|value| value[0] += 1);
    assert!(consumed == 0 && left_alone.is_some_and(|why| why.contains("newer")));
    // The lineage stands behind the version: 2 is a later one, 0 an earlier one, as Avro writes it.
    let (consumed, left_alone, _) = of(&|value| value[1] = 4);
    assert!(consumed == 0 && left_alone.is_some_and(|why| why.contains("lineage 2")));
    assert_eq!(of(&|value| value[1] = 0), (1, None, 0));
}

#[test]
fn the_key_of_a_visitor_may_be_trusted_without_the_prefix_of_its_subject() {
    let rules = from_sources(None, [], &[]).expect("the defaults are valid").config.rules;
    let topics = ["interactions".into(), "purchases".into(), "relay".into()];
    let visit = |(offset, id): (i64, String)| {
        let value = format!(
            r#"{{"event_id":"e-{id}","kind":"product_viewed","anonymous_id":"{id}",
                "occurred_at":1}}"#
        );
        Line { offset, key: Some(id), value: value.into_bytes() }
    };
    let is_here = |id: &str| partition_of(id, PARTITIONS) == 0;
    let (mut expected, ids) = ([0, 0, 0], (0..60).map(|n| format!("v-{n}")));
    let ids: Vec<String> = ids.collect();
    for id in &ids {
        let place = match (is_here(&format!("anon:{id}")), is_here(id)) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        };
        expected[place] += 1;
    }
    let lines: Vec<Line> = (0..).zip(ids).map(visit).collect();
    let mut task = trusting_task(0, &rules);
    let limits = Limits { ends: [Some(60), Some(0), Some(0)], ..history(&topics) };
    let pumped = pump(&mut task, [&lines, &[], &[]], &Json(rules), &limits).expect("states");
    let sent_on = task.take_outgoing().count();
    let here = pumped.handled.len() - sent_on;
    assert_eq!([here, sent_on, pumped.refused.len()], expected);
    assert!(expected.iter().all(|count| *count > 0), "{expected:?}");
}
