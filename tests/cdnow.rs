//! The orders of CDNOW through `ebbflow replay`: scores and amounts equal a computation from the
//! published rules that shares nothing with the program.
//!
//! Next: `data/README.md`, where the orders come from.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const CSV: &str = include_str!("../data/cdnow_sample.csv");
const DAY_MS: i64 = 86_400_000;
/// 1998-07-01T00:00:00Z, the day after the last purchase.
const END: &str = "1998-07-01T00:00:00Z";
const END_MS: i64 = 899_251_200_000;

/// The default edges.
const RECENCY_DAYS: [i64; 4] = [30, 90, 180, 365];
const FREQUENCY: [i64; 4] = [1, 2, 4, 8];
const MONETARY_CENTS: [i64; 4] = [5_000, 15_000, 40_000, 100_000];

/// A purchase: noon of its day in UTC, and cents.
struct Purchase {
    number: usize,
    customer: String,
    date: String,
    at_ms: i64,
    cents: i64,
}

fn purchases() -> Vec<Purchase> {
    let rows = CSV.lines().skip(1).enumerate().map(|(number, line)| {
        let fields: Vec<&str> = line.split(',').collect();
        let (dollars, cents) = fields[4].split_once('.').unwrap_or((fields[4], "0"));
        let cents: i64 = format!("{cents:0<2}").parse().expect("two digits");
        Purchase {
            number,
            customer: fields[1].to_owned(),
            date: fields[2].to_owned(),
            at_ms: days_from_epoch(fields[2]) * DAY_MS + DAY_MS / 2,
            cents: dollars.parse::<i64>().expect("dollars") * 100 + cents,
        }
    });
    rows.collect()
}

/// Days from 1970-01-01 by counting the years and months before.
fn days_from_epoch(date: &str) -> i64 {
    let parts: Vec<usize> = date.split('-').map(|part| part.parse().expect("a number")).collect();
    let leap = |year: usize| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let months = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let years: usize = (1970..parts[0]).map(|year| 365 + usize::from(leap(year))).sum();
    let before: usize = months[..parts[1] - 1].iter().sum();
    let extra = usize::from(parts[1] > 2 && leap(parts[0]));
    i64::try_from(years + before + extra + parts[2] - 1).expect("a small number")
}

/// 1 + the number of edges strictly below the value.
fn score(value: i64, edges: [i64; 4]) -> i64 {
    1 + edges.iter().map(|edge| i64::from(value > *edge)).sum::<i64>()
}

/// The cells of `rf-10`.
fn segment(r: i64, f: i64) -> &'static str {
    match (r, f) {
        (5, 4 | 5) => "champions",
        (3 | 4, 4 | 5) => "loyal",
        (4 | 5, 2 | 3) => "potential_loyalist",
        (5, 1) => "new_customer",
        (4, 1) => "promising",
        (3, 3) => "need_attention",
        (3, 1 | 2) => "about_to_sleep",
        (1 | 2, 5) => "cannot_lose",
        (1 | 2, 3 | 4) => "at_risk",
        (1 | 2, 1 | 2) => "hibernating",
        other => panic!("no cell {other:?}"),
    }
}

/// What a customer's profile has to say.
#[derive(PartialEq, Eq, Debug)]
struct Expected {
    orders: i64,
    net_minor: i64,
    /// R, F, M; `None` without an order that counts.
    scores: Option<[i64; 3]>,
    segment: &'static str,
}

fn expected(purchases: &[&Purchase]) -> Expected {
    // An order without a price does not count. The window of 730 days holds all of them.
    let counting: Vec<_> = purchases.iter().filter(|purchase| purchase.cents > 0).collect();
    let orders = i64::try_from(counting.len()).expect("a small count");
    let net_minor = counting.iter().map(|purchase| purchase.cents).sum();
    let scores = counting.iter().map(|purchase| purchase.at_ms).max().map(|last_ms| {
        let silent_ms = END_MS - last_ms;
        let r = 6 - score(silent_ms, RECENCY_DAYS.map(|days| days * DAY_MS));
        [r, score(orders, FREQUENCY), score(net_minor, MONETARY_CENTS)]
    });
    let segment = scores.map_or("none", |[r, f, _]| segment(r, f));
    Expected { orders, net_minor, scores, segment }
}

