//! Checks of single fields; every refusal names the field and shows its value, cut short.
//!
//! Next: `purchase.rs` and `interaction.rs`, which say which fields a kind needs.

use crate::codec::raw::Str;
use crate::domain::event::Text;
use crate::domain::id::{ACCOUNT_PREFIX, ANONYMOUS_PREFIX, MAX_ID_BYTES};
use crate::domain::money::{Currency, ExchangeRates, MAX_AMOUNT_MINOR, Money};
use crate::domain::refusal::{Reason, Refusal};
use std::fmt::Display;

/// Characters of a value that a refusal shows.
const SHOWN_CHARACTERS: usize = 64;

/// A value as refusals show it: quoted, escaped, cut short.
#[must_use]
pub fn shown(value: &str) -> String {
    match value.char_indices().nth(SHOWN_CHARACTERS) {
        None => format!("{value:?}"),
        Some((end, _)) => format!("{:?}... ({} bytes)", &value[..end], value.len()),
    }
}

/// The refusal of a record that lacks a field.
pub(super) fn missing(name: &str) -> Refusal {
    Refusal::new(Reason::MissingField, format!("\"{name}\" is missing"))
}

/// The refusal of a value that the contract does not allow.
pub(super) fn invalid(name: &str, value: &str, expected: &str) -> Refusal {
    Refusal::new(Reason::InvalidValue, format!("\"{name}\" = {value} is not {expected}"))
}

/// Text that has to be there and not be empty.
pub(super) fn required<'a>(name: &str, field: Option<Str<'a>>) -> Result<Text<'a>, Refusal> {
    let text = field.ok_or_else(|| missing(name))?.0;
    if text.is_empty() {
        return Err(Refusal::new(Reason::InvalidValue, format!("\"{name}\" is empty")));
    }
    Ok(text)
}

/// Optional text.
pub(super) fn text(field: Option<Str<'_>>) -> Option<Text<'_>> {
    field.map(|text| text.0)
}

/// An id that may be absent.
pub(super) fn id<'a>(name: &str, field: Option<Str<'a>>) -> Result<Option<Text<'a>>, Refusal> {
    let Some(Str(id)) = field else { return Ok(None) };
    if id.is_empty() {
        return Err(Refusal::new(Reason::InvalidId, format!("\"{name}\" is empty")));
    }
    if id.len() > MAX_ID_BYTES {
        let detail = format!("\"{name}\" = {} is longer than {MAX_ID_BYTES} bytes", shown(&id));
        return Err(Refusal::new(Reason::InvalidId, detail));
    }
    Ok(Some(id))
}

/// An id that has to be there.
pub(super) fn required_id<'a>(name: &str, field: Option<Str<'a>>) -> Result<Text<'a>, Refusal> {
    id(name, field)?.ok_or_else(|| missing(name))
}

/// A customer id that may be absent.
pub(super) fn customer_id<'a>(
    name: &str,
    field: Option<Str<'a>>,
) -> Result<Option<Text<'a>>, Refusal> {
    let id = id(name, field)?;
    if let Some(id) = &id {
        for prefix in [ACCOUNT_PREFIX, ANONYMOUS_PREFIX] {
            if id.starts_with(prefix) {
                let detail =
                    format!("\"{name}\" = {} starts with the reserved {prefix:?}", shown(id));
                return Err(Refusal::new(Reason::InvalidId, detail));
            }
        }
    }
    Ok(id)
}

/// An amount that is not negative and not above the bound.
pub(super) fn amount_minor(name: impl Display, amount_minor: i64) -> Result<i64, Refusal> {
    if amount_minor < 0 {
        let detail = format!("\"{name}\" = {amount_minor} is negative");
        return Err(Refusal::new(Reason::NegativeAmount, detail));
    }
    if amount_minor > MAX_AMOUNT_MINOR {
        let detail = format!("\"{name}\" = {amount_minor} is above {MAX_AMOUNT_MINOR}");
        return Err(Refusal::new(Reason::AmountTooLarge, detail));
    }
    Ok(amount_minor)
}

/// Amount and currency where there is an amount; a currency alone says nothing.
pub(super) fn money(
    amount: Option<i64>,
    currency: Option<Str<'_>>,
    rates: &ExchangeRates,
) -> Result<Option<Money>, Refusal> {
    let Some(amount) = amount else { return Ok(None) };
    let amount_minor = amount_minor("amount_minor", amount)?;
    let code = currency.ok_or_else(|| missing("currency"))?.0;
    let currency = Currency::parse(&code)
        .ok_or_else(|| invalid("currency", &shown(&code), "a code of three upper-case letters"))?;
    if !rates.knows(currency) {
        let detail = format!("\"currency\" = {} is not in the rate table", shown(&code));
        return Err(Refusal::new(Reason::UnknownCurrency, detail));
    }
    Ok(Some(Money { amount_minor, currency }))
}

/// Amount and currency that have to be there.
pub(super) fn required_money(
    amount: Option<i64>,
    currency: Option<Str<'_>>,
    rates: &ExchangeRates,
) -> Result<Money, Refusal> {
    money(amount, currency, rates)?.ok_or_else(|| missing("amount_minor"))
}

/// A score within its scale, where there is one.
pub(super) fn score(score: Option<i64>, scale: (u8, u8)) -> Result<Option<u8>, Refusal> {
    let Some(score) = score else { return Ok(None) };
    match u8::try_from(score) {
        Ok(within) if (scale.0..=scale.1).contains(&within) => Ok(Some(within)),
        _ => Err(invalid("score", &score.to_string(), &format!("{} to {}", scale.0, scale.1))),
    }
}

/// A score that has to be there.
pub(super) fn required_score(field: Option<i64>, scale: (u8, u8)) -> Result<u8, Refusal> {
    score(field, scale)?.ok_or_else(|| missing("score"))
}
