//! What a customer permits, and what that means for what is told.
//!
//! A dimension may serve a purpose, and a purpose has a policy. What is withheld takes no `seq`;
//! when the purpose is permitted, the present values are told with cause `consent`.
//! Next: `evaluate.rs`.

use crate::domain::customer::Customer;
use crate::domain::dimension::{Dimension, Place};
use crate::domain::rules::Rules;

/// What becomes of changes whose purpose is not permitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ConsentPolicy {
    /// They are written, and are not actionable once the purpose is refused.
    #[default]
    Flag,
    /// They are written only while the purpose is permitted.
    Withhold,
    /// They are written as if no purpose were theirs.
    Always,
}

/// The purpose that a dimension serves, and its policy.
#[must_use]
pub fn purpose_of(dimension: Dimension, rules: &Rules) -> Option<(&str, ConsentPolicy)> {
    let purpose = match dimension.place() {
        Place::BuiltIn(place) => rules.consent.purposes[place].as_deref(),
        Place::Audience(number) => rules.audience(number)?.purpose.as_deref(),
    }?;
    let policies = &rules.consent.policies;
    let policy = policies.iter().find(|(known, _)| known == purpose);
    Some((purpose, policy.map_or(ConsentPolicy::Flag, |(_, policy)| *policy)))
}

/// What the customer has said of a purpose; `None` = nothing.
#[must_use]
pub fn permitted(customer: &Customer, purpose: &str) -> Option<bool> {
    customer.consent.as_ref()?.get(purpose).copied()
}

/// Whether changes of a dimension may not be written now.
#[must_use]
pub fn is_withheld(customer: &Customer, dimension: Dimension, rules: &Rules) -> bool {
    match purpose_of(dimension, rules) {
        Some((purpose, ConsentPolicy::Withhold)) => permitted(customer, purpose) != Some(true),
        _ => false,
    }
}

/// Whether the customer has refused what a change is for.
#[must_use]
pub fn is_refused(customer: &Customer, dimension: Dimension, rules: &Rules) -> bool {
    match purpose_of(dimension, rules) {
        Some((_, ConsentPolicy::Always)) | None => false,
        Some((purpose, _)) => permitted(customer, purpose) == Some(false),
    }
}