fn told(profile: &Value) -> Expected {
    let number = |value: &Value| value.as_i64().expect("an integer");
    let segment = profile["dimensions"]["rfm"]["value"].as_str().expect("a segment");
    let scores = &profile["scores"];
    Expected {
        orders: number(&profile["facts"]["orders"]),
        net_minor: number(&profile["facts"]["net_minor"]),
        scores: scores.is_object().then(|| ["r", "f", "m"].map(|name| number(&scores[name]))),
        segment: Box::leak(segment.to_owned().into_boxed_str()),
    }
}

/// A folder that lives as long as this value.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("ebbflow-cdnow-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("the temporary folder goes");
    }
}

/// Replays purchases in the given order with so many partitions; the profiles, sorted.
fn replay(folder: &Path, purchases: &[&Purchase], partitions: u32) -> Vec<String> {
    let mut events = String::new();
    for Purchase { number, customer, date, cents, .. } in purchases {
        write!(events, r#"{{"event_id":"e-{number}","kind":"order_completed","#).expect("text");
        write!(events, r#""customer_id":"{customer}","order_id":"o-{number}","#).expect("text");
        write!(events, r#""occurred_at":"{date}T12:00:00Z","#).expect("text");
        writeln!(events, r#""amount_minor":{cents},"currency":"USD"}}"#).expect("text");
    }
    let (file, profiles) = (folder.join("events.jsonl"), folder.join("profiles.jsonl"));
    std::fs::write(&file, events).expect("the events");
    let output = Command::new(env!("CARGO_BIN_EXE_ebbflow"))
        .args(["replay", "--set", "base_currency=USD", "--advance-to", END])
        .args(["--partitions", &partitions.to_string(), "--customers"])
        .args([&profiles, Path::new("--changes"), &folder.join("changes.jsonl"), &file])
        .output()
        .expect("the binary runs");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(log.contains("replayed 6919 events of 2357 customers"), "{log}");
    assert!(log.contains(" 0 dead letters"), "{log}");
    let text = std::fs::read_to_string(&profiles).expect("the profiles");
    let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// Every profile says what was computed here.
fn check(profiles: &[String], purchases: &[Purchase]) {
    let mut by_customer: BTreeMap<&str, Vec<&Purchase>> = BTreeMap::new();
    for purchase in purchases {
        by_customer.entry(&purchase.customer).or_default().push(purchase);
    }
    assert_eq!(profiles.len(), by_customer.len());
    let mut total = 0;
    for line in profiles {
        let profile: Value = serde_json::from_str(line).expect("JSON");
        let customer = profile["customer_id"].as_str().expect("an id");
        let told = told(&profile);
        assert_eq!(told, expected(&by_customer[customer]), "customer {customer}: {line}");
        total += told.net_minor;
    }
    assert_eq!(total, purchases.iter().map(|purchase| purchase.cents).sum::<i64>());
}

#[test]
fn scores_and_amounts_of_cdnow_equal_an_independent_computation() {
    assert_eq!(days_from_epoch("1998-07-01") * DAY_MS, END_MS);
    let purchases = purchases();
    let folder = TemporaryFolder::new();
    // As the file has them, customer by customer: nearly every event is late.
    let by_customer: Vec<&Purchase> = purchases.iter().collect();
    check(&replay(&folder.0, &by_customer, 1), &purchases);
    // As they happened.
    let mut by_time = by_customer;
    by_time.sort_by_key(|purchase| purchase.at_ms);
    let profiles = replay(&folder.0, &by_time, 1);
    check(&profiles, &purchases);
    assert!(profiles == replay(&folder.0, &by_time, 7), "partitions change nothing");
}
