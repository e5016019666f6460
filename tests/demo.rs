//! `ebbflow demo`, whole: it ends by itself, and its sums are those of the data.
//!
//! The sums are computed here from the CSV by a program of its own. Next: `src/demo/mod.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output};

const CSV: &str = include_str!("../data/online_retail_uci_orders.csv");

fn demo(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ebbflow"));
    command.arg("demo").args(arguments).output().expect("the binary runs")
}

/// What the orders come to when a cancellation is taken from the customer's latest earlier order
/// that is still large enough.
#[derive(Default)]
struct Sums {
    customers: usize,
    orders: usize,
    cancellations: usize,
    unmatched: usize,
    net_pence: i64,
}

fn sums() -> Sums {
    let mut sums = Sums::default();
    let mut customers = BTreeSet::new();
    // By customer, what is left of each order, newest first.
    let mut left: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for line in CSV.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let (customer, amount, cancelled) = (fields[0], fields[3], fields[6] == "1");
        let (pounds, pence) = amount.trim_start_matches('-').split_once('.').expect("pence");
        let pence = format!("{pence:0<2}").parse::<i64>().expect("two digits");
        let amount = pounds.parse::<i64>().expect("pounds") * 100 + pence;
        customers.insert(customer);
        let left = left.entry(customer).or_default();
        if !cancelled {
            sums.orders += 1;
            left.insert(0, amount);
            continue;
        }
        sums.cancellations += 1;
        match left.iter().position(|rest| *rest >= amount) {
            Some(place) => left[place] -= amount,
            None => sums.unmatched += 1,
        }
    }
    sums.customers = customers.len();
    sums.net_pence = left.values().flatten().sum();
    sums
}

fn thousands(number: i64) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", thousands(number / 1_000), number % 1_000),
    }
}

#[test]
fn the_demo_ends_by_itself_and_its_sums_are_those_of_the_data() {
    let output = demo(&[]);
    let screen = String::from_utf8(output.stdout).expect("the screen is UTF-8");
    let log = String::from_utf8(output.stderr).expect("the log is UTF-8");
    assert_eq!(output.status.code(), Some(0), "{screen}\n{log}");
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    assert!(log.contains("100 % of the events processed"), "{log}");

    let sums = sums();
    assert_eq!((sums.customers, sums.orders, sums.cancellations), (4_372, 18_536, 3_654));
    let count = |count: usize| thousands(i64::try_from(count).expect("a small count"));
    let net = format!("{}.{:02}", thousands(sums.net_pence / 100), sums.net_pence % 100);
    // Both tables, before and after the silence: time moves nobody out of them, and no money.
    let all = format!("{:>9}  {net:>13}", count(sums.customers));
    let totals: Vec<&str> =
        screen.lines().filter(|line| line.trim_start().starts_with("all ")).collect();
    let total = format!("  {:<20}  {all}  {all}", "all");
    assert_eq!(totals[..2], [&total, &total], "{screen}");
    // The last cell of the journey matrix is everybody, and all the money.
    let everybody = totals[2].split_whitespace().next_back().expect("a sum");
    assert_eq!((totals.len(), everybody), (3, count(sums.customers).as_str()), "{screen}");
    assert!(screen.contains(&format!("{}k\n", thousands((sums.net_pence + 50_000) / 100_000))));
    for expected in [
        "last order, 2011-12-09  120 days of silence later".to_owned(),
        format!(
            "{} orders, {} cancellations ({} of them",
            count(sums.orders),
            count(sums.cancellations),
            count(sums.unmatched)
        ),
        "The journey of customer ".to_owned(),
        "customers moved from creating to expanding, worth GBP ".to_owned(),
        "satisfaction: unknown ".to_owned(),
        "qualification: unknown: no sales talks in the data".to_owned(),
        "audience win-back: ".to_owned(),
        "events/s".to_owned(),
        format!("{} demo --serve", env!("CARGO_BIN_EXE_ebbflow")),
        format!("{} replay examples/story.jsonl", env!("CARGO_BIN_EXE_ebbflow")),
    ] {
        assert!(screen.contains(&expected), "\"{expected}\" is not in\n{screen}");
    }
    let of = |name: &str| -> Vec<u64> {
        let line = screen.lines().find(|line| line.trim_start().starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no \"{name}\" in\n{screen}"));
        let plain = line.replace(',', "");
        plain.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    let (champions, lapsed) = (of("champions"), of("lapsed"));
    assert!(champions[0] > 0 && champions[1] == 0, "{screen}");
    assert!(lapsed[1] > lapsed[0], "{screen}");
    // Sent = read, in words that a reader can check.
    let sent = screen.lines().find(|line| line.contains("none lost, none doubled"));
    let sent = sent.expect("the count of events").replace(',', "");
    let numbers: Vec<u64> = sent.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(numbers[0] > 90_000 && numbers[0] == numbers[1], "{sent}");
    // As long as the path that it was called by.
    for line in screen.lines().filter(|line| !line.contains(env!("CARGO_BIN_EXE_ebbflow"))) {
        assert!(line.chars().count() <= 80, "too wide: {line}");
    }
}

#[test]
fn what_the_demo_stands_on_cannot_be_changed() {
    for setting in ["clock=wall", "base_currency=USD", "encoding.purchases=avro"] {
        let output = demo(&["--set", setting]);
        let log = String::from_utf8(output.stderr).expect("the log is UTF-8");
        assert_eq!(output.status.code(), Some(2), "{setting}: {log}");
        assert!(log.contains("the demo "), "{setting}: {log}");
        assert!(output.stdout.is_empty());
    }
}
