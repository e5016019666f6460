//! The hold against partitions, relays and commits as they are: nothing from before a released
//! time may still be on its way, and whoever waits for it gets on.

use super::*;
use crate::runtime::broker::CommittedOffsets;
use proptest::prelude::*;

const TASKS: usize = 3;
const NOW: i64 = 1_000;
const LINEAGE: u32 = 4;
const MAX_HOLD_MS: i64 = 60_000;

/// An event, the tasks that it has still to go to, and whether its customer has a timer due.
#[derive(Clone, Debug)]
struct Record {
    at: i64,
    path: Vec<usize>,
    waits: bool,
}

#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Position {
    direct: usize,
    relay: usize,
}

/// A task: its inputs, where it is, and what it has not committed.
#[derive(Default)]
struct Task {
    direct: Vec<Record>,
    relay: Vec<Record>,
    present: Position,
    committed: Position,
    commits: u64,
    sent: Vec<(usize, Record)>,
}

impl Task {
    /// Takes in one record, the relay's first; false when there is none or it has to wait.
    fn step(&mut self, released: Timestamp, relay_first: bool) -> bool {
        let next = self.direct.get(self.present.direct);
        let next = next.filter(|record| !record.waits || released.0 >= record.at);
        let relayed = self.relay.get(self.present.relay);
        let from_relay = relayed.is_some() && (relay_first || next.is_none());
        let record = if from_relay { relayed } else { next };
        let Some(record) = record else { return false };
        if let Some((to, path)) = record.path.split_first() {
            self.sent.push((*to, Record { path: path.to_vec(), waits: false, at: record.at }));
        }
        if from_relay {
            self.present.relay += 1;
        } else {
            self.present.direct += 1;
        }
        true
    }

    fn clock(&self) -> i64 {
        // With what comes next at hand, the clock has come as far.
        let reached = self.direct.get(self.committed.direct).or(self.direct.last());
        reached.map_or(0, |record| record.at)
    }

    fn offsets(&self) -> CommittedOffsets {
        if self.commits == 0 {
            return CommittedOffsets::default();
        }
        let Position { direct, relay } = self.committed;
        let told = OffsetMetadata {
            clock: Timestamp(self.clock()),
            commit_counter: self.commits,
            lineage: LINEAGE,
        };
        let next = |at: usize| Some(i64::try_from(at).unwrap());
        CommittedOffsets {
            next_offsets: [next(direct), next(0), next(relay)],
            metadata: Some(told.text()),
        }
    }

    fn ends(&self) -> [i64; 3] {
        let end = |log: &[Record]| i64::try_from(log.len()).unwrap();
        [end(&self.direct), 0, end(&self.relay)]
    }
}

struct World {
    tasks: Vec<Task>,
    hold: Hold,
    now_ms: i64,
    offsets: Option<Vec<CommittedOffsets>>,
}

impl World {
    fn new(events: Vec<(usize, Record)>) -> Self {
        let mut tasks: Vec<Task> = (0..TASKS).map(|_| Task::default()).collect();
        for (task, record) in events {
            tasks[task].direct.push(record);
        }
        tasks.iter_mut().for_each(|task| task.direct.sort_by_key(|record| record.at));
        Self { tasks, hold: Hold::new(MAX_HOLD_MS, true, LINEAGE), now_ms: 0, offsets: None }
    }

    fn step(&mut self, task: usize, relay_first: bool) -> bool {
        self.tasks[task].step(self.hold.released(), relay_first)
    }

    fn commit(&mut self, task: usize) {
        let committing = &mut self.tasks[task];
        committing.committed = committing.present;
        committing.commits += 1;
        for (to, record) in std::mem::take(&mut committing.sent) {
            self.tasks[to].relay.push(record);
        }
    }

    fn roll_back(&mut self, task: usize) {
        let task = &mut self.tasks[task];
        task.present = task.committed;
        task.sent.clear();
    }

    /// The first half of a sample, then its second.
    fn sample(&mut self) {
        self.now_ms += 500;
        let Some(offsets) = self.offsets.take() else {
            self.offsets = Some(self.tasks.iter().map(Task::offsets).collect());
            return;
        };
        let tasks = self.tasks.iter().zip(offsets);
        let tasks =
            tasks.map(|(task, committed)| TaskSample { committed, ends: Some(task.ends()) });
        let tasks = tasks.collect();
        let sample = ClockSample { asked_ms: self.now_ms, at: Timestamp(NOW), tasks };
        assert_eq!(self.hold.take(&sample), 0, "nobody stands still for so long");
    }

    /// The least time of what is committed nowhere that it does not have to go on from.
    fn on_its_way(&self) -> Option<i64> {
        let left = self.tasks.iter().flat_map(|task| {
            let direct = &task.direct[task.committed.direct..];
            direct.iter().chain(&task.relay[task.committed.relay..])
        });
        left.map(|record| record.at).min()
    }
}

