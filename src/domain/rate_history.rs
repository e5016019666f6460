//! Which rates have decided so far: a later one may be added, an earlier one not be changed.
//!
//! Amounts are converted whenever they are added up, so that another rate of the past would change
//! what was published. Never converts. Next: `money.rs`; `runtime/restore.rs`, which compares.

use crate::domain::money::{Currency, DatedRate};
use crate::domain::time::{Day, Timestamp};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// The hashes of a table of rates, day by day.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct RateHistory {
    /// Codes with commas, in order.
    codes: String,
    /// Of the first rate of each currency, which also holds before its day.
    firsts: u64,
    /// Of everything up to a day, by day.
    days: Vec<(Day, u64)>,
}

impl RateHistory {
    /// Of rates sorted by day, at least one for each currency.
    pub(super) fn new<'a>(rates: impl Iterator<Item = &'a (Currency, Vec<DatedRate>)>) -> Self {
        let mut rates: Vec<_> = rates.collect();
        rates.sort_by_key(|(currency, _)| *currency);
        let codes: Vec<&str> = rates.iter().map(|(currency, _)| currency.code()).collect();
        let mut firsts = 0;
        let mut later = Vec::new();
        for (currency, dated) in &rates {
            for (index, rate) in dated.iter().enumerate() {
                if index == 0 {
                    firsts = link(firsts, *currency, *rate);
                } else {
                    later.push((rate.from, *currency, *rate));
                }
            }
        }
        later.sort_by_key(|(from, currency, _)| (*from, *currency));
        let mut hash = firsts;
        let mut days = Vec::with_capacity(later.len());
        for (from, currency, rate) in later {
            hash = link(hash, currency, rate);
            days.push((from, hash));
        }
        Self { codes: codes.join(","), firsts, days }
    }

    /// The currencies and the hash of what decided up to `at`; no hash before any order, empty
    /// without rates.
    pub(super) fn until(&self, at: Timestamp) -> String {
        if self.codes.is_empty() || at == Timestamp::MIN {
            return self.codes.clone();
        }
        let day = at.day();
        let begun = self.days.partition_point(|(from, _)| *from <= day);
        let hash = begun.checked_sub(1).map_or(self.firsts, |last| self.days[last].1);
        format!("{} {hash:016x}", self.codes)
    }
}

fn link(hash: u64, currency: Currency, rate: DatedRate) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(&hash.to_le_bytes());
    hasher.write(currency.code().as_bytes());
    hasher.write(&rate.from.0.to_le_bytes());
    hasher.write(&rate.nano_base.to_le_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use crate::domain::money::{Currency, DatedRate, ExchangeRates};
    use crate::domain::time::{Day, Timestamp};

    /// Currency, day, rate.
    fn rates(entries: &[(&str, i64, i64)]) -> ExchangeRates {
        let code = |code: &str| Currency::parse(code).expect("a code");
        let one = |(currency, day, nano_base): &(&str, i64, i64)| {
            (code(currency), DatedRate { from: Day(*day), nano_base: *nano_base })
        };
        let mut table: Vec<(Currency, Vec<DatedRate>)> = Vec::new();
        for (currency, rate) in entries.iter().map(one) {
            match table.iter_mut().find(|(known, _)| *known == currency) {
                Some((_, dated)) => dated.push(rate),
                None => table.push((currency, vec![rate])),
            }
        }
        ExchangeRates::new(code("EUR"), table)
    }

    const TABLE: [(&str, i64, i64); 4] =
        [("USD", 10, 900), ("USD", 20, 910), ("GBP", 15, 1100), ("USD", 40, 920)];

    #[test]
    fn later_rates_and_other_currencies_may_be_added() {
        let at = Day(30).start();
        let written = rates(&TABLE).history(at);
        assert!(written.starts_with("GBP,USD "), "{written}");
        let with = |more: &[(&str, i64, i64)]| rates(&[&TABLE[..], more].concat());
        for fits in [
            with(&[]),
            with(&[("USD", 31, 905)]),
            with(&[("GBP", 31, 1), ("GBP", 50, 2)]),
            with(&[("CHF", 1, 1000), ("CHF", 25, 1010)]),
            rates(&TABLE[..3]),
            rates(&[TABLE[2], TABLE[1], TABLE[0]]),
        ] {
            assert!(fits.agrees_with(&written, at), "{fits:?}");
        }
    }

    #[test]
    fn rates_that_have_decided_may_not_change() {
        let at = Day(30).start();
        let written = rates(&TABLE).history(at);
        let [first, second, gbp, late] = TABLE;
        for other in [
            rates(&[first, ("USD", 20, 911), gbp, late]),
            rates(&[first, ("USD", 21, 910), gbp, late]),
            rates(&[("USD", 10, 901), second, gbp, late]),
            rates(&[first, gbp, late]),
            rates(&[first, second, late]),
            rates(&[first, second, gbp, late, ("USD", 30, 1)]),
            // The first rate holds before its day too.
            rates(&[first, second, ("GBP", 15, 1101), late]),
            rates(&[first, second, gbp, late, ("GBP", 1, 1)]),
            rates(&[]),
        ] {
            assert!(!other.agrees_with(&written, at), "{other:?}");
        }
    }

    #[test]
    fn before_any_order_only_the_currencies_are_fixed() {
        let never = Timestamp::MIN;
        let written = rates(&TABLE).history(never);
        assert_eq!(written, "GBP,USD");
        assert!(rates(&[("USD", 10, 1), TABLE[2], ("CHF", 1, 5)]).agrees_with(&written, never));
        assert!(!rates(&TABLE[..2]).agrees_with(&written, never));
    }

    #[test]
    fn without_rates_any_may_be_added() {
        let at = Day(30).start();
        assert_eq!(rates(&[]).history(at), "");
        assert!(rates(&TABLE).agrees_with("", at));
        assert!(rates(&[]).agrees_with("", at));
    }
}
