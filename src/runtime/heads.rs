//! The next record of an input, read: an event, or what one subject tells another.
//!
//! Never applies anything, and keeps nothing. Next: `pump.rs`, which brings it to the task.

use crate::codec::decoder::{DecodeError, Decoder};
use crate::codec::relay::decode_relayed;
use crate::codec::state::StateError;
use crate::domain::event::Event;
use crate::domain::pack::unpack;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::relay::{REASONS, Relayed, Told};
use crate::domain::time::Timestamp;
use crate::mutation::Mutation;
use crate::task::PartitionTask;
use crate::task::clock::{Reference, effective_time};
use std::borrow::Cow;
use std::cmp::Ordering;

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
                "what is relayed is an interaction or a purchase",
            ))),
        }
    }
}

/// The next record of an input, read.
pub(super) struct Decoded<'r> {
    /// Its effective time.
    pub(super) at: Timestamp,
    /// Whether the event's own time was later.
    pub(super) clamped: bool,
    pub(super) content: Content<'r>,
}

pub(super) enum Content<'r> {
    Event(Event<'r>),
    /// A record of the relay, with the event that is in it.
    Relayed(Relayed<'r>, Option<Event<'r>>),
}

impl Content<'_> {
    /// What is counted.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Event(event) => event.kind(),
            Self::Relayed(relayed, _) => REASONS[relayed.told.reason()],
        }
    }
}

/// Why a record is no head.
pub(super) enum Unread {
    /// It is a dead letter: why, and whose it is, where that could be read.
    Refused(Refusal, Option<String>),
    /// The decoder of an input needs the schema of this id first.
    Schema { decoder: usize, id: u32 },
    /// Another program or lineage has to read it.
    LeftAlone(String),
    /// It is of an earlier lineage.
    PassedOver,
}

pub(super) const fn refused(refusal: Refusal) -> Unread {
    Unread::Refused(refusal, None)
}

/// Decodes an event.
pub(super) fn decoded<'r>(
    input: usize,
    value: &'r [u8],
    decode: &impl Decode,
) -> Result<Event<'r>, Unread> {
    decode.decode(input, value).map_err(|error| match error {
        DecodeError::SchemaNeeded(id) => Unread::Schema { decoder: input, id },
        DecodeError::Refused(refusal) => refused(refusal),
    })
}

/// Reads a record of an input topic.
pub(super) fn event<'r>(
    input: usize,
    value: &'r [u8],
    reference: Reference,
    decode: &impl Decode,
) -> Result<Decoded<'r>, Unread> {
    let event = decoded(input, value, decode)?;
    match effective_time(event.occurred_at, reference) {
        Ok(effective) => Ok(Decoded {
            at: effective.at,
            clamped: effective.clamped,
            content: Content::Event(event),
        }),
        Err(refusal) => Err(Unread::Refused(refusal, Some(event.subject_id().into_owned()))),
    }
}

/// Reads a record of the relay.
pub(super) fn relayed<'r>(
    task: &PartitionTask,
    value: &'r [u8],
    decode: &impl Decode,
) -> Result<Decoded<'r>, Unread> {
    let (lineage, relayed) = decode_relayed(value).map_err(|error| match error {
        StateError::Newer(_) => Unread::LeftAlone(format!("a record of the relay: {error}")),
        StateError::Damaged(detail) => {
            refused(Refusal::new(Reason::Undecodable, format!("a record of the relay: {detail}")))
        }
    })?;
    match lineage.cmp(&task.lineage()) {
        Ordering::Less if Mutation::RelayLineageNotCompared.is_on() => {}
        Ordering::Less => return Err(Unread::PassedOver),
        Ordering::Equal => {}
        Ordering::Greater => {
            return Err(Unread::LeftAlone(format!(
                "a record of the relay is of lineage {lineage}, the task of {}; hint: restart \
                 this instance",
                task.lineage()
            )));
        }
    }
    if let Told::State(packed) = &relayed.told
        && let Err(error) = unpack(packed, &task.rules().rates)
    {
        let detail = format!("a record of the relay: {error}");
        return Err(refused(Refusal::new(Reason::Undecodable, detail)));
    }
    let event = match &relayed.told {
        Told::Event { input, value: Cow::Borrowed(value), .. } => {
            Some(decoded(*input, value, decode)?)
        }
        _ => None,
    };
    Ok(Decoded { at: relayed.at, clamped: false, content: Content::Relayed(relayed, event) })
}
