//! All events of the demo in the order of their time, and how they are sent.
//!
//! Sends no faster than they are processed: the embedded broker forgets what goes unread.
//! Next: `mod.rs`, which paces it; `orders.rs` and `interactions.rs`, where events come from.

use crate::codec::encode::OutputFormat;
use crate::codec::event_writer::EventEncoder;
use crate::demo::interactions::{Histories, generate};
use crate::demo::orders::{self, What};
use crate::domain::event::{Body, Event};
use crate::domain::id::partition_of;
use crate::domain::money::Currency;
use crate::domain::time::Timestamp;
use crate::kafka::mock::Feeder;
use crate::runtime::broker::{BrokerError, Input};
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Currency of the orders.
pub(super) const CURRENCY: &str = "GBP";
/// Sent ahead of what is processed at most. A task waits for the next record of each of its
/// inputs, so this has to exceed what comes in the longest pause of the orders, at Christmas.
const AHEAD: u64 = 20_000;
/// Records sent before somebody else has their turn.
const AT_ONCE: usize = 500;

/// The events, encoded.
pub(super) struct Feed {
    records: Vec<FeedRecord>,
    sent: usize,
    /// By partition, what the ends of the inputs will be.
    pub(super) ends: BTreeMap<u32, [i64; 3]>,
    /// When the last order was placed.
    pub(super) last_at: Timestamp,
    /// What the events are.
    pub(super) counts: Counts,
    /// Customers of the shop.
    pub(super) customers: Vec<String>,
    /// People made up, who never buy.
    pub(super) prospects: Vec<String>,
}

/// What the events are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    pub(super) orders: u64,
    pub(super) cancellations: u64,
    /// Cancellations that fit no order.
    pub(super) unmatched: u64,
    pub(super) interactions: u64,
}

struct FeedRecord {
    input: Input,
    partition: u32,
    subject: Box<str>,
    value: Box<[u8]>,
}

impl Feed {
    /// All events for topics of so many partitions.
    ///
    /// # Errors
    /// When the data is not what it should be.
    pub(super) fn new(partitions: u32) -> Result<Self> {
        let currency = Currency::parse(CURRENCY).context("a currency")?;
        let rows = orders::rows()?;
        let first_at = rows.first().context("no orders")?.at;
        let last_at = rows.last().context("no orders")?.at;
        let mut counts = Counts::default();
        let mut histories = Histories::new();
        for row in &rows {
            let history = histories.entry(row.customer_id).or_default();
            match row.what {
                What::Order => {
                    history.push(row.at);
                    counts.orders += 1;
                }
                What::Cancellation(order) => {
                    counts.cancellations += 1;
                    counts.unmatched += u64::from(order.is_none());
                }
            }
        }
        let mut events = generate(&histories, first_at, last_at).list;
        counts.interactions = events.len() as u64;
        let people: BTreeSet<String> =
            events.iter().map(|event| event.subject_id().into_owned()).collect();
        let made_up = |id: &String| !histories.contains_key(id.as_str());
        let prospects = people.into_iter().filter(made_up).collect();
        let customers = histories.keys().map(|id| (*id).to_owned()).collect();
        events.extend(rows.iter().map(|row| orders::event(row, currency)));
        // Stable: what has the same time stays in the order in which it was made.
        events.sort_by_key(|event| event.occurred_at);
        let mut encoder = EventEncoder::new(OutputFormat::Json, OutputFormat::Json);
        let records: Vec<FeedRecord> =
            events.iter().map(|event| encoded(event, partitions, &mut encoder)).collect();
        let mut ends: BTreeMap<u32, [i64; 3]> = (0..partitions).map(|it| (it, [0; 3])).collect();
        for record in &records {
            if let Some(ends) = ends.get_mut(&record.partition) {
                ends[record.input.index()] += 1;
            }
        }
        Ok(Self { records, sent: 0, ends, last_at, counts, customers, prospects })
    }

    /// How many events there are.
    pub(super) const fn len(&self) -> u64 {
        self.records.len() as u64
    }

    /// How many have been sent.
    pub(super) const fn sent(&self) -> u64 {
        self.sent as u64
    }

    /// Sends some more, unless too many have not been processed yet; says whether it did.
    ///
    /// # Errors
    /// When a record cannot be delivered.
    pub(super) fn send_some(
        &mut self,
        feeder: &Feeder,
        processed: u64,
    ) -> Result<bool, BrokerError> {
        if self.sent() >= processed + AHEAD {
            return Ok(false);
        }
        let before = self.sent;
        for record in self.records[before..].iter().take(AT_ONCE) {
            if !feeder.send(record.input, record.partition, &record.subject, &record.value)? {
                break;
            }
            self.sent += 1;
        }
        feeder.delivered()?;
        Ok(self.sent > before)
    }
}

fn encoded(event: &Event<'_>, partitions: u32, encoder: &mut EventEncoder) -> FeedRecord {
    let subject = event.subject_id();
    let mut value = Vec::with_capacity(256);
    encoder.encode(event, &mut value);
    FeedRecord {
        input: match event.body {
            Body::Purchase(_) => Input::Purchases,
            Body::Interaction(_) => Input::Interactions,
        },
        partition: partition_of(&subject, partitions),
        subject: subject.into(),
        value: value.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn every_run_sends_the_same_bytes() {
        let feed = Feed::new(16).expect("the data is compiled in");
        let mut hash = Sha256::new();
        for record in &feed.records {
            hash.update([u8::try_from(record.input.index()).expect("one of three")]);
            hash.update(record.subject.as_bytes());
            hash.update(&record.value);
            hash.update(b"\n");
        }
        let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            feed.counts,
            Counts { orders: 18_536, cancellations: 3_654, unmatched: 220, interactions: 70_315 }
        );
        assert_eq!((feed.customers.len(), feed.prospects.len()), (4_372, 600));
        assert_eq!(hash, "2e2ce791231129ff6d4812a5d92a4a3a8087b9aa98477649294b4e1ece362ce3");
    }

    #[test]
    fn no_pause_of_an_input_holds_back_more_than_is_sent_ahead() {
        let feed = Feed::new(16).expect("the data is compiled in");
        let mut held: BTreeMap<u32, [u64; 3]> = BTreeMap::new();
        let mut left = feed.ends.clone();
        let (mut total, mut most) = (0_u64, 0);
        for record in &feed.records {
            let held = held.entry(record.partition).or_default();
            let left = left.get_mut(&record.partition).expect("a partition");
            let (input, other) = (record.input.index(), 1 - record.input.index());
            left[input] -= 1;
            held[input] += 1;
            total += 1;
            // It lets go what the other input had at hand, and waits for that one's next.
            total -= std::mem::take(&mut held[other]);
            if left[other] == 0 {
                total -= std::mem::take(&mut held[input]);
            }
            most = most.max(total);
        }
        assert!(most < AHEAD / 2, "{most} records wait at most");
    }
}
