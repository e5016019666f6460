//! Real fire: three real brokers, real processes, a load that goes on, and everything that breaks.
//!
//! `make fire` does it for ten minutes, `cargo test --test fire` for about one: `FIRE_MINUTES` and
//! `FIRE_SEED` say otherwise. What was written must be what `ebbflow replay` says of the same
//! events: per customer in order, nothing lost, nothing doubled, `seq` without a gap.
//! A broker is never the only one: see `cluster.rs`, which names the fault of a single broker.
//! Next: `load.rs`, `witness.rs`, `fleet.rs`, `plan.rs`, `oracle.rs`, `report.rs`.

#![allow(clippy::print_stdout, reason = "plan and report are for people")]

#[path = "../kafka/broker.rs"]
#[allow(dead_code, reason = "its other users have one broker")]
mod broker;
#[path = "../kafka/cluster.rs"]
mod cluster;
mod fleet;
mod load;
mod oracle;
#[path = "../service/outputs.rs"]
#[allow(dead_code, reason = "the tests of the service use the rest")]
mod outputs;
mod plan;
#[path = "../service/program.rs"]
#[allow(dead_code, reason = "the tests of the service use the rest")]
mod program;
mod proxy;
#[path = "../kafka/records.rs"]
#[allow(dead_code, reason = "the tests of the service use the rest")]
mod records;
mod report;
mod witness;
#[path = "../service/workload.rs"]
#[allow(dead_code, reason = "the tests of the service use the rest")]
mod workload;

use crate::cluster::{Cluster, addresses};
use crate::fleet::Fleet;
use crate::load::{Load, one_input_each, with_erases};
use crate::outputs::replay_with;
use crate::plan::{KINDS, SESSION, Scene, TRANSACTION, plan};
use crate::program::Application;
use crate::proxy::Proxy;
use crate::report::Report;
use crate::witness::Witness;
use crate::workload::{ADVANCE_TO, Workload};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Records a second: the faults are to leave their mark, not the load.
const PER_SECOND: usize = 600;
/// What a round of every fault takes, about.
const ROUND: Duration = Duration::from_secs(70);

fn number<T: FromStr>(name: &str, default: T) -> T {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().ok().unwrap_or_else(|| panic!("{name}=\"{text}\" is not a number"))
}

#[test]
fn whatever_breaks_nothing_is_lost_and_nothing_doubled() {
    let time = Duration::from_secs_f64(60.0 * number("FIRE_MINUTES", 1.2));
    let seed = number("FIRE_SEED", 1);
    let rounds = usize::try_from(time.as_secs() / ROUND.as_secs()).expect("few").max(1);
    let faults = plan(seed, rounds);
    println!("=== plan of FIRE_SEED={seed}, {:.0} s", time.as_secs_f64());
    for fault in &faults {
        println!("{fault}");
    }

    let proxies = [Proxy::new(), Proxy::new(), Proxy::new()];
    let ports = proxies.each_ref().map(Proxy::port);
    let cluster = Cluster::start(ports);
    for (proxy, port) in proxies.iter().zip(cluster.behind_proxies()) {
        proxy.lead_to(port);
    }
    let application = Application::without_topics("fire", &cluster.bootstrap(), &settings());
    application.create_topics();
    let seconds = usize::try_from(time.as_secs()).expect("few");
    let events = Workload::new(seed, 2 * seconds * PER_SECOND);
    let workload = Arc::new(one_input_each(with_erases(events, seed)));
    let load = Load::start(&application, &workload, PER_SECOND);
    let fleet = Fleet::new(&application, &addresses(ports));
    let witness = Witness::start(&application, "customers");
    let group = application.name().to_owned();
    let mut scene = Scene { cluster, group, proxies, fleet, witness, load };

    // From one instance to three.
    let began = Instant::now();
    for index in 0..fleet::SIZE {
        scene.fleet.start(index);
        scene.wait_until_all_go_on();
    }
    let mut done = [(0, Duration::ZERO); KINDS.len()];
    for fault in faults {
        let all_happened = done.iter().all(|(times, _)| *times > 0);
        if scene.load.is_over() && all_happened {
            // A slow machine does not get to the end of the plan.
            break;
        }
        println!("{:>6.1} s  {fault}", began.elapsed().as_secs_f64());
        let stall = scene.suffer(fault);
        let (times, longest) = &mut done[fault.kind()];
        *times += 1;
        *longest = stall.max(*longest);
    }
    while !scene.load.is_over() {
        scene.wait_until_all_go_on();
    }
    println!("{:>6.1} s  the load is over", began.elapsed().as_secs_f64());
    let Scene { cluster, mut fleet, witness, load, .. } = scene;
    let (records, aborted_inputs) = (load.committed(), load.aborted());
    let load_gap = load.longest_gap();
    load.finish();
    // And from three to one, which does what is left.
    fleet.stop(&[0, 1, 2]);
    let longest = witness.stalls_since(began).first().map_or(Duration::ZERO, |stall| stall.time);
    let time = began.elapsed();
    application.with(&["instance_id=00"]).run_to_the_end(ADVANCE_TO);

    oracle::assert_inputs_hold(&application, &workload);
    let expected = replay_with(&application, &workload, &["--advance-to", ADVANCE_TO]);
    let verdict = oracle::judge(&application, &workload, &expected);
    let report = Report {
        seed,
        time,
        faults: done,
        longest,
        load_gap,
        records,
        aborted_inputs,
        counts: fleet.counts(),
        gave_up: fleet.gave_up().to_vec(),
        verdict,
    };
    println!("{report}");
    drop(cluster);
    assert!(done.iter().all(|(times, _)| *times > 0), "not every fault happened");
    assert_eq!(records, workload.lines.len());
    assert!(report.verdict.is_clean(), "{}", report.verdict.example.unwrap_or_default());
}

/// Short sessions and transactions, so that there is time to go beyond them; small fetches and
/// transactions, so that there are many moments to be hit at; a profile at every change, for the
/// witness.
fn settings() -> [&'static str; 12] {
    const { assert!(SESSION.as_secs() == 2 && TRANSACTION.as_secs() == 4) };
    [
        "kafka.session_timeout=2s",
        "kafka.heartbeat_interval=400ms",
        "kafka.transaction_timeout=4s",
        "kafka.properties.reconnect.backoff.max.ms=1000",
        "kafka.properties.fetch.message.max.bytes=2000",
        "kafka.properties.queued.min.messages=10",
        "profiles.on=touch",
        "output.detail=compact",
        "output.dimensions=[\"rfm\", \"lifecycle\", \"activity\", \"value_mode\", \"value_tier\", \
         \"engagement\", \"satisfaction\", \"qualification\"]",
        "audience.north.rule='traits.region == \"north\" && facts.net_minor > 20000'",
        "consent.purposes.satisfaction=\"marketing:email\"",
        "erase.keep=60d",
    ]
}
