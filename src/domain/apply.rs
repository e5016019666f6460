//! What one event, or one deadline, does to one customer.
//!
//! Infallible and total: bad input was refused before. Next: `publish/evaluate.rs`.

use crate::domain::change::{CauseKind, Change};
use crate::domain::customer::Customer;
use crate::domain::dimension::Dimension;
use crate::domain::dimensions::view::View;
use crate::domain::event::{Body, Event, Interaction, MessageKind, Purchase, Survey};
use crate::domain::facts::order::Stamp;
use crate::domain::facts::order_book::{BookTally, Booked};
use crate::domain::facts::order_facts::{Ends, OrderFacts};
use crate::domain::facts::scored_kind::ScoredKind;
use crate::domain::facts::signals::Signals;
use crate::domain::facts::spending::Spending;
use crate::domain::id::{EventKey, event_hash, hash64, id_hash};
use crate::domain::predicate::Reads;
use crate::domain::publish::context::{CauseEvent, Context};
use crate::domain::publish::evaluate::{Occasion, Unpublished, publish};
use crate::domain::publish::steady::{self, Before};
use crate::domain::raw::{Measured, measure};
use crate::domain::relay::REASONS;
use crate::domain::rules::Rules;
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
    /// Interactions too old to be scored.
    pub unscored: u64,
    /// Names and texts that were cut, or found no room.
    pub bounded: u64,
    /// Customers erased.
    pub erased: u64,
    /// Events of customers who were erased.
    pub after_erase: u64,
    /// What was told of one subject by another.
    pub relayed: Relays,
    /// Customers judged by new rules.
    pub reevaluated: u64,
    /// Values that were not published.
    pub unpublished: Unpublished,
}

/// What went from subject to subject, added up for the metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Relays {
    /// Records written to the relay, by [`crate::domain::relay::Told::reason`].
    pub sent: [u64; REASONS.len()],
    /// Subjects that records had gone through when they came to their last.
    pub hops: u64,
    /// Records that came to their last subject.
    pub arrived: u64,
    /// Visitors who are said to be a second customer: they stay with the first.
    pub shared_visitors: u64,
    /// Records that fired deadlines before their time, as there was no room to wait.
    pub unproven: u64,
    /// Visitors of whom nothing was heard for long, forgotten.
    pub forgotten_visitors: u64,
}

impl Relays {
    /// Adds others.
    pub fn add(&mut self, others: Self) {
        for (sent, more) in self.sent.iter_mut().zip(others.sent) {
            *sent += more;
        }
        self.hops += others.hops;
        self.arrived += others.arrived;
        self.shared_visitors += others.shared_visitors;
        self.unproven += others.unproven;
        self.forgotten_visitors += others.forgotten_visitors;
    }
}

/// What an event or a deadline did to a customer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// Whether anything is another now.
    pub changed: bool,
    /// Whether a published value is.
    pub published: bool,
    /// Whether the event was not seen before: others may be told of it.
    pub taken: bool,
}

