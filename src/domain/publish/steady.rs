//! Events of which nothing is published: found out without judging what they do not touch.
//!
//! What an event does not touch stays as it was judged before, until the deadline that was found
//! then: a deadline may stand before the instant at which something changes, never behind it.
//! Next: `evaluate.rs`, which judges everything.

use crate::domain::customer::Customer;
use crate::domain::dimension::{Dimension, Judged};
use crate::domain::dimensions::view::View;
use crate::domain::event::{Interaction, MessageKind};
use crate::domain::facts::interactions::Interactions;
use crate::domain::facts::preferences::Preferences;
use crate::domain::facts::scored_kind::ScoredKind;
use crate::domain::facts::signals::Signals;
use crate::domain::facts::spending::Spending;
use crate::domain::look_ahead::LookAhead;
use crate::domain::predicate::Reads;
use crate::domain::publish::anti_flap::next_published;
use crate::domain::raw::Measured;
use crate::domain::rules::{AntiFlap, Audience, Rules};
use crate::domain::subject::Subject;
use crate::domain::time::Timestamp;

/// What is remembered of a customer that visits and messages change.
#[derive(Debug)]
pub struct Before {
    interactions: Option<Box<Interactions>>,
    signals: Option<Box<Signals>>,
    preferences: Option<Box<Preferences>>,
    spending: Option<Box<Spending>>,
}

impl Before {
    /// A copy of it.
    #[must_use]
    pub fn of(customer: &Customer) -> Self {
        Self {
            interactions: customer.interactions.clone(),
            signals: customer.signals.clone(),
            preferences: customer.preferences.clone(),
            spending: customer.spending.clone(),
        }
    }

    /// Makes the customer what it was.
    pub fn put_back(self, customer: &mut Customer) {
        customer.interactions = self.interactions;
        customer.signals = self.signals;
        customer.preferences = self.preferences;
        customer.spending = self.spending;
    }
}

/// The dimensions that a visit or a message may move; `None` of other interactions.
#[must_use]
pub fn touched(interaction: &Interaction<'_>, rules: &Rules) -> Option<Judged> {
    if !matches!(
        interaction,
        Interaction::Visit { .. }
            | Interaction::Message {
                kind: MessageKind::Sent
                    | MessageKind::Delivered
                    | MessageKind::Opened
                    | MessageKind::Clicked,
                ..
            }
    ) {
        return None;
    }
    let scored =
        ScoredKind::of(interaction).is_some_and(|kind| rules.fold.weights[kind.index()] > 0);
    Some(Judged::those(|dimension| {
        rules.judged.has(dimension)
            && match dimension {
                Dimension::Engagement => scored,
                Dimension::Lifecycle => Signals::reads(interaction),
                Dimension::ValueTier => Spending::reads(interaction),
                _ => false,
            }
    }))
}

/// The deadline of a customer whom an interaction has just touched in these dimensions; `None`
/// where another value is the raw one than `before`.
#[must_use]
pub fn steady_until(view: &View<'_>, before: &Measured, touched: Judged) -> Option<Timestamp> {
    let View { customer, rules, .. } = view;
    let subject = Subject::of(&customer.id);
    let of_dimensions = |all: Reads, dimension| all | Reads::dimension(dimension);
    let changed = touched.of(subject).fold(Reads::SAID, of_dimensions);
    // What has to wait is asked after whenever something comes, so that it is known since when.
    let waits = |audience: &&Audience| {
        audience.reads.meets(Reads::TIME)
            && (audience.anti_flap != AntiFlap::default() || audience.purpose.is_some())
    };
    let affected = || rules.audiences.iter().filter(move |it| it.reads.meets(changed) || waits(it));
    let asked = affected().fold(changed, |all, audience| all | audience.reads);
    let present = Measured::part(view, before.at, asked.dimensions());
    let mut ahead = LookAhead::new(view);
    let mut deadline = customer.deadline;
    let audiences = affected().map(|audience| Dimension::Audience(audience.number));
    for dimension in touched.of(subject).chain(audiences) {
        let published = customer.published(dimension).value;
        let raw_before = match dimension {
            Dimension::Audience(number) => {
                customer.audience(number).map_or(published, |it| u8::from(it.raw))
            }
            _ => before.target(view, dimension, published),
        };
        // What waits goes on waiting, where it is the same.
        if present.target(view, dimension, published) != raw_before {
            return None;
        }
        if let Some((next, _)) = next_published(&mut ahead, dimension, &present) {
            deadline = deadline.min(next);
        }
    }
    Some(deadline)
}
