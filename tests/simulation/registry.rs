//! The schema registry: two ids, and an outage.
//!
//! Next: `stage.rs`, which says when it is away.

use ebbflow::codec::decoder::{Decoder, Format, Framing, RecordType, SchemaId};
use ebbflow::codec::encode::OutputFormat;
use ebbflow::codec::event_writer::EventEncoder;
use ebbflow::codec::schema::{INTERACTIONS, PURCHASES};
use ebbflow::runtime::settings::SchemaAnswer;

/// By input.
pub(crate) const TYPES: [RecordType; 2] = [RecordType::Interactions, RecordType::Purchases];
const IDS: [u32; 2] = [7, 8];

fn schema(id: u32) -> Option<&'static str> {
    let texts = IDS.into_iter().zip([INTERACTIONS.text, PURCHASES.text]);
    texts.into_iter().find(|(known, _)| *known == id).map(|(_, text)| text)
}

pub(crate) fn answer(id: u32, up: bool) -> SchemaAnswer {
    match schema(id) {
        _ if !up => SchemaAnswer::Unavailable("the registry is down".to_owned()),
        Some(text) => SchemaAnswer::Schema(text.to_owned()),
        None => SchemaAnswer::Unknown(format!("schema {id} does not exist")),
    }
}

pub(crate) const fn format(avro: bool) -> Format {
    if avro { Format::Avro(Framing::Confluent) } else { Format::Json }
}

pub(crate) fn encoder(avro: bool) -> EventEncoder {
    let [interactions, purchases] = IDS.map(|schema_id| match avro {
        true => OutputFormat::AvroConfluent { schema_id },
        false => OutputFormat::Json,
    });
    EventEncoder::new(purchases, interactions)
}

/// Decoders by input that know all schemas.
pub(crate) fn decoders(avro: bool) -> [Decoder; 2] {
    TYPES.map(|kind| {
        let mut decoder = Decoder::new(kind, format(avro));
        for id in IDS.into_iter().filter(|_| avro) {
            // The other type's schema cannot be read as this one: its records are refused.
            decoder.add_schema(SchemaId::Registry(id), schema(id).unwrap()).ok();
        }
        decoder
    })
}
