//! Raw values become published ones: the changes of one cause, complete, in one group.
//!
//! Takes no decision of its own about a value; `raw.rs` does. Next: `anti_flap.rs`, what has to
//! wait; `compose.rs`, what a change says.

use crate::domain::change::{Cause, CauseKind, Change};
use crate::domain::customer::Customer;
use crate::domain::dimension::{Dimension, INITIAL, Published};
use crate::domain::dimensions::view::View;
use crate::domain::predicate::Reads;
use crate::domain::publish::ahead::Ahead;
use crate::domain::publish::anti_flap::allowed_at;
use crate::domain::publish::compose::{change, close_group, is_news, origin};
use crate::domain::publish::consent::is_withheld;
use crate::domain::publish::context::{CauseEvent, Context};
use crate::domain::raw::{Measured, evidence, measure};
use crate::domain::rules::Rules;
use crate::domain::subject::Subject;
use crate::domain::time::Timestamp;

/// What is published, and why.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// Why.
    pub kind: CauseKind,
    /// The event behind it.
    pub event: Option<&'a CauseEvent<'a>>,
    /// What of the customer it may have changed, beside dimensions.
    pub touched: Reads,
}

/// A dimension that takes another value, or whose value nobody was told.
struct Move {
    dimension: Dimension,
    previous: Published,
    entry: u32,
    kind: CauseKind,
}

/// Publishes what differs between raw values and published ones, and sets the next deadline.
/// `before` is what was measured an instant before. Counts the values that have to wait; true when
/// a published value moved.
pub fn publish(
    customer: &mut Customer,
    before: &Measured,
    after: &Measured,
    occasion: Occasion<'_>,
    context: &Context<'_>,
    (unpublished, changes): (&mut Unpublished, &mut Vec<Change>),
) -> bool {
    let Context { rules, .. } = context;
    let Occasion { event, .. } = occasion;
    customer.evaluated_at = customer.evaluated_at.max(after.at);
    customer.rules_revision = rules.identity.revision;
    let moves = take_all(customer, (before, after), occasion, rules, unpublished);
    let ahead = see_ahead(customer, after, rules);
    let first = changes.len();
    for Move { dimension, previous, entry, kind: cause } in &moves {
        let (value, told) = (customer.published(*dimension).value, previous.told);
        if context.silent || !rules.tells(&customer.id, *dimension) || told == value {
            continue;
        }
        tell(customer, *dimension);
        // That a dimension is written again is no event's doing.
        let event = event.filter(|_| *cause != CauseKind::Rules);
        let corrects = event.is_some_and(|event| event.effective_at < previous.since);
        let mut change = change(customer, *dimension, after, &ahead, *cause, context);
        change.previous = Some(dimension.value_name(told, rules));
        change.direction = dimension.direction(told, value, rules);
        change.entry = *entry;
        change.dwell_ms = after.at.since(previous.since).max(0);
        change.correction_of = (corrects && previous.seq > 0).then_some(previous.seq);
        if !rules.output.compact {
            let view = View::of(customer, rules, after.facts, after.at);
            change.evidence = evidence(&view, *dimension, before, after, value);
        }
        change.cause = Cause {
            kind: *cause,
            event_id: event.map(|event| event.event_id.to_owned()),
            occurred_at: event.map(|event| event.occurred_at),
            origin: event.map(|event| origin(event.origin)),
        };
        // What came late is stamped with the clock, and may be as old as it likes.
        change.actionable &=
            event.is_none_or(|event| is_news(event.occurred_at, change.detected_at, rules));
        changes.push(change);
    }
    close_group(customer, context, &mut changes[first..]);
    !moves.is_empty()
}

/// Counts a change of a dimension: its present value is told.
fn tell(customer: &mut Customer, dimension: Dimension) {
    customer.seq += 1;
    let seq = customer.seq;
    let published = customer.published_mut(dimension);
    (published.seq, published.told) = (seq, published.value);
}

