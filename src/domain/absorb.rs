//! Two customers turn out to be one person: one takes over the facts of the other.
//!
//! Facts are as if all events had always been the target's, within the bounds of each fact; what
//! falls out of a bound is counted. Never touches what is published or told: who calls measures
//! before and after, and publishes. Next: the `absorb` of every file of `facts`.

use crate::domain::apply::Tally;
use crate::domain::customer::{Customer, MAX_RECENT_EVENTS};
use crate::domain::facts::preferences;
use crate::domain::rules::Rules;

/// Takes the facts of `source` over into `target`.
pub fn absorb(target: &mut Customer, source: Customer, rules: &Rules, tally: &mut Tally) {
    // Whoever others only told of is known since its first event.
    target.known_since(match (target.is_blank(), source.is_blank()) {
        (true, false) => source.first_seen_at,
        (false, true) => target.first_seen_at,
        _ => target.first_seen_at.min(source.first_seen_at),
    });
    target.recent_events = newest_of([&target.recent_events, &source.recent_events]);
    let in_use = [target.book.in_use(), source.book.in_use()];
    let bounded = &mut tally.bounded;
    let places = preferences::absorb(&mut target.preferences, source.preferences, in_use, bounded);
    target.counted.forget();
    target.book.absorb(source.book, &places, &rules.rates, &mut tally.book);
    unite(&mut target.signals, source.signals, |own, other| own.absorb(&other));
    unite(&mut target.interactions, source.interactions, |own, other| {
        own.absorb(other, &rules.fold);
    });
    unite(&mut target.spending, source.spending, |own, other| own.absorb(other));
    unite(&mut target.surveys, source.surveys, |own, other| *bounded += own.absorb(other));
    unite(&mut target.meddic, source.meddic, |own, other| own.absorb(other));
    unite(&mut target.traits, source.traits, |own, other| *bounded += own.absorb(&other));
    unite(&mut target.consent, source.consent, |own, other| *bounded += own.absorb(&other));
}

/// Unites what both have; what only one has stays as it is.
fn unite<T>(target: &mut Option<Box<T>>, source: Option<Box<T>>, absorb: impl FnOnce(&mut T, T)) {
    match (target, source) {
        (Some(own), Some(other)) => absorb(own, *other),
        (own @ None, other) => *own = other,
        (Some(_), None) => {}
    }
}

/// The newest ids of both lists, which are ordered from the oldest: in turn, for when an event came
/// is not known of either.
fn newest_of(lists: [&[u64]; 2]) -> Vec<u64> {
    let mut newest = Vec::with_capacity(MAX_RECENT_EVENTS);
    for age in 1..=MAX_RECENT_EVENTS {
        for list in lists {
            let id = list.len().checked_sub(age).map(|place| list[place]);
            if let Some(id) = id.filter(|id| !newest.contains(id))
                && newest.len() < MAX_RECENT_EVENTS
            {
                newest.push(id);
            }
        }
    }
    newest.reverse();
    newest
}
