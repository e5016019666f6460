//! A customer as compact bytes: what the store keeps and the `state` topic carries.
//!
//! The bytes are an Avro datum of `schemas/state.avsc`. Packing is canonical: equal customers
//! have equal bytes. Next: `orders.rs`, `said.rs` and `tied.rs`, the parts; `task/store.rs`, which
//! keeps the bytes.

mod orders;
mod primitives;
mod said;
mod tied;

use crate::domain::binary::{Reader, Writer};
use crate::domain::change::CauseKind;
use crate::domain::customer::{Customer, InAudience};
use crate::domain::dimension::{self, Dimension, Entries, Place, Published};
use crate::domain::money::{Currency, ExchangeRates};
use crate::domain::pack::orders::{pack_order, pack_rare, unpack_order, unpack_rare};
use crate::domain::pack::said::{forget_said, has_said, pack_said, unpack_said};
use crate::domain::pack::tied::{forget_tied, has_tied, pack_tied, unpack_tied};
use crate::domain::time::Timestamp;

pub use crate::domain::binary::UnpackError;

/// Values per dimension that an entry count can tell apart.
const VALUES: i64 = 256;

/// Values below this have two bits for how often they were entered.
const COUNTED_VALUES: u8 = 31;

/// Beside nothing and what [`pack_more`] writes: both it and what [`pack_tied`] does.
const TIED: i64 = 2;

/// Of the number of dimensions that were skipped: many, and the number stands elsewhere.
const FAR: i64 = 7;

/// Appends the packed customer to `bytes`; amounts in `base` are written without their currency.
pub fn pack(customer: &Customer, base: Currency, bytes: &mut Vec<u8>) {
    let mut writer = Writer::new(bytes);
    writer.time(customer.evaluated_at);
    let never = customer.deadline == Timestamp::MAX;
    writer.long(if never { -1 } else { customer.deadline.since(customer.evaluated_at).max(0) });
    writer.string(&customer.id);
    writer.long(i64::from(customer.incarnation));
    writer.unsigned(customer.seq);
    writer.long(i64::from(customer.rules_revision));
    writer.time(customer.first_seen_at);
    writer.array(&customer.book.orders, |writer, order| pack_order(writer, order, base));
    pack_published(&mut writer, customer);
    let more = Some(customer).filter(|customer| has_more(customer));
    if has_tied(customer) {
        writer.long(TIED);
        writer.option(more, pack_more);
        pack_tied(&mut writer, customer);
    } else {
        writer.option(more, pack_more);
    }
}

fn has_more(customer: &Customer) -> bool {
    !customer.recent_events.is_empty()
        || further_entries(customer).next().is_some()
        || customer.book.rare.is_some()
        || has_said(customer)
}

fn pack_more(writer: &mut Writer<'_>, customer: &Customer) {
    writer.array(&customer.recent_events, |writer, hash| writer.event_hash(*hash));
    pack_entries(writer, customer);
    writer.option(customer.book.rare.as_deref(), pack_rare);
    pack_said(writer, customer);
}

/// Reads a packed customer; one of version 2 is one of version 3 that is tied to nobody.
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
    let mut reader = Reader::new(bytes);
    let (evaluated_at, deadline, id) = unpack_head(&mut reader)?;
    (customer.evaluated_at, customer.deadline) = (evaluated_at, deadline);
    customer.id.clear();
    customer.id.push_str(id);
    customer.incarnation = reader.number()?;
    customer.seq = reader.number()?;
    customer.rules_revision = reader.number()?;
    customer.first_seen_at = reader.time()?;
    customer.book.orders.clear();
    customer.counted.forget();
    reader.array_into(&mut customer.book.orders, |reader| unpack_order(reader, rates.base()))?;
    unpack_published(&mut reader, customer)?;
    forget_tied(customer);
    let has_more = match reader.long()? {
        0 => false,
        1 => {
            unpack_more(&mut reader, customer)?;
            true
        }
        TIED => {
            let more = reader.option(|reader| unpack_more(reader, customer))?;
            unpack_tied(&mut reader, customer)?;
            more.is_some()
        }
        _ => return Err(UnpackError::Invalid),
    };
    if !has_more {
        customer.recent_events.clear();
        customer.book.rare = None;
        forget_said(customer);
    }
    if reader.is_at_end() { Ok(()) } else { Err(UnpackError::Trailing) }
}

