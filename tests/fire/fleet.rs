//! The instances under fire: started, killed, suspended, and started again when they give up.
//!
//! What they count is read all the time, since a killed process takes its counters with it.
//! Next: `plan.rs`, what is done to them.

use crate::program::{Application, Program, get, metric};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How many instances there are, when there are all.
pub(crate) const SIZE: usize = 3;
/// The instance that reaches the brokers through proxies.
pub(crate) const PROXIED: usize = SIZE - 1;

/// How often counters are read: so much of a killed process may be missed.
const READ_EVERY: Duration = Duration::from_millis(200);

/// Settings that differ between instances and change in turn: transactions that are short, and
/// others that are open nearly all the time, to be hit in the middle.
const CONFIGS: [&[&str]; 3] = [
    &["commit.interval=20ms", "commit.idle_gap=2ms"],
    &["commit.interval=300ms", "commit.idle_gap=300ms", "commit.max_records=200"],
    &["commit.interval=50ms", "commit.idle_gap=50ms", "kafka.linger=5ms"],
];

/// What all processes together have counted, as last seen.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Counts {
    pub(crate) commits: u64,
    pub(crate) aborts: [u64; 4],
    pub(crate) reinits: u64,
    pub(crate) lost: u64,
    pub(crate) restored: u64,
}

/// Labels of [`Counts::aborts`].
pub(crate) const ABORT_CLASSES: [&str; 4] = ["refused", "fenced", "lost", "fatal"];

impl Counts {
    fn of(metrics: &str) -> Self {
        Self {
            commits: metric(metrics, "ebbflow_commit_duration_seconds_count"),
            aborts: ABORT_CLASSES.map(|class| {
                metric(metrics, &format!("ebbflow_transaction_aborts_total{{class=\"{class}\"}}"))
            }),
            reinits: metric(metrics, "ebbflow_producer_reinits_total"),
            lost: metric(metrics, "ebbflow_rebalances_total{kind=\"lost\"}"),
            restored: metric(metrics, "ebbflow_restore_records_total"),
        }
    }

    fn add(&mut self, other: &Self) {
        self.commits += other.commits;
        for (own, other) in self.aborts.iter_mut().zip(other.aborts) {
            *own += other;
        }
        self.reinits += other.reinits;
        self.lost += other.lost;
        self.restored += other.restored;
    }
}

struct Process {
    address: String,
    /// It is running and not suspended.
    answers: bool,
    seen: Counts,
}

struct Slot {
    program: Option<Program>,
    application: Application,
    config: usize,
    /// Where its process stands in the list of all.
    process: usize,
}

/// The instances, numbered from 0.
pub(crate) struct Fleet {
    slots: Vec<Slot>,
    processes: Arc<Mutex<Vec<Process>>>,
    closing: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
    gave_up: Vec<String>,
}

