//! Surroundings that are away, at the start and later: the program waits, says for what, goes on.
//!
//! Next: `serving.rs`.

use crate::apicurio::Apicurio;
use crate::broker::{PASSWORD, TestBroker, USER, shared};
use crate::crashes::{SMALL_STEPS, registered};
use crate::instances::LONG;
use crate::outputs::{assert_same_changes, by_customer, committed_changes, replay};
use crate::program::{Application, PARTITIONS, metric, poll_for};
use crate::workload::{ADVANCE_TO, Formats, Workload};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// Longer than any outage here.
const LONG_SESSION: [&str; 2] = ["kafka.session_timeout=3m", "kafka.max_poll_interval=5m"];

#[test]
fn broker_that_is_down_at_the_start_is_waited_for() {
    let mut broker = TestBroker::start();
    let application = Application::without_topics("late-broker", &broker.bootstrap(), &[]);
    application.create_topics();
    broker.stop("TERM");
    let mut program = application.start(&[]);
    program.wait_for_log("the cluster does not answer; trying again");
    assert!(program.log().contains(&broker.bootstrap()));
    assert_eq!(program.get("/livez").0, 200);
    let (status, reasons) = program.get("/readyz");
    assert_eq!(status, 503);
    assert!(reasons.contains("the cluster has not answered since 2"), "{reasons}");
    assert!(reasons.contains("hint: check kafka.bootstrap_servers"), "{reasons}");
    assert!(reasons.contains("has not joined the consumer group yet"), "{reasons}");
    let (_, metrics) = program.get("/metrics");
    assert!(metrics.contains("\nebbflow_broker_up 0\n"), "{metrics}");
    broker.run();
    program.wait_until_ready();
    Workload::new(9, 200).produce(&application, Formats::JSON);
    let changes = poll_for(|| (!committed_changes(&application).is_empty()).then_some(()));
    assert_eq!(changes, Some(()));
    assert_eq!(program.terminate().code(), Some(0));
}

/// The transactions outlive the outage: a lone broker that is killed under one which then times
/// out can make aborted records visible. So does the session: a static member whose session ends
/// at its own side is fenced by itself when it comes back (librdkafka issue 3437), with which the
/// process ends.
#[test]
fn broker_that_is_killed_under_load_loses_and_doubles_nothing() {
    let workload = Workload::new(18, 9_000);
    let third = workload.lines.len() / 3;
    let mut broker = TestBroker::start();
    let bootstrap = broker.bootstrap();
    let settings = ["kafka.transaction_timeout=60s", LONG_SESSION[0], LONG_SESSION[1]];
    let application =
        Application::without_topics("killed-broker", &bootstrap, &SMALL_STEPS).with(&settings);
    application.create_topics();
    let expected = replay(&application, &workload);
    let mut program = application.start(&[]);
    program.wait_until_ready();
    for part in [0..third, third..2 * third] {
        let held = workload.hold(&application, part);
        held.commit_transaction(LONG).expect("commit");
        let commits = program.commits();
        program.wait_for_commits(commits + 3).expect("it goes on");
        broker.stop("KILL");
        broker.run();
        program.wait_for_commits(commits + 6).expect("it goes on after the outage");
    }
    let last = workload.hold(&application, 2 * third..workload.lines.len());
    last.commit_transaction(LONG).expect("commit");
    assert_eq!(program.terminate().code(), Some(0));
    application.run_to_the_end(ADVANCE_TO);
    assert_same_changes(&by_customer(&committed_changes(&application)), &expected.changes);
}

#[test]
fn broker_that_goes_away_later_is_shown_told_once_and_waited_for() {
    let mut broker = TestBroker::start();
    let application =
        Application::without_topics("away-broker", &broker.bootstrap(), &LONG_SESSION);
    application.create_topics();
    let mut program = application.start(&[]);
    program.wait_until_ready();
    broker.stop("TERM");
    program.wait_for("the outage on /readyz", |program| {
        let (status, reasons) = program.get("/readyz");
        (status == 503 && reasons.contains("the cluster has not answered since 2")).then_some(())
    });
    let (_, told) = program.get("/tasks");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["broker"]["up"], false, "{told}");
    assert_ne!(told["broker"]["error"], Value::Null, "{told}");
    let (_, metrics) = program.get("/metrics");
    assert!(metrics.contains("\nebbflow_broker_up 0\n"), "{metrics}");
    assert_eq!(metric(&metrics, "ebbflow_partitions"), u64::from(PARTITIONS));
    broker.run();
    program.wait_until_ready();
    program.wait_for_log("the cluster answers again");
    let log = program.log();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains(" WARN ")).collect();
    assert!(warnings.len() <= 6, "{warnings:#?}");
    assert_eq!(log.matches("the cluster does not answer").count(), 1, "{log}");
    assert_eq!(program.terminate().code(), Some(0));
}

