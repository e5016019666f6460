//! The `value_mode` dimension: whether a customer's value is being created, expanded or lost.
//!
//! The net spend of a window that fits the customer is compared with that of the window before;
//! a difference counts only beyond the standard error of a compound Poisson sum, which is the
//! root of the sum of the squared amounts. Next: `spend.rs`, the two windows.

use crate::domain::change::{Direction, Evidence, Number};
use crate::domain::dimensions::lifecycle;
use crate::domain::dimensions::spend::{Spend, SpendExtremes};
use crate::domain::dimensions::view::{View, direction_by_rank};
use crate::domain::facts::order_facts::{expected_gap, live_until, next_live_boundary};
use crate::domain::facts::revenue::{Earning, earnings};
use crate::domain::raw::Measured;
use crate::domain::time::{DAY_MS, Timestamp};
use std::cmp::Ordering;

/// Days that are looked ahead at once at most: 1,435 years.
const FURTHEST_DAYS: i64 = 1 << 19;

/// Where a customer's value is going.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub enum ValueMode {
    #[default]
    Prospect = 0,
    Creating = 1,
    Expanding = 2,
    Plateau = 3,
    Contracting = 4,
    Lapsed = 5,
}

impl ValueMode {
    /// All; the place is the value that is stored.
    pub const ALL: [Self; 6] = [
        Self::Prospect,
        Self::Creating,
        Self::Expanding,
        Self::Plateau,
        Self::Contracting,
        Self::Lapsed,
    ];

    /// The name that is published.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prospect => "prospect",
            Self::Creating => "creating",
            Self::Expanding => "expanding",
            Self::Plateau => "plateau",
            Self::Contracting => "contracting",
            Self::Lapsed => "lapsed",
        }
    }

    /// The better, the higher.
    const fn rank(self) -> u8 {
        match self {
            Self::Prospect => 0,
            Self::Lapsed => 1,
            Self::Contracting => 2,
            Self::Creating => 3,
            Self::Plateau => 4,
            Self::Expanding => 5,
        }
    }
}

/// What decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Decider {
    /// How many orders there are, or that the customer is not live.
    #[default]
    Orders,
    /// The two sums.
    Spend,
    /// The category at this place of the customer's preferences is new.
    Category(u8),
    /// The subscription and price at these places are a higher plan.
    Plan,
}

/// What decides, at an instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Measure {
    /// The value.
    pub value: ValueMode,
    /// What decided.
    pub decider: Decider,
    /// Length of the window in ms.
    pub window_ms: i64,
    /// Net spend of the window, minor units of the base currency.
    pub now_minor: i64,
    /// Net spend of the window before.
    pub before_minor: i64,
    /// What the difference of the two has to exceed.
    pub margin_minor: i64,
}

/// Length of the window at an instant, in ms.
fn window_ms(view: &View<'_>, at: Timestamp) -> i64 {
    let rules = &view.thresholds.value_mode;
    let gap = expected_gap(&view.facts, &view.customer.book, &view.thresholds.gap, at);
    let ms = gap.passed_at_milli(Timestamp(0), rules.window_milli).0 - 1;
    let [least, most] = rules.window_days;
    ms.clamp(least * DAY_MS, most * DAY_MS)
}

/// Measures a customer at an instant.
#[must_use]
pub fn measure(view: &View<'_>, at: Timestamp) -> Measure {
    let window_ms = window_ms(view, at);
    let spend = Spend::of(earnings(&view.customer.book, &view.rules.rates), at, window_ms);
    let is_wider = || widenings(view).any(|(then, _)| is_within(then, window_ms, at));
    let (value, ground) = judge(view, &spend, at, is_wider);
    let decider = match ground {
        Ground::Orders => Decider::Orders,
        Ground::Spend => Decider::Spend,
        Ground::Wider => latest_widening(view, at, window_ms).unwrap_or(Decider::Spend),
    };
    Measure {
        value,
        decider,
        window_ms,
        now_minor: spend.now_minor,
        before_minor: spend.before_minor,
        margin_minor: spend.margin_minor(&view.thresholds.value_mode),
    }
}