/// Applies an event at its effective time; of an account, `contact` says whose it is.
///
/// Deadlines of the customer that are due by then fire first.
pub fn apply(
    customer: &mut Customer,
    event: &Event<'_>,
    cause: &CauseEvent<'_>,
    contact: Option<u64>,
    context: &Context<'_>,
    (tally, changes): (&mut Tally, &mut Vec<Change>),
) -> Applied {
    let at = cause.effective_at;
    let mut applied = Applied::default();
    let event_id_hash = hash64(&event.event_id);
    let seen = event_hash(event_id_hash);
    if customer.recent_events.contains(&seen) {
        tally.duplicates += 1;
        return applied;
    }
    if customer.is_blank() {
        customer.begin(at);
    }
    let late = at < customer.evaluated_at;
    let kind = match &event.body {
        Body::Purchase(Purchase::OrderRefunded { .. } | Purchase::OrderCancelled { .. }) => {
            CauseKind::Refund
        }
        Body::Interaction(
            Interaction::ConsentChanged { .. }
            | Interaction::Message { kind: MessageKind::Unsubscribed, .. },
        ) => CauseKind::Consent,
        _ if late => CauseKind::LateEvent,
        _ => CauseKind::Event,
    };
    let evaluated_at = match kind {
        CauseKind::Event => at,
        _ => at.max(context.clock).max(customer.evaluated_at),
    };
    if !Mutation::EventsBeforeTimers.is_on() {
        applied = catch_up(customer, evaluated_at, context, (tally, changes));
    }
    let stamp = Stamp { at, key: EventKey::of(event_id_hash) };
    let rules = context.rules;
    if let Body::Interaction(interaction) = &event.body
        && !is_read(interaction, rules)
        && contact.is_none()
    {
        // No raw value reads it, and nothing is due before the deadline.
        customer.remember_event(seen);
        take_in(customer, interaction, stamp, rules, tally);
        customer.evaluated_at = customer.evaluated_at.max(evaluated_at);
        customer.deadline = customer.deadline.min(customer.forget_at(rules.keep_visitors_ms));
        tally.late += u64::from(late);
        return Applied { changed: true, taken: true, ..applied };
    }
    if let Body::Interaction(interaction) = &event.body
        && contact.is_none()
        && !customer.is_blank()
        && customer.rules_revision == rules.identity.revision
        && let Some(deadline) =
            take_steadily(customer, interaction, stamp, evaluated_at, (rules, tally))
    {
        customer.remember_event(seen);
        customer.evaluated_at = customer.evaluated_at.max(evaluated_at);
        customer.deadline = deadline;
        tally.late += u64::from(late);
        return Applied { changed: true, taken: true, ..applied };
    }
    // Of somebody new everything is asked for the first time.
    let touched = if customer.is_blank() { Reads::ALL } else { touched(&event.body) };
    let before = measure(customer, rules, evaluated_at);
    let ends = Ends::of(&customer.book.orders);
    match &event.body {
        Body::Purchase(purchase) => {
            customer.counted.forget();
            let Customer { book, preferences, .. } = customer;
            // The clock may not have come as far as the event.
            let clock = context.clock.max(evaluated_at);
            match book.apply(purchase, stamp, clock, preferences, &rules.rates, &mut tally.book) {
                // Its sender is a contact all the same.
                Booked::Duplicate if contact.is_some() => {}
                Booked::Duplicate => return Applied { taken: true, ..applied },
                // What a subscription's record did hangs on its effective time, and a record that
                // is sent again may have another: its order's default id is of another day.
                Booked::Changed if event.is_of_subscription() => customer.remember_event(seen),
                Booked::Changed => {}
                Booked::ChangedUnknown => customer.remember_event(seen),
            }
        }
        Body::Interaction(interaction) => {
            customer.remember_event(seen);
            take_in(customer, interaction, stamp, rules, tally);
        }
    }
    if let Some(contact) = contact {
        let contacts = customer.contacts.get_or_insert_default();
        // What a visitor said is nobody's, whoever it turned out to be by then.
        match event.customer_id {
            Some(_) => contacts.apply(&event.body, contact, stamp),
            None => contacts.seen(contact, stamp.at),
        }
    }
    tally.late += u64::from(late);
    let facts = match &event.body {
        Body::Interaction(_) => before.facts,
        Body::Purchase(Purchase::OrderCompleted { order_id, .. }) => {
            before.facts.after(&customer.book, ends, id_hash(order_id), &rules.rates)
        }
        Body::Purchase(_) => OrderFacts::of(&customer.book, &rules.rates),
    };
    customer.counted.set(facts);
    let after = Measured::of(&View::of(customer, rules, facts, evaluated_at), evaluated_at);
    let occasion = Occasion { kind, event: Some(cause), touched };
    let out = (&mut tally.unpublished, changes);
    applied.published |= publish(customer, &before, &after, occasion, context, out);
    Applied { changed: true, taken: true, ..applied }
}

/// Fires the deadlines of a customer that are due by `until`.
pub fn catch_up(
    customer: &mut Customer,
    until: Timestamp,
    context: &Context<'_>,
    (tally, changes): (&mut Tally, &mut Vec<Change>),
) -> Applied {
    let mut applied = Applied::default();
    // That a visitor is forgotten is the affair of the timers.
    let end = customer.forget_at(context.rules.keep_visitors_ms);
    while customer.deadline <= until && customer.deadline < end {
        applied.published |= expire(customer, context, tally, changes);
        applied.changed = true;
    }
    applied
}

