//! Records that cannot be read become dead letters, and the flow goes on.
//!
//! Next: `refusals.rs`.

use crate::apicurio::Apicurio;
use crate::crashes::registered;
use crate::outputs::{committed_changes, header, string};
use crate::program::{Application, PARTITIONS, poll_for};
use crate::records::{ReadRecord, read_committed};
use crate::workload::{ADVANCE_TO, rates};
use ebbflow::codec::decoder::decode_json_line;
use ebbflow::codec::event_writer::EventEncoder;
use ebbflow::domain::id::partition_of;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// A record as it is sent: topic, key, value, partition if not the key's own.
pub(crate) struct Sent {
    pub(crate) topic: &'static str,
    pub(crate) key: &'static str,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) misplaced: bool,
}

pub(crate) fn sent(topic: &'static str, key: &'static str, value: impl Into<Vec<u8>>) -> Sent {
    Sent { topic, key, value: Some(value.into()), misplaced: false }
}

fn partition(sent: &Sent) -> u32 {
    (partition_of(sent.key, PARTITIONS) + u32::from(sent.misplaced)) % PARTITIONS
}

pub(crate) fn produce(application: &Application, records: &[Sent]) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", application.bootstrap())
        .set("message.max.bytes", "2000000")
        .create()
        .expect("make a producer");
    for sent in records {
        let topic = application.topic(sent.topic);
        let place = i32::try_from(partition(sent)).expect("few partitions");
        let mut record = BaseRecord::<str, [u8]>::to(&topic).partition(place).key(sent.key);
        if let Some(value) = &sent.value {
            record = record.payload(value);
        }
        producer.send(record).map_err(|(error, _)| error).expect("send");
    }
    producer.flush(Duration::from_secs(60)).expect("flush");
    // Delivered or not: what did not arrive would be missing from the dead letters.
    assert_eq!(producer.in_flight_count(), 0);
}

pub(crate) fn order(id: &str, customer: &str, at: &str, changes: &Value) -> Vec<u8> {
    let mut order = json!({"event_id": id, "kind": "order_completed", "customer_id": customer,
        "occurred_at": at, "order_id": id, "amount_minor": 5990, "currency": "EUR"});
    let fields = order.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        fields.insert(name.clone(), value.clone());
        if value.is_null() {
            fields.remove(name);
        }
    }
    order.to_string().into_bytes()
}

pub(crate) const AT: &str = "2026-03-01T09:30:00Z";

/// What is refused, and the stable code of the reason.
fn refused() -> Vec<(&'static str, Sent)> {
    let bad = |changes: Value| sent("purchases", "c-bad", order("e-bad", "c-bad", AT, &changes));
    let mut invalid_utf8 = order("e-bad", "c-bad", AT, &json!({"coupon": "ZZZ"}));
    let place = invalid_utf8.windows(3).position(|bytes| bytes == b"ZZZ").expect("it is there");
    invalid_utf8[place] = 0xff;
    let elsewhere =
        Sent { misplaced: true, ..sent("purchases", "c-1", order("e-m", "c-1", AT, &json!({}))) };
    vec![
        ("tombstone", Sent { value: None, ..bad(json!({})) }),
        ("undecodable", sent("purchases", "c-bad", &b"{\"event_id\":\"e-"[..])),
        ("undecodable", sent("interactions", "c-bad", &[0xff_u8, 0xfe, 0, 1][..])),
        ("undecodable", sent("purchases", "c-bad", invalid_utf8)),
        ("wrong_type", bad(json!({"amount_minor": "many"}))),
        ("missing_field", bad(json!({"order_id": null}))),
        ("unknown_kind", bad(json!({"kind": "order_compelted"}))),
        ("invalid_id", bad(json!({"event_id": ""}))),
        ("invalid_id", bad(json!({"customer_id": "x".repeat(1000)}))),
        ("invalid_id", bad(json!({"customer_id": "account:1"}))),
        ("negative_amount", bad(json!({"amount_minor": -1}))),
        ("unknown_currency", bad(json!({"currency": "USD"}))),
        ("too_far_ahead", bad(json!({"occurred_at": "2500-01-01T00:00:00Z"}))),
        ("misrouted", elsewhere),
    ]
}

