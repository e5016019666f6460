//! Seasons: which months they are, by the value of a trait such as the region.
//!
//! Months are those of UTC. Next: `mod.rs`, which compares.

use super::trait_of;
use crate::domain::dimensions::view::View;
use crate::domain::time::{Day, Timestamp};
use std::collections::BTreeSet;

/// Stands for customers whose trait has no seasons of its own.
pub const EVERYBODY_ELSE: &str = "*";

/// Seasons by the value of a trait.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seasons {
    /// The trait that decides; empty = there are no seasons.
    pub by: String,
    /// The names of the twelve months' seasons, by the value of the trait; empty = none.
    pub months: Vec<(String, [String; 12])>,
}

impl Seasons {
    /// The season of a customer; empty = none.
    #[must_use]
    pub fn at<'a>(&self, view: &View<'a>, at: Timestamp) -> &'a str {
        // The rules live as long as the view.
        let seasons: &'a Seasons = &view.rules.seasons;
        let months = seasons.months_of(view);
        months.map_or("", |months| &months[month(at.day())])
    }

    /// The names of all seasons.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        let months = self.months.iter().flat_map(|(_, months)| months);
        months.map(String::as_str).filter(|name| !name.is_empty()).collect()
    }

    /// Whether there are customers without a season, at least in some months.
    #[must_use]
    pub fn leave_gaps(&self) -> bool {
        !self.months.iter().any(|(value, _)| value == EVERYBODY_ELSE)
            || self.months.iter().any(|(_, months)| months.iter().any(String::is_empty))
    }

    fn months_of(&self, view: &View<'_>) -> Option<&[String; 12]> {
        let value = trait_of(view, &self.by);
        let of = |value: &str| self.months.iter().find(|(known, _)| known == value);
        of(value).or_else(|| of(EVERYBODY_ELSE)).map(|(_, months)| months)
    }

    /// The beginning of the next season of a customer, after `after`.
    #[must_use]
    pub fn next_change(&self, view: &View<'_>, after: Timestamp) -> Option<Timestamp> {
        let months = self.months_of(view)?;
        let present = &months[month(after.day())];
        let mut day = after.day();
        (0..12).find_map(|_| {
            day = next_month(day);
            (months[month(day)] != *present).then(|| day.start())
        })
    }
}

/// 0 to 11.
fn month(day: Day) -> usize {
    usize::try_from(day.civil().1 - 1).unwrap_or(0)
}

/// The first day of the month after that of a day.
const fn next_month(day: Day) -> Day {
    let (_, _, of_month) = day.civil();
    let within = Day(day.0 + 32 - of_month);
    let (_, _, of_month) = within.civil();
    Day(within.0 + 1 - of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_follow_each_other() {
        let mut day = Day(19_723);
        let mut begun = Vec::new();
        for _ in 0..14 {
            day = next_month(day);
            begun.push(day.to_string());
        }
        assert_eq!(begun[0], "2024-02-01");
        assert_eq!(begun[1], "2024-03-01");
        assert_eq!(begun[13], "2025-03-01");
        assert_eq!((month(Day(19_723)), month(day)), (0, 2));
    }
}
