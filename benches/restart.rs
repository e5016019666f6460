//! What a restart costs: from the end of a process to the next committed change of its partitions,
//! as a consumer sees it.
//!
//! `cargo bench --bench restart`. One broker, a steady load of first orders, each of which is a
//! change; sessions and transactions have their default times, but the broker looks for timed-out
//! transactions every second (its default: ten).

#![allow(clippy::print_stdout, reason = "figures for people")]

use ebbflow::domain::id::partition_of;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/kafka/broker.rs"]
mod broker;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/service/program.rs"]
mod program;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/kafka/records.rs"]
mod records;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/fire/witness.rs"]
mod witness;

use program::{Application, PARTITIONS, Program, metric, poll_for};
use witness::Witness;

/// How often each is measured.
const REPEATS: usize = 5;
/// A first order of a new customer, over all partitions.
const ORDER_EVERY: Duration = Duration::from_millis(5);
/// So many customers are known before, all of which are restored when partitions move.
const CUSTOMERS: u64 = 50_000;

fn main() {
    let usual = measure("restart", &[]);
    usual.kill_and_restart();
    usual.stop_and_restart();
    usual.kill_and_take_over("another takes over, commits every 5 ms");
    drop(usual);
    // Its changes are written long before they are committed: it is always in mid transaction.
    let slow = measure("slow", &["commit.interval=2s", "commit.idle_gap=2s"]);
    slow.kill_and_take_over("another takes over, in mid transaction");
    slow.kill_and_restart();
    drop(slow);
    roll();
}

struct Stage {
    application: Application,
    witness: Witness,
    _load: Load,
}

fn measure(name: &str, settings: &[&str]) -> Stage {
    let application = Application::new(name, settings);
    let load = Load::start(&application);
    let witness = Witness::start(&application, "segment-changes");
    Stage { application, witness, _load: load }
}

impl Stage {
    fn start(&self, id: &str) -> Program {
        self.application.with(&[&format!("instance_id={id}")]).start(&[])
    }

    /// Two instances that share the partitions and go on.
    fn two(&self) -> (Program, Program) {
        let (mut one, mut other) = (self.start("00"), self.start("01"));
        for program in [&mut one, &mut other] {
            program.wait_for("its half", |program| (program.running().len() == 2).then_some(()));
        }
        self.settle();
        (one, other)
    }

    /// Waits until every partition has gone on without a long gap for a while.
    fn settle(&self) {
        let settled = poll_for(|| {
            let from = Instant::now();
            thread::sleep(Duration::from_secs(3));
            let longest = self.witness.stalls_since(from).first().map(|stall| stall.time);
            (self.witness.all_since(from) && longest < Some(Duration::from_secs(3))).then_some(())
        });
        assert!(settled.is_some(), "it does not settle");
    }

    /// How long the partition that stood still for longest did so, from before `from` on.
    fn stall(&self, from: Instant) -> Duration {
        // What was committed before is delivered within this.
        let from = from + Duration::from_millis(100);
        let back = poll_for(|| self.witness.all_since(from).then_some(()));
        assert!(back.is_some(), "it does not go on");
        // Gaps that began before the end of the process, and so contain it.
        let stalls = self.witness.stalls_since(from);
        let longest = stalls.iter().filter(|stall| stall.from < from).map(|stall| stall.time).max();
        longest.unwrap_or_default()
    }

    fn kill_and_restart(&self) {
        let (one, mut other) = self.two();
        let stalls = (0..REPEATS).map(|_| {
            let at = Instant::now();
            other.kill();
            other = self.start("01");
            let stall = self.stall(at);
            self.settle();
            stall
        });
        let stalls = stalls.collect();
        print("kill -9, started again at once", self, stalls);
        stop_all([one, other]);
    }

    fn stop_and_restart(&self) {
        let (one, mut other) = self.two();
        let stalls = (0..REPEATS).map(|_| {
            let at = Instant::now();
            assert_eq!(other.terminate().code(), Some(0));
            other = self.start("01");
            let stall = self.stall(at);
            self.settle();
            stall
        });
        let stalls = stalls.collect();
        print("SIGTERM, started again at once", self, stalls);
        stop_all([one, other]);
    }