/// A transaction that somebody has left open in the state topic holds a restore back.
#[test]
fn task_that_waits_long_to_be_restored_is_told_with_what_may_hold_it() {
    let application = Application::new("held-restore", &[]);
    let left_open: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", application.bootstrap())
        .set("transactional.id", application.topic("left-open"))
        .create()
        .expect("make a producer");
    left_open.init_transactions(LONG).expect("init");
    left_open.begin_transaction().expect("begin");
    let state = application.topic("state");
    let record = BaseRecord::to(&state).partition(2).key("c").payload("s");
    left_open.send(record).map_err(|(error, _)| error).expect("send");
    left_open.flush(LONG).expect("flush");
    let mut program = application.start(&[]);
    program.wait_for_log("a task does not run; trying again");
    let says = "partition 2 waits to be restored: the state topic has no more records";
    assert!(program.log().contains(says), "{}", program.log());
    let (status, reasons) = program.get("/readyz");
    assert!(status == 503 && reasons.contains(says), "{reasons}");
    left_open.abort_transaction(LONG).expect("abort");
    program.wait_until_ready();
    assert_eq!(program.log().matches("a task does not run").count(), 1, "{}", program.log());
    assert_eq!(program.terminate().code(), Some(0));
}

#[test]
fn wrong_password_is_named_and_the_right_one_works() {
    let application = Application::new("password", &[]);
    let with = |password: &str| {
        application.at(&shared().sasl_bootstrap()).with(&[
            "kafka.properties.security.protocol=SASL_PLAINTEXT",
            "kafka.properties.sasl.mechanisms=SCRAM-SHA-512",
            &format!("kafka.properties.sasl.username={USER}"),
            &format!("kafka.properties.sasl.password={password}"),
        ])
    };
    let (code, log) = with("wr0ng").run(&[]);
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("invalid credentials"), "{log}");
    assert!(log.contains("check kafka.properties: sasl.mechanisms"), "{log}");
    assert!(!log.contains("wr0ng"), "a secret is in the log: {log}");
    let mut program = with(PASSWORD).start(&[]);
    program.wait_until_ready();
    assert_eq!(program.terminate().code(), Some(0));
}

#[test]
fn registry_that_is_down_is_waited_for_at_the_start_and_later() {
    let running = Apicurio::shared();
    let mut door = Door::new(&running.url);
    let url = format!("registry.url={}", door.url);
    let application = Application::new("registry", &[&url, "registry.timeout=1s"])
        .with(&["encoding.purchases=avro", "encoding.interactions=avro"])
        .with(&["encoding.segment_changes=avro"]);
    let mut program = application.start(&[]);
    program.wait_for_log("an output's schema could not be registered; trying again");
    assert_eq!(program.get("/readyz").0, 503);
    door.open();
    program.wait_until_ready();

    door.close();
    let formats = registered(&running.url, &application);
    Workload::new(10, 200).produce(&application, formats);
    program.wait_for("a task that waits", |program| {
        program.tasks().iter().any(|task| task["held_by"] == "registry").then_some(())
    });
    program.wait_for_log("the schema registry does not answer; tasks wait for it");
    let (_, told) = program.get("/tasks");
    assert!(told.contains("\"registry\":\""), "{told}");
    assert!(committed_changes(&application).is_empty());
    door.open();
    program.wait_for("changes", |_| (!committed_changes(&application).is_empty()).then_some(()));
    assert_eq!(program.terminate().code(), Some(0));
}

/// A way to the registry that can be closed: while it is, nobody listens there.
struct Door {
    url: String,
    address: SocketAddr,
    target: String,
    accepting: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Door {
    fn new(url: &str) -> Self {
        let rest = url.strip_prefix("http://").expect("a plain URL");
        let (target, path) = rest.split_once('/').expect("a path");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("own address");
        Self {
            url: format!("http://{address}/{path}"),
            address,
            target: target.to_owned(),
            accepting: None,
            connections: Arc::default(),
        }
    }

    fn open(&mut self) {
        let listener = TcpListener::bind(self.address).expect("the port is still free");
        let closing = Arc::new(AtomicBool::new(false));
        let (told, target) = (Arc::clone(&closing), self.target.clone());
        let connections = Arc::clone(&self.connections);
        let thread = thread::spawn(move || {
            for client in listener.incoming() {
                if told.load(Ordering::Relaxed) {
                    return;
                }
                let client = client.expect("a connection");
                let server = TcpStream::connect(&target).expect("the registry listens");
                let clone = |stream: &TcpStream| stream.try_clone().expect("clone a socket");
                connections.lock().expect("no panic").extend([clone(&client), clone(&server)]);
                for (mut from, mut to) in
                    [(clone(&client), clone(&server)), (clone(&server), clone(&client))]
                {
                    thread::spawn(move || {
                        // Ends with the connection, in whatever way.
                        io::copy(&mut from, &mut to).ok();
                        to.shutdown(Shutdown::Both).ok();
                    });
                }
            }
        });
        self.accepting = Some((closing, thread));
    }

    fn close(&mut self) {
        let Some((closing, thread)) = self.accepting.take() else { return };
        closing.store(true, Ordering::Relaxed);
        // Wakes it up.
        drop(TcpStream::connect(self.address));
        thread.join().expect("the thread ends");
        for connection in self.connections.lock().expect("no panic").drain(..) {
            connection.shutdown(Shutdown::Both).ok();
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.close();
        }
    }
}
