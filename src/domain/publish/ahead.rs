//! What time alone will publish of a customer.
//!
//! Next: `anti_flap.rs`, which says when.

use crate::domain::change::NextChange;
use crate::domain::dimension::Dimension;
use crate::domain::dimensions::view::View;
use crate::domain::look_ahead::LookAhead;
use crate::domain::publish::anti_flap::{allowed_at, next_published};
use crate::domain::publish::consent::is_withheld;
use crate::domain::raw::Measured;
use crate::domain::rules::Rules;
use crate::domain::subject::Subject;
use crate::domain::time::Timestamp;

/// The next change of each dimension, by time alone, in the order of the dimensions.
#[derive(Clone, Debug, Default)]
pub struct Ahead {
    changes: Vec<(Dimension, Timestamp, u8)>,
    /// When the customer is to be looked at again, though nothing may have changed.
    look_at: Option<Timestamp>,
}

impl Ahead {
    /// Looks ahead from an instant.
    #[must_use]
    pub fn of(view: &View<'_>, present: &Measured) -> Self {
        let season_at = if view.rules.follow_seasons() {
            view.rules.seasons.next_change(view, present.at)
        } else {
            None
        };
        let mut ahead = Self::within(view, present);
        let Some(season_at) = season_at else { return ahead };
        // From then on other thresholds may hold.
        ahead.changes.retain(|(_, at, _)| *at < season_at);
        let then = View::of(view.customer, view.rules, view.facts, season_at);
        let measured = Measured::of(&then, season_at);
        for dimension in dimensions(view) {
            let published = view.customer.published(dimension).value;
            let target = measured.target(&then, dimension, published);
            let allowed = allowed_at(view.customer, dimension, target, view.rules) <= season_at
                && !is_withheld(view.customer, dimension, view.rules);
            if target != published && allowed && ahead.of_dimension(dimension).is_none() {
                ahead.changes.push((dimension, season_at, target));
            }
        }
        ahead.look_at = Some(ahead.look_at.map_or(season_at, |at| at.min(season_at)));
        ahead
    }

    /// Looks ahead by the present thresholds.
    fn within(view: &View<'_>, present: &Measured) -> Self {
        let mut ahead = Self::default();
        let mut look_ahead = LookAhead::new(view);
        for dimension in dimensions(view) {
            match next_published(&mut look_ahead, dimension, present) {
                Some((at, Some(value))) => ahead.changes.push((dimension, at, value)),
                Some((at, None)) => {
                    ahead.look_at = Some(ahead.look_at.map_or(at, |present| present.min(at)));
                }
                None => {}
            }
        }
        ahead
    }

    /// The next change of a dimension.
    #[must_use]
    pub fn of_dimension(&self, dimension: Dimension) -> Option<(Timestamp, u8)> {
        let found = self.changes.iter().find(|(present, ..)| *present == dimension);
        found.map(|(_, at, value)| (*at, *value))
    }

    /// When something is to be done.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.changes.iter().map(|(_, at, _)| *at).chain(self.look_at).min()
    }

    /// The first of the changes that will be told, written out.
    #[must_use]
    pub fn first(&self, rules: &Rules) -> Option<NextChange> {
        let told = self.changes.iter().filter(|(dimension, ..)| rules.emits(*dimension));
        let first = told.min_by_key(|(dimension, at, _)| (*at, *dimension));
        first.map(|change| written(*change, rules))
    }

    /// All of them, written out.
    pub fn all<'a>(&'a self, rules: &'a Rules) -> impl Iterator<Item = NextChange> + 'a {
        self.changes.iter().map(|change| written(*change, rules))
    }
}

fn dimensions<'a>(view: &View<'a>) -> impl Iterator<Item = Dimension> + 'a {
    let audiences = view.rules.audiences.iter();
    let audiences = audiences.map(|audience| Dimension::Audience(audience.number));
    view.rules.judged.of(Subject::of(&view.customer.id)).chain(audiences)
}

fn written((dimension, at, value): (Dimension, Timestamp, u8), rules: &Rules) -> NextChange {
    NextChange { at, dimension: dimension.name(rules), value: dimension.value_name(value, rules) }
}
