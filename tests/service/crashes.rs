//! `kill -9` at many moments: nothing is lost, nothing is doubled, the order stays.
//!
//! Next: `instances.rs`.

use crate::apicurio::Apicurio;
use crate::outputs::{Expected, assert_agrees, dead_letter_sources, replay};
use crate::program::{Application, Program, repeats};
use crate::workload::{ADVANCE_TO, Formats, Random, Workload};
use ebbflow::codec::encode::OutputFormat;
use ebbflow::codec::schema::{INTERACTIONS, PURCHASES};
use ebbflow::config::RegistryConfig;
use ebbflow::registry::Registry;
use std::time::Duration;

/// Small fetches and short transactions, so that there are many moments to be killed at; a
/// profile at every change, so that the last one is complete.
pub(crate) const SMALL_STEPS: [&str; 6] = [
    "commit.interval=10ms",
    "commit.idle_gap=2ms",
    "profiles.on=touch",
    "kafka.properties.fetch.message.max.bytes=2000",
    "kafka.properties.queued.min.messages=10",
    // A moment to kill at is when a changelog has been read.
    "log.filter=info,ebbflow::runtime::prepare=debug",
];

const UNTIL_END: [&str; 3] = ["--until-end", "--advance-to", ADVANCE_TO];

enum Moment {
    Commits(u64),
    Logged(&'static str),
}

/// Moments that follow from the seed: while joining, restoring and processing.
fn moments(seed: u64) -> Vec<Moment> {
    let mut random = Random(seed);
    let mut commits = || Moment::Commits(1 + random.below(8).unsigned_abs());
    vec![
        commits(),
        Moment::Logged("assigned"),
        commits(),
        Moment::Logged("changelog read"),
        commits(),
        commits(),
    ]
}

/// Kills the program at every moment; says how often it was in the middle of its work.
fn kill_at(application: &Application, arguments: &[&str], moments: &[Moment]) -> usize {
    let mut kills = 0;
    for moment in moments {
        let mut program = application.start(arguments);
        let reached = match moment {
            Moment::Commits(count) => program.wait_for_commits(*count),
            Moment::Logged(text) => program.wait_unless_ended(text, |program: &mut Program| {
                program.log().contains(text).then_some(())
            }),
        };
        if reached.is_none() {
            assert!(program.wait_for_end().success());
            break;
        }
        program.kill();
        kills += 1;
    }
    kills
}

fn check(application: &Application, workload: &Workload, expected: &Expected) {
    application.run_to_the_end(ADVANCE_TO);
    assert_agrees(application, workload, expected);
    assert_eq!(dead_letter_sources(application), workload.unreadable(application));
}

#[test]
fn killed_runs_to_the_end_leave_what_one_run_leaves() {
    let workload = Workload::new(1, 20_000);
    let mut expected = None;
    for round in 0..repeats() {
        let application = Application::new("killed", &SMALL_STEPS);
        let expected = expected.get_or_insert_with(|| replay(&application, &workload));
        workload.produce(&application, Formats::JSON);
        let kills = kill_at(&application, &UNTIL_END, &moments(round));
        assert!(kills >= 4, "it ended too early to be killed: {kills}");
        check(&application, &workload, expected);
    }
}

#[test]
fn killed_service_leaves_what_one_run_leaves() {
    let workload = Workload::new(2, 10_000);
    let mut expected = None;
    for round in 0..repeats() {
        let application = Application::new("killed-service", &SMALL_STEPS);
        let expected = expected.get_or_insert_with(|| replay(&application, &workload));
        workload.produce(&application, Formats::JSON);
        let kills = kill_at(&application, &[], &moments(100 + round));
        assert!(kills >= 4, "it ended too early to be killed: {kills}");
        check(&application, &workload, expected);
    }
}

#[test]
fn killed_runs_over_avro_leave_what_one_run_leaves() {
    let running = Apicurio::shared();
    let workload = Workload::new(3, 10_000);
    let mut expected = None;
    for round in 0..repeats() {
        let url = format!("registry.url={}", running.url);
        let application = Application::new("killed-avro", &SMALL_STEPS).with(&[
            &url,
            "encoding.purchases=avro",
            "encoding.interactions=avro",
            "encoding.segment_changes=avro",
            "encoding.customers=avro",
        ]);
        let expected = expected.get_or_insert_with(|| replay(&application, &workload));
        workload.produce(&application, registered(&running.url, &application));
        let kills = kill_at(&application, &UNTIL_END, &moments(200 + round));
        assert!(kills >= 4, "it ended too early to be killed: {kills}");
        check(&application, &workload, expected);
    }
}

/// Registers the schemas of the inputs, as their producers would.
pub(crate) fn registered(url: &str, application: &Application) -> Formats {
    let registry = Registry::new(&RegistryConfig {
        url: url.to_owned(),
        user: None,
        password_file: None,
        timeout: Duration::from_secs(30),
    })
    .expect("a client");
    let register = |topic: &str, schema: &str| {
        let subject = format!("{}-value", application.topic(topic));
        let schema_id = registry.register(&subject, schema).expect("registered");
        OutputFormat::AvroConfluent { schema_id }
    };
    Formats {
        purchases: register("purchases", PURCHASES.text),
        interactions: register("interactions", INTERACTIONS.text),
    }
}
