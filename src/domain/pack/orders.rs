//! Orders and subscriptions as compact bytes.
//!
//! Next: `facts/order_book.rs`, what they mean.

use super::primitives::{
    pack_money, pack_stamp, text, unpack_currency, unpack_money, unpack_stamp,
};
use crate::domain::binary::{Reader, UnpackError, Writer};
use crate::domain::facts::older_orders::{EvictedOrder, OlderOrders};
use crate::domain::facts::order::{Marks, Order, OrderChanges, PaidTerm, Refund};
use crate::domain::facts::order_book::{Parked, ParkedRecord, RareParts};
use crate::domain::facts::subscription::{Price, Subscription};
use crate::domain::money::{Currency, Money};
use crate::domain::time::Day;

/// What stands behind the amount of an order: nothing, marks, or marks and rare parts.
const PLAIN: i64 = 0;
const MARKED: i64 = 1;
const RARE: i64 = 2;

pub(super) fn pack_order(writer: &mut Writer<'_>, order: &Order, base: Currency) {
    writer.hash(order.id);
    pack_stamp(writer, order.base);
    writer.long(order.amount.amount_minor);
    let Marks { coupon, categories, channel } = order.marks;
    let marks = i64::from(coupon) | i64::from(channel) << 1 | i64::from(categories) << 5;
    let plain = order.amount.currency == base
        && order.term.is_none()
        && !order.cancelled
        && order.changes.is_none();
    match (plain, marks) {
        (true, 0) => writer.long(PLAIN),
        (true, marks) => {
            writer.long(MARKED);
            writer.long(marks);
        }
        (false, marks) => {
            writer.long(RARE);
            writer.long(marks);
            pack_rare_order(writer, order);
        }
    }
}

fn pack_rare_order(writer: &mut Writer<'_>, order: &Order) {
    writer.fixed(order.amount.currency.code().as_bytes());
    writer.option(order.term, |writer, term| {
        writer.hash(term.subscription);
        writer.long(i64::from(term.days));
        writer.boolean(term.own_amount);
        writer.boolean(term.own_days);
    });
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
}

pub(super) fn unpack_order(reader: &mut Reader<'_>, base: Currency) -> Result<Order, UnpackError> {
    let id = reader.hash()?;
    let stamp = unpack_stamp(reader)?;
    let amount_minor = reader.long()?;
    let mut order = Order {
        id,
        base: stamp,
        amount: Money { amount_minor, currency: base },
        term: None,
        marks: Marks::default(),
        cancelled: false,
        changes: None,
    };
    match reader.long()? {
        PLAIN => {}
        MARKED => order.marks = unpack_marks(reader)?,
        RARE => {
            order.marks = unpack_marks(reader)?;
            order.amount.currency = unpack_currency(reader)?;
            order.term = reader.option(|reader| {
                Ok(PaidTerm {
                    subscription: reader.hash()?,
                    days: reader.number()?,
                    own_amount: reader.boolean()?,
                    own_days: reader.boolean()?,
                })
            })?;
            order.cancelled = reader.boolean()?;
            order.changes = reader.option(unpack_changes)?.map(Box::new);
        }
        _ => return Err(UnpackError::Invalid),
    }
    Ok(order)
}

fn unpack_marks(reader: &mut Reader<'_>) -> Result<Marks, UnpackError> {
    let marks: u16 = reader.number()?;
    let channel = u8::try_from(marks >> 1 & 15).map_err(|_| UnpackError::Invalid)?;
    let categories = u8::try_from(marks >> 5).map_err(|_| UnpackError::Invalid)?;
    Ok(Marks { coupon: marks & 1 == 1, categories, channel })
}

pub(super) fn unpack_changes(reader: &mut Reader<'_>) -> Result<OrderChanges, UnpackError> {
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

pub(super) fn pack_rare(writer: &mut Writer<'_>, rare: &RareParts) {
    writer.array(&rare.evicted, |writer, order| {
        writer.hash(order.id);
        writer.long(order.day.0);
        writer.long(order.net_minor);
        writer.boolean(order.cancelled);
        writer.option(order.term, |writer, (subscription, days)| {
            writer.hash(subscription);
            writer.long(i64::from(days));
        });
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
    writer.long(i64::from(rare.categories));
    writer.array(&rare.parked, |writer, parked| {
        writer.hash(parked.order);
        pack_stamp(writer, parked.stamp);
        writer.time(parked.parked_at);
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
            writer.option(price.plan.as_deref(), Writer::string);
            writer.option(price.term_days, |writer, days| writer.long(i64::from(days)));
        });
        writer.option(subscription.cancelled_at, pack_stamp);
        writer.option(subscription.ended_at, pack_stamp);
    });
}

pub(super) fn unpack_rare(reader: &mut Reader<'_>) -> Result<RareParts, UnpackError> {
    Ok(RareParts {
        evicted: reader.array(|reader| {
            let mut evicted = unpack_evicted(reader)?;
            evicted.term = reader.option(|reader| Ok((reader.hash()?, reader.number()?)))?;
            Ok(evicted)
        })?,
        before: unpack_before(reader)?,
        categories: reader.number()?,
        parked: reader.array(unpack_parked)?,
        subscriptions: reader.array(unpack_subscription)?,
    })
}

/// An evicted order but for its term.
pub(super) fn unpack_evicted(reader: &mut Reader<'_>) -> Result<EvictedOrder, UnpackError> {
    Ok(EvictedOrder {
        id: reader.hash()?,
        day: Day(reader.long()?),
        net_minor: reader.long()?,
        cancelled: reader.boolean()?,
        term: None,
    })
}

pub(super) fn unpack_before(reader: &mut Reader<'_>) -> Result<OlderOrders, UnpackError> {
    let day = |reader: &mut Reader<'_>| reader.option(|reader| Ok(Day(reader.long()?)));
    Ok(OlderOrders {
        orders: reader.number()?,
        net_minor: reader.long()?,
        first_counting_day: day(reader)?,
        last_counting_day: day(reader)?,
        first_day: day(reader)?,
        last_day: day(reader)?,
        order_days: reader.number()?,
    })
}

pub(super) fn unpack_parked(reader: &mut Reader<'_>) -> Result<Parked, UnpackError> {
    let order = reader.hash()?;
    let stamp = unpack_stamp(reader)?;
    let parked_at = reader.time()?;
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
}

fn unpack_subscription(reader: &mut Reader<'_>) -> Result<Subscription, UnpackError> {
    Ok(Subscription {
        id: reader.hash()?,
        latest_term: reader.option(unpack_stamp)?,
        prices: reader.array(|reader| {
            Ok(Price {
                stamp: unpack_stamp(reader)?,
                amount: reader.option(unpack_money)?,
                plan: reader.option(text)?,
                term_days: reader.option(Reader::number)?,
            })
        })?,
        cancelled_at: reader.option(unpack_stamp)?,
        ended_at: reader.option(unpack_stamp)?,
    })
}
