//! The days on which a customer ordered, and the gaps between them.
//!
//! Orders of one UTC day are one. A gap ended in a reactivation when it was far longer than what
//! was expected before it. Orders that are only sums have no gaps left to look at.
//! Next: `dimensions/activity.rs`.

use crate::domain::facts::order::Stamp;
use crate::domain::facts::order_book::OrderBook;
use crate::domain::facts::order_facts::Gap;
use crate::domain::id::EventKey;
use crate::domain::rules::GapRules;
use crate::domain::time::{Day, Timestamp};

/// Gaps between order days.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OrderDays {
    /// How many gaps.
    pub gaps: i64,
    /// The longest, in days, of those that did not end in a reactivation.
    pub longest: Option<i64>,
    /// The gap before the last order day.
    pub last_gap: Option<i64>,
    /// The gap that was expected before the last order day.
    pub expected_before_last: Gap,
    /// Whether the last order day came after more than the reactivating multiple of it.
    pub reactivated: bool,
}

impl OrderDays {
    /// Looks at the orders of a book that are not cancelled. An order that comes while a paid term
    /// or its grace runs is compared with the length of the term.
    #[must_use]
    pub fn of(book: &OrderBook, rules: &GapRules, reactivation_milli: i64) -> Self {
        let prior = Gap { days: rules.prior_weight * rules.prior_days, parts: rules.prior_weight };
        let mut days = Self {
            gaps: 0,
            longest: None,
            last_gap: None,
            expected_before_last: prior,
            reactivated: false,
        };
        let sums = book.sums();
        days.gaps = i64::try_from(sums.order_days).unwrap_or(i64::MAX).max(1) - 1;
        let mut first: Option<Day> = sums.first_day;
        let mut last: Option<Day> = sums.last_day;
        let older = book.evicted().iter().filter(|order| !order.cancelled);
        let exact = book.orders.iter().filter(|order| !order.cancelled);
        let times = older.map(|order| order.day.start()).chain(exact.map(|order| order.base.at));
        for at in times {
            let day = at.day();
            if let (Some(first), Some(last)) = (first, last)
                && day > last
            {
                let shrunk =
                    Gap { days: last.0 - first.0 + prior.days, parts: days.gaps + prior.parts };
                let running = running_term(book, rules, at);
                let expected = running.map_or(shrunk, |days| Gap { days, parts: 1 });
                let gap = day.0 - last.0;
                days.gaps += 1;
                days.last_gap = Some(gap);
                days.expected_before_last = expected;
                days.reactivated = i128::from(gap) * i128::from(expected.parts) * 1000
                    > i128::from(expected.days) * i128::from(reactivation_milli);
                if !days.reactivated {
                    days.longest = days.longest.max(Some(gap));
                }
            }
            first = first.or(Some(day));
            last = Some(day);
        }
        days
    }
}

/// Length of the shortest term that was running when an order came, in days. A term runs whether
/// or not its order was cancelled.
fn running_term(book: &OrderBook, rules: &GapRules, at: Timestamp) -> Option<i64> {
    let subscriptions = book.subscriptions();
    if subscriptions.is_empty() {
        return None;
    }
    let older = book.evicted().iter().map(|order| {
        let begin = Stamp { at: order.day.start(), key: EventKey(0) };
        (begin, order.term)
    });
    let exact = book.orders.iter().map(|order| {
        let term = order.term.map(|term| (term.subscription, term.days));
        (order.base, term)
    });
    let terms = older.chain(exact).filter_map(|(begin, term)| {
        let (subscription, days) = term.filter(|(_, days)| *days > 0)?;
        let subscription = subscriptions.iter().find(|it| it.id == subscription)?;
        let ran = subscription.ran_at(begin, days, at, rules.subscription_grace_ms);
        ran.then_some(i64::from(days))
    });
    terms.min()
}
