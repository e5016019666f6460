//! The stage: the cluster, the instances on it, and who acts next.
//!
//! An instance runs until its round ends, or stands still in a call while others run: then their
//! rounds happen within its call. Nothing is borrowed across a round. Next: `broker.rs`.

use crate::simulation::broker::SimBroker;
use crate::simulation::clock::SimClock;
use crate::simulation::cluster::Cluster;
use crate::simulation::deployment::Deployment;
use crate::simulation::faults::{Fault, Plan};
use crate::simulation::random::Random;
use crate::simulation::registry;
use crate::simulation::rules;
use ebbflow::codec::decoder::Decoder;
use ebbflow::domain::time::Timestamp;
use ebbflow::metrics::{Metrics, Snapshot};
use ebbflow::runtime::heads::TopicDecoders;
use ebbflow::runtime::settings::{Round, Settings, WorkerError};
use ebbflow::runtime::start::Start;
use ebbflow::runtime::status::Status;
use ebbflow::runtime::stores::Stores;
use ebbflow::runtime::worker::{Shared, Worker};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Wall time at virtual time zero: 2026-01-01.
pub(crate) const EPOCH: Timestamp = Timestamp(1_767_225_600_000);
/// The session time-out of the group.
pub(crate) const SESSION_MS: i64 = 6_000;
/// The time-out of transactions.
pub(crate) const TRANSACTION_MS: i64 = 10_000;
/// How far the clocks of hosts differ.
const SKEW_MS: i64 = 3_000;
/// How far the clock of a host jumps at most.
const JUMP_MS: i64 = 5 * 3_600_000;
/// How long a round may take, with every stall and every patience.
const ROUND_MS: i64 = 300_000;
/// What a crashed process says; no other error of a worker is expected but the next.
pub(crate) const CRASH: &str = "simulated crash";
/// What a process says when another one has its name.
pub(crate) const REPLACED: &str = "another process has this id";
/// What a process says that was fenced too often.
const GIVEN_UP: &str = "the fourth producer within a minute was fenced";

/// Ends of the inputs by partition.
pub(crate) type Ends = BTreeMap<u32, [i64; 3]>;
pub(crate) type SimWorker = Worker<SimBroker, SimClock>;

enum Process {
    /// It starts at this time.
    Down(i64),
    /// It has nothing to do before this time.
    Up(Box<SimWorker>, i64),
    /// Its round is under way.
    Acting,
    /// Its work is done, and it stands still.
    Lingers(Box<SimWorker>),
    /// Its work is done.
    Done,
}

/// Everything of one run.
pub(crate) struct Stage {
    pub(crate) cluster: RefCell<Cluster>,
    pub(crate) plan: RefCell<Plan>,
    random: RefCell<Random>,
    /// By instance; behind them twins, again by instance.
    processes: RefCell<Vec<Process>>,
    pub(crate) settings: Settings,
    /// The process that does not end when its work is done.
    pub(crate) lingers: Cell<Option<usize>>,
    /// Where it ends, when it goes on and has been assigned its tasks again.
    ends: RefCell<Option<(usize, Ends)>>,
    /// What the latest process of each instance shows.
    pub(crate) stores: RefCell<BTreeMap<usize, Arc<Stores>>>,
    /// Whether the inputs are Avro that names its schema by the registry's id.
    pub(crate) avro: bool,
    depth: Cell<usize>,
    /// When the latest round began.
    round_began_ms: Cell<i64>,
    failure: RefCell<Option<String>>,
    /// How far the clock of each host is off.
    skews_ms: Vec<Rc<Cell<i64>>>,
    /// How far any was off at most.
    skew_ms: Cell<i64>,
    pub(super) deployment: RefCell<Deployment>,
    registry_back_ms: Cell<i64>,
    registry_up: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
    log: bool,
    itself: Weak<Self>,
}

