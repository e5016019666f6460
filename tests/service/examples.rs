//! The scripts in `examples/` do against a real broker what the README says of them.
//!
//! Never skipped: without their interpreter the tests fail and say how to make it.
//! Next: `examples/consume.py`, `examples/resend.py`.

use crate::letters::{AT, Sent, order, produce, sent};
use crate::outputs::{committed_changes, header, string};
use crate::program::{Application, Program};
use crate::records::read_committed;
use ebbflow::runtime::clock::wall_now;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};

/// A script with its arguments, on the interpreter that `make deps` gives their library.
fn script(name: &str, arguments: &[&str]) -> Command {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in a folder");
    let python = target.join("tools/venv/bin/python");
    assert!(python.exists(), "{python:?} is not there: run `make deps`, which makes it");
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// What the consumer prints of the changes that are news, in no order.
fn lines_of_news(application: &Application) -> Vec<String> {
    let news = committed_changes(application);
    let news = news.iter().filter(|change| change["actionable"] == Value::Bool(true));
    let mut lines: Vec<String> = news
        .map(|change| ["customer_id", "dimension", "summary"].map(|name| string(&change[name])))
        .map(|fields| fields.join(" "))
        .collect();
    lines.sort();
    lines
}

/// Runs the consumer until it has printed so many lines and stops it; what it printed.
fn consumed(application: &Application, count: usize) -> Vec<String> {
    let arguments = [application.bootstrap(), &application.topic("segment-changes")];
    let mut consumer = Program::start(script("consume.py", &arguments), "consume");
    consumer
        .wait_for("its lines", |consumer| (consumer.log().lines().count() >= count).then_some(()));
    assert_eq!(consumer.terminate().code(), Some(0));
    let mut lines: Vec<String> = consumer.log().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Sends orders of today, one for each customer, and waits until they are counted.
fn count_orders(application: &Application, customers: &[&'static str]) {
    let now = wall_now().to_string();
    let orders: Vec<Sent> = customers
        .iter()
        .map(|customer| sent("purchases", customer, order(customer, customer, &now, &json!({}))))
        .collect();
    produce(application, &orders);
    let (code, log) = application.run(&["--until-end"]);
    assert_eq!(code, 0, "{log}");
}

#[test]
fn consumer_prints_what_is_news_once_and_goes_on_where_it_was_stopped() {
    let application = Application::new("consume", &["clock=wall"]);
    let old = order("c-old", "c-old", AT, &json!({}));
    produce(&application, &[sent("purchases", "c-old", old)]);
    count_orders(&application, &["c-1", "c-2"]);
    let first = lines_of_news(&application);
    assert!(first.iter().any(|line| line.starts_with("c-1 rfm first order")), "{first:?}");
    assert!(!first.iter().any(|line| line.starts_with("c-old")), "{first:?}");
    assert_eq!(consumed(&application, first.len()), first);

    count_orders(&application, &["c-3"]);
    let mut second = lines_of_news(&application);
    second.retain(|line| !first.contains(line));
    assert!(!second.is_empty());
    assert_eq!(consumed(&application, second.len()), second);
}

/// How a script ends that is given this.
fn ended(name: &str, arguments: &[&str]) -> (i32, String, String) {
    let output = script(name, arguments).output().expect("the script runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("it ends"), text(output.stdout), text(output.stderr))
}

/// Nothing listens there.
const NOWHERE: &str = "127.0.0.1:1";

#[test]
fn consumer_ends_with_a_sentence_where_there_is_nothing_to_read() {
    let application = Application::new("consume-nothing", &[]);
    let misspelled = application.topic("segment-chagnes");
    let (code, said, complaint) = ended("consume.py", &[application.bootstrap(), &misspelled]);
    assert_eq!((code, said.as_str()), (1, ""), "{complaint}");
    assert!(complaint.starts_with(&format!("cannot read topic {misspelled} at ")), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");

    let (code, said, complaint) = ended("consume.py", &[NOWHERE]);
    assert_eq!((code, said.as_str()), (1, ""), "{complaint}");
    let last = complaint.lines().last().expect("a sentence");
    let sentence = format!("cannot read topic segment-changes at {NOWHERE}: ");
    assert!(last.starts_with(&sentence), "{complaint}");
    assert!(complaint.contains("Connection refused"), "{complaint}");
    assert!(complaint.lines().count() <= 4, "one line for each error: {complaint}");
}

#[test]
fn resending_says_how_it_is_used_and_that_nobody_answers() {
    let (code, said, complaint) = ended("resend.py", &[]);
    assert_eq!((code, said.as_str()), (2, ""), "{complaint}");
    assert!(complaint.starts_with("usage: resend.py "), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");

    let (code, said, complaint) = ended("resend.py", &[NOWHERE, "dead-letters", "misrouted"]);
    assert_eq!((code, said.as_str()), (1, ""), "{complaint}");
    assert!(complaint.starts_with(&format!("{NOWHERE} did not answer: ")), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
}

/// Sends the dead letters of a reason again: exit code, standard output, standard error.
fn resend(application: &Application, topic: &str, reason: &str) -> (i32, String, String) {
    ended("resend.py", &[application.bootstrap(), &application.topic(topic), reason])
}

#[test]
fn dead_letters_are_sent_again_after_their_cause_is_repaired() {
    let application = Application::new("resend", &[]);
    let dollars = |id| order(id, id, AT, &json!({"currency": "USD"}));
    let records = [
        sent("purchases", "c-1", dollars("c-1")),
        Sent { misplaced: true, ..sent("purchases", "c-2", dollars("c-2")) },
        sent("purchases", "c-3", order("c-3", "c-3", AT, &json!({"amount_minor": -1}))),
    ];
    produce(&application, &records);
    assert_eq!(application.run(&["--until-end"]).0, 0);
    let letters = || read_committed(application.bootstrap(), &application.topic("dead-letters"));
    assert_eq!(letters().len(), records.len());

    let (code, said, complaint) = resend(&application, "dead-leters", "unknown_currency");
    assert_eq!((code, said.as_str()), (1, ""), "{complaint}");
    let missing = application.topic("dead-leters");
    assert!(complaint.starts_with(&format!("{missing}: ")), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");

    let misspelled = resend(&application, "dead-letters", "unknown_curency");
    let there = "no dead letter has the reason unknown_curency; there are: negative_amount 1, \
                 unknown_currency 2\n";
    assert_eq!(misspelled, (1, String::new(), there.to_owned()));

    let resent = resend(&application, "dead-letters", "unknown_currency");
    assert_eq!(resent, (0, "sent: 2\n".to_owned(), String::new()));
    let repaired = application.with(&["rates.USD.2026-01-01=\"0.9\""]);
    let (code, log) = repaired.run(&["--until-end"]);
    assert_eq!(code, 0, "{log}");
    let changes = committed_changes(&application);
    for customer in ["c-1", "c-2"] {
        let of = |change: &&Value| change["customer_id"] == *customer;
        let change = changes.iter().find(of).unwrap_or_else(|| panic!("none of {customer}"));
        assert_eq!(change["facts"]["net_minor"], 5391);
    }
    assert!(!changes.iter().any(|change| change["customer_id"] == "c-3"));
    let letters = letters();
    assert_eq!(letters.len(), records.len(), "{:?}", header(letters.last().unwrap(), "detail"));
}
