//! Conditions on a customer: what audiences and `[[rules.when]]` ask, compiled from CEL.
//!
//! Total and exact: a condition is true or false of every customer at every instant, and what time
//! does to it is known in closed form. Standard CEL has no answer where a name is unknown; here
//! what is unknown compares as false, a trait that is not there is the empty text (and an empty one
//! is not there), and a purpose of which nothing was said is not permitted. Built by
//! `config/cel.rs`. Next: `quantity.rs`, the numbers; `season.rs`, the time of the year.

pub mod quantity;
pub mod season;

use crate::domain::change::{Evidence, Number};
use crate::domain::dimension::{Dimension, Judged, Place};
use crate::domain::dimensions::view::View;
use crate::domain::facts::preferred::preferred;
use crate::domain::look_ahead::LookAhead;
use crate::domain::predicate::quantity::Quantity;
use crate::domain::raw::Measured;
use crate::domain::time::Timestamp;
use std::cmp::Ordering;
use std::ops::BitOr;

/// Steps in time that are looked ahead for a change before the customer is looked at again.
const MAX_STEPS: usize = 64;

/// Comparisons that a change shows at most.
const MAX_EVIDENCE: usize = 8;

/// What every known number is above, in thousandths: asks whether it is known.
pub const EVERY_NUMBER: i64 = i64::MIN;

/// A condition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Predicate {
    /// Always, or never.
    Constant(bool),
    /// All of them hold.
    All(Vec<Predicate>),
    /// One of them holds.
    Any(Vec<Predicate>),
    /// It does not hold.
    Not(Box<Predicate>),
    /// The raw value of a dimension is one of these names.
    Dimension(Dimension, Vec<String>),
    /// A text is one of these.
    Text(Text, TextTest),
    /// A number compares with a constant, in thousandths.
    Number(Quantity, Comparison, i64),
    /// The customer permits a purpose.
    Consent(String),
}

/// A text of a customer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Text {
    /// A trait.
    Trait(String),
    /// The season where the customer lives.
    Season,
    /// The category preferred.
    PreferredCategory,
    /// The channel preferred.
    PreferredChannel,
}

/// What a text is tested for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TextTest {
    /// Being one of these.
    OneOf(Vec<String>),
    /// Its beginning.
    StartsWith(String),
    /// Its end.
    EndsWith(String),
    /// A part of it.
    Contains(String),
}

/// How a number is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

impl Comparison {
    /// How it is written.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Equal => "=",
            Self::AtLeast => ">=",
            Self::More => ">",
        }
    }

    /// Whether it holds of an ordering.
    #[must_use]
    pub const fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::Equal => ordering.is_eq(),
            Self::AtLeast => ordering.is_ge(),
            Self::More => ordering.is_gt(),
        }
    }
}

/// Parts of a customer that a condition may read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reads(u32);

impl Reads {
    /// Everything.
    pub const ALL: Self = Self(u32::MAX);
    /// The instant.
    pub const TIME: Self = Self(1 << 16);
    /// Orders and subscriptions.
    pub const ORDERS: Self = Self(1 << 17);
    /// Interactions, preferences, spending, surveys, qualification.
    pub const SAID: Self = Self(1 << 18);
    /// Traits.
    pub const TRAITS: Self = Self(1 << 19);
    /// Consent.
    pub const CONSENT: Self = Self(1 << 20);

    /// What never changes: read of somebody new, and by new rules.
    const EVER: Self = Self(1 << 21);

    /// The raw value of a dimension.
    #[must_use]
    pub const fn dimension(dimension: Dimension) -> Self {
        match dimension.place() {
            Place::BuiltIn(place) => Self(1 << place),
            // Audiences are read by nobody.
            Place::Audience(_) => Self(0),
        }
    }

    /// The dimensions among them.
    #[must_use]
    pub fn dimensions(self) -> Judged {
        Judged::those(|dimension| self.meets(Self::dimension(dimension)))
    }

    /// The dimensions whose raw values differ.
    #[must_use]
    pub fn changed(before: &Measured, after: &Measured) -> Self {
        let pairs = before.values.iter().zip(&after.values);
        let changed =
            Dimension::BUILT_IN.into_iter().zip(pairs).filter(|(_, (old, new))| old != new);
        changed.fold(Self::default(), |all, (dimension, _)| all | Self::dimension(dimension))
    }

    /// The parts of both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether both have a part.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Reads {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

impl Predicate {
    /// Whether it holds of what was measured.
    #[must_use]
    pub fn holds(&self, view: &View<'_>, measured: &Measured) -> bool {
        match self {
            Self::Constant(holds) => *holds,
            Self::All(parts) => parts.iter().all(|part| part.holds(view, measured)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(view, measured)),
            Self::Not(part) => !part.holds(view, measured),
            Self::Dimension(dimension, names) => {
                let name = dimension.value_name(measured.value(*dimension), view.rules);
                names.iter().any(|known| **known == *name)
            }
            Self::Text(text, test) => test.holds(text.of(view, measured.at)),
            Self::Number(quantity, comparison, milli) => quantity
                .compare(view, measured, *milli)
                .is_some_and(|ordering| comparison.holds(ordering)),
            Self::Consent(purpose) => {
                let consent = view.customer.consent.as_ref();
                consent.and_then(|consent| consent.get(purpose)).copied().unwrap_or(false)
            }
        }
    }

