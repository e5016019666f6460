//! Eighteen months of a shop's events, the same for the same seed: duplicates, refunds before and
//! after their orders, late events, records that cannot be read.
//!
//! Kafka and `ebbflow replay` get the same events in the same order of every log.
//! Next: `outputs.rs`.

use crate::program::{Application, PARTITIONS};
use ebbflow::codec::decoder::decode_json_line;
use ebbflow::codec::encode::OutputFormat;
use ebbflow::codec::event_writer::EventEncoder;
use ebbflow::domain::id::partition_of;
use ebbflow::domain::money::{Currency, ExchangeRates};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

/// 2024-01-01.
const FIRST_MS: i64 = 1_704_067_200_000;
const DAY_MS: i64 = 86_400_000;
const DAYS: i64 = 547;
/// Long after the last event: what is due by then has happened.
pub(crate) const ADVANCE_TO: &str = "2026-04-30T00:00:00Z";
const TIMEOUT: Duration = Duration::from_secs(60);

/// Numbers that look random and follow from the seed (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// At least 0, below `limit`.
    pub(crate) fn below(&mut self, limit: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let number = i64::try_from((z ^ (z >> 31)) >> 1).expect("63 bits");
        number % limit
    }

    fn percent(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }
}

/// A record of an input topic.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) topic: &'static str,
    pub(crate) customer: String,
    pub(crate) text: String,
    pub(crate) readable: bool,
}

impl Line {
    pub(crate) fn partition(&self) -> u32 {
        partition_of(&self.customer, PARTITIONS)
    }
}

/// Events in the order in which they are written.
pub(crate) struct Workload {
    pub(crate) lines: Vec<Line>,
}

struct Generator {
    random: Random,
    /// When it is written, in event time; its number; the record.
    lines: Vec<(i64, Line)>,
}

impl Workload {
    /// About so many events of a twentieth to a fortieth as many customers.
    pub(crate) fn new(seed: u64, event_count: usize) -> Self {
        Self::of(seed, event_count, event_count / 40)
    }

    /// About so many events of at most so many customers.
    pub(crate) fn of(seed: u64, event_count: usize, customers: usize) -> Self {
        let mut generator = Generator { random: Random(seed), lines: Vec::new() };
        let customers = i64::try_from(customers).expect("few").max(1);
        while generator.lines.len() < event_count * 97 / 100 {
            generator.customer_does_something(customers);
        }
        generator.repeat_some();
        generator.break_some();
        // Stable: what is written at the same time keeps its order.
        generator.lines.sort_by_key(|(at_ms, _)| *at_ms);
        Self { lines: generator.lines.into_iter().map(|(_, line)| line).collect() }
    }

    /// A file of all records for `ebbflow replay`.
    pub(crate) fn write_file(&self, name: &str) -> PathBuf {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("workload-{name}-{}.jsonl", std::process::id()));
        let text: String = self.lines.iter().flat_map(|line| [line.text.as_str(), "\n"]).collect();
        std::fs::write(&path, text).expect("write the workload");
        path
    }

    /// Where the records that cannot be read are: topic, partition, offset; if all are written to
    /// empty topics outside of transactions.
    pub(crate) fn unreadable(&self, application: &Application) -> Vec<(String, u32, i64)> {
        let mut places = Vec::new();
        let mut next = std::collections::BTreeMap::<(&str, u32), i64>::new();
        for line in &self.lines {
            let offset = next.entry((line.topic, line.partition())).or_default();
            if !line.readable {
                places.push((application.topic(line.topic), line.partition(), *offset));
            }
            *offset += 1;
        }
        places.sort();
        places
    }

    /// Writes all records.
    pub(crate) fn produce(&self, application: &Application, formats: Formats) {
        let producer = producer(application, None);
        self.send(application, &producer, 0..self.lines.len(), formats);
        producer.flush(TIMEOUT).expect("flush");
    }

    /// Writes a part of the records in a transaction that the caller ends: until then nobody
    /// reads them, and everybody sees that they are there.
    pub(crate) fn hold(&self, application: &Application, part: Range<usize>) -> BaseProducer {
        let id = format!("{}-{}", application.name(), part.start);
        let producer = producer(application, Some(&id));
        producer.init_transactions(TIMEOUT).expect("init");
        producer.begin_transaction().expect("begin");
        self.send(application, &producer, part, Formats::JSON);
        producer.flush(TIMEOUT).expect("flush");
        producer
    }

    /// Hands a part of the records to a producer, in whatever transaction it has.
    pub(crate) fn send(
        &self,
        application: &Application,
        producer: &BaseProducer,
        part: Range<usize>,
        formats: Formats,
    ) {
        let mut encoder = EventEncoder::new(formats.purchases, formats.interactions);
        let rates = rates();
        let mut value = Vec::new();
        for line in &self.lines[part] {
            match decode_json_line(line.text.as_bytes(), &rates) {
                Ok(event) if line.readable && formats.purchases != OutputFormat::Json => {
                    encoder.encode(&event, &mut value);
                }
                _ => line.text.as_bytes().clone_into(&mut value),
            }
            let topic = application.topic(line.topic);
            let partition = i32::try_from(line.partition()).expect("few partitions");
            let record =
                BaseRecord::to(&topic).partition(partition).key(&line.customer).payload(&value);
            producer.send(record).map_err(|(error, _)| error).expect("send");
            producer.poll(Duration::ZERO);
        }
    }
}

