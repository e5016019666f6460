//! The client of the schema registry and the decoder against a real registry.
//!
//! Needs Java 17 and Maven. Next: `tests/common/apicurio.rs`, which starts the registry.

#[path = "common/apicurio.rs"]
mod apicurio;

use apicurio::Apicurio;
use ebbflow::codec::decoder::{
    DecodeError, Decoder, Format, Framing, RecordType, SchemaId, decode_json_line,
};
use ebbflow::codec::encode::OutputFormat;
use ebbflow::codec::event_writer::EventEncoder;
use ebbflow::codec::schema::{CUSTOMERS, PURCHASES, SEGMENT_CHANGES};
use ebbflow::config::RegistryConfig;
use ebbflow::domain::event::Event;
use ebbflow::domain::money::{Currency, ExchangeRates};
use ebbflow::domain::refusal::Reason;
use ebbflow::registry::{Registry, RegistryError};
use std::time::Duration;

const ORDER: &[u8] = br#"{"event_id":"e-1","kind":"order_completed","customer_id":"c-1",
    "occurred_at":1000,"order_id":"o-1","amount_minor":5990,"currency":"EUR"}"#;

fn config(url: &str) -> RegistryConfig {
    RegistryConfig {
        url: url.to_owned(),
        user: None,
        password_file: None,
        timeout: Duration::from_secs(30),
    }
}

fn rates() -> ExchangeRates {
    ExchangeRates::new(Currency::parse("EUR").expect("a code"), Vec::new())
}

/// What a worker does with a record: decode, fetch the schema that is missing, decode again.
fn decode<'r>(
    decoder: &mut Decoder,
    registry: &Registry,
    record: &'r [u8],
) -> Result<Event<'r>, DecodeError> {
    match decoder.decode(record, &rates()) {
        Err(DecodeError::SchemaNeeded(id)) => match registry.fetch_schema(id) {
            Ok(schema) => {
                // An incompatible schema is remembered, and the refusal says why.
                decoder.add_schema(SchemaId::Registry(id), &schema.text).ok();
            }
            Err(error @ RegistryError::NotFound { .. }) => {
                decoder.mark_unknown(SchemaId::Registry(id), error.to_string());
            }
            Err(error) => panic!("{error}"),
        },
        other => return other,
    }
    decoder.decode(record, &rates())
}

/// One start of the registry serves all that is asked of it.
#[test]
fn a_real_registry_gives_schemas_to_the_decoder_and_takes_ours() {
    let running = Apicurio::shared();
    let registry = Registry::new(&config(&running.url)).expect("a client");

    let id = registry.register("purchases-value", PURCHASES.text).expect("registered");
    assert_eq!(registry.register("purchases-value", PURCHASES.text).expect("again"), id);
    for (subject, schema) in
        [("segment-changes-value", SEGMENT_CHANGES.text), ("customers-value", CUSTOMERS.text)]
    {
        registry.register(subject, schema).expect("registered");
    }

    let mut decoder = Decoder::new(RecordType::Purchases, Format::Avro(Framing::Confluent));
    let order = decode_json_line(ORDER, &rates()).expect("an order");
    let format = OutputFormat::AvroConfluent { schema_id: id };
    let mut record = Vec::new();
    EventEncoder::new(format, format).encode(&order, &mut record);
    assert_eq!(decode(&mut decoder, &registry, &record), Ok(order));

    let newer = PURCHASES.text.replacen(
        "\"fields\": [",
        r#""fields": [{"name": "shop", "type": "int", "default": 0},"#,
        1,
    );
    let newer_id = registry.register("purchases-value", &newer).expect("a compatible version");
    assert_ne!(newer_id, id);
    let mut newer_record = vec![0];
    newer_record.extend_from_slice(&newer_id.to_be_bytes());
    newer_record.push(14);
    newer_record.extend_from_slice(&record[5..]);
    let event = decode(&mut decoder, &registry, &newer_record).expect("a newer record");
    assert_eq!(event.event_id, "e-1");

    let renamed = PURCHASES.text.replace("\"event_id\"", "\"id\"");
    let renamed_id = registry.register("other-value", &renamed).expect("another subject");
    let mut incompatible = vec![0];
    incompatible.extend_from_slice(&renamed_id.to_be_bytes());
    let Err(DecodeError::Refused(refusal)) = decode(&mut decoder, &registry, &incompatible) else {
        panic!("an incompatible schema is refused");
    };
    assert_eq!(refusal.reason, Reason::IncompatibleSchema);
    assert!(refusal.detail.ends_with("lacks the required field \"event_id\""), "{refusal}");

    let unknown = [0, 0x7f, 0, 0, 1, 2];
    let Err(DecodeError::Refused(refusal)) = decode(&mut decoder, &registry, &unknown) else {
        panic!("an unknown id is refused");
    };
    assert_eq!(refusal.reason, Reason::UnknownSchema);
    assert!(refusal.detail.contains("40403"), "{refusal}");

    let url = running.url.clone();
    drop(running);
    let error = registry.fetch_schema(id).expect_err("the registry is down");
    assert!(matches!(error, RegistryError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains(&url), "{error}");
}
