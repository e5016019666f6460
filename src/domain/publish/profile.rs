//! A customer as others see them: the `customers` topic, HTTP, `replay --customers`.
//!
//! Computed from the state and the rules for an instant; stores nothing. Next: `codec/profile.rs`.

use crate::domain::change::{CauseKind, Evidence, Facts, Holdout, NextChange, Scores};
use crate::domain::customer::Customer;
use crate::domain::dimension::{Dimension, Published};
use crate::domain::dimensions::view::View;
use crate::domain::facts::perceived_value::{PerceivedValue, perceived_value};
use crate::domain::facts::preferred::{discount_dependence, preferred};
use crate::domain::facts::revenue::earned;
use crate::domain::facts::surveys::Topic;
use crate::domain::name::Name;
use crate::domain::publish::ahead::Ahead;
use crate::domain::publish::anti_flap::allowed_at;
use crate::domain::publish::consent::is_withheld;
use crate::domain::publish::holdout::bucket;
use crate::domain::raw::{Measured, evidence};
use crate::domain::rules::Rules;
use crate::domain::subject::Subject;
use crate::domain::time::{DAY_MS, Timestamp};

/// Days over which the trailing revenue goes.
const YEAR_DAYS: i64 = 365;

/// A customer as others see them.
#[derive(Clone, PartialEq, Debug)]
pub struct Profile {
    /// The subject's id.
    pub customer_id: String,
    /// Whose it is.
    pub subject: Subject,
    /// `seq` of the last change.
    pub seq: u64,
    /// The instant that raw values and ages are computed for.
    pub as_of: Timestamp,
    /// Every dimension of the subject that is judged, in their fixed order.
    pub dimensions: Vec<ProfileDimension>,
    /// RFM scores.
    pub scores: Option<Scores>,
    /// Facts about orders.
    pub facts: Facts,
    /// Facts about everything else.
    pub more: MoreFacts,
    /// Answers by survey.
    pub surveys: Vec<(&'static str, SurveyFacts)>,
    /// The next change of each dimension that time alone will bring.
    pub next: Vec<NextChange>,
    /// The hold-out bucket; treated where no dimension holds the customer out.
    pub holdout: Holdout,
    /// Traits.
    pub traits: Vec<(String, String)>,
    /// Purposes and whether they are allowed.
    pub consent: Vec<(String, bool)>,
}

/// One dimension of a [`Profile`].
#[derive(Clone, PartialEq, Debug)]
pub struct ProfileDimension {
    /// Name of the dimension.
    pub name: Name,
    /// The published value.
    pub value: Name,
    /// The raw value at `as_of`.
    pub raw: Name,
    /// Since when `value` is published; of the initial one: since the customer is known.
    pub since: Option<Timestamp>,
    /// What brought the last change; `None` before any.
    pub cause: Option<CauseKind>,
    /// The value that waits to be published, and until when; `None` = for the customer's consent,
    /// or for the next evaluation.
    pub pending: Option<(Name, Option<Timestamp>)>,
    /// The numbers behind the raw value, as of now.
    pub evidence: Vec<Evidence>,
}

/// Facts that are no counts of orders; money in minor units of the base currency.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MoreFacts {
    /// Days since the last counting order.
    pub recency_days: Option<f64>,
    /// When the next order is expected: the expected gap after the last one.
    pub expected_next_order_at: Option<Timestamp>,
    /// Subscriptions that run.
    pub running_subscriptions: u32,
    /// Revenue earned in the last 365 days, subscriptions day by day.
    pub net_365d_minor: i64,
    /// That revenue as of a whole year, for customers of less than a year.
    pub annualised_net_minor: i64,
    /// Marketing costs, messages included.
    pub marketing_cost_minor: i64,
    /// Service costs, minutes of support included.
    pub service_cost_minor: i64,
    /// Acquisition costs.
    pub acquisition_cost_minor: i64,
    /// Net revenue less all costs.
    pub financial_value_minor: i64,
    /// Messages up to the day of the first counting order.
    pub touches_before_first_order: u64,
    /// Net revenue of the trailing window of `value_mode` by that of the window before.
    pub net_revenue_retention: Option<f64>,
    /// What customers say they get for what it costs them.
    pub perceived_value: Option<PerceivedValue>,
    /// Days since both sides last spoke: an order, an answer, a question.
    pub attention_gap_days: Option<f64>,
    /// The score of `engagement`.
    pub engagement_score: f64,
    /// Interactions.
    pub interactions: u64,
    /// Share of the counting orders with a coupon.
    pub discount_dependence: Option<f64>,
    /// The category preferred.
    pub preferred_category: Option<String>,
    /// The channel preferred.
    pub preferred_channel: Option<String>,
    /// Sum of the MEDDIC scores that count; `None` without any.
    pub meddic_sum: Option<u32>,
    /// Invitations that were accepted.
    pub accepted_referrals: u32,
    /// What the referred have spent, net; no part of the net revenue.
    pub referred_revenue_minor: i64,
    /// Contacts that are active; `None` of persons.
    pub contacts: Option<u32>,
}

