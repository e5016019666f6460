//! The dimensions of a customer: their names, values and ranks.
//!
//! A value is stored as one byte; 0 is always the initial value. Next: `dimensions`, which judge;
//! `publish/evaluate.rs`, where raw values become published ones.

use crate::domain::change::{CauseKind, Direction};
use crate::domain::dimensions::activity::{self, Activity};
use crate::domain::dimensions::lifecycle::{self, Stage};
use crate::domain::dimensions::rfm_map::{MapValue, RfmMap};
use crate::domain::dimensions::value_mode::{self, ValueMode};
use crate::domain::dimensions::value_tier;
use crate::domain::dimensions::view::direction_by_rank;
use crate::domain::dimensions::{contacts, engagement, qualification, rfm, satisfaction};
use crate::domain::name::Name;
use crate::domain::rules::Rules;
use crate::domain::subject::Subject;
use crate::domain::time::Timestamp;

/// How many dimensions there are beside audiences.
pub const COUNT: usize = Dimension::BUILT_IN.len();

/// The value of an audience for those who are in it.
pub const IN: u8 = 1;

/// What the number of an audience in states is added to.
const FIRST_AUDIENCE: u8 = 32;

/// The value before there is evidence, in every dimension.
pub const INITIAL: u8 = 0;

/// A dimension of a customer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub enum Dimension {
    Rfm,
    Lifecycle,
    Activity,
    ValueMode,
    ValueTier,
    Engagement,
    Satisfaction,
    Qualification,
    Contacts,
    /// The user's own rule, by its number among [`crate::domain::names::Names::audiences`].
    Audience(u8),
}

/// Where what is kept of a dimension stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In arrays, in the order of [`Dimension::BUILT_IN`].
    BuiltIn(usize),
    /// Under the number of an audience.
    Audience(u8),
}

/// The dimensions that are judged, of those that are no audiences; what others rest on is not even
/// measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Judged([bool; COUNT]);

impl Judged {
    /// Every one.
    pub const ALL: Self = Self([true; COUNT]);

    /// Those for which this holds.
    pub fn those(asked: impl Fn(Dimension) -> bool) -> Self {
        Self(Dimension::BUILT_IN.map(asked))
    }

    /// Whether a dimension is judged; audiences always are.
    #[must_use]
    pub const fn has(self, dimension: Dimension) -> bool {
        match dimension.place() {
            Place::BuiltIn(place) => self.0[place],
            Place::Audience(_) => true,
        }
    }

    /// Those that a subject has, in the order of [`Dimension::BUILT_IN`].
    pub fn of(self, subject: Subject) -> impl Iterator<Item = Dimension> {
        Dimension::all_of(subject).filter(move |dimension| self.has(*dimension))
    }
}

/// The published value of one dimension of one customer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Published {
    /// The value.
    pub value: u8,
    /// The value before it, where a cool-down may forbid to go back; else 0.
    pub left: u8,
    /// The value of the last change that was told: while a dimension is not written its values
    /// move unseen.
    pub told: u8,
    /// What brought the last change.
    pub cause: CauseKind,
    /// Since when; of the initial value: since the customer is known.
    pub since: Timestamp,
    /// `seq` of the change that published it; 0 = none.
    pub seq: u64,
}

impl Published {
    /// The value told last, where none moved unseen since the change with this `seq`.
    #[must_use]
    pub const fn told_with(seq: u64, value: u8) -> u8 {
        if seq > 0 { value } else { INITIAL }
    }
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
    /// All but audiences, in the order in which changes of one group are written.
    pub const BUILT_IN: [Self; 9] = [
        Self::Rfm,
        Self::Lifecycle,
        Self::Activity,
        Self::ValueMode,
        Self::ValueTier,
        Self::Engagement,
        Self::Satisfaction,
        Self::Qualification,
        Self::Contacts,
    ];

    /// Whether a subject has it: what does not apply stays in its initial value.
    #[must_use]
    pub const fn is_of(self, subject: Subject) -> bool {
        match subject {
            Subject::Account => !matches!(self, Self::Lifecycle | Self::Satisfaction),
            Subject::Customer | Subject::Visitor => !matches!(self, Self::Contacts),
        }
    }

    /// Those of [`Self::BUILT_IN`] that a subject has.
    pub fn all_of(subject: Subject) -> impl Iterator<Item = Self> {
        Self::BUILT_IN.into_iter().filter(move |dimension| dimension.is_of(subject))
    }

    /// Where what is kept of it stands.
    #[must_use]
    pub const fn place(self) -> Place {
        Place::BuiltIn(match self {
            Self::Rfm => 0,
            Self::Lifecycle => 1,
            Self::Activity => 2,
            Self::ValueMode => 3,
            Self::ValueTier => 4,
            Self::Engagement => 5,
            Self::Satisfaction => 6,
            Self::Qualification => 7,
            Self::Contacts => 8,
            Self::Audience(number) => return Place::Audience(number),
        })
    }

    /// The number that states have for it.
    #[must_use]
    pub fn number(self) -> u8 {
        match self.place() {
            Place::BuiltIn(place) => u8::try_from(place).unwrap_or(FIRST_AUDIENCE),
            Place::Audience(number) => FIRST_AUDIENCE.saturating_add(number),
        }
    }

