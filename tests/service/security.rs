//! TLS, passwords and ACLs: with what the README asks for it runs, with anything missing it says
//! what.
//!
//! One broker for all cases, an application each. Next: `refusals.rs`.

use crate::outputs::{assert_same_changes, by_customer, committed_changes, replay};
use crate::program::{Application, PARTITIONS, Program};
use crate::records::produce;
use crate::secure_broker::{Grant, Operation, Resource, SecureBroker};
use crate::workload::{ADVANCE_TO, Formats, Workload};
use ebbflow::domain::id::partition_of;
use std::sync::OnceLock;

const READ: [&str; 5] = ["interactions", "purchases", "relay", "state", "control"];
const WRITTEN: [&str; 4] = ["segment-changes", "customers", "dead-letters", "state"];

fn broker() -> &'static SecureBroker {
    static BROKER: OnceLock<SecureBroker> = OnceLock::new();
    BROKER.get_or_init(SecureBroker::start)
}

/// What the README says that `run` needs.
fn needed(application: &Application) -> Vec<Grant> {
    let topics = |names: &[&str], operation| -> Vec<Grant> {
        let names = names.iter().map(|name| application.topic(name));
        names.map(|name| Grant::of(Resource::Topic, name, operation)).collect()
    };
    let ids = format!("{}-", application.name());
    let mut grants = vec![
        Grant { prefix: true, ..Grant::of(Resource::TransactionalId, ids, Operation::Write) },
        Grant::of(Resource::Group, application.name().to_owned(), Operation::Read),
    ];
    grants.extend(topics(&READ, Operation::Read));
    grants.extend(topics(&WRITTEN, Operation::Write));
    grants
}

/// An application with permissions; and as the administrator runs it.
fn granted(
    name: &str,
    choose: impl FnOnce(&Application) -> Vec<Grant>,
) -> (Application, Application) {
    let plain = Application::without_topics(name, &broker().plain_bootstrap(), &[]);
    // Before the topics: where these are known, the permissions are too.
    broker().grant(&choose(&plain));
    plain.create_topics();
    let login = broker().login();
    let login: Vec<&str> = login.iter().map(String::as_str).collect();
    (plain.at(&broker().bootstrap()).with(&login), plain)
}

/// An order of the customer with this number, and a record that cannot be read.
fn order(application: &Application, number: u8) {
    let customer = format!("c-{number}");
    let order = format!(
        r#"{{"event_id":"e-{number}","kind":"order_completed","customer_id":"{customer}",
            "order_id":"o-{number}","occurred_at":"2026-03-01T09:30:00Z","amount_minor":5990,
            "currency":"EUR"}}"#
    );
    let partition = i32::try_from(partition_of(&customer, PARTITIONS)).expect("few");
    let records = [(customer.as_str(), order.as_str()), (&customer, "{")];
    produce(application.bootstrap(), &application.topic("purchases"), partition, &records);
}

#[test]
fn with_the_permissions_of_the_readme_it_runs_over_tls() {
    let (application, plain) = granted("secured", needed);
    let workload = Workload::new(40, 600);
    let expected = replay(&application, &workload).changes;
    workload.produce(&plain, Formats::JSON);
    let (code, log) = application.run(&["--until-end", "--advance-to", ADVANCE_TO]);
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("hint: grant DescribeConfigs on them"), "{log}");
    assert_same_changes(&by_customer(&committed_changes(&plain)), &expected);
    // That one is needed by a rebuild alone.
    let (code, log) = application.run(&["--rebuild", "--until-end"]);
    assert_eq!(code, 1, "{log}");
    let says = format!("could not write to topic {:?}", plain.topic("control"));
    assert!(log.contains(&says) && log.contains("hint: grant Write on it"), "{log}");
}

#[test]
fn with_describe_configs_the_settings_of_topics_are_checked() {
    let (application, _) = granted("described", |application| {
        let mut grants = needed(application);
        let name = format!("{}.", application.name());
        let all = Grant::of(Resource::Topic, name, Operation::DescribeConfigs);
        grants.push(Grant { prefix: true, ..all });
        grants
    });
    let (code, log) = application.run(&["--until-end"]);
    assert_eq!(code, 0, "{log}");
    // A coordinator that has just begun may be asked twice.
    let mut warnings = log.lines().filter(|line| line.contains(" WARN "));
    assert!(warnings.all(|line| line.contains("the producer could not be initialised")), "{log}");
}

