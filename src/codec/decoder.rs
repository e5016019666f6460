//! Records of an input topic to events: JSON, or Avro with the schema that the writer used.
//!
//! Never fetches a schema: it says which one it needs and is given it. What cannot be read is a
//! refusal, never a panic. Next: `json_input.rs`, `validate`.

use crate::codec::json_input;
use crate::codec::plan::Plan;
use crate::codec::raw::{RawInteraction, RawItem, RawPurchase};
use crate::codec::schema::{self, OwnSchema};
use crate::codec::validate;
use crate::domain::event::Event;
use crate::domain::money::ExchangeRates;
use crate::domain::refusal::{Reason, Refusal};
use serde::Deserialize;
use serde_avro_fast::Schema as FastSchema;
use serde_avro_fast::de::read::SliceRead;
use serde_avro_fast::de::{DeserializerConfig, DeserializerState};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

/// Unknown schema ids that are remembered; past it all of them are asked for anew.
const MAX_UNKNOWN_SCHEMAS: usize = 1024;

/// Which of the two record types a topic holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are those of the topics")]
pub enum RecordType {
    Purchases,
    Interactions,
}

/// How records of a topic are encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// A JSON object.
    Json,
    /// Avro binary behind a header that names its schema.
    Avro(Framing),
}

/// The header in front of Avro binary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// Confluent wire format: a zero byte and the registry's id, big-endian.
    Confluent,
    /// Single-object encoding: C3 01 and the CRC-64-AVRO of the schema, little-endian.
    SingleObject,
}

/// Names a writer's schema.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SchemaId {
    /// Id in the registry.
    Registry(u32),
    /// CRC-64-AVRO fingerprint.
    Fingerprint(u64),
}

impl fmt::Display for SchemaId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(id) => write!(formatter, "id {id}"),
            Self::Fingerprint(fingerprint) => write!(formatter, "fingerprint {fingerprint:016x}"),
        }
    }
}

/// Why a record is no event (yet).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// The record is a dead letter.
    Refused(Refusal),
    /// The registry's schema of this id has to be fetched and given to
    /// [`Decoder::add_schema`] (or [`Decoder::mark_unknown`]) first; then decode again.
    SchemaNeeded(u32),
}

impl From<Refusal> for DecodeError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Decodes the records of one input topic.
#[derive(Debug)]
pub struct Decoder {
    record_type: RecordType,
    format: Format,
    schemas: BTreeMap<SchemaId, WriterSchema>,
    unknown: BTreeMap<SchemaId, String>,
}

/// A writer's schema that was looked at.
#[derive(Debug)]
enum WriterSchema {
    /// With the plan by which most of its records are read.
    Readable(FastSchema, Option<Plan>),
    Incompatible(String),
}

impl Decoder {
    /// A decoder that knows the project's own schema by its fingerprint, where records name it so,
    /// and no other.
    #[must_use]
    pub fn new(record_type: RecordType, format: Format) -> Self {
        let mut decoder =
            Self { record_type, format, schemas: BTreeMap::new(), unknown: BTreeMap::new() };
        // No other format names a schema by its fingerprint, and a schema takes long to parse.
        if format == Format::Avro(Framing::SingleObject) {
            let own = decoder.own_schema();
            let known = decoder.readable(own.text).unwrap_or_else(WriterSchema::Incompatible);
            decoder.schemas.insert(SchemaId::Fingerprint(own.fingerprint()), known);
        }
        decoder
    }

