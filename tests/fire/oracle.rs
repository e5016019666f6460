//! What was written under fire, held against `ebbflow replay` of the very same events.
//!
//! Nothing is sampled: every input record, change, profile and dead letter is read back.
//! Next: `report.rs`.

use crate::outputs::{Change, Changes, Expected, change, decode, header, string, timeless};
use crate::program::{Application, PARTITIONS};
use crate::records::{ReadRecord, read_committed};
use crate::workload::Workload;
use ebbflow::domain::id::partition_of;
use std::collections::{BTreeMap, BTreeSet};

/// What was found; nothing is wrong when only `changes` and `customers` are not 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) changes: usize,
    pub(crate) customers: usize,
    /// Changes whose `change_id` had come before.
    pub(crate) doubled: usize,
    /// Changes of the replay that did not come, or came as something else.
    pub(crate) lost: usize,
    /// Changes that the replay has not, or has as something else.
    pub(crate) surplus: usize,
    /// Customers whose changes do not count up from 1.
    pub(crate) gaps: usize,
    pub(crate) wrong_profiles: usize,
    pub(crate) missing_dead_letters: usize,
    pub(crate) doubled_dead_letters: usize,
    /// What was wrong first.
    pub(crate) example: Option<String>,
}

impl Verdict {
    pub(crate) fn is_clean(&self) -> bool {
        let Self { changes, customers, .. } = *self;
        changes > 0 && *self == Self { changes, customers, ..Self::default() }
    }

    fn note(&mut self, example: impl FnOnce() -> String) {
        self.example.get_or_insert_with(example);
    }
}

/// Fails unless the inputs hold the workload, each log in its order: else the load has failed, and
/// nothing can be said of the service.
pub(crate) fn assert_inputs_hold(application: &Application, workload: &Workload) {
    for topic in ["purchases", "interactions"] {
        let mut logs: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
        for line in workload.lines.iter().filter(|line| line.topic == topic) {
            logs.entry(line.partition()).or_default().push(&line.text);
        }
        let mut found: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for record in read_committed(application.bootstrap(), &application.topic(topic)) {
            let text = String::from_utf8(record.value.expect("a value")).expect("UTF-8");
            found.entry(record.partition.cast_unsigned()).or_default().push(text);
        }
        for (partition, texts) in logs {
            assert!(
                found.get(&partition).is_some_and(|found| found.iter().eq(&texts)),
                "the load did not write {topic} {partition} as planned"
            );
        }
    }
}

/// Compares everything.
pub(crate) fn judge(
    application: &Application,
    workload: &Workload,
    expected: &Expected,
) -> Verdict {
    let mut verdict = Verdict { customers: expected.changes.len(), ..Verdict::default() };
    let found = read_changes(application, &mut verdict);
    compare_changes(&found, &expected.changes, &mut verdict);
    compare_profiles(application, expected, &mut verdict);
    compare_dead_letters(application, workload, &mut verdict);
    verdict
}

fn read_changes(application: &Application, verdict: &mut Verdict) -> Changes {
    let mut ids = BTreeSet::new();
    let mut changes = Changes::new();
    for record in read_committed(application.bootstrap(), &application.topic("segment-changes")) {
        let value = decode(record.value.as_deref().expect("a change has a value"), "");
        let (customer, change) = change(&value);
        assert_eq!(record.partition.cast_unsigned(), partition_of(&customer, PARTITIONS));
        verdict.changes += 1;
        if !ids.insert(string(&value["change_id"])) {
            verdict.doubled += 1;
            verdict.note(|| format!("doubled: {value}"));
        }
        changes.entry(customer).or_default().push(change);
    }
    changes
}

