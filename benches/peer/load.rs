//! The events of the comparison: made from a seed, the same for both programs.
//!
//! Orders of twenty days, so that nobody's recency ends in between, with 3 % partial refunds and
//! 1 % records that are sent twice. Next: `main.rs`, which has them read.

use crate::broker::TestBroker;
use ebbflow::codec::decoder::RecordType;
use ebbflow::codec::encode::OutputFormat;
use ebbflow::codec::event_writer::EventEncoder;
use ebbflow::domain::event::{Body, Event, Interaction, MessageKind, Purchase, VisitKind};
use ebbflow::domain::id::partition_of;
use ebbflow::domain::money::{Currency, Money};
use ebbflow::domain::time::{DAY_MS, Timestamp};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::borrow::Cow;
use std::time::Duration;

/// Partitions of every topic.
pub(crate) const PARTITIONS: u32 = 4;
/// Customers that events are drawn from.
pub(crate) const CUSTOMERS: u64 = 200_000;
const SPAN_MS: i64 = 20 * DAY_MS;
const CATEGORIES: [&str; 6] = ["shoes", "shirts", "home", "garden", "books", "toys"];
const CHANNELS: [&str; 3] = ["web", "app", "store"];

/// How customers are drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Draw {
    Uniform,
    /// Zipf's law with exponent 1.
    Zipf,
}

impl Draw {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
        }
    }
}

/// What is read, and how much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) draw: Draw,
    pub(crate) events: u64,
    /// Of ten events so many are purchases, the others interactions.
    pub(crate) purchases: u64,
}

/// What was written to the inputs.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Written {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// The names of the two inputs of a load.
pub(crate) fn topics(load: Load) -> [String; 2] {
    let name = format!("{}-{}", load.draw.name(), load.purchases);
    [format!("{name}-purchases"), format!("{name}-interactions")]
}

/// Steele, Lea, Flood 2014: `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.next()) * u128::from(bound);
        u64::try_from(product >> 64).expect("the upper half of a product")
    }

    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Cents, 40 euros in the middle, always the same for an order.
fn amount_minor(order: u64) -> i64 {
    let spread = Random(order).unit() + Random(!order).unit() + Random(order ^ 0xff).unit();
    let minor = (6.8 + spread).exp();
    #[expect(clippy::cast_possible_truncation, reason = "exp(9.8) is 18,000")]
    (minor as i64).max(1)
}

fn money(amount_minor: i64) -> Money {
    Money { amount_minor, currency: Currency::parse("EUR").expect("a code") }
}

/// Writes all records of a load.
pub(crate) fn write(broker: &TestBroker, load: Load, end: Timestamp) -> Written {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("linger.ms", "20")
        .set("batch.size", "262144")
        .set("queue.buffering.max.messages", "500000")
        .create()
        .expect("make a producer");
    let [purchases, interactions] = topics(load);
    let avro = OutputFormat::AvroSingleObject;
    let mut encoder = EventEncoder::new(avro, avro);
    let mut random = Random(42);
    let zipf = Zipf::new(load.draw);
    let mut last_orders = vec![0; usize::try_from(CUSTOMERS).expect("few")];
    let mut written = Written::default();
    let mut value = Vec::with_capacity(512);
    for index in 0..load.events {
        let customer = match &zipf {
            Some(zipf) => zipf.draw(random.unit()),
            None => random.below(CUSTOMERS),
        };
        let id = format!("c_{customer:019}");
        let event_id = format!("{:010x}{:016x}", index, mix(index));
        let jitter_ms = i64::try_from(random.below(6 * 3_600_000)).expect("six hours");
        let step = i64::try_from(index).expect("an index") * (SPAN_MS / 1_000);
        let elapsed_ms = step / i64::try_from(load.events).expect("a count") * 1_000;
        let occurred_at = end.plus_ms(elapsed_ms - SPAN_MS - jitter_ms);
        let order_id = format!("o-{index:012}");
        let last_order = &mut last_orders[usize::try_from(customer).expect("few")];
        let refunded_id = format!("o-{:012}", *last_order);
        let body = if random.below(10) >= load.purchases {
            Body::Interaction(interaction(&mut random))
        } else if random.below(100) < 3 && *last_order > 0 {
            let order = std::mem::take(last_order);
            Body::Purchase(Purchase::OrderRefunded {
                order_id: Cow::Borrowed(&refunded_id),
                refund_id: Cow::Borrowed(&event_id),
                amount: Some(money(amount_minor(order) / 4 + 1)),
            })
        } else {
            *last_order = index;
            Body::Purchase(Purchase::OrderCompleted {
                order_id: Cow::Borrowed(&order_id),
                amount: money(amount_minor(index)),
                channel: Some(Cow::Borrowed(CHANNELS[index_of(&mut random, CHANNELS.len())])),
                coupon: None,
                items: Vec::new(),
            })
        };
        let event = Event {
            event_id: Cow::Borrowed(&event_id),
            customer_id: Some(Cow::Borrowed(&id)),
            anonymous_id: None,
            account_id: None,
            occurred_at,
            source: Some(Cow::Borrowed("shop")),
            body,
        };
        let topic = match encoder.encode(&event, &mut value) {
            RecordType::Purchases => &purchases,
            RecordType::Interactions => &interactions,
        };
        let times = if random.below(100) == 0 { 2 } else { 1 };
        for _ in 0..times {
            send(&producer, topic, &id, &value);
            written.records += 1;
            written.bytes += (id.len() + value.len()) as u64;
        }
    }
    producer.flush(Duration::from_secs(120)).expect("all is delivered");
    written
}

