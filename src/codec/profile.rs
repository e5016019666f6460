//! Profiles as records of the `customers` topic; HTTP and `replay` write the same JSON.
//!
//! Adds nothing to a [`Profile`] and leaves nothing out. Next: `encode.rs`.

use crate::codec::change::{HoldoutRecord, NextRecord, holdout_record, next_record};
use crate::codec::encode::{Encoder, Map, OutputFormat, Time};
use crate::codec::schema::CUSTOMERS;
use crate::domain::change::{Profile, ProfileDimension, Scores};
use crate::domain::time::Timestamp;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// Writes profiles.
#[derive(Debug)]
pub struct ProfileEncoder {
    encoder: Encoder,
}

impl ProfileEncoder {
    /// An encoder for the topic's format.
    #[must_use]
    pub fn new(format: OutputFormat) -> Self {
        Self { encoder: Encoder::new(&CUSTOMERS, format) }
    }

    /// Replaces what the buffer holds by the profile.
    pub fn encode(&mut self, profile: &Profile, into: &mut Vec<u8>) {
        let record = record(profile, self.encoder.writes_text());
        self.encoder.encode(&record, into);
    }
}

#[derive(Serialize)]
struct ProfileRecord<'a> {
    customer_id: &'a str,
    seq: u64,
    as_of: Time,
    dimensions: Dimensions<'a>,
    scores: Option<ScoresRecord>,
    facts: FactsRecord,
    next: Vec<NextRecord<'a>>,
    holdout: HoldoutRecord,
    traits: Map<'a, String, String>,
    consent: Map<'a, String, bool>,
}

struct Dimensions<'a> {
    dimensions: &'a [ProfileDimension],
    as_text: bool,
}

#[derive(Serialize)]
struct DimensionRecord<'a> {
    value: &'a str,
    raw: &'a str,
    since: Option<Time>,
}

#[derive(Serialize)]
struct ScoresRecord {
    r: u8,
    f: u8,
    m: u8,
    frequency: u64,
    monetary_minor: i64,
    cuts: &'static str,
}

#[derive(Serialize)]
struct FactsRecord {
    orders: u64,
    net_minor: i64,
    average_order_minor: Option<i64>,
    first_order_at: Option<Time>,
    last_order_at: Option<Time>,
    recency_days: Option<f64>,
    average_gap_days: Option<f64>,
    expected_gap_days: Option<f64>,
}

fn record(profile: &Profile, as_text: bool) -> ProfileRecord<'_> {
    let time = |at: Timestamp| Time { at, as_text };
    let facts = &profile.facts;
    ProfileRecord {
        customer_id: &profile.customer_id,
        seq: profile.seq,
        as_of: time(profile.as_of),
        dimensions: Dimensions { dimensions: &profile.dimensions, as_text },
        scores: profile.scores.map(scores_record),
        facts: FactsRecord {
            orders: facts.orders,
            net_minor: facts.net_minor,
            average_order_minor: facts.average_order_minor,
            first_order_at: facts.first_order_at.map(time),
            last_order_at: facts.last_order_at.map(time),
            recency_days: profile.recency_days,
            average_gap_days: facts.average_gap_days,
            expected_gap_days: facts.expected_gap_days,
        },
        next: profile.next.iter().map(|next| next_record(next, as_text)).collect(),
        holdout: holdout_record(profile.holdout),
        traits: Map(&profile.traits),
        consent: Map(&profile.consent),
    }
}

fn scores_record(scores: Scores) -> ScoresRecord {
    ScoresRecord {
        r: scores.r,
        f: scores.f,
        m: scores.m,
        frequency: scores.frequency,
        monetary_minor: scores.monetary_minor,
        cuts: scores.cuts,
    }
}

impl Serialize for Dimensions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.dimensions.len()))?;
        for dimension in self.dimensions {
            let record = DimensionRecord {
                value: &dimension.value,
                raw: &dimension.raw,
                since: dimension.since.map(|at| Time { at, as_text: self.as_text }),
            };
            map.serialize_entry(&dimension.name, &record)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests;
