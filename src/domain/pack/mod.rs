//! A customer as compact bytes: what the store keeps and the `state` topic carries.
//!
//! The bytes are an Avro datum of `schemas/state.avsc`. Packing is canonical: equal customers
//! have equal bytes. Next: `orders.rs` and `said.rs`, the parts; `task/store.rs`, which keeps the
//! bytes.

mod orders;
mod primitives;
mod said;

use crate::domain::binary::{Reader, Writer};
use crate::domain::change::CauseKind;
use crate::domain::customer::Customer;
use crate::domain::dimension::{self, Dimension, Entries, Published};
use crate::domain::money::{Currency, ExchangeRates};
use crate::domain::pack::orders::{pack_order, pack_rare, unpack_order, unpack_rare};
use crate::domain::pack::said::{pack_said, unpack_said};
use crate::domain::time::Timestamp;

pub use crate::domain::binary::UnpackError;

/// Values per dimension that an entry count can tell apart.
const VALUES: i64 = 256;

/// Appends the packed customer to `bytes`; amounts in `base` are written without their currency.
pub fn pack(customer: &Customer, base: Currency, bytes: &mut Vec<u8>) {
    let mut writer = Writer(bytes);
    let evaluated_at = customer.evaluated_at;
    writer.long(evaluated_at.0);
    let never = customer.deadline == Timestamp::MAX;
    writer.long(if never { -1 } else { customer.deadline.since(evaluated_at).max(0) });
    writer.string(&customer.id);
    writer.long(i64::from(customer.incarnation));
    writer.unsigned(customer.seq);
    writer.long(i64::from(customer.rules_revision));
    writer.long(evaluated_at.since(customer.first_seen_at));
    pack_published(&mut writer, customer);
    pack_entries(&mut writer, customer);
    writer.array(&customer.recent_events, |writer, hash| writer.hash(*hash));
    writer.array(&customer.book.orders, |writer, order| {
        pack_order(writer, order, evaluated_at, base);
    });
    writer.option(customer.book.rare.as_deref(), pack_rare);
    pack_said(&mut writer, customer);
}

/// Reads a packed customer.
///
/// # Errors
/// When the bytes are no packed customer.
pub fn unpack(bytes: &[u8], rates: &ExchangeRates) -> Result<Customer, UnpackError> {
    let mut customer = Customer::default();
    unpack_into(&mut customer, bytes, rates)?;
    Ok(customer)
}

/// Reads a packed customer into the memory that another one held.
///
/// # Errors
/// When the bytes are no packed customer; `customer` is then neither.
pub fn unpack_into(
    customer: &mut Customer,
    bytes: &[u8],
    rates: &ExchangeRates,
) -> Result<(), UnpackError> {
    let mut reader = Reader(bytes);
    let evaluated_at = Timestamp(reader.long()?);
    customer.evaluated_at = evaluated_at;
    customer.deadline = deadline_at(evaluated_at, reader.long()?);
    customer.id.clear();
    customer.id.push_str(reader.string()?);
    customer.incarnation = reader.number()?;
    customer.seq = reader.number()?;
    customer.rules_revision = reader.number()?;
    customer.first_seen_at = evaluated_at.plus_ms(reader.long()?.saturating_neg());
    unpack_published(&mut reader, customer)?;
    customer.entries.clear();
    reader.array_into(&mut customer.entries, |reader| {
        let place = reader.long()?;
        let index = u8::try_from(place / VALUES).map_err(|_| UnpackError::Invalid)?;
        Ok(Entries {
            dimension: Dimension::at(index).ok_or(UnpackError::Invalid)?,
            value: u8::try_from(place % VALUES).map_err(|_| UnpackError::Invalid)?,
            count: reader.number()?,
        })
    })?;
    // Damaged bytes: what searches them relies on their order.
    let place = |entry: &Entries| (entry.dimension, entry.value);
    if !customer.entries.is_sorted_by(|entry, next| place(entry) < place(next)) {
        return Err(UnpackError::Invalid);
    }
    add_implied_entries(&mut customer.entries, &customer.published);
    customer.recent_events.clear();
    reader.array_into(&mut customer.recent_events, Reader::hash)?;
    customer.book.orders.clear();
    reader.array_into(&mut customer.book.orders, |reader| {
        unpack_order(reader, evaluated_at, rates.base())
    })?;
    customer.book.rare = reader.option(unpack_rare)?.map(Box::new);
    unpack_said(&mut reader, customer)?;
    if reader.0.is_empty() { Ok(()) } else { Err(UnpackError::Trailing) }
}

