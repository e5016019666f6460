//! A change, complete: whoever encodes it adds nothing.
//!
//! Next: `summary.rs`, its sentence; `codec/change.rs`, its bytes.

use crate::domain::change::{
    Cause, CauseKind, Change, ChangeId, Direction, Facts, Group, Origin, Rule,
};
use crate::domain::customer::Customer;
use crate::domain::dimension::{Dimension, stage};
use crate::domain::dimensions::lifecycle::Stage;
use crate::domain::dimensions::view::View;
use crate::domain::name::Name;
use crate::domain::publish::ahead::Ahead;
use crate::domain::publish::consent::{is_refused, permitted, purpose_of};
use crate::domain::publish::context::Context;
use crate::domain::publish::holdout::holdout;
use crate::domain::publish::summary::summary;
use crate::domain::raw::Measured;
use crate::domain::rules::Rules;
use crate::domain::subject::Subject;
use crate::domain::time::Timestamp;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A change with all that does not depend on the value before.
pub(super) fn change(
    customer: &Customer,
    dimension: Dimension,
    after: &Measured,
    ahead: &Ahead,
    kind: CauseKind,
    context: &Context<'_>,
) -> Change {
    let rules = context.rules;
    let value = customer.published(dimension).value;
    let detected_at = context.now.unwrap_or(after.at);
    let passed = ahead.of_dimension(dimension).is_some_and(|(at, _)| at <= detected_at);
    let news = is_news(after.at, detected_at, rules) && after.at > context.rebuilt_at;
    let backfill = kind.is_backfill();
    let view = View::of(customer, rules, after.facts, after.at);
    Change {
        change_id: change_id(customer, context),
        seq: customer.seq,
        customer_id: customer.id.clone(),
        subject: Subject::of(&customer.id).name(),
        dimension: dimension.name(rules),
        previous: None,
        current: Some(dimension.value_name(value, rules)),
        direction: Direction::Lateral,
        entry: 0,
        occurred_at: after.at,
        detected_at,
        cause: Cause { kind, event_id: None, occurred_at: None, origin: None },
        rule: Rule { identity: rules.identity.clone(), id: dimension.rule_id(value, rules) },
        evidence: Vec::new(),
        scores: after.scores,
        facts: match rules.output.compact {
            true => Facts::default(),
            false => after.facts.written(&customer.book, &view.thresholds.gap, after.at),
        },
        dimensions: Arc::default(),
        dwell_ms: 0,
        next: ahead.first(rules),
        group: Group::default(),
        holdout: holdout(&customer.id, dimension, rules),
        owner_role: None,
        previous_owner_role: None,
        consent: match rules.output.compact {
            true => Vec::new(),
            false => consent(customer, dimension, rules),
        },
        summary: String::new(),
        correction_of: None,
        backfill,
        actionable: !backfill && !passed && news && !is_refused(customer, dimension, rules),
        run_id: context.run_id.filter(|_| backfill).map(ToOwned::to_owned),
    }
}

/// What the customer permits, and whether the purpose of the change is.
fn consent(customer: &Customer, dimension: Dimension, rules: &Rules) -> Vec<(String, bool)> {
    let entries = customer.consent.iter().flat_map(|consent| &consent.entries);
    let mut consent: Vec<_> =
        entries.map(|(name, _, permitted)| (name.to_string(), *permitted)).collect();
    if let Some((purpose, _)) = purpose_of(dimension, rules)
        && permitted(customer, purpose).is_none()
    {
        consent.push((purpose.to_owned(), false));
    }
    consent
}

/// Whether something is seen soon enough for automation to act on it.
pub(super) fn is_news(at: Timestamp, detected_at: Timestamp, rules: &Rules) -> bool {
    detected_at.since(at) <= rules.output.act_within_ms
}

/// Fills in what is known only when all changes of a cause are.
pub(super) fn close_group(customer: &Customer, context: &Context<'_>, group: &mut [Change]) {
    let Some(id) = group.first().map(|change| change.change_id) else { return };
    let size = u32::try_from(group.len()).unwrap_or(u32::MAX);
    let rules = context.rules;
    let subject = Subject::of(&customer.id);
    let named = |dimension: Dimension| {
        let value = customer.published(dimension).value;
        (dimension.name(rules), dimension.value_name(value, rules))
    };
    let audiences = rules.audiences.iter().map(|audience| Dimension::Audience(audience.number));
    let all = rules.judged.of(subject).chain(audiences);
    let dimensions: Option<Arc<[(Name, Name)]>> =
        (!rules.output.compact).then(|| all.map(named).collect());
    let stage_now = customer.published(Dimension::Lifecycle).value;
    // Who has no stage is owned by nobody.
    let has_stage = rules.judged.of(subject).any(|dimension| dimension == Dimension::Lifecycle);
    let owner_role = role(stage(stage_now), rules).filter(|_| has_stage);
    for (index, change) in (1..).zip(group) {
        change.owner_role.clone_from(&owner_role);
        if change.dimension == *Dimension::Lifecycle.built_in_name() {
            let previous = change.previous.as_deref();
            let before = Stage::ALL.into_iter().find(|stage| Some(stage.name()) == previous);
            change.previous_owner_role = before.and_then(|stage| role(stage, rules));
        }
        change.group = Group { id, index, size };
        if let Some(dimensions) = &dimensions {
            change.dimensions = Arc::clone(dimensions);
            change.summary = summary(change, rules);
        }
    }
}

/// Who owns customers in a stage; `None` = nobody.
fn role(stage: Stage, rules: &Rules) -> Option<Name> {
    Some(rules.roles[stage as usize].clone()).filter(|role| !role.is_empty())
}

pub(super) fn origin((topic, partition, offset): (&Name, u32, i64)) -> Origin {
    let partition = i32::try_from(partition).unwrap_or(i32::MAX);
    Origin { topic: topic.clone(), partition, offset }
}

/// The first 16 bytes of SHA-256 over the length-prefixed application id and customer id and the
/// big-endian lineage, incarnation and `seq`.
fn change_id(customer: &Customer, context: &Context<'_>) -> ChangeId {
    let mut hasher = Sha256::new();
    for text in [context.application_id, &customer.id] {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.update(context.lineage.to_be_bytes());
    hasher.update(customer.incarnation.to_be_bytes());
    hasher.update(customer.seq.to_be_bytes());
    let digest = hasher.finalize();
    let (half, _) = digest.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
    ChangeId(*half)
}
