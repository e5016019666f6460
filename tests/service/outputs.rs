//! What the program wrote, held against what `ebbflow replay` says of the same events.
//!
//! Next: `crashes.rs`, the first test that uses it.

use crate::program::{Application, PARTITIONS};
use crate::records::{ReadRecord, read_committed};
use crate::workload::{ADVANCE_TO, Workload};
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use ebbflow::domain::id::partition_of;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What a change has in common with its replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) seq: u64,
    dimension: String,
    previous: Option<String>,
    current: Option<String>,
    occurred_at_ms: i64,
    cause: String,
    event_id: Option<String>,
    rule: String,
}

/// By customer, in order.
pub(crate) type Changes = BTreeMap<String, Vec<Change>>;

/// What has to come out.
pub(crate) struct Expected {
    pub(crate) changes: Changes,
    pub(crate) profiles: BTreeMap<String, Value>,
}

/// Computes it without Kafka, the clocks moved on.
pub(crate) fn replay(application: &Application, workload: &Workload) -> Expected {
    replay_with(application, workload, &["--advance-to", ADVANCE_TO])
}

/// Computes it without Kafka; with more arguments.
pub(crate) fn replay_with(
    application: &Application,
    workload: &Workload,
    arguments: &[&str],
) -> Expected {
    let events = workload.write_file(application.name());
    let (changes, customers) = (events.with_extension("changes"), events.with_extension("people"));
    let partitions = PARTITIONS.to_string();
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let (changes_text, customers_text) = (text(&changes), text(&customers));
    let events_text = text(&events);
    let mut all = vec!["--partitions", &partitions, "--changes", &changes_text];
    all.extend(["--customers", &customers_text, &events_text]);
    all.extend(arguments);
    let output = application.output("replay", &all);
    assert!(output.status.success(), "{output:?}");
    let mut expected = Expected { changes: Changes::new(), profiles: BTreeMap::new() };
    for_each_line(&changes, |value| {
        let (customer, change) = change(&value);
        expected.changes.entry(customer).or_default().push(change);
    });
    for_each_line(&customers, |profile| {
        expected.profiles.insert(string(&profile["customer_id"]), profile);
    });
    let refused = workload.lines.iter().filter(|line| !line.readable).count();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains(&format!(" changes, {refused} dead letters")), "{told}");
    for path in [events, changes, customers] {
        fs::remove_file(path).expect("remove a file");
    }
    expected
}

fn for_each_line(path: &Path, mut take: impl FnMut(Value)) {
    let text = fs::read_to_string(path).expect("read what was replayed");
    for line in text.lines() {
        take(serde_json::from_str(line).expect("JSON"));
    }
}

/// Values of a topic as JSON, whatever their encoding.
pub(crate) fn decode(value: &[u8], schema: &str) -> Value {
    if value.first() != Some(&0) {
        return serde_json::from_slice(value).expect("JSON");
    }
    let schema = Schema::parse_str(schema).expect("a schema");
    // Confluent framing: a zero, four bytes of schema id, the datum.
    let reader = GenericDatumReader::builder(&schema).build().expect("a reader");
    let datum = reader.read_value(&mut &value[5..]).expect("Avro");
    datum.try_into().expect("a JSON form")
}

/// All committed changes, as JSON, in order; each is in its customer's partition, once.
pub(crate) fn committed_changes(application: &Application) -> Vec<Value> {
    let schema = include_str!("../../schemas/segment-changes.avsc");
    let records = read_committed(application.bootstrap(), &application.topic("segment-changes"));
    let mut ids = BTreeSet::new();
    let mut changes = Vec::with_capacity(records.len());
    for record in records {
        let change = decode(record.value.as_deref().expect("a change has a value"), schema);
        let customer = string(&change["customer_id"]);
        assert_eq!(record.key.as_deref(), Some(customer.as_bytes()));
        assert_eq!(record.partition.cast_unsigned(), partition_of(&customer, PARTITIONS));
        assert!(ids.insert(string(&change["change_id"])), "doubled: {change}");
        changes.push(change);
    }
    changes
}

/// Groups by customer what a change has in common with its replay.
pub(crate) fn by_customer(values: &[Value]) -> Changes {
    let mut changes = Changes::new();
    for value in values {
        let (customer, change) = change(value);
        changes.entry(customer).or_default().push(change);
    }
    changes
}

/// Fails at the first customer whose changes differ.
pub(crate) fn assert_same_changes(found: &Changes, expected: &Changes) {
    let customers: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let empty = Vec::new();
    for customer in customers {
        let found = found.get(customer).unwrap_or(&empty);
        let expected = expected.get(customer).unwrap_or(&empty);
        if let Some(place) = (0..found.len().max(expected.len()))
            .find(|place| found.get(*place) != expected.get(*place))
        {
            panic!(
                "change {place} of {customer}: found {:#?}, expected {:#?}",
                found.get(place),
                expected.get(place)
            );
        }
    }
}

