//! Raw values become published ones: the changes of one cause, complete, in one group.
//!
//! Takes no decision of its own about a value; `raw.rs` does. Next: `anti_flap.rs`, what has to
//! wait; `summary.rs`, the sentence of a change.

use crate::domain::change::{Cause, CauseKind, Change, ChangeId, Group, NextChange, Origin, Rule};
use crate::domain::customer::Customer;
use crate::domain::dimension::{self, Dimension, INITIAL, Published, stage};
use crate::domain::dimensions::view::View;
use crate::domain::id::ANONYMOUS_PREFIX;
use crate::domain::name::Name;
use crate::domain::publish::anti_flap::{allowed_at, next_published};
use crate::domain::publish::holdout::holdout;
use crate::domain::publish::summary::summary;
use crate::domain::raw::{Measured, NextChanges, evidence, measure};
use crate::domain::rules::Rules;
use crate::domain::time::Timestamp;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What an evaluation needs to know beside the customer.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The rules.
    pub rules: &'a Rules,
    /// Names the application in change ids.
    pub application_id: &'a str,
    /// +1 per rebuild; part of change ids.
    pub lineage: u32,
    /// The task's clock.
    pub clock: Timestamp,
    /// Wall time; `None` = changes are seen when they occur, so that output depends on input alone.
    pub now: Option<Timestamp>,
    /// Move published values without a word: state before a baseline.
    pub silent: bool,
    /// The run that writes a backfill.
    pub run_id: Option<&'a str>,
    /// When the last rebuild began: what occurred before was told by the lineage before.
    pub rebuilt_at: Timestamp,
}

/// The event behind a cause.
#[derive(Clone, Copy, Debug)]
pub struct CauseEvent<'a> {
    /// The event's id.
    pub event_id: &'a str,
    /// The event's own time.
    pub occurred_at: Timestamp,
    /// Its effective time.
    pub effective_at: Timestamp,
    /// Where its record lies: topic, partition, offset.
    pub origin: (&'a Name, u32, i64),
}

/// A dimension that takes another value.
#[derive(Clone, Copy)]
struct Move {
    dimension: Dimension,
    previous: Published,
    /// What was told before: while a dimension is not written its values move unseen.
    told: u8,
    entry: u32,
    kind: CauseKind,
}

/// Publishes what differs between raw values and published ones, and sets the next deadline.
/// `before` is what was measured an instant before. Counts the values that have to wait.
pub fn publish(
    customer: &mut Customer,
    before: &Measured,
    after: &Measured,
    kind: CauseKind,
    event: Option<&CauseEvent<'_>>,
    context: &Context<'_>,
    (suppressed, changes): (&mut u64, &mut Vec<Change>),
) {
    let rules = context.rules;
    customer.evaluated_at = customer.evaluated_at.max(after.at);
    customer.rules_revision = rules.identity.revision;
    let mut moves = [None; dimension::COUNT];
    for dimension in Dimension::ALL {
        moves[dimension.index()] =
            take(customer, dimension, (before, after), kind, rules, suppressed);
    }
    let next = see_ahead(customer, after, rules);
    let first = changes.len();
    for Move { dimension, previous, told, entry, kind } in moves.into_iter().flatten() {
        let value = customer.published[dimension.index()].value;
        if context.silent || !dimension.is_emitted(rules) || told == value {
            continue;
        }
        customer.seq += 1;
        customer.published[dimension.index()].seq = customer.seq;
        let corrects = event.is_some_and(|event| event.effective_at < previous.since);
        let mut change = change(customer, dimension, after, &next, kind, context);
        change.previous = Some(dimension.value_name(told, rules));
        change.direction = dimension.direction(told, value, rules);
        change.entry = entry;
        change.dwell_ms = after.at.since(previous.since).max(0);
        change.correction_of = (corrects && previous.seq > 0).then_some(previous.seq);
        let view = View::of(customer, rules, after.facts);
        change.evidence = evidence(&view, dimension, before, after, value);
        change.cause = Cause {
            kind,
            event_id: event.map(|event| event.event_id.to_owned()),
            occurred_at: event.map(|event| event.occurred_at),
            origin: event.map(|event| origin(event.origin)),
        };
        // What came late is stamped with the clock, and may be as old as it likes.
        change.actionable &=
            event.is_none_or(|event| is_news(event.occurred_at, change.detected_at, rules));
        changes.push(change);
    }
    close_group(customer, after, context, &mut changes[first..]);
}

/// Lets a dimension take the value that it should have, unless that has to wait.
fn take(
    customer: &mut Customer,
    dimension: Dimension,
    (before, after): (&Measured, &Measured),
    kind: CauseKind,
    rules: &Rules,
    suppressed: &mut u64,
) -> Option<Move> {
    let previous = customer.published[dimension.index()];
    let target = after.target(dimension, previous.value);
    if target == previous.value {
        return None;
    }
    let waited = before.target(dimension, previous.value) == target;
    if allowed_at(customer, dimension, target, rules) > after.at {
        *suppressed += u64::from(!waited);
        return None;
    }
    let kind = if kind == CauseKind::Timer && waited { CauseKind::Dwell } else { kind };
    let told = if previous.seq > 0 { previous.value } else { INITIAL };
    let entry = customer.enter(dimension, target);
    let cools_down = rules.anti_flap[dimension.index()].cool_down_ms > 0;
    let published = &mut customer.published[dimension.index()];
    (published.value, published.since, published.cause) = (target, after.at, kind);
    published.left = if cools_down { previous.value } else { 0 };
    Some(Move { dimension, previous, told, entry, kind })
}

