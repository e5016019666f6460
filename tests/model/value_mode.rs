//! The naive model of `value_mode`.
//!
//! Spreads every term over its days and adds up. Next: `value_tier.rs`.

use crate::known::Known;
use crate::reference::{NaivePrice, to_base};
use ebbflow::domain::time::DAY_MS;

/// What the two windows hold.
pub(crate) struct Windows {
    pub(crate) now: i64,
    pub(crate) before: i64,
    /// Squared amounts of both.
    squares: i128,
    /// Orders in the window.
    orders: usize,
}

impl Known<'_> {
    /// What each counting order earns: when it was placed, net, in how many daily parts.
    fn earning_orders(&self) -> impl Iterator<Item = (i64, i64, i64)> {
        self.orders.iter().filter(|order| order.net > 0).map(|order| {
            let days = order.term.as_ref().map_or(1, |(_, days)| i64::from((*days).max(1)));
            (order.base.0, order.net, days)
        })
    }

    /// Parts earned by an instant.
    fn earned_parts((placed, _, days): (i64, i64, i64), until: i64) -> i64 {
        (0..days).filter(|day| placed + day * DAY_MS <= until).count() as i64
    }

    /// Earned later than `from` and by `until`, that instant included.
    pub(crate) fn earned(&self, from: i64, until: i64) -> i64 {
        self.earning_orders()
            .map(|order| {
                let (_, net, days) = order;
                let by = |at| {
                    let parts = Self::earned_parts(order, at);
                    i128::from(net) * i128::from(parts) / i128::from(days)
                };
                i64::try_from(by(until) - by(from)).expect("a small amount")
            })
            .sum()
    }

    fn window_ms(&self, gap: (i64, i64)) -> i64 {
        let [least, most] = self.rules.thresholds.value_mode.window_days;
        (3 * gap.0 * DAY_MS / gap.1).clamp(least * DAY_MS, most * DAY_MS)
    }

    pub(crate) fn windows(&self, at: i64) -> Windows {
        let window = self.window_ms(self.gap(at));
        let middle = at - window - 1;
        let begin = middle - window;
        let squares = self.earning_orders().map(|order| {
            let parts = Self::earned_parts(order, at) - Self::earned_parts(order, begin);
            let (net, days) = (i128::from(order.1), i128::from(order.2));
            net * net * i128::from(parts) / (days * days)
        });
        Windows {
            now: self.earned(middle, at),
            before: self.earned(begin, middle),
            squares: squares.sum(),
            orders: self.earning_orders().filter(|(placed, ..)| *placed > middle).count(),
        }
    }

    pub(crate) fn value_mode(&self, at: i64) -> &'static str {
        if self.counting.is_empty() {
            return "prospect";
        }
        if !self.live(at) {
            return "lapsed";
        }
        let Windows { now, before, squares, orders } = self.windows(at);
        if before == 0 {
            return if orders >= 2 {
                "expanding"
            } else if self.counting.len() == 1 {
                "creating"
            } else {
                "plateau"
            };
        }
        let difference = i128::from(now - before);
        let moved = 10 * difference.abs() > i128::from(before) && difference * difference > squares;
        let window = self.window_ms(self.gap(at));
        let wider = || self.widenings().into_iter().any(|then| then <= at && at - then <= window);
        if moved && difference > 0 || 10 * now >= 9 * before && wider() {
            "expanding"
        } else if moved {
            "contracting"
        } else {
            "plateau"
        }
    }

    /// When there was a new category or a higher plan.
    fn widenings(&self) -> Vec<i64> {
        let mut widenings = Vec::new();
        let counting: Vec<_> = self.orders.iter().filter(|order| order.net > 0).collect();
        for order in &counting {
            let before = counting.iter().filter(|other| other.base.0 < order.base.0);
            let before: Vec<_> = before.flat_map(|other| &other.categories).collect();
            // What was bought before is known from the first order on that names a category.
            if !before.is_empty() && order.categories.iter().any(|it| !before.contains(&it)) {
                widenings.push(order.base.0);
            }
        }
        for subscription in self.folded.subscriptions.values() {
            let prices: Vec<_> = subscription.prices.iter().collect();
            for (place, (set, (_, _, plan))) in prices.iter().enumerate() {
                let before = prices[..place].iter().rev().find_map(|(_, price)| price.2.clone());
                let (Some(plan), Some(before)) = (plan, before) else { continue };
                if *plan == before {
                    continue;
                }
                // What holds at a record: the last that was set by then, else the first ever.
                let in_force = |last: usize| {
                    let minor = held(&prices[..=last], |price| price.0)
                        .or_else(|| held_first(&prices, |price| price.0));
                    let days = held(&prices[..=last], |price| price.1)
                        .or_else(|| held_first(&prices, |price| price.1));
                    Some((i128::from(to_base(minor?, set.0)), i128::from(days?)))
                };
                let (Some(old), Some(new)) = (in_force(place - 1), in_force(place)) else {
                    continue;
                };
                if new.0 * old.1 > old.0 * new.1 {
                    widenings.push(set.0);
                }
            }
        }
        widenings
    }

    /// The last instants before something enters or leaves a window of this expected gap.
    pub(crate) fn value_mode_instants(&self, gap: (i64, i64)) -> Vec<i64> {
        let window = self.window_ms(gap);
        let mut instants: Vec<i64> =
            self.widenings().into_iter().map(|then| then + window).collect();
        for (placed, _, days) in self.earning_orders() {
            for part in (0..days).map(|day| placed + day * DAY_MS) {
                instants.extend([part - 1, part + window, part + 2 * window]);
            }
        }
        instants
    }
}

type Prices<'a> = [(&'a crate::reference::When, &'a NaivePrice)];

fn held<T>(prices: &Prices<'_>, field: impl Fn(&NaivePrice) -> Option<T>) -> Option<T> {
    prices.iter().rev().find_map(|(_, price)| field(price))
}

fn held_first<T>(prices: &Prices<'_>, field: impl Fn(&NaivePrice) -> Option<T>) -> Option<T> {
    prices.iter().find_map(|(_, price)| field(price))
}