/// Runs without one permission, all others given; what exists may be described.
fn run_without(index: usize) {
    let mut missing = None;
    let (application, plain) = granted(&format!("without-{index}"), |application| {
        let mut grants = needed(application);
        let grant = grants.remove(index);
        if grant.resource == Resource::Topic {
            grants.push(Grant { operation: Operation::Describe, ..grant.clone() });
        }
        missing = Some(grant);
        grants
    });
    let missing = missing.expect("it was taken out");
    // Something of everything that is read, and afterwards something to write everywhere.
    order(&plain, 1);
    let (code, log) = plain.run(&["--rebuild", "--until-end"]);
    assert_eq!(code, 0, "{log}");
    order(&plain, 2);
    let (code, log) = application.run(&["--until-end"]);
    assert_eq!(code, 1, "without {missing:?}: {log}");
    let last = log.trim_end().lines().last().expect("a line");
    let says = match missing.resource {
        Resource::TransactionalId => "hint: grant Write on the transactional ids that begin",
        Resource::Group => "hint: grant Read on the Group named by the application_id",
        Resource::Topic => &missing.name,
    };
    assert!(last.contains(says) && last.contains("hint: grant "), "without {missing:?}: {log}");
}

#[test]
fn each_missing_permission_on_ids_and_group_is_named() {
    (0..2).for_each(run_without);
}

#[test]
fn each_missing_permission_to_read_is_named() {
    (2..2 + READ.len()).for_each(run_without);
}

#[test]
fn each_missing_permission_to_write_is_named() {
    (2 + READ.len()..2 + READ.len() + WRITTEN.len()).for_each(run_without);
}

#[test]
fn topic_that_may_not_even_be_described_is_named() {
    let (application, plain) = granted("hidden", |application| {
        let hidden = application.topic("customers");
        let mut grants = needed(application);
        grants.retain(|grant| grant.name != hidden);
        grants
    });
    let (code, log) = application.run(&[]);
    assert_eq!(code, 1, "{log}");
    let says = format!("could not look up topic {:?}", plain.topic("customers"));
    assert!(log.contains(&says) && log.contains("hint: grant "), "{log}");
}

#[test]
fn wrong_logins_are_named() {
    let (application, _) = granted("login", needed);
    for (wrong, says) in [
        ("sasl.password=wr0ng", "invalid credentials"),
        ("sasl.username=nobody", "invalid credentials"),
        ("sasl.mechanisms=PLAIN", "supported mechanisms: SCRAM-SHA-512"),
    ] {
        let (code, log) = application.with(&[&format!("kafka.properties.{wrong}")]).run(&[]);
        assert_eq!(code, 1, "{log}");
        assert!(log.contains(says), "{log}");
        assert!(log.contains("hint: check kafka.properties: sasl.mechanisms"), "{log}");
        assert!(!log.contains("wr0ng"), "a secret is in the log: {log}");
    }
}

#[test]
fn wrong_ways_to_the_listener_are_named_and_waited_for() {
    let (application, plain) = granted("connection", needed);
    let stranger = format!("kafka.properties.ssl.ca.location={}", broker().stranger.display());
    let protocol = |name: &str| format!("kafka.properties.security.protocol={name}");
    let cases = [
        (application.with(&[&stranger]), "certificate verify failed"),
        (application.with(&[&protocol("SASL_PLAINTEXT")]), "that security.protocol is what"),
        (application.with(&[&protocol("SSL")]), "that security.protocol is what"),
        (plain.at(&broker().bootstrap()), "that security.protocol is what"),
        (application.at(&broker().plain_bootstrap()), "that security.protocol is what"),
    ];
    let mut programs: Vec<(Program, &str)> =
        cases.iter().map(|(case, says)| (case.start(&[]), *says)).collect();
    for (program, says) in &mut programs {
        program.wait_for_log("the cluster does not answer; trying again");
        // Why a connection failed is told by another thread than that it did.
        let reasons = program.wait_for(says, |program| {
            let (status, reasons) = program.get("/readyz");
            assert_eq!(status, 503);
            reasons.contains(*says).then_some(reasons)
        });
        for text in [&reasons, &program.log()] {
            assert!(text.contains("hint: check kafka."), "{text}");
            assert!(!text.contains("certificate") || text.contains("ssl.ca.location"), "{text}");
        }
        assert_eq!(program.terminate().code(), Some(0));
    }
}