fn events(waits: bool) -> impl Strategy<Value = Vec<(usize, Record)>> {
    let path = prop::collection::vec(0..TASKS, 0..=HOPS);
    let record = (0..40_i64, path, any::<bool>());
    let record = record.prop_map(move |(at, path, due)| Record { at, path, waits: waits && due });
    prop::collection::vec((0..TASKS, record), 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn nothing_is_on_its_way_from_before_a_released_time(
        events in events(false),
        moves in prop::collection::vec((0..8_u8, 0..TASKS, any::<bool>()), 0..150),
    ) {
        let mut world = World::new(events);
        for (what, task, relay_first) in moves {
            match what {
                0..=2 => drop(world.step(task, relay_first)),
                3..=4 => world.commit(task),
                5 => world.roll_back(task),
                _ => world.sample(),
            }
            let least = world.on_its_way().unwrap_or(i64::MAX);
            prop_assert!(world.hold.released().0 <= least, "{:?}", world.hold);
        }
        // At rest everything is released.
        for task in (0..TASKS).cycle().take(TASKS * (HOPS + 2)) {
            while world.step(task, true) {}
            world.commit(task);
        }
        (0..4).for_each(|_| world.sample());
        prop_assert_eq!(world.hold.released(), Timestamp(NOW));
    }

    #[test]
    fn among_tasks_that_wait_for_each_other_one_can_always_go_on(events in events(true)) {
        let mut world = World::new(events);
        let records = |world: &World| -> usize {
            world.tasks.iter().map(|task| task.direct.len() + task.relay.len()).sum()
        };
        let mut rounds = 0;
        while world.on_its_way().is_some() {
            for task in 0..TASKS {
                while world.step(task, true) {}
                world.commit(task);
            }
            (0..2).for_each(|_| world.sample());
            rounds += 1;
            let limit = 10 + HOPS * records(&world);
            prop_assert!(rounds < limit, "{:?}", world.hold);
        }
    }
}

fn task(clock: i64, next: [i64; 3], ends: [i64; 3]) -> TaskSample {
    let told = OffsetMetadata { clock: Timestamp(clock), commit_counter: 1, lineage: LINEAGE };
    let committed = CommittedOffsets { next_offsets: next.map(Some), metadata: Some(told.text()) };
    TaskSample { committed, ends: Some(ends) }
}

fn sample(second: i64, tasks: &[TaskSample]) -> ClockSample {
    ClockSample { asked_ms: second * 1_000, at: Timestamp(second * 1_000), tasks: tasks.to_vec() }
}

#[test]
fn a_relay_that_is_never_empty_delays_and_starves_nobody() {
    let mut hold = Hold::new(MAX_HOLD_MS, true, LINEAGE);
    let mut released = Vec::new();
    for second in 1..=9 {
        // What was there a second ago is consumed, and as much has come.
        let busy = task(second * 1_000, [second, 0, 10 * second - 10], [99, 0, 10 * second]);
        hold.take(&sample(second, &[busy.clone(), busy]));
        released.push(hold.released().0.max(0) / 1_000);
    }
    assert_eq!(released, [0, 0, 0, 1, 2, 3, 4, 5, 6]);
    assert!(hold.is_caught_up(Timestamp(9_500)) && !hold.is_caught_up(Timestamp(16_500)));
}

#[test]
fn a_task_that_stands_is_waited_for_and_then_given_up_until_it_moves() {
    let mut hold = Hold::new(MAX_HOLD_MS, true, LINEAGE);
    let other = |second: i64| task(second * 1_000, [second, 0, 0], [99, 0, 0]);
    let mut given_up = Vec::new();
    for second in 1..=100 {
        let stuck = task(500, [3, 0, 0], [7, 0, 0]);
        if hold.take(&sample(second, &[stuck, other(second)])) > 0 {
            given_up.push(second);
        }
        if second == 60 {
            assert_eq!(hold.released(), Timestamp(500));
        }
    }
    assert_eq!((given_up, hold.released()), (vec![61], Timestamp(100_000)));
    // Moving again it holds the others where they are.
    for second in 101..=110 {
        let late = task(500 + second, [4, 0, 0], [7, 0, 0]);
        assert_eq!(hold.take(&sample(second, &[late, other(second)])), 0);
    }
    assert_eq!(hold.released(), Timestamp(100_000));
}

#[test]
fn who_was_never_seen_in_this_lineage_is_waited_for() {
    let mut hold = Hold::new(MAX_HOLD_MS, true, LINEAGE);
    let there = task(5_000, [1, 0, 0], [1, 0, 0]);
    let never = TaskSample { ends: Some([0; 3]), ..TaskSample::default() };
    hold.take(&sample(6, &[there.clone(), never]));
    assert_eq!(hold.released(), Timestamp::MIN);
    let before =
        OffsetMetadata { clock: Timestamp(5_000), commit_counter: 9, lineage: LINEAGE - 1 };
    let mut elsewhere = there.clone();
    elsewhere.committed.metadata = Some(before.text());
    hold.take(&sample(7, &[there.clone(), elsewhere]));
    assert_eq!(hold.released(), Timestamp::MIN);
    // An end that is not known may be anywhere.
    let unknown = TaskSample { ends: None, ..there.clone() };
    hold.take(&sample(8, &[there.clone(), unknown]));
    assert_eq!(hold.released(), Timestamp::MIN);
    hold.take(&sample(9, &[there.clone(), there]));
    assert_eq!(hold.released(), Timestamp(9_000));
}

#[test]
fn without_wall_time_a_task_at_its_end_is_left_out() {
    let mut hold = Hold::new(MAX_HOLD_MS, false, LINEAGE);
    let at_end = |clock| task(clock, [1, 1, 0], [1, 1, 0]);
    hold.take(&sample(1, &[at_end(5), task(90, [1, 0, 0], [2, 0, 0])]));
    assert_eq!(hold.released(), Timestamp(90));
    hold.take(&sample(2, &[at_end(5), at_end(120)]));
    assert_eq!(hold.released(), Timestamp(120));
    // Nothing more comes: that is no reason to give anybody up, nor to be short with who comes.
    for second in 3..500 {
        assert_eq!(hold.take(&sample(second, &[at_end(5), at_end(120)])), 0);
    }
    let late = task(100, [1, 0, 0], [2, 0, 0]);
    let given_up = |second: &i64| hold.take(&sample(*second, &[late.clone(), at_end(120)])) > 0;
    assert_eq!((500..600).find(given_up), Some(559));
}
