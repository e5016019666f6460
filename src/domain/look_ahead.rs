//! What time alone does to the raw values of a customer, and when.
//!
//! An answer holds until its instant has come, so that each dimension looks ahead once, and all
//! conditions that read it share the answer. Holds for the thresholds of one view: the season ends
//! it. Next: `publish/ahead.rs`, what of it is published.

use crate::domain::dimension::{self, Dimension, Place};
use crate::domain::dimensions::view::View;
use crate::domain::dimensions::{
    activity, contacts, engagement, lifecycle, qualification, rfm, satisfaction, value_mode,
};
use crate::domain::raw::Measured;
use crate::domain::subject::Subject;
use crate::domain::time::Timestamp;

/// A look ahead from an instant on; a copy of it may be carried on to later ones.
#[derive(Clone, Copy, Debug)]
pub struct LookAhead<'a> {
    /// The customer.
    pub view: &'a View<'a>,
    /// When raw values become which, by [`Dimension::place`], as far as has been asked.
    known: [Option<Option<(Timestamp, u8)>>; dimension::COUNT],
}

impl<'a> LookAhead<'a> {
    /// Nothing has been asked yet.
    #[must_use]
    pub const fn new(view: &'a View<'a>) -> Self {
        Self { view, known: [None; dimension::COUNT] }
    }

    /// The next instant after `present` at which time alone changes the raw value of a dimension
    /// that is no audience, and to which. `present` is not before an instant asked of earlier.
    pub fn next_raw(
        &mut self,
        dimension: Dimension,
        present: &Measured,
    ) -> Option<(Timestamp, u8)> {
        let Place::BuiltIn(place) = dimension.place() else { return None };
        match self.known[place] {
            Some(next) if next.is_none_or(|(at, _)| at > present.at) => next,
            _ => {
                let next = next_raw(self.view, dimension, present);
                self.known[place] = Some(next);
                next
            }
        }
    }

    /// The next instant after `present` at which time alone changes what is to be published of a
    /// dimension instead of `published`, and to which value.
    pub fn next_target(
        &mut self,
        dimension: Dimension,
        present: &Measured,
        published: u8,
    ) -> Option<(Timestamp, u8)> {
        match dimension {
            Dimension::Engagement => {
                engagement::next_change(self.view, &present.engagement, present.at, published)
            }
            Dimension::Audience(number) => {
                let rule = self.view.rules.audience(number)?;
                let next = rule.predicate.next_change(self, present);
                next.map(|(at, holds)| (at, u8::from(holds)))
            }
            _ => self.next_raw(dimension, present),
        }
    }
}

fn next_raw(view: &View<'_>, dimension: Dimension, present: &Measured) -> Option<(Timestamp, u8)> {
    if !dimension.is_of(Subject::of(&view.customer.id)) {
        return None;
    }
    let (after, value) = (present.at, present.value(dimension));
    match dimension {
        Dimension::Rfm => {
            let (book, facts) = (&view.customer.book, &view.facts);
            rfm::next_change(book, facts, &view.rules.rates, &view.thresholds.rfm, after)
                .map(|(at, cell)| (at, view.rules.names.rfm_value(cell)))
        }
        Dimension::Lifecycle => lifecycle::next_change(view, after, value),
        Dimension::Activity => activity::next_change(view, after, value),
        Dimension::ValueMode => value_mode::next_change(view, after, value),
        // Hysteresis keeps nobody in a value that was never published.
        Dimension::Engagement => {
            engagement::next_change(view, &present.engagement, after, dimension::INITIAL)
        }
        Dimension::Satisfaction => satisfaction::next_change(view, after, value),
        Dimension::Qualification => qualification::next_change(view, after, value),
        Dimension::Contacts => contacts::next_change(view, after, value),
        Dimension::ValueTier | Dimension::Audience(_) => None,
    }
}