/// Lets every dimension take the value that it should have, unless that has to wait.
fn take_all(
    customer: &mut Customer,
    (before, after): (&Measured, &Measured),
    occasion: Occasion<'_>,
    rules: &Rules,
    unpublished: &mut Unpublished,
) -> Vec<Move> {
    let mut moves = Vec::new();
    for dimension in rules.judged.of(Subject::of(&customer.id)) {
        let published = customer.published(dimension).value;
        let view = View::of(customer, rules, after.facts, after.at);
        let target = after.target(&view, dimension, published);
        let waited = before.target(&view, dimension, published) == target;
        let taken = take(customer, dimension, (target, waited), after.at, occasion, rules);
        let untold = || untold(customer, dimension, after.at, rules);
        moves.extend(count(taken, unpublished).or_else(untold));
    }
    let changed = occasion.touched | Reads::TIME | Reads::changed(before, after);
    let retired: Vec<u8> = customer
        .audiences
        .iter()
        .map(|audience| audience.number)
        .filter(|number| rules.audience(*number).is_none())
        .collect();
    let audiences = rules.audiences.iter().map(|audience| (audience.number, audience.reads));
    // Whoever is in an audience that is gone leaves it.
    let retired = retired.into_iter().map(|number| (number, Reads::TIME));
    for (number, reads) in audiences.chain(retired) {
        let dimension = Dimension::Audience(number);
        let present = customer.audience(number).copied();
        let (raw, published) = present.map_or((false, INITIAL), |it| (it.raw, it.published.value));
        // Nothing that the rule reads is another now, and nothing waits.
        let is_told = present.is_none_or(|it| it.published.told == published);
        if !reads.meets(changed) && u8::from(raw) == published && is_told {
            continue;
        }
        let view = View::of(customer, rules, after.facts, after.at);
        let target = if reads.meets(changed) {
            after.target(&view, dimension, published)
        } else {
            u8::from(raw)
        };
        if target != u8::from(raw) {
            customer.audience_mut(number).raw = target == 1;
        }
        let waited = u8::from(raw) == target;
        let taken = take(customer, dimension, (target, waited), after.at, occasion, rules);
        let untold = || untold(customer, dimension, after.at, rules);
        moves.extend(count(taken, unpublished).or_else(untold));
    }
    moves
}

/// What became of a value that differs from the published one.
enum Taken {
    Same,
    Moved(Move),
    /// It has to wait for time, and whether it did so before.
    Waits(bool),
    /// It has to wait for consent, and whether it did so before.
    Withheld(bool),
}

/// Values that were not published, added up for the metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Unpublished {
    /// For a dwell or a cool-down.
    pub suppressed: u64,
    /// For consent.
    pub withheld: u64,
}

fn count(taken: Taken, unpublished: &mut Unpublished) -> Option<Move> {
    match taken {
        Taken::Same | Taken::Waits(true) | Taken::Withheld(true) => {}
        Taken::Waits(false) => unpublished.suppressed += 1,
        Taken::Withheld(false) => unpublished.withheld += 1,
        Taken::Moved(moved) => return Some(moved),
    }
    None
}

/// Lets a dimension take the value that it should have, unless that has to wait.
fn take(
    customer: &mut Customer,
    dimension: Dimension,
    (target, waited): (u8, bool),
    at: Timestamp,
    occasion: Occasion<'_>,
    rules: &Rules,
) -> Taken {
    let previous = customer.published(dimension);
    if target == previous.value {
        return Taken::Same;
    }
    if is_withheld(customer, dimension, rules) {
        return Taken::Withheld(waited);
    }
    if allowed_at(customer, dimension, target, rules) > at {
        return Taken::Waits(waited);
    }
    let dwelt = occasion.kind == CauseKind::Timer && waited;
    let kind = if dwelt { CauseKind::Dwell } else { occasion.kind };
    let entry = customer.enter(dimension, target);
    let cools_down = rules.anti_flap(dimension).cool_down_ms > 0;
    let published = customer.published_mut(dimension);
    (published.value, published.since, published.cause) = (target, at, kind);
    published.left = if cools_down { previous.value } else { INITIAL };
    Taken::Moved(Move { dimension, previous, entry, kind })
}

