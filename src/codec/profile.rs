//! Profiles as records of the `customers` topic; HTTP and `replay` write the same JSON.
//!
//! Adds nothing to a [`Profile`]; the topic leaves out the evidence. Next: `encode.rs`.

use crate::codec::change::{EvidenceList, HoldoutRecord, NextRecord, holdout_record, next_record};
use crate::codec::encode::{Encoder, Map, OutputFormat, OwnedMap, Time};
use crate::codec::schema::CUSTOMERS;
use crate::domain::change::{CauseKind, Scores};
use crate::domain::name::Name;
use crate::domain::publish::profile::Profile;
use crate::domain::time::Timestamp;
use serde::Serialize;

/// Writes profiles.
#[derive(Debug)]
pub struct ProfileEncoder {
    encoder: Encoder,
    evidence: bool,
}

impl ProfileEncoder {
    /// An encoder for the topic's format.
    #[must_use]
    pub fn new(format: OutputFormat) -> Self {
        Self { encoder: Encoder::new(&CUSTOMERS, format), evidence: false }
    }

    /// An encoder for people: JSON with the evidence of each dimension.
    #[must_use]
    pub fn with_evidence() -> Self {
        Self { evidence: true, ..Self::new(OutputFormat::Json) }
    }

    /// Replaces what the buffer holds by the profile.
    pub fn encode(&mut self, profile: &Profile, into: &mut Vec<u8>) {
        let record = record(profile, self.encoder.writes_text(), self.evidence);
        self.encoder.encode(&record, into);
    }
}

#[derive(Serialize)]
struct ProfileRecord<'a> {
    customer_id: &'a str,
    subject: &'static str,
    seq: u64,
    as_of: Time,
    dimensions: OwnedMap<Name, DimensionRecord<'a>>,
    scores: Option<ScoresRecord>,
    facts: FactsRecord<'a>,
    surveys: OwnedMap<&'static str, SurveyRecord<'a>>,
    next: Vec<NextRecord<'a>>,
    holdout: HoldoutRecord,
    traits: Map<'a, String, String>,
    consent: Map<'a, String, bool>,
}

#[derive(Serialize)]
struct DimensionRecord<'a> {
    value: &'a str,
    raw: &'a str,
    since: Option<Time>,
    cause: Option<&'static str>,
    pending: Option<PendingRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<EvidenceList<'a>>,
}

#[derive(Serialize)]
struct PendingRecord<'a> {
    value: &'a str,
    until: Option<Time>,
}

#[derive(Serialize)]
struct SurveyRecord<'a> {
    last: Option<u8>,
    at: Time,
    mean: Option<f64>,
    count: u64,
    reasons: &'a [String],
}

#[derive(Serialize)]
struct PerceivedRecord {
    benefit: f64,
    cost: f64,
    ratio: f64,
    difference: f64,
    against_alternative: Option<f64>,
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
struct FactsRecord<'a> {
    orders: u64,
    net_minor: i64,
    average_order_minor: Option<i64>,
    first_order_at: Option<Time>,
    last_order_at: Option<Time>,
    recency_days: Option<f64>,
    average_gap_days: Option<f64>,
    expected_gap_days: Option<f64>,
    expected_date_of_next_order: Option<Time>,
    running_subscriptions: u32,
    net_365d_minor: i64,
    annualised_net_minor: i64,
    marketing_cost_minor: i64,
    service_cost_minor: i64,
    acquisition_cost_minor: i64,
    financial_value_minor: i64,
    touches_before_first_order: u64,
    net_revenue_retention: Option<f64>,
    perceived_value: Option<PerceivedRecord>,
    attention_gap_days: Option<f64>,
    engagement_score: f64,
    interactions: u64,
    discount_dependence: Option<f64>,
    preferred_category: Option<&'a str>,
    preferred_channel: Option<&'a str>,
    meddic_sum: Option<u32>,
    accepted_referrals: u32,
    referred_revenue_minor: i64,
    contacts: Option<u32>,
}

fn record(profile: &Profile, as_text: bool, with_evidence: bool) -> ProfileRecord<'_> {
    let time = |at: Timestamp| Time { at, as_text };
    let dimensions = profile.dimensions.iter().map(|dimension| {
        let pending = dimension.pending.as_ref();
        let record = DimensionRecord {
            value: &dimension.value,
            raw: &dimension.raw,
            since: dimension.since.map(time),
            cause: dimension.cause.map(CauseKind::name),
            pending: pending.map(|(value, until)| PendingRecord { value, until: until.map(time) }),
            evidence: with_evidence.then_some(EvidenceList(&dimension.evidence)),
        };
        (dimension.name.clone(), record)
    });
    let surveys = profile.surveys.iter().map(|(name, facts)| {
        let record = SurveyRecord {
            last: facts.last,
            at: time(facts.at),
            mean: facts.mean,
            count: facts.count,
            reasons: &facts.reasons,
        };
        (*name, record)
    });
    ProfileRecord {
        customer_id: &profile.customer_id,
        subject: profile.subject.name(),
        seq: profile.seq,
        as_of: time(profile.as_of),
        dimensions: OwnedMap(dimensions.collect()),
        scores: profile.scores.map(scores_record),
        facts: facts_record(profile, as_text),
        surveys: OwnedMap(surveys.collect()),
        next: profile.next.iter().map(|next| next_record(next, as_text)).collect(),
        holdout: holdout_record(profile.holdout),
        traits: Map(&profile.traits),
        consent: Map(&profile.consent),
    }
}

fn facts_record(profile: &Profile, as_text: bool) -> FactsRecord<'_> {
    let time = |at: Timestamp| Time { at, as_text };
    let Profile { facts, more, .. } = profile;
    let perceived = more.perceived_value;
    FactsRecord {
        orders: facts.orders,
        net_minor: facts.net_minor,
        average_order_minor: facts.average_order_minor,
        first_order_at: facts.first_order_at.map(time),
        last_order_at: facts.last_order_at.map(time),
        recency_days: more.recency_days,
        average_gap_days: facts.average_gap_days,
        expected_gap_days: facts.expected_gap_days,
        expected_date_of_next_order: more.expected_next_order_at.map(time),
        running_subscriptions: more.running_subscriptions,
        net_365d_minor: more.net_365d_minor,
        annualised_net_minor: more.annualised_net_minor,
        marketing_cost_minor: more.marketing_cost_minor,
        service_cost_minor: more.service_cost_minor,
        acquisition_cost_minor: more.acquisition_cost_minor,
        financial_value_minor: more.financial_value_minor,
        touches_before_first_order: more.touches_before_first_order,
        net_revenue_retention: more.net_revenue_retention,
        perceived_value: perceived.map(|value| PerceivedRecord {
            benefit: value.benefit,
            cost: value.cost,
            ratio: value.ratio,
            difference: value.difference,
            against_alternative: value.against_alternative,
        }),
        attention_gap_days: more.attention_gap_days,
        engagement_score: more.engagement_score,
        interactions: more.interactions,
        discount_dependence: more.discount_dependence,
        preferred_category: more.preferred_category.as_deref(),
        preferred_channel: more.preferred_channel.as_deref(),
        meddic_sum: more.meddic_sum,
        accepted_referrals: more.accepted_referrals,
        referred_revenue_minor: more.referred_revenue_minor,
        contacts: more.contacts,
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

#[cfg(test)]
mod tests;
