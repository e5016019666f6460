//! Who is held out: a stable bucket of each subject, and what of it is treated.
//!
//! Held-out customers are told like others, with `treated` false: who sends messages compares.

use crate::domain::change::Holdout;
use crate::domain::dimension::{Dimension, Place};
use crate::domain::id::hash64;
use crate::domain::rules::{HoldoutRules, Rules};

/// The bucket of a subject: the hash of salt and id modulo 100.
#[must_use]
pub fn bucket(subject_id: &str, rules: &HoldoutRules) -> u8 {
    let salted = format!("{}\0{subject_id}", rules.salt);
    u8::try_from(hash64(&salted) % 100).unwrap_or(0)
}

/// The bucket, and whether messages about a dimension may go out.
#[must_use]
pub fn holdout(subject_id: &str, dimension: Dimension, rules: &Rules) -> Holdout {
    let bucket = bucket(subject_id, &rules.holdout);
    let held = match dimension.place() {
        Place::BuiltIn(place) => rules.holdout.held[place],
        Place::Audience(number) => rules.audience(number).map_or(0, |audience| audience.held),
    };
    Holdout { bucket, treated: bucket >= held }
}