/// The present value of a dimension that is written, when it moved unseen while it was not.
fn untold(customer: &Customer, dimension: Dimension, at: Timestamp, rules: &Rules) -> Option<Move> {
    let published = customer.published(dimension);
    let untold = published.told != published.value
        && rules.tells(&customer.id, dimension)
        && !is_withheld(customer, dimension, rules);
    untold.then(|| Move {
        dimension,
        // Nobody knows how long what was told held.
        previous: Published { since: at, ..published },
        entry: customer.entered(dimension, published.value),
        kind: CauseKind::Rules,
    })
}

/// What time alone will publish; sets the customer's deadline.
fn see_ahead(customer: &mut Customer, present: &Measured, rules: &Rules) -> Ahead {
    let ahead = Ahead::of(&View::of(customer, rules, present.facts, present.at), present);
    let parked = customer.book.next_expiry();
    // A visitor who is overdue, since what came was late, is not asked after in every instant.
    let forget_at = customer.forget_at(rules.keep_visitors_ms);
    let forget_at = if forget_at > present.at { forget_at } else { present.at.plus_days(1) };
    let deadlines = ahead.deadline().into_iter().chain(parked);
    customer.deadline = deadlines.min().map_or(forget_at, |at| at.min(forget_at));
    ahead
}

/// One change per dimension that is not in its initial value: cause `baseline`.
pub fn publish_baseline(customer: &mut Customer, context: &Context<'_>, changes: &mut Vec<Change>) {
    let rules = context.rules;
    // What falls due by then has not been published.
    let clock = context.clock.min(customer.deadline.plus_ms(-1));
    let at = customer.evaluated_at.max(clock);
    let present = measure(customer, rules, at);
    let ahead = Ahead::of(&View::of(customer, rules, present.facts, present.at), &present);
    let first = changes.len();
    let audiences = customer.audiences.iter().map(|it| Dimension::Audience(it.number));
    let dimensions: Vec<_> = Dimension::BUILT_IN.into_iter().chain(audiences).collect();
    for dimension in dimensions {
        let published = customer.published(dimension);
        if published.value == INITIAL || !rules.tells(&customer.id, dimension) {
            continue;
        }
        tell(customer, dimension);
        let kind = CauseKind::Baseline;
        let mut change = change(customer, dimension, &present, &ahead, kind, context);
        change.direction = dimension.direction(INITIAL, published.value, rules);
        change.entry = customer.entered(dimension, published.value);
        change.dwell_ms = at.since(published.since).max(0);
        if !rules.output.compact {
            let view = View::of(customer, rules, present.facts, present.at);
            change.evidence = evidence(&view, dimension, &present, &present, published.value);
        }
        changes.push(change);
    }
    close_group(customer, context, &mut changes[first..]);
}

/// Judges a customer by rules that are not those of its last evaluation: cause `rules`. Counts the
/// values that have to wait; true when the profile is to be written: a published value moved, or
/// one did before, so that there is a profile with `next` and scores by the rules of then.
pub fn reevaluate(
    customer: &mut Customer,
    context: &Context<'_>,
    out: (&mut Unpublished, &mut Vec<Change>),
) -> bool {
    // What falls due by the clock is the affair of the timers, if it still does.
    let clock = context.clock.min(customer.deadline.plus_ms(-1));
    let present = measure(customer, context.rules, customer.evaluated_at.max(clock));
    let occasion = Occasion { kind: CauseKind::Rules, event: None, touched: Reads::ALL };
    publish(customer, &present, &present, occasion, context, out) || !customer.entries.is_empty()
}
