//! The hold against partitions, relays and commits as they are: nothing from before a released
//! time may still be on its way, and whoever waits for it gets on.

use super::*;
use crate::runtime::broker::CommittedOffsets;
use proptest::prelude::*;

const TASKS: usize = 3;
const NOW: i64 = 1_000;
const LINEAGE: u32 = 4;
const MAX_HOLD_MS: i64 = 60_000;
/// Events that may be ahead of the released time with what they left to others.
const MAX_AHEAD: usize = 3;

/// What an event does at a task: where, and the deadline that it would fire there, if any.
type Stop = (usize, Option<i64>);

/// An event, where it is to be taken in, and where it goes from there.
#[derive(Clone, PartialEq, Debug)]
struct Record {
    at: i64,
    due: Option<i64>,
    path: Vec<Stop>,
    /// It goes on only when it does not wait; others do at once.
    moves: bool,
}

impl Record {
    /// What goes on from here, and where.
    fn go_on(&mut self) -> Option<(usize, Record)> {
        if self.path.is_empty() {
            return None;
        }
        let (to, due) = self.path.remove(0);
        Some((to, Self { due, path: std::mem::take(&mut self.path), ..self.clone() }))
    }

    fn waits(&self, released: Timestamp) -> bool {
        self.due.is_some_and(|due| released.0 < due)
    }
}

/// What a transaction moves on.
#[derive(Clone, PartialEq, Debug, Default)]
struct Position {
    direct: usize,
    relay: usize,
    /// What waits, by time.
    room: Vec<Record>,
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
    /// Times of events that left something to others.
    ahead: Vec<i64>,
}

impl Task {
    /// Takes in one record; false when there is none, or all have to wait.
    fn step(&mut self, released: Timestamp, relay_first: bool) -> bool {
        self.ahead.retain(|at| *at > released.0);
        let present = &mut self.present;
        let (direct, relayed) = (self.direct.get(present.direct), self.relay.get(present.relay));
        let least = direct.into_iter().chain(relayed).map(|record| record.at).min();
        let waited = present.room.first().filter(|waited| !waited.waits(released));
        let leaves = waited.is_some_and(|waited| least.is_none_or(|least| waited.at <= least));
        let full = self.ahead.len() >= MAX_AHEAD;
        let direct = direct.filter(|_| !full);
        let mut record = if leaves {
            present.room.remove(0)
        } else if let Some(relayed) = relayed.filter(|_| relay_first || direct.is_none()) {
            present.relay += 1;
            relayed.clone()
        } else if let Some(direct) = direct {
            present.direct += 1;
            if !direct.path.is_empty() || direct.waits(released) {
                self.ahead.push(direct.at);
            }
            direct.clone()
        } else {
            return false;
        };
        let waits = record.waits(released);
        if !waits || !record.moves {
            self.sent.extend(record.go_on());
        }
        if waits {
            present.room.push(record);
            present.room.sort_by_key(|record| record.at);
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
        let Position { direct, relay, room } = &self.committed;
        let told = OffsetMetadata {
            clock: Timestamp(self.clock()),
            commit_counter: self.commits,
            lineage: LINEAGE,
            waits_at: room.iter().find(|it| !it.path.is_empty()).map(|it| Timestamp(it.at)),
        };
        let next = |at: usize| Some(i64::try_from(at).unwrap());
        CommittedOffsets {
            next_offsets: [next(*direct), next(0), next(*relay)],
            metadata: Some(told.text()),
        }
    }

    fn ends(&self) -> [i64; 3] {
        let end = |log: &[Record]| i64::try_from(log.len()).unwrap();
        [end(&self.direct), 0, end(&self.relay)]
    }
}

/// Tasks in two processes, each of which asks for itself: the first has one of them.
struct World {
    tasks: Vec<Task>,
    holds: [Hold; 2],
    now_ms: i64,
    offsets: [Option<Vec<CommittedOffsets>>; 2],
}

impl World {
    fn new(events: Vec<(usize, Record)>) -> Self {
        let mut tasks: Vec<Task> = (0..TASKS).map(|_| Task::default()).collect();
        for (task, record) in events {
            tasks[task].direct.push(record);
        }
        tasks.iter_mut().for_each(|task| task.direct.sort_by_key(|record| record.at));
        let holds = [0, 1].map(|_| Hold::new(MAX_HOLD_MS, true, LINEAGE));
        Self { tasks, holds, now_ms: 0, offsets: [None, None] }
    }

    fn step(&mut self, task: usize, relay_first: bool) -> bool {
        let released = self.holds[task.min(1)].released();
        self.tasks[task].step(released, relay_first)
    }

    fn commit(&mut self, task: usize) {
        let committing = &mut self.tasks[task];
        committing.committed = committing.present.clone();
        committing.commits += 1;
        for (to, record) in std::mem::take(&mut committing.sent) {
            self.tasks[to].relay.push(record);
        }
    }

    fn roll_back(&mut self, task: usize) {
        let task = &mut self.tasks[task];
        task.present = task.committed.clone();
        task.sent.clear();
        task.ahead.clear();
    }