impl Fleet {
    /// Of instances that do not run yet.
    pub(crate) fn new(application: &Application, proxied_bootstrap: &str) -> Self {
        let slots = (0..SIZE).map(|index| {
            let id = format!("instance_id={index:02}");
            let application = match index {
                PROXIED => application.at(proxied_bootstrap),
                _ => application.clone(),
            };
            Slot { program: None, application: application.with(&[&id]), config: index, process: 0 }
        });
        let slots = slots.collect();
        let processes = Arc::<Mutex<Vec<Process>>>::default();
        let closing = Arc::<AtomicBool>::default();
        let (all, told) = (Arc::clone(&processes), Arc::clone(&closing));
        let reader = thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                read_counters(&all);
                thread::sleep(READ_EVERY);
            }
        });
        Self { slots, processes, closing, reader: Some(reader), gave_up: Vec::new() }
    }

    /// Starts an instance that does not run, with more settings.
    pub(crate) fn start_with(&mut self, index: usize, settings: &[&str]) {
        let slot = &mut self.slots[index];
        assert!(slot.program.is_none(), "instance {index} is running");
        let application = slot.application.with(CONFIGS[slot.config]).with(settings);
        let mut program = application.start(&[]);
        let address = program.metrics_address();
        slot.program = Some(program);
        let mut processes = self.processes.lock().expect("no panic");
        slot.process = processes.len();
        let answers = address.is_some();
        let address = address.unwrap_or_default();
        processes.push(Process { address, answers, seen: Counts::default() });
    }

    pub(crate) fn start(&mut self, index: usize) {
        self.start_with(index, &[]);
    }

    /// The next start of this instance has other settings.
    pub(crate) fn change_config(&mut self, index: usize) {
        let config = &mut self.slots[index].config;
        *config = (*config + 1) % CONFIGS.len();
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, index: usize) {
        self.leave_alone(index);
        if let Some(mut program) = self.slots[index].program.take() {
            program.kill();
        }
    }

    /// SIGSTOP.
    pub(crate) fn suspend(&self, index: usize) {
        self.leave_alone(index);
        self.signal(index, "STOP");
    }

    /// SIGCONT.
    pub(crate) fn resume(&self, index: usize) {
        self.signal(index, "CONT");
        let mut processes = self.processes.lock().expect("no panic");
        let process = &mut processes[self.slots[index].process];
        process.answers = !process.address.is_empty();
    }

    /// SIGTERM to all of these at once; waits until they have ended, as they should.
    pub(crate) fn stop(&mut self, indices: &[usize]) {
        for index in indices {
            self.leave_alone(*index);
            self.signal(*index, "TERM");
        }
        for index in indices {
            if let Some(mut program) = self.slots[*index].program.take() {
                let status = program.wait_for_end();
                self.note_end(*index, status, &program.log());
            }
        }
    }

    /// Starts those again that have ended by themselves.
    pub(crate) fn tend(&mut self) {
        for index in 0..SIZE {
            let Some(program) = &mut self.slots[index].program else { continue };
            let Some(status) = program.ended() else { continue };
            let log = program.log();
            self.leave_alone(index);
            self.note_end(index, status, &log);
            self.slots[index].program = None;
            self.start(index);
        }
    }

    /// Why instances ended with a failure.
    pub(crate) fn gave_up(&self) -> &[String] {
        &self.gave_up
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for process in self.processes.lock().expect("no panic").iter() {
            sum.add(&process.seen);
        }
        sum
    }

    fn note_end(&mut self, index: usize, status: ExitStatus, log: &str) {
        assert_ne!(status.code(), Some(2), "instance {index:02} refuses to run: {log}");
        if !status.success() {
            let errors = log.lines().rev().find(|line| line.contains("ERROR"));
            let why = errors.or_else(|| log.lines().next_back()).unwrap_or_default();
            println!("--- the end of what instance {index:02} logged\n{}---", tail(log));
            self.gave_up.push(format!("instance {index:02}: {status}: {why}"));
        }
    }

    fn signal(&self, index: usize, name: &str) {
        if let Some(program) = &self.slots[index].program {
            program.signal(name);
        }
    }

    /// Reads its counters a last time; nobody asks it any more.
    fn leave_alone(&self, index: usize) {
        if self.slots[index].program.is_some() {
            read_counters(&self.processes);
            let mut processes = self.processes.lock().expect("no panic");
            processes[self.slots[index].process].answers = false;
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
    }
}

/// The last lines.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(25)..].iter().flat_map(|line| [*line, "\n"]).collect()
}

fn read_counters(processes: &Mutex<Vec<Process>>) {
    let answering: Vec<(usize, String)> = processes
        .lock()
        .expect("no panic")
        .iter()
        .enumerate()
        .filter(|(_, process)| process.answers)
        .map(|(at, process)| (at, process.address.clone()))
        .collect();
    for (at, address) in answering {
        // One that has just ended does not answer.
        if let Ok((200, metrics)) = get(&address, "/metrics") {
            processes.lock().expect("no panic")[at].seen = Counts::of(&metrics);
        }
    }
}
