//! Input for the simulation: few customers who collide, times that meet, and what cannot be read.
//!
//! Records are real JSON or Avro. Never looks at what the program does with them. Next: `run.rs`.

use crate::simulation::cluster::Topic;
use crate::simulation::log::Payload;
use crate::simulation::random::Random;
use crate::simulation::registry;
use crate::simulation::rules::RECENCY_DAYS;
use crate::simulation::said;
use ebbflow::codec::decoder::RecordType;
use ebbflow::codec::event_writer::EventEncoder;
use ebbflow::codec::state::VERSION;
use ebbflow::domain::event::{Body, Event, Interaction, Item, Purchase, Term};
use ebbflow::domain::id::partition_of;
use ebbflow::domain::money::{Currency, Money};
use ebbflow::domain::time::{DAY_MS, Timestamp};
use std::borrow::Cow;

/// Customers of a run.
const CUSTOMERS: usize = 7;

#[derive(Default)]
struct Known {
    orders: Vec<(String, Timestamp)>,
    /// Latest records, for duplicates.
    recent: Vec<(Topic, Payload)>,
}

/// Makes records.
pub(crate) struct Workload {
    random: Random,
    partitions: u32,
    customers: Vec<Known>,
    encoder: EventEncoder,
    count: usize,
}

/// A record and where it goes.
pub(crate) struct Placed {
    pub(crate) topic: Topic,
    pub(crate) partition: u32,
    pub(crate) payload: Payload,
}

pub(crate) fn text(text: String) -> Cow<'static, str> {
    Cow::Owned(text)
}

impl Workload {
    pub(crate) fn new(random: Random, partitions: u32, avro: bool) -> Self {
        Self {
            random,
            partitions,
            customers: (0..CUSTOMERS).map(|_| Known::default()).collect(),
            encoder: registry::encoder(avro),
            count: 0,
        }
    }

    /// A time near `now`: mostly now, sometimes earlier, sometimes next to a deadline.
    pub(crate) fn time_near(&mut self, now: Timestamp) -> Timestamp {
        let orders: Vec<Timestamp> =
            self.customers.iter().filter_map(|known| known.orders.last()).map(|o| o.1).collect();
        match self.random.below(10) {
            0 => now.plus_ms(-self.random.between(0, 15 * DAY_MS)),
            1 if !orders.is_empty() => {
                let days = *self.random.pick(&[RECENCY_DAYS[0], RECENCY_DAYS[1], 30, 60]);
                let deadline = self.random.pick(&orders).plus_days(days);
                let at = deadline.plus_ms(self.random.between(0, 2));
                if at <= now { at } else { now }
            }
            2 => now.plus_ms(-self.random.between(0, 2)),
            _ => now,
        }
    }

    /// The next record, whose event happens at `at`; `recorded_at` is the broker's time.
    pub(crate) fn record(&mut self, at: Timestamp, recorded_at: Timestamp) -> Placed {
        self.count += 1;
        let widths = [CUSTOMERS, CUSTOMERS, 3, 1];
        let width = *self.random.pick(&widths);
        let customer = self.random.below(width);
        let id = format!("c-{customer}");
        let home = partition_of(&id, self.partitions);
        let recent = &self.customers[customer].recent;
        if !recent.is_empty() && self.random.chance(80) {
            let (topic, mut payload) = self.random.pick(recent).clone();
            payload.at = recorded_at;
            return Placed { topic, partition: home, payload };
        }
        let event = self.event(customer, &id, at);
        let mut value = Vec::new();
        let topic = match self.encoder.encode(&event, &mut value) {
            RecordType::Purchases => Topic::Purchases,
            RecordType::Interactions => Topic::Interactions,
        };
        let key = Some(id.into_bytes());
        let mut payload =
            Payload { key, value: Some(value), at: recorded_at, ..Payload::default() };
        let (mut topic, mut partition) = (topic, home);
        match self.random.below(60) {
            0 => payload.value = None,
            1 => payload.value = payload.value.map(|value| value[..value.len() / 2].to_vec()),
            2 => partition = (home + 1) % self.partitions,
            3 => {
                topic = Topic::Relay;
                payload.value = payload.value.map(|value| [&[VERSION][..], &value].concat());
            }
            _ => {
                let recent = &mut self.customers[customer].recent;
                recent.push((topic, payload.clone()));
                if recent.len() > 5 {
                    recent.remove(0);
                }
            }
        }
        Placed { topic, partition, payload }
    }

