//! Values to bytes: one serde structure for JSON and Avro, so that both have the same shape.
//!
//! Fills the caller's buffer and allocates little else. Next: `change.rs`, `profile.rs`, which
//! say what is written.

use crate::codec::positional::to_datum;
use crate::codec::schema::OwnSchema;
use crate::codec::time;
use crate::domain::time::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_avro_fast::ser::SerializerConfig;
use serde_json::ser::Formatter;
use std::io::{self, Write};

/// Decimals that a JSON number has at most.
const MAX_DECIMALS: usize = 9;

/// How records of an output topic are encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OutputFormat {
    /// A JSON object.
    Json,
    /// Avro in Confluent wire format.
    AvroConfluent {
        /// The registry's id of the project's schema.
        schema_id: u32,
    },
    /// Avro in single-object encoding.
    AvroSingleObject,
}

/// Writes the records of one topic.
pub(super) struct Encoder {
    schema: &'static OwnSchema,
    format: OutputFormat,
    avro: SerializerConfig<'static>,
}

impl Encoder {
    pub(super) fn new(schema: &'static OwnSchema, format: OutputFormat) -> Self {
        Self { schema, format, avro: SerializerConfig::new(&schema.fast) }
    }

    /// Whether times are text.
    pub(super) fn writes_text(&self) -> bool {
        self.format == OutputFormat::Json
    }

    /// Replaces what the buffer holds by the record, whose fields stand as in the schema.
    #[expect(clippy::expect_used, reason = "the structures fit the project's schemas, by test")]
    pub(super) fn encode<T: Serialize>(&mut self, record: &T, into: &mut Vec<u8>) {
        if self.begin(record, into) {
            to_datum(record, into).expect("a record always fits its schema");
        }
    }

    /// The same of a record whose fields stand anyhow, or are left out.
    #[expect(clippy::expect_used, reason = "the structures fit the project's schemas, by test")]
    pub(super) fn encode_by_name<T: Serialize>(&mut self, record: &T, into: &mut Vec<u8>) {
        if self.begin(record, into) {
            serde_avro_fast::to_datum(record, into, &mut self.avro)
                .expect("a record always fits its schema");
        }
    }

    /// Writes JSON, or what stands before an Avro datum; true when that is to follow.
    #[expect(clippy::expect_used, reason = "the structures are plain, by test")]
    fn begin<T: Serialize>(&self, record: &T, into: &mut Vec<u8>) -> bool {
        into.clear();
        match self.format {
            OutputFormat::Json => {
                let mut json = serde_json::Serializer::with_formatter(into, PlainNumbers);
                record.serialize(&mut json).expect("a record is always valid JSON");
                return false;
            }
            OutputFormat::AvroConfluent { schema_id } => {
                into.push(0);
                into.extend_from_slice(&schema_id.to_be_bytes());
            }
            OutputFormat::AvroSingleObject => {
                into.extend_from_slice(&[0xC3, 0x01]);
                into.extend_from_slice(&self.schema.fingerprint().to_le_bytes());
            }
        }
        true
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Encoder").field("format", &self.format).finish_non_exhaustive()
    }
}

/// JSON numbers without exponents and without noise behind the ninth decimal.
struct PlainNumbers;

impl Formatter for PlainNumbers {
    fn write_f64<W: Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        // The shortest text that reads back as the same number, never with an exponent.
        let mut text = value.to_string();
        let decimals = text.find('.').map_or(0, |point| text.len() - point - 1);
        if decimals > MAX_DECIMALS {
            text = format!("{value:.MAX_DECIMALS$}");
            text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
        }
        writer.write_all(if text == "-0" { b"0" } else { text.as_bytes() })
    }
}

/// An instant: text in JSON, milliseconds in Avro.
#[derive(Clone, Copy)]
pub(super) struct Time {
    pub(super) at: Timestamp,
    pub(super) as_text: bool,
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.as_text {
            let text = time::format(self.at);
            serializer.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
        } else {
            serializer.serialize_i64(self.at.0)
        }
    }
}

/// A list of pairs as a map, in its order.
pub(super) struct Map<'a, K, V>(pub(super) &'a [(K, V)]);

/// The same, of pairs that were made for it.
pub(super) struct OwnedMap<K, V>(pub(super) Vec<(K, V)>);

impl<K: Serialize, V: Serialize> Serialize for OwnedMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Map(&self.0).serialize(serializer)
    }
}

impl<K: Serialize, V: Serialize> Serialize for Map<'_, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(value: f64) -> String {
        let mut bytes = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, PlainNumbers);
        value.serialize(&mut serializer).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn decimals_are_plain_and_short() {
        assert_eq!(json(180.000_000_012), "180.000000012");
        assert_eq!(json(31.5), "31.5");
        assert_eq!(json(180.0), "180");
        assert_eq!(json(100.0 / 3.0), "33.333333333");
        assert_eq!(json(1e-12), "0");
        assert_eq!(json(-0.0), "0");
        assert_eq!(json(-1e-12), "0");
        assert_eq!(json(1e21), "1000000000000000000000");
        assert_eq!(json(0.1 + 0.2), "0.3");
        assert_eq!(json(f64::NAN), "null");
        assert_eq!(json(f64::INFINITY), "null");
    }

    proptest! {
        #[test]
        fn decimals_read_back_within_half_a_billionth(value in -1e9..1e9_f64) {
            let text = json(value);
            prop_assert!(text.split_once('.').is_none_or(|(_, decimals)| decimals.len() <= 9));
            // Reading the text rounds once more, to the nearest number.
            let nearest = value.abs() * f64::EPSILON;
            prop_assert!((text.parse::<f64>().unwrap() - value).abs() <= 5e-10 + nearest);
        }
    }
}