/// The last profile of every customer that has one.
pub(crate) fn committed_profiles(application: &Application) -> BTreeMap<String, Value> {
    let schema = include_str!("../../schemas/customers.avsc");
    let records = read_committed(application.bootstrap(), &application.topic("customers"));
    let mut profiles = BTreeMap::new();
    for ReadRecord { key, value, .. } in records {
        let key = String::from_utf8(key.expect("a key")).expect("UTF-8");
        match value {
            Some(value) => profiles.insert(key, decode(&value, schema)),
            None => profiles.remove(&key),
        };
    }
    profiles
}

/// Facts that change with time alone; a profile is not written for what changes no segment.
const FLEETING: [&str; 8] = [
    "recency_days",
    "attention_gap_days",
    "engagement_score",
    "net_365d_minor",
    "annualised_net_minor",
    "net_revenue_retention",
    "perceived_value",
    "running_subscriptions",
];

/// Everything of a profile that does not depend on when it was written.
pub(crate) fn timeless(profile: &Value) -> Value {
    let mut profile = normal(profile);
    let fields = profile.as_object_mut().expect("an object");
    fields.remove("as_of");
    let facts = fields["facts"].as_object_mut().expect("an object");
    facts.retain(|name, _| !FLEETING.contains(&name.as_str()));
    for dimension in fields["dimensions"].as_object_mut().expect("an object").values_mut() {
        // For people: `replay` shows it, the topic does not.
        dimension.as_object_mut().expect("an object").remove("evidence");
    }
    // Scores fall with time; a profile is not written for what changes no segment.
    fields.remove("scores");
    profile
}

/// Times whose names do not end in `_at`.
const TIMES: [&str; 3] = ["at", "since", "expected_date_of_next_order"];

/// The same for JSON and Avro: times in ms, numbers with nine decimals.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| match value {
                Value::String(_) if name.ends_with("_at") || TIMES.contains(&name.as_str()) => {
                    (name.clone(), normal(&ms(value).into()))
                }
                Value::Number(number) if name.ends_with("_days") => {
                    let number = number.as_f64().expect("a number");
                    (name.clone(), format!("{number:.9}").into())
                }
                _ => (name.clone(), normal(value)),
            })
            .collect(),
        Value::Array(values) => values.iter().map(normal).collect(),
        // Avro knows 5.0 from 5, JSON does not, and has nine decimals.
        Value::Number(number) => {
            let number = number.as_f64().expect("a number");
            ((number * 1e9).round() / 1e9).into()
        }
        other => other.clone(),
    }
}

/// Where the dead letters came from: topic, partition, offset.
pub(crate) fn dead_letter_sources(application: &Application) -> Vec<(String, u32, i64)> {
    let records = read_committed(application.bootstrap(), &application.topic("dead-letters"));
    let mut sources: Vec<(String, u32, i64)> = records
        .iter()
        .map(|record| {
            let number = |name| header(record, name).parse::<i64>().expect("a number");
            let partition = u32::try_from(number("source_partition")).expect("a partition");
            (header(record, "source_topic"), partition, number("source_offset"))
        })
        .collect();
    sources.sort();
    sources
}

/// A header's text; empty when it is not there.
pub(crate) fn header(record: &ReadRecord, name: &str) -> String {
    let header = record.headers.iter().find(|(known, _)| known == name);
    header.map_or_else(String::new, |(_, value)| {
        String::from_utf8(value.clone()).expect("headers are text")
    })
}

/// Changes, profiles and dead letters are those of the replay.
pub(crate) fn assert_agrees(application: &Application, workload: &Workload, expected: &Expected) {
    let changes = committed_changes(application);
    assert_same_changes(&by_customer(&changes), &expected.changes);
    let profiles = committed_profiles(application);
    for (customer, expected) in &expected.profiles {
        let found = profiles.get(customer).unwrap_or_else(|| panic!("no profile of {customer}"));
        assert_eq!(timeless(found), timeless(expected), "{customer}");
    }
    assert_eq!(profiles.len(), expected.profiles.len());
    assert_eq!(dead_letter_sources(application).len(), workload.unreadable(application).len());
}

/// Customer and change of a value of `segment-changes`.
pub(crate) fn change(value: &Value) -> (String, Change) {
    let cause = &value["cause"];
    let change = Change {
        seq: value["seq"].as_u64().expect("seq"),
        dimension: string(&value["dimension"]),
        previous: value["previous"].as_str().map(str::to_owned),
        current: value["current"].as_str().map(str::to_owned),
        occurred_at_ms: ms(&value["occurred_at"]),
        cause: string(&cause["kind"]),
        event_id: cause["event_id"].as_str().map(str::to_owned),
        rule: string(&value["rule"]["id"]),
    };
    (string(&value["customer_id"]), change)
}

pub(crate) fn string(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not text: {value}")).to_owned()
}

fn ms(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| {
        let text = string(value);
        text.parse::<jiff::Timestamp>().expect("a time").as_millisecond()
    })
}
