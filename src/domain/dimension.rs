//! The dimensions of a customer: their names, values and ranks.
//!
//! A value is stored as one byte; 0 is always the initial value. Next: `evaluate.rs`, where raw
//! values become published ones.

use crate::domain::change::Direction;
use crate::domain::lifecycle::{self, Stage};
use crate::domain::name::Name;
use crate::domain::rfm;
use crate::domain::rfm_map::MapValue;
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
}

/// The published value of one dimension of one customer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Published {
    /// The value.
    pub value: u8,
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
    pub const ALL: [Self; 2] = [Self::Rfm, Self::Lifecycle];

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
        }
    }

    /// The name of a value; a value that the rules do not know is `unknown`.
    #[must_use]
    pub fn value_name(self, value: u8, rules: &Rules) -> Name {
        match self {
            Self::Rfm if value == rfm::NONE => "none".into(),
            Self::Rfm => {
                map_value(value, rules).map_or("unknown".into(), |value| value.name.clone())
            }
            Self::Lifecycle => stage(value).name().into(),
        }
    }

    /// The id of the rule that gives a value.
    #[must_use]
    pub fn rule_id(self, value: u8, rules: &Rules) -> Name {
        match self {
            Self::Rfm => rules.rfm.map.rule_id(value),
            Self::Lifecycle => stage(value).rule_id().into(),
        }
    }

    /// Which way a customer moves from one value to another.
    #[must_use]
    pub fn direction(self, from: u8, to: u8, rules: &Rules) -> Direction {
        match self {
            Self::Lifecycle => lifecycle::direction(stage(from), stage(to)),
            Self::Rfm => {
                let rank = |value: u8| map_value(value, rules).map(|value| value.rank);
                match rank(to).cmp(&rank(from)) {
                    std::cmp::Ordering::Greater => Direction::Up,
                    std::cmp::Ordering::Less => Direction::Down,
                    std::cmp::Ordering::Equal => Direction::Lateral,
                }
            }
        }
    }

    /// Whether changes of it are written.
    #[must_use]
    pub const fn is_emitted(self, rules: &Rules) -> bool {
        match self {
            Self::Rfm => rules.output.rfm,
            Self::Lifecycle => rules.output.lifecycle,
        }
    }
}

fn map_value(value: u8, rules: &Rules) -> Option<&MapValue> {
    rules.rfm.map.values().get(usize::from(value).checked_sub(1)?)
}

/// The stage that a stored value stands for.
#[must_use]
pub fn stage(value: u8) -> Stage {
    Stage::ALL.get(usize::from(value)).copied().unwrap_or(Stage::Awareness)
}
