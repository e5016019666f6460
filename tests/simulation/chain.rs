//! The changes of one customer, as a consumer sees them: they hang together from the first on.
//!
//! Next: `oracle.rs`.

use crate::simulation::log::Payload;
use crate::simulation::oracle::{Check, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The value of each dimension before there is evidence (contract, section 3).
const INITIAL: [(&str, &str); 9] = [
    ("rfm", "none"),
    ("lifecycle", "awareness"),
    ("activity", "none"),
    ("value_mode", "prospect"),
    ("value_tier", "none"),
    ("engagement", "none"),
    ("satisfaction", "unknown"),
    ("qualification", "none"),
    ("contacts", "none"),
];

/// Of an audience.
const OUT: &str = "out";

/// What was told of a customer since it was first heard of, or heard of again.
struct Life {
    values: BTreeMap<String, String>,
    seq: u64,
    /// Dimensions that a group in the middle has closed.
    closed: BTreeSet<String>,
    revision: u64,
    /// Revisions that judged the customer anew.
    judged: BTreeSet<u64>,
}

impl Life {
    fn new() -> Self {
        let values = INITIAL.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let (closed, judged) = (BTreeSet::new(), BTreeSet::new());
        Self { values, seq: 0, closed, revision: 0, judged }
    }

    /// Dimensions of which something is told.
    fn told(&self) -> impl Iterator<Item = &String> {
        let is_initial = |name: &str, value: &str| initial(name) == value;
        self.values.iter().filter(move |(name, value)| !is_initial(name, value)).map(|it| it.0)
    }
}

fn initial(dimension: &str) -> &'static str {
    INITIAL.iter().find(|(name, _)| *name == dimension).map_or(OUT, |(_, value)| value)
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The changes of one customer hang together; `erased` says whether anybody asked to erase it.
pub(crate) fn check_chain(
    changes: &[&Payload],
    erased: bool,
    change_ids: &mut BTreeSet<String>,
) -> Check {
    let mut life = Life::new();
    let mut group: Option<(String, u64, u64)> = None;
    for change in changes {
        let json: Value = serde_json::from_slice(change.value.as_deref().unwrap_or_default())
            .map_err(|error| format!("a change is no JSON: {error}"))?;
        let seq = json["seq"].as_u64().unwrap_or(0);
        if seq == 1 && life.seq > 0 && erased && group.is_none() {
            // Somebody erased has come back; of what was told nothing is left open.
            let open: Vec<&String> = life.told().collect();
            ensure(open.is_empty(), || format!("{open:?} was not closed by the erase"))?;
            life = Life::new();
        }
        life.seq += 1;
        ensure(seq == life.seq, || format!("{} where {} follows", json["seq"], life.seq))?;
        let change_id = string(&json["change_id"]);
        ensure(change_ids.insert(change_id.clone()), || format!("{change_id} comes twice"))?;
        take(&mut life, &json)?;
        let part = &json["group"];
        let (index, size) = (part["index"].as_u64(), part["size"].as_u64());
        let (Some(index), Some(size)) = (index, size) else {
            return Err(format!("change {seq} has no group"));
        };
        let follows = match &group {
            None => index == 1,
            Some((id, last, of)) => part["id"] == id.as_str() && index == last + 1 && size == *of,
        };
        ensure(follows, || format!("change {seq}: its group {part} is torn"))?;
        check_rules(&mut life, &json, index == 1)?;
        group = (index < size).then(|| (string(&part["id"]), index, size));
        if group.is_none() {
            close_group(&mut life, &json)?;
        }
        ensure(json["dwell_ms"].as_i64().is_some_and(|dwell| dwell >= 0), || {
            format!("change {seq}: dwell {}", json["dwell_ms"])
        })?;
    }
    ensure(group.is_none(), || "the last group is torn".to_owned())
}

/// The change comes from what was told last.
fn take(life: &mut Life, json: &Value) -> Check {
    let (dimension, seq) = (string(&json["dimension"]), life.seq);
    let (closes, kind) = (json["current"].is_null(), &json["cause"]["kind"]);
    ensure(if closes { kind == "erase" || kind == "merge" } else { kind != "erase" }, || {
        format!("change {seq}: {} by {}", json["current"], json["cause"]["kind"])
    })?;
    let first = initial(&dimension);
    let current = if closes { first.to_owned() } else { string(&json["current"]) };
    if closes {
        life.closed.insert(dimension.clone());
    }
    let before = life.values.insert(dimension, current).unwrap_or_else(|| first.to_owned());
    ensure(before == string(&json["previous"]), || {
        format!("change {seq} comes from {} and not {before:?}", json["previous"])
    })
}

/// Revisions only go up, and each judges a customer anew at most once.
fn check_rules(life: &mut Life, json: &Value, first: bool) -> Check {
    let revision = json["rule"]["revision"].as_u64().unwrap_or(0);
    let seq = life.seq;
    let before = std::mem::replace(&mut life.revision, revision);
    ensure(revision >= before, || format!("change {seq}: revision {revision} after {before}"))?;
    if json["cause"]["kind"] != "rules" {
        return ensure(json["backfill"] == false, || format!("change {seq} is a backfill"));
    }
    if first {
        ensure(revision > before && life.judged.insert(revision), || {
            format!("change {seq}: judged by revision {revision} again")
        })?;
    }
    let run_id = format!("rules-{revision}");
    ensure(json["backfill"] == true && json["run_id"] == run_id.as_str(), || {
        format!("change {seq} does not say that it is a backfill")
    })
}

/// The last change of a group tells the values of all dimensions.
fn close_group(life: &mut Life, json: &Value) -> Check {
    let seq = life.seq;
    let closed = std::mem::take(&mut life.closed);
    if !closed.is_empty() {
        let open: Vec<&String> = life.told().collect();
        ensure(open.is_empty(), || format!("change {seq}: {open:?} is not closed"))?;
    }
    let told = json["dimensions"].as_object();
    for (dimension, value) in &life.values {
        // An audience that the rules no longer have is left; not every subject has all dimensions.
        let expected = told
            .and_then(|told| told.get(dimension))
            .map_or(initial(dimension), |told| told.as_str().unwrap_or_default());
        ensure(told.is_some() && expected == value, || {
            format!("change {seq} tells other values: {}", json["dimensions"])
        })?;
    }
    Ok(())
}
