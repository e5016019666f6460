//! The shop's real orders and cancellations, from the CSV in `data/` to events.
//!
//! Nothing is made up here but the match of a cancellation with an order, which the data does not
//! name. Next: `interactions.rs`, what is made up around them; `data/README.md`, the source.

use crate::domain::event::{Body, Event, Purchase, Text};
use crate::domain::money::{Currency, Money};
use crate::domain::time::Timestamp;
use anyhow::{Context, Result, bail};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// UCI Online Retail, one row per invoice. Source and licence: `data/README.md`.
const CSV: &str = include_str!("../../data/online_retail_uci_orders.csv");

/// A row of the data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Row<'a> {
    /// The shop's number of the customer.
    pub(super) customer_id: &'a str,
    /// Unique.
    pub(super) invoice_no: &'a str,
    /// The shop's local time, taken as UTC.
    pub(super) at: Timestamp,
    /// Pence, never negative.
    pub(super) amount_minor: i64,
    /// What the row tells of.
    pub(super) what: What<'a>,
}

/// What a row tells of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What<'a> {
    /// An order; four of them are free of charge.
    Order,
    /// A cancellation of a part or the whole of this order; `None` = no order fits.
    Cancellation(Option<&'a str>),
}

/// All rows, by date, cancellations matched.
///
/// # Errors
/// When the data is not what it should be.
pub(super) fn rows() -> Result<Vec<Row<'static>>> {
    read(CSV)
}

fn read(csv: &str) -> Result<Vec<Row<'_>>> {
    let mut open: BTreeMap<&str, Vec<(&str, i64)>> = BTreeMap::new();
    let mut rows = Vec::new();
    for (number, line) in (2..).zip(csv.lines().skip(1)) {
        let mut row = parse(line).with_context(|| format!("line {number} of the orders"))?;
        let orders = open.entry(row.customer_id).or_default();
        match &mut row.what {
            What::Order => orders.push((row.invoice_no, row.amount_minor)),
            What::Cancellation(order) => *order = take(orders, row.amount_minor),
        }
        rows.push(row);
    }
    Ok(rows)
}

/// The customer's latest order so far that has so much left; the amount is taken from it.
fn take<'a>(orders: &mut [(&'a str, i64)], amount_minor: i64) -> Option<&'a str> {
    let (order, left) = orders.iter_mut().rev().find(|(_, left)| *left >= amount_minor)?;
    *left -= amount_minor;
    Some(order)
}

fn parse(line: &str) -> Result<Row<'_>> {
    let fields: Vec<&str> = line.split(',').collect();
    let [customer_id, invoice_no, date, amount, _lines, _country, cancellation] = fields[..] else {
        bail!("{} columns instead of 7", fields.len());
    };
    let at: jiff::civil::DateTime = date.parse().with_context(|| format!("date \"{date}\""))?;
    let at = at.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp().as_millisecond();
    let (amount, what) = match (cancellation, amount.strip_prefix('-')) {
        ("0", None) => (amount, What::Order),
        ("1", Some(amount)) => (amount, What::Cancellation(None)),
        _ => bail!("amount \"{amount}\" does not fit is_cancellation \"{cancellation}\""),
    };
    let amount_minor = pence(amount).with_context(|| format!("amount \"{amount}\""))?;
    Ok(Row { customer_id, invoice_no, at: Timestamp(at), amount_minor, what })
}

/// Pounds with up to two decimals, without ever being a float.
fn pence(amount: &str) -> Option<i64> {
    let (pounds, decimals) = amount.split_once('.').unwrap_or((amount, ""));
    let pence: i64 = match decimals.len() {
        0 => 0,
        1 => decimals.parse::<i64>().ok()? * 10,
        2 => decimals.parse().ok()?,
        _ => return None,
    };
    Some(pounds.parse::<i64>().ok()? * 100 + pence)
}

