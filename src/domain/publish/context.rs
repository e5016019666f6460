//! What an evaluation needs to know beside the customer.
//!
//! Decides nothing. Next: `evaluate.rs`.

use crate::domain::event::Event;
use crate::domain::name::Name;
use crate::domain::rules::Rules;
use crate::domain::time::Timestamp;

/// What an evaluation needs to know beside the customer.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The rules.
    pub rules: &'a Rules,
    /// Names the application in change ids.
    pub application_id: &'a str,
    /// +1 per rebuild; part of change ids.
    pub lineage: u32,
    /// The task's clock.
    pub clock: Timestamp,
    /// Wall time; `None` = changes are seen when they occur, so that output depends on input alone.
    pub now: Option<Timestamp>,
    /// Move published values without a word: state before a baseline.
    pub silent: bool,
    /// The run that writes a backfill.
    pub run_id: Option<&'a str>,
    /// When the last rebuild began: what occurred before was told by the lineage before.
    pub rebuilt_at: Timestamp,
}

/// The event behind a cause.
#[derive(Clone, Copy, Debug)]
pub struct CauseEvent<'a> {
    /// The event's id.
    pub event_id: &'a str,
    /// The event's own time.
    pub occurred_at: Timestamp,
    /// Its effective time.
    pub effective_at: Timestamp,
    /// Where its record lies: topic, partition, offset.
    pub origin: (&'a Name, u32, i64),
}

impl<'a> CauseEvent<'a> {
    /// An event at its effective time, whose record lies there.
    #[must_use]
    pub fn of(event: &'a Event<'_>, at: Timestamp, origin: (&'a Name, u32, i64)) -> Self {
        let occurred_at = event.occurred_at;
        Self { event_id: &event.event_id, occurred_at, effective_at: at, origin }
    }
}
