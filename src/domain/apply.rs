//! What one event, or one deadline, does to one customer.
//!
//! Infallible and total: bad input was refused before. Next: `evaluate.rs`, which publishes.

use crate::domain::change::{CauseKind, Change};
use crate::domain::customer::Customer;
use crate::domain::evaluate::{CauseEvent, Context, publish};
use crate::domain::event::{Body, Event, Purchase};
use crate::domain::id::{EventKey, hash64};
use crate::domain::name::Name;
use crate::domain::order::Stamp;
use crate::domain::order_book::{BookTally, Booked};
use crate::domain::raw::{measure, raw};
use crate::domain::signals::Signals;
use crate::domain::time::Timestamp;
use crate::mutation::Mutation;

/// What happened to events, added up for the metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// What happened in order books.
    pub book: BookTally,
    /// Events that had been seen before.
    pub duplicates: u64,
    /// Events before their customer's last evaluation.
    pub late: u64,
    /// Changes of published values that are not written.
    pub suppressed: u64,
}

/// Applies an event at its effective time; false when it changed nothing.
///
/// Deadlines of the customer that are due by then fire first.
pub fn apply(
    customer: &mut Customer,
    event: &Event<'_>,
    at: Timestamp,
    origin: (&Name, u32, i64),
    context: &Context<'_>,
    tally: &mut Tally,
    changes: &mut Vec<Change>,
) -> bool {
    let id_hash = hash64(&event.event_id);
    if customer.recent_events.contains(&id_hash) {
        tally.duplicates += 1;
        return false;
    }
    let late = at < customer.evaluated_at;
    let kind = match &event.body {
        Body::Purchase(Purchase::OrderRefunded { .. } | Purchase::OrderCancelled { .. }) => {
            CauseKind::Refund
        }
        _ if late => CauseKind::LateEvent,
        _ => CauseKind::Event,
    };
    let evaluated_at = match kind {
        CauseKind::Event => at,
        _ => at.max(context.clock).max(customer.evaluated_at),
    };
    while customer.deadline <= evaluated_at && !Mutation::EventsBeforeTimers.is_on() {
        expire(customer, context, tally, changes);
    }
    if let Body::Interaction(interaction) = &event.body
        && !Signals::reads(interaction)
    {
        // No raw value reads it, and nothing is due before the deadline.
        customer.remember_event(id_hash);
        customer.evaluated_at = customer.evaluated_at.max(evaluated_at);
        tally.late += u64::from(late);
        return true;
    }
    let stamp = Stamp { at, key: EventKey::hashed(&event.event_id, id_hash) };
    let before = measure(customer, context.rules, evaluated_at);
    match &event.body {
        Body::Purchase(purchase) => {
            let rates = &context.rules.rates;
            let book = &mut customer.book;
            // The clock may not have come as far as the event.
            let clock = context.clock.max(evaluated_at);
            match book.apply(purchase, stamp, clock, rates, &mut tally.book) {
                Booked::Duplicate => return false,
                // What a subscription's record did hangs on its effective time, and a record that
                // is sent again may have another: its order's default id is of another day.
                Booked::Changed if event.is_of_subscription() => customer.remember_event(id_hash),
                Booked::Changed => {}
                Booked::ChangedUnknown => customer.remember_event(id_hash),
            }
        }
        Body::Interaction(interaction) => {
            customer.remember_event(id_hash);
            customer.signals.get_or_insert_default().apply(interaction, stamp);
        }
    }
    tally.late += u64::from(late);
    let after = raw(customer, context.rules, evaluated_at);
    let cause = CauseEvent {
        event_id: &event.event_id,
        occurred_at: event.occurred_at,
        effective_at: at,
        origin,
    };
    tally.suppressed += publish(customer, &before, &after, kind, Some(&cause), context, changes);
    true
}

/// Fires the customer's deadline: what time alone changes at that instant.
pub fn expire(
    customer: &mut Customer,
    context: &Context<'_>,
    tally: &mut Tally,
    changes: &mut Vec<Change>,
) {
    let at = customer.deadline.max(customer.evaluated_at);
    let before = measure(customer, context.rules, at.plus_ms(-1));
    customer.book.expire_parked(at, &mut tally.book);
    let after = raw(customer, context.rules, at);
    tally.suppressed +=
        publish(customer, &before, &after, CauseKind::Timer, None, context, changes);
}