/// What time alone will publish, by dimension; sets the customer's deadline.
fn see_ahead(customer: &mut Customer, present: &Measured, rules: &Rules) -> NextChanges {
    let view = View::of(customer, rules, present.facts);
    let next = Dimension::ALL.map(|dimension| next_published(&view, dimension, present));
    customer.deadline = next
        .iter()
        .flatten()
        .map(|(at, _)| *at)
        .chain(customer.book.next_expiry())
        .min()
        .unwrap_or(Timestamp::MAX);
    next
}

/// One change per dimension that is not in its initial value: cause `baseline`.
pub fn publish_baseline(customer: &mut Customer, context: &Context<'_>, changes: &mut Vec<Change>) {
    let rules = context.rules;
    // What falls due by then has not been published.
    let clock = context.clock.min(customer.deadline.plus_ms(-1));
    let at = customer.evaluated_at.max(clock);
    let present = measure(customer, rules, at);
    let view = View::of(customer, rules, present.facts);
    let next = Dimension::ALL.map(|dimension| next_published(&view, dimension, &present));
    let first = changes.len();
    for dimension in Dimension::ALL {
        let published = customer.published[dimension.index()];
        if published.value == INITIAL || !dimension.is_emitted(rules) {
            continue;
        }
        customer.seq += 1;
        customer.published[dimension.index()].seq = customer.seq;
        let mut change = change(customer, dimension, &present, &next, CauseKind::Baseline, context);
        change.direction = dimension.direction(INITIAL, published.value, rules);
        change.entry = customer.entered(dimension, published.value);
        change.dwell_ms = at.since(published.since).max(0);
        let view = View::of(customer, rules, present.facts);
        change.evidence = evidence(&view, dimension, &present, &present, published.value);
        changes.push(change);
    }
    close_group(customer, &present, context, &mut changes[first..]);
}

/// A change with all that does not depend on the value before.
fn change(
    customer: &Customer,
    dimension: Dimension,
    after: &Measured,
    next: &NextChanges,
    kind: CauseKind,
    context: &Context<'_>,
) -> Change {
    let rules = context.rules;
    let value = customer.published[dimension.index()].value;
    let detected_at = context.now.unwrap_or(after.at);
    let passed = next[dimension.index()].is_some_and(|(at, _)| at <= detected_at);
    let news = is_news(after.at, detected_at, rules) && after.at > context.rebuilt_at;
    let backfill = kind.is_backfill();
    Change {
        change_id: change_id(customer, context),
        seq: customer.seq,
        customer_id: customer.id.clone(),
        subject: subject(&customer.id),
        dimension: dimension.name().into(),
        previous: None,
        current: Some(dimension.value_name(value, rules)),
        direction: crate::domain::change::Direction::Lateral,
        entry: 0,
        occurred_at: after.at,
        detected_at,
        cause: Cause { kind, event_id: None, occurred_at: None, origin: None },
        rule: Rule { identity: rules.identity.clone(), id: dimension.rule_id(value, rules) },
        evidence: Vec::new(),
        scores: after.scores,
        facts: after.facts.written(&customer.book, &rules.thresholds.gap, after.at),
        dimensions: Arc::default(),
        dwell_ms: 0,
        next: next_of_all(next, rules),
        group: Group::default(),
        holdout: holdout(&customer.id, dimension, &rules.holdout),
        owner_role: None,
        consent: Vec::new(),
        summary: String::new(),
        correction_of: None,
        backfill,
        actionable: !backfill && !passed && news,
        run_id: context.run_id.filter(|_| backfill).map(ToOwned::to_owned),
    }
}

/// Whether something is seen soon enough for automation to act on it.
fn is_news(at: Timestamp, detected_at: Timestamp, rules: &Rules) -> bool {
    detected_at.since(at) <= rules.output.act_within_ms
}

/// Fills in what is known only when all changes of a cause are.
fn close_group(customer: &Customer, after: &Measured, context: &Context<'_>, group: &mut [Change]) {
    let Some(id) = group.first().map(|change| change.change_id) else { return };
    let size = u32::try_from(group.len()).unwrap_or(u32::MAX);
    let dimensions: Arc<[(Name, Name)]> = Dimension::ALL
        .iter()
        .map(|dimension| {
            let value = customer.published[dimension.index()].value;
            (dimension.name().into(), dimension.value_name(value, context.rules))
        })
        .collect();
    let owner_role = Some(owner_role(customer, context.rules)).filter(|role| !role.is_empty());
    for (index, change) in (1..).zip(group) {
        change.owner_role.clone_from(&owner_role);
        change.group = Group { id, index, size };
        change.dimensions = Arc::clone(&dimensions);
        change.summary = summary(change, after);
    }
}

/// The earliest of the next changes, written out.
fn next_of_all(next: &NextChanges, rules: &Rules) -> Option<NextChange> {
    Dimension::ALL
        .into_iter()
        .filter_map(|dimension| next[dimension.index()].map(|(at, value)| (at, dimension, value)))
        .min_by_key(|(at, dimension, _)| (*at, *dimension))
        .map(|(at, dimension, value)| next_change(at, dimension, value, rules))
}

/// A coming change, written out.
#[must_use]
pub fn next_change(at: Timestamp, dimension: Dimension, value: u8, rules: &Rules) -> NextChange {
    NextChange { at, dimension: dimension.name().into(), value: dimension.value_name(value, rules) }
}

fn owner_role(customer: &Customer, rules: &Rules) -> Name {
    let stage = stage(customer.published[Dimension::Lifecycle.index()].value);
    rules.roles[stage as usize].clone()
}

fn subject(id: &str) -> &'static str {
    if id.starts_with(ANONYMOUS_PREFIX) {
        "anonymous"
    } else if id.starts_with(crate::domain::id::ACCOUNT_PREFIX) {
        "account"
    } else {
        "customer"
    }
}

fn origin((topic, partition, offset): (&Name, u32, i64)) -> Origin {
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
