//! What a task has to say, sent in the open transaction.
//!
//! It is visible to nobody before the commit. Next: `commit.rs`.

use crate::codec::change::headers;
use crate::codec::dead_letter::{Source, dead_letter};
use crate::codec::relay::encode_relayed;
use crate::domain::refusal::{Reason, Refusal};
use crate::runtime::broker::{Broker, Input, OutRecord, Output, Record};
use crate::runtime::clock::Clock;
use crate::runtime::commit::{Out, send_states};
use crate::runtime::worker::{Trip, Worker};
use crate::task::relay::Outgoing;

/// Where so many times the customers that are unpacked at most stay unpacked, all are sent.
const STAYING: usize = 8;

impl<B: Broker, C: Clock> Worker<B, C> {
    /// Sends what a task has to say so far: dead letters, changes, what it tells others, and states
    /// where many customers are unpacked.
    pub(super) fn send_effects(
        &mut self,
        partition: u32,
        refused: &[(usize, usize, Refusal)],
    ) -> Result<(), Trip> {
        if !self.slots.get(&partition).is_some_and(|slot| slot.task.is_touched()) {
            return Ok(());
        }
        self.begin()?;
        let Some(slot) = self.slots.get_mut(&partition) else { return Ok(()) };
        let mut out = Out { broker: &mut self.broker, bytes: &mut self.transaction.bytes };
        for (input, place, refusal) in refused {
            let record = &slot.queues[*input][*place];
            let source =
                Source { topic: &self.settings.topics[*input], partition, offset: record.offset() };
            let letter = dead_letter(
                source,
                refusal,
                record.key(),
                record.value(),
                self.settings.dead_letter_max_bytes,
            );
            tracing::debug!(
                topic = source.topic,
                partition,
                offset = source.offset,
                reason = refusal.reason.code(),
                "dead letter"
            );
            out.send(&OutRecord {
                output: Output::DeadLetters,
                partition,
                key: letter.key,
                value: letter.value,
                headers: &letter.headers,
            })?;
            self.tally.dead_letter(Input::ALL[*input].name(), refusal.reason.code());
            self.tally.misrouted += u64::from(refusal.reason == Reason::Misrouted);
            self.tally.sent("dead-letters", 1);
        }
        let mut value = Vec::with_capacity(1024);
        for change in slot.task.take_changes() {
            self.changes.encode(&change, &mut value);
            out.send(&OutRecord {
                output: Output::SegmentChanges,
                partition,
                key: Some(change.customer_id.as_bytes()),
                value: Some(&value),
                headers: &headers(&change),
            })?;
            let cause = change.cause.kind.name();
            self.tally.change(&change.dimension, change.current.as_deref(), cause);
            self.tally.sent("segment-changes", 1);
        }
        let lineage = slot.task.lineage();
        for Outgoing { partition, relayed } in slot.task.take_outgoing() {
            encode_relayed(lineage, &relayed, &mut value);
            let key = Some(relayed.to.as_bytes());
            let value = Some(value.as_slice());
            out.send(&OutRecord { output: Output::Relay, partition, key, value, headers: &[] })?;
            self.tally.sent("relay", 1);
        }
        // While the next events are read the broker writes what comes now, not all at the end.
        if slot.task.store().unpacked() >= self.settings.unpacked {
            let (profiles, tally) = (&mut self.profiles, &mut self.tally);
            let all = slot.task.store().staying() >= STAYING * self.settings.unpacked;
            send_states(&mut slot.task, all, &mut out, profiles, tally)?;
            slot.task.settle_customers();
        }
        Ok(())
    }
}