    fn kill_and_take_over(&self, name: &str) {
        let stalls = (0..REPEATS).map(|_| {
            let (one, mut other) = self.two();
            let at = Instant::now();
            other.kill();
            let stall = self.stall(at);
            stop_all([one]);
            stall
        });
        let stalls = stalls.collect();
        print(&format!("kill -9, {name}"), self, stalls);
    }
}

fn print(name: &str, stage: &Stage, mut stalls: Vec<Duration>) {
    stalls.sort_unstable();
    let seconds = |at: usize| stalls[at].as_secs_f64();
    println!(
        "{} ({}): {:.1} s, {:.1} to {:.1} s of {REPEATS}",
        name,
        stage.application.name(),
        seconds(REPEATS / 2),
        seconds(0),
        seconds(REPEATS - 1)
    );
}

fn stop_all<const N: usize>(programs: [Program; N]) {
    for mut program in programs {
        assert_eq!(program.terminate().code(), Some(0));
    }
}

/// One after the other of three static members is restarted; says what the others noticed.
fn roll() {
    let stage = measure("rolling", &[]);
    let mut members = ["00", "01", "02"].map(|id| stage.start(id));
    let shared = poll_for(|| {
        let all: Vec<Vec<u64>> = members.iter_mut().map(Program::running).collect();
        (all.iter().all(|own| !own.is_empty()) && all.concat().len() == PARTITIONS as usize)
            .then_some(all)
    });
    let before = shared.expect("they share the partitions");
    stage.settle();
    let mut answers = 0;
    let mut stalls = Vec::new();
    for index in 0..members.len() {
        let others = |members: &mut [Program; 3]| -> u64 {
            let others = (0..members.len()).filter(|other| *other != index);
            let metrics: Vec<String> =
                others.map(|other| members[other].get("/metrics").1).collect();
            metrics.iter().map(|metrics| metric(metrics, "ebbflow_rebalances_total")).sum()
        };
        let heard = others(&mut members);
        let at = Instant::now();
        assert_eq!(members[index].terminate().code(), Some(0));
        members[index] = stage.start(["00", "01", "02"][index]);
        stalls.push(stage.stall(at));
        stage.settle();
        answers += others(&mut members) - heard;
    }
    let after: Vec<Vec<u64>> = members.iter_mut().map(Program::running).collect();
    stalls.sort_unstable();
    println!(
        "rolling restart of three: partitions {before:?} before, {after:?} after; the others \
         answered {answers} rebalances; {:.1} to {:.1} s each",
        stalls[0].as_secs_f64(),
        stalls[2].as_secs_f64()
    );
    stop_all(members);
}

/// First orders of new customers, at a steady pace, on a thread of its own.
struct Load {
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    fn start(application: &Application) -> Self {
        let producer = records::producer(application.bootstrap());
        let topic = application.topic("purchases");
        for number in 0..CUSTOMERS {
            order(&producer, &topic, number);
        }
        producer.flush(Duration::from_secs(60)).expect("flush");
        let closing = Arc::<AtomicBool>::default();
        let told = Arc::clone(&closing);
        let thread = thread::spawn(move || {
            let began = Instant::now();
            for number in 0_u32.. {
                if told.load(Ordering::Relaxed) {
                    return;
                }
                thread::sleep((ORDER_EVERY * number).saturating_sub(began.elapsed()));
                order(&producer, &topic, CUSTOMERS + u64::from(number));
            }
        });
        Self { closing, thread: Some(thread) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// One a second, in event time.
fn order(producer: &BaseProducer, topic: &str, number: u64) {
    const FIRST_MS: u64 = 1_704_067_200_000;
    let customer = format!("c-{number}");
    let text = format!(
        "{{\"event_id\":\"e-{number}\",\"kind\":\"order_completed\",\"customer_id\":\"{customer}\",\
         \"occurred_at\":{},\"order_id\":\"o-{number}\",\"amount_minor\":5990,\
         \"currency\":\"EUR\"}}",
        FIRST_MS + 1000 * number
    );
    let partition = i32::try_from(partition_of(&customer, PARTITIONS)).expect("few partitions");
    let record = BaseRecord::to(topic).partition(partition).key(&customer).payload(&text);
    producer.send(record).map_err(|(error, _)| error).expect("send");
    producer.poll(Duration::ZERO);
}