/// The dead letter of the `number`-th record of a log.
fn letter<'a>(
    letters: &'a [ReadRecord],
    topic: &str,
    partition: u32,
    offset: usize,
) -> &'a ReadRecord {
    let found = letters.iter().find(|letter| {
        header(letter, "source_topic") == topic
            && header(letter, "source_partition") == partition.to_string()
            && header(letter, "source_offset") == offset.to_string()
    });
    found.unwrap_or_else(|| panic!("no dead letter of {topic} {partition} {offset}"))
}

#[test]
fn what_cannot_be_read_is_a_dead_letter_and_the_rest_goes_on() {
    let application = Application::new("letters", &[]);
    let refused = refused();
    let (reasons, mut records): (Vec<_>, Vec<_>) = refused.into_iter().unzip();
    // What is odd and yet fine comes after everything that is refused, in the same logs.
    let refund = json!({"kind": "order_refunded", "refund_id": "r", "order_id": "e-good",
                        "amount_minor": 1_000_000});
    records.extend([
        sent(
            "purchases",
            "c-bad",
            order("e-good", "c-bad", "1970-01-01T00:00:00.001Z", &json!({})),
        ),
        sent("purchases", "c-bad", order("e-refund", "c-bad", AT, &refund)),
        sent(
            "purchases",
            "c-1",
            order("e-large", "c-1", AT, &json!({"coupon": "x".repeat(1_000_000)})),
        ),
    ]);
    produce(&application, &records);
    let (code, log) = application.run(&["--until-end", "--advance-to", ADVANCE_TO]);
    assert_eq!(code, 0, "{log}");
    let mut told: BTreeSet<String> = records
        .iter()
        .zip(&reasons)
        .map(|(sent, reason)| format!("topic={:?} reason={reason:?} count=", sent.topic))
        .collect();
    told.retain(|line| log.matches(line.as_str()).count() != 1);
    assert!(told.is_empty(), "not told once each: {told:?}\n{log}");
    assert!(!log.contains("c-bad"), "a customer is in the log: {log}");

    let letters = read_committed(application.bootstrap(), &application.topic("dead-letters"));
    let mut next = std::collections::BTreeMap::<(&str, u32), usize>::new();
    for (record, reason) in records.iter().zip(&reasons) {
        let place = partition(record);
        let offset = next.entry((record.topic, place)).or_default();
        let letter = letter(&letters, &application.topic(record.topic), place, *offset);
        assert_eq!(header(letter, "reason"), *reason, "{}", header(letter, "detail"));
        assert_ne!(header(letter, "detail"), "");
        assert_eq!(letter.key.as_deref(), Some(record.key.as_bytes()));
        assert_eq!(letter.value, record.value);
        assert_eq!(letter.partition.cast_unsigned(), place);
        assert_eq!(header(letter, "truncated"), "");
        *offset += 1;
    }
    assert_eq!(letters.len(), reasons.len());
    let changes = committed_changes(&application);
    let customers: BTreeSet<String> =
        changes.iter().map(|change| string(&change["customer_id"])).collect();
    assert_eq!(customers, ["c-1".to_owned(), "c-bad".to_owned()].into());
    let first = changes.iter().find(|change| change["customer_id"] == "c-bad").expect("a change");
    assert_eq!(first["occurred_at"], "1970-01-01T00:00:00.001Z");
    let last = changes.iter().rfind(|change| change["customer_id"] == "c-bad").expect("a change");
    assert_eq!(last["facts"]["net_minor"], 0);
}

#[test]
fn dead_letter_that_is_too_large_is_cut_and_says_so() {
    let application = Application::new("large-letter", &["dead_letters.max_bytes=1000"]);
    let large = vec![b'x'; 1_000_000];
    let good = order("e-1", "c-1", AT, &json!({}));
    produce(&application, &[sent("purchases", "c-1", large), sent("purchases", "c-1", good)]);
    application.run_to_the_end(ADVANCE_TO);
    let letters = read_committed(application.bootstrap(), &application.topic("dead-letters"));
    let [letter] = &letters[..] else { panic!("one dead letter, not {}", letters.len()) };
    assert_eq!(header(letter, "truncated"), "1000000");
    assert_eq!(letter.value.as_deref(), Some(&vec![b'x'; 997][..]));
    assert_eq!(letter.key.as_deref(), Some(&b"c-1"[..]));
    assert!(!committed_changes(&application).is_empty());
}