/// How the two inputs are encoded.
#[derive(Clone, Copy)]
pub(crate) struct Formats {
    pub(crate) purchases: OutputFormat,
    pub(crate) interactions: OutputFormat,
}

impl Formats {
    pub(crate) const JSON: Self =
        Self { purchases: OutputFormat::Json, interactions: OutputFormat::Json };
}

/// Everything is in the base currency.
pub(crate) fn rates() -> ExchangeRates {
    ExchangeRates::new(Currency::parse("EUR").expect("a code"), Vec::new())
}

fn producer(application: &Application, transactional_id: Option<&str>) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", application.bootstrap());
    // Small batches, so that a reader with a small fetch size gets little at once.
    config.set("batch.num.messages", "10").set("linger.ms", "5").set("enable.idempotence", "true");
    if let Some(id) = transactional_id {
        config.set("transactional.id", id).set("transaction.timeout.ms", "300000");
    }
    config.create().expect("make a producer")
}

impl Generator {
    fn customer_does_something(&mut self, customers: i64) {
        // The product of two is small more often than large: a few do most.
        let number = self.random.below(customers) * self.random.below(customers) / customers;
        let customer = format!("c-{number:04}");
        let at_ms = FIRST_MS + self.random.below(DAYS * DAY_MS);
        match self.random.below(100) {
            0..40 => self.order(&customer, at_ms),
            40..44 => self.subscription(&customer, at_ms),
            _ => self.interaction(&customer, at_ms),
        }
    }

    fn order(&mut self, customer: &str, at_ms: i64) {
        let order_id = format!("o-{}", self.lines.len());
        let amount = 500 + self.random.below(30_000);
        // Some orders are written so late that what follows them comes first.
        let delay_ms = if self.random.percent(4) { 20 * DAY_MS } else { self.delay_ms() };
        let money = json!({"order_id": order_id, "amount_minor": amount, "currency": "EUR"});
        self.write("purchases", "order_completed", customer, at_ms, delay_ms, &money);
        let later_ms = at_ms + self.random.below(15 * DAY_MS);
        let (delay_ms, part) = (self.delay_ms(), self.random.below(amount + 200));
        match self.random.below(100) {
            0..8 => {
                let own = json!({"order_id": order_id, "refund_id": format!("{order_id}-r"),
                                 "amount_minor": part, "currency": "EUR"});
                self.write("purchases", "order_refunded", customer, later_ms, delay_ms, &own);
            }
            8..11 => {
                let own = json!({"order_id": order_id});
                self.write("purchases", "order_refunded", customer, later_ms, delay_ms, &own);
            }
            11..15 => {
                let own = json!({"order_id": order_id, "amount_minor": part, "currency": "EUR"});
                self.write("purchases", "order_updated", customer, later_ms, delay_ms, &own);
            }
            15..18 => {
                let own = json!({"order_id": order_id});
                self.write("purchases", "order_cancelled", customer, later_ms, delay_ms, &own);
            }
            18..22 => {
                let own = json!({"order_id": order_id});
                self.write("purchases", "order_paid", customer, at_ms, 0, &own);
                self.write("purchases", "order_fulfilled", customer, later_ms, delay_ms, &own);
            }
            _ => {}
        }
    }

    fn subscription(&mut self, customer: &str, at_ms: i64) {
        let id = format!("s-{}", self.lines.len());
        let own = json!({"subscription_id": id, "plan": "basic", "amount_minor": 990,
                         "currency": "EUR", "term_days": 30});
        self.write("purchases", "subscription_started", customer, at_ms, 0, &own);
        let terms = self.random.below(4);
        for term in 1..=terms {
            let due_ms = at_ms + term * 30 * DAY_MS;
            let delay_ms = self.delay_ms();
            self.write("purchases", "subscription_renewed", customer, due_ms, delay_ms, &own);
        }
        let later_ms = at_ms + terms * 30 * DAY_MS + 5 * DAY_MS;
        let (kind, own) = match self.random.below(6) {
            0 => ("subscription_cancelled", json!({"subscription_id": id})),
            1 => ("subscription_ended", json!({"subscription_id": id})),
            2 => (
                "subscription_changed",
                json!({"subscription_id": id, "plan": "plus", "amount_minor": 1990,
                       "currency": "EUR", "term_days": 30}),
            ),
            _ => return,
        };
        self.write("purchases", kind, customer, later_ms, 0, &own);
    }

