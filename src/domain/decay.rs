//! Sums that fade by half every so many days: forward decay in integers.
//!
//! The weight of a UTC day is fixed when something is added, so addition commutes and all that
//! happens on one day weighs the same. Source: Cormode, Shkapenyuk, Srivastava, Xu, "Forward
//! Decay", ICDE 2009, with the landmark moved by whole half-lives, which only shifts bits.
//! Next: `facts/interactions.rs` and `facts/preferences.rs`, what fades.

use crate::domain::time::Day;
use std::cmp::Ordering;

/// Bits behind the point of a day's factor.
const FACTOR_BITS: u32 = 16;
/// Half-lives after which a sum begins to lose its lowest bits.
const SPARE_BITS: u32 = 20;
/// Where sums stay: what is packed is a signed number.
const MAX_SUM: u64 = i64::MAX.unsigned_abs();
/// Half-lives after which any sum is below one.
const GONE: i64 = 64;
/// Half-lives before its own that a sum is followed back: as many as a number of 128 bits holds.
const BEFORE: i64 = 54;

/// How fast a sum fades.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HalfLife {
    /// `2^(r / days)` for the days `r` of a half-life, in units of `2^-16`.
    factors: Vec<u64>,
}

impl HalfLife {
    /// A half-life of so many days.
    ///
    /// # Panics
    /// When `days` is not above zero.
    #[must_use]
    pub fn new(days: u16) -> Self {
        assert!(days > 0, "a half-life has days");
        let factor = |day: u16| {
            let scaled = libm::exp2(f64::from(day) / f64::from(days)) * f64::from(1 << FACTOR_BITS);
            #[expect(clippy::cast_possible_truncation, reason = "between 2^16 and 2^17")]
            #[expect(clippy::cast_sign_loss, reason = "positive")]
            let factor = libm::round(scaled) as u64;
            factor
        };
        Self { factors: (0..days).map(factor).collect() }
    }

    /// In days.
    #[must_use]
    pub fn days(&self) -> i64 {
        i64::try_from(self.factors.len()).unwrap_or(i64::MAX)
    }

    /// The half-life that holds a day, and the factor of the day in it.
    fn place(&self, day: Day) -> (i64, u64) {
        let days = self.days();
        let within = usize::try_from(day.0.rem_euclid(days)).unwrap_or(0);
        (day.0.div_euclid(days), self.factors[within])
    }
}

/// A sum that fades.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Decayed {
    /// The half-life that `sum` is of, counted from 1970-01-01.
    pub block: i64,
    /// The sum as of the beginning of that half-life, in units of `2^-36`.
    pub sum: u64,
}

impl Decayed {
    /// Adds what has `weight` on its day.
    pub fn add(&mut self, weight: u64, day: Day, half_life: &HalfLife) {
        self.absorb(Self::of(weight, day, half_life));
    }

    fn of(weight: u64, day: Day, half_life: &HalfLife) -> Self {
        let (block, factor) = half_life.place(day);
        Self { block, sum: weight.saturating_mul(factor << SPARE_BITS).min(MAX_SUM) }
    }

    /// Adds another sum that fades alike.
    pub fn absorb(&mut self, other: Self) {
        if other.sum == 0 {
            return;
        }
        if self.sum == 0 {
            *self = other;
            return;
        }
        let block = self.block.max(other.block);
        let at_block = |it: &Self| shifted(it.sum, block - it.block);
        let sum = at_block(self).saturating_add(at_block(&other)).min(MAX_SUM);
        *self = Self { block, sum };
    }

    /// Takes off again what had `weight` on its day; of a day long before the latest that was
    /// added the lowest bits may be off.
    pub fn take_off(&mut self, weight: u64, day: Day, half_life: &HalfLife) {
        let part = Self::of(weight, day, half_life);
        self.sum = self.sum.saturating_sub(shifted(part.sum, self.block - part.block));
    }

    /// Whether it is `level` or more on a day.
    #[must_use]
    pub fn reaches(&self, level: u64, day: Day, half_life: &HalfLife) -> bool {
        let (block, factor) = half_life.place(day);
        self.scaled(1, block) >= needed(level, factor)
    }

    /// So many times the sum as of the beginning of a half-life.
    fn scaled(&self, times: u64, block: i64) -> u128 {
        let sum = u128::from(self.sum) * u128::from(times);
        match block - self.block {
            later @ 0..GONE => sum >> later,
            GONE.. => 0,
            earlier => sum << (-earlier).min(BEFORE),
        }
    }

    /// The first day after `day` on which it is below `level`; `None` when it is so already, or
    /// never will be.
    #[must_use]
    pub fn falls_below(&self, level: u64, day: Day, half_life: &HalfLife) -> Option<Day> {
        self.first_without(1, level, day, half_life)
    }

    /// The same of [`Self::milli`] and so many thousandths.
    #[must_use]
    pub fn falls_below_milli(&self, level: u64, day: Day, half_life: &HalfLife) -> Option<Day> {
        self.first_without(1000, level, day, half_life)
    }