    /// The event in a record's value.
    ///
    /// # Errors
    /// A refusal, or the id of the schema that is needed first.
    pub fn decode<'r>(
        &self,
        value: &'r [u8],
        rates: &ExchangeRates,
    ) -> Result<Event<'r>, DecodeError> {
        let framing = match self.format {
            Format::Json => {
                return Ok(match self.record_type {
                    RecordType::Purchases => json_input::purchase(value, rates)?,
                    RecordType::Interactions => json_input::interaction(value, rates)?,
                });
            }
            Format::Avro(framing) => framing,
        };
        let (id, datum) = split_header(framing, value)?;
        let (schema, plan) = self.schema(id)?;
        Ok(match self.record_type {
            RecordType::Purchases => {
                validate::purchase(read_datum::<RawPurchase<'r>>(datum, schema, plan)?, rates)?
            }
            RecordType::Interactions => {
                let raw = read_datum::<RawInteraction<'r>>(datum, schema, plan)?;
                validate::interaction(raw, rates)?
            }
        })
    }

    /// Learns a writer's schema; one that cannot be read as ours is remembered as such, and its
    /// records are refused.
    ///
    /// # Errors
    /// Why records of this schema cannot be read.
    pub fn add_schema(&mut self, id: SchemaId, json: &str) -> Result<(), String> {
        self.unknown.remove(&id);
        let readable = self.readable(json);
        let result = readable.as_ref().map(|_| ()).map_err(Clone::clone);
        self.schemas.insert(id, readable.unwrap_or_else(WriterSchema::Incompatible));
        result
    }

    /// Learns a writer's schema under its own fingerprint.
    ///
    /// # Errors
    /// Why records of this schema cannot be read.
    pub fn add_schema_by_fingerprint(&mut self, json: &str) -> Result<SchemaId, String> {
        let schema = self.own_schema().readable_writer(json)?;
        let id = SchemaId::Fingerprint(schema::fingerprint(&schema));
        self.schemas.insert(id, WriterSchema::Readable(schema, self.plan(json)));
        Ok(id)
    }

    /// Remembers that nobody knows this schema: its records are refused with this reason.
    pub fn mark_unknown(&mut self, id: SchemaId, reason: impl Into<String>) {
        if self.unknown.len() >= MAX_UNKNOWN_SCHEMAS {
            self.unknown.clear();
        }
        self.unknown.insert(id, reason.into());
    }

    fn own_schema(&self) -> &'static OwnSchema {
        match self.record_type {
            RecordType::Purchases => &schema::PURCHASES,
            RecordType::Interactions => &schema::INTERACTIONS,
        }
    }

    fn readable(&self, json: &str) -> Result<WriterSchema, String> {
        let schema = self.own_schema().readable_writer(json)?;
        Ok(WriterSchema::Readable(schema, self.plan(json)))
    }

    fn plan(&self, json: &str) -> Option<Plan> {
        match self.record_type {
            RecordType::Purchases => Plan::of::<RawPurchase<'_>, RawItem<'_>>(json),
            RecordType::Interactions => Plan::of::<RawInteraction<'_>, RawItem<'_>>(json),
        }
    }

    fn schema(&self, id: SchemaId) -> Result<(&FastSchema, Option<&Plan>), DecodeError> {
        match self.schemas.get(&id) {
            Some(WriterSchema::Readable(schema, plan)) => return Ok((schema, plan.as_ref())),
            Some(WriterSchema::Incompatible(reason)) => {
                let detail = format!("schema {id}: {reason}");
                return Err(Refusal::new(Reason::IncompatibleSchema, detail).into());
            }
            None => {}
        }
        match (self.unknown.get(&id), id) {
            (Some(reason), _) => {
                let detail = format!("schema {id}: {reason}");
                Err(Refusal::new(Reason::UnknownSchema, detail).into())
            }
            (None, SchemaId::Registry(id)) => Err(DecodeError::SchemaNeeded(id)),
            (None, SchemaId::Fingerprint(_)) => {
                let detail = format!("schema {id} is none of the known ones");
                Err(Refusal::new(Reason::UnknownSchema, detail).into())
            }
        }
    }
}

/// The event in a line of JSON of either record type; the kind decides which it is.
///
/// # Errors
/// Why the line is refused.
pub fn decode_json_line<'r>(bytes: &'r [u8], rates: &ExchangeRates) -> Result<Event<'r>, Refusal> {
    json_input::either(bytes, rates)
}

fn split_header(framing: Framing, value: &[u8]) -> Result<(SchemaId, &[u8]), Refusal> {
    let (id, datum) = match (framing, value) {
        (Framing::Confluent, [0, a, b, c, d, datum @ ..]) => {
            (SchemaId::Registry(u32::from_be_bytes([*a, *b, *c, *d])), datum)
        }
        (Framing::Confluent, _) => {
            let detail = "no Confluent header (a zero byte and four bytes of schema id)";
            return Err(Refusal::new(Reason::Undecodable, detail));
        }
        (Framing::SingleObject, [0xC3, 0x01, a, b, c, d, e, f, g, h, datum @ ..]) => {
            let fingerprint = u64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
            (SchemaId::Fingerprint(fingerprint), datum)
        }
        (Framing::SingleObject, _) => {
            let detail = "no single-object header (C3 01 and eight bytes of fingerprint)";
            return Err(Refusal::new(Reason::Undecodable, detail));
        }
    };
    Ok((id, datum))
}

fn read_datum<'r, T: Deserialize<'r>>(
    datum: &'r [u8],
    schema: &FastSchema,
    plan: Option<&Plan>,
) -> Result<T, Refusal> {
    if let Some(record) = plan.and_then(|plan| plan.read(datum)) {
        return Ok(record);
    }
    let mut config = DeserializerConfig::new(schema);
    // Elements of no bytes (null) are the only ones that could outnumber the bytes.
    config.max_seq_size = datum.len();
    let mut state = DeserializerState::with_config(SliceRead::new(datum), config);
    let record = T::deserialize(state.deserializer()).map_err(|error| {
        Refusal::new(Reason::Undecodable, format!("not Avro of its schema: {error}"))
    })?;
    let mut rest = [0; 1];
    match state.into_reader().read(&mut rest) {
        Ok(0) => Ok(record),
        _ => Err(Refusal::new(Reason::Undecodable, "bytes after the end of the Avro record")),
    }
}

#[cfg(test)]
mod planned_tests;
#[cfg(test)]
mod tests;