impl Stage {
    pub(crate) fn new(
        cluster: Cluster,
        plan: Plan,
        mut random: Random,
        settings: Settings,
        avro: bool,
        instances: usize,
    ) -> Rc<Self> {
        let mut plan = plan;
        let mut cluster = cluster;
        cluster.slow_markers = plan.strikes(Fault::SlowMarkers);
        let late = |place: usize, random: &mut Random| match place {
            0 => Process::Down(0),
            _ => Process::Down(*random.pick(&[0, 1, 500, 3_000])),
        };
        let processes = (0..instances).map(|place| late(place, &mut random)).collect();
        Rc::new_cyclic(|itself| Self {
            cluster: RefCell::new(cluster),
            plan: RefCell::new(plan),
            random: RefCell::new(random),
            processes: RefCell::new(processes),
            settings,
            lingers: Cell::default(),
            ends: RefCell::default(),
            stores: RefCell::default(),
            avro,
            depth: Cell::new(0),
            round_began_ms: Cell::new(0),
            failure: RefCell::new(None),
            skews_ms: (0..instances).map(|_| Rc::default()).collect(),
            skew_ms: Cell::new(0),
            deployment: RefCell::default(),
            registry_back_ms: Cell::new(0),
            registry_up: Arc::new(AtomicBool::new(true)),
            metrics: Arc::new(Metrics::new(rules::REVISION, 100).unwrap()),
            log: std::env::var_os("SIM_LOG").is_some(),
            itself: itself.clone(),
        })
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.cluster.borrow().now_ms
    }

    pub(crate) fn pass(&self, ms: i64) {
        self.cluster.borrow_mut().pass(ms);
    }

    pub(crate) fn strikes(&self, fault: Fault) -> bool {
        let strikes = self.plan.borrow_mut().strikes(fault);
        if strikes {
            self.tell(|| format!("fault {fault:?}"));
        }
        strikes
    }

    pub(crate) fn below(&self, limit: usize) -> usize {
        self.random.borrow_mut().below(limit)
    }

