//! Input for crossing runs: few people under many names, in whatever partition.
//!
//! Never looks at what the program does with it. Next: `play.rs`, which sends it.

use crate::simulation::cluster::Topic;
use crate::simulation::log::Payload;
use crate::simulation::random::Random;
use crate::simulation::registry;
use crate::simulation::said;
use crate::simulation::workload::{Placed, text};
use ebbflow::codec::decoder::RecordType;
use ebbflow::codec::event_writer::EventEncoder;
use ebbflow::domain::event::{Body, Event, Interaction, Purchase, Term, Text, VisitKind};
use ebbflow::domain::id::partition_of;
use ebbflow::domain::money::{Currency, Money};
use ebbflow::domain::time::Timestamp;

/// Customers of a run: the last one of them may be erased.
pub(crate) const PERSONS: usize = 6;
/// Accounts; one has the name of a customer.
pub(crate) const ACCOUNTS: [&str; 2] = ["a-0", "c-0"];
/// Of more events than this, orders aside, a subject may forget that it has seen one.
const MAX_REMEMBERED: usize = 30;

/// With this begin ids of which mostly nobody else ever tells but a merge.
pub(crate) const NEVER: &str = "never-";

pub(crate) fn person(number: usize) -> String {
    format!("c-{number}")
}

pub(crate) fn referrer(number: usize) -> String {
    format!("r-{number}")
}

/// Makes records.
pub(crate) struct Workload {
    random: Random,
    partitions: u32,
    encoder: EventEncoder,
    /// Of a thousand records, how many lie in any partition.
    misplaced: usize,
    /// Of a thousand events, how many tie people.
    tied: usize,
    erases: bool,
    count: usize,
    /// Events that are remembered by their ids alone.
    remembered: usize,
    /// Orders and who placed them.
    orders: Vec<(usize, String)>,
}

impl Workload {
    pub(crate) fn new(mut random: Random, partitions: u32, avro: bool) -> Self {
        let misplaced = *random.pick(&[0, 100, 1_000]);
        let tied = *random.pick(&[40, 150, 400]);
        let erases = random.chance(250);
        Self {
            random,
            partitions,
            encoder: registry::encoder(avro),
            misplaced,
            tied,
            erases,
            count: 0,
            remembered: 0,
            orders: Vec::new(),
        }
    }

    /// The next record, and once more where it was sent twice; `recorded_at` is the broker's time.
    pub(crate) fn records(&mut self, at: Timestamp, recorded_at: Timestamp) -> Vec<Placed> {
        self.count += 1;
        let event = self.event(at);
        let mut value = Vec::new();
        let topic = match self.encoder.encode(&event, &mut value) {
            RecordType::Purchases => Topic::Purchases,
            RecordType::Interactions => Topic::Interactions,
        };
        let id = event.subject_id().into_owned();
        if self.random.chance(15) {
            value.truncate(value.len() / 2);
        }
        let (key, value) = (Some(id.clone().into_bytes()), Some(value));
        let payload = Payload { key, value, at: recorded_at, ..Payload::default() };
        let partition = if self.random.chance(self.misplaced) {
            self.anywhere()
        } else {
            partition_of(&id, self.partitions)
        };
        let mut records = vec![Placed { topic, partition, payload: payload.clone() }];
        // Other events may count twice while their customer becomes another one.
        let is_order = matches!(event.body, Body::Purchase(Purchase::OrderCompleted { .. }));
        if is_order && self.misplaced > 0 && self.random.chance(100) {
            records.push(Placed { topic, partition: self.anywhere(), payload });
        }
        records
    }

    fn anywhere(&mut self) -> u32 {
        let partitions = usize::try_from(self.partitions).unwrap();
        u32::try_from(self.random.below(partitions)).unwrap()
    }

