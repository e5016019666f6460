//! Silence that is not told before every partition has come as far.
//!
//! Next: `src/runtime/hold.rs`.

use crate::instances::LONG;
use crate::letters::{AT, order, produce, sent};
use crate::outputs::{committed_changes, string};
use crate::program::{Application, PARTITIONS, metric, poll_for};
use ebbflow::domain::id::partition_of;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::json;

/// Silence of whoever ordered at [`AT`] was due long ago.
const CUSTOMER: &str = "c-silent";

fn causes(application: &Application) -> Vec<String> {
    let changes = committed_changes(application);
    changes.iter().map(|change| string(&change["cause"]["kind"])).collect()
}

#[test]
fn nobody_is_told_silent_while_another_partition_has_not_come_as_far() {
    let settings = ["clock=wall", "input.key=any", "instance_id=0"];
    let application = Application::new("holds", &settings);
    // What a producer has not committed may be anybody's order of any time.
    let left_open: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", application.bootstrap())
        .set("transactional.id", application.topic("left-open"))
        .set("transaction.timeout.ms", "300000")
        .create()
        .expect("make a producer");
    left_open.init_transactions(LONG).expect("init");
    left_open.begin_transaction().expect("begin");
    let elsewhere = (partition_of(CUSTOMER, PARTITIONS) + 1) % PARTITIONS;
    let topic = application.topic("interactions");
    let elsewhere = i32::try_from(elsewhere).expect("few partitions");
    let record = BaseRecord::to(&topic).partition(elsewhere).key("c").payload("{}");
    left_open.send(record).map_err(|(error, _)| error).expect("send");
    left_open.flush(LONG).expect("flush");

    let bought = sent("purchases", CUSTOMER, order("o-1", CUSTOMER, AT, &json!({})));
    produce(&application, &[bought]);
    let mut program = application.start(&[]);
    let other = application.with(&["instance_id=1"]);
    let mut beside = other.start(&[]);
    program.wait_until_ready();
    beside.wait_until_ready();
    let held = |task: &serde_json::Value| task["timer_hold_ms"].as_u64().is_some_and(|ms| ms > 0);
    let mut clock_of_held = || {
        let tasks = [program.tasks(), beside.tasks()].concat();
        let clock = string(&tasks.iter().find(|task| held(task))?["clock"]);
        clock.parse::<jiff::Timestamp>().ok()
    };
    let began_at = poll_for(&mut clock_of_held).expect("timers wait");
    // Its clock goes on, and some questions later it is no other.
    let go_on = || clock_of_held().filter(|at| at.as_second() - began_at.as_second() > 5);
    assert!(poll_for(go_on).is_some());
    let told = causes(&application);
    assert!(!told.is_empty() && told.iter().all(|cause| cause == "event"), "{told:?}");
    for program in [&mut program, &mut beside] {
        let (_, ready) = program.get("/readyz");
        assert!(ready.starts_with("ok\n"), "{ready}");
    }

    left_open.abort_transaction(LONG).expect("abort");
    let is_told = || causes(&application).contains(&"timer".to_owned()).then_some(());
    assert_eq!(poll_for(is_told), Some(()));
    // With everybody at the end nobody is held, and nobody commits for the sake of others.
    for program in [&mut program, &mut beside] {
        let (_, metrics) = program.get("/metrics");
        assert_eq!(metric(&metrics, "ebbflow_holds_given_up_total"), 0);
        assert_eq!(program.terminate().code(), Some(0));
    }
}