    /// The dimension with a number.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        match number.checked_sub(FIRST_AUDIENCE) {
            Some(audience) => Some(Self::Audience(audience)),
            None => Self::BUILT_IN.get(usize::from(number)).copied(),
        }
    }

    /// The name of a dimension that is no audience.
    #[must_use]
    pub const fn built_in_name(self) -> &'static str {
        match self {
            Self::Rfm => "rfm",
            Self::Lifecycle => "lifecycle",
            Self::Activity => "activity",
            Self::ValueMode => "value_mode",
            Self::ValueTier => "value_tier",
            Self::Engagement => "engagement",
            Self::Satisfaction => "satisfaction",
            Self::Qualification => "qualification",
            Self::Contacts => "contacts",
            Self::Audience(_) => "audience",
        }
    }

    /// The name that is written.
    #[must_use]
    pub fn name(self, rules: &Rules) -> Name {
        match self {
            Self::Audience(audience) => {
                let name = rules.names.audiences.get(usize::from(audience));
                name.map_or("audience".into(), |name| format!("audience:{name}").into())
            }
            built_in => built_in.built_in_name().into(),
        }
    }

    /// The names of values that conditions may ask for.
    #[must_use]
    pub fn value_names(self, map: &RfmMap) -> Vec<Name> {
        let built_in = |names: &[&'static str]| names.iter().map(|name| (*name).into()).collect();
        match self {
            Self::Rfm => {
                let names = map.values().iter().map(|value| value.name.clone());
                std::iter::once("none".into()).chain(names).collect()
            }
            Self::Lifecycle => built_in(&Stage::ALL.map(Stage::name)),
            Self::Activity => built_in(&Activity::ALL.map(Activity::name)),
            Self::ValueMode => built_in(&ValueMode::ALL.map(ValueMode::name)),
            Self::ValueTier => built_in(&value_tier::NAMES),
            Self::Engagement => built_in(&engagement::NAMES),
            Self::Satisfaction => built_in(&satisfaction::NAMES),
            Self::Qualification => built_in(&qualification::NAMES),
            Self::Contacts => built_in(&contacts::NAMES),
            Self::Audience(_) => built_in(&["out", "in"]),
        }
    }

    /// The name of a value; a value that the rules do not know is `unknown`.
    #[must_use]
    pub fn value_name(self, value: u8, rules: &Rules) -> Name {
        let place = usize::from(value);
        let built_in = match self {
            Self::Rfm if value == rfm::NONE => Some("none"),
            Self::Rfm => {
                return rules.names.rfm_name(value).cloned().unwrap_or("unknown".into());
            }
            Self::Lifecycle => Some(stage(value).name()),
            Self::Activity => Activity::ALL.get(place).map(|value| value.name()),
            Self::ValueMode => ValueMode::ALL.get(place).map(|value| value.name()),
            Self::ValueTier => value_tier::NAMES.get(place).copied(),
            Self::Engagement => engagement::NAMES.get(place).copied(),
            Self::Satisfaction => satisfaction::NAMES.get(place).copied(),
            Self::Qualification => qualification::NAMES.get(place).copied(),
            Self::Contacts => contacts::NAMES.get(place).copied(),
            Self::Audience(_) => ["out", "in"].get(place).copied(),
        };
        built_in.unwrap_or("unknown").into()
    }

    /// The id of the rule that gives a value.
    #[must_use]
    pub fn rule_id(self, value: u8, rules: &Rules) -> Name {
        match self {
            Self::Rfm => {
                let name = self.value_name(value, rules);
                format!("{}:{name}", rules.thresholds.rfm.map.name()).into()
            }
            Self::Lifecycle => stage(value).rule_id().into(),
            _ => format!("{}:{}", self.name(rules), self.value_name(value, rules)).into(),
        }
    }

    /// Which way a customer moves from one value to another.
    #[must_use]
    pub fn direction(self, from: u8, to: u8, rules: &Rules) -> Direction {
        match self {
            Self::Rfm => {
                let rank = |value: u8| map_value(value, rules).map(|value| value.rank);
                // What an earlier map gave has no rank any more.
                let compares = from == rfm::NONE || rank(from).is_some();
                if compares { direction_by_rank(rank(from), rank(to)) } else { Direction::Lateral }
            }
            Self::Lifecycle => lifecycle::direction(stage(from), stage(to)),
            Self::Activity => activity::direction(from, to),
            Self::ValueMode => value_mode::direction(from, to),
            Self::ValueTier => value_tier::direction(from, to),
            Self::Engagement => engagement::direction(from, to),
            Self::Satisfaction => satisfaction::direction(from, to),
            Self::Qualification => qualification::direction(from, to),
            Self::Contacts => contacts::direction(from, to),
            Self::Audience(_) => direction_by_rank(from, to),
        }
    }
}

/// The value of the present map with this name; names of earlier maps have none.
fn map_value(value: u8, rules: &Rules) -> Option<&MapValue> {
    let name = rules.names.rfm_name(value)?;
    rules.thresholds.rfm.map.values().iter().find(|value| value.name == *name)
}

/// The stage that a stored value stands for.
#[must_use]
pub fn stage(value: u8) -> Stage {
    Stage::ALL.get(usize::from(value)).copied().unwrap_or(Stage::Awareness)
}
