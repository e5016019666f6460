//! Segment changes as records of the `segment-changes` topic: value and headers.
//!
//! Adds nothing to a [`Change`] and, unless compact, leaves nothing out. Next: `encode.rs`.

use crate::codec::encode::{Encoder, Map, OutputFormat, Time};
use crate::codec::positional::ONE_OF_MANY;
use crate::codec::schema::SEGMENT_CHANGES;
use crate::domain::change::{Change, ChangeId, Evidence, Facts, NextChange, Number, Scores};
use crate::domain::name::Name;
use crate::domain::time::Timestamp;
use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};

/// Writes segment changes.
#[derive(Debug)]
pub struct ChangeEncoder {
    encoder: Encoder,
    compact: bool,
}

impl ChangeEncoder {
    /// An encoder; `compact` leaves out evidence, facts, dimensions, summary and consent.
    #[must_use]
    pub fn new(format: OutputFormat, compact: bool) -> Self {
        Self { encoder: Encoder::new(&SEGMENT_CHANGES, format), compact }
    }

    /// Replaces what the buffer holds by the change.
    pub fn encode(&mut self, change: &Change, into: &mut Vec<u8>) {
        let record = record(change, self.compact, self.encoder.writes_text());
        self.encoder.encode(&record, into);
    }
}

/// The headers of a change, for filtering without decoding; a value that is null has none.
#[must_use]
pub fn headers(change: &Change) -> Vec<(&'static str, Vec<u8>)> {
    let mut headers = Vec::with_capacity(5);
    headers.push(("dimension", change.dimension.as_bytes().to_vec()));
    if let Some(previous) = &change.previous {
        headers.push(("previous", previous.as_bytes().to_vec()));
    }
    if let Some(current) = &change.current {
        headers.push(("current", current.as_bytes().to_vec()));
    }
    headers.push(("cause", change.cause.kind.name().as_bytes().to_vec()));
    let actionable: &[u8] = if change.actionable { b"true" } else { b"false" };
    headers.push(("actionable", actionable.to_vec()));
    headers
}

#[derive(Serialize)]
struct ChangeRecord<'a> {
    change_id: Hex,
    seq: u64,
    customer_id: &'a str,
    subject: &'a str,
    dimension: &'a str,
    previous: Option<&'a str>,
    current: Option<&'a str>,
    direction: &'static str,
    entry: u32,
    occurred_at: Time,
    detected_at: Time,
    cause: CauseRecord<'a>,
    rule: RuleRecord<'a>,
    #[serde(skip_serializing_if = "Detail::is_absent")]
    evidence: Detail<EvidenceList<'a>>,
    scores: Option<ScoresRecord>,
    #[serde(skip_serializing_if = "Detail::is_absent")]
    facts: Detail<FactsRecord>,
    #[serde(skip_serializing_if = "Detail::is_absent")]
    dimensions: Detail<Map<'a, Name, Name>>,
    dwell_ms: i64,
    next: Option<NextRecord<'a>>,
    group: GroupRecord,
    holdout: HoldoutRecord,
    owner_role: Option<&'a str>,
    previous_owner_role: Option<&'a str>,
    #[serde(skip_serializing_if = "Detail::is_absent")]
    consent: Detail<Map<'a, String, bool>>,
    #[serde(skip_serializing_if = "Detail::is_absent")]
    summary: Detail<&'a str>,
    correction_of: Option<u64>,
    backfill: bool,
    actionable: bool,
    run_id: Option<&'a str>,
}

/// A field that compact records leave out.
enum Detail<T> {
    Present(T),
    /// How Avro leaves out.
    Null,
    /// How JSON leaves out.
    Absent,
}

impl<T> Detail<T> {
    fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T: Serialize> Serialize for Detail<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Present(value) => serializer.serialize_some(value),
            Self::Null | Self::Absent => serializer.serialize_none(),
        }
    }
}

#[derive(Serialize)]
struct CauseRecord<'a> {
    kind: &'static str,
    event_id: Option<&'a str>,
    occurred_at: Option<Time>,
    topic: Option<&'a str>,
    partition: Option<i32>,
    offset: Option<i64>,
}

#[derive(Serialize)]
struct RuleRecord<'a> {
    set: &'a str,
    revision: u32,
    hash: &'a str,
    id: &'a str,
}

pub(super) struct EvidenceList<'a>(pub(super) &'a [Evidence]);

#[derive(Serialize)]
struct EvidenceRecord<'a> {
    name: &'static str,
    op: &'static str,
    threshold: NumberValue<'a>,
    before: NumberValue<'a>,
    after: NumberValue<'a>,
}

struct NumberValue<'a>(&'a Number);

struct Hex(ChangeId);

#[derive(Serialize)]
struct ScoresRecord {
    r: u8,
    f: u8,
    m: u8,
    cuts: &'static str,
}

#[derive(Serialize)]
struct FactsRecord {
    orders: u64,
    net_minor: i64,
    last_order_at: Option<Time>,
    average_gap_days: Option<f64>,
    expected_gap_days: Option<f64>,
}

