//! All tasks of an application in step: one order of time over all of their inputs.
//!
//! For whoever has them all and no one to wait for: `replay`, and `run --until-end`. What tasks
//! tell one another is handed over at once, so that what comes out does not depend on the number
//! of partitions, and the relay is not written. Never fetches. Next: `pump.rs`, one task.

use crate::codec::decoder::DecodeError;
use crate::domain::pack::UnpackError;
use crate::domain::relay::Told;
use crate::domain::time::Timestamp;
use crate::runtime::broker::Record;
use crate::runtime::heads::Decode;
use crate::runtime::pump::{Limits, Pumped, peek, pump_on};
use crate::task::PartitionTask;
use crate::task::clock::Head;
use crate::task::partition_task::EventError;
use crate::task::relay::Outgoing;
use std::collections::VecDeque;

/// A task with the records at hand.
pub struct Lane<'a, R> {
    /// The task; those of a run are ordered by partition, without a gap.
    pub task: &'a mut PartitionTask,
    /// Records by input.
    pub records: [&'a [R]; 3],
    /// Limits of this call; `records` and `timers` are those of the lane.
    pub limits: Limits<'a>,
    /// What was done.
    pub pumped: Pumped,
}

/// Moves records into the tasks, the earliest over all of them first, until one has no record at
/// hand though its log has more, all are at their ends, or a limit is met.
///
/// # Errors
/// When a customer's state cannot be read.
pub fn pump_in_step<R: Record>(
    lanes: &mut [Lane<'_, R>],
    decode: &impl Decode,
) -> Result<(), UnpackError> {
    for Lane { task, records, limits, pumped } in lanes.iter_mut() {
        peek(task, *records, decode, limits, pumped);
    }
    loop {
        let awaits = |lane: &Lane<'_, R>| lane.pumped.heads.contains(&Head::Awaited);
        if lanes.iter().any(awaits) {
            await_all(lanes);
            return Ok(());
        }
        let heads = lanes.iter().map(Lane::first);
        let mut by_time: Vec<(Timestamp, usize)> =
            heads.enumerate().map(|(place, at)| (at.unwrap_or(Timestamp::MAX), place)).collect();
        by_time.sort_unstable();
        let Some((least, chosen)) = by_time.first().copied() else { return Ok(()) };
        if least == Timestamp::MAX {
            return at_ends(lanes);
        }
        let others = by_time.get(1).map_or(Timestamp::MAX, |(at, _)| *at);
        let Lane { task, records, limits, pumped } = &mut lanes[chosen];
        limits.in_step = Some(others);
        let before = (pumped.consumed, pumped.waited);
        pump_on(task, *records, decode, limits, pumped)?;
        let stands = (pumped.consumed, pumped.waited) == before;
        hand_over(lanes, chosen, decode)?;
        let pumped = &lanes[chosen].pumped;
        if pumped.limited || stands {
            return Ok(());
        }
    }
}

impl<R> Lane<'_, R> {
    /// The time of the next record, where there is one: of the inputs, or of what waits since a run
    /// before.
    fn first(&self) -> Option<Timestamp> {
        let times = self.pumped.heads.iter().filter_map(|head| match head {
            Head::Event(at) => Some(*at),
            Head::AtEnd | Head::Awaited => None,
        });
        times.chain(self.task.waits_at()).min()
    }
}

/// Says of every lane what it waits for.
fn await_all<R>(lanes: &mut [Lane<'_, R>]) {
    for lane in lanes {
        lane.pumped.awaited = lane.pumped.heads.iter().position(|head| *head == Head::Awaited);
    }
}

/// With all tasks at their ends their clocks come as far as any of them, and what is due fires.
fn at_ends<R>(lanes: &mut [Lane<'_, R>]) -> Result<(), UnpackError> {
    let mut latest = Timestamp::MIN;
    for Lane { task, limits, pumped, .. } in lanes.iter_mut() {
        task.advance(&pumped.heads, limits.wall, None);
        latest = latest.max(task.clock());
    }
    for Lane { task, limits, pumped, .. } in lanes {
        if latest > Timestamp::MIN {
            task.advance_to(latest);
        }
        pumped.timers += task.fire_timers(limits.timers - pumped.timers, limits.wall)?;
        pumped.limited |= pumped.timers >= limits.timers && task.is_due();
    }
    Ok(())
}

/// Hands over what a task tells others, and what those tell others in turn.
fn hand_over<R: Record>(
    lanes: &mut [Lane<'_, R>],
    teller: usize,
    decode: &impl Decode,
) -> Result<(), UnpackError> {
    let clock = lanes[teller].task.clock();
    let mut told: VecDeque<Outgoing> = lanes[teller].task.take_outgoing().collect();
    while let Some(Outgoing { partition, relayed }) = told.pop_front() {
        let place = usize::try_from(partition).unwrap_or(usize::MAX);
        let Some(lane) = lanes.get_mut(place) else {
            unreachable!("in step a run has every partition")
        };
        // The teller may have come further, in a run before, than what is still to be read here.
        let until = lane.first().map_or(clock, |next| clock.min(next));
        let Lane { task, limits, .. } = lane;
        task.advance_to(until);
        let result = match &relayed.told {
            Told::Event { input, value, .. } => {
                let value = value.clone();
                let event = match decode.decode(*input, &value) {
                    Ok(event) => event,
                    Err(DecodeError::Refused(_) | DecodeError::SchemaNeeded(_)) => {
                        unreachable!("it was read from the same bytes before")
                    }
                };
                task.hand_over(relayed.clone(), Some(&event), limits.wall)
            }
            _ => task.hand_over(relayed, None, limits.wall),
        };
        match result {
            Ok(()) | Err(EventError::Refused(_)) => {}
            Err(EventError::State(error)) => return Err(error),
        }
        told.extend(task.take_outgoing());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