/// A row as an event. A cancellation that fits no order names one that never comes, and is parked.
pub(super) fn event(row: &Row<'static>, currency: Currency) -> Event<'static> {
    let amount = Money { amount_minor: row.amount_minor, currency };
    let invoice_no: Text<'static> = Cow::Borrowed(row.invoice_no);
    let purchase = match row.what {
        What::Order => Purchase::OrderCompleted {
            order_id: invoice_no,
            amount,
            channel: None,
            coupon: None,
            items: Vec::new(),
        },
        What::Cancellation(order) => Purchase::OrderRefunded {
            order_id: order
                .map_or_else(|| format!("unknown-of-{invoice_no}").into(), Cow::Borrowed),
            refund_id: invoice_no,
            amount: Some(amount),
        },
    };
    Event {
        event_id: format!("uci-{}", row.invoice_no).into(),
        customer_id: Some(Cow::Borrowed(row.customer_id)),
        anonymous_id: None,
        account_id: None,
        occurred_at: row.at,
        source: Some("uci-online-retail".into()),
        body: Body::Purchase(purchase),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(lines: &str) -> Vec<(String, Option<String>)> {
        let csv = format!("header\n{lines}");
        let rows = read(&csv).expect("readable rows");
        rows.into_iter()
            .filter_map(|row| match row.what {
                What::Order => None,
                What::Cancellation(order) => {
                    Some((row.invoice_no.to_owned(), order.map(ToOwned::to_owned)))
                }
            })
            .collect()
    }

    #[test]
    fn a_cancellation_takes_from_the_latest_earlier_order_with_so_much_left() {
        let found = matches(
            "1,10,2011-01-01 09:00:00,50.0,1,France,0\n\
             1,11,2011-01-02 09:00:00,20.5,1,France,0\n\
             2,12,2011-01-02 09:00:00,99,1,France,0\n\
             1,C13,2011-01-03 09:00:00,-20.49,1,France,1\n\
             1,C14,2011-01-04 09:00:00,-0.02,1,France,1\n\
             1,C15,2011-01-05 09:00:00,-49.99,1,France,1\n\
             1,C16,2011-01-06 09:00:00,-0.01,1,France,1\n\
             1,18,2011-01-07 09:00:00,80.00,1,France,0\n",
        );
        let expected =
            [("C13", Some("11")), ("C14", Some("10")), ("C15", None), ("C16", Some("11"))];
        let expected = expected.map(|(refund, order)| (refund.into(), order.map(String::from)));
        assert_eq!(found, expected);
    }

    #[test]
    fn amounts_are_read_to_the_penny_and_bad_rows_are_refused() {
        assert_eq!(
            ["0", "0.0", "139.12", "22.2", "168469.6"].map(pence),
            [Some(0), Some(0), Some(13_912), Some(2_220), Some(16_846_960)]
        );
        assert_eq!(["", "1.234", "x", "1,2"].map(pence), [None; 4]);
        let row = |text: &str| parse(text).map(|row| row.at.0).map_err(|error| error.to_string());
        assert_eq!(row("1,2,1970-01-02 00:00:01,1.0,1,France,0"), Ok(86_401_000));
        assert!(row("1,2,1970-01-02 00:00:00,-1.0,1,France,0").is_err());
        assert!(row("1,2,1970-01-02 00:00:00,1.0,1,France,1").is_err());
        assert!(row("1,2,yesterday,1.0,1,France,0").is_err());
        assert!(row("1,2").is_err());
    }

    #[test]
    fn the_data_is_what_its_description_says() {
        let rows = rows().expect("readable rows");
        let of = |what: fn(&What<'_>) -> bool| rows.iter().filter(|row| what(&row.what)).count();
        assert_eq!(of(|what| matches!(what, What::Order)), 18_536);
        assert_eq!(of(|what| matches!(what, What::Cancellation(Some(_)))), 3_434);
        assert_eq!(of(|what| matches!(what, What::Cancellation(None))), 220);
        assert!(rows.is_sorted_by_key(|row| row.at));
        let free = rows.iter().filter(|row| row.amount_minor == 0);
        assert_eq!(free.count(), 4);
    }
}