/// Writes what is not in its initial state; most values changed together.
fn pack_published(writer: &mut Writer<'_>, customer: &Customer) {
    let initial = initial(customer);
    let told: Vec<(Dimension, Published)> = Dimension::ALL
        .into_iter()
        .map(|dimension| (dimension, customer.published[dimension.index()]))
        .filter(|(_, published)| *published != initial)
        .collect();
    let mut since = customer.first_seen_at;
    writer.array(&told, |writer, (dimension, published)| {
        writer.count(dimension.index());
        let cause = published.cause as i64;
        writer.long(cause | i64::from(published.value) << 4 | i64::from(published.left) << 12);
        writer.long(published.since.since(since));
        writer.unsigned(published.seq);
        since = published.since;
    });
}

fn initial(customer: &Customer) -> Published {
    Published { since: customer.first_seen_at, ..Published::default() }
}

fn unpack_published(reader: &mut Reader<'_>, customer: &mut Customer) -> Result<(), UnpackError> {
    let initial = initial(customer);
    let published = &mut customer.published;
    published.fill(initial);
    let mut since = initial.since;
    let mut next = 0;
    reader.items(|reader| {
        let index: u8 = reader.number()?;
        let dimension = Dimension::at(index).ok_or(UnpackError::Invalid)?;
        // Damaged bytes: each dimension stands once, in order.
        if index < next {
            return Err(UnpackError::Invalid);
        }
        next = index + 1;
        let packed: u32 = reader.number()?;
        let cause = usize::try_from(packed & 15).ok().and_then(|it| CauseKind::ALL.get(it));
        let [_, _, left, value] = (packed >> 4).to_be_bytes();
        since = since.plus_ms(reader.long()?);
        let told = Published {
            value,
            left,
            cause: *cause.ok_or(UnpackError::Invalid)?,
            since,
            seq: reader.number()?,
        };
        // What is in its initial state is not written.
        if told == initial {
            return Err(UnpackError::Invalid);
        }
        published[dimension.index()] = told;
        Ok(())
    })
}

/// Reads the deadline and the id alone, without unpacking the rest.
///
/// # Errors
/// When the bytes are no packed customer.
pub fn peek(bytes: &[u8]) -> Result<(Timestamp, &str), UnpackError> {
    let mut reader = Reader(bytes);
    let evaluated_at = Timestamp(reader.long()?);
    let deadline = reader.long()?;
    Ok((deadline_at(evaluated_at, deadline), reader.string()?))
}

fn deadline_at(evaluated_at: Timestamp, after_ms: i64) -> Timestamp {
    if after_ms < 0 { Timestamp::MAX } else { evaluated_at.plus_ms(after_ms) }
}

/// An entry that need not be written: most customers are in their values for the first time.
fn is_implied(entry: &Entries, published: &[Published]) -> bool {
    let present = published[entry.dimension.index()].value;
    entry.count == 1 && entry.value == present && present != dimension::INITIAL
}

fn pack_entries(writer: &mut Writer<'_>, customer: &Customer) {
    let told = || customer.entries.iter().filter(|e| !is_implied(e, &customer.published));
    let count = told().count();
    if count > 0 {
        writer.count(count);
        for entry in told() {
            writer.long(i64::from(entry.dimension as u8) * VALUES + i64::from(entry.value));
            writer.long(i64::from(entry.count));
        }
    }
    writer.long(0);
}

fn add_implied_entries(entries: &mut Vec<Entries>, published: &[Published]) {
    for dimension in Dimension::ALL {
        let value = published[dimension.index()].value;
        let place = entries.binary_search_by_key(&(dimension, value), |e| (e.dimension, e.value));
        if let Err(place) = place
            && value != dimension::INITIAL
        {
            entries.insert(place, Entries { dimension, value, count: 1 });
        }
    }
}