fn unpack_more(reader: &mut Reader<'_>, customer: &mut Customer) -> Result<(), UnpackError> {
    customer.recent_events.clear();
    reader.array_into(&mut customer.recent_events, Reader::event_hash)?;
    unpack_entries(reader, customer)?;
    customer.book.rare = reader.option(unpack_rare)?.map(Box::new);
    unpack_said(reader, customer)
}

/// Writes what is not in its initial state; most values changed together.
fn pack_published(writer: &mut Writer<'_>, customer: &Customer) {
    let told: Vec<Dimension> =
        dimensions(customer).filter(|dimension| is_told(customer, *dimension)).collect();
    let mut next = 0;
    writer.array(&told, |writer, dimension| {
        let published = customer.published(*dimension);
        let number = i64::from(dimension.number());
        let skipped = number - next;
        next = number + 1;
        let place = if skipped < FAR { skipped } else { FAR | number << 24 };
        let (cause, raw) = (published.cause as i64, i64::from(raw_of(customer, *dimension)));
        let (value, left) = (i64::from(published.value), i64::from(published.left));
        let unseen = published.told != Published::told_with(published.seq, published.value);
        let told = if unseen { 1 + i64::from(published.told) } else { 0 };
        writer.long(place | cause << 3 | raw << 7 | value << 8 | left << 16 | told << 32);
        writer.time(published.since);
        writer.unsigned(published.seq);
        let entries = customer.entries.iter().filter(|entry| entry.dimension == *dimension);
        let counts = entries.filter_map(|entry| few(entry, &published));
        let counts = counts.filter(|(_, count)| *count > 0);
        writer.unsigned(counts.fold(0, |counts, (value, count)| counts | count << (2 * value)));
    });
}

fn dimensions(customer: &Customer) -> impl Iterator<Item = Dimension> + '_ {
    let audiences = customer.audiences.iter().map(|it| Dimension::Audience(it.number));
    Dimension::BUILT_IN.into_iter().chain(audiences)
}

/// Whether a dimension is not in its initial state.
fn is_told(customer: &Customer, dimension: Dimension) -> bool {
    raw_of(customer, dimension) || customer.published(dimension) != customer.initial()
}

/// A value, and how often it was entered, the present time left out; `None` when two bits cannot
/// say it.
fn few(entry: &Entries, present: &Published) -> Option<(u8, u64)> {
    let implied = entry.value == present.value && present.value != dimension::INITIAL;
    let count = entry.count.checked_sub(u32::from(implied)).filter(|count| *count <= 3)?;
    let small = entry.value < COUNTED_VALUES || count == 0;
    small.then_some((entry.value, u64::from(count)))
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
    customer.entries.clear();
    let mut next = 0;
    reader.items(|reader| {
        let packed: u64 = reader.number()?;
        let [.., number, left, value, low] = packed.to_be_bytes();
        let number = match i64::from(low) & FAR {
            FAR => i64::from(number),
            skipped if number == 0 => next + skipped,
            _ => return Err(UnpackError::Invalid),
        };
        let dimension = u8::try_from(number).ok().and_then(Dimension::of_number);
        let dimension = dimension.ok_or(UnpackError::Invalid)?;
        // Damaged bytes: each dimension stands once, in order.
        if number < next {
            return Err(UnpackError::Invalid);
        }
        next = number + 1;
        let (cause, raw) = (CauseKind::ALL.get(usize::from(low >> 3 & 15)), low >> 7 == 1);
        let cause = *cause.ok_or(UnpackError::Invalid)?;
        let (since, seq) = (reader.time()?, reader.number()?);
        let seen = Published::told_with(seq, value);
        let told = match packed >> 32 {
            0 => seen,
            told => u8::try_from(told - 1).map_err(|_| UnpackError::Invalid)?,
        };
        // A value is written only where it moved unseen.
        if packed >> 32 != 0 && told == seen {
            return Err(UnpackError::Invalid);
        }
        let published = Published { value, left, told, cause, since, seq };
        push_entries(&mut customer.entries, dimension, value, reader.number()?);
        match (dimension.place(), raw) {
            // What is in its initial state is not written.
            (_, false) if published == initial => return Err(UnpackError::Invalid),
            (Place::BuiltIn(place), false) => customer.published[place] = published,
            (Place::Audience(number), raw) => {
                customer.audiences.push(InAudience { number, raw, published });
            }
            (Place::BuiltIn(_), true) => return Err(UnpackError::Invalid),
        }
        Ok(())
    })
}

