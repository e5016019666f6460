//! The hold: up to when timers may fire, since no partition has events from before it any more.
//!
//! An event may lie in another partition than its customer's and be on its way through the relay
//! for some hops. So a time is released when every task's clock had reached it, and then, as often
//! as there may be hops, every task has consumed what the relay held at that moment. Up to so many
//! such rounds are under way at once, so that a load that never ceases holds nothing up.
//! Samples in, a time out: asks nobody, reads no clock. Next: `others.rs`, who asks and obeys.

use crate::domain::progress::OffsetMetadata;
use crate::domain::time::Timestamp;
use crate::runtime::broker::{ClockSample, Input, TaskSample};

/// Hops at most of what an event brings about: to its customer's home, behind a redirect, to
/// another id of the customer's, from there as a state, behind a redirect, to the account.
const HOPS: usize = 6;
/// With all tasks so close to the wall clock, in ms, events wait for nobody.
const TOLERANCE_MS: i64 = 10_000;

/// What is known of all tasks of the application, and what follows for timers.
#[derive(Debug)]
pub(super) struct Hold {
    max_hold_ms: i64,
    /// Wall time moves the clocks.
    wall: bool,
    /// What another one has committed is nothing.
    lineage: u32,
    /// Monotonic ms of the sample that was taken last.
    asked_ms: Option<i64>,
    tasks: Vec<Seen>,
    /// By the number of hops that are done.
    rounds: [Option<Round>; HOPS],
    released: Timestamp,
    /// Monotonic ms at which `released` moved last, or nobody held it, or somebody was given up.
    moved_ms: i64,
}

/// A task as the last sample showed it.
#[derive(Clone, Debug)]
struct Seen {
    clock: Timestamp,
    /// Of what it lets wait, the first; what comes of that is of then.
    waits_at: Option<Timestamp>,
    /// Its next offset in the relay.
    relay: i64,
    /// It has consumed all of its inputs, and nothing waits.
    at_end: bool,
    /// Nobody waits for it until it moves again.
    given_up: bool,
}

/// A time that all clocks have reached, and what is to be consumed before the next hop.
#[derive(Debug)]
struct Round {
    until: Timestamp,
    /// Ends of the relay by partition.
    ends: Vec<i64>,
}

impl Hold {
    /// Nothing is known yet: everything waits.
    pub(super) const fn new(max_hold_ms: i64, wall: bool, lineage: u32) -> Self {
        Self {
            max_hold_ms,
            wall,
            lineage,
            asked_ms: None,
            tasks: Vec::new(),
            rounds: [const { None }; HOPS],
            released: Timestamp::MIN,
            moved_ms: 0,
        }
    }

    /// Timers up to here may fire.
    pub(super) const fn released(&self) -> Timestamp {
        self.released
    }

    /// Whether all tasks are about as far as the wall clock, `now`.
    pub(super) const fn is_caught_up(&self, now: Timestamp) -> bool {
        self.wall && now.since(self.released) <= TOLERANCE_MS
    }

    /// Whether the next sample may let more timers fire than are due by the wall clock anyway.
    pub(super) fn is_under_way(&self, now: Timestamp) -> bool {
        !self.is_caught_up(now) || self.rounds.iter().any(Option::is_some)
    }

    /// The lineage that it is about.
    pub(super) const fn lineage(&self) -> u32 {
        self.lineage
    }

    /// Learns from a sample; the number of tasks that are given up because of it.
    pub(super) fn take(&mut self, sample: &ClockSample) -> u64 {
        if self.asked_ms == Some(sample.asked_ms) {
            return 0;
        }
        let is_first = self.asked_ms.replace(sample.asked_ms).is_none();
        self.look(sample);
        let before = self.released;
        self.wait_for_rooms();
        if let Some(ends) = self.relay_ends(sample) {
            self.pass(self.reached(), &ends);
        }
        let holders = self.holders();
        if is_first || self.released > before || holders.is_empty() {
            self.moved_ms = sample.asked_ms;
        }
        if sample.asked_ms - self.moved_ms < self.max_hold_ms {
            return 0;
        }
        self.moved_ms = sample.asked_ms;
        for holder in &holders {
            self.tasks[*holder].given_up = true;
        }
        holders.len() as u64
    }

