//! One run from one seed: event time over preloaded input, or wall time over input that arrives.
//!
//! Next: `stage.rs`, who acts when; `oracle.rs`, what must be true afterwards.

use crate::simulation::cluster::{Cluster, Topic};
use crate::simulation::crossing::{Clocks, end_of, play};
use crate::simulation::faults::{Counts, Fault, Only, Plan};
use crate::simulation::log::Payload;
use crate::simulation::oracle::{
    check_equal, check_forgotten, check_invariants, check_nothing_due, marks_of,
};
use crate::simulation::outcome::{Partition, outcome};
use crate::simulation::random::Random;
use crate::simulation::reference::{Marks, TOPICS};
use crate::simulation::replay::{Effort, check_replayed};
use crate::simulation::rules;
use crate::simulation::schedule::check_schedule;
use crate::simulation::stage::{EPOCH, Ends, SESSION_MS, Stage, TRANSACTION_MS};
use crate::simulation::workload::{Placed, Workload};
use ebbflow::codec::encode::OutputFormat;
use ebbflow::codec::state::{PROGRESS_KEY, StateKey, decode_progress, parse_key};
use ebbflow::config::CommitConfig;
use ebbflow::domain::time::{DAY_MS, Timestamp};
use ebbflow::runtime::settings::Settings;
use ebbflow::task::TaskConfig;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

/// Virtual time within which everything has drained after the last fault.
const PATIENCE_MS: i64 = 300_000;
/// Virtual time after which preloaded runs are left in peace.
pub(crate) const FAULTS_MS: i64 = 60_000;
/// How long tasks wait for one that does not get on, in those runs in which they do.
const MAX_HOLD: Duration = Duration::from_secs(3_600);
/// Timers are detected at most so late in a drained cluster.
const SLACK_MS: i64 = 10_000;

/// What moves the clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// Events; all input is there from the start.
    Event,
    /// The wall; input arrives.
    Wall,
    /// Either, and facts belong to another key than the one whose event tells of them.
    Crossing,
}

/// What happened beside the faults, by name.
pub(crate) type Happened = Vec<(&'static str, u64)>;

/// A run that went well.
pub(crate) struct Report {
    pub(crate) counts: Counts,
    pub(crate) happened: Happened,
    pub(crate) changes: usize,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) config: TaskConfig,
    pub(crate) advance_to: Option<Timestamp>,
    /// Virtual time from the end of the faults until all work was done.
    pub(crate) drained_ms: i64,
    /// Wall mode: how much was replayed.
    pub(crate) effort: Effort,
}

pub(crate) struct Run {
    mode: Mode,
    pub(crate) stage: Rc<Stage>,
    pub(crate) random: Random,
    pub(crate) workload: Workload,
    pub(crate) partitions: u32,
    pub(crate) instances: usize,
    pub(crate) config: TaskConfig,
    pub(crate) advance_to: Option<Timestamp>,
    drained_ms: i64,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.stage.clear();
    }
}

/// Whether a key of the state topic is a mark's.
fn is_mark(key: &[u8]) -> bool {
    matches!(parse_key(key), Ok(StateKey::Erased(_)))
}

/// Runs a seed.
pub(crate) fn run(mode: Mode, seed: u64, only: &Only) -> Result<Report, String> {
    let mut run = Run::new(mode, seed, only);
    if mode == Mode::Crossing {
        return run.cross(seed);
    }
    let mut random = Random::new(!seed);
    let rebuilds = mode == Mode::Event && seed != 0 && random.chance(400);
    if rebuilds && random.chance(600) {
        run.stage.lingers.set(Some(random.below(run.instances)));
    }
    match mode {
        Mode::Event => run.play_preloaded()?,
        Mode::Wall | Mode::Crossing => run.play_arriving()?,
    }
    let (mut partitions, effort) = run.left()?;
    if rebuilds {
        partitions = run.rebuild(&partitions)?;
    }
    let mut cluster = run.stage.cluster.borrow_mut();
    let aborted = |it| cluster.log(Topic::State, it).aborted_tombstones();
    let purges_aborted: usize = (0..run.partitions).map(aborted).sum();
    let erasures = partitions.iter().map(Partition::erasures).sum();
    let removed = |it: &&Payload| it.value.is_none() && it.key.as_deref().is_some_and(is_mark);
    let states = || partitions.iter().flat_map(|it| &it.states);
    let marks_ended = states().filter(removed).count() as u64;
    let by_rules = |it: &&Payload| it.headers.contains(&("cause".to_owned(), b"rules".to_vec()));
    let changes = partitions.iter().flat_map(|it| &it.changes);
    let judged = changes.filter(by_rules).count() as u64;
    let in_parts = partitions.iter().map(Partition::cursors).sum();
    let happened = vec![
        ("transactions timed out", cluster.timed_out),
        ("members expelled", cluster.expelled),
        ("partitions came straight back", cluster.group.came_back),
        ("delayed requests landed", cluster.strays_landed),
        ("deletions rolled back", purges_aborted as u64),
        ("commits", cluster.group.commits.len() as u64),
        ("customers erased", erasures),
        ("marks that ended", marks_ended),
        ("changes by new rules", judged),
        ("re-evaluations in parts", in_parts),
        ("refused for old rules", run.stage.deployment.borrow().refused()),
    ];
    if cluster.strays_hit > 0 {
        return Err("a delayed request has hit another transaction than its own".to_owned());
    }
    Ok(Report {
        counts: run.stage.plan.borrow().counts.clone(),
        happened,
        drained_ms: run.drained_ms,
        changes: partitions.iter().map(|records| records.changes.len()).sum(),
        partitions,
        config: run.config.clone(),
        advance_to: run.advance_to,
        effort,
    })
}

