//! The tasks of a run that ends by itself, in step.
//!
//! Only where one worker has them all. Next: `in_step.rs`, who comes first.

use crate::domain::progress::Phase;
use crate::runtime::broker::Broker;
use crate::runtime::clock::Clock;
use crate::runtime::commit::PURGE_CUSTOMERS;
use crate::runtime::in_step::{Lane, pump_in_step};
use crate::runtime::pump::{Limits, Pumped};
use crate::runtime::share::Shares;
use crate::runtime::worker::{FETCH_RECORDS, LOW_WATER, PUMP_RECORDS, Trip, Worker, damaged};

impl<B: Broker, C: Clock> Worker<B, C> {
    /// Whether the tasks go in step: the run ends by itself, and all of them are here.
    pub(super) fn goes_in_step(&self) -> bool {
        let here = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.settings.until_end.is_some() && here == self.settings.task.partitions
    }

    /// Steps of all tasks, once all of them run; true when there is more to do at once.
    pub(super) fn work_in_step(&mut self, shares: &mut Shares) -> Result<bool, Trip> {
        if !self.slots.values().all(|slot| slot.is_running()) {
            return Ok(false);
        }
        let purging = |slot: &&u32| self.slots[slot].task.phase() == Phase::Purging;
        if let Some(partition) = self.slots.keys().find(purging).copied() {
            self.purge(partition, PURGE_CUSTOMERS)?;
            return Ok(true);
        }
        let wall = self.settings.wall_clock.then_some(self.now);
        let is_open = self.transaction.is_open();
        let mut busy = false;
        // What one task still reads may concern the customers of any.
        let silent = self.slots.values().any(|slot| slot.task.reads_in_silence());
        let mut lanes = Vec::with_capacity(self.slots.len());
        for (partition, slot) in &mut self.slots {
            slot.task.hold(None);
            busy |= slot.top_up(&mut self.broker, self.now, LOW_WATER, FETCH_RECORDS)? > 0;
            let judged = shares.judged.of_next();
            let waits = silent || (slot.task.begins_walk() && is_open);
            let on_all = if waits { Ok(None) } else { slot.task.work_on_all(judged, wall) };
            let on_all = on_all.map_err(|error| damaged(*partition, &error))?;
            shares.judged.spend(on_all.unwrap_or(0));
            busy |= on_all.is_some();
            let limits = Limits {
                topics: &self.settings.topics,
                ends: slot.known_ends(self.now_ms),
                stop_at_ends: slot.until.is_some(),
                wall,
                in_step: None,
                limit: None,
                waits: false,
                records: PUMP_RECORDS,
                timers: shares.timers.of_next(),
            };
            let records = slot.queues.each_mut().map(|queue| &*queue.make_contiguous());
            let pumped = Pumped::default();
            lanes.push(Lane { task: &mut slot.task, records, limits, pumped });
        }
        pump_in_step(&mut lanes, &self.decoders).map_err(|error| damaged(0, &error))?;
        let all: Vec<Pumped> = lanes.into_iter().map(|lane| lane.pumped).collect();
        let partitions: Vec<u32> = self.slots.keys().copied().collect();
        for (partition, pumped) in partitions.into_iter().zip(all) {
            shares.timers.spend(pumped.timers);
            self.account(partition, &pumped);
            self.send_effects(partition, &pumped.refused)?;
            let Some(slot) = self.slots.get_mut(&partition) else { continue };
            for (queue, consumed) in slot.queues.iter_mut().zip(pumped.consumed) {
                queue.drain(..consumed);
                busy |= consumed > 0;
            }
            self.schema_wanted = pumped.schema_needed.or(self.schema_wanted);
            busy |= pumped.timers > 0 || pumped.limited;
        }
        Ok(busy)
    }
}
