//! Records of a task's inputs into the task: decoded, in merge order, timers in between.
//!
//! Never sends, never waits: what is refused and what is missing is told to the caller. The same
//! for the service, for `replay` and under the simulator. Next: `heads.rs`, how a record is read;
//! `worker.rs`, which calls this.

use crate::domain::name::Name;
use crate::domain::pack::UnpackError;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::relay::Told;
use crate::domain::time::Timestamp;
use crate::mutation::Mutation;
use crate::runtime::broker::{Input, Record};
use crate::runtime::heads::{Content, Decode, Decoded, Unread, decoded, event, refused, relayed};
use crate::task::clock::{Head, Reference};
use crate::task::merge::{Next, next};
use crate::task::partition_task::{EventError, EventRecord, PartitionTask};

/// The input that never waits: what is in it may be what others wait for.
const RELAY: usize = Input::Relay.index();

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
    /// Of a task that goes in step with others, the time of their next record: no further, and no
    /// further than until something is told them.
    pub in_step: Option<Timestamp>,
    /// Stands in for the record timestamp of inputs that have none.
    pub limit: Option<Timestamp>,
    /// Events before which a timer would fire that waits for other tasks wait, too, in the room of
    /// the task.
    pub waits: bool,
    /// Records consumed at most.
    pub records: usize,
    /// Timers fired at most.
    pub timers: usize,
}

/// What one call did.
#[derive(Debug)]
pub struct Pumped {
    /// Records consumed, by input; the caller removes them.
    pub consumed: [usize; 3],
    /// Refused records: input, place in its slice, why. Those of erased customers are left out.
    pub refused: Vec<(usize, usize, Refusal)>,
    /// Events handled: input and kind, in order.
    pub handled: Vec<(usize, &'static str)>,
    /// Events whose time was clamped.
    pub clamped: u64,
    /// Records taken out of the room.
    pub waited: usize,
    /// Timers fired.
    pub timers: usize,
    /// The schema that an input waits for.
    pub schema_needed: Option<SchemaNeeded>,
    /// Why the relay's next record is left for another program or lineage.
    pub left_alone: Option<String>,
    /// The input that nothing was at hand of, though its log has more.
    pub awaited: Option<usize>,
    /// The inputs wait for other tasks.
    pub waits: bool,
    /// Stopped by a limit, not for want of records.
    pub limited: bool,
    /// What the inputs had at hand last.
    pub heads: [Head; 3],
}

impl Default for Pumped {
    fn default() -> Self {
        Self {
            consumed: [0; 3],
            refused: Vec::new(),
            handled: Vec::new(),
            clamped: 0,
            waited: 0,
            timers: 0,
            schema_needed: None,
            left_alone: None,
            awaited: None,
            waits: false,
            limited: false,
            heads: [Head::Awaited; 3],
        }
    }
}

impl Pumped {
    /// Whether an input waits for something that is not a record.
    fn waits_with(&self, input: usize) -> bool {
        self.schema_needed.is_some_and(|needed| needed.waiting == input)
            || (input == RELAY && self.left_alone.is_some())
    }
}

/// A schema that is to be fetched before an input can be read on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SchemaNeeded {
    /// The input that waits.
    pub waiting: usize,
    /// The input whose decoder needs it.
    pub decoder: usize,
    /// Id in the registry.
    pub id: u32,
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
    pump_on(task, records, decode, limits, &mut pumped)?;
    Ok(pumped)
}