/// Answers to one survey.
#[derive(Clone, PartialEq, Debug)]
pub struct SurveyFacts {
    /// The latest score.
    pub last: Option<u8>,
    /// When it was given.
    pub at: Timestamp,
    /// Mean of all scores.
    pub mean: Option<f64>,
    /// How many.
    pub count: u64,
    /// The latest reasons, latest first.
    pub reasons: Vec<String>,
}

/// The profile of a customer as of `at`.
#[must_use]
pub fn profile(customer: &Customer, rules: &Rules, at: Timestamp) -> Profile {
    let view = View::new(customer, rules, at);
    let present = Measured::whole(&view, at);
    let bucket = bucket(&customer.id, &rules.holdout);
    let audiences = rules.audiences.iter().map(|audience| Dimension::Audience(audience.number));
    let subject = Subject::of(&customer.id);
    let dimensions = rules.judged.of(subject).chain(audiences);
    let most_held = rules.holdout.held.iter().max().copied().unwrap_or(0);
    Profile {
        customer_id: customer.id.clone(),
        subject,
        seq: customer.seq,
        as_of: at,
        dimensions: dimensions.map(|it| profile_dimension(&view, it, &present)).collect(),
        scores: present.scores,
        facts: present.facts.written(&customer.book, &view.thresholds.gap, at),
        more: more_facts(&view, &present),
        surveys: surveys(customer),
        next: Ahead::of(&view, &present).all(rules).collect(),
        holdout: Holdout { bucket, treated: bucket >= most_held },
        traits: customer
            .traits
            .iter()
            .flat_map(|traits| &traits.entries)
            .map(|(name, _, value)| (name.to_string(), value.to_string()))
            .collect(),
        consent: customer
            .consent
            .iter()
            .flat_map(|consent| &consent.entries)
            .map(|(name, _, permitted)| (name.to_string(), *permitted))
            .collect(),
    }
}

