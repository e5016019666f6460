//! What was spent in two windows of time that follow each other, and whether that differs.
//!
//! A difference counts only beyond the standard error of a compound Poisson sum, the root of the
//! sum of the squared amounts. Source: S. M. Ross, "Introduction to Probability Models", section
//! 5.4 (variance of a compound Poisson process). Next: `value_mode.rs`, which judges by it.

use crate::domain::dimensions::value_mode::ValueMode;
use crate::domain::facts::revenue::Earning;
use crate::domain::rules::ValueModeRules;
use crate::domain::time::Timestamp;
use std::cmp::Ordering;

/// What was spent in the two windows.
pub(super) struct Spend {
    /// In the window.
    pub(super) now_minor: i64,
    /// In the window before.
    pub(super) before_minor: i64,
    /// Sum of the squared amounts in both.
    squares: i128,
    /// Orders in the window.
    pub(super) orders: u64,
}

impl Spend {
    /// What was spent in the window of `window_ms` up to `at`, and in the one before.
    pub(super) fn of(
        earnings: impl Iterator<Item = Earning>,
        at: Timestamp,
        window_ms: i64,
    ) -> Self {
        let [middle, begin] = windows(at, window_ms);
        let mut spend = Self { now_minor: 0, before_minor: 0, squares: 0, orders: 0 };
        for earning in earnings {
            let at_begin = earning.until(begin);
            if at_begin == earning.net_minor {
                continue;
            }
            let (at_middle, at_end) = (earning.until(middle), earning.until(at));
            spend.now_minor = spend.now_minor.saturating_add(at_end - at_middle);
            spend.before_minor = spend.before_minor.saturating_add(at_middle - at_begin);
            spend.squares += earning.squares(earning.parts_until(at) - earning.parts_until(begin));
            spend.orders += u64::from(earning.at > middle);
        }
        spend
    }

    /// Whether more or less was spent than in the window before, beyond what chance explains:
    /// `|difference| > max(share of the sum before, z * sqrt(squares))`, in integers.
    pub(super) fn moved(&self, rules: &ValueModeRules) -> Ordering {
        let difference = i128::from(self.now_minor) - i128::from(self.before_minor);
        if exceeds_noise(difference, self.before_minor, self.squares, rules) {
            difference.cmp(&0)
        } else {
            Ordering::Equal
        }
    }

    /// Whether about as much was spent as in the window before.
    pub(super) fn is_kept(&self, rules: &ValueModeRules) -> bool {
        is_kept(self.now_minor, self.before_minor, rules)
    }

    /// For people: what a difference has to exceed.
    pub(super) fn margin_minor(&self, rules: &ValueModeRules) -> i64 {
        let share = i128::from(self.before_minor) * i128::from(rules.change_milli) / 1000;
        let z = i128::from(rules.z_milli);
        let noise = self.squares.checked_mul(z * z).unwrap_or(i128::MAX).isqrt() / 1000;
        i64::try_from(share.max(noise)).unwrap_or(i64::MAX)
    }
}

/// The least and the greatest that a span of instants can show: what is earned until an instant
/// never falls, so the ends of the span bound it.
#[derive(Default)]
pub(super) struct SpendExtremes {
    now_minor: [i64; 2],
    before_minor: [i64; 2],
    squares: [i128; 2],
}

impl SpendExtremes {
    /// Over all instants from `first` to `last`.
    pub(super) fn of(
        earnings: impl Iterator<Item = Earning>,
        [first, last]: [Timestamp; 2],
        window_ms: i64,
    ) -> Self {
        let ([first_middle, first_begin], [last_middle, last_begin]) =
            (windows(first, window_ms), windows(last, window_ms));
        let mut sums = Self::default();
        for earning in earnings {
            if earning.until(first_begin) == earning.net_minor {
                continue;
            }
            let minor = |from, until| (earning.until(until) - earning.until(from)).max(0);
            let squares = |from, until| {
                let parts = earning.parts_until(until) - earning.parts_until(from);
                earning.squares(parts.max(0))
            };
            let ends = [
                (first, last_middle, last_begin, first_middle),
                (last, first_middle, first_begin, last_middle),
            ];
            for (end, (at, middle, begin, before_middle)) in ends.into_iter().enumerate() {
                let add = |sum: &mut i64, minor| *sum = sum.saturating_add(minor);
                add(&mut sums.now_minor[end], minor(middle, at));
                add(&mut sums.before_minor[end], minor(begin, before_middle));
                sums.squares[end] += squares(begin, at);
            }
        }
        sums
    }

    /// Whether nothing was spent in the window before, at any instant.
    pub(super) const fn is_nothing_before(&self) -> bool {
        self.before_minor[1] == 0
    }

    /// Whether all that lies between gives `value`, for a live customer.
    pub(super) fn all_give(
        &self,
        value: ValueMode,
        is_wider: bool,
        rules: &ValueModeRules,
    ) -> bool {
        let Self { now_minor: [now, most_now], before_minor: [before, most_before], squares } =
            *self;
        if before <= 0 {
            return false;
        }
        let least = i128::from(now) - i128::from(most_before);
        let most = i128::from(most_now) - i128::from(before);
        let surely = |difference| exceeds_noise(difference, most_before, squares[1], rules);
        let up = least > 0 && surely(least);
        let down = most < 0 && surely(most);
        let apart = if least.abs() > most.abs() { least } else { most };
        let stays = !exceeds_noise(apart, before, squares[0], rules);
        let sums = match () {
            () if up => Some(ValueMode::Expanding),
            () if is_wider && is_kept(now, most_before, rules) => Some(ValueMode::Expanding),
            () if is_wider && is_kept(most_now, before, rules) => None,
            () if down => Some(ValueMode::Contracting),
            () if stays => Some(ValueMode::Plateau),
            () => None,
        };
        sums == Some(value)
    }
}

/// The last instants before the window up to `at`, and before the one before.
const fn windows(at: Timestamp, window_ms: i64) -> [Timestamp; 2] {
    let middle = at.plus_ms(-window_ms - 1);
    [middle, middle.plus_ms(-window_ms)]
}

fn exceeds_noise(
    difference: i128,
    before_minor: i64,
    squares: i128,
    rules: &ValueModeRules,
) -> bool {
    let scaled = difference.abs() * 1000;
    let share = i128::from(before_minor) * i128::from(rules.change_milli);
    let z = i128::from(rules.z_milli);
    let noise = squares.checked_mul(z * z).unwrap_or(i128::MAX);
    scaled > share && scaled.checked_mul(scaled).unwrap_or(i128::MAX) > noise
}

fn is_kept(now_minor: i64, before_minor: i64, rules: &ValueModeRules) -> bool {
    i128::from(now_minor) * 1000 >= i128::from(before_minor) * i128::from(rules.wider_milli)
}
