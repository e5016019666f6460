//! Records of the internal topics `state` and `control`: keys, versions, progress.
//!
//! A binary reads its version and refuses newer ones; it never guesses. The packed customer
//! itself is `domain/pack.rs`. Next: `runtime/restore.rs`, which reads these records back.

use crate::domain::mark::{Mark, SaltedId};
use crate::domain::progress::{FIRST_LINEAGE, Phase, Progress};
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The version that is written: the first byte of every value in `state`.
pub const VERSION: u8 = 3;

/// The version before, which is read: its customers are tied to nobody, all else is the same.
const VERSION_BEFORE: u8 = VERSION - 1;

/// Key of a task's progress.
pub const PROGRESS_KEY: &[u8] = b"p";

const CUSTOMER_KEY: u8 = b'c';
const ERASED_KEY: u8 = b'e';
const WAITING_KEY: u8 = b'w';

/// Key of the lineage in `control`.
pub const LINEAGE_KEY: &[u8] = b"lineage";

/// What a record of `state` is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StateKey<'a> {
    /// A customer, by id.
    Customer(&'a str),
    /// The task's progress.
    Progress,
    /// Somebody who was erased.
    Erased(SaltedId),
    /// A record of the relay that waits, by number.
    Waiting(u64),
}

/// Why a record of an internal topic cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StateError {
    /// Written by a newer program.
    #[error(
        "version {0} is newer than {VERSION}, the newest that this program reads; \
         hint: run the newer program again"
    )]
    Newer(u8),
    /// Not what this program writes.
    #[error("the record is damaged: {0}")]
    Damaged(String),
}

impl StateError {
    fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }
}

/// Fills `key` with the key of a customer's state.
pub fn customer_key(id: &str, key: &mut Vec<u8>) {
    key.clear();
    key.push(CUSTOMER_KEY);
    key.extend_from_slice(id.as_bytes());
}

/// Reads a key of `state`.
///
/// # Errors
/// When the key is none that this program writes.
pub fn parse_key(key: &[u8]) -> Result<StateKey<'_>, StateError> {
    match key.split_first() {
        Some((&CUSTOMER_KEY, id)) => std::str::from_utf8(id)
            .map(StateKey::Customer)
            .map_err(|_| StateError::damaged("the customer id is not UTF-8")),
        _ if key == PROGRESS_KEY => Ok(StateKey::Progress),
        Some((&ERASED_KEY, id)) => SaltedId::try_from(id)
            .map(StateKey::Erased)
            .map_err(|_| StateError::damaged("the hash of an erased id has another length")),
        Some((&WAITING_KEY, number)) => <[u8; 8]>::try_from(number)
            .map(|number| StateKey::Waiting(u64::from_be_bytes(number)))
            .map_err(|_| StateError::damaged("the number of what waits has another length")),
        _ => Err(StateError::damaged("an unknown key")),
    }
}

/// Fills `value` with the version and a packed customer.
pub fn frame(packed: &[u8], value: &mut Vec<u8>) {
    value.clear();
    value.push(VERSION);
    value.extend_from_slice(packed);
}