    /// Whether a condition on traits and the season holds at an instant; anything else in it does
    /// not.
    #[must_use]
    pub fn holds_of_texts(&self, view: &View<'_>, at: Timestamp) -> bool {
        self.holds_if(&|text, test| test.holds(text.of(view, at)))
    }

    /// Whether it holds when its tests of texts come out as `holds` says; other comparisons do not.
    pub fn holds_if(&self, holds: &impl Fn(&Text, &TextTest) -> bool) -> bool {
        match self {
            Self::Constant(constant) => *constant,
            Self::All(parts) => parts.iter().all(|part| part.holds_if(holds)),
            Self::Any(parts) => parts.iter().any(|part| part.holds_if(holds)),
            Self::Not(part) => !part.holds_if(holds),
            Self::Text(text, test) => holds(text, test),
            Self::Dimension(..) | Self::Number(..) | Self::Consent(_) => false,
        }
    }

    /// What it reads.
    #[must_use]
    pub fn reads(&self) -> Reads {
        match self {
            Self::Constant(_) => Reads::EVER,
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().fold(Reads::default(), |all, part| all | part.reads())
            }
            Self::Not(part) => part.reads(),
            Self::Dimension(dimension, _) => Reads::dimension(*dimension) | Reads::TIME,
            Self::Text(Text::Trait(_), _) => Reads::TRAITS,
            Self::Text(Text::Season, _) => Reads::TRAITS | Reads::TIME,
            Self::Text(Text::PreferredCategory | Text::PreferredChannel, _) => {
                Reads::SAID | Reads::ORDERS
            }
            Self::Number(quantity, ..) => quantity.reads(),
            Self::Consent(_) => Reads::CONSENT,
        }
    }

    /// The next instant after `present` at which time alone changes whether it holds, and whether
    /// it holds then. After many steps without a change it is the instant of the next one, which
    /// may change nothing: a customer is looked at again there.
    pub fn next_change(
        &self,
        ahead: &mut LookAhead<'_>,
        present: &Measured,
    ) -> Option<(Timestamp, bool)> {
        let view = ahead.view;
        let mut at = self.next_boundary(ahead, present)?;
        let holds = self.holds(view, present);
        let mut later = *ahead;
        let asked = self.reads().dimensions();
        for _ in 1..MAX_STEPS {
            let measured = Measured::part(view, at, asked);
            if self.holds(view, &measured) != holds {
                return Some((at, !holds));
            }
            at = self.next_boundary(&mut later, &measured)?;
        }
        Some((at, holds))
    }

    /// The comparisons that the change rests on: those that came out otherwise before, or else
    /// those by which it holds, or does not hold.
    #[must_use]
    pub fn evidence(&self, view: &View<'_>, before: &Measured, after: &Measured) -> Vec<Evidence> {
        let mut leaves = Vec::new();
        self.leaves(&mut leaves);
        let differs = |leaf: &&&Self| leaf.holds(view, before) != leaf.holds(view, after);
        let decisive: Vec<&Self> = leaves.iter().filter(differs).copied().collect();
        let mut reasons = Vec::new();
        self.reasons(view, after, &mut reasons);
        let leaves = if decisive.is_empty() { reasons } else { decisive };
        let shown = leaves.into_iter().take(MAX_EVIDENCE);
        shown.filter_map(|leaf| leaf.comparison(view, before, after)).collect()
    }

    /// How many comparisons it has.
    #[must_use]
    pub fn comparisons(&self) -> usize {
        let mut leaves = Vec::new();
        self.leaves(&mut leaves);
        leaves.len()
    }

