//! Records of a task's inputs into the task: decoded, in merge order, timers in between.
//!
//! Never sends, never waits: what is refused and what is missing is told to the caller. The same
//! for the service, for `replay` and under the simulator. Next: `worker.rs`, which calls it.

use crate::codec::decoder::{DecodeError, Decoder};
use crate::domain::event::Event;
use crate::domain::name::Name;
use crate::domain::pack::UnpackError;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::time::Timestamp;
use crate::mutation::Mutation;
use crate::runtime::broker::{Input, Record};
use crate::task::clock::{EffectiveTime, Head, Reference, effective_time};
use crate::task::merge::{Next, next};
use crate::task::partition_task::{EventError, EventRecord, PartitionTask};

/// The input that never waits: what is in it may be what others wait for.
const RELAY: usize = Input::Relay.index();

/// Turns a record's value into an event.
pub trait Decode {
    /// The event of a record of this input.
    ///
    /// # Errors
    /// A refusal, or the schema that is needed first.
    fn decode<'r>(&self, input: usize, value: &'r [u8]) -> Result<Event<'r>, DecodeError>;
}

/// The decoders of the service: one per input topic.
#[derive(Debug)]
pub struct TopicDecoders {
    /// By `Input::index`: interactions, purchases.
    pub decoders: [Decoder; 2],
    /// The rules, for the currencies that can be converted.
    pub rules: std::sync::Arc<crate::domain::rules::Rules>,
}

impl Decode for TopicDecoders {
    fn decode<'r>(&self, input: usize, value: &'r [u8]) -> Result<Event<'r>, DecodeError> {
        match self.decoders.get(input) {
            Some(decoder) => decoder.decode(value, &self.rules.rates),
            None => Err(DecodeError::Refused(Refusal::new(
                Reason::Undecodable,
                "this version reads no relay records",
            ))),
        }
    }
}

/// Limits and surroundings of one call.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// Topic names by input.
    pub topics: &'a [Name; 3],
    /// Offsets known to be the ends of the logs; `None` = not known yet.
    pub ends: [Option<i64>; 3],
    /// Records at or behind the end are left alone.
    pub stop_at_ends: bool,
    /// Wall time; `None` when only events move the clock.
    pub wall: Option<Timestamp>,
    /// Stands in for the record timestamp of inputs that have none.
    pub limit: Option<Timestamp>,
    /// Events of customers who have a timer due that waits for other tasks wait, too.
    pub waits: bool,
    /// Records consumed at most.
    pub records: usize,
    /// Timers fired at most.
    pub timers: usize,
}

/// What one call did.
#[derive(Debug, Default)]
pub struct Pumped {
    /// Records consumed, by input; the caller removes them.
    pub consumed: [usize; 3],
    /// Refused records: input, place in its slice, why. Those of erased customers are left out.
    pub refused: Vec<(usize, usize, Refusal)>,
    /// Events handled: input and kind, in order.
    pub handled: Vec<(usize, &'static str)>,
    /// Events whose time was clamped.
    pub clamped: u64,
    /// Timers fired.
    pub timers: usize,
    /// The schema that an input waits for.
    pub schema_needed: Option<(usize, u32)>,
    /// The input that nothing was at hand of, though its log has more.
    pub awaited: Option<usize>,
    /// An event waits for other tasks.
    pub waits: bool,
    /// Relayed events before which a timer fired that should have waited for other tasks.
    pub unproven: u64,
    /// Stopped by a limit, not for want of records.
    pub limited: bool,
}

struct Decoded<'r> {
    event: Event<'r>,
    effective: EffectiveTime,
}

