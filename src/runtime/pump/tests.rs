//! Records of three inputs into a task: who is refused, who waits, who goes first.

use super::*;
use crate::codec::decoder::{DecodeError, decode_json_line};
use crate::codec::relay::encode_relayed;
use crate::config::from_sources;
use crate::domain::event::Event;
use crate::domain::id::partition_of;
use crate::domain::progress::Phase;
use crate::domain::relay::{EventOrigin, Relayed, Told};
use crate::domain::rules::Rules;
use crate::domain::time::DAY_MS;
use crate::task::TaskConfig;
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
    format!(
        r#"{{"event_id":"e-{at}","kind":"{kind}","customer_id":"{id}","occurred_at":{at}}}"#
    )
}

/// An event of a customer that was read in another partition.
fn relayed_line(id: &str, day: i64) -> Line {
    let at = Timestamp(day * DAY_MS);
    let value = event("product_added", id, at.0).into_bytes();
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
        told: Told::Event { input: 0, value: value.into() },
    };
    let mut value = Vec::new();
    encode_relayed(1, &relayed, &mut value);
    Line { offset: at.0, key: None, value }
}

#[test]
fn what_is_refused_of_somebody_erased_is_dropped_and_counted() {
    let rules = from_sources(None, [], &[]).expect("the defaults are valid").config.rules;
    let ids = (0..40).map(|n| format!("c-{n}"));
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        ids.partition(|id| partition_of(id, PARTITIONS) == 0);
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
        .map(|(offset, (key, value))| Line {
            offset,
            key: key.cloned(),
            value: value.into_bytes(),
        })
        .collect();
    let config = TaskConfig {
        application_id: "test".into(),
        partition: 0,
        partitions: PARTITIONS,
        rules: Arc::clone(&rules),
        keys_are_trusted: true,
        profiles_on_touch: false,
        run_id: "run".into(),
        rebuilt_at: Timestamp::MIN,
    };
    let mut task = PartitionTask::new(config, 1, Phase::Live);
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
fn an_event_waits_for_other_tasks_when_a_timer_would_fire_before_it_and_the_relay_goes_on() {
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
    let config = TaskConfig {
        application_id: "test".into(),
        partition: 0,
        partitions: PARTITIONS,
        rules: Arc::clone(&rules),
        keys_are_trusted: false,
        profiles_on_touch: false,
        run_id: "run".into(),
        rebuilt_at: Timestamp::MIN,
    };
    let mut task = PartitionTask::new(config, 1, Phase::Live);
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
    assert_eq!((pumped.consumed, pumped.timers, pumped.waits), ([1, 0, 1], 0, true));
    assert!(task.take_changes().all(|change| change.cause.event_id.is_some()));

    // With all about as far as the wall clock only timers wait.
    let near = Limits { waits: false, ..limits };
    task.hold(at(399));
    let pumped = pump(&mut task, [&visits[1..1], &[], &[]], &decode, &near).expect("states");
    assert!(pumped.timers > 0 && !pumped.waits);
    assert!(task.take_changes().all(|change| change.occurred_at <= Timestamp(399 * DAY_MS)));

    task.hold(at(400));
    let pumped = pump(&mut task, [&visits[1..], &[], &[]], &decode, &limits).expect("states");
    assert_eq!((pumped.consumed, pumped.waits, pumped.unproven), ([2, 0, 0], false, 0));
    // What the relay brings is not held up: others may wait for what is behind it.
    task.hold(at(402));
    let late = [line(&here[0], 800)];
    let pumped = pump(&mut task, [&[], &[], &late], &decode, &limits).expect("states");
    assert_eq!((pumped.consumed, pumped.unproven), ([0, 0, 1], 1));
}