impl Run {
    /// A crossing run.
    fn cross(&mut self, seed: u64) -> Result<Report, String> {
        let (partitions, crossed) = play(self, seed)?;
        let happened = vec![
            ("records relayed", crossed.relayed),
            ("redirects left", crossed.redirects),
            ("lineages rebuilt", crossed.rebuilt),
            ("changes by time compared", crossed.timers),
            ("customers erased", partitions.iter().map(Partition::erasures).sum()),
        ];
        let unproven = self.stage.unproven_timers();
        if unproven > 0 {
            return Err(format!("{unproven} timers fired before others had come as far"));
        }
        Ok(Report {
            counts: self.stage.plan.borrow().counts.clone(),
            happened,
            drained_ms: self.drained_ms,
            changes: partitions.iter().map(|records| records.changes.len()).sum(),
            partitions,
            config: self.config.clone(),
            advance_to: None,
            effort: Effort::default(),
        })
    }

    pub(crate) fn new(mode: Mode, seed: u64, only: &Only) -> Self {
        let mut random = Random::new(seed);
        let partitions = u32::try_from(2 + random.below(3)).unwrap();
        let instances = 1 + random.below(4);
        let withholds = random.chance(300);
        let config = TaskConfig {
            application_id: "simulation".into(),
            partition: 0,
            partitions,
            rules: rules::rules(rules::REVISION, withholds),
            keys_are_trusted: true,
            profiles_on_touch: random.chance(500),
            run_id: "run".into(),
            rebuilt_at: Timestamp::MIN,
        };
        let advance_to = Some(EPOCH.plus_days(random.between(100, 500)))
            .filter(|_| mode == Mode::Event && random.chance(800));
        let mut settings = Settings {
            task: config,
            topics: TOPICS.map(Into::into),
            commit: CommitConfig {
                idle_gap: Duration::from_millis(5),
                interval: Duration::from_millis(*random.pick(&[20, 100, 400])),
                max_records: *random.pick(&[1, 7, 40, 10_000]),
                max_bytes: *random.pick(&[500, 5_000, 1_000_000]),
            },
            wall_clock: mode == Mode::Wall,
            max_hold: None,
            timers_per_round: *random.pick(&[1, 2, 5, 1_000]),
            unpacked: if seed.is_multiple_of(2) { 4_096 } else { 2 },
            dead_letter_max_bytes: 100_000,
            changes: OutputFormat::Json,
            profiles: OutputFormat::Json,
            leave_on_stop: random.chance(300),
            until_end: (mode == Mode::Event).then_some(advance_to),
            forgetful: false,
            commit_patience: Duration::from_millis(3_000),
        };
        let crossing = mode == Mode::Crossing;
        let clocks = Clocks::of(seed);
        let in_step = crossing && clocks == Clocks::InStep;
        let (instances, only) = if in_step { (1, only) } else { (instances, only) };
        if crossing {
            settings.task.rules = rules::crossing(seed.is_multiple_of(2));
            settings.task.keys_are_trusted = false;
            settings.wall_clock = clocks == Clocks::Wall;
            settings.max_hold = Some(MAX_HOLD);
            settings.until_end = end_of(clocks);
        }
        let config = settings.task.clone();
        let intensity = if mode == Mode::Event { 4 } else { 1 };
        let plan = if seed == 0 { Plan::calm() } else { Plan::new(random.fork(), intensity, only) };
        let cluster = Cluster::new(partitions, SESSION_MS, TRANSACTION_MS, random.fork());
        let avro = seed != 0 && random.chance(200);
        let workload = Workload::new(random.fork(), partitions, avro);
        let stage = Stage::new(cluster, plan, random.fork(), settings, avro, instances);
        Self {
            mode,
            stage,
            random,
            workload,
            partitions,
            instances,
            config,
            advance_to,
            drained_ms: 0,
        }
    }

