//! A customer as compact bytes: what the store keeps and the `state` topic carries.
//!
//! The bytes are an Avro datum of `schemas/state.avsc`. Packing is canonical: equal customers
//! have equal bytes. Next: `binary.rs`, the primitives; `task/store.rs`, which keeps the bytes.

use crate::domain::binary::{Reader, Writer};
use crate::domain::customer::Customer;
use crate::domain::dimension::{self, Dimension, Entries, Published};
use crate::domain::id::EventKey;
use crate::domain::money::{Currency, ExchangeRates, Money};
use crate::domain::order::{Order, OrderChanges, Refund, Stamp};
use crate::domain::order_book::{EvictedOrder, OlderOrders, Parked, ParkedRecord, RareParts};
use crate::domain::signals::{Scored, Signals, VIEWS};
use crate::domain::subscription::{Price, Subscription};
use crate::domain::time::{Day, Timestamp};

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
    writer.array(&customer.published, |writer, published| {
        writer.long(i64::from(published.value));
        writer.long(evaluated_at.since(published.since));
        writer.unsigned(published.seq);
    });
    pack_entries(&mut writer, customer);
    writer.array(&customer.recent_events, |writer, hash| writer.hash(*hash));
    writer.array(&customer.book.orders, |writer, order| {
        pack_order(writer, order, evaluated_at, base);
    });
    writer.option(customer.book.rare.as_deref(), pack_rare);
    writer.option(customer.signals.as_deref(), |writer, signals| {
        writer.array(&signals.product_views, |writer, at| writer.long(at.0));
        writer.long(signals.considered_at.0);
        writer.long(signals.referral_at.0);
        writer.option(signals.nps, pack_scored);
        writer.option(signals.review, pack_scored);
        writer.long(signals.good_review_at.0);
        writer.long(signals.shared_at.0);
    });
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
    customer.signals = reader.option(unpack_signals)?.map(Box::new);
    if reader.0.is_empty() { Ok(()) } else { Err(UnpackError::Trailing) }
}