    /// Its comparisons.
    pub fn leaves<'a>(&'a self, into: &mut Vec<&'a Self>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|it| it.leaves(into)),
            Self::Not(part) => part.leaves(into),
            leaf => into.push(leaf),
        }
    }

    /// The comparisons by which it holds, or does not hold.
    fn reasons<'a>(&'a self, view: &View<'_>, present: &Measured, into: &mut Vec<&'a Self>) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                let holds = self.holds(view, present);
                let alike = parts.iter().filter(|part| part.holds(view, present) == holds);
                alike.for_each(|part| part.reasons(view, present, into));
            }
            Self::Not(part) => part.reasons(view, present, into),
            leaf => into.push(leaf),
        }
    }

    fn comparison(&self, view: &View<'_>, before: &Measured, after: &Measured) -> Option<Evidence> {
        let text = |text: &str| Number::Text(text.into());
        Some(match self {
            Self::Constant(_) | Self::All(_) | Self::Any(_) | Self::Not(_) => return None,
            Self::Dimension(dimension, names) => {
                let name = |measured: &Measured| {
                    text(&dimension.value_name(measured.value(*dimension), view.rules))
                };
                let (op, threshold) = one_of(names);
                let name_of = dimension.built_in_name();
                Evidence { name: name_of, op, threshold, before: name(before), after: name(after) }
            }
            Self::Text(what, test) => {
                let (op, threshold) = match test {
                    TextTest::OneOf(values) => one_of(values),
                    TextTest::StartsWith(part) => ("startsWith", text(part)),
                    TextTest::EndsWith(part) => ("endsWith", text(part)),
                    TextTest::Contains(part) => ("contains", text(part)),
                };
                let value = text(what.of(view, after.at));
                Evidence { name: what.name(), op, threshold, before: Number::None, after: value }
            }
            Self::Number(quantity, _, EVERY_NUMBER) => Evidence {
                name: quantity.name(),
                op: "has",
                threshold: Number::None,
                before: quantity.shown(view, before),
                after: quantity.shown(view, after),
            },
            Self::Number(quantity, comparison, milli) => Evidence {
                name: quantity.name(),
                op: comparison.sign(),
                threshold: in_thousandths(*milli),
                before: quantity.shown(view, before),
                after: quantity.shown(view, after),
            },
            Self::Consent(purpose) => {
                let given = text(if self.holds(view, after) { "true" } else { "false" });
                let threshold = text(purpose);
                Evidence { name: "consent", op: "=", threshold, before: Number::None, after: given }
            }
        })
    }

    /// Whether it holds, when no time changes that.
    fn settled(&self, view: &View<'_>, present: &Measured) -> Option<bool> {
        let all_of = |parts: &[Self], decisive: bool| {
            let mut settled = parts.iter().map(|part| part.settled(view, present));
            let open = settled.by_ref().find(|part| *part != Some(!decisive));
            match open {
                None => Some(!decisive),
                Some(Some(_)) => Some(decisive),
                Some(None) => settled.any(|part| part == Some(decisive)).then_some(decisive),
            }
        };
        match self {
            Self::All(parts) => all_of(parts, false),
            Self::Any(parts) => all_of(parts, true),
            Self::Not(part) => part.settled(view, present).map(|holds| !holds),
            Self::Constant(_)
            | Self::Dimension(..)
            | Self::Text(..)
            | Self::Number(..)
            | Self::Consent(_) => {
                (!self.reads().meets(Reads::TIME)).then(|| self.holds(view, present))
            }
        }
    }

    /// The first instant after `present` at which a part may hold no longer, or begin to.
    fn next_boundary(&self, ahead: &mut LookAhead<'_>, present: &Measured) -> Option<Timestamp> {
        let view = ahead.view;
        match self {
            Self::Constant(_) | Self::Consent(_) => None,
            Self::All(parts) | Self::Any(parts) => {
                // One part that time leaves alone may decide for all.
                if self.settled(view, present).is_some() {
                    return None;
                }
                parts.iter().filter_map(|part| part.next_boundary(ahead, present)).min()
            }
            Self::Not(part) => part.next_boundary(ahead, present),
            Self::Dimension(dimension, _) => ahead.next_raw(*dimension, present).map(|(at, _)| at),
            Self::Text(Text::Season, _) => view.rules.seasons.next_change(view, present.at),
            Self::Text(..) => None,
            Self::Number(quantity, _, milli) => quantity.next_boundary(view, present, *milli),
        }
    }
}

impl Text {
    /// What evidence calls it.
    const fn name(&self) -> &'static str {
        match self {
            Self::Trait(_) => "trait",
            Self::Season => "season",
            Self::PreferredCategory => "preferred_category",
            Self::PreferredChannel => "preferred_channel",
        }
    }

    fn of<'a>(&self, view: &View<'a>, at: Timestamp) -> &'a str {
        match self {
            Self::Trait(name) => trait_of(view, name),
            Self::Season => view.rules.seasons.at(view, at),
            Self::PreferredCategory => preferred(view.customer, &view.rules.fold)[0].unwrap_or(""),
            Self::PreferredChannel => preferred(view.customer, &view.rules.fold)[1].unwrap_or(""),
        }
    }
}

/// The value of a trait; empty when it is not there.
fn trait_of<'a>(view: &View<'a>, name: &str) -> &'a str {
    view.customer.traits.as_ref().and_then(|traits| traits.get(name)).map_or("", |value| &**value)
}

/// Thousandths as a number for people.
#[expect(clippy::cast_precision_loss, reason = "for people; decisions use integers")]
fn in_thousandths(milli: i64) -> Number {
    if milli % 1000 == 0 {
        Number::Integer(milli / 1000)
    } else {
        Number::Decimal(milli as f64 / 1000.0)
    }
}

/// How being one of some texts is written.
fn one_of(values: &[String]) -> (&'static str, Number) {
    match values {
        [value] => ("=", Number::Text(value.as_str().into())),
        values => ("in", Number::Text(values.join(", ").into())),
    }
}

impl TextTest {
    /// Whether a text passes.
    #[must_use]
    pub fn holds(&self, text: &str) -> bool {
        match self {
            Self::OneOf(values) => values.iter().any(|value| value == text),
            Self::StartsWith(part) => text.starts_with(part.as_str()),
            Self::EndsWith(part) => text.ends_with(part.as_str()),
            Self::Contains(part) => text.contains(part.as_str()),
        }
    }
}
