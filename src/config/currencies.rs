//! Which currency codes there are: a code that is none would convert nothing and refuse orders.
//!
//! Never decides how an amount is converted; `domain/money.rs` does. Next: `rules.rs`.

use crate::domain::money::Currency;

/// ISO 4217, list one, without funds, metals and test codes; and codes withdrawn since 2010, which
/// history may hold.
const CODES: &str = "\
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD \
CAD CDF CHF CLF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS \
GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW \
KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD \
NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD \
SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYI UYU UYW \
UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG \
ANG BYR CUC EEK HRK LTL LVL MRO SLL STD VEF ZMK ZWL";

/// Reads a code that a configuration names.
///
/// # Errors
/// What was expected.
pub(crate) fn parse(code: &str) -> Result<Currency, String> {
    let known = CODES.split(' ').any(|known| known == code);
    Currency::parse(code).filter(|_| known).ok_or_else(|| {
        let upper = code.to_ascii_uppercase();
        let meant = if CODES.split(' ').any(|known| known == upper) { &upper } else { "EUR" };
        format!("expected a currency of ISO 4217 such as \"{meant}\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_what_is_none_is_refused() {
        let mut codes: Vec<&str> = CODES.split(' ').collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
        assert!(codes.iter().all(|code| parse(code).is_ok()));
        assert_eq!(parse("usd"), Err("expected a currency of ISO 4217 such as \"USD\"".to_owned()));
        for code in ["", "EU", "EURO", "UER", "XXX", "XAU", "AED AFN"] {
            assert!(parse(code).is_err(), "{code}");
        }
    }
}