    /// Appends records, some of them in transactions of their own, so that markers and aborted
    /// records lie between.
    pub(crate) fn append(&mut self, records: Vec<Placed>) {
        let transactional = self.random.chance(300);
        let aborted = transactional && self.random.chance(300);
        let mut cluster = self.stage.cluster.borrow_mut();
        let producer = transactional.then(|| cluster.fresh_id());
        let mut places = BTreeSet::new();
        for record in records {
            cluster.log(record.topic, record.partition).append(record.payload, producer);
            places.insert((record.topic, record.partition));
        }
        for (topic, partition) in places {
            if let Some(producer) = producer {
                cluster.log(topic, partition).decide(producer, !aborted);
            }
        }
    }

    /// What the first lineage has left, checked.
    pub(crate) fn left(&self) -> Result<(Vec<Partition>, Effort), String> {
        let mut cluster = self.stage.cluster.borrow_mut();
        while !cluster.is_quiet() {
            cluster.pass(1);
        }
        let partitions = outcome(&mut cluster, self.partitions, self.stage.avro);
        let nothing = vec![(0, Marks::new()); partitions.len()];
        check_invariants(&partitions, &self.config, &nothing)?;
        check_schedule(&partitions)?;
        let mut effort = Effort::default();
        match self.mode {
            Mode::Event => {
                let nothing = vec![Marks::new(); partitions.len()];
                check_equal(&partitions, &self.config, (1, &nothing), self.advance_to)?;
            }
            Mode::Wall | Mode::Crossing => {
                effort = check_replayed(&partitions, &self.config, self.stage.skew_ms())?;
                check_nothing_due(&partitions, EPOCH.plus_ms(cluster.now_ms - SLACK_MS))?;
            }
        }
        Ok((partitions, effort))
    }

    /// Where the inputs end now.
    pub(crate) fn ends(&self) -> Ends {
        let mut cluster = self.stage.cluster.borrow_mut();
        let mut ends = |it| Topic::INPUTS.map(|topic| cluster.log(topic, it).end());
        (0..self.partitions).map(|it| (it, ends(it))).collect()
    }

    /// What the second lineage has left after the first, checked.
    pub(crate) fn left_again(
        &self,
        first: &[Partition],
        began_at: Timestamp,
    ) -> Result<Vec<Partition>, String> {
        let mut cluster = self.stage.cluster.borrow_mut();
        while !cluster.is_quiet() {
            cluster.pass(1);
        }
        let whole = outcome(&mut cluster, self.partitions, self.stage.avro);
        let config = TaskConfig { rebuilt_at: began_at, ..self.config.clone() };
        let second: Vec<Partition> =
            whole.iter().zip(first).map(|(whole, first)| whole.after(first)).collect();
        check_forgotten(&whole, &second)?;
        let marks: Vec<Marks> = first.iter().map(marks_of).collect::<Result<_, _>>()?;
        let before: Vec<_> =
            first.iter().map(Partition::transactions).zip(marks.iter().cloned()).collect();
        check_invariants(&second, &config, &before)?;
        check_schedule(&second)?;
        check_equal(&second, &config, (2, &marks), self.advance_to)?;
        Ok(second)
    }

    pub(crate) fn preload(&mut self) {
        if self.random.chance(300) {
            // What retention has deleted already.
            let mut cluster = self.stage.cluster.borrow_mut();
            for topic in Topic::INPUTS {
                let log = cluster.log(topic, 0);
                for _ in 0..3 {
                    log.append(Payload::default(), None);
                }
                log.delete_before(3);
            }
        }
        let mut now = EPOCH;
        for _ in 0..self.random.between(5, 40) {
            let mut records = Vec::new();
            for _ in 0..self.random.between(1, 8) {
                let steps = [0, 0, 1, 60_000, DAY_MS, 5 * DAY_MS];
                now = now.plus_ms(*self.random.pick(&steps));
                let at = self.workload.time_near(now);
                records.push(self.workload.record(at, now));
            }
            self.append(records);
        }
    }

    fn play_preloaded(&mut self) -> Result<(), String> {
        self.preload();
        self.play_to_the_end()
    }

