//! Steady buyers stay where they are: what `value_mode` publishes over five simulated years.
//!
//! Forty seeded buyers of each kind. Counts only what is published; limits are those of a kind, the
//! mean over its buyers. Baskets are alike but where it is said: three orders against one are
//! exactly one standard error apart, so there baskets that differ decide.

use crate::fixture::{T0, advance, eur, event, feed, ordered, rules, taken, task};
use ebbflow::domain::time::{DAY_MS, Timestamp};
use std::sync::Arc;

const BUYERS: u64 = 40;
const YEAR: i64 = 365;

/// SplitMix64. Source: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: i64) -> i64 {
        i64::try_from(self.next() % end.unsigned_abs()).expect("below an i64")
    }

    /// Days between orders with this mean, at random.
    fn exponential_ms(&mut self, mean_days: i64) -> i64 {
        #[expect(clippy::cast_precision_loss, reason = "a random number")]
        let part = ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "ms")]
        let ms = (-part.ln() * (mean_days * DAY_MS) as f64) as i64;
        ms
    }
}

/// Changes of `value_mode`, in days after the start, and the value, of a buyer for five years.
/// `gap_ms` gives the time to the next order from the day so far.
fn lived(
    seed: u64,
    mut basket: impl FnMut(&mut Random) -> i64,
    mut gap_ms: impl FnMut(&mut Random, i64) -> i64,
) -> Vec<(f64, String)> {
    let mut random = Random(seed);
    let mut task = task(&Arc::new(rules()));
    let mut at = random.below(30 * DAY_MS);
    let mut changes = Vec::new();
    let mut offset = 0;
    while at < 5 * YEAR * DAY_MS {
        let order = ordered(&format!("o{offset}"), eur(basket(&mut random)));
        feed(&mut task, &event(&format!("e{offset}"), "c", Timestamp(T0 + at), order), offset);
        at += gap_ms(&mut random, at / DAY_MS).max(1);
        offset += 1;
        changes.extend(taken(&mut task));
    }
    advance(&mut task, Timestamp(T0 + 5 * YEAR * DAY_MS));
    changes.extend(taken(&mut task));
    changes
        .into_iter()
        .filter(|change| change.dimension == "value_mode")
        .map(|change| {
            #[expect(clippy::cast_precision_loss, reason = "days")]
            let day = (change.occurred_at.0 - T0) as f64 / DAY_MS as f64;
            (day, change.current.expect("a value").to_string())
        })
        .collect()
}

/// Changes a year from month 26 on: the mean over all buyers, and of the one with most.
fn yearly(
    basket: impl Fn(&mut Random) -> i64,
    gap_ms: impl Fn(&mut Random, i64) -> i64,
) -> (f64, f64) {
    let begin = 26.0 * 365.0 / 12.0;
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let rates: Vec<f64> = (0..BUYERS)
        .map(|seed| {
            let changes = lived(seed, &basket, &gap_ms);
            let count = changes.iter().filter(|(day, _)| *day >= begin).count();
            count as f64 / (60.0 - 26.0) * 12.0
        })
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    (mean, rates.into_iter().fold(0.0, f64::max))
}

fn around(days: i64, off: i64) -> impl Fn(&mut Random, i64) -> i64 {
    move |random, _| (days - off) * DAY_MS + random.below(2 * off * DAY_MS + 1)
}

const fn alike(_: &mut Random) -> i64 {
    5_000
}

/// From four fifths to six fifths of the mean.
fn differing(random: &mut Random) -> i64 {
    4_000 + random.below(2_001)
}

#[expect(clippy::print_stdout, reason = "figures for whoever moves a limit")]
fn check(
    kind: &str,
    limit: f64,
    basket: impl Fn(&mut Random) -> i64,
    gap_ms: impl Fn(&mut Random, i64) -> i64,
) {
    let (mean, most) = yearly(basket, gap_ms);
    println!("{kind}: {mean:.3} changes a year, at most {most:.2} of one buyer");
    assert!(mean <= limit, "{kind}: {mean:.2} changes a year, limit {limit}");
}

#[test]
fn who_buys_once_a_year_stays() {
    check("yearly", 0.2, alike, |_, _| 365 * DAY_MS);
}

#[test]
fn who_buys_once_a_quarter_stays() {
    check("91 +- 15 days", 0.2, alike, around(91, 15));
}

#[test]
fn who_buys_once_a_month_stays() {
    check("30 +- 3 days", 0.2, alike, around(30, 3));
}

#[test]
fn who_buys_regularly_for_other_amounts_moves_less_than_every_other_year() {
    check("yearly, baskets +- 20 %", 0.5, differing, |_, _| 365 * DAY_MS);
    check("91 +- 15 days, baskets +- 20 %", 0.5, differing, around(91, 15));
    check("30 +- 3 days, baskets +- 20 %", 0.5, differing, around(30, 3));
}

#[test]
fn who_buys_at_random_moves_at_most_every_other_month() {
    check("Poisson, 60 days", 6.0, alike, |random, _| random.exponential_ms(60));
}

#[test]
fn who_buys_twice_as_often_is_told_to_expand() {
    let doubles = |random: &mut Random, day: i64| {
        let gap = around(91, 15)(random, day);
        if day < 3 * YEAR { gap } else { gap / 2 }
    };
    let expands = |seed: &u64| {
        let changes = lived(*seed, alike, doubles);
        #[expect(clippy::cast_precision_loss, reason = "days")]
        let after = (3 * YEAR) as f64;
        changes.iter().any(|(day, value)| *day > after && value == "expanding")
    };
    let count = (0..BUYERS).filter(expands).count();
    assert!(count >= 35, "{count} of {BUYERS}");
}