/// The same, going on where another call ended.
///
/// # Errors
/// When a customer's state cannot be read.
pub fn pump_on<R: Record>(
    task: &mut PartitionTask,
    records: [&[R]; 3],
    decode: &impl Decode,
    limits: &Limits<'_>,
    pumped: &mut Pumped,
) -> Result<(), UnpackError> {
    (pumped.awaited, pumped.waits, pumped.limited) = (None, false, false);
    task.let_events_wait(limits.waits);
    let mut heads: [Option<Decoded<'_>>; 3] = [None, None, None];
    loop {
        look(task, &mut heads, records, decode, limits, pumped);
        task.advance(&pumped.heads, limits.wall, limits.in_step);
        pumped.timers += task.fire_timers(limits.timers - pumped.timers, limits.wall)?;
        // Only wall time lets events pass timers that are due: else what is written would depend
        // on where a round ends.
        if limits.wall.is_none()
            && !Mutation::EventsBeforeTimers.is_on()
            && task.store().timers().due(task.timer_clock()).is_some()
        {
            break;
        }
        let next = next(&pumped.heads);
        if let Next::AwaitInput(input) = next {
            pumped.awaited = Some(input);
            break;
        }
        let first = match next {
            Next::Input(first) => Some(first),
            Next::AtEnd | Next::AwaitInput(_) => None,
        };
        // Others may wait for what the relay brings.
        pumped.waits = first.is_some_and(|first| first != RELAY) && task.is_far_ahead();
        let first = if pumped.waits { Some(RELAY) } else { first };
        let first = first.and_then(|first| heads[first].as_ref().map(|head| (first, head.at)));
        let latest = first.map_or(Timestamp::MAX, |(_, at)| at);
        let latest = limits.in_step.map_or(latest, |others| latest.min(others));
        let leaves = task.first_waited()?.is_some_and(|waited| waited.at <= latest);
        let handled = pumped.handled.len() + pumped.refused.len() + pumped.waited;
        match first {
            None if !leaves => break,
            _ if handled >= limits.records => {
                pumped.limited = true;
                break;
            }
            _ if leaves => {
                if !leave_room(task, decode, limits, pumped)? {
                    break;
                }
                if limits.in_step.is_some() && task.has_outgoing() {
                    break;
                }
            }
            None => break,
            Some((input, _)) => {
                let Some(decoded) = heads[input]
                    .take_if(|head| limits.in_step.is_none_or(|others| head.at <= others))
                else {
                    break;
                };
                let place = pumped.consumed[input];
                let record = &records[input][place];
                pumped.clamped += u64::from(decoded.clamped);
                pumped.consumed[input] += 1;
                let (at, kind, offset) = (decoded.at, decoded.content.kind(), record.offset());
                let handled = match decoded.content {
                    Content::Event(event) => {
                        let topic = &limits.topics[input];
                        let value = record.value().unwrap_or_default();
                        let read = EventRecord { input, topic, offset, event: &event, at, value };
                        task.handle_event(&read, limits.wall)
                            .map_err(|error| (error, event.subject_id().into_owned()))
                    }
                    Content::Relayed(relayed, event) => {
                        let place = (input, offset);
                        task.handle_relayed(place, relayed, event.as_ref(), limits.wall)
                            .map_err(|error| (error, String::new()))
                    }
                };
                match handled {
                    Ok(()) => pumped.handled.push((input, kind)),
                    Err((EventError::Refused(refusal), id)) => {
                        if !is_of_erased(task, record, Some(&id)) {
                            pumped.refused.push((input, place, refusal));
                        }
                    }
                    Err((EventError::State(error), _)) => return Err(error),
                }
                if limits.in_step.is_some() && task.has_outgoing() {
                    look(task, &mut heads, records, decode, limits, pumped);
                    break;
                }
            }
        }
    }
    pumped.limited |= pumped.timers >= limits.timers && task.is_due();
    Ok(())
}

/// Reads the next record of each input.
pub(super) fn peek<R: Record>(
    task: &mut PartitionTask,
    records: [&[R]; 3],
    decode: &impl Decode,
    limits: &Limits<'_>,
    pumped: &mut Pumped,
) {
    look(task, &mut [None, None, None], records, decode, limits, pumped);
}

fn look<'r, R: Record>(
    task: &mut PartitionTask,
    heads: &mut [Option<Decoded<'r>>; 3],
    records: [&'r [R]; 3],
    decode: &impl Decode,
    limits: &Limits<'_>,
    pumped: &mut Pumped,
) {
    for input in 0..3 {
        fill(task, &mut heads[input], input, records[input], decode, limits, pumped);
        pumped.heads[input] = match &heads[input] {
            Some(decoded) => Head::Event(decoded.at),
            None => empty_head(task, input, records[input], limits, pumped),
        };
    }
}

/// Lets the first record of the room go on, which does not have to wait any longer; false when it
/// cannot be read yet.
fn leave_room(
    task: &mut PartitionTask,
    decode: &impl Decode,
    limits: &Limits<'_>,
    pumped: &mut Pumped,
) -> Result<bool, UnpackError> {
    let value = match task.first_waited()?.map(|waited| &waited.told) {
        Some(Told::Event { input, value, .. }) => Some((*input, value.clone())),
        _ => None,
    };
    let event = match &value {
        None => None,
        Some((input, value)) => match decoded(*input, value, decode) {
            Ok(event) => Some(event),
            Err(Unread::Schema { decoder, id }) => {
                pumped.schema_needed = Some(SchemaNeeded { waiting: RELAY, decoder, id });
                return Ok(false);
            }
            Err(unread) => {
                // It was read before: other rates, or another program, have to read it again.
                pumped.left_alone = Some(match unread {
                    Unread::Refused(refusal, _) => format!(
                        "a record that waits for other partitions cannot be read any more: \
                         {refusal}; hint: set back what was changed in the configuration"
                    ),
                    _ => "a record that waits for other partitions cannot be read".to_owned(),
                });
                return Ok(false);
            }
        },
    };
    pumped.waited += 1;
    match task.end_wait(event.as_ref(), limits.wall) {
        // Only events of inputs are refused for their place.
        Ok(()) | Err(EventError::Refused(_)) => Ok(true),
        Err(EventError::State(error)) => Err(error),
    }
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
        if (limits.stop_at_ends && beyond) || pumped.waits_with(input) {
            return;
        }
        let read = match record.value() {
            None => Err(refused(Refusal::new(Reason::Tombstone, "an event has a value"))),
            Some(value) if input == RELAY => relayed(task, value, decode),
            Some(value) => {
                let reference = match (record.timestamp(), limits.limit.or(limits.wall)) {
                    (Some(recorded_at), _) => Reference::Record(recorded_at),
                    (None, Some(limit)) => Reference::Limit(limit),
                    (None, None) => Reference::Limit(Timestamp::MAX),
                };
                event(input, value, reference, decode)
            }
        };
        let (refusal, id) = match read {
            Ok(decoded) => {
                *head = Some(decoded);
                return;
            }
            Err(Unread::Schema { decoder, id }) => {
                pumped.schema_needed = Some(SchemaNeeded { waiting: input, decoder, id });
                return;
            }
            Err(Unread::LeftAlone(why)) => {
                pumped.left_alone = Some(why);
                return;
            }
            Err(Unread::PassedOver) => {
                task.skip(input, record.offset());
                pumped.consumed[input] += 1;
                continue;
            }
            Err(Unread::Refused(refusal, id)) => (refusal, id),
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
    let waits = pumped.waits_with(input);
    let left = records.get(pumped.consumed[input]).map(Record::offset);
    let Some(end) = limits.ends[input] else { return Head::Awaited };
    let reached = left.unwrap_or(task.inputs()[input].next_offset) >= end;
    if reached && !waits { Head::AtEnd } else { Head::Awaited }
}

#[cfg(test)]
mod tests;