    /// Until every instance is done; after a while without faults.
    pub(crate) fn play_to_the_end(&mut self) -> Result<(), String> {
        let calm_ms = self.stage.now_ms() + FAULTS_MS;
        while !self.stage.all_done() {
            self.step()?;
            let now_ms = self.stage.now_ms();
            if now_ms > calm_ms {
                self.stage.plan.borrow_mut().active = false;
            }
            if now_ms > calm_ms + PATIENCE_MS {
                return Err("the run does not end".to_owned());
            }
        }
        self.drained_ms = self.drained_ms.max(self.stage.now_ms() - calm_ms);
        Ok(())
    }

    /// Somebody acts, or time passes until somebody can.
    pub(crate) fn step(&mut self) -> Result<(), String> {
        if !self.stage.act() {
            let now_ms = self.stage.now_ms();
            let next_ms = self.stage.next_ms().unwrap_or(now_ms + 1);
            self.stage.pass((next_ms - now_ms).max(1));
        }
        self.stage.failure().map_or(Ok(()), Err)
    }

    fn play_arriving(&mut self) -> Result<(), String> {
        for _ in 0..self.random.between(3, 12) {
            for _ in 0..self.random.between(1, 4) {
                let now = EPOCH.plus_ms(self.stage.now_ms());
                let records = (0..self.random.between(1, 6))
                    .map(|_| {
                        let at = self.workload.time_near(now);
                        self.workload.record(at, now)
                    })
                    .collect();
                self.append(records);
                for _ in 0..self.random.between(0, 40) {
                    self.step()?;
                }
            }
            if self.random.chance(700) && self.rest(20_000)? {
                let long = *self.random.pick(&[3_600_000, DAY_MS, 9 * DAY_MS]);
                let ms = self.random.between(1, long);
                // Much falls due by the old rules that is judged by the new ones first.
                let replaced = self.stage.plan.borrow().has(Fault::NewRules);
                if replaced && self.random.chance(300) {
                    self.stage.replace_all();
                }
                self.stage.skip(ms);
            }
        }
        self.stage.plan.borrow_mut().active = false;
        self.settle()?;
        self.stage.skip(40 * DAY_MS);
        self.settle()
    }

    /// Until everybody waits and nothing is left to do, or this time is over.
    pub(crate) fn rest(&mut self, ms: i64) -> Result<bool, String> {
        let deadline_ms = self.stage.now_ms() + ms;
        while !self.is_drained() && self.stage.now_ms() < deadline_ms {
            self.step()?;
        }
        Ok(self.is_drained())
    }

    /// Without faults everybody comes to rest, and stays so.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        let began_ms = self.stage.now_ms();
        let deadline_ms = began_ms + PATIENCE_MS;
        let mut quiet_since = began_ms;
        while self.stage.now_ms() < quiet_since + 3_000 {
            self.step()?;
            if !self.is_drained() {
                quiet_since = self.stage.now_ms();
            }
            if self.stage.now_ms() > deadline_ms {
                let cluster = self.stage.cluster.borrow();
                let offsets: Vec<_> =
                    (0..self.partitions).map(|it| cluster.group.committed(it)).collect();
                let ends: Vec<_> = cluster.logs.iter().map(|(at, log)| (at, log.end())).collect();
                let quiet = self.stage.is_quiet();
                return Err(format!(
                    "the cluster does not come to rest: quiet {quiet}, {offsets:?}, {ends:?}"
                ));
            }
        }
        self.drained_ms = self.drained_ms.max(quiet_since - began_ms);
        Ok(())
    }

    /// Nobody is at work, no input is left, and nothing waits for other tasks.
    pub(crate) fn is_drained(&self) -> bool {
        if !self.stage.is_quiet() {
            return false;
        }
        let mut cluster = self.stage.cluster.borrow_mut();
        (0..self.partitions).all(|partition| {
            let offsets = cluster.group.committed(partition);
            let next_offsets = offsets.map_or([None; 3], |offsets| offsets.next_offsets);
            let consumed = (0..3).all(|input| {
                let log = cluster.log(Topic::INPUTS[input], partition);
                let next = next_offsets[input].unwrap_or_else(|| log.low());
                log.next_visible(next) == log.end()
            });
            let is_progress = |payload: &Payload| payload.key.as_deref() == Some(PROGRESS_KEY);
            let states = cluster.log(Topic::State, partition).committed();
            let told = consumed.then(|| states.filter(|(_, it)| is_progress(it)).last()).flatten();
            let told = told.and_then(|(_, payload)| payload.value.as_deref());
            consumed && told.is_none_or(|it| decode_progress(it).expect("progress").waiting == 0)
        })
    }
}
