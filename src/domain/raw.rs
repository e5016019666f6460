//! Raw values: a pure function of facts, rules and an instant.
//!
//! What was published before plays no part here, but for the hysteresis of [`Raw::target`].
//! Next: `dimensions`, which judge; `publish/evaluate.rs`, which compares.

use crate::domain::change::{Evidence, Scores};
use crate::domain::customer::Customer;
use crate::domain::dimension::{self, Dimension};
use crate::domain::dimensions::lifecycle::{self, Decider, Stage};
use crate::domain::dimensions::rfm::{self, Measures};
use crate::domain::dimensions::view::View;
use crate::domain::dimensions::{
    activity, engagement, qualification, satisfaction, value_mode, value_tier,
};
use crate::domain::facts::order_facts::{OrderFacts, running};
use crate::domain::rules::Rules;
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
    /// The raw values, by [`Dimension::index`].
    pub values: [u8; dimension::COUNT],
}

/// For each dimension when time alone changes something, and to which value.
pub type NextChanges = [Option<(Timestamp, u8)>; dimension::COUNT];

/// Measures a customer at an instant.
#[must_use]
pub fn measure(customer: &Customer, rules: &Rules, at: Timestamp) -> Measured {
    let view = View::new(customer, rules);
    let (facts, thresholds) = (view.facts, view.thresholds);
    let rfm = rfm::measures(&customer.book, &facts, &rules.rates, &thresholds.rfm, at);
    let scores = rfm.map(|measures| rfm::scores(&measures, &thresholds.rfm));
    let mut measured = Measured {
        at,
        facts,
        subscriptions: running(&customer.book, &thresholds.gap, at),
        rfm,
        scores,
        lifecycle: lifecycle::raw(&view, at),
        activity: activity::measure(&view, at),
        value_mode: value_mode::measure(&view, at),
        value_tier: value_tier::measure(&view),
        engagement: engagement::measure(&view, at),
        satisfaction: satisfaction::measure(&view, at),
        qualification: qualification::measure(&view, at),
        values: [dimension::INITIAL; dimension::COUNT],
    };
    measured.values = Dimension::ALL.map(|dimension| match dimension {
        Dimension::Rfm => scores.map_or(rfm::NONE, |scores| rfm::value(&scores, &thresholds.rfm)),
        Dimension::Lifecycle => measured.lifecycle.0 as u8,
        Dimension::Activity => measured.activity.value as u8,
        Dimension::ValueMode => measured.value_mode.value as u8,
        Dimension::ValueTier => measured.value_tier.value,
        Dimension::Engagement => measured.engagement.value,
        Dimension::Satisfaction => measured.satisfaction.value,
        Dimension::Qualification => measured.qualification.value,
    });
    measured
}

impl Measured {
    /// What is to be published of a dimension in which `published` is: the raw value, unless
    /// hysteresis keeps the customer where it is.
    #[must_use]
    pub fn target(&self, dimension: Dimension, published: u8) -> u8 {
        match dimension {
            Dimension::Engagement => self.engagement.target(published),
            _ => self.values[dimension.index()],
        }
    }
}

/// The next instant after `after` at which time alone changes what is to be published instead of
/// `published` and is now `target`, and to which value.
#[must_use]
pub fn next_target(
    view: &View<'_>,
    dimension: Dimension,
    after: Timestamp,
    target: u8,
    published: u8,
) -> Option<(Timestamp, u8)> {
    match dimension {
        Dimension::Rfm => {
            let (book, facts) = (&view.customer.book, &view.facts);
            rfm::next_change(book, facts, &view.rules.rates, &view.thresholds.rfm, after)
        }
        Dimension::Lifecycle => lifecycle::next_change(view, after, target),
        Dimension::Activity => activity::next_change(view, after, target),
        Dimension::ValueMode => value_mode::next_change(view, after, target),
        Dimension::ValueTier => None,
        Dimension::Engagement => engagement::next_change(view, after, published),
        Dimension::Satisfaction => satisfaction::next_change(view, after, target),
        Dimension::Qualification => qualification::next_change(view, after, target),
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
    }
}
