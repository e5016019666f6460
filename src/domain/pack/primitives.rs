//! The few values that all packed parts are made of.
//!
//! Next: `orders.rs`, `said.rs` and `tied.rs`, the parts.

use crate::domain::binary::{Reader, UnpackError, Writer};
use crate::domain::facts::order::Stamp;
use crate::domain::id::EventKey;
use crate::domain::money::{Currency, Money};
use crate::domain::time::Day;

pub(super) fn text(reader: &mut Reader<'_>) -> Result<Box<str>, UnpackError> {
    Ok(reader.string()?.into())
}

/// The items, each once and in order of their keys: what searches them relies on it.
pub(super) fn sorted<T, K: Ord>(
    items: Vec<T>,
    key: impl Fn(&T) -> K,
) -> Result<Vec<T>, UnpackError> {
    in_order(&items, key)?;
    Ok(items)
}

/// The same of items that stay where they are.
pub(super) fn in_order<T, K: Ord>(items: &[T], key: impl Fn(&T) -> K) -> Result<(), UnpackError> {
    let in_order = items.is_sorted_by(|item, next| key(item) < key(next));
    if in_order { Ok(()) } else { Err(UnpackError::Invalid) }
}

pub(super) fn unpack_day(reader: &mut Reader<'_>) -> Result<Day, UnpackError> {
    Ok(Day(reader.long()?))
}

pub(super) fn pack_stamp(writer: &mut Writer<'_>, stamp: Stamp) {
    writer.time(stamp.at);
    pack_key(writer, stamp.key);
}

pub(super) fn unpack_stamp(reader: &mut Reader<'_>) -> Result<Stamp, UnpackError> {
    Ok(Stamp { at: reader.time()?, key: unpack_key(reader)? })
}

pub(super) fn pack_key(writer: &mut Writer<'_>, key: EventKey) {
    writer.fixed(&key.0.to_be_bytes());
}

pub(super) fn unpack_key(reader: &mut Reader<'_>) -> Result<EventKey, UnpackError> {
    Ok(EventKey(u32::from_be_bytes(reader.fixed()?)))
}

pub(super) fn pack_money(writer: &mut Writer<'_>, money: Money) {
    writer.long(money.amount_minor);
    writer.fixed(money.currency.code().as_bytes());
}

pub(super) fn unpack_money(reader: &mut Reader<'_>) -> Result<Money, UnpackError> {
    Ok(Money { amount_minor: reader.long()?, currency: unpack_currency(reader)? })
}

pub(super) fn unpack_currency(reader: &mut Reader<'_>) -> Result<Currency, UnpackError> {
    let code = reader.fixed::<3>()?;
    let code = std::str::from_utf8(&code).map_err(|_| UnpackError::Invalid)?;
    Currency::parse(code).ok_or(UnpackError::Invalid)
}