fn compare_changes(found: &Changes, expected: &Changes, verdict: &mut Verdict) {
    let customers: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    for customer in customers {
        let (found, expected) = (found.get(customer), expected.get(customer));
        let found = found.map_or(&[][..], Vec::as_slice);
        let expected = expected.map_or(&[][..], Vec::as_slice);
        let mut last = 0;
        // Whoever was erased and comes back begins anew.
        let follows = |change: &Change| {
            let before = std::mem::replace(&mut last, change.seq);
            change.seq == before + 1 || change.seq == 1
        };
        if !found.iter().all(follows) {
            verdict.gaps += 1;
            verdict.note(|| format!("seq of {customer}: {found:#?}"));
        }
        if found != expected {
            let missing_from = |one: &[Change], other: &[Change]| {
                one.iter().filter(|change| !other.contains(change)).count()
            };
            let (lost, surplus) = (missing_from(expected, found), missing_from(found, expected));
            verdict.lost += lost;
            // In another order than expected is wrong too.
            verdict.surplus += if lost == 0 { surplus.max(1) } else { surplus };
            let length = found.len().max(expected.len());
            let at = (0..length).find(|at| found.get(*at) != expected.get(*at));
            let at = at.expect("they differ");
            verdict.note(|| {
                let (found, expected) = (found.get(at), expected.get(at));
                format!("change {at} of {customer}: found {found:#?}, expected {expected:#?}")
            });
        }
    }
}

fn compare_profiles(application: &Application, expected: &Expected, verdict: &mut Verdict) {
    let mut last: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
    for record in read_committed(application.bootstrap(), &application.topic("customers")) {
        last.insert(record.key.expect("a key"), record.value);
    }
    last.retain(|_, value| value.is_some());
    for (customer, expected) in &expected.profiles {
        let found = last.remove(customer.as_bytes()).flatten();
        let found = found.map(|value| timeless(&decode(&value, "")));
        if found.as_ref() != Some(&timeless(expected)) {
            verdict.wrong_profiles += 1;
            verdict.note(|| format!("profile of {customer}: {found:#?}, expected {expected:#}"));
        }
    }
    verdict.wrong_profiles += last.len();
}

fn compare_dead_letters(application: &Application, workload: &Workload, verdict: &mut Verdict) {
    let records = read_committed(application.bootstrap(), &application.topic("dead-letters"));
    let place = |record: &ReadRecord| {
        ["source_topic", "source_partition", "source_offset"].map(|name| header(record, name))
    };
    let places: BTreeSet<[String; 3]> = records.iter().map(place).collect();
    let wanted = workload.lines.iter().filter(|line| !line.readable).count();
    verdict.doubled_dead_letters = records.len() - places.len();
    verdict.missing_dead_letters = wanted.abs_diff(places.len());
    if verdict.missing_dead_letters + verdict.doubled_dead_letters > 0 {
        let (found, distinct) = (records.len(), places.len());
        verdict.note(|| format!("{found} dead letters, {distinct} distinct, {wanted} wanted"));
    }
}

/// Changes of one customer: `seq` and new value of each.
#[cfg(test)]
fn changes(all: &[(u64, &str)]) -> Changes {
    let change = |(seq, current): &(u64, &str)| {
        let value = serde_json::json!({
            "seq": seq, "customer_id": "c-1", "dimension": "rfm", "previous": null,
            "current": current, "occurred_at": 0, "cause": {"kind": "event", "event_id": "e-1"},
            "rule": {"id": "rf-10"},
        });
        change(&value).1
    };
    Changes::from([("c-1".to_owned(), all.iter().map(change).collect())])
}

#[test]
fn what_is_lost_too_much_or_out_of_order_is_found() {
    let expected = changes(&[(1, "a"), (2, "b"), (3, "c")]);
    let verdict = |found: &[(u64, &str)]| {
        let mut verdict = Verdict { changes: 3, ..Verdict::default() };
        compare_changes(&changes(found), &expected, &mut verdict);
        (verdict.lost, verdict.surplus, verdict.gaps, verdict.is_clean())
    };
    assert_eq!(verdict(&[(1, "a"), (2, "b"), (3, "c")]), (0, 0, 0, true));
    assert_eq!(verdict(&[(1, "a"), (2, "b")]), (1, 0, 0, false));
    assert_eq!(verdict(&[(1, "a"), (3, "c")]), (1, 0, 1, false));
    assert_eq!(verdict(&[(1, "a"), (2, "b"), (3, "c"), (4, "d")]), (0, 1, 0, false));
    assert_eq!(verdict(&[(1, "a"), (2, "b"), (2, "b"), (3, "c")]), (0, 1, 1, false));
    assert_eq!(verdict(&[(1, "a"), (2, "x"), (3, "c")]), (1, 1, 0, false));
    assert_eq!(verdict(&[(2, "b"), (1, "a"), (3, "c")]), (0, 1, 1, false));
    assert_eq!(verdict(&[]), (3, 0, 0, false));
}