    /// The first day after `day` on which so many times the sum are below a level.
    fn first_without(&self, times: u64, level: u64, day: Day, half_life: &HalfLife) -> Option<Day> {
        let reaches =
            |(block, factor): (i64, u64)| self.scaled(times, block) >= needed(level, factor);
        if level == 0 || !reaches(half_life.place(day)) {
            return None;
        }
        // The last half-life at whose beginning it is reached: the quotient's whole doublings.
        let bits = |number: u128| i64::from(number.ilog2());
        let sum = u128::from(self.sum) * u128::from(times);
        let mut block = self.block + bits(sum) - bits(needed(level, 1 << FACTOR_BITS));
        if !reaches((block, 1 << FACTOR_BITS)) {
            block -= 1;
        }
        let days = half_life.factors.partition_point(|factor| reaches((block, *factor)));
        Some(Day(block * half_life.days() + i64::try_from(days).unwrap_or(i64::MAX)))
    }

    /// Which of two that fade alike is greater, on any day.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        let first = self.block.min(other.block);
        let at_first = |it: &Self| u128::from(it.sum) << (it.block - first).min(GONE);
        at_first(self).cmp(&at_first(other))
    }

    /// For people: the sum on a day in thousandths, rounded down.
    #[must_use]
    pub fn milli(&self, day: Day, half_life: &HalfLife) -> u64 {
        let (block, factor) = half_life.place(day);
        u64::try_from(self.scaled(1000, block) / needed(1, factor)).unwrap_or(u64::MAX)
    }
}

/// What a sum has to be for a level on a day of that factor.
fn needed(level: u64, factor: u64) -> u128 {
    (u128::from(level) * u128::from(factor)) << SPARE_BITS
}

fn shifted(sum: u64, by: i64) -> u64 {
    u32::try_from(by).ok().and_then(|by| sum.checked_shr(by)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_sum_halves_with_every_half_life() {
        let half_life = HalfLife::new(14);
        let mut sum = Decayed::default();
        sum.add(40, Day(20_000), &half_life);
        for (days, milli) in [(0, 40_000), (14, 20_000), (28, 10_000), (7, 28_284)] {
            assert_eq!(sum.milli(Day(20_000 + days), &half_life).abs_diff(milli) / 2, 0);
        }
        assert!(sum.reaches(20, Day(20_014), &half_life));
        assert!(!sum.reaches(20, Day(20_015), &half_life));
        assert_eq!(sum.falls_below(20, Day(20_003), &half_life), Some(Day(20_015)));
        assert_eq!(sum.falls_below(41, Day(20_000), &half_life), None);
        assert_eq!(sum.falls_below(0, Day(20_000), &half_life), None);
    }

    proptest! {
        #[test]
        fn addition_commutes(
            parts in proptest::collection::vec((1_u64..=1000, 20_000_i64..20_200), 1..40),
            seed in any::<u64>(),
        ) {
            let half_life = HalfLife::new(14);
            let sum = |parts: &[(u64, i64)]| {
                let mut sum = Decayed::default();
                parts.iter().for_each(|(weight, day)| sum.add(*weight, Day(*day), &half_life));
                sum
            };
            let mut shuffled = parts.clone();
            shuffled.sort_by_key(|(weight, day)| {
                (*weight ^ seed).wrapping_mul(31) ^ day.unsigned_abs()
            });
            prop_assert_eq!(sum(&parts), sum(&shuffled));
        }

        #[test]
        fn two_sums_are_added_and_a_part_is_taken_off_again(
            parts in proptest::collection::vec((1_u64..=1000, 20_000_i64..20_200), 2..40),
            split in any::<prop::sample::Index>(),
        ) {
            let half_life = HalfLife::new(14);
            let sum = |parts: &[(u64, i64)]| {
                let mut sum = Decayed::default();
                parts.iter().for_each(|(weight, day)| sum.add(*weight, Day(*day), &half_life));
                sum
            };
            let (some, others) = parts.split_at(split.index(parts.len()));
            for (one, other) in [(some, others), (others, some)] {
                let mut both = sum(one);
                both.absorb(sum(other));
                prop_assert_eq!(both, sum(&parts));
                for (weight, day) in other {
                    both.take_off(*weight, Day(*day), &half_life);
                }
                // The rest stands as of the latest half-life of all.
                prop_assert!(both.compare(&sum(one)).is_eq(), "{:?} {:?}", both, sum(one));
            }
        }

        #[test]
        fn the_fall_is_the_first_day_below(
            weights in proptest::collection::vec((1_u64..=100_000, 0_i64..500), 1..4),
            level in prop_oneof![1_u64..=50, 1_u64..=100_000, any::<u64>()],
            days in 1_u16..400,
            later in -900_i64..900,
        ) {
            let half_life = HalfLife::new(days);
            let mut sum = Decayed::default();
            for (weight, day) in weights {
                sum.add(weight, Day(20_000 + day), &half_life);
            }
            let from = Day(20_000 + later);
            match sum.falls_below(level, from, &half_life) {
                Some(day) => {
                    prop_assert!(!sum.reaches(level, day, &half_life));
                    prop_assert!(sum.reaches(level, Day(day.0 - 1), &half_life));
                }
                None => prop_assert!(!sum.reaches(level, from, &half_life)),
            }
            match sum.falls_below_milli(level, from, &half_life) {
                Some(day) => {
                    prop_assert!(sum.milli(day, &half_life) < level);
                    prop_assert!(sum.milli(Day(day.0 - 1), &half_life) >= level);
                }
                None => prop_assert!(sum.milli(from, &half_life) < level),
            }
        }
    }
}
