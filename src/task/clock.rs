//! The clock of a task: how far time is known to have come, from what its inputs tell.
//!
//! Never reads a clock; wall times come in as arguments. It only moves forward.
//! Next: `merge.rs`, which record of which input is next.

use crate::domain::refusal::{Reason, Refusal};
use crate::domain::time::{DAY_MS, Timestamp};

/// How far ahead of its record an event may be before its time is clamped, in ms.
pub const MAX_AHEAD_MS: i64 = 5 * 60 * 1000;
/// How far ahead of its record an event may be before it is refused, in ms.
pub const MAX_CREDIBLE_AHEAD_MS: i64 = DAY_MS;

/// When an event counts as having happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EffectiveTime {
    /// The time.
    pub at: Timestamp,
    /// Whether the event's own time was later.
    pub clamped: bool,
}

/// Where an event's time is measured against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reference {
    /// The timestamp of its Kafka record.
    Record(Timestamp),
    /// Files have no record timestamps: nothing may be later than this.
    Limit(Timestamp),
}

/// The effective time of an event.
///
/// # Errors
/// A refusal when the event is too far ahead of its reference.
pub fn effective_time(
    occurred_at: Timestamp,
    reference: Reference,
) -> Result<EffectiveTime, Refusal> {
    match reference {
        Reference::Record(record_at) => {
            let ahead_ms = occurred_at.since(record_at);
            if ahead_ms > MAX_CREDIBLE_AHEAD_MS {
                let detail = format!(
                    "occurred_at = {occurred_at} is {} hours after the record's timestamp of \
                     {record_at}",
                    ahead_ms / 3_600_000
                );
                return Err(Refusal::new(Reason::TooFarAhead, detail));
            }
            let latest = record_at.plus_ms(MAX_AHEAD_MS);
            Ok(EffectiveTime { at: occurred_at.min(latest), clamped: occurred_at > latest })
        }
        Reference::Limit(limit) if occurred_at > limit => {
            let detail = format!(
                "occurred_at = {occurred_at} is after the limit of {limit}; hint: set --now"
            );
            Err(Refusal::new(Reason::TooFarAhead, detail))
        }
        Reference::Limit(_) => Ok(EffectiveTime { at: occurred_at, clamped: false }),
    }
}

/// What is known of one input of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InputState {
    /// The next offset to be consumed.
    pub next_offset: i64,
    /// Highest effective time consumed.
    pub highest: Timestamp,
    /// Latest wall time whose end offset has been passed.
    pub passed: Timestamp,
}

impl Default for InputState {
    fn default() -> Self {
        Self { next_offset: 0, highest: Timestamp::MIN, passed: Timestamp::MIN }
    }
}

/// What an input has at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Head {
    /// An event with this effective time.
    Event(Timestamp),
    /// No record at hand, and the log's known end has been reached.
    AtEnd,
    /// No record at hand, but the log has more; or a schema is missing.
    Awaited,
}

/// The clock that a task's inputs allow: the minimum over them, never more than `wall`.
///
/// With `wall` an input counts up to the latest wall time whose end was passed; without, an input
/// at its end is left out, and with all at their ends the clock is the highest event time.
#[must_use]
pub fn allowed_clock(
    inputs: &[InputState; 3],
    heads: &[Head; 3],
    wall: Option<Timestamp>,
) -> Timestamp {
    let times = inputs.iter().zip(heads).filter_map(|(input, head)| match (head, wall) {
        (Head::Event(at), None) => Some(input.highest.max(*at)),
        (Head::Event(at), Some(_)) => Some(input.highest.max(*at).max(input.passed)),
        (Head::AtEnd, None) => None,
        (Head::AtEnd | Head::Awaited, Some(_)) => Some(input.highest.max(input.passed)),
        (Head::Awaited, None) => Some(input.highest),
    });
    let clock = times.min().unwrap_or_else(|| {
        inputs.iter().map(|input| input.highest).max().unwrap_or(Timestamp::MIN)
    });
    wall.map_or(clock, |wall| clock.min(wall))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(highest: i64, passed: i64) -> InputState {
        InputState { next_offset: 0, highest: Timestamp(highest), passed: Timestamp(passed) }
    }

    #[test]
    fn a_quiet_input_at_its_end_follows_the_wall() {
        let inputs = [input(10, 90), input(50, 40), input(i64::MIN, 95)];
        let heads = [Head::AtEnd, Head::Event(Timestamp(80)), Head::AtEnd];
        assert_eq!(allowed_clock(&inputs, &heads, Some(Timestamp(100))), Timestamp(80));
        let heads = [Head::AtEnd; 3];
        assert_eq!(allowed_clock(&inputs, &heads, Some(Timestamp(100))), Timestamp(50));
        assert_eq!(allowed_clock(&inputs, &heads, Some(Timestamp(45))), Timestamp(45));
    }

    #[test]
    fn a_busy_input_with_late_events_does_not_hold_the_clock() {
        let inputs = [input(10, 90), input(50, 70), input(i64::MIN, 95)];
        let heads = [Head::AtEnd, Head::Event(Timestamp(20)), Head::AtEnd];
        assert_eq!(allowed_clock(&inputs, &heads, Some(Timestamp(100))), Timestamp(70));
        assert_eq!(allowed_clock(&inputs, &heads, None), Timestamp(50));
    }

    #[test]
    fn without_wall_time_only_events_move_the_clock() {
        let inputs = [input(10, 90), input(50, 40), input(i64::MIN, 95)];
        let at = |ms| Head::Event(Timestamp(ms));
        assert_eq!(allowed_clock(&inputs, &[Head::AtEnd; 3], None), Timestamp(50));
        let heads = [at(30), Head::AtEnd, Head::AtEnd];
        assert_eq!(allowed_clock(&inputs, &heads, None), Timestamp(30));
        let heads = [Head::AtEnd, at(60), Head::Awaited];
        assert_eq!(allowed_clock(&inputs, &heads, None), Timestamp::MIN);
    }

    #[test]
    fn event_times_are_clamped_to_their_record_or_refused() {
        let record = Reference::Record(Timestamp(1_000_000));
        let effective = |ms| effective_time(Timestamp(ms), record);
        assert_eq!(effective(5), Ok(EffectiveTime { at: Timestamp(5), clamped: false }));
        let latest = 1_000_000 + MAX_AHEAD_MS;
        let clamped = EffectiveTime { at: Timestamp(latest), clamped: true };
        assert_eq!(effective(latest + 1), Ok(clamped));
        assert_eq!(effective(1_000_000 + DAY_MS), Ok(clamped));
        assert!(effective(1_000_001 + DAY_MS).is_err());
        let limit = Reference::Limit(Timestamp(100));
        assert!(effective_time(Timestamp(101), limit).is_err());
    }
}