/// What a value rests on.
#[derive(Clone, Copy)]
enum Ground {
    Orders,
    Spend,
    Wider,
}

/// The value of what was spent in the two windows up to `at`.
fn judge(
    view: &View<'_>,
    spend: &Spend,
    at: Timestamp,
    is_wider: impl FnOnce() -> bool,
) -> (ValueMode, Ground) {
    let View { customer, thresholds, facts, .. } = view;
    let rules = &thresholds.value_mode;
    if facts.orders == 0 {
        return (ValueMode::Prospect, Ground::Orders);
    }
    if live_until(facts, &customer.book, &thresholds.gap, &thresholds.lifecycle, at).is_none() {
        return (ValueMode::Lapsed, Ground::Orders);
    }
    if spend.before_minor == 0 {
        return (by_orders(spend.orders, facts.orders), Ground::Orders);
    }
    let moved = spend.moved(rules);
    if moved == Ordering::Greater {
        return (ValueMode::Expanding, Ground::Spend);
    }
    if spend.is_kept(rules) && is_wider() {
        return (ValueMode::Expanding, Ground::Wider);
    }
    match moved {
        Ordering::Less => (ValueMode::Contracting, Ground::Spend),
        _ => (ValueMode::Plateau, Ground::Spend),
    }
}

/// Where nothing was spent in the window before, there is no ratio: how many orders decide.
const fn by_orders(in_window: u64, all: u64) -> ValueMode {
    match (in_window, all) {
        (2.., _) => ValueMode::Expanding,
        (_, 1) => ValueMode::Creating,
        _ => ValueMode::Plateau,
    }
}

const fn is_within(then: Timestamp, window_ms: i64, at: Timestamp) -> bool {
    then.0 <= at.0 && at.since(then) <= window_ms
}

/// The latest new category or higher plan within the window.
fn latest_widening(view: &View<'_>, at: Timestamp, window_ms: i64) -> Option<Decider> {
    // Of several at once a plan decides, then the last name: places are given by arrival.
    let categories = view.customer.preferences.as_ref().map(|it| &it.categories);
    let name = |decider: &Decider| match decider {
        Decider::Category(place) => {
            categories.and_then(|it| it.get(usize::from(*place))).map(|it| &*it.name)
        }
        _ => None,
    };
    widenings(view)
        .filter(|(then, _)| is_within(*then, window_ms, at))
        .max_by_key(|(then, decider)| (*then, *decider == Decider::Plan, name(decider)))
        .map(|(_, decider)| decider)
}

/// Every category that is new beside those of earlier orders, and every higher plan: when, and
/// what.
fn widenings<'a>(view: &View<'a>) -> impl Iterator<Item = (Timestamp, Decider)> + 'a {
    let View { customer, rules, .. } = *view;
    let book = &customer.book;
    let mut seen = book.rare.as_ref().map_or(0, |rare| rare.categories);
    let (mut earlier, mut latest) = (seen, Timestamp::MIN);
    let counting = book.orders.iter().filter(|order| order.net_minor(&rules.rates) > 0);
    let new = counting.flat_map(move |order| {
        if order.base.at > latest {
            (earlier, latest) = (seen, order.base.at);
        }
        seen |= order.marks.categories;
        // Where no earlier order named one, it is not known whether it is new.
        let new = if earlier == 0 { 0 } else { order.marks.categories & !earlier };
        (0..8).filter(move |place| new >> place & 1 == 1).map(|place| (order.base.at, place))
    });
    let new = new.map(|(at, place)| (at, Decider::Category(place)));
    let upgrades = book.subscriptions().iter().flat_map(|it| it.upgrades(&rules.rates));
    new.chain(upgrades.map(|(at, _)| (at, Decider::Plan)))
}