    pub(crate) fn pick<'a, T>(&self, among: &'a [T]) -> &'a T {
        self.random.borrow_mut().pick(among)
    }

    pub(crate) fn tell(&self, text: impl FnOnce() -> String) {
        if self.log {
            println!("{:>9} {}", self.now_ms(), text());
        }
    }

    /// Stops everything with this reason.
    pub(crate) fn fail(&self, reason: String) {
        self.failure.borrow_mut().get_or_insert(reason);
    }

    /// A round that goes on for so long would not see that it is told to stop.
    pub(crate) fn limit_round(&self) {
        if self.now_ms() - self.round_began_ms.get() > ROUND_MS {
            self.fail("a round does not end".to_owned());
        }
    }

    pub(crate) fn skew_ms(&self) -> i64 {
        self.skew_ms.get()
    }

    /// Timers that fired although events of before might be on their way.
    pub(crate) fn unproven_timers(&self) -> u64 {
        let now = EPOCH.plus_ms(self.now_ms());
        let told = self.metrics.render(now, &Snapshot::default()).unwrap();
        let line = told.lines().find_map(|it| it.strip_prefix("ebbflow_relay_unproven_total "));
        line.and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Others act for so long.
    pub(crate) fn stand_still(&self, ms: i64) {
        let until = self.now_ms() + ms;
        if self.depth.get() >= 2 {
            self.pass(ms);
            return;
        }
        self.depth.set(self.depth.get() + 1);
        while self.now_ms() < until && self.failure().is_none() {
            if !self.act() {
                let next = self.next_ms().unwrap_or(until).clamp(self.now_ms() + 1, until);
                self.pass(next - self.now_ms());
            }
        }
        self.depth.set(self.depth.get() - 1);
    }

    /// One round of an instance that has something to do; false when there is none.
    pub(crate) fn act(&self) -> bool {
        let now_ms = self.now_ms();
        let ready: Vec<usize> = self
            .processes
            .borrow()
            .iter()
            .enumerate()
            .filter(|(_, process)| match process {
                Process::Down(at_ms) | Process::Up(_, at_ms) => *at_ms <= now_ms,
                Process::Acting | Process::Lingers(_) | Process::Done => false,
            })
            .map(|(place, _)| place)
            .collect();
        if ready.is_empty() {
            return false;
        }
        let place = *self.pick(&ready);
        let instance = place % self.skews_ms.len();
        self.trouble(instance);
        let process = std::mem::replace(&mut self.processes.borrow_mut()[place], Process::Acting);
        let mut next = match process {
            Process::Down(_) => {
                self.deployment.borrow_mut().starts(place, instance);
                Process::Up(Box::new(self.start(instance)), 0)
            }
            Process::Up(worker, _) => self.round(place, instance, worker),
            other => other,
        };
        if matches!(next, Process::Down(_)) && self.others(place).next().is_some() {
            // One of two is enough.
            next = Process::Done;
        }
        self.processes.borrow_mut()[place] = next;
        true
    }

    /// The places of living processes of the same name.
    fn others(&self, place: usize) -> impl Iterator<Item = usize> {
        let (processes, count) = (self.processes.borrow(), self.skews_ms.len());
        let alive = |it: &usize| !matches!(processes[*it], Process::Done);
        let same = (place % count..processes.len()).step_by(count);
        same.filter(|it| *it != place).filter(alive).collect::<Vec<_>>().into_iter()
    }

    /// Another process of this name is started beside one that stands still.
    pub(crate) fn start_twin(&self, instance: usize) {
        let lonely = self.others(instance).next().is_none();
        if !lonely || !self.strikes(Fault::Twin) {
            return;
        }
        let start = Process::Down(self.now_ms() + i64::try_from(self.below(3_000)).unwrap());
        let (mut processes, count) = (self.processes.borrow_mut(), self.skews_ms.len());
        let free = (instance..processes.len())
            .step_by(count)
            .find(|place| matches!(processes[*place], Process::Done));
        if let Some(place) = free {
            processes[place] = start;
            return;
        }
        for place in 0..count {
            processes.push(if place == instance { Process::Down(0) } else { Process::Done });
        }
        let place = processes.len() - count + instance;
        processes[place] = start;
    }

    /// What may go wrong around an instance before it acts.
    fn trouble(&self, instance: usize) {
        if self.strikes(Fault::Rebalance) {
            self.cluster.borrow_mut().group.rebalance();
        }
        if self.strikes(Fault::BrokerDown) {
            let ms = 500 + i64::try_from(self.below(30_000)).unwrap();
            self.cluster.borrow_mut().go_down(ms);
        }
        if self.strikes(Fault::RegistryDown) {
            let ms = 500 + i64::try_from(self.below(30_000)).unwrap();
            self.registry_back_ms.set(self.now_ms() + ms);
        }
        self.registry_up.store(self.now_ms() >= self.registry_back_ms.get(), Ordering::Relaxed);
        let count = self.skews_ms.len();
        if self.deployment.borrow().is_over() && self.strikes(Fault::RollingDeploy) {
            self.deployment.borrow_mut().begin(count, None);
        }
        let others = self.settings.until_end.is_none() && self.settings.task.keys_are_trusted;
        let next = self.deployment.borrow().next().filter(|_| others);
        if next.is_some() && self.deployment.borrow().is_over() && self.strikes(Fault::NewRules) {
            self.deployment.borrow_mut().begin(count, next);
        }
        if self.strikes(Fault::ClockJump) {
            let ms = *self.pick(&[0, -JUMP_MS, JUMP_MS, -90_000, 90_000, JUMP_MS / 2]);
            self.set_skew(instance, ms);
        }
        if !self.plan.borrow().active && self.skews_ms[instance].get().abs() > SKEW_MS {
            self.set_skew(instance, 0);
        }
    }

    fn set_skew(&self, instance: usize, ms: i64) {
        self.tell(|| format!("the clock of {instance} is off by {ms}"));
        self.skews_ms[instance].set(ms);
        self.skew_ms.set(self.skew_ms.get().max(ms.abs()));
    }

    /// Whether it is this instance's turn in a deployment: the others are up again.
    fn is_to_deploy(&self, instance: usize) -> bool {
        let (processes, count) = (self.processes.borrow(), self.skews_ms.len());
        let gone = |next: usize| {
            let mut same = (next..processes.len()).step_by(count);
            same.all(|place| matches!(processes[place], Process::Done))
        };
        let down = processes.iter().any(|process| matches!(process, Process::Down(_)));
        !down && self.deployment.borrow_mut().takes_turn(instance, gone)
    }

    fn round(&self, place: usize, instance: usize, mut worker: Box<SimWorker>) -> Process {
        self.round_began_ms.set(self.now_ms());
        let passed_by = self.deployment.borrow().has_passed_by(place);
        if self.is_to_deploy(instance) || passed_by || self.strikes(Fault::Stop) {
            self.tell(|| format!("{instance} stops"));
            return self.end(worker.stop());
        }
        let heard = self.cluster.borrow().group.has_heard(instance);
        let ends = self.ends.borrow_mut().take_if(|(of, _)| *of == place && heard);
        if let Some((_, ends)) = ends {
            worker.end_at(&ends, self.settings.until_end.flatten());
        }
        match worker.round() {
            Ok(Round::Busy) => Process::Up(worker, 0),
            Ok(Round::Idle(at_most)) => {
                let ms = i64::try_from(at_most.as_millis()).unwrap();
                Process::Up(worker, self.now_ms() + ms.max(1))
            }
            Ok(Round::Done) if self.lingers.get() == Some(place) => {
                self.tell(|| format!("{instance} is done and stands still"));
                Process::Lingers(worker)
            }
            Ok(Round::Done) => match worker.stop() {
                Ok(()) => {
                    self.tell(|| format!("{instance} is done"));
                    Process::Done
                }
                error => self.end(error),
            },
            Err(error) => {
                let (words, out_of_turn) = (error.to_string(), self.below(2) == 0);
                if self.deployment.borrow_mut().refuses(instance, &words, out_of_turn) {
                    self.tell(|| format!("{instance} has old rules: {words}"));
                    return self.end(Ok(()));
                }
                self.end(Err(error))
            }
        }
    }

    /// All instances get the rules of a revision, one after the other.
    pub(crate) fn deploy_rules(&self, revision: u32) {
        self.deployment.borrow_mut().begin(self.skews_ms.len(), Some(revision));
    }

    /// All processes end at once; they start again with the next revision of the rules, if any.
    pub(crate) fn replace_all(&self) {
        self.deployment.borrow_mut().begin_at_once();
        let start_ms = self.now_ms() + 1;
        for process in self.processes.borrow_mut().iter_mut() {
            if matches!(process, Process::Up(..)) {
                *process = Process::Down(start_ms);
            }
        }
    }

    /// A process has ended; it starts again some time later.
    fn end(&self, result: Result<(), WorkerError>) -> Process {
        if let Err(error) = result {
            let text = error.to_string();
            self.tell(|| text.clone());
            if text != CRASH && text != REPLACED && !text.starts_with(GIVEN_UP) {
                self.fail(format!("a worker ended: {text}"));
            }
        }
        let pauses = [10, 200, 2_000, SESSION_MS + 1_000, TRANSACTION_MS + 3_000];
        let pause_ms = *self.random.borrow_mut().pick(&pauses);
        Process::Down(self.now_ms() + pause_ms)
    }

    /// When somebody has something to do.
    pub(crate) fn next_ms(&self) -> Option<i64> {
        let processes = self.processes.borrow();
        let times = processes.iter().filter_map(|process| match process {
            Process::Down(at_ms) | Process::Up(_, at_ms) => Some(*at_ms),
            Process::Acting | Process::Lingers(_) | Process::Done => None,
        });
        times.min()
    }

    /// Whether every process waits for work, with nothing left half done.
    pub(crate) fn is_quiet(&self) -> bool {
        let idle = self.processes.borrow().iter().all(|process| match process {
            Process::Up(_, at_ms) => *at_ms > 0,
            Process::Lingers(_) | Process::Done => true,
            Process::Down(_) | Process::Acting => false,
        });
        idle && self.deployment.borrow().is_over() && self.cluster.borrow().is_quiet()
    }

    /// A long time passes in which heartbeats go on.
    pub(crate) fn skip(&self, ms: i64) {
        let up: Vec<usize> = (0..self.skews_ms.len()).collect();
        let mut cluster = self.cluster.borrow_mut();
        cluster.now_ms += ms;
        let now_ms = cluster.now_ms;
        cluster.group.keep_alive(&up, now_ms);
        cluster.pass(0);
    }

    pub(crate) fn all_done(&self) -> bool {
        let done = |it: &Process| matches!(it, Process::Done | Process::Lingers(_));
        self.processes.borrow().iter().all(done)
    }

    /// Every process starts again, but for the one that stands still: some time later it goes on up
    /// to these ends of the inputs. What can go wrong goes wrong again.
    pub(crate) fn start_again(&self, ends: &Ends) {
        let now_ms = self.now_ms();
        let mut processes = self.processes.borrow_mut();
        processes.truncate(self.skews_ms.len());
        for (place, process) in processes.iter_mut().enumerate() {
            *process = match std::mem::replace(process, Process::Done) {
                Process::Lingers(mut worker) => {
                    worker.go_on();
                    *self.ends.borrow_mut() = Some((place, ends.clone()));
                    Process::Up(worker, now_ms + i64::try_from(self.below(20_000)).unwrap())
                }
                _ => Process::Down(now_ms),
            };
        }
        drop(processes);
        self.lingers.set(None);
        self.plan.borrow_mut().active = true;
    }

    /// Ends every process without a word; they hold the stage, and the stage them.
    pub(crate) fn clear(&self) {
        self.processes.borrow_mut().clear();
    }

    pub(crate) fn start(&self, instance: usize) -> SimWorker {
        let mut settings = self.settings.clone();
        if settings.task.keys_are_trusted {
            let withholds = rules::withhold(&settings.task.rules);
            let revision = self.deployment.borrow().revision(instance);
            settings.task.rules = rules::rules(revision, withholds);
        }
        self.start_with(instance, settings)
    }

    pub(crate) fn start_with(&self, instance: usize, settings: Settings) -> SimWorker {
        self.tell(|| format!("{instance} starts, rules {}", settings.task.rules.identity.revision));
        let stage = self.itself.upgrade().unwrap();
        let decoders = TopicDecoders {
            decoders: registry::TYPES.map(|kind| Decoder::new(kind, registry::format(self.avro))),
            rules: settings.task.rules.clone(),
        };
        let shared = Shared {
            status: Status::new(1),
            metrics: self.metrics.clone(),
            stores: Arc::new(Stores::default()),
            start: Start::new(1),
        };
        self.stores.borrow_mut().insert(instance, shared.stores.clone());
        if self.strikes(Fault::ClockSkew) {
            let ms = self.random.borrow_mut().between(-SKEW_MS, SKEW_MS);
            self.set_skew(instance, ms);
        }
        let skew_ms = self.skews_ms[instance].clone();
        let clock = SimClock::new(stage.clone(), skew_ms.clone());
        let broker = SimBroker::new(stage, instance, skew_ms);
        let registry_up = self.registry_up.clone();
        let ask = move |id| registry::answer(id, registry_up.load(Ordering::Relaxed));
        Worker::new(broker, clock, settings, decoders, Box::new(ask), shared, 0)
    }
}