fn unpack_published(reader: &mut Reader<'_>, customer: &mut Customer) -> Result<(), UnpackError> {
    let mut places = customer.published.iter_mut();
    let evaluated_at = customer.evaluated_at;
    reader.items(|reader| {
        *places.next().ok_or(UnpackError::Invalid)? = Published {
            value: reader.number()?,
            since: evaluated_at.plus_ms(reader.long()?.saturating_neg()),
            seq: reader.number()?,
        };
        Ok(())
    })?;
    if places.next().is_none() { Ok(()) } else { Err(UnpackError::Invalid) }
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

fn pack_order(writer: &mut Writer<'_>, order: &Order, evaluated_at: Timestamp, base: Currency) {
    writer.hash(order.id);
    writer.long(evaluated_at.since(order.base.at));
    pack_key(writer, order.base.key);
    writer.long(order.amount.amount_minor);
    let plain = order.amount.currency == base
        && order.priced_by.is_none()
        && !order.cancelled
        && order.changes.is_none();
    writer.option((!plain).then_some(order), |writer, order| {
        writer.fixed(order.amount.currency.code().as_bytes());
        writer.option(order.priced_by, Writer::hash);
        writer.boolean(order.cancelled);
        writer.option(order.changes.as_deref(), |writer, changes| {
            writer.option(changes.update, |writer, (stamp, amount)| {
                pack_stamp(writer, stamp);
                pack_money(writer, amount);
            });
            writer.array(&changes.refunds, |writer, refund| {
                writer.hash(refund.id);
                pack_stamp(writer, refund.stamp);
                writer.option(refund.amount, pack_money);
            });
            writer.long(changes.further_refunds_minor);
        });
    });
}

fn unpack_order(
    reader: &mut Reader<'_>,
    evaluated_at: Timestamp,
    base: Currency,
) -> Result<Order, UnpackError> {
    let id = reader.hash()?;
    let at = evaluated_at.plus_ms(reader.long()?.saturating_neg());
    let stamp = Stamp { at, key: unpack_key(reader)? };
    let amount_minor = reader.long()?;
    let mut order = Order {
        id,
        base: stamp,
        amount: Money { amount_minor, currency: base },
        priced_by: None,
        cancelled: false,
        changes: None,
    };
    reader.option(|reader| {
        order.amount.currency = unpack_currency(reader)?;
        order.priced_by = reader.option(Reader::hash)?;
        order.cancelled = reader.boolean()?;
        order.changes = reader.option(unpack_changes)?.map(Box::new);
        Ok(())
    })?;
    Ok(order)
}

fn unpack_changes(reader: &mut Reader<'_>) -> Result<OrderChanges, UnpackError> {
    Ok(OrderChanges {
        update: reader.option(|reader| Ok((unpack_stamp(reader)?, unpack_money(reader)?)))?,
        refunds: reader.array(|reader| {
            Ok(Refund {
                id: reader.hash()?,
                stamp: unpack_stamp(reader)?,
                amount: reader.option(unpack_money)?,
            })
        })?,
        further_refunds_minor: reader.long()?,
    })
}

fn pack_rare(writer: &mut Writer<'_>, rare: &RareParts) {
    writer.array(&rare.evicted, |writer, order| {
        writer.hash(order.id);
        writer.long(order.day.0);
        writer.long(order.net_minor);
        writer.boolean(order.cancelled);
    });
    writer.unsigned(rare.before.orders);
    writer.long(rare.before.net_minor);
    let before = &rare.before;
    for day in
        [before.first_counting_day, before.last_counting_day, before.first_day, before.last_day]
    {
        writer.option(day, |writer, day| writer.long(day.0));
    }
    writer.unsigned(rare.before.order_days);
    writer.array(&rare.parked, |writer, parked| {
        writer.hash(parked.order);
        pack_stamp(writer, parked.stamp);
        writer.long(parked.parked_at.0);
        let (cancels, refund, amount) = match parked.what {
            ParkedRecord::Cancel => (true, None, None),
            ParkedRecord::Update(amount) => (false, None, Some(amount)),
            ParkedRecord::Refund(id, amount) => (false, Some(id), amount),
        };
        writer.boolean(cancels);
        writer.option(refund, Writer::hash);
        writer.option(amount, pack_money);
    });
    writer.array(&rare.subscriptions, |writer, subscription| {
        writer.hash(subscription.id);
        writer.option(subscription.latest_term, pack_stamp);
        writer.array(&subscription.prices, |writer, price| {
            pack_stamp(writer, price.stamp);
            writer.option(price.amount, pack_money);
            writer.option(price.plan, Writer::hash);
            writer.option(price.term_days, |writer, days| writer.long(i64::from(days)));
        });
        writer.option(subscription.cancelled_at, pack_stamp);
        writer.option(subscription.ended_at, pack_stamp);
    });
}

fn unpack_rare(reader: &mut Reader<'_>) -> Result<RareParts, UnpackError> {
    let day = |reader: &mut Reader<'_>| reader.option(|reader| Ok(Day(reader.long()?)));
    Ok(RareParts {
        evicted: reader.array(|reader| {
            Ok(EvictedOrder {
                id: reader.hash()?,
                day: Day(reader.long()?),
                net_minor: reader.long()?,
                cancelled: reader.boolean()?,
            })
        })?,
        before: OlderOrders {
            orders: reader.number()?,
            net_minor: reader.long()?,
            first_counting_day: day(reader)?,
            last_counting_day: day(reader)?,
            first_day: day(reader)?,
            last_day: day(reader)?,
            order_days: reader.number()?,
        },
        parked: reader.array(|reader| {
            let order = reader.hash()?;
            let stamp = unpack_stamp(reader)?;
            let parked_at = Timestamp(reader.long()?);
            let cancels = reader.boolean()?;
            let refund = reader.option(Reader::hash)?;
            let amount = reader.option(unpack_money)?;
            let what = match (cancels, refund, amount) {
                (true, ..) => ParkedRecord::Cancel,
                (false, Some(id), amount) => ParkedRecord::Refund(id, amount),
                (false, None, Some(amount)) => ParkedRecord::Update(amount),
                (false, None, None) => return Err(UnpackError::Invalid),
            };
            Ok(Parked { order, stamp, parked_at, what })
        })?,
        subscriptions: reader.array(|reader| {
            Ok(Subscription {
                id: reader.hash()?,
                latest_term: reader.option(unpack_stamp)?,
                prices: reader.array(|reader| {
                    Ok(Price {
                        stamp: unpack_stamp(reader)?,
                        amount: reader.option(unpack_money)?,
                        plan: reader.option(Reader::hash)?,
                        term_days: reader.option(Reader::number)?,
                    })
                })?,
                cancelled_at: reader.option(unpack_stamp)?,
                ended_at: reader.option(unpack_stamp)?,
            })
        })?,
    })
}

fn unpack_signals(reader: &mut Reader<'_>) -> Result<Signals, UnpackError> {
    let views = reader.array(|reader| Ok(Timestamp(reader.long()?)))?;
    Ok(Signals {
        product_views: <[Timestamp; VIEWS]>::try_from(views).map_err(|_| UnpackError::Invalid)?,
        considered_at: Timestamp(reader.long()?),
        referral_at: Timestamp(reader.long()?),
        nps: reader.option(unpack_scored)?,
        review: reader.option(unpack_scored)?,
        good_review_at: Timestamp(reader.long()?),
        shared_at: Timestamp(reader.long()?),
    })
}

fn pack_scored(writer: &mut Writer<'_>, scored: Scored) {
    pack_stamp(writer, scored.stamp);
    writer.long(i64::from(scored.score));
}

fn unpack_scored(reader: &mut Reader<'_>) -> Result<Scored, UnpackError> {
    Ok(Scored { stamp: unpack_stamp(reader)?, score: reader.number()? })
}

fn pack_stamp(writer: &mut Writer<'_>, stamp: Stamp) {
    writer.long(stamp.at.0);
    pack_key(writer, stamp.key);
}

fn unpack_stamp(reader: &mut Reader<'_>) -> Result<Stamp, UnpackError> {
    Ok(Stamp { at: Timestamp(reader.long()?), key: unpack_key(reader)? })
}

fn pack_key(writer: &mut Writer<'_>, key: EventKey) {
    writer.hash(key.prefix);
    writer.fixed(&key.hash.to_be_bytes());
}

fn unpack_key(reader: &mut Reader<'_>) -> Result<EventKey, UnpackError> {
    Ok(EventKey { prefix: reader.hash()?, hash: u32::from_be_bytes(reader.fixed()?) })
}

fn pack_money(writer: &mut Writer<'_>, money: Money) {
    writer.long(money.amount_minor);
    writer.fixed(money.currency.code().as_bytes());
}

fn unpack_money(reader: &mut Reader<'_>) -> Result<Money, UnpackError> {
    Ok(Money { amount_minor: reader.long()?, currency: unpack_currency(reader)? })
}

fn unpack_currency(reader: &mut Reader<'_>) -> Result<Currency, UnpackError> {
    let code = reader.fixed::<3>()?;
    let code = std::str::from_utf8(&code).map_err(|_| UnpackError::Invalid)?;
    Currency::parse(code).ok_or(UnpackError::Invalid)
}
