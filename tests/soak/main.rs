//! Two instances that run for long and must stay as they are, beside one that has a bad time.
//!
//! `make soak` does it for half an hour (`SOAK_MINUTES`): events of every kind, and mild faults of
//! a third instance, which is killed, and whose network is slow or cut. A sixth of the time is a
//! window; of the two, memory, descriptors, threads and commit times at the end are compared with
//! those of the first window. What was written must be what `ebbflow replay` says.
//! Next: `verdict.rs`, which judges; `process.rs`, which looks.

#[path = "../kafka/broker.rs"]
#[allow(dead_code, reason = "its other users have one broker")]
mod broker;
#[path = "../kafka/cluster.rs"]
#[allow(dead_code, reason = "no broker is killed here")]
mod cluster;
#[path = "../fire/load.rs"]
mod load;
#[path = "../fire/oracle.rs"]
#[allow(dead_code, reason = "the report of a fire tells the rest")]
mod oracle;
#[path = "../service/outputs.rs"]
#[allow(dead_code, reason = "the tests of the service use the rest")]
mod outputs;
mod process;
#[path = "../service/program.rs"]
#[allow(dead_code, reason = "the tests of the service use the rest")]
mod program;
#[path = "../fire/proxy.rs"]
mod proxy;
#[path = "../kafka/records.rs"]
#[allow(dead_code, reason = "the tests of the service use the rest")]
mod records;
mod verdict;
#[path = "../service/workload.rs"]
#[allow(dead_code, reason = "the tests of the service use the rest")]
mod workload;

use crate::cluster::{Cluster, addresses};
use crate::load::{Load, one_input_each};
use crate::outputs::replay_with;
use crate::program::{Application, Program};
use crate::proxy::Proxy;
use crate::verdict::{Sample, Verdict};
use crate::workload::{ADVANCE_TO, Workload};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Records a second.
const PER_SECOND: usize = 300;
/// So few that after the first of the windows of half an hour each has the orders that the bounds
/// of its memory allow (64 and 512 older ones): from then on there is no state left to grow.
const CUSTOMERS: usize = 80;
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// A fault of the third instance begins so often, and lasts for a tenth of this.
const FAULT_EVERY: Duration = Duration::from_secs(20);

const SETTINGS: [&str; 4] = [
    // A killed instance is back before its partitions go to the others, whose memory is watched.
    "kafka.session_timeout=30s",
    "kafka.max_poll_interval=2m",
    "output.detail=compact",
    // So that the last profile is complete.
    "profiles.on=touch",
];

/// The third instance, and what is done to it in turn.
struct Victim {
    application: Application,
    program: Program,
    proxies: [Proxy; cluster::SIZE],
    faults: usize,
}

impl Victim {
    fn fault_begins(&mut self) {
        self.faults += 1;
        match self.faults % 3 {
            0 => self.program.kill(),
            1 => self.proxies.iter().for_each(|proxy| proxy.delay(Duration::from_millis(50))),
            _ => self.proxies.iter().for_each(Proxy::cut),
        }
    }

    fn fault_ends(&mut self) {
        match self.faults % 3 {
            0 => self.program = self.application.start(&[]),
            1 => self.proxies.iter().for_each(|proxy| proxy.delay(Duration::ZERO)),
            _ => {}
        }
    }
}

#[test]
fn two_instances_stay_as_they_are() {
    let minutes = std::env::var("SOAK_MINUTES").unwrap_or_else(|_| "30".to_owned());
    let minutes: f64 = minutes.parse().expect("SOAK_MINUTES is a number");
    let time = Duration::from_secs_f64(60.0 * minutes);
    let proxies = [Proxy::new(), Proxy::new(), Proxy::new()];
    let ports = proxies.each_ref().map(Proxy::port);
    let cluster = Cluster::start(ports);
    for (proxy, port) in proxies.iter().zip(cluster.behind_proxies()) {
        proxy.lead_to(port);
    }
    let application = Application::without_topics("soak", &cluster.bootstrap(), &SETTINGS);
    application.create_topics();
    let seconds = usize::try_from(time.as_secs()).expect("few");
    let workload = Arc::new(one_input_each(Workload::of(1, 2 * seconds * PER_SECOND, CUSTOMERS)));
    let load = Load::start(&application, &workload, PER_SECOND);

    let mut watched =
        ["00", "01"].map(|id| application.with(&[&format!("instance_id={id}")]).start(&[]));
    let behind = application.at(&addresses(ports)).with(&["instance_id=02"]);
    let program = behind.start(&[]);
    let mut victim = Victim { application: behind, program, proxies, faults: 0 };
    let mut samples = [Vec::<Sample>::new(), Vec::new()];
    let began = Instant::now();
    let (mut next_begin, mut next_end) = (FAULT_EVERY, None);
    while !load.is_over() {
        let at = began.elapsed();
        if at >= next_begin {
            next_begin += FAULT_EVERY;
            next_end = Some(at + FAULT_EVERY / 10);
            victim.fault_begins();
        }
        if next_end.is_some_and(|end| at >= end) {
            next_end = None;
            victim.fault_ends();
        }
        for (program, samples) in watched.iter_mut().zip(&mut samples) {
            samples.push(process::look(program, at));
        }
        thread::sleep(SAMPLE_EVERY.saturating_sub(began.elapsed() - at));
    }
    if next_end.is_some() {
        victim.fault_ends();
    }
    let (records, aborted) = (load.committed(), load.aborted());
    let longest_gap = load.longest_gap();
    load.finish();
    for (number, samples) in samples.iter().enumerate() {
        let every = samples.len().div_ceil(30).max(1);
        let memory = samples
            .iter()
            .step_by(every)
            .map(|sample| format!("{}", (sample.memory_bytes - sample.file_bytes) >> 10));
        let memory: Vec<String> = memory.collect();
        println!("instance {number:02}: memory without files, KiB: {}", memory.join(" "));
    }
    let verdicts = samples.map(|samples| Verdict::of(&samples, time / 6));
    println!("=== soak for {:.1} min, {records} records", began.elapsed().as_secs_f64() / 60.0);
    println!(
        "{} faults of the third instance, {aborted} transactions of records aborted; the load \
         stood still for up to {:.1} s",
        victim.faults,
        longest_gap.as_secs_f64()
    );
    for (number, verdict) in verdicts.iter().enumerate() {
        println!("instance {number:02}: {verdict}");
    }
    for mut program in watched.into_iter().chain([victim.program]) {
        assert_eq!(program.terminate().code(), Some(0));
    }
    application.with(&["instance_id=00"]).run_to_the_end(ADVANCE_TO);
    oracle::assert_inputs_hold(&application, &workload);
    let expected = replay_with(&application, &workload, &["--advance-to", ADVANCE_TO]);
    let found = oracle::judge(&application, &workload, &expected);
    println!(
        "{} changes of {} customers, {} lost, {} doubled",
        found.changes, found.customers, found.lost, found.doubled
    );
    drop(cluster);
    let problems: Vec<String> = verdicts.iter().flat_map(Verdict::problems).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(found.is_clean(), "{}", found.example.unwrap_or_default());
}