/// The next instant after `after` at which time alone changes the value `present`, and to which.
#[must_use]
pub fn next_change(view: &View<'_>, after: Timestamp, present: u8) -> Option<(Timestamp, u8)> {
    let course = Course {
        view,
        earnings: earnings(&view.customer.book, &view.rules.rates).collect(),
        widened_at: widenings(view).map(|(at, _)| at).collect(),
    };
    let mut at = after;
    loop {
        at = course.next_boundary(at)?;
        let window_ms = window_ms(view, at);
        let spend = Spend::of(course.earnings(), at, window_ms);
        let is_wider = course.is_wider(window_ms, at);
        let (value, _) = judge(view, &spend, at, || is_wider);
        if value as u8 != present {
            return Some((at, value as u8));
        }
        at = course.holds_until(at, value, (window_ms, spend.orders, is_wider));
    }
}

/// All that time moves through the windows of a customer.
struct Course<'a> {
    view: &'a View<'a>,
    earnings: Vec<Earning>,
    widened_at: Vec<Timestamp>,
}

impl Course<'_> {
    fn earnings(&self) -> impl Iterator<Item = Earning> + Clone + '_ {
        self.earnings.iter().copied()
    }

    fn is_wider(&self, window_ms: i64, at: Timestamp) -> bool {
        self.widened_at.iter().any(|then| is_within(*then, window_ms, at))
    }

    /// An instant from `at` on, up to which the value at `at` surely stays: a subscription is
    /// earned day by day, and most of the days change nothing.
    fn holds_until(
        &self,
        at: Timestamp,
        value: ValueMode,
        (window_ms, orders, is_wider): (i64, u64, bool),
    ) -> Timestamp {
        let View { customer, thresholds, facts, .. } = self.view;
        let (book, gap, lifecycle) = (&customer.book, &thresholds.gap, &thresholds.lifecycle);
        let is_daily = self.earnings().any(|earning| earning.parts > 1);
        if !is_daily || live_until(facts, book, gap, lifecycle, at).is_none() {
            return at;
        }
        let live = next_live_boundary(facts, book, gap, lifecycle, at);
        let placed = self.earnings().map(|earning| earning.at);
        let leaves = self.widened_at.iter().copied().chain(placed);
        let leaves = leaves.map(|then| then.plus_ms(window_ms + 1));
        let changes = live.into_iter().chain(leaves.filter(|then| *then > at)).min();
        let quiet = changes.unwrap_or(Timestamp::MAX).plus_ms(-1);
        let by_orders = by_orders(orders, facts.orders);
        let mut span_ms = quiet.since(at).min(FURTHEST_DAYS * DAY_MS);
        while span_ms >= DAY_MS {
            let until = at.plus_ms(span_ms);
            let extremes = SpendExtremes::of(self.earnings(), [at, until], window_ms);
            let holds = if extremes.is_nothing_before() {
                by_orders == value
            } else {
                extremes.all_give(value, is_wider, &thresholds.value_mode)
            };
            if holds {
                return until;
            }
            span_ms /= 2;
        }
        at
    }

    /// The first instant after `after` at which time alone may change the value or the sums.
    fn next_boundary(&self, after: Timestamp) -> Option<Timestamp> {
        let View { customer, thresholds, facts, .. } = self.view;
        let (book, gap, lifecycle) = (&customer.book, &thresholds.gap, &thresholds.lifecycle);
        let live = next_live_boundary(facts, book, gap, lifecycle, after);
        if live_until(facts, book, gap, lifecycle, after).is_none() {
            return live;
        }
        let window_ms = window_ms(self.view, after);
        let ages = [0, window_ms + 1, 2 * window_ms + 1];
        let aged = |earning: Earning| {
            ages.into_iter().filter_map(|age| earning.next_at_age(age, after)).min()
        };
        let parts = self.earnings().filter_map(aged).min();
        let wider = self.widened_at.iter().map(|at| at.plus_ms(window_ms + 1));
        let wider = wider.filter(|at| *at > after).min();
        live.into_iter().chain(parts).chain(wider).min()
    }
}

