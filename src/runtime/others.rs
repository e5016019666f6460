//! What a worker does for the sake of tasks elsewhere: holds its timers, shows its clocks.
//!
//! The clocks of others are those that they have committed, and nobody is told of another one
//! here: what is not committed may be undone. Never decides up to when timers fire. Next:
//! `hold.rs`, which does.

use crate::mutation::Mutation;
use crate::runtime::broker::Broker;
use crate::runtime::clock::Clock;
use crate::runtime::hold::Hold;
use crate::runtime::worker::{Trip, Worker};

/// How often a task commits for nothing but to show its clock, in ms.
const SHOW_MS: i64 = 1_000;

impl<B: Broker, C: Clock> Worker<B, C> {
    /// Learns how far all tasks of the application are, and whether timers wait for them at all:
    /// not where all tasks go in step.
    pub(super) fn look_at_others(&mut self) -> Result<(), Trip> {
        let settings = &self.settings;
        let partitions = settings.task.partitions;
        let alone = partitions < 2 || self.goes_in_step() || settings.forgetful;
        let waits = !alone && !Mutation::HoldLeftOut.is_on();
        let Some(max_hold) = settings.max_hold.filter(|_| waits) else {
            self.hold = None;
            return Ok(());
        };
        let max_hold_ms = i64::try_from(max_hold.as_millis()).unwrap_or(i64::MAX);
        let Some(lineage) = self.lineage.map(|lineage| lineage.number) else { return Ok(()) };
        let new = || Hold::new(max_hold_ms, settings.wall_clock, lineage);
        let hold = self.hold.take().filter(|hold| hold.lineage() == lineage);
        let hold = self.hold.insert(hold.unwrap_or_else(new));
        let soon = hold.is_under_way(self.now);
        if let Some(sample) = self.broker.clocks(partitions, soon)? {
            let given_up = hold.take(&sample);
            if given_up > 0 {
                tracing::warn!(
                    tasks = given_up,
                    "no longer waiting for partitions that do not get on; what they still hold of \
                     customers may come after their silence was told"
                );
                self.shared.metrics.holds_given_up(given_up);
            }
        }
        Ok(())
    }

    /// Makes an idle task part of a transaction when the others cannot know how far it is.
    pub(super) fn show_clock(&mut self, partition: u32) -> Result<(), Trip> {
        let now_ms = self.now_ms;
        let Some(slot) = self.slots.get_mut(&partition).filter(|_| self.hold.is_some()) else {
            return Ok(());
        };
        let ends = slot.known_ends(now_ms);
        let due = now_ms - slot.shown_ms >= SHOW_MS;
        if !due || slot.task.is_touched() || !slot.task.has_news(ends) {
            return Ok(());
        }
        slot.shown_ms = now_ms;
        slot.task.touch();
        self.begin()
    }
}
