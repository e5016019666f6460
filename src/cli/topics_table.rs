//! The topics as a table: what exists, and beside it what the configuration says where it differs.
//!
//! Judges nothing; `kafka/topics.rs` does. Next: `topics_remarks.rs`, what
//! a difference means.

use crate::kafka::topics::{TopicReport, TopicStatus};

const HEAD: [&str; 6] = [
    "topic",
    "partitions",
    "cleanup.policy",
    "retention",
    "min.insync.replicas",
    "max.message.bytes",
];
const DAY_MS: i64 = 86_400_000;

/// The table, a line for each topic.
pub(super) fn topics_table(report: &TopicReport) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(report.topics.iter().map(row));
    let widths: [usize; HEAD.len()] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    if rows.iter().skip(1).flatten().any(|cell| cell.contains('(')) {
        text.push_str("(in parentheses: as configured, where that differs)\n");
    }
    text
}

fn row(topic: &TopicStatus) -> [String; HEAD.len()] {
    let configured = &topic.configured;
    let Some(partitions) = topic.partitions else {
        return [
            topic.name.clone(),
            format!("missing ({})", configured.partitions),
            format!("- ({})", configured.cleanup_policy),
            cell(None, configured.retention_ms, duration),
            cell(None, Some(configured.min_insync), number),
            cell(None, configured.max_message_bytes, at_least),
        ];
    };
    let retention = match (configured.retention_ms, topic.cleanup_policy.as_deref()) {
        // Kafka has a number here too, and does not use it.
        (None, Some("compact")) => "last of each key".to_owned(),
        (configured, _) => cell(topic.retention_ms, configured, duration),
    };
    let bytes = match (topic.max_message_bytes, configured.max_message_bytes) {
        (Some(found), Some(least)) if found >= least => number(found),
        (Some(found), Some(least)) => format!("{found} ({})", at_least(least)),
        (found, _) => cell(found, None, number),
    };
    [
        topic.name.clone(),
        cell(Some(partitions.into()), Some(configured.partitions.into()), number),
        match topic.cleanup_policy.as_deref() {
            Some(found) if found != configured.cleanup_policy => {
                format!("{found} ({})", configured.cleanup_policy)
            }
            found => found.unwrap_or("-").to_owned(),
        },
        retention,
        cell(topic.min_insync, Some(configured.min_insync), number),
        bytes,
    ]
}

/// What was found, or `-`; and what is configured, where it is something else.
fn cell(found: Option<i64>, configured: Option<i64>, show: fn(i64) -> String) -> String {
    match (found, configured) {
        (Some(found), Some(configured)) if found != configured => {
            format!("{} ({})", show(found), show(configured))
        }
        (Some(found), _) => show(found),
        (None, Some(configured)) => format!("- ({})", show(configured)),
        (None, None) => "-".to_owned(),
    }
}

fn number(value: i64) -> String {
    value.to_string()
}

fn at_least(value: i64) -> String {
    format!("at least {value}")
}

pub(super) fn duration(ms: i64) -> String {
    match ms {
        ..0 => "unlimited".to_owned(),
        _ if ms % DAY_MS == 0 => format!("{} d", ms / DAY_MS),
        _ if ms % 3_600_000 == 0 => format!("{} h", ms / 3_600_000),
        _ => format!("{ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::topics::{Configured, Removal};

    fn topic(name: &str, partitions: Option<u32>, policy: &'static str) -> TopicStatus {
        let configured = Configured {
            partitions: 12,
            cleanup_policy: policy,
            retention_ms: (policy == "delete").then_some(30 * DAY_MS),
            min_insync: 2,
            max_message_bytes: None,
        };
        TopicStatus {
            name: name.to_owned(),
            partitions,
            cleanup_policy: partitions.map(|_| policy.to_owned()),
            retention_ms: partitions.map(|_| 30 * DAY_MS),
            min_insync: partitions.map(|_| 2),
            max_message_bytes: partitions.map(|_| 1_048_588),
            removal: Removal::default(),
            configured,
            unfit: Vec::new(),
        }
    }

    #[test]
    fn what_differs_stands_beside_what_is_configured() {
        let mut unfit = topic("shop.dead-letters", Some(6), "delete");
        unfit.cleanup_policy = Some("compact".to_owned());
        unfit.retention_ms = Some(36_000_000);
        unfit.min_insync = Some(1);
        unfit.max_message_bytes = Some(50_000);
        unfit.configured.max_message_bytes = Some(90_048);
        let topics = vec![
            topic("shop.purchases", Some(12), "delete"),
            topic("shop.state", Some(12), "compact"),
            unfit,
            topic("shop.relay", None, "delete"),
        ];
        let report = TopicReport { topics, ..TopicReport::default() };
        let table = topics_table(&report);
        let starts = table.lines().take(5).map(|line| {
            let (_, cells) = line.split_at("shop.dead-letters".len());
            cells.len() - cells.trim_start().len()
        });
        assert!(starts.into_iter().all(|start| start == 2), "{table}");
        let cells = |line: &str| {
            let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
            cells.collect::<Vec<_>>().join(" | ")
        };
        let lines: Vec<String> = table.lines().map(cells).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        topic | partitions | cleanup.policy | retention | min.insync.replicas | max.message.bytes
        shop.purchases | 12 | delete | 30 d | 2 | 1048588
        shop.state | 12 | compact | last of each key | 2 | 1048588
        shop.dead-letters | 6 (12) | compact (delete) | 10 h (30 d) | 1 (2) | 50000 (at least 90048)
        shop.relay | missing (12) | - (delete) | - (30 d) | - (2) | -
        (in parentheses: as configured, where that differs)
        ");
    }

    #[test]
    fn without_a_difference_nothing_is_explained() {
        let topics = vec![topic("shop.purchases", Some(12), "delete")];
        let report = TopicReport { topics, ..TopicReport::default() };
        assert!(!topics_table(&report).contains('('));
    }
}