    fn event(&mut self, at: Timestamp) -> Event<'static> {
        let full = self.remembered >= MAX_REMEMBERED;
        if !full && self.random.chance(self.tied) {
            return self.tie(at);
        }
        let who = self.random.below(PERSONS);
        let visitor = self.random.chance(250).then(|| self.visitor(who));
        let body = if !full && self.random.chance(450) {
            self.remembered += 1;
            let amount = self.money();
            match said::interaction(&mut self.random, amount) {
                Interaction::CustomersMerged { .. } => visited(),
                interaction => Body::Interaction(interaction),
            }
        } else {
            Body::Purchase(self.purchase(who, full))
        };
        let account = self.random.chance(330).then(|| (*self.random.pick(&ACCOUNTS)).to_owned());
        let mut event = self.of(person(who), at, body);
        if let Some(visitor) = visitor {
            event.customer_id = None;
            event.anonymous_id = Some(visitor);
        }
        event.account_id = account.map(text);
        event
    }

    fn of(&self, id: String, occurred_at: Timestamp, body: Body<'static>) -> Event<'static> {
        Event {
            event_id: text(format!("e-{}", self.count)),
            customer_id: Some(text(id)),
            anonymous_id: None,
            account_id: None,
            occurred_at,
            source: None,
            body,
        }
    }

    /// A visitor of this person, or one whose device is shared.
    fn visitor(&mut self, who: usize) -> Text<'static> {
        text(match self.random.below(8) {
            0 => "shared".to_owned(),
            below => format!("v-{who}-{}", below % 2),
        })
    }

    /// An event that ties ids to one another.
    fn tie(&mut self, at: Timestamp) -> Event<'static> {
        let (one, other) = (self.random.below(PERSONS), self.random.below(PERSONS));
        let merged = |from: String| {
            Body::Interaction(Interaction::CustomersMerged { from_customer_id: text(from) })
        };
        self.remembered += 1;
        match self.random.below(20) {
            // Into oneself, too.
            0..7 => self.of(person(one), at, merged(person(other))),
            7 => self.of(person(one), at, merged(format!("{NEVER}{other}"))),
            8..14 => {
                let mut known = self.of(person(one), at, visited());
                known.anonymous_id = Some(self.visitor(one));
                known
            }
            14..18 => {
                let by = one % 2;
                let referred = if self.random.chance(100) { referrer(by) } else { person(other) };
                let referred_customer_id = Some(text(referred));
                let body = Interaction::ReferralAccepted { referred_customer_id };
                self.of(referrer(by), at, Body::Interaction(body))
            }
            18 => self.of(referrer(one % 2), at, merged(referrer(other % 2))),
            _ if self.erases => {
                let body = Body::Interaction(Interaction::EraseRequested);
                self.of(person(PERSONS - 1), at, body)
            }
            _ => self.of(format!("{NEVER}{other}"), at, visited()),
        }
    }

    fn money(&mut self) -> Money {
        let codes = ["EUR", "EUR", "USD"];
        let currency = Currency::parse(codes[self.random.below(codes.len())]).unwrap();
        Money { amount_minor: self.random.between(0, 900) * 10, currency }
    }

    /// An order of this person, seldom one of somebody else's or one that never comes.
    fn order(&mut self, who: usize) -> Text<'static> {
        let wide = self.random.chance(100);
        let own = self.orders.iter().filter(|(of, _)| wide || *of == who);
        let own: Vec<String> = own.map(|(_, id)| id.clone()).collect();
        if own.is_empty() {
            text(format!("o-{}", self.count))
        } else {
            text(self.random.pick(&own).clone())
        }
    }

    fn purchase(&mut self, who: usize, only_orders: bool) -> Purchase<'static> {
        let amount = self.money();
        let kind = if only_orders { 20 } else { self.random.below(20) };
        self.remembered += usize::from(kind <= 6);
        match kind {
            0 => Purchase::OrderUpdated { order_id: self.order(who), amount },
            1 => Purchase::OrderCancelled { order_id: self.order(who) },
            2..5 => Purchase::OrderRefunded {
                order_id: self.order(who),
                refund_id: text(format!("r-{}", self.random.below(30))),
                amount: Some(amount).filter(|_| self.random.chance(700)),
            },
            5 => Purchase::OrderPaid { order_id: self.order(who) },
            6 => Purchase::SubscriptionStarted(Term {
                subscription_id: text(format!("s-{who}")),
                order_id: Some(text(format!("s-{who}-{}", self.count))),
                plan: None,
                amount: Some(amount),
                term_days: Some(30),
            }),
            _ => {
                let order_id = format!("o-{}", self.count);
                self.orders.push((who, order_id.clone()));
                let coupon = self.random.chance(200).then(|| text("SPRING".to_owned()));
                let channel = said::channel(&mut self.random);
                let (order_id, items) = (text(order_id), Vec::new());
                Purchase::OrderCompleted { order_id, amount, channel, coupon, items }
            }
        }
    }
}

fn visited() -> Body<'static> {
    let kind = VisitKind::LoggedIn;
    Body::Interaction(Interaction::Visit { kind, sku: None, category: None, channel: None })
}
