//! Tasks in step that an earlier run left at different times.

use super::*;
use crate::codec::decoder::decode_json_line;
use crate::codec::relay::encode_relayed;
use crate::config::from_sources;
use crate::domain::change::Change;
use crate::domain::event::Event;
use crate::domain::id::partition_of;
use crate::domain::name::Name;
use crate::domain::progress::Phase;
use crate::domain::relay::{EventOrigin, Relayed};
use crate::domain::rules::Rules;
use crate::domain::time::DAY_MS;
use crate::task::TaskConfig;
use std::sync::Arc;

struct Line {
    offset: i64,
    value: Vec<u8>,
}

impl Record for Line {
    fn key(&self) -> Option<&[u8]> {
        None
    }

    fn value(&self) -> Option<&[u8]> {
        Some(&self.value)
    }

    fn offset(&self) -> i64 {
        self.offset
    }

    fn timestamp(&self) -> Option<Timestamp> {
        None
    }
}

struct Json(Arc<Rules>);

impl Decode for Json {
    fn decode<'r>(&self, _: usize, value: &'r [u8]) -> Result<Event<'r>, DecodeError> {
        Ok(decode_json_line(value, &self.0.rates)?)
    }
}

fn ids_at(home: u32) -> impl Iterator<Item = String> {
    let ids = (0..).map(|n| format!("c-{n}"));
    ids.filter(move |id| partition_of(id, 2) == home)
}

fn order(id: &str, offset: i64, day: i64) -> Line {
    let at = day * DAY_MS;
    let value = format!(
        r#"{{"event_id":"e-{day}","kind":"order_completed","customer_id":"{id}","occurred_at":{at},
            "order_id":"o-{day}","amount_minor":5000,"currency":"EUR"}}"#
    );
    Line { offset, value: value.into_bytes() }
}

/// The relay says by whom somebody was referred.
fn referral(id: &str, by: &str, offset: i64, day: i64) -> Line {
    let at = Timestamp(day * DAY_MS);
    let cause = EventOrigin {
        event_id: format!("r-{day}"),
        occurred_at: at,
        at,
        topic: "interactions".into(),
        partition: 1,
        offset,
    };
    let told = Told::Referred { by: by.to_owned() };
    let relayed = Relayed { to: id.to_owned(), path: Vec::new(), at, cause, told };
    let mut value = Vec::new();
    encode_relayed(1, &relayed, &mut value);
    Line { offset, value }
}

fn task(partition: u32, rules: &Arc<Rules>) -> PartitionTask {
    let config = TaskConfig {
        application_id: "test".into(),
        partition,
        partitions: 2,
        rules: Arc::clone(rules),
        keys_are_trusted: false,
        profiles_on_touch: false,
        run_id: "run".into(),
        rebuilt_at: Timestamp::MIN,
    };
    PartitionTask::new(config, 1, Phase::Live)
}

fn limits(topics: &[Name; 3], ends: [Option<i64>; 3]) -> Limits<'_> {
    Limits {
        topics,
        ends,
        stop_at_ends: true,
        wall: None,
        in_step: None,
        limit: None,
        waits: false,
        records: 100,
        timers: 1000,
    }
}

fn in_step(tasks: &mut [PartitionTask; 2], records: [[&[Line]; 3]; 2], rules: &Arc<Rules>) {
    let topics: [Name; 3] = ["interactions".into(), "purchases".into(), "relay".into()];
    let end = |lines: &[Line]| Some(lines.last().map_or(0, |line| line.offset + 1));
    let mut lanes = Vec::new();
    for (task, records) in tasks.iter_mut().zip(records) {
        let limits = limits(&topics, records.map(end));
        lanes.push(Lane { task, records, limits, pumped: Pumped::default() });
    }
    pump_in_step(&mut lanes, &Json(Arc::clone(rules))).expect("states");
    for (lane, records) in lanes.iter().zip(records) {
        assert_eq!(lane.pumped.consumed, records.map(<[Line]>::len));
    }
}

/// Whoever did not bring somebody is told so by a task that is ahead.
#[test]
fn what_a_task_tells_that_came_further_in_a_run_before_makes_nothing_late() {
    let rules = from_sources(None, [], &[]).expect("the defaults are valid").config.rules;
    let (referred, referrers) = (ids_at(0).next(), ids_at(1).take(2).collect::<Vec<_>>());
    let referred = referred.expect("an id");
    let far = [order(&referred, 0, 900)];
    let relay =
        [referral(&referred, &referrers[0], 0, 2), referral(&referred, &referrers[1], 1, 3)];
    let orders = [1, 20, 60, 500].map(|day| order(&referrers[1], day, day));
    let told = |relay: &[Line]| -> Vec<Change> {
        let mut tasks = [task(0, &rules), task(1, &rules)];
        in_step(&mut tasks, [[&[], &far, &[]], [&[]; 3]], &rules);
        assert_eq!(tasks[0].clock(), Timestamp(900 * DAY_MS));
        tasks[1] = task(1, &rules);
        in_step(&mut tasks, [[&[], &[], relay], [&[], &orders, &[]]], &rules);
        assert_eq!(tasks[1].take_tally().late, 0);
        tasks[1].take_changes().collect()
    };
    let alone = told(&[]);
    assert!(alone.len() > 4, "{alone:?}");
    assert_eq!(told(&relay), alone);
}

/// A run that waited for others was ended, and the next one has them all.
#[test]
fn what_waits_since_a_run_before_goes_on_although_there_is_nothing_left_to_read() {
    let rules = from_sources(None, [], &[]).expect("the defaults are valid").config.rules;
    let id = ids_at(0).next().expect("an id");
    let topics: [Name; 3] = ["interactions".into(), "purchases".into(), "relay".into()];
    let records: [&[Line]; 3] = [&[], &[order(&id, 0, 1), order(&id, 1, 900)], &[]];
    let mut tasks = [task(0, &rules), task(1, &rules)];
    tasks[0].hold(Some(Timestamp(DAY_MS)));
    let limits = Limits { waits: true, ..limits(&topics, [Some(0), Some(2), Some(0)]) };
    pump_on(&mut tasks[0], records, &Json(Arc::clone(&rules)), &limits, &mut Pumped::default())
        .expect("states");
    assert_eq!(tasks[0].waiting(), 1);
    let before = tasks[0].take_changes().count();

    tasks[0].hold(None);
    in_step(&mut tasks, [[&[]; 3]; 2], &rules);
    assert_eq!(tasks[0].waiting(), 0);
    let told: Vec<Timestamp> = tasks[0].take_changes().map(|change| change.occurred_at).collect();
    assert!(before > 0 && told.len() > 4, "{told:?}");
    assert!(told.is_sorted() && told.last() == Some(&Timestamp(900 * DAY_MS)), "{told:?}");
}
