//! Golden scenarios: events in, changes out, the same in any number of partitions and with a restart
//! after every line.
//!
//! Each `tests/golden/<name>.jsonl` is read line by line, then the clock goes to the end of 2027;
//! the changes are a snapshot beside it. `INSTA_UPDATE=always` writes them; review what it wrote.
//! A line lies in a partition that has nothing to do with its subject, or in that of its
//! `partition`. With a `<name>.toml` those are its rules, and what waits, what is counted, who is
//! held out, who hands over and who is known to whom is shown too; a line `{"rules": "<other>"}`
//! goes on with `<other>.toml`. Next: `golden/tasks.rs`, the tasks; `golden/shown.rs`, the text.

mod golden {
    pub(crate) mod shown;
    pub(crate) mod tasks;
}

use ebbflow::domain::time::Timestamp;
use golden::shown::{Known, write_changes, write_more};
use golden::tasks::{Tasks, folder};
use std::fmt::Write;

/// Partitions that a scenario runs in.
const PARTITIONS: [u32; 2] = [1, 7];

/// 2028-01-01T00:00:00Z.
const END: Timestamp = Timestamp(1_830_297_600_000);

#[test]
fn first_year() {
    check("first_year");
}

#[test]
fn refunds() {
    check("refunds");
}

#[test]
fn late_events() {
    check("late_events");
}

#[test]
fn subscription() {
    check("subscription");
}

#[test]
fn advocacy() {
    check("advocacy");
}

#[test]
fn activity() {
    check("activity");
}

#[test]
fn value_mode() {
    check("value_mode");
}

#[test]
fn value_tier() {
    check("value_tier");
}

#[test]
fn qualification() {
    check("qualification");
}

#[test]
fn satisfaction() {
    check("satisfaction");
}

#[test]
fn engagement() {
    check("engagement");
}

/// From the first visit to advocate, to lapse, to reactivation; told in `README.md`.
#[test]
fn story() {
    check("story");
}

#[test]
fn rfm() {
    check("rfm");
}

#[test]
fn lifecycle() {
    check("lifecycle");
}

#[test]
fn audience() {
    check("audience");
}

#[test]
fn regions() {
    check("regions");
}

#[test]
fn consent() {
    check("consent");
}

#[test]
fn erase() {
    check("erase");
}

#[test]
fn anti_flap() {
    check("anti_flap");
}

#[test]
fn dwell() {
    check("dwell");
}

#[test]
fn roles() {
    check("roles");
}

/// Records lie anywhere, some of them in two partitions.
#[test]
fn rekeyed() {
    check("rekeyed");
}

/// Visitors who get known, two of one customer, one of two, one of nobody.
#[test]
fn known() {
    check("known");
}

/// Customers who are one: in a chain, twice, into each other, before they are seen, after an erase.
#[test]
fn merges() {
    check("merges");
}

/// Revenue of the referred, refunds taken back, two referrers, an own referral by a merge.
#[test]
fn referrals() {
    check("referrals");
}

/// People come to an account and leave it, its champion too; only it is qualified.
#[test]
fn accounts() {
    check("accounts");
}

/// More orders in a week than are kept exactly.
#[test]
fn many_orders() {
    check("many_orders");
}

/// An erase through redirects, with what accounts and referrers know.
#[test]
fn erase_ties() {
    check("erase_ties");
}

fn check(name: &str) {
    let scenario = std::fs::read_to_string(folder().join(format!("{name}.jsonl"))).expect("read");
    let calm = run(name, &scenario, PARTITIONS[0], false);
    for partitions in PARTITIONS {
        for restart in [false, true] {
            let other = run(name, &scenario, partitions, restart);
            assert_eq!(calm, other, "{name}: {partitions} partitions, restarts: {restart}");
        }
    }
    insta::with_settings!({ snapshot_path => "golden", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, calm);
    });
}

/// The changes that the lines make, one line each.
fn run(name: &str, scenario: &str, partitions: u32, restart: bool) -> String {
    let told_more = folder().join(format!("{name}.toml")).exists();
    let mut tasks = Tasks::new(told_more.then_some(name), partitions);
    let (mut written, mut known) = (String::new(), Known::new());
    let mut write = |tasks: &mut Tasks, line: &str| {
        writeln!(written, "{line}").expect("write");
        write_changes(tasks.take_changes(), &mut written, told_more);
        let committed = tasks.commit();
        if told_more {
            write_more(&committed, &mut known, &mut written);
        }
    };
    for line in scenario.lines() {
        match other_rules(line) {
            Some(other) => tasks.judge_by(&other),
            None => tasks.read(line),
        }
        write(&mut tasks, &line_of(line));
        if restart {
            tasks.restart();
        }
    }
    tasks.advance_to(END);
    write(&mut tasks, "silence");
    written
}

/// The rules that a line asks for.
fn other_rules(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    line["rules"].as_str().map(str::to_owned)
}

/// What is shown of a line: when, who, with whom, and what.
fn line_of(line: &str) -> String {
    if let Some(rules) = other_rules(line) {
        return format!("the rules are now {rules}");
    }
    let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let fields = [
        "occurred_at",
        "customer_id",
        "anonymous_id",
        "account_id",
        "kind",
        "from_customer_id",
        "referred_customer_id",
    ];
    let text = |field: &str| event[field].as_str().map(str::to_owned);
    fields.into_iter().filter_map(text).collect::<Vec<_>>().join(" ")
}