    fn interaction(&mut self, customer: &str, at_ms: i64) {
        let (kind, own) = match self.random.below(36) {
            0..8 => ("product_viewed", json!({"sku": "s-1", "category": "shoes"})),
            8..10 => ("product_added", json!({"sku": "s-1"})),
            10 => ("checkout_started", json!({})),
            11 => ("survey_answered", json!({"survey": "nps", "score": self.random.below(11)})),
            12 => ("product_reviewed", json!({"score": 1 + self.random.below(5), "sku": "s-1"})),
            13 => ("shared", json!({"sku": "s-1"})),
            14 => ("message_opened", json!({"campaign": "spring", "channel": "email"})),
            20..36 => self.said(),
            _ => ("page_viewed", json!({"channel": "web"})),
        };
        let delay_ms = self.delay_ms();
        self.write("interactions", kind, customer, at_ms, delay_ms, &own);
    }

    /// What customers say, are and cost; and the rarer things that they do.
    fn said(&mut self) -> (&'static str, Value) {
        let pick = |random: &mut Random, names: &[&'static str]| {
            let count = i64::try_from(names.len()).expect("few");
            names[usize::try_from(random.below(count)).expect("small")]
        };
        let random = &mut self.random;
        match random.below(14) {
            0 => {
                let kinds = ["message_sent", "message_delivered", "message_clicked"];
                let channel = pick(random, &["email", "letter"]);
                (pick(random, &kinds), json!({"campaign": "spring", "channel": channel}))
            }
            1 => ("unsubscribed", json!({"channel": "email"})),
            2 => ("support_contacted", json!({"minutes": random.below(60), "channel": "phone"})),
            3 => ("referral_sent", json!({"referred_customer_id": "c-new"})),
            4 => ("referral_accepted", json!({"referred_customer_id": "c-new"})),
            5 => {
                let survey = pick(random, &["csat", "ces", "attention", "brand"]);
                let score = 1 + random.below(5);
                ("survey_answered", json!({"survey": survey, "score": score, "reason": "price"}))
            }
            6 => {
                let survey = pick(random, &["benefit:quality", "cost:price", "cost:effort"]);
                ("survey_answered", json!({"survey": survey, "score": random.below(11)}))
            }
            7 => ("survey_answered", json!({"survey": "purchase_reason", "reason": "taste"})),
            8 => {
                let cost = pick(random, &["marketing", "service", "acquisition"]);
                let amount = random.below(900);
                ("cost_recorded", json!({"cost": cost, "amount_minor": amount, "currency": "EUR"}))
            }
            9 => {
                let elements = [
                    "metrics",
                    "economic_buyer",
                    "decision_criteria",
                    "decision_process",
                    "identify_pain",
                    "champion",
                ];
                let (element, score) = (pick(random, &elements), random.below(4));
                let own = json!({"element": element, "score": score, "evidence": "a call"});
                ("qualification_updated", own)
            }
            10 => {
                let outcome = pick(random, &["won", "lost", "disqualified"]);
                ("qualification_updated", json!({"outcome": outcome}))
            }
            11 => {
                let region = pick(random, &["north", "south"]);
                ("profile_updated", json!({"traits": {"region": region}}))
            }
            12 => {
                let permitted = random.percent(70);
                ("consent_changed", json!({"purposes": {"marketing:email": permitted}}))
            }
            _ => {
                let kinds = [
                    "products_searched",
                    "product_removed",
                    "cart_viewed",
                    "review_read",
                    "signed_up",
                    "logged_in",
                    "usage_recorded",
                    "waved",
                ];
                (pick(random, &kinds), json!({}))
            }
        }
    }

    /// How much later than it happened an event is written.
    fn delay_ms(&mut self) -> i64 {
        if self.random.percent(7) { self.random.below(20 * DAY_MS) } else { 0 }
    }

    fn write(
        &mut self,
        topic: &'static str,
        kind: &str,
        customer: &str,
        at_ms: i64,
        delay_ms: i64,
        own: &Value,
    ) {
        let mut event = json!({"event_id": format!("e-{}", self.lines.len()), "kind": kind,
                               "customer_id": customer, "occurred_at": at_ms});
        let fields = event.as_object_mut().expect("an object");
        fields.extend(own.as_object().expect("an object").clone());
        let line =
            Line { topic, customer: customer.to_owned(), text: event.to_string(), readable: true };
        self.lines.push((at_ms + delay_ms, line));
    }

    /// One in fifty is written again, some days later.
    fn repeat_some(&mut self) {
        for index in 0..self.lines.len() {
            if self.random.percent(2) {
                let (at_ms, line) = self.lines[index].clone();
                let again_ms = at_ms + self.random.below(10 * DAY_MS);
                self.lines.push((again_ms, line));
            }
        }
    }

    /// One in five hundred is followed by something that cannot be read.
    fn break_some(&mut self) {
        for index in 0..self.lines.len() {
            if self.random.below(500) == 0 {
                let (at_ms, mut line) = self.lines[index].clone();
                line.text.truncate(line.text.len() / 2);
                line.readable = false;
                self.lines.push((at_ms, line));
            }
        }
    }
}