/// Moves records into the task until an input runs dry, a schema is missing or a limit is met.
///
/// # Errors
/// When a customer's state cannot be read.
pub fn pump<R: Record>(
    task: &mut PartitionTask,
    records: [&[R]; 3],
    decode: &impl Decode,
    limits: &Limits<'_>,
) -> Result<Pumped, UnpackError> {
    let mut pumped = Pumped::default();
    let mut heads: [Option<Decoded<'_>>; 3] = [None, None, None];
    loop {
        let mut states = [Head::Awaited; 3];
        for input in 0..3 {
            fill(task, &mut heads[input], input, records[input], decode, limits, &mut pumped);
            states[input] = match &heads[input] {
                Some(decoded) => Head::Event(decoded.effective.at),
                None => empty_head(task, input, records[input], limits, &pumped),
            };
        }
        task.advance(&states, limits.wall);
        pumped.timers += task.fire_timers(limits.timers - pumped.timers, limits.wall)?;
        // Only wall time lets events pass timers that are due: else what is written would depend
        // on where a round ends.
        if limits.wall.is_none()
            && !Mutation::EventsBeforeTimers.is_on()
            && task.store().timers().due(task.timer_clock()).is_some()
        {
            break;
        }
        let handled = pumped.handled.len() + pumped.refused.len();
        match next(&states) {
            Next::AtEnd => break,
            Next::AwaitInput(input) => {
                pumped.awaited = Some(input);
                break;
            }
            Next::Input(_) if handled >= limits.records => {
                pumped.limited = true;
                break;
            }
            Next::Input(first) => {
                let mut input = first;
                if limits.waits && must_wait(task, heads[first].as_ref())? {
                    if first == RELAY {
                        pumped.unproven += 1;
                    } else {
                        // Others may wait for what the relay brings.
                        pumped.waits = true;
                        input = RELAY;
                    }
                }
                let Some(decoded) = heads[input].take() else { break };
                let place = pumped.consumed[input];
                let record = EventRecord {
                    input,
                    topic: &limits.topics[input],
                    offset: records[input][place].offset(),
                    event: &decoded.event,
                    at: decoded.effective.at,
                };
                pumped.clamped += u64::from(decoded.effective.clamped);
                pumped.consumed[input] += 1;
                match task.handle_event(&record, limits.wall) {
                    Ok(()) => pumped.handled.push((input, decoded.event.kind())),
                    Err(EventError::Refused(refusal)) => {
                        let id = decoded.event.subject_id();
                        if !is_of_erased(task, &records[input][place], Some(&id)) {
                            pumped.refused.push((input, place, refusal));
                        }
                    }
                    Err(EventError::State(error)) => return Err(error),
                }
            }
        }
    }
    pumped.limited |= pumped.timers >= limits.timers && task.is_due();
    Ok(pumped)
}

/// Whether an event's customer has a timer due that waits for other tasks: it would fire before
/// the event.
fn must_wait(task: &PartitionTask, head: Option<&Decoded<'_>>) -> Result<bool, UnpackError> {
    let Some(head) = head else { return Ok(false) };
    task.would_fire_before(&head.event.subject_id(), head.effective.at)
}

/// Decodes records of an input until one is an event; the refused ones are passed over.
fn fill<'r, R: Record>(
    task: &mut PartitionTask,
    head: &mut Option<Decoded<'r>>,
    input: usize,
    records: &'r [R],
    decode: &impl Decode,
    limits: &Limits<'_>,
    pumped: &mut Pumped,
) {
    while head.is_none() {
        let place = pumped.consumed[input];
        let Some(record) = records.get(place) else { return };
        let beyond = limits.ends[input].is_some_and(|end| record.offset() >= end);
        if (limits.stop_at_ends && beyond)
            || pumped.schema_needed.is_some_and(|(waiting, _)| waiting == input)
        {
            return;
        }
        let decoded = match record.value() {
            None => Err(Refusal::new(Reason::Tombstone, "an event has a value").into()),
            Some(value) => decode.decode(input, value),
        };
        let (refusal, id) = match decoded {
            Ok(event) => {
                let reference = match (record.timestamp(), limits.limit.or(limits.wall)) {
                    (Some(recorded_at), _) => Reference::Record(recorded_at),
                    (None, Some(limit)) => Reference::Limit(limit),
                    (None, None) => Reference::Limit(Timestamp::MAX),
                };
                match effective_time(event.occurred_at, reference) {
                    Ok(effective) => {
                        *head = Some(Decoded { event, effective });
                        return;
                    }
                    Err(refusal) => (refusal, Some(event.subject_id().into_owned())),
                }
            }
            Err(DecodeError::SchemaNeeded(id)) => {
                pumped.schema_needed = Some((input, id));
                return;
            }
            Err(DecodeError::Refused(refusal)) => (refusal, None),
        };
        task.skip(input, record.offset());
        pumped.consumed[input] += 1;
        if !is_of_erased(task, record, id.as_deref()) {
            pumped.refused.push((input, place, refusal));
        }
    }
}

/// Whether a refused record is of somebody erased: by the id that was read from it, and by its key
/// where none was.
fn is_of_erased(task: &mut PartitionTask, record: &impl Record, id: Option<&str>) -> bool {
    let key = || record.key().and_then(|key| std::str::from_utf8(key).ok());
    id.or_else(key).is_some_and(|id| task.is_of_erased(id))
}

fn empty_head<R: Record>(
    task: &PartitionTask,
    input: usize,
    records: &[R],
    limits: &Limits<'_>,
    pumped: &Pumped,
) -> Head {
    let waits = pumped.schema_needed.is_some_and(|(waiting, _)| waiting == input);
    let left = records.get(pumped.consumed[input]).map(Record::offset);
    let Some(end) = limits.ends[input] else { return Head::Awaited };
    let reached = left.unwrap_or(task.inputs()[input].next_offset) >= end;
    if reached && !waits { Head::AtEnd } else { Head::Awaited }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::decoder::decode_json_line;
    use crate::config::from_sources;
    use crate::domain::id::partition_of;
    use crate::domain::progress::Phase;
    use crate::domain::rules::Rules;
    use crate::domain::time::DAY_MS;
    use crate::task::TaskConfig;
    use std::sync::Arc;

    const PARTITIONS: u32 = 3;

    struct Line {
        offset: i64,
        key: Option<String>,
        value: String,
    }

    impl Record for Line {
        fn key(&self) -> Option<&[u8]> {
            self.key.as_deref().map(str::as_bytes)
        }

        fn value(&self) -> Option<&[u8]> {
            Some(self.value.as_bytes())
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
            .map(|(offset, (key, value))| Line { offset, key: key.cloned(), value })
            .collect();
        let config = TaskConfig {
            application_id: "test".into(),
            partition: 0,
            partitions: PARTITIONS,
            rules: Arc::clone(&rules),
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
            value: event("product_added", id, day * DAY_MS),
        };
        let visits = [line(&here[0], 1), line(&here[0], 400), line(&here[1], 401)];
        let relayed = [line(&here[2], 402), line(&here[0], 403)];
        let config = TaskConfig {
            application_id: "test".into(),
            partition: 0,
            partitions: PARTITIONS,
            rules: Arc::clone(&rules),
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
}