/// Writes an order more into each partition; how many.
pub(crate) fn write_more(broker: &TestBroker, load: Load, at: Timestamp) -> u64 {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .create()
        .expect("make a producer");
    let avro = OutputFormat::AvroSingleObject;
    let mut encoder = EventEncoder::new(avro, avro);
    let mut value = Vec::new();
    for partition in 0..PARTITIONS {
        let mut ids = (0..CUSTOMERS).map(|customer| format!("c_{customer:019}"));
        let id = ids.find(|id| partition_of(id, PARTITIONS) == partition).expect("a customer");
        let order_id = format!("more-{partition}");
        let event = Event {
            event_id: Cow::Borrowed(&order_id),
            customer_id: Some(Cow::Borrowed(&id)),
            anonymous_id: None,
            account_id: None,
            occurred_at: at,
            source: None,
            body: Body::Purchase(Purchase::OrderCompleted {
                order_id: Cow::Borrowed(&order_id),
                amount: money(1_000),
                channel: None,
                coupon: None,
                items: Vec::new(),
            }),
        };
        encoder.encode(&event, &mut value);
        send(&producer, &topics(load)[0], &id, &value);
    }
    producer.flush(Duration::from_secs(10)).expect("all is delivered");
    u64::from(PARTITIONS)
}

fn index_of(random: &mut Random, count: usize) -> usize {
    usize::try_from(random.below(count as u64)).expect("a small number")
}

/// What people do around ten purchases.
fn interaction(random: &mut Random) -> Interaction<'static> {
    let kind = match random.below(100) {
        0..40 => VisitKind::PageViewed,
        40..70 => VisitKind::ProductViewed,
        70..78 => VisitKind::ProductsSearched,
        78..84 => VisitKind::ProductAdded,
        84..87 => VisitKind::CheckoutStarted,
        roll => {
            let kind = if roll < 97 { MessageKind::Delivered } else { MessageKind::Clicked };
            let campaign = Some(Cow::Borrowed("autumn"));
            return Interaction::Message { kind, campaign, channel: Some(Cow::Borrowed("email")) };
        }
    };
    Interaction::Visit {
        kind,
        sku: Some(Cow::Borrowed("SKU-104711")),
        category: Some(Cow::Borrowed(CATEGORIES[index_of(random, CATEGORIES.len())])),
        channel: Some(Cow::Borrowed(CHANNELS[index_of(random, CHANNELS.len())])),
    }
}

fn send(producer: &BaseProducer, topic: &str, key: &str, value: &[u8]) {
    let partition = i32::try_from(partition_of(key, PARTITIONS)).expect("few partitions");
    loop {
        let record = BaseRecord::to(topic).partition(partition).key(key).payload(value);
        match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                producer.poll(Duration::from_millis(1));
            }
            Err((error, _)) => panic!("could not send: {error}"),
        }
    }
}

/// The cumulated shares of the customers.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(draw: Draw) -> Option<Self> {
        if draw == Draw::Uniform {
            return None;
        }
        let mut sum = 0.0;
        #[expect(clippy::cast_precision_loss, reason = "few customers")]
        let mut shares: Vec<f64> = (1..=CUSTOMERS)
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum
            })
            .collect();
        shares.iter_mut().for_each(|share| *share /= sum);
        Some(Self(shares))
    }

    fn draw(&self, unit: f64) -> u64 {
        let rank = self.0.partition_point(|share| *share < unit);
        (rank as u64).min(CUSTOMERS - 1)
    }
}