/// The bytes behind the version: this one, or the one before.
///
/// # Errors
/// When the version is newer, or there is none.
pub fn unframe(value: &[u8]) -> Result<&[u8], StateError> {
    match value.split_first() {
        Some((VERSION_BEFORE..=VERSION, rest)) => Ok(rest),
        Some((&version, _)) if version > VERSION => Err(StateError::Newer(version)),
        Some((version, _)) => Err(StateError::damaged(format!(
            "version {version} is older than {VERSION_BEFORE}, the oldest that this program reads; \
             hint: the program before reads it and writes it anew"
        ))),
        None => Err(StateError::damaged("it has no version")),
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenProgress {
    next_offsets: [i64; 3],
    highest: [i64; 3],
    clock: i64,
    commit_counter: u64,
    customers: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    erased: u64,
    #[serde(default, skip_serializing_if = "is_none")]
    erasures: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    waiting: u64,
    partitions: u32,
    rules_revision: u32,
    rules_hash: String,
    fold_hash: String,
    latest_order_at: i64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    rates: String,
    rfm_values: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    audiences: Vec<String>,
    lineage: u32,
    control_offset: i64,
    cursor: Option<u64>,
    phase: WrittenPhase,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenPhase {
    Live,
    Silent([i64; 3]),
    Baseline,
    Purging,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
const fn is_none(number: &u32) -> bool {
    *number == 0
}

/// Fills `key` with the key of an erased customer.
pub fn erased_key(id: &SaltedId, key: &mut Vec<u8>) {
    key.clear();
    key.push(ERASED_KEY);
    key.extend_from_slice(id);
}

/// Fills `key` with the key of a record that waits; its value is that of the relay.
pub fn waiting_key(number: u64, key: &mut Vec<u8>) {
    key.clear();
    key.push(WAITING_KEY);
    key.extend_from_slice(&number.to_be_bytes());
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMark {
    until: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Box<str>>,
}

/// The value of a mark: the version, then JSON.
///
/// # Panics
/// Never: numbers and texts are always JSON.
#[must_use]
#[expect(clippy::expect_used, reason = "numbers and texts are always JSON")]
pub fn encode_mark(mark: &Mark) -> Vec<u8> {
    let mut value = vec![VERSION];
    let written = WrittenMark { until: mark.until.0, to: mark.to.clone() };
    serde_json::to_writer(&mut value, &written).expect("written to a vector");
    value
}

/// Reads [`encode_mark`].
///
/// # Errors
/// When the bytes are no mark, or of a newer version.
pub fn decode_mark(value: &[u8]) -> Result<Mark, StateError> {
    let written: WrittenMark = serde_json::from_slice(unframe(value)?)
        .map_err(|error| StateError::damaged(error.to_string()))?;
    Ok(Mark { until: Timestamp(written.until), to: written.to })
}

/// The value of a progress record: the version, then JSON.
#[must_use]
pub fn encode_progress(progress: &Progress) -> Vec<u8> {
    let written = WrittenProgress {
        next_offsets: progress.next_offsets,
        highest: progress.highest.map(|at| at.0),
        clock: progress.clock.0,
        commit_counter: progress.commit_counter,
        customers: progress.customers,
        erased: progress.erased,
        erasures: progress.erasures,
        waiting: progress.waiting,
        partitions: progress.partitions,
        rules_revision: progress.rules_revision,
        rules_hash: progress.rules_hash.clone(),
        fold_hash: progress.fold_hash.clone(),
        latest_order_at: progress.latest_order_at.0,
        rates: progress.rates.clone(),
        rfm_values: progress.rfm_values.clone(),
        audiences: progress.audiences.clone(),
        lineage: progress.lineage,
        control_offset: progress.control_offset,
        cursor: progress.cursor,
        phase: match progress.phase {
            Phase::Live => WrittenPhase::Live,
            Phase::Silent(ends) => WrittenPhase::Silent(ends),
            Phase::Baseline => WrittenPhase::Baseline,
            Phase::Purging => WrittenPhase::Purging,
        },
    };
    let mut value = vec![VERSION];
    // Numbers, strings and arrays always have a JSON form.
    if let Ok(json) = serde_json::to_vec(&written) {
        value.extend_from_slice(&json);
    }
    value
}

/// Reads a progress record.
///
/// # Errors
/// When it is newer or damaged.
pub fn decode_progress(value: &[u8]) -> Result<Progress, StateError> {
    let json = unframe(value)?;
    let written: WrittenProgress =
        serde_json::from_slice(json).map_err(|error| StateError::damaged(error.to_string()))?;
    Ok(Progress {
        next_offsets: written.next_offsets,
        highest: written.highest.map(Timestamp),
        clock: Timestamp(written.clock),
        commit_counter: written.commit_counter,
        customers: written.customers,
        erased: written.erased,
        erasures: written.erasures,
        waiting: written.waiting,
        partitions: written.partitions,
        rules_revision: written.rules_revision,
        rules_hash: written.rules_hash,
        fold_hash: written.fold_hash,
        latest_order_at: Timestamp(written.latest_order_at),
        rates: written.rates,
        rfm_values: written.rfm_values,
        audiences: written.audiences,
        lineage: written.lineage,
        control_offset: written.control_offset,
        cursor: written.cursor,
        phase: match written.phase {
            WrittenPhase::Live => Phase::Live,
            WrittenPhase::Silent(ends) => Phase::Silent(ends),
            WrittenPhase::Baseline => Phase::Baseline,
            WrittenPhase::Purging => Phase::Purging,
        },
    })
}

#[derive(Serialize, Deserialize)]
struct WrittenLineage {
    kind: String,
    version: u32,
    lineage: u32,
    #[serde(default)]
    began_at: i64,
    #[serde(default)]
    rules_revision: u32,
    #[serde(default)]
    baseline: bool,
}

/// A lineage: one computation of everything from the inputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lineage {
    /// From 1; +1 per rebuild.
    pub number: u32,
    /// When the rebuild was asked for; [`Timestamp::MIN`] for the first lineage.
    pub began_at: Timestamp,
    /// Whether its tasks begin with a baseline, whoever runs them.
    pub baseline: bool,
    /// Revision of the rules that it was begun with; tasks of a lower one do not run in it.
    pub rules_revision: u32,
}

impl Lineage {
    /// The lineage before any rebuild.
    pub const FIRST: Self = Self {
        number: FIRST_LINEAGE,
        began_at: Timestamp::MIN,
        baseline: false,
        rules_revision: 0,
    };
}

/// The value of the lineage record of `control`: JSON in the shape of `schemas/control.avsc`.
#[must_use]
pub fn encode_lineage(lineage: Lineage) -> Vec<u8> {
    let written = WrittenLineage {
        kind: "lineage".to_owned(),
        version: 1,
        lineage: lineage.number,
        began_at: lineage.began_at.0,
        baseline: lineage.baseline,
        rules_revision: lineage.rules_revision,
    };
    serde_json::to_vec(&written).unwrap_or_default()
}

/// Reads a lineage record.
///
/// # Errors
/// When it is damaged.
pub fn decode_lineage(value: &[u8]) -> Result<Lineage, StateError> {
    serde_json::from_slice::<WrittenLineage>(value)
        .map(|written| Lineage {
            number: written.lineage,
            began_at: Timestamp(written.began_at),
            rules_revision: written.rules_revision,
            baseline: written.baseline,
        })
        .map_err(|error| StateError::damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_comes_back_as_it_was_written() {
        let progress = Progress {
            next_offsets: [1, 2, 3],
            highest: [Timestamp(5), Timestamp::MIN, Timestamp(7)],
            clock: Timestamp(-4),
            commit_counter: 9,
            customers: 10,
            erased: 2,
            erasures: 5,
            waiting: 8,
            partitions: 12,
            rules_revision: 3,
            rules_hash: "3f9a".into(),
            fold_hash: "9c".into(),
            latest_order_at: Timestamp(6),
            rates: "GBP,USD 00000000000000ff".into(),
            rfm_values: vec!["champions".into()],
            audiences: vec!["vip".into()],
            lineage: 2,
            control_offset: 11,
            cursor: Some(u64::MAX),
            phase: Phase::Silent([4, 5, 6]),
        };
        assert_eq!(decode_progress(&encode_progress(&progress)), Ok(progress));
    }

    #[test]
    fn newer_and_damaged_records_are_told_apart() {
        assert_eq!(unframe(&[VERSION_BEFORE, 7]), Ok(&[7][..]));
        assert!(matches!(unframe(&[VERSION_BEFORE - 1, 7]), Err(StateError::Damaged(_))));
        assert_eq!(unframe(&[VERSION + 1, 0]), Err(StateError::Newer(VERSION + 1)));
        assert!(matches!(unframe(&[]), Err(StateError::Damaged(_))));
        assert!(matches!(decode_progress(&[VERSION, b'{']), Err(StateError::Damaged(_))));
        assert_eq!(parse_key(b"cc-1"), Ok(StateKey::Customer("c-1")));
        assert_eq!(parse_key(b"p"), Ok(StateKey::Progress));
        let mut key = Vec::new();
        waiting_key(u64::MAX - 1, &mut key);
        assert_eq!(parse_key(&key), Ok(StateKey::Waiting(u64::MAX - 1)));
        assert!(parse_key(b"x").is_err() && parse_key(b"w1").is_err());
        let lineage =
            Lineage { number: 4, began_at: Timestamp(9), baseline: true, rules_revision: 3 };
        assert_eq!(decode_lineage(&encode_lineage(lineage)), Ok(lineage));
    }
}