/// Changes a customer otherwise than by an event of its own: deadlines that are due fire before,
/// what is another value after is published with the event that brought it about.
pub fn amend(
    customer: &mut Customer,
    at: Timestamp,
    (kind, cause): (CauseKind, &CauseEvent<'_>),
    context: &Context<'_>,
    (tally, changes): (&mut Tally, &mut Vec<Change>),
    amendment: impl FnOnce(&mut Customer, &mut Tally),
) -> Applied {
    let evaluated_at = at.max(context.clock).max(customer.evaluated_at);
    let mut applied = catch_up(customer, evaluated_at, context, (&mut *tally, &mut *changes));
    let before = measure(customer, context.rules, evaluated_at);
    amendment(customer, tally);
    let after = measure(customer, context.rules, evaluated_at);
    let occasion = Occasion { kind, event: Some(cause), touched: Reads::ALL };
    let out = (&mut tally.unpublished, changes);
    applied.published |= publish(customer, &before, &after, occasion, context, out);
    Applied { changed: true, ..applied }
}

/// What of a customer an event may change, beside raw values. Every interaction is counted.
const fn touched(body: &Body<'_>) -> Reads {
    match body {
        Body::Purchase(_) => Reads::ORDERS,
        Body::Interaction(Interaction::ProfileUpdated { .. }) => Reads::TRAITS.and(Reads::SAID),
        Body::Interaction(
            Interaction::ConsentChanged { .. }
            | Interaction::Message { kind: MessageKind::Unsubscribed, .. },
        ) => Reads::CONSENT.and(Reads::SAID),
        Body::Interaction(_) => Reads::SAID,
    }
}

/// Whether a raw value reads what an interaction leaves behind.
fn is_read(interaction: &Interaction<'_>, rules: &Rules) -> bool {
    // Audiences may read anything, and consent may have been waited for.
    if !rules.audiences.is_empty()
        || !rules.when.is_empty()
        || matches!(interaction, Interaction::ConsentChanged { .. })
    {
        return true;
    }
    let scored =
        ScoredKind::of(interaction).is_some_and(|kind| rules.fold.weights[kind.index()] > 0);
    let judges = |dimension| rules.judged.has(dimension);
    (scored && judges(Dimension::Engagement))
        || (Signals::reads(interaction) && judges(Dimension::Lifecycle))
        || (Spending::reads(interaction) && judges(Dimension::ValueTier))
        || match interaction {
            Interaction::SurveyAnswered { survey: Survey::Nps, .. } => {
                judges(Dimension::Satisfaction) || judges(Dimension::Lifecycle)
            }
            Interaction::QualificationUpdated(_) => judges(Dimension::Qualification),
            _ => false,
        }
}

/// Takes an interaction in of which nothing is published; the deadline then. Else everything is as
/// it was.
fn take_steadily(
    customer: &mut Customer,
    interaction: &Interaction<'_>,
    stamp: Stamp,
    at: Timestamp,
    (rules, tally): (&Rules, &mut Tally),
) -> Option<Timestamp> {
    let touched = steady::touched(interaction, rules)?;
    let facts = customer.counted.get(&customer.book, &rules.rates);
    customer.counted.set(facts);
    let measured = Measured::part(&View::of(customer, rules, facts, at), at, touched);
    let (before, counted) = (Before::of(customer), *tally);
    take_in(customer, interaction, stamp, rules, tally);
    let view = View::of(customer, rules, facts, at);
    let deadline = steady::steady_until(&view, &measured, touched);
    if deadline.is_none() {
        before.put_back(customer);
        *tally = counted;
    }
    deadline
}

/// Takes an interaction into everything that remembers it.
fn take_in(
    customer: &mut Customer,
    interaction: &Interaction<'_>,
    stamp: Stamp,
    rules: &Rules,
    tally: &mut Tally,
) {
    let (at, fold) = (stamp.at, &rules.fold);
    let interactions = customer.interactions.get_or_insert_default();
    tally.unscored += u64::from(!interactions.apply(interaction, at, fold));
    if Signals::reads(interaction) {
        customer.signals.get_or_insert_default().apply(interaction, stamp);
    }
    if Spending::reads(interaction) {
        let spending = customer.spending.get_or_insert_default();
        spending.apply(interaction, at, fold, &rules.rates);
    }
    let weight = ScoredKind::of(interaction).map_or(0, |kind| fold.weights[kind.index()]);
    if let Interaction::Visit { category, channel, .. } = interaction
        && weight > 0
        && (category.is_some() || channel.is_some())
    {
        let (in_use, weight) = (customer.book.in_use(), (weight, at.day()));
        let names = [category.as_deref(), channel.as_deref()];
        let preferences = customer.preferences.get_or_insert_default();
        let room = preferences.add(names, in_use, weight, &fold.preference_half_life);
        tally.bounded += u64::from(!room);
    }
    match interaction {
        Interaction::SurveyAnswered { survey, score, reason } => {
            let surveys = customer.surveys.get_or_insert_default();
            let fell_out = surveys.apply(survey, *score, reason.as_deref(), stamp);
            tally.bounded += u64::from(fell_out);
        }
        Interaction::QualificationUpdated(update) => {
            customer.meddic.get_or_insert_default().apply(update, at);
        }
        Interaction::ProfileUpdated { traits } => {
            let traits = traits.iter().map(|(name, value)| (&**name, &**value));
            tally.bounded += customer.traits.get_or_insert_default().update(traits, at);
        }
        Interaction::ConsentChanged { purposes } => {
            let purposes = purposes.iter().map(|(name, permitted)| (&**name, *permitted));
            tally.bounded += customer.consent.get_or_insert_default().update(purposes, at);
        }
        Interaction::ReferralAccepted { .. } => customer.ties.get_or_insert_default().accepted(),
        Interaction::Message { kind: MessageKind::Unsubscribed, channel, .. } => {
            let purpose = format!("marketing:{}", channel.as_deref().unwrap_or("email"));
            let refused = std::iter::once((purpose.as_str(), false));
            tally.bounded += customer.consent.get_or_insert_default().update(refused, at);
        }
        _ => {}
    }
}

/// Fires the customer's deadline: what time alone changes at that instant. True when a published
/// value moved.
pub fn expire(
    customer: &mut Customer,
    context: &Context<'_>,
    tally: &mut Tally,
    changes: &mut Vec<Change>,
) -> bool {
    let at = customer.deadline.max(customer.evaluated_at);
    let before = measure(customer, context.rules, at.plus_ms(-1));
    customer.book.expire_parked(at, &mut tally.book);
    let after = measure(customer, context.rules, at);
    // Every deadline is kept, whatever brought it: one that stays would fire for ever.
    let occasion = Occasion { kind: CauseKind::Timer, event: None, touched: Reads::ALL };
    publish(customer, &before, &after, occasion, context, (&mut tally.unpublished, changes))
}
