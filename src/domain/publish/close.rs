//! What is told when a subject is gone, erased, forgotten or become another one: a closing change
//! per dimension, with nothing in it.
//!
//! A closing change says what is over, never who the subject was. Next: `task/marks.rs`, what is
//! left.

use crate::domain::change::{Cause, CauseKind, Change, Direction};
use crate::domain::customer::Customer;
use crate::domain::dimension::{Dimension, INITIAL};
use crate::domain::progress::FIRST_LINEAGE;
use crate::domain::publish::ahead::Ahead;
use crate::domain::publish::compose::{change, close_group, origin};
use crate::domain::publish::context::{CauseEvent, Context};
use crate::domain::raw::measure;
use crate::domain::subject::Subject;
use crate::domain::time::Timestamp;

/// Tells that a subject is gone, and makes it one that was never heard of.
///
/// One change for each value that was told. When this lineage has told nothing of the customer, in
/// the silence before a baseline or for want of its events, what an earlier one told is not known:
/// then one for every dimension, from what it begins with.
pub fn close(
    customer: &mut Customer,
    at: Timestamp,
    kind: CauseKind,
    event: Option<&CauseEvent<'_>>,
    context: &Context<'_>,
    changes: &mut Vec<Change>,
) {
    let rules = context.rules;
    let is_told = rules.emits_subject(Subject::of(&customer.id));
    let by_earlier = is_told && context.lineage > FIRST_LINEAGE && customer.seq == 0;
    let audiences: Vec<u8> = if by_earlier {
        rules.audiences.iter().map(|audience| audience.number).collect()
    } else {
        customer.audiences.iter().map(|it| it.number).collect()
    };
    let audiences = audiences.into_iter().map(Dimension::Audience);
    let dimensions = Dimension::all_of(Subject::of(&customer.id)).chain(audiences);
    let told: Vec<_> = dimensions
        .map(|dimension| (dimension, customer.published(dimension)))
        .filter(|(_, published)| by_earlier || published.told != INITIAL)
        .collect();
    let (incarnation, mut seq) = (customer.incarnation, customer.seq);
    let id = std::mem::take(&mut customer.id);
    customer.renew(&id, at, rules.identity.revision);
    customer.incarnation = incarnation;
    let nothing = measure(customer, rules, at);
    let first = changes.len();
    for (dimension, published) in &told {
        seq += 1;
        customer.seq = seq;
        let mut closing = change(customer, *dimension, &nothing, &Ahead::default(), kind, context);
        closing.previous = Some(dimension.value_name(published.told, rules));
        closing.current = None;
        closing.direction = Direction::Down;
        let since = if by_earlier { at } else { published.since };
        closing.dwell_ms = at.since(since).max(0);
        closing.cause = Cause {
            kind,
            event_id: event.map(|event| event.event_id.to_owned()),
            occurred_at: event.map(|event| event.occurred_at),
            origin: event.map(|event| origin(event.origin)),
        };
        changes.push(closing);
    }
    close_group(customer, context, &mut changes[first..]);
    // Nobody takes over who is gone, and nobody is contacted.
    for closing in &mut changes[first..] {
        closing.owner_role = None;
        closing.actionable = false;
    }
}
