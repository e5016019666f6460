//! What customers say they get for what it costs them: a fact, never a segment.
//!
//! Means of the answered parts, weights renormalised over them; the ratio is the common
//! definition of customer value, the difference is kept beside it. Answers of one instant decide
//! nothing, so floats may be used. Next: `surveys.rs`, the parts.

use crate::domain::facts::surveys::{Part, Side, Surveys};
use crate::domain::rules::PerceivedRules;
use crate::domain::time::Timestamp;

/// Perceived value at an instant; scores from 0 to 10.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PerceivedValue {
    /// Mean of the benefits.
    pub benefit: f64,
    /// Mean of the costs.
    pub cost: f64,
    /// Benefit by cost, the cost taken as at least 1.
    pub ratio: f64,
    /// Benefit less cost.
    pub difference: f64,
    /// The ratio by that of the next-best product, from what was answered about both sides of it.
    pub against_alternative: Option<f64>,
}

/// Perceived value at an instant; `None` with less than one answer a side that still counts.
#[must_use]
pub fn perceived_value(
    surveys: &Surveys,
    rules: &PerceivedRules,
    at: Timestamp,
) -> Option<PerceivedValue> {
    let mean = |side: Side, weights: &[(String, u32)]| {
        let counts = |part: &&Part| part.side == side && at.since(part.at) <= rules.lasts_ms;
        let mut sums = (0.0, 0.0);
        for part in surveys.parts.iter().filter(counts) {
            let weight = weights.iter().find(|(name, _)| **name == *part.name);
            let weight = f64::from(weight.map_or(1, |(_, weight)| *weight));
            sums = (sums.0 + weight * f64::from(part.score), sums.1 + weight);
        }
        (sums.1 > 0.0).then(|| sums.0 / sums.1)
    };
    let ratio = |benefit: f64, cost: f64| benefit / cost.max(1.0);
    let benefit = mean(Side::Benefit, &rules.benefit_weights)?;
    let cost = mean(Side::Cost, &rules.cost_weights)?;
    let other_benefit = mean(Side::AlternativeBenefit, &rules.benefit_weights);
    let other_cost = mean(Side::AlternativeCost, &rules.cost_weights);
    let own = ratio(benefit, cost);
    // Who answered nothing of the other's costs is taken to find them alike.
    let other = other_benefit.map(|benefit| ratio(benefit, other_cost.unwrap_or(cost)));
    Some(PerceivedValue {
        benefit,
        cost,
        ratio: own,
        difference: benefit - cost,
        against_alternative: other.filter(|other| *other > 0.0).map(|other| own / other),
    })
}
