//! The dimensions of a customer: their names, values and ranks.
//!
//! A value is stored as one byte; 0 is always the initial value. Next: `dimensions`, which judge;
//! `publish/evaluate.rs`, where raw values become published ones.

use crate::domain::change::{CauseKind, Direction};
use crate::domain::dimensions::activity::{self, Activity};
use crate::domain::dimensions::lifecycle::{self, Stage};
use crate::domain::dimensions::rfm_map::MapValue;
use crate::domain::dimensions::value_mode::{self, ValueMode};
use crate::domain::dimensions::view::direction_by_rank;
use crate::domain::dimensions::{engagement, qualification, rfm, satisfaction, value_tier};
use crate::domain::name::Name;
use crate::domain::rules::Rules;
use crate::domain::time::Timestamp;

/// How many dimensions there are.
pub const COUNT: usize = Dimension::ALL.len();

/// The value before there is evidence, in every dimension.
pub const INITIAL: u8 = 0;

/// A dimension of a customer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub enum Dimension {
    Rfm = 0,
    Lifecycle = 1,
    Activity = 2,
    ValueMode = 3,
    ValueTier = 4,
    Engagement = 5,
    Satisfaction = 6,
    Qualification = 7,
}

/// The published value of one dimension of one customer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Published {
    /// The value.
    pub value: u8,
    /// The value before it, where a cool-down may forbid to go back; else 0.
    pub left: u8,
    /// What brought the last change.
    pub cause: CauseKind,
    /// Since when; of the initial value: since the customer is known.
    pub since: Timestamp,
    /// `seq` of the change that published it; 0 = none.
    pub seq: u64,
}

/// How often a customer entered a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entries {
    /// The dimension.
    pub dimension: Dimension,
    /// The value.
    pub value: u8,
    /// How often, from 1.
    pub count: u32,
}

impl Dimension {
    /// All dimensions, in the order in which changes of one group are written.
    pub const ALL: [Self; 8] = [
        Self::Rfm,
        Self::Lifecycle,
        Self::Activity,
        Self::ValueMode,
        Self::ValueTier,
        Self::Engagement,
        Self::Satisfaction,
        Self::Qualification,
    ];

    /// Place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The dimension at a place of [`Self::ALL`].
    #[must_use]
    pub fn at(index: u8) -> Option<Self> {
        Self::ALL.get(usize::from(index)).copied()
    }

    /// The name that is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rfm => "rfm",
            Self::Lifecycle => "lifecycle",
            Self::Activity => "activity",
            Self::ValueMode => "value_mode",
            Self::ValueTier => "value_tier",
            Self::Engagement => "engagement",
            Self::Satisfaction => "satisfaction",
            Self::Qualification => "qualification",
        }
    }

    /// The name of a value; a value that the rules do not know is `unknown`.
    #[must_use]
    pub fn value_name(self, value: u8, rules: &Rules) -> Name {
        let place = usize::from(value);
        let built_in = match self {
            Self::Rfm if value == rfm::NONE => Some("none"),
            Self::Rfm => {
                return map_value(value, rules).map_or("unknown".into(), |it| it.name.clone());
            }
            Self::Lifecycle => Some(stage(value).name()),
            Self::Activity => Activity::ALL.get(place).map(|value| value.name()),
            Self::ValueMode => ValueMode::ALL.get(place).map(|value| value.name()),
            Self::ValueTier => value_tier::NAMES.get(place).copied(),
            Self::Engagement => engagement::NAMES.get(place).copied(),
            Self::Satisfaction => satisfaction::NAMES.get(place).copied(),
            Self::Qualification => qualification::NAMES.get(place).copied(),
        };
        built_in.unwrap_or("unknown").into()
    }

    /// The id of the rule that gives a value.
    #[must_use]
    pub fn rule_id(self, value: u8, rules: &Rules) -> Name {
        match self {
            Self::Rfm => rules.thresholds.rfm.map.rule_id(value),
            Self::Lifecycle => stage(value).rule_id().into(),
            _ => format!("{}:{}", self.name(), self.value_name(value, rules)).into(),
        }
    }

    /// Which way a customer moves from one value to another.
    #[must_use]
    pub fn direction(self, from: u8, to: u8, rules: &Rules) -> Direction {
        match self {
            Self::Rfm => {
                let rank = |value: u8| map_value(value, rules).map(|value| value.rank);
                direction_by_rank(rank(from), rank(to))
            }
            Self::Lifecycle => lifecycle::direction(stage(from), stage(to)),
            Self::Activity => activity::direction(from, to),
            Self::ValueMode => value_mode::direction(from, to),
            Self::ValueTier => value_tier::direction(from, to),
            Self::Engagement => engagement::direction(from, to),
            Self::Satisfaction => satisfaction::direction(from, to),
            Self::Qualification => qualification::direction(from, to),
        }
    }

    /// Whether changes of it are written.
    #[must_use]
    pub const fn is_emitted(self, rules: &Rules) -> bool {
        rules.output.dimensions[self.index()]
    }
}

fn map_value(value: u8, rules: &Rules) -> Option<&MapValue> {
    rules.thresholds.rfm.map.values().get(usize::from(value).checked_sub(1)?)
}

/// The stage that a stored value stands for.
#[must_use]
pub fn stage(value: u8) -> Stage {
    Stage::ALL.get(usize::from(value)).copied().unwrap_or(Stage::Awareness)
}
