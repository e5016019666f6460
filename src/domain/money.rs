//! Money: integer minor units of an ISO-4217 currency, and the dated table that converts it.
//!
//! No float ever touches an amount. Next: `order.rs`, which converts at the order's rate.

use crate::domain::rate_history::RateHistory;
use crate::domain::time::{Day, Timestamp};
use std::fmt;

/// Largest amount that one event may carry, in minor units; above it sums could overflow.
pub const MAX_AMOUNT_MINOR: i64 = 1_000_000_000_000_000;

/// An ISO-4217 alphabetic code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Reads a code of three upper-case letters.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        let bytes: [u8; 3] = code.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_uppercase).then_some(Self(bytes))
    }

    /// The three letters.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }

    /// Digits after the decimal point of the major unit. Source: ISO 4217, list one.
    #[must_use]
    pub const fn exponent(self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG"
            | b"RWF" | b"UGX" | b"UYI" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            b"CLF" | b"UYW" => 4,
            _ => 2,
        }
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

/// An amount in minor units of a currency; never negative when it comes from an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Money {
    /// Integer minor units.
    pub amount_minor: i64,
    /// The currency of those units.
    pub currency: Currency,
}

/// One rate: from `from` on, a major unit of the currency is worth `nano_base / 1e9` major units
/// of the base currency.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DatedRate {
    /// First UTC day of the rate.
    pub from: Day,
    /// Base major units per major unit, times 10^9; above zero.
    pub nano_base: i64,
}

/// The dated table of exchange rates into the base currency.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExchangeRates {
    base: Currency,
    rates: Vec<(Currency, Vec<DatedRate>)>,
    history: RateHistory,
}

impl ExchangeRates {
    /// A table for `base`; the rates of each currency in any order, at least one each.
    #[must_use]
    pub fn new(base: Currency, mut rates: Vec<(Currency, Vec<DatedRate>)>) -> Self {
        rates.retain(|(_, dated)| !dated.is_empty());
        for (_, dated) in &mut rates {
            dated.sort_by_key(|rate| rate.from);
        }
        let history = RateHistory::new(rates.iter());
        Self { base, rates, history }
    }

    /// Names the rates that decide about events up to `at`, for [`Self::agrees_with`].
    #[must_use]
    pub fn history(&self, at: Timestamp) -> String {
        self.history.until(at)
    }

    /// Whether events up to `at` are converted as by the table with this [`Self::history`]: later
    /// rates may differ, and currencies that it did not know may be there.
    #[must_use]
    pub fn agrees_with(&self, history: &str, at: Timestamp) -> bool {
        let codes = history.split(' ').next().unwrap_or_default();
        let known = self
            .rates
            .iter()
            .filter(|(currency, _)| codes.split(',').any(|code| code == currency.code()));
        RateHistory::new(known).until(at) == history
    }

    /// The currency that everything is converted to.
    #[must_use]
    pub const fn base(&self) -> Currency {
        self.base
    }

    /// Whether amounts of this currency can be converted.
    #[must_use]
    pub fn knows(&self, currency: Currency) -> bool {
        currency == self.base || self.rates.iter().any(|(known, _)| *known == currency)
    }

    /// The amount in minor units of the base currency at the rate of `at`: the latest rate that
    /// had begun, or the first one before any had; halves round away from zero.
    ///
    /// An unknown currency gives 0; codecs refuse those events.
    #[must_use]
    pub fn to_base_minor(&self, money: Money, at: Timestamp) -> i64 {
        if money.currency == self.base {
            return money.amount_minor;
        }
        let Some((_, dated)) = self.rates.iter().find(|(known, _)| *known == money.currency) else {
            return 0;
        };
        let begun = dated.partition_point(|rate| rate.from <= at.day());
        let rate = dated[begun.saturating_sub(1)];
        let scale_up = 10_i128.pow(self.base.exponent());
        let scale_down = 1_000_000_000 * 10_i128.pow(money.currency.exponent());
        let product = i128::from(money.amount_minor) * i128::from(rate.nano_base) * scale_up;
        let rounded = (product + product.signum() * scale_down / 2) / scale_down;
        i64::try_from(rounded).unwrap_or(MAX_AMOUNT_MINOR).min(MAX_AMOUNT_MINOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).expect("a valid code")
    }

    #[test]
    fn amounts_convert_at_the_rate_of_their_day_across_exponents() {
        let day = |n| Day(n);
        let rates = ExchangeRates::new(
            currency("EUR"),
            vec![
                (
                    currency("JPY"),
                    vec![
                        DatedRate { from: day(20), nano_base: 7_000_000 },
                        DatedRate { from: day(10), nano_base: 6_000_000 },
                    ],
                ),
                (currency("KWD"), vec![DatedRate { from: day(0), nano_base: 3_000_000_000 }]),
            ],
        );
        let yen = Money { amount_minor: 10_000, currency: currency("JPY") };
        assert_eq!(rates.to_base_minor(yen, day(5).start()), 6_000);
        assert_eq!(rates.to_base_minor(yen, day(19).start()), 6_000);
        assert_eq!(rates.to_base_minor(yen, day(20).start()), 7_000);
        let dinar = Money { amount_minor: 1_005, currency: currency("KWD") };
        assert_eq!(rates.to_base_minor(dinar, day(1).start()), 302);
        assert!(!rates.knows(currency("USD")));
    }
}
