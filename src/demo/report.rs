//! The screens of the demo, 80 columns wide: what goes on, and what came of it.
//!
//! Text only; every number was computed elsewhere. Next: `journey_matrix.rs`, the last of them.

use crate::codec::time::format;
use crate::demo::census::{Census, Share};
use crate::demo::feed::{CURRENCY, Counts};
use crate::demo::journal::{Journal, Step};
use crate::domain::time::Timestamp;

/// Columns that a sentence may take.
const WIDTH: usize = 78;

/// Who everybody was at two moments.
pub(super) struct Moments<'a> {
    pub(super) last_order_at: Timestamp,
    pub(super) advanced_to: Timestamp,
    pub(super) before: &'a Census,
    pub(super) after: &'a Census,
}

/// How it went, in records and milliseconds.
pub(super) struct Figures {
    pub(super) counts: Counts,
    pub(super) sent: u64,
    pub(super) read: u64,
    pub(super) streaming_ms: i64,
    pub(super) silence_changes: u64,
    pub(super) silence_ms: i64,
}

/// What the demo is about to do.
pub(super) fn banner(
    servers: &str,
    partitions: u32,
    events: u64,
    counts: &Counts,
    serve: bool,
) -> String {
    let try_it = if serve {
        format!(
            "; while this runs, try\n           kcat -b {servers} -C -t segment-changes -o end -c 3"
        )
    } else {
        String::new()
    };
    format!(
        "\
ebbflow demo: a year of a real shop through Kafka, and then silence

  Orders   UCI Online Retail (Daqing Chen, 2015, CC BY 4.0): {orders} orders
           and {cancellations} cancellations, December 2010 to December 2011
  Around   {interactions} made-up visits, messages and answers, source \"synthetic\"
  Broker   embedded, {partitions} partitions, at {servers}{try_it}
  Path     {events} events -> purchases, interactions -> worker
           -> segment-changes -> read back and checked here
",
        orders = thousands(counts.orders),
        cancellations = thousands(counts.cancellations),
        interactions = thousands(counts.interactions),
        events = thousands(events),
    )
}

/// A table of segments: customers and revenue before and after the silence.
pub(super) fn table(title: &str, names: &[&str], moments: &Moments<'_>, dimension: &str) -> String {
    let (before, after) = (moments.before.of(dimension), moments.after.of(dimension));
    let days = moments.advanced_to.since(moments.last_order_at) / crate::domain::time::DAY_MS;
    let mut text = format!(
        "\n  {title:<20}  last order, {}  {days} days of silence later\n  {:20}  {}  {}\n",
        day(moments.last_order_at),
        "",
        heading(),
        heading(),
    );
    let mut totals = [Share::default(); 2];
    for name in names {
        let shares = [&before, &after].map(|shares| shares.get(*name).copied().unwrap_or_default());
        for (total, share) in totals.iter_mut().zip(shares) {
            total.add(share);
        }
        if shares.iter().any(|share| share.customers > 0) {
            text += &row(&name.replace('_', " "), shares);
        }
    }
    text + &row("all", totals)
}

fn heading() -> String {
    format!("{:>9}  {:>13}", "customers", format!("net {CURRENCY}"))
}

fn row(name: &str, shares: [Share; 2]) -> String {
    let [before, after] = shares
        .map(|share| format!("{:>9}  {:>13}", thousands(share.customers), money(share.net_minor)));
    format!("  {name:<20}  {before}  {after}\n")
}

/// The people who were made up, by lifecycle, at the last order.
pub(super) fn prospects(census: &Census) -> String {
    let lifecycle = census.of("lifecycle");
    let total: u64 = lifecycle.values().map(|share| share.customers).sum();
    let shares: Vec<String> = lifecycle
        .iter()
        .map(|(name, share)| format!("{} in {name}", thousands(share.customers)))
        .collect();
    format!("  Beside them {} made-up prospects: {}\n", thousands(total), shares.join(", "))
}

