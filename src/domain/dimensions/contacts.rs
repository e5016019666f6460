//! The `contacts` dimension: whether people come to an account or are lost, and its champions.
//!
//! Of accounts alone. A contact is active until it is silent for long or was seen elsewhere; from
//! then on it is lost. Next: `facts/contacts.rs`, the contacts.

use crate::domain::change::{Direction, Evidence, Number, in_days};
use crate::domain::dimensions::view::{View, direction_by_rank, walk};
use crate::domain::facts::contacts::Contact;
use crate::domain::rules::ContactsRules;
use crate::domain::time::Timestamp;

/// The names that are published, by the value that is stored.
pub const NAMES: [&str; 5] = ["none", "stable", "growing", "shrinking", "champion_lost"];

const NONE: u8 = 0;
const STABLE: u8 = 1;
const GROWING: u8 = 2;
const SHRINKING: u8 = 3;
const CHAMPION_LOST: u8 = 4;

/// What decides, at an instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Measure {
    /// The value.
    pub value: u8,
    /// Contacts that are active.
    pub active: u32,
    /// Of them, those first heard of within the window.
    pub came: u32,
    /// Contacts that were lost within the window.
    pub lost: u32,
    /// Champions that are active.
    pub champions: u32,
    /// When the champion lost last was last heard of.
    pub champion_lost_at: Option<Timestamp>,
}

/// Those of whom the account has had an event.
fn known<'a>(view: &View<'a>) -> impl Iterator<Item = &'a Contact> {
    let contacts = view.customer.contacts.as_deref();
    let list = contacts.into_iter().flat_map(|contacts| &contacts.list);
    list.filter(|contact| contact.last_at != Timestamp::MIN)
}

fn is_active(contact: &Contact, rules: &ContactsRules, at: Timestamp) -> bool {
    !contact.has_left() && at.since(contact.last_at) <= rules.silent_after_ms
}

/// How long after its last event a contact counts as one that was lost lately: no matter whether
/// silence or another account took it.
const fn lost_for_ms(rules: &ContactsRules) -> i64 {
    rules.silent_after_ms.saturating_add(rules.window_ms)
}

/// Measures an account at an instant.
#[must_use]
pub fn measure(view: &View<'_>, at: Timestamp) -> Measure {
    let rules = &view.thresholds.contacts;
    let mut measure =
        Measure { value: NONE, active: 0, came: 0, lost: 0, champions: 0, champion_lost_at: None };
    let mut any = false;
    for contact in known(view) {
        any = true;
        let champion = contact.champion_score() >= rules.champion_score;
        let age_ms = at.since(contact.last_at);
        if is_active(contact, rules, at) {
            measure.active += 1;
            measure.came += u32::from(at.since(contact.first_at) <= rules.window_ms);
            measure.champions += u32::from(champion);
        } else {
            measure.lost += u32::from(age_ms <= lost_for_ms(rules));
            if champion && age_ms <= rules.remember_ms {
                measure.champion_lost_at = measure.champion_lost_at.max(Some(contact.last_at));
            }
        }
    }
    measure.value = if !any {
        NONE
    } else if measure.champions == 0 && measure.champion_lost_at.is_some() {
        CHAMPION_LOST
    } else if measure.came > measure.lost {
        GROWING
    } else if measure.lost > measure.came {
        SHRINKING
    } else {
        STABLE
    };
    measure
}

/// The next instant after `after` at which time alone changes the value, and to which.
#[must_use]
pub fn next_change(view: &View<'_>, after: Timestamp, present: u8) -> Option<(Timestamp, u8)> {
    let rules = &view.thresholds.contacts;
    let boundaries = |contact: &Contact| {
        let passed = |since: Timestamp, ms: i64| since.plus_ms(ms.saturating_add(1));
        [
            passed(contact.first_at, rules.window_ms),
            passed(contact.last_at, rules.silent_after_ms),
            passed(contact.last_at, lost_for_ms(rules)),
            passed(contact.last_at, rules.remember_ms),
        ]
    };
    let next_boundary = |after: Timestamp| {
        let all = known(view).flat_map(boundaries);
        all.filter(|at| *at > after && *at != Timestamp::MAX).min()
    };
    walk(after, present, next_boundary, |at| measure(view, at).value)
}

/// The numbers behind a value.
#[must_use]
pub fn evidence(
    view: &View<'_>,
    before: &Measure,
    after: &Measure,
    at: [Timestamp; 2],
) -> Vec<Evidence> {
    let integer = |number: u32| Number::Integer(i64::from(number));
    let active = |op| Evidence {
        name: "contacts",
        op,
        threshold: integer(0),
        before: integer(before.active),
        after: integer(after.active),
    };
    match after.value {
        NONE => vec![active("=")],
        CHAMPION_LOST => {
            let age = |measure: &Measure, at: Timestamp| {
                let lost_at = measure.champion_lost_at;
                lost_at.map_or(Number::None, |lost| in_days(at.since(lost).max(0)))
            };
            vec![
                Evidence {
                    name: "champions",
                    op: "=",
                    threshold: integer(0),
                    before: integer(before.champions),
                    after: integer(after.champions),
                },
                Evidence {
                    name: "days_since_champion",
                    op: "<=",
                    threshold: in_days(view.thresholds.contacts.remember_ms),
                    before: age(before, at[0]),
                    after: age(after, at[1]),
                },
            ]
        }
        _ => {
            let op = match after.came.cmp(&after.lost) {
                std::cmp::Ordering::Less => "<",
                std::cmp::Ordering::Equal => "=",
                std::cmp::Ordering::Greater => ">",
            };
            vec![
                Evidence {
                    name: "contacts_come",
                    op,
                    threshold: integer(after.lost),
                    before: integer(before.came),
                    after: integer(after.came),
                },
                active(if after.active > 0 { ">" } else { "=" }),
            ]
        }
    }
}

/// Which way an account went from one value to another.
#[must_use]
pub fn direction(from: u8, to: u8) -> Direction {
    let rank = |value: u8| match value {
        CHAMPION_LOST => 0,
        SHRINKING => 1,
        NONE => 2,
        STABLE => 3,
        _ => 4,
    };
    direction_by_rank(rank(from), rank(to))
}