    fn look(&mut self, sample: &ClockSample) {
        let lineage = self.lineage;
        let wall = self.wall.then_some(sample.at);
        self.tasks.resize_with(sample.tasks.len(), || Seen::of(&TaskSample::default(), 0, None));
        for (seen, sample) in self.tasks.iter_mut().zip(&sample.tasks) {
            let now = Seen::of(sample, lineage, wall);
            let stands = !now.at_end && (now.clock, now.relay) == (seen.clock, seen.relay);
            *seen = Seen { given_up: seen.given_up && stands, ..now };
        }
    }

    fn counted(&self) -> impl Iterator<Item = &Seen> {
        self.tasks.iter().filter(|task| !task.given_up)
    }

    /// The time that all clocks have reached. Without wall time a task at its end is left out, and
    /// with all at their ends it is the highest, as within a task.
    fn reached(&self) -> Timestamp {
        let behind = self.counted().filter(|task| self.wall || !task.at_end);
        let least = behind.map(|task| task.clock).min();
        let most = || self.tasks.iter().map(|task| task.clock).max();
        least.or_else(most).unwrap_or(Timestamp::MIN)
    }

    /// What waits has consumed its record of the relay and not sent the next: no round passes it.
    fn wait_for_rooms(&mut self) {
        let Some(least) = self.counted().filter_map(|task| task.waits_at).min() else { return };
        for round in self.rounds.iter_mut().flatten() {
            round.until = round.until.min(least);
        }
    }

    /// The ends of the relay, asked for after the offsets; `None` when one that counts is unknown.
    fn relay_ends(&self, sample: &ClockSample) -> Option<Vec<i64>> {
        let end = |(seen, task): (&Seen, &TaskSample)| match task.ends {
            Some(ends) => Some(ends[Input::Relay.index()]),
            None => seen.given_up.then_some(i64::MIN),
        };
        self.tasks.iter().zip(&sample.tasks).map(end).collect()
    }

    fn passed(&self, ends: &[i64]) -> bool {
        self.tasks.iter().zip(ends).all(|(task, end)| task.given_up || task.relay >= *end)
    }

    /// Moves every round on whose ends are consumed, and begins one.
    fn pass(&mut self, reached: Timestamp, ends: &[i64]) {
        if self.passed(ends) {
            // The relay was empty: nothing is on its way, whatever the number of hops.
            self.rounds = [const { None }; HOPS];
            self.released = self.released.max(reached);
            return;
        }
        for hop in (0..HOPS).rev() {
            if hop + 1 < HOPS && self.rounds[hop + 1].is_some() {
                continue;
            }
            let Some(mut round) = self.rounds[hop].take() else { continue };
            if !self.passed(&round.ends) {
                self.rounds[hop] = Some(round);
            } else if hop + 1 < HOPS {
                // What the records of the hop before have sent is in the relay by now.
                round.ends = ends.to_vec();
                self.rounds[hop + 1] = Some(round);
            } else {
                self.released = self.released.max(round.until);
            }
        }
        if self.rounds[0].is_none() && reached > self.released {
            self.rounds[0] = Some(Round { until: reached, ends: ends.to_vec() });
        }
    }

    /// Those for whom all others wait.
    fn holders(&self) -> Vec<usize> {
        let holds = |partition: &usize| {
            let task = &self.tasks[*partition];
            let unread = |round: &Round| task.relay < round.ends[*partition];
            let behind = !task.at_end && task.clock <= self.released;
            !task.given_up && (behind || self.rounds.iter().flatten().any(unread))
        };
        (0..self.tasks.len()).filter(holds).collect()
    }
}

impl Seen {
    fn of(sample: &TaskSample, lineage: u32, wall: Option<Timestamp>) -> Self {
        let metadata = sample.committed.metadata.as_deref().and_then(OffsetMetadata::parse);
        let Some(told) = metadata.filter(|told| told.lineage == lineage) else {
            let (clock, relay) = (Timestamp::MIN, i64::MIN);
            return Self { clock, waits_at: None, relay, at_end: false, given_up: false };
        };
        let next = sample.committed.next_offsets.map(|next| next.unwrap_or(i64::MIN));
        let consumed =
            sample.ends.is_some_and(|ends| next.iter().zip(ends).all(|(at, end)| *at >= end));
        let waits_at = told.waits_at;
        // With all consumed, only what waits holds it.
        let passed = wall.or(waits_at).filter(|_| consumed).unwrap_or(Timestamp::MIN);
        let clock = told.clock.max(passed).min(waits_at.unwrap_or(Timestamp::MAX));
        let at_end = consumed && waits_at.is_none();
        Self { clock, waits_at, relay: next[Input::Relay.index()], at_end, given_up: false }
    }
}

#[cfg(test)]
mod tests;