/// What happened to one customer.
pub(super) fn journey(customer_id: &str, steps: &[&Step]) -> String {
    let mut text = format!("\n  The journey of customer {customer_id}, as the topic tells it\n");
    for step in steps {
        let date = step.occurred_at.get(..10).unwrap_or(&step.occurred_at);
        // Writing to a string cannot fail.
        let dimension = step.dimension.replace('_', " ");
        let line = format!("  {date}  {dimension:<10}  {}", step.summary);
        // The value goes to a line of its own when it does not fit.
        let line = match line.rsplit_once(": ") {
            Some((what, value)) if line.chars().count() > WIDTH + 2 => {
                format!("{what}:\n{:26}{value}", "")
            }
            _ => line,
        };
        text += &line;
        text.push('\n');
    }
    text
}

/// How it went.
pub(super) fn figures(figures: &Figures, journal: &Journal) -> String {
    let Figures { counts, sent, read, .. } = figures;
    let mut causes: Vec<_> = journal.by_cause.iter().collect();
    causes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let causes: Vec<String> =
        causes.iter().map(|(kind, count)| format!("{kind} {}", thousands(**count))).collect();
    let per_second = read * 1000 / u64::try_from(figures.streaming_ms).unwrap_or(0).max(1);
    let lines = [
        format!(
            "{} events sent, {} read: none lost, none doubled",
            thousands(*sent),
            thousands(*read)
        ),
        format!(
            "{} orders, {} cancellations ({} of them fit no order: parked), {} interactions",
            thousands(counts.orders),
            thousands(counts.cancellations),
            thousands(counts.unmatched),
            thousands(counts.interactions)
        ),
        format!(
            "{} changes read back from the topic, each customer's without a gap",
            thousands(journal.count)
        ),
        format!("by cause: {}", causes.join(", ")),
        format!(
            "{} events/s with broker, worker and reader in one process ({})",
            thousands(per_second),
            seconds(figures.streaming_ms)
        ),
        format!(
            "{} changes by silence alone, each stamped with the moment it fell due ({})",
            thousands(figures.silence_changes),
            seconds(figures.silence_ms)
        ),
    ];
    let mut text = "\n  Numbers\n".to_owned();
    for line in lines {
        text += &wrapped(&line);
    }
    text
}

/// What to try next with the program, as it was called; while it serves, not that again.
pub(super) fn next_commands(program: &str, serve: bool) -> String {
    let commands = [
        ("stays up, for kcat and curl", "demo --serve"),
        ("the same logic, without Kafka", "replay examples/story.jsonl"),
        ("the topics on your Kafka", "topics --config FILE --create"),
        ("the service", "run --config FILE"),
    ];
    let lines = commands.iter().skip(usize::from(serve));
    let lines = lines.map(|(what, command)| format!("    # {what}\n    {program} {command}\n"));
    let lines: String = lines.collect();
    format!("\n  Next\n{lines}    # what each word means: docs/dimensions.md\n")
}

/// Where to look while the demo stays up.
pub(super) struct Addresses<'a> {
    pub(super) servers: &'a str,
    pub(super) metrics: String,
    pub(super) admin: String,
    pub(super) customer_id: &'a str,
    /// After everything that happened.
    pub(super) an_order_at: Timestamp,
}

/// What to try while the demo stays up.
pub(super) fn serving(addresses: &Addresses<'_>) -> String {
    let Addresses { servers, metrics, admin, customer_id, an_order_at } = addresses;
    let at = String::from_utf8_lossy(&format(*an_order_at)).into_owned();
    format!(
        r#"
  Still up; Ctrl-C ends it. Follow the changes in one terminal:
    kcat -b {servers} -C -t segment-changes -o end

  Order something for the customer above in another:
    echo '{customer_id}|{{"event_id":"mine-1","kind":"order_completed",
    "customer_id":"{customer_id}","occurred_at":"{at}",
    "order_id":"mine-1","amount_minor":4200,"currency":"{CURRENCY}"}}' | tr -d '\n' |
    kcat -b {servers} -P -t purchases -K '|' -X partitioner=murmur2_random

  And look around:
    curl -s http://{admin}/customers/{customer_id}
    curl -s http://{metrics}/metrics
    curl -s http://{metrics}/readyz
    curl -s http://{metrics}/tasks