    fn event(&mut self, customer: usize, id: &str, at: Timestamp) -> Event<'static> {
        let occurred_at = match self.random.below(80) {
            // Ahead of its record: clamped, or refused.
            0 => at.plus_ms(3_600_000),
            1 => at.plus_days(3),
            _ => at,
        };
        let body = match self.random.below(100) {
            0..45 => Body::Purchase(self.purchase(customer, at)),
            45..47 => Body::Interaction(Interaction::EraseRequested),
            _ => {
                let amount = self.money();
                match said::interaction(&mut self.random, amount) {
                    Interaction::CustomersMerged { .. } => {
                        // Nobody becomes another one where keys are trusted.
                        let from_customer_id = text(id.to_owned());
                        Body::Interaction(Interaction::CustomersMerged { from_customer_id })
                    }
                    interaction => Body::Interaction(interaction),
                }
            }
        };
        Event {
            event_id: text(format!("e-{}", self.count)),
            customer_id: Some(text(id.to_owned())),
            anonymous_id: None,
            account_id: None,
            occurred_at,
            source: None,
            body,
        }
    }

    fn money(&mut self) -> Money {
        let tail = *self.random.pick(&[1, 1, 1, 10, 100]);
        let code = *self.random.pick(&["EUR", "EUR", "EUR", "USD"]);
        let currency = Currency::parse(code).unwrap();
        Money { amount_minor: self.random.between(0, 900) * tail, currency }
    }

    /// An order of the customer, or one that comes later or never.
    fn order(&mut self, customer: usize) -> Cow<'static, str> {
        let orders = &self.customers[customer].orders;
        if orders.is_empty() || self.random.chance(40) {
            return text(format!("o-{}", self.count + self.random.below(8)));
        }
        text(self.random.pick(orders).0.clone())
    }

    fn purchase(&mut self, customer: usize, at: Timestamp) -> Purchase<'static> {
        let amount = self.money();
        match self.random.below(20) {
            0 => Purchase::OrderUpdated { order_id: self.order(customer), amount },
            1 => Purchase::OrderCancelled { order_id: self.order(customer) },
            2 | 3 => Purchase::OrderRefunded {
                order_id: self.order(customer),
                refund_id: text(format!("r-{}", self.random.below(30))),
                amount: Some(amount).filter(|_| !self.count.is_multiple_of(3)),
            },
            4 => match self.random.below(2) {
                0 => Purchase::OrderPaid { order_id: self.order(customer) },
                _ => Purchase::OrderFulfilled { order_id: self.order(customer) },
            },
            5 | 6 => self.subscription(customer, amount),
            _ => {
                let order_id = format!("o-{}", self.count);
                self.customers[customer].orders.push((order_id.clone(), at));
                let coupon = self.random.chance(200).then(|| text("SPRING".to_owned()));
                let items = (0..self.random.below(3))
                    .map(|_| Item {
                        sku: None,
                        category: said::category(&mut self.random),
                        quantity: Some(1),
                        amount_minor: None,
                    })
                    .collect();
                let channel = said::channel(&mut self.random);
                let order_id = text(order_id);
                Purchase::OrderCompleted { order_id, amount, channel, coupon, items }
            }
        }
    }

    fn subscription(&mut self, customer: usize, amount: Money) -> Purchase<'static> {
        let subscription_id = text(format!("s-{customer}-{}", self.random.below(2)));
        let plan = text((*self.random.pick(&["basic", "plus"])).to_owned());
        let term = Term {
            subscription_id: subscription_id.clone(),
            order_id: None,
            plan: Some(plan),
            amount: Some(amount),
            term_days: Some(*self.random.pick(&[7, 30])),
        };
        match self.random.below(7) {
            0 | 1 => Purchase::SubscriptionStarted(term),
            2 | 3 => Purchase::SubscriptionRenewed(term),
            4 => Purchase::SubscriptionChanged(term),
            5 => Purchase::SubscriptionCancelled { subscription_id },
            _ => Purchase::SubscriptionEnded { subscription_id },
        }
    }
}
