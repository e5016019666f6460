//! A customer as compact bytes: what the store keeps and the `state` topic carries.
//!
//! The bytes are an Avro datum of `schemas/state.avsc`. Packing is canonical: equal customers
//! have equal bytes. Next: `orders.rs` and `said.rs`, the parts; `task/store.rs`, which keeps the
//! bytes.

mod orders;
mod primitives;
mod said;
mod version_1;

use crate::domain::binary::{Reader, Writer};
use crate::domain::change::CauseKind;
use crate::domain::customer::{Customer, InAudience};
use crate::domain::dimension::{self, Dimension, Entries, Place, Published};
use crate::domain::money::{Currency, ExchangeRates};
use crate::domain::pack::orders::{pack_order, pack_rare, unpack_order, unpack_rare};
use crate::domain::pack::said::{pack_said, unpack_said};
use crate::domain::time::Timestamp;

pub use crate::domain::binary::UnpackError;
pub use version_1::unpack_version_1;

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
        let number = u8::try_from(place / VALUES).map_err(|_| UnpackError::Invalid)?;
        Ok(Entries {
            dimension: Dimension::of_number(number).ok_or(UnpackError::Invalid)?,
            value: u8::try_from(place % VALUES).map_err(|_| UnpackError::Invalid)?,
            count: reader.number()?,
        })
    })?;
    // Damaged bytes: what searches them relies on their order.
    let place = |entry: &Entries| (entry.dimension, entry.value);
    if !customer.entries.is_sorted_by(|entry, next| place(entry) < place(next)) {
        return Err(UnpackError::Invalid);
    }
    add_implied_entries(customer);
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
    let initial = customer.initial();
    let built_in = Dimension::BUILT_IN.into_iter();
    let audiences = customer.audiences.iter().map(|it| Dimension::Audience(it.number));
    let told: Vec<(Dimension, Published, bool)> = built_in
        .chain(audiences)
        .map(|dimension| (dimension, customer.published(dimension), raw_of(customer, dimension)))
        .filter(|(_, published, raw)| *raw || *published != initial)
        .collect();
    let mut since = customer.first_seen_at;
    writer.array(&told, |writer, (dimension, published, raw)| {
        writer.long(i64::from(dimension.number()));
        let cause = published.cause as i64;
        let values = i64::from(published.value) << 4 | i64::from(published.left) << 12;
        writer.long(cause | values | i64::from(*raw) << 20);
        writer.long(published.since.since(since));
        writer.unsigned(published.seq);
        since = published.since;
    });
}

/// Whether the rule of an audience holds, told or not.
fn raw_of(customer: &Customer, dimension: Dimension) -> bool {
    match dimension {
        Dimension::Audience(number) => customer.audience(number).is_some_and(|it| it.raw),
        _ => false,
    }
}

fn unpack_published(reader: &mut Reader<'_>, customer: &mut Customer) -> Result<(), UnpackError> {
    let initial = customer.initial();
    customer.published.fill(initial);
    customer.audiences.clear();
    let mut since = initial.since;
    let mut next = 0;
    reader.items(|reader| {
        let number: u8 = reader.number()?;
        let dimension = Dimension::of_number(number).ok_or(UnpackError::Invalid)?;
        // Damaged bytes: each dimension stands once, in order.
        if u16::from(number) < next {
            return Err(UnpackError::Invalid);
        }
        next = u16::from(number) + 1;
        let packed: u32 = reader.number()?;
        let cause = usize::try_from(packed & 15).ok().and_then(|it| CauseKind::ALL.get(it));
        let [_, raw, left, value] = (packed >> 4).to_be_bytes();
        since = since.plus_ms(reader.long()?);
        let told = Published {
            value,
            left,
            cause: *cause.ok_or(UnpackError::Invalid)?,
            since,
            seq: reader.number()?,
        };
        match (dimension.place(), raw) {
            // What is in its initial state is not written.
            (_, 0) if told == initial => return Err(UnpackError::Invalid),
            (Place::BuiltIn(place), 0) => customer.published[place] = told,
            (Place::Audience(number), 0 | 1) => {
                customer.audiences.push(InAudience { number, raw: raw == 1, published: told });
            }
            _ => return Err(UnpackError::Invalid),
        }
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

/// Reads the revision of the rules that a customer was last judged by, without the rest.
///
/// # Errors
/// When the bytes are no packed customer.
pub fn peek_revision(bytes: &[u8]) -> Result<u32, UnpackError> {
    let mut reader = Reader(bytes);
    reader.long()?;
    reader.long()?;
    reader.string()?;
    reader.long()?;
    reader.long()?;
    reader.number()
}

fn deadline_at(evaluated_at: Timestamp, after_ms: i64) -> Timestamp {
    if after_ms < 0 { Timestamp::MAX } else { evaluated_at.plus_ms(after_ms) }
}

/// An entry that need not be written: most customers are in their values for the first time.
fn is_implied(entry: &Entries, customer: &Customer) -> bool {
    let present = customer.published(entry.dimension).value;
    entry.count == 1 && entry.value == present && present != dimension::INITIAL
}

fn pack_entries(writer: &mut Writer<'_>, customer: &Customer) {
    let told = || customer.entries.iter().filter(|e| !is_implied(e, customer));
    let count = told().count();
    if count > 0 {
        writer.count(count);
        for entry in told() {
            writer.long(i64::from(entry.dimension.number()) * VALUES + i64::from(entry.value));
            writer.long(i64::from(entry.count));
        }
    }
    writer.long(0);
}

fn add_implied_entries(customer: &mut Customer) {
    let audiences = customer.audiences.iter().map(|it| Dimension::Audience(it.number));
    let dimensions: Vec<Dimension> = Dimension::BUILT_IN.into_iter().chain(audiences).collect();
    for dimension in dimensions {
        let value = customer.published(dimension).value;
        let entries = &mut customer.entries;
        let place = entries.binary_search_by_key(&(dimension, value), |e| (e.dimension, e.value));
        if let Err(place) = place
            && value != dimension::INITIAL
        {
            entries.insert(place, Entries { dimension, value, count: 1 });
        }
    }
}