#[derive(Serialize)]
pub(super) struct NextRecord<'a> {
    at: Time,
    dimension: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct GroupRecord {
    id: Hex,
    index: u32,
    size: u32,
}

#[derive(Serialize)]
pub(super) struct HoldoutRecord {
    bucket: u8,
    treated: bool,
}

fn record(change: &Change, compact: bool, as_text: bool) -> ChangeRecord<'_> {
    let time = |at: Timestamp| Time { at, as_text };
    let origin = change.cause.origin.as_ref();
    let left_out = compact.then_some(as_text);
    ChangeRecord {
        change_id: Hex(change.change_id),
        seq: change.seq,
        customer_id: &change.customer_id,
        subject: change.subject,
        dimension: &change.dimension,
        previous: change.previous.as_deref(),
        current: change.current.as_deref(),
        direction: change.direction.name(),
        entry: change.entry,
        occurred_at: time(change.occurred_at),
        detected_at: time(change.detected_at),
        cause: CauseRecord {
            kind: change.cause.kind.name(),
            event_id: change.cause.event_id.as_deref(),
            occurred_at: change.cause.occurred_at.map(time),
            topic: origin.map(|origin| &*origin.topic),
            partition: origin.map(|origin| origin.partition),
            offset: origin.map(|origin| origin.offset),
        },
        rule: RuleRecord {
            set: &change.rule.identity.set,
            revision: change.rule.identity.revision,
            hash: &change.rule.identity.hash,
            id: &change.rule.id,
        },
        evidence: detail(EvidenceList(&change.evidence), left_out),
        scores: change.scores.map(scores_record),
        facts: detail(facts_record(&change.facts, as_text), left_out),
        dimensions: detail(Map(&change.dimensions), left_out),
        dwell_ms: change.dwell_ms,
        next: change.next.as_ref().map(|next| next_record(next, as_text)),
        group: GroupRecord {
            id: Hex(change.group.id),
            index: change.group.index,
            size: change.group.size,
        },
        holdout: holdout_record(change.holdout),
        owner_role: change.owner_role.as_deref(),
        previous_owner_role: change.previous_owner_role.as_deref(),
        consent: detail(Map(&change.consent), left_out),
        summary: detail(&*change.summary, left_out),
        correction_of: change.correction_of,
        backfill: change.backfill,
        actionable: change.actionable,
        run_id: change.run_id.as_deref(),
    }
}

/// `left_out` is `None` in full records, else whether the record is JSON.
fn detail<T>(value: T, left_out: Option<bool>) -> Detail<T> {
    match left_out {
        None => Detail::Present(value),
        Some(false) => Detail::Null,
        Some(true) => Detail::Absent,
    }
}

fn scores_record(scores: Scores) -> ScoresRecord {
    ScoresRecord { r: scores.r, f: scores.f, m: scores.m, cuts: scores.cuts }
}

fn facts_record(facts: &Facts, as_text: bool) -> FactsRecord {
    FactsRecord {
        orders: facts.orders,
        net_minor: facts.net_minor,
        last_order_at: facts.last_order_at.map(|at| Time { at, as_text }),
        average_gap_days: facts.average_gap_days,
        expected_gap_days: facts.expected_gap_days,
    }
}

pub(super) fn next_record(next: &NextChange, as_text: bool) -> NextRecord<'_> {
    NextRecord { at: Time { at: next.at, as_text }, dimension: &next.dimension, value: &next.value }
}

pub(super) fn holdout_record(holdout: crate::domain::change::Holdout) -> HoldoutRecord {
    HoldoutRecord { bucket: holdout.bucket, treated: holdout.treated }
}

impl Serialize for EvidenceList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for evidence in self.0 {
            list.serialize_element(&EvidenceRecord {
                name: evidence.name,
                op: evidence.op,
                threshold: NumberValue(&evidence.threshold),
                before: NumberValue(&evidence.before),
                after: NumberValue(&evidence.after),
            })?;
        }
        list.end()
    }
}

impl Serialize for NumberValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_json = serializer.is_human_readable();
        match self.0 {
            Number::None => serializer.serialize_none(),
            Number::Integer(value) if is_json => serializer.serialize_i64(*value),
            Number::Decimal(value) if is_json => serializer.serialize_f64(*value),
            Number::Text(text) if is_json => serializer.serialize_str(text),
            Number::Integer(value) => one_of_many(serializer, 1, "long", value),
            Number::Decimal(value) => one_of_many(serializer, 2, "double", value),
            Number::Text(text) => one_of_many(serializer, 3, "string", &**text),
        }
    }
}

/// A branch of a union, by its place in the schema.
fn one_of_many<S: Serializer, T: Serialize + ?Sized>(
    serializer: S,
    place: u32,
    branch: &'static str,
    value: &T,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_variant(ONE_OF_MANY, place, branch, value)
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.0.digits()).unwrap_or_default())
    }
}

#[cfg(test)]
pub(super) mod tests;