    /// The first half of a sample, then its second.
    fn sample(&mut self, process: usize) {
        self.now_ms += 250;
        let Some(offsets) = self.offsets[process].take() else {
            self.offsets[process] = Some(self.tasks.iter().map(Task::offsets).collect());
            return;
        };
        let tasks = self.tasks.iter().zip(offsets);
        let tasks =
            tasks.map(|(task, committed)| TaskSample { committed, ends: Some(task.ends()) });
        let tasks = tasks.collect();
        let sample = ClockSample { asked_ms: self.now_ms, at: Timestamp(NOW), tasks };
        let given_up = self.holds[process].take(&sample);
        assert_eq!(given_up, 0, "nobody stands still for so long");
    }

    /// The least time of what is committed nowhere that it does not have to go on from.
    fn on_its_way(&self) -> Option<i64> {
        let left = self.tasks.iter().flat_map(|task| {
            let Position { direct, relay, room } = &task.committed;
            let will_go_on = room.iter().filter(|record| !record.path.is_empty());
            task.direct[*direct..].iter().chain(&task.relay[*relay..]).chain(will_go_on)
        });
        left.map(|record| record.at).min()
    }

    fn is_proven(&self) -> bool {
        let least = self.on_its_way().unwrap_or(i64::MAX);
        self.holds.iter().all(|hold| hold.released().0 <= least)
    }

    /// Lets everybody go on until nothing is left; false when that does not come to an end.
    fn comes_to_rest(&mut self) -> bool {
        let stops = |task: &Task| -> usize {
            let left = task.direct.iter().chain(&task.relay).chain(&task.committed.room);
            left.map(|record| record.path.len() + 1).sum()
        };
        let limit = 10 + (HOPS + 1) * self.tasks.iter().map(stops).sum::<usize>();
        for _ in 0..limit {
            for task in 0..TASKS {
                while self.step(task, true) {}
                self.commit(task);
            }
            [0, 1, 0, 1].into_iter().for_each(|process| self.sample(process));
            assert!(self.is_proven(), "{:?}", self.holds);
            let nobody_waits = self.tasks.iter().all(|task| task.committed.room.is_empty());
            if nobody_waits && self.on_its_way().is_none() {
                return true;
            }
        }
        false
    }
}

fn events() -> impl Strategy<Value = Vec<(usize, Record)>> {
    // Silence falls due some time before the event, or not at all.
    let before = || prop::option::of(0..12_i64);
    let path = prop::collection::vec((0..TASKS, before()), 0..=HOPS);
    let record =
        (0..40_i64, before(), path, any::<bool>()).prop_map(|(at, before, path, moves)| {
            let due = |before: Option<i64>| before.map(|before| at - before);
            let path = path.into_iter().map(|(task, before)| (task, due(before))).collect();
            Record { at, due: due(before), path, moves }
        });
    prop::collection::vec((0..TASKS, record), 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever the relay and the rooms hold, nobody's silence is told while an event from before
    /// is on its way, and everything gets on in the end.
    #[test]
    fn nothing_is_on_its_way_from_before_a_released_time_and_one_can_always_go_on(
        events in events(),
        moves in prop::collection::vec((0..8_u8, 0..TASKS, any::<bool>()), 0..150),
    ) {
        let mut world = World::new(events);
        for (what, task, relay_first) in moves {
            match what {
                0..=2 => drop(world.step(task, relay_first)),
                3..=4 => world.commit(task),
                5 => world.roll_back(task),
                _ => world.sample(task.min(1)),
            }
            prop_assert!(world.is_proven(), "{:?}", world.holds);
        }
        prop_assert!(world.comes_to_rest(), "{:?}", world.holds);
        (0..8).for_each(|half| world.sample(half % 2));
        for hold in &world.holds {
            prop_assert_eq!(hold.released(), Timestamp(NOW));
        }
    }
}

fn task(clock: i64, next: [i64; 3], ends: [i64; 3]) -> TaskSample {
    let told = OffsetMetadata {
        clock: Timestamp(clock),
        commit_counter: 1,
        lineage: LINEAGE,
        waits_at: None,
    };
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
    for second in 1..=12 {
        // What was there a second ago is consumed, and as much has come.
        let busy = task(second * 1_000, [second, 0, 10 * second - 10], [99, 0, 10 * second]);
        hold.take(&sample(second, &[busy.clone(), busy]));
        released.push(hold.released().0.max(0) / 1_000);
    }
    assert_eq!(released, [0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6]);
    assert!(hold.is_caught_up(Timestamp(12_500)) && !hold.is_caught_up(Timestamp(16_500)));
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
    let before = OffsetMetadata {
        clock: Timestamp(5_000),
        commit_counter: 9,
        lineage: LINEAGE - 1,
        waits_at: None,
    };
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

#[test]
fn what_waits_holds_the_others_where_it_is_although_its_task_has_nothing_left_to_read() {
    for wall in [true, false] {
        let mut hold = Hold::new(MAX_HOLD_MS, wall, LINEAGE);
        let there = task(5_000, [1, 1, 0], [1, 1, 0]);
        let told = OffsetMetadata {
            clock: Timestamp(300),
            commit_counter: 2,
            lineage: LINEAGE,
            waits_at: Some(Timestamp(700)),
        };
        let mut waiting = there.clone();
        waiting.committed.metadata = Some(told.text());
        hold.take(&sample(6, &[there.clone(), waiting]));
        assert_eq!(hold.released(), Timestamp(700));
        hold.take(&sample(7, &[there.clone(), there.clone()]));
        assert_eq!(hold.released(), Timestamp(if wall { 7_000 } else { 5_000 }));
    }
}