"#
    )
}

/// A line of the list, continued where it gets too long.
pub(super) fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut line = "   ".to_owned();
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines += &line;
            lines.push('\n');
            line = "     ".to_owned();
        }
        line.push(' ');
        line += word;
    }
    lines + &line + "\n"
}

/// `1,234,567`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1,234,567.89`.
pub(super) fn money(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let minor = minor.unsigned_abs();
    format!("{sign}{}.{:02}", thousands(minor / 100), minor % 100)
}

fn seconds(ms: i64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

/// `2011-12-09`.
pub(super) fn day(at: Timestamp) -> String {
    String::from_utf8_lossy(&format(at)[..10]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::census::Shares;
    use crate::demo::journal::Expansion;
    use crate::demo::journey_matrix::{dimensions, headline, matrix};

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([5, -5, 123_456_789].map(money), ["0.05", "-0.05", "1,234,567.89"]);
        assert_eq!(seconds(12_345), "12.3 s");
        assert_eq!(day(Timestamp(86_400_000)), "1970-01-02");
    }

    #[test]
    fn everything_fits_80_columns() {
        let share = Share { customers: 4_372, net_minor: 838_738_533 };
        let of = |value: &str| Shares::from([(value.to_owned(), share)]);
        let by_dimension = [
            ("rfm", of("potential_loyalist")),
            ("lifecycle", of("consideration")),
            ("activity", of("at_risk")),
            ("qualification", of("none")),
            ("audience:win-back", of("in")),
        ];
        let cell = ("consideration".to_owned(), "contracting".to_owned());
        let census = Census {
            by_dimension: by_dimension.map(|(name, shares)| (name.to_owned(), shares)).into(),
            matrix: [(cell, share)].into(),
        };
        let map = &config().rules.thresholds.rfm.map;
        let expansion = Expansion { customers: 4_372, window_minor: 838_738_533 };
        let moments = Moments {
            last_order_at: Timestamp(0),
            advanced_to: Timestamp(0).plus_days(120),
            before: &census,
            after: &census,
        };
        let counts =
            Counts { orders: 18_536, cancellations: 3_654, unmatched: 220, interactions: 100_000 };
        let numbers = Figures {
            counts,
            sent: 100_000,
            read: 100_000,
            streaming_ms: 10_000,
            silence_changes: 20_000,
            silence_ms: 1_000,
        };
        let causes = ["event", "timer", "late_event", "refund", "merge", "thresholds"];
        let by_cause = causes.map(|cause| (cause.to_owned(), 10_000)).into();
        let mut journal = Journal::default();
        journal.by_cause = by_cause;
        let addresses = Addresses {
            servers: "127.0.0.1:65535",
            metrics: "127.0.0.1:65535".to_owned(),
            admin: "127.0.0.1:65535".to_owned(),
            customer_id: "12345",
            an_order_at: Timestamp(0),
        };
        let names = ["potential_loyalist", "none"];
        let text = banner("127.0.0.1:65535", 16, 100_000, &counts, true)
            + &table("RFM segment", &names, &moments, "rfm")
            + &prospects(&census)
            + &figures(&numbers, &journal)
            + &dimensions(&census, map)
            + &matrix(&census, "2011-12-09")
            + &headline(&expansion)
            + &next_commands("target/release/ebbflow", false)
            + &serving(&addresses);
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(!text.contains("none  "), "{text}");
        assert!(text.contains("qualification: unknown: no sales talks in the data"), "{text}");
        assert!(text.contains("8,387k"), "{text}");
    }

    fn config() -> crate::config::Config {
        crate::demo::load(&[]).expect("a valid configuration").config
    }
}