/// Adds the entries that a present value and two bits for each value stand for.
fn push_entries(entries: &mut Vec<Entries>, dimension: Dimension, present: u8, mut counts: u64) {
    let mut implied = (present != dimension::INITIAL).then_some(present);
    while counts != 0 {
        // Fewer than 32.
        #[expect(clippy::cast_possible_truncation, reason = "the place of a bit, halved")]
        let value = (counts.trailing_zeros() / 2) as u8;
        let mut count = u32::from((counts >> (2 * value) & 3) as u8);
        counts &= !(3 << (2 * value));
        if let Some(before) = implied.take_if(|present| *present <= value) {
            if before == value {
                count += 1;
            } else {
                entries.push(Entries { dimension, value: before, count: 1 });
            }
        }
        entries.push(Entries { dimension, value, count });
    }
    entries.extend(implied.map(|value| Entries { dimension, value, count: 1 }));
}

/// The entries that nothing else stands for.
fn further_entries(customer: &Customer) -> impl Iterator<Item = &Entries> {
    customer.entries.iter().filter(|entry| {
        let present = customer.published(entry.dimension);
        few(entry, &present).is_none() || !is_told(customer, entry.dimension)
    })
}

fn pack_entries(writer: &mut Writer<'_>, customer: &Customer) {
    let count = further_entries(customer).count();
    if count > 0 {
        writer.count(count);
        for entry in further_entries(customer) {
            writer.long(i64::from(entry.dimension.number()) * VALUES + i64::from(entry.value));
            writer.long(i64::from(entry.count));
        }
    }
    writer.long(0);
}

/// Adds the further entries to those that present values and bits stand for.
fn unpack_entries(reader: &mut Reader<'_>, customer: &mut Customer) -> Result<(), UnpackError> {
    reader.items(|reader| {
        let place = reader.long()?;
        let number = u8::try_from(place / VALUES).map_err(|_| UnpackError::Invalid)?;
        let dimension = Dimension::of_number(number).ok_or(UnpackError::Invalid)?;
        let value = u8::try_from(place % VALUES).map_err(|_| UnpackError::Invalid)?;
        let further = Entries { dimension, value, count: reader.number()? };
        let present = customer.published(dimension).value;
        let entries = &mut customer.entries;
        match entries.binary_search_by_key(&(dimension, value), |it| (it.dimension, it.value)) {
            // A present value was entered at least once.
            Ok(place) if present == value => entries[place] = further,
            Err(place) => entries.insert(place, further),
            Ok(_) => return Err(UnpackError::Invalid),
        }
        Ok(())
    })
}

/// Reads the deadline and the id alone, without unpacking the rest.
///
/// # Errors
/// When the bytes are no packed customer.
pub fn peek(bytes: &[u8]) -> Result<(Timestamp, &str), UnpackError> {
    let (_, deadline, id) = unpack_head(&mut Reader::new(bytes))?;
    Ok((deadline, id))
}

/// Reads the revision of the rules that a customer was last judged by, without the rest.
///
/// # Errors
/// When the bytes are no packed customer.
pub fn peek_revision(bytes: &[u8]) -> Result<u32, UnpackError> {
    let mut reader = Reader::new(bytes);
    unpack_head(&mut reader)?;
    reader.long()?;
    reader.long()?;
    reader.number()
}

/// When the customer was evaluated, its deadline and its id.
fn unpack_head<'a>(
    reader: &mut Reader<'a>,
) -> Result<(Timestamp, Timestamp, &'a str), UnpackError> {
    let evaluated_at = reader.time()?;
    let deadline = match reader.long()? {
        ..0 => Timestamp::MAX,
        after_ms => evaluated_at.plus_ms(after_ms),
    };
    Ok((evaluated_at, deadline, reader.string()?))
}
