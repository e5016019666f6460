//! Customers for a task, many and fast: states of a thousand real ones under any number of ids.
//!
//! They come in as at a restart. Never used where memory is measured. Next: `cost.rs`.

use crate::drive::Drive;
use crate::support::{START, feed, purchase, task, texts_of};
use ebbflow::config::Config;
use ebbflow::domain::event::Event;
use ebbflow::domain::id::partition_of;
use ebbflow::domain::pack::peek;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use ebbflow::task::PartitionTask;
use std::fmt::Write as _;

/// How many customers are real.
const REAL: u64 = 1000;

/// Days of silence after which something changes: the recency of the maps; twice the expected gap
/// of who ordered three times, 37 days apart.
const SILENCES: [i64; 2] = [30, 127];

/// Packed states, and where in them the id stands.
pub(crate) struct States {
    packed: Vec<(Vec<u8>, usize)>,
    id: String,
}

/// When the customers of [`States`] ordered last.
#[derive(Clone, Copy)]
pub(crate) enum Last {
    /// Within the last four months, half a day away from any deadline.
    Lately,
    /// So long ago that time changes nothing any more.
    LongAgo,
    /// So that they all fall due within a second, so many ms from the start on.
    Due(i64),
}

impl States {
    /// Customers with two orders or three.
    pub(crate) fn of(config: &Config, last: Last) -> Self {
        let Last::Due(in_ms) = last else { return Self::silent(config, last, 0) };
        let mut found = SILENCES.into_iter().filter_map(|days| {
            let mut states = Self::silent(config, last, days);
            // Of some nothing changes after that.
            let due = START.plus_ms(in_ms)..START.plus_ms(in_ms + 1_100);
            let deadline = |packed: &[u8]| peek(packed).expect("a customer").0;
            states.packed.retain(|(packed, _)| due.contains(&deadline(packed)));
            (!states.packed.is_empty()).then_some(states)
        });
        found.next().expect("somebody falls due")
    }

    fn silent(config: &Config, last: Last, days: i64) -> Self {
        let mut source = task(config);
        let mut orders: Vec<(Timestamp, u64)> = Vec::new();
        for n in 0..REAL {
            let ms = i64::try_from(n).expect("few");
            let latest = match last {
                Last::Lately => -(1 + ms % 40) * DAY_MS + DAY_MS / 2 + ms,
                Last::LongAgo => -3650 * DAY_MS + ms,
                Last::Due(in_ms) => -days * DAY_MS + in_ms + ms,
            };
            let count = 2 + ms % 2;
            orders.extend((0..count).map(|k| (START.plus_ms(latest - k * 37 * DAY_MS), n)));
        }
        orders.sort_unstable();
        for (index, (at, n)) in (0_u64..).zip(orders) {
            let texts = texts_of(index, n);
            let event = Event { occurred_at: at, ..purchase(&texts, index) };
            feed(&mut source, &event, i64::try_from(index).expect("few"));
            Self::settle(&mut source, at);
        }
        Self::settle(&mut source, START);
        Self::all_of(&source)
    }

    /// The states of all customers of a task.
    pub(crate) fn all_of(source: &PartitionTask) -> Self {
        let states = source.store().keys_from(0).into_iter().map(|key| {
            let packed = source.store().committed().get(&key).expect("a state").to_vec();
            let id = peek(&packed).expect("a customer").1.as_bytes();
            let place = packed.windows(id.len()).position(|window| window == id);
            let place = place.expect("the id stands in the state");
            (packed, place)
        });
        Self { packed: states.collect(), id: String::new() }
    }

    /// Fires what is due, and commits.
    pub(crate) fn settle(source: &mut PartitionTask, at: Timestamp) {
        source.advance_to(at);
        while source.fire_timers(1000, Some(at)).expect("readable states") > 0 {}
        source.take_changes().for_each(drop);
        source.pack(|_, _, _| {});
        source.commit().expect("readable states");
    }

    /// The state of the `n`th customer, with its id.
    pub(crate) fn get(&mut self, n: u64) -> (&str, &[u8]) {
        let real = usize::try_from(n % REAL).expect("few") % self.packed.len();
        let (packed, place) = &mut self.packed[real];
        self.id.clear();
        write!(self.id, "c_{n:019}").expect("write to a string");
        packed[*place..*place + self.id.len()].copy_from_slice(self.id.as_bytes());
        (&self.id, packed)
    }

    /// Puts customers into the tasks that they belong to.
    pub(crate) fn fill(&mut self, drives: &mut [Drive], numbers: std::ops::Range<u64>) {
        let partitions = u32::try_from(drives.len()).expect("few");
        for n in numbers {
            let (id, packed) = self.get(n);
            let place = usize::try_from(partition_of(id, partitions)).expect("few");
            drives[place].task.restore_state(id, Some(packed)).expect("a customer");
        }
    }

    /// Bytes of a state on average.
    pub(crate) fn mean_bytes(&self) -> usize {
        self.packed.iter().map(|(packed, _)| packed.len()).sum::<usize>() / self.packed.len()
    }
}