/// Lowers what the dead-letter topic takes.
fn limit_letters(application: &Application, bytes: &str) {
    let topic = application.topic("dead-letters");
    crate::admin::set_topic(application, &topic, "max.message.bytes", bytes);
    // The broker takes a moment to know it.
    let told = poll_for(|| (!application.output("topics", &[]).status.success()).then_some(()));
    assert_eq!(told, Some(()));
}

#[test]
fn dead_letter_topic_that_takes_less_than_is_written_is_refused_with_the_way_out() {
    let application = Application::new("small-letters", &[]);
    limit_letters(&application, "50000");
    let (code, log) = application.run(&["--until-end"]);
    assert_eq!(code, 2, "{log}");
    assert!(log.contains("max.message.bytes = 50000"), "{log}");
    assert!(log.contains("dead_letters.max_bytes to at most 45904"), "{log}");
    assert!(log.contains("batch.size"), "{log}");

    // The way out, with a large letter and many small ones at once.
    let application = application
        .with(&["dead_letters.max_bytes=45904", "kafka.properties.batch.size=50000"])
        .with(&["kafka.linger=100ms"]);
    let mut records = vec![sent("purchases", "c-1", vec![b'x'; 200_000])];
    records.extend((0..200).map(|_| sent("purchases", "c-1", vec![b'x'; 2_000])));
    produce(&application, &records);
    application.run_to_the_end(ADVANCE_TO);
    let letters = read_committed(application.bootstrap(), &application.topic("dead-letters"));
    assert_eq!(letters.len(), records.len());
    assert_eq!(letters[0].value.as_ref().map(Vec::len), Some(45_901));
    assert_eq!(header(&letters[0], "truncated"), "200000");
}

#[test]
fn dead_letter_that_the_topic_refuses_ends_the_program_with_the_way_out() {
    let application = Application::new("refused-letter", &[]);
    let mut program = application.start(&[]);
    program.wait_until_ready();
    limit_letters(&application, "50000");
    produce(&application, &[sent("purchases", "c-1", vec![b'x'; 200_000])]);
    assert_eq!(program.wait_for_end().code(), Some(1));
    let log = program.log();
    assert!(log.contains("dead_letters.max_bytes"), "{log}");
    assert!(log.matches("its records are read again").count() <= 1, "{log}");
    let (code, log) = application.run(&[]);
    assert_eq!(code, 2, "{log}");
    assert!(log.contains("max.message.bytes = 50000"), "{log}");
}

#[test]
fn avro_that_cannot_be_read_is_a_dead_letter() {
    let running = Apicurio::shared();
    let url = format!("registry.url={}", running.url);
    let settings = ["encoding.purchases=avro", "encoding.interactions=avro", &url];
    let application = Application::new("avro-letters", &settings);
    let formats = registered(&running.url, &application);
    let mut encoder = EventEncoder::new(formats.purchases, formats.interactions);
    let mut good = Vec::new();
    let json = order("e-1", "c-1", AT, &json!({}));
    encoder.encode(&decode_json_line(&json, &rates()).expect("an order"), &mut good);
    let truncated = good[..good.len() / 2].to_vec();
    let mut unknown = good.clone();
    unknown[1..5].copy_from_slice(&0x7f00_0001_u32.to_be_bytes());
    produce(
        &application,
        &[
            sent("purchases", "c-1", truncated),
            sent("purchases", "c-1", unknown),
            sent("purchases", "c-1", json),
            sent("purchases", "c-1", good),
        ],
    );
    application.run_to_the_end(ADVANCE_TO);
    let letters = read_committed(application.bootstrap(), &application.topic("dead-letters"));
    let reasons: Vec<String> = letters.iter().map(|letter| header(letter, "reason")).collect();
    assert_eq!(reasons, ["undecodable", "unknown_schema", "undecodable"]);
    assert!(!committed_changes(&application).is_empty());
}
