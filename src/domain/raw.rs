//! Raw values: a pure function of facts, rules and an instant.
//!
//! What was published before plays no part here, but for the hysteresis of [`Raw::target`].
//! Next: `dimensions`, which judge; `look_ahead.rs`, what time does to them;
//! `publish/evaluate.rs`, which compares.

use crate::domain::change::{Evidence, Scores};
use crate::domain::customer::Customer;
use crate::domain::dimension::{self, Dimension, Judged, Place};
use crate::domain::dimensions::lifecycle::{self, Decider, Stage};
use crate::domain::dimensions::rfm::{self, Measures};
use crate::domain::dimensions::view::View;
use crate::domain::dimensions::{
    activity, contacts, engagement, qualification, satisfaction, value_mode, value_tier,
};
use crate::domain::facts::order_facts::{OrderFacts, running};
use crate::domain::rules::Rules;
use crate::domain::subject::Subject;
use crate::domain::time::Timestamp;

/// What the dimensions rest on at an instant, and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// The instant.
    pub at: Timestamp,
    /// Counts over all orders.
    pub facts: OrderFacts,
    /// Subscriptions that run.
    pub subscriptions: u32,
    /// What R, F and M measure; `None` without a counting order.
    pub rfm: Option<Measures>,
    /// RFM scores; `None` without a counting order.
    pub scores: Option<Scores>,
    /// The stage, and what decided.
    pub lifecycle: (Stage, Decider),
    /// Of `activity`.
    pub activity: activity::Measure,
    /// Of `value_mode`.
    pub value_mode: value_mode::Measure,
    /// Of `value_tier`.
    pub value_tier: value_tier::Measure,
    /// Of `engagement`.
    pub engagement: engagement::Measure,
    /// Of `satisfaction`.
    pub satisfaction: satisfaction::Measure,
    /// Of `qualification`.
    pub qualification: qualification::Measure,
    /// Of `contacts`.
    pub contacts: contacts::Measure,
    /// The raw values, by [`Dimension::place`].
    pub values: [u8; dimension::COUNT],
}

/// Measures a customer at an instant: what the dimensions that are judged rest on.
#[must_use]
pub fn measure(customer: &Customer, rules: &Rules, at: Timestamp) -> Measured {
    Measured::of(&View::new(customer, rules, at), at)
}

impl Measured {
    /// Measures at an instant what the dimensions that are judged rest on.
    #[must_use]
    pub fn of(view: &View<'_>, at: Timestamp) -> Self {
        Self::part(view, at, view.rules.judged)
    }

    /// Measures everything at an instant.
    #[must_use]
    pub fn whole(view: &View<'_>, at: Timestamp) -> Self {
        Self::part(view, at, Judged::ALL)
    }

    /// Measures at an instant what some dimensions rest on; the others have their first values.
    #[must_use]
    pub fn part(view: &View<'_>, at: Timestamp, judged: Judged) -> Self {
        let View { customer, rules, thresholds, facts } = view;
        let rfm = rfm::measures(&customer.book, facts, &rules.rates, &thresholds.rfm, at);
        let scores = rfm.map(|measures| rfm::scores(&measures, &thresholds.rfm));
        let cell = scores.map_or(rfm::NONE, |scores| rfm::value(&scores, &thresholds.rfm));
        let subject = Subject::of(&customer.id);
        let asked = |dimension: Dimension| dimension.is_of(subject) && judged.has(dimension);
        let lifecycle = match asked(Dimension::Lifecycle) {
            true => lifecycle::raw(view, at),
            false => (Stage::Awareness, Decider::Nothing),
        };
        let activity = asked(Dimension::Activity).then(|| activity::measure(view, at));
        let value_mode = asked(Dimension::ValueMode).then(|| value_mode::measure(view, at));
        let value_tier = asked(Dimension::ValueTier).then(|| value_tier::measure(view));
        let engagement = asked(Dimension::Engagement).then(|| engagement::measure(view, at));
        let satisfaction = asked(Dimension::Satisfaction).then(|| satisfaction::measure(view, at));
        let qualification =
            asked(Dimension::Qualification).then(|| qualification::measure(view, at));
        let contacts = asked(Dimension::Contacts).then(|| contacts::measure(view, at));
        let activity = activity.unwrap_or_default();
        let value_mode = value_mode.unwrap_or_default();
        let value_tier = value_tier.unwrap_or_default();
        let engagement = engagement.unwrap_or_default();
        let satisfaction = satisfaction.unwrap_or_default();
        let qualification = qualification.unwrap_or_default();
        let contacts = contacts.unwrap_or_default();
        let values = [
            rules.names.rfm_value(cell),
            lifecycle.0 as u8,
            activity.value as u8,
            value_mode.value as u8,
            value_tier.value,
            engagement.value,
            satisfaction.value,
            qualification.value,
            contacts.value,
        ];
        Self {
            at,
            facts: *facts,
            subscriptions: running(&customer.book, &thresholds.gap, at),
            rfm,
            scores,
            values,
            lifecycle,
            activity,
            value_mode,
            value_tier,
            engagement,
            satisfaction,
            qualification,
            contacts,
        }
    }

    /// The raw value of a dimension that is no audience.
    #[must_use]
    pub fn value(&self, dimension: Dimension) -> u8 {
        match dimension.place() {
            Place::BuiltIn(place) => self.values[place],
            Place::Audience(_) => dimension::INITIAL,
        }
    }

    /// What is to be published of a dimension in which `published` is: the raw value, unless
    /// hysteresis keeps the customer where it is.
    #[must_use]
    pub fn target(&self, view: &View<'_>, dimension: Dimension, published: u8) -> u8 {
        match dimension {
            Dimension::Engagement => self.engagement.target(published),
            Dimension::Audience(number) => {
                let rule = view.rules.audience(number);
                u8::from(rule.is_some_and(|audience| audience.predicate.holds(view, self)))
            }
            _ => self.value(dimension),
        }
    }
}

/// The numbers that a change of a dimension rests on; `published` is the value that it takes.
#[must_use]
pub fn evidence(
    view: &View<'_>,
    dimension: Dimension,
    before: &Measured,
    after: &Measured,
    published: u8,
) -> Vec<Evidence> {
    let at = [before.at, after.at];
    match dimension {
        Dimension::Rfm => rfm::evidence(view, before, after),
        Dimension::Lifecycle => lifecycle::evidence(view, before, after),
        Dimension::Activity => activity::evidence(view, &before.activity, &after.activity, at),
        Dimension::ValueMode => value_mode::evidence(view, before, after),
        Dimension::ValueTier => value_tier::evidence(view, before, after),
        Dimension::Engagement => {
            engagement::evidence(view, &before.engagement, &after.engagement, published)
        }
        Dimension::Satisfaction => {
            satisfaction::evidence(view, &before.satisfaction, &after.satisfaction, at)
        }
        Dimension::Qualification => {
            qualification::evidence(view, &before.qualification, &after.qualification, at)
        }
        Dimension::Contacts => contacts::evidence(view, &before.contacts, &after.contacts, at),
        Dimension::Audience(number) => view
            .rules
            .audience(number)
            .map(|audience| audience.predicate.evidence(view, before, after))
            .unwrap_or_default(),
    }
}
