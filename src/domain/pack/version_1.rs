//! Reads customers as version 1 of the state wrote them: orders, two dimensions, few signs.
//!
//! What version 1 did not keep is unknown: names of plans, lengths of terms that named their own
//! price. Never writes. Next: `mod.rs`, the present version.

use super::primitives::{sorted, unpack_currency, unpack_key, unpack_money, unpack_stamp};
use super::{VALUES, unpack_head};
use crate::domain::binary::{Reader, UnpackError};
use crate::domain::change::CauseKind;
use crate::domain::customer::Customer;
use crate::domain::dimension::{Dimension, Entries, INITIAL, Published};
use crate::domain::facts::order::{Marks, Order, PaidTerm, Stamp};
use crate::domain::facts::order_book::RareParts;
use crate::domain::facts::signals::{Scored, Signals, VIEWS};
use crate::domain::facts::subscription::{Price, Subscription};
use crate::domain::facts::surveys::{Answers, Surveys, Topic};
use crate::domain::id::event_hash;
use crate::domain::money::{Currency, ExchangeRates, Money};
use crate::domain::pack::orders::{unpack_before, unpack_changes, unpack_evicted, unpack_parked};
use crate::domain::time::Timestamp;

type Read<T> = Result<T, UnpackError>;

/// The dimensions of version 1, in its order.
const DIMENSIONS: [Dimension; 2] = [Dimension::Rfm, Dimension::Lifecycle];

/// Reads a customer of version 1.
///
/// # Errors
/// When the bytes are no such customer.
pub fn unpack_version_1(bytes: &[u8], rates: &ExchangeRates) -> Read<Customer> {
    let mut reader = Reader::new(bytes, 1);
    let (evaluated_at, deadline, id) = unpack_head(&mut reader)?;
    let mut customer = Customer::new(id, evaluated_at, 0);
    customer.deadline = deadline;
    customer.incarnation = reader.number()?;
    customer.seq = reader.number()?;
    customer.rules_revision = reader.number()?;
    let published = reader.array(|reader| {
        let value = reader.number()?;
        let since = evaluated_at.plus_ms(reader.long()?.saturating_neg());
        let seq = reader.number()?;
        let told = Published::told_with(seq, value);
        Ok(Published { value, left: INITIAL, told, cause: CauseKind::Event, since, seq })
    })?;
    let published = <[Published; 2]>::try_from(published).map_err(|_| UnpackError::Invalid)?;
    let first_seen_at = published.iter().map(|it| it.since).min().unwrap_or(evaluated_at);
    customer.first_seen_at = first_seen_at.min(evaluated_at);
    let initial = customer.initial();
    customer.published.fill(initial);
    for (dimension, published) in DIMENSIONS.into_iter().zip(published) {
        *customer.published_mut(dimension) = published;
    }
    customer.entries = entries(&mut reader)?;
    add_implied_entries(&mut customer);
    reader
        .array_into(&mut customer.recent_events, |reader| Ok(event_hash(reader.whole_hash()?)))?;
    customer.book.orders = reader.array(|reader| order(reader, evaluated_at, rates.base()))?;
    customer.book.rare = reader
        .option(|reader| {
            Ok(RareParts {
                evicted: reader.array(unpack_evicted)?,
                before: unpack_before(reader)?,
                categories: 0,
                parked: reader.array(unpack_parked)?,
                subscriptions: reader.array(subscription)?,
            })
        })?
        .map(Box::new);
    for place in 0..customer.book.orders.len() {
        let base = customer.book.orders[place].base;
        let Some(mut term) = customer.book.orders[place].term else { continue };
        let mut subscriptions = customer.book.subscriptions().iter();
        let priced_by = subscriptions.find(|it| it.id == term.subscription);
        term.days = priced_by.and_then(|it| it.days_at(base)).unwrap_or(0);
        customer.book.orders[place].term = Some(term);
    }
    reader.option(|reader| signals(reader, &mut customer))?;
    if reader.is_at_end() { Ok(customer) } else { Err(UnpackError::Trailing) }
}

/// Adds those that were not written: a value that was entered for the first time.
fn add_implied_entries(customer: &mut Customer) {
    for dimension in DIMENSIONS {
        let value = customer.published(dimension).value;
        if value != INITIAL && customer.entered(dimension, value) == 0 {
            customer.enter(dimension, value);
        }
    }
}

fn entries(reader: &mut Reader<'_>) -> Read<Vec<Entries>> {
    let entries = reader.array(|reader| {
        let place = reader.long()?;
        let dimension = usize::try_from(place / VALUES).ok().and_then(|it| DIMENSIONS.get(it));
        Ok(Entries {
            dimension: *dimension.ok_or(UnpackError::Invalid)?,
            value: u8::try_from(place % VALUES).map_err(|_| UnpackError::Invalid)?,
            count: reader.number()?,
        })
    })?;
    sorted(entries, |entry| (entry.dimension, entry.value))
}

fn order(reader: &mut Reader<'_>, evaluated_at: Timestamp, base: Currency) -> Read<Order> {
    let id = reader.hash()?;
    let at = evaluated_at.plus_ms(reader.long()?.saturating_neg());
    let stamp = Stamp { at, key: unpack_key(reader)? };
    let amount = Money { amount_minor: reader.long()?, currency: base };
    let marks = Marks::default();
    let mut order =
        Order { id, base: stamp, amount, term: None, marks, cancelled: false, changes: None };
    reader.option(|reader| {
        order.amount.currency = unpack_currency(reader)?;
        order.term = reader.option(Reader::hash)?.map(|subscription| PaidTerm {
            subscription,
            days: 0,
            own_amount: false,
            own_days: false,
        });
        order.cancelled = reader.boolean()?;
        order.changes = reader.option(unpack_changes)?.map(Box::new);
        Ok(())
    })?;
    Ok(order)
}

fn subscription(reader: &mut Reader<'_>) -> Read<Subscription> {
    Ok(Subscription {
        id: reader.hash()?,
        latest_term: reader.option(unpack_stamp)?,
        prices: reader.array(|reader| {
            let stamp = unpack_stamp(reader)?;
            let amount = reader.option(unpack_money)?;
            // The hash of the plan, whose name is not known.
            reader.option(Reader::hash)?;
            Ok(Price { stamp, amount, plan: None, term_days: reader.option(Reader::number)? })
        })?,
        cancelled_at: reader.option(unpack_stamp)?,
        ended_at: reader.option(unpack_stamp)?,
    })
}

fn signals(reader: &mut Reader<'_>, customer: &mut Customer) -> Read<()> {
    let scored = |reader: &mut Reader<'_>| {
        Ok(Scored { stamp: unpack_stamp(reader)?, score: reader.number()? })
    };
    let views = reader.array(Reader::time)?;
    let product_views = <[Timestamp; VIEWS]>::try_from(views).map_err(|_| UnpackError::Invalid)?;
    let (considered_at, referral_at) = (reader.time()?, reader.time()?);
    let nps = reader.option(scored)?;
    customer.signals = Some(Box::new(Signals {
        product_views,
        considered_at,
        referral_at,
        review: reader.option(scored)?,
        good_review_at: reader.time()?,
        shared_at: reader.time()?,
    }));
    if let Some(Scored { stamp, score }) = nps {
        let mut surveys = Surveys::default();
        surveys.answers[Topic::Nps as usize] = Some(Box::new(Answers {
            last: stamp,
            score: Some(score),
            count: 1,
            scored: 1,
            sum: u64::from(score),
            reasons: Vec::new(),
        }));
        customer.surveys = Some(Box::new(surveys));
    }
    Ok(())
}