/// The numbers behind a value: both sums, their ratio, and what decided.
#[must_use]
pub fn evidence(view: &View<'_>, old: &Measured, new: &Measured) -> Vec<Evidence> {
    let (before, after, at) = (&old.value_mode, &new.value_mode, [old.at, new.at]);
    let orders = |op, threshold| lifecycle::orders(op, threshold, old, new);
    let mut evidence = Vec::new();
    match (after.value, after.decider) {
        (ValueMode::Prospect, _) => return vec![orders("<", 1)],
        (ValueMode::Lapsed, _) => evidence.extend(lifecycle::silence(view, ">", at)),
        (ValueMode::Creating, _) => evidence.push(orders("<=", 1)),
        (_, Decider::Orders) => evidence.push(orders(">=", 2)),
        _ => {}
    }
    let (now_minor, before_minor) = (after.now_minor, after.before_minor);
    let wider_milli = view.thresholds.value_mode.wider_milli;
    let wider = i128::from(before_minor) * i128::from(wider_milli);
    let wider = i64::try_from((wider + 999) / 1000).unwrap_or(i64::MAX);
    let above = before_minor.saturating_add(after.margin_minor);
    let below = before_minor.saturating_sub(after.margin_minor);
    let (op, threshold) = match (after.value, after.decider) {
        (ValueMode::Lapsed, _) | (_, Decider::Orders) => (">=", 0),
        (_, Decider::Category(_) | Decider::Plan) => (">=", wider),
        (ValueMode::Expanding, Decider::Spend) => (">", above),
        (ValueMode::Contracting, Decider::Spend) => ("<", below),
        (_, Decider::Spend) if now_minor >= before_minor => ("<=", above),
        (_, Decider::Spend) => (">=", below),
    };
    let minor = |name, op, threshold, numbers: [i64; 2]| Evidence {
        name,
        op,
        threshold: Number::Integer(threshold),
        before: Number::Integer(numbers[0]),
        after: Number::Integer(numbers[1]),
    };
    evidence.push(minor("window_net_minor", op, threshold, [before.now_minor, now_minor]));
    let op_before = if before_minor > 0 { ">" } else { "<=" };
    let numbers = [before.before_minor, before_minor];
    evidence.push(minor("window_before_net_minor", op_before, 0, numbers));
    let retention = |measure: &Measure| match measure.before_minor {
        0 => Number::None,
        #[expect(clippy::cast_precision_loss, reason = "for people; decisions use the amounts")]
        before => Number::Decimal(measure.now_minor as f64 / before as f64),
    };
    if before_minor != 0 {
        let (op, threshold) = match (after.value, after.decider) {
            (ValueMode::Expanding, Decider::Spend) => (">", Number::Decimal(1.0)),
            (ValueMode::Contracting, _) => ("<", Number::Decimal(1.0)),
            _ => ("=", Number::None),
        };
        let (before, after) = (retention(before), retention(after));
        evidence.push(Evidence { name: "net_revenue_retention", op, threshold, before, after });
    }
    let text = |name: &'static str, text: &str| Evidence {
        name,
        op: "=",
        threshold: Number::None,
        before: Number::None,
        after: Number::Text(text.into()),
    };
    match after.decider {
        Decider::Category(place) => {
            let categories = view.customer.preferences.as_ref().map(|it| &it.categories);
            let name = categories.and_then(|it| it.get(usize::from(place)));
            evidence.extend(name.map(|it| text("new_category", &it.name)));
        }
        Decider::Plan => {
            let subscriptions = view.customer.book.subscriptions().iter();
            let upgrades = subscriptions.flat_map(|it| it.upgrades(&view.rules.rates));
            let latest = upgrades.filter(|(then, _)| *then <= at[1]).max();
            evidence.extend(latest.map(|(_, name)| text("higher_plan", name)));
        }
        Decider::Orders | Decider::Spend => {}
    }
    evidence
}

/// Which way a customer went from one value to another.
#[must_use]
pub fn direction(from: u8, to: u8) -> Direction {
    let rank = |value: u8| ValueMode::ALL.get(usize::from(value)).map(|it| it.rank());
    direction_by_rank(rank(from), rank(to))
}