fn profile_dimension(
    view: &View<'_>,
    dimension: Dimension,
    present: &Measured,
) -> ProfileDimension {
    let View { customer, rules, .. } = view;
    let Published { value, since, seq, cause, .. } = customer.published(dimension);
    let target = present.target(view, dimension, value);
    let raw = match dimension {
        Dimension::Audience(_) => target,
        _ => present.value(dimension),
    };
    let pending = (target != value).then(|| {
        let until = allowed_at(customer, dimension, target, rules);
        // Time alone brings no consent.
        let withheld = is_withheld(customer, dimension, rules);
        let until = Some(until).filter(|until| *until > present.at && !withheld);
        (dimension.value_name(target, rules), until)
    });
    let name = |value: u8| dimension.value_name(value, rules);
    ProfileDimension {
        name: dimension.name(rules),
        value: name(value),
        raw: name(raw),
        since: Some(since),
        cause: (seq > 0).then_some(cause),
        pending,
        evidence: evidence(view, dimension, present, present, value),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people; decisions use integers")]
fn more_facts(view: &View<'_>, present: &Measured) -> MoreFacts {
    let View { customer, rules, facts, .. } = view;
    let at = present.at;
    let days = |since: Timestamp| at.since(since) as f64 / DAY_MS as f64;
    let spending = customer.spending.as_deref();
    let interactions = customer.interactions.as_deref();
    let year_ago = at.plus_days(-YEAR_DAYS).plus_ms(-1);
    let net_365d_minor = earned(&customer.book, &rules.rates, year_ago, at);
    let contact_at = interactions.map(|it| it.contact_at).filter(|it| *it != Timestamp::MIN);
    let contact_at = contact_at.max(facts.last_activity_at);
    let last_at = facts.last_activity_at;
    let [category, channel] = preferred(customer, &rules.fold);
    let counting = |order: &crate::domain::facts::order::Order| order.net_minor(&rules.rates) > 0;
    let mode = &present.value_mode;
    MoreFacts {
        recency_days: facts.last_counting_at.map(|it| days(it).max(0.0)),
        expected_next_order_at: last_at.map(|it| present.activity.gap.passed_at(it, 1).plus_ms(-1)),
        running_subscriptions: present.subscriptions,
        net_365d_minor,
        annualised_net_minor: annualised(view, net_365d_minor, at),
        marketing_cost_minor: spending.map_or(0, |it| it.marketing_minor),
        service_cost_minor: spending.map_or(0, |it| it.service_minor),
        acquisition_cost_minor: spending.map_or(0, |it| it.acquisition_minor),
        financial_value_minor: present.value_tier.financial_value_minor,
        touches_before_first_order: spending
            .map_or(0, |it| it.touches_until(facts.first_counting_at.map(Timestamp::day))),
        net_revenue_retention: (mode.before_minor > 0)
            .then(|| mode.now_minor as f64 / mode.before_minor as f64),
        perceived_value: customer
            .surveys
            .as_deref()
            .and_then(|surveys| perceived_value(surveys, &view.thresholds.perceived, at)),
        attention_gap_days: contact_at.map(|it| days(it).max(0.0)),
        engagement_score: present.engagement.score_milli as f64 / 1000.0,
        interactions: interactions.map_or(0, |it| it.total),
        discount_dependence: discount_dependence(customer, counting),
        preferred_category: category.map(str::to_owned),
        preferred_channel: channel.map(str::to_owned),
        meddic_sum: Some(present.qualification.sum).filter(|sum| *sum > 0),
        accepted_referrals: customer.ties.as_ref().map_or(0, |ties| ties.accepted),
        referred_revenue_minor: customer.ties.as_ref().map_or(0, |it| it.referred_revenue_minor),
        contacts: Dimension::Contacts
            .is_of(Subject::of(&customer.id))
            .then_some(present.contacts.active),
    }
}

/// What was earned in the last 365 days, as of a whole year: of a customer of less than a year by
/// the days since the first order, but at least the gap that is expected of anybody.
fn annualised(view: &View<'_>, net_365d_minor: i64, at: Timestamp) -> i64 {
    let Some(first_at) = view.facts.first_counting_at else { return 0 };
    let least = view.thresholds.gap.prior_days.min(YEAR_DAYS);
    let days = (at.since(first_at) / DAY_MS + 1).clamp(least, YEAR_DAYS);
    let yearly = i128::from(net_365d_minor) * i128::from(YEAR_DAYS) / i128::from(days);
    i64::try_from(yearly).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "for people; small numbers")]
fn surveys(customer: &Customer) -> Vec<(&'static str, SurveyFacts)> {
    let Some(surveys) = &customer.surveys else { return Vec::new() };
    let answered = Topic::ALL.into_iter().filter_map(|topic| Some((topic, surveys.of(topic)?)));
    let facts = answered.map(|(topic, answers)| {
        let mean = (answers.scored > 0).then(|| answers.sum as f64 / answers.scored as f64);
        let facts = SurveyFacts {
            last: answers.score,
            at: answers.last.at,
            mean,
            count: answers.count,
            reasons: answers.reasons.iter().map(|(_, reason)| reason.to_string()).collect(),
        };
        (topic.name(), facts)
    });
    facts.collect()
}
