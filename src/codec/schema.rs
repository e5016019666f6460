//! The Avro schemas of the project, and whether a writer's schema can be read with them.
//!
//! The files in `schemas/` are the truth and are compiled in. Next: `decoder.rs`, which keeps one
//! schema per id.

use apache_avro::Schema as CheckedSchema;
use apache_avro::error::CompatibilityError;
use apache_avro::schema_compatibility::SchemaCompatibility;
use serde_avro_fast::Schema as FastSchema;
use std::sync::LazyLock;

/// Longest piece of a schema that a reason shows, in characters.
const SHOWN_CHARACTERS: usize = 120;

/// A schema of the project, ready for use.
#[derive(Debug)]
pub struct OwnSchema {
    /// The file.
    pub text: &'static str,
    /// For reading and writing records.
    pub(crate) fast: FastSchema,
    /// For the comparison with writers' schemas.
    checked: CheckedSchema,
}

/// Records of the `purchases` topic.
pub static PURCHASES: LazyLock<OwnSchema> =
    LazyLock::new(|| OwnSchema::parse(include_str!("../../schemas/purchases.avsc")));
/// Records of the `interactions` topic.
pub static INTERACTIONS: LazyLock<OwnSchema> =
    LazyLock::new(|| OwnSchema::parse(include_str!("../../schemas/interactions.avsc")));
/// Records of the `segment-changes` topic.
pub static SEGMENT_CHANGES: LazyLock<OwnSchema> =
    LazyLock::new(|| OwnSchema::parse(include_str!("../../schemas/segment-changes.avsc")));
/// Records of the `customers` topic.
pub static CUSTOMERS: LazyLock<OwnSchema> =
    LazyLock::new(|| OwnSchema::parse(include_str!("../../schemas/customers.avsc")));
/// Records of the `control` topic.
pub static CONTROL: LazyLock<OwnSchema> =
    LazyLock::new(|| OwnSchema::parse(include_str!("../../schemas/control.avsc")));
/// Records of the `relay` topic.
pub static RELAY: LazyLock<OwnSchema> =
    LazyLock::new(|| OwnSchema::parse(include_str!("../../schemas/relay.avsc")));

impl OwnSchema {
    #[expect(clippy::expect_used, reason = "the files are part of the program and under test")]
    fn parse(text: &'static str) -> Self {
        Self {
            text,
            fast: text.parse().expect("a schema of the project is valid"),
            checked: CheckedSchema::parse_str(text).expect("a schema of the project is valid"),
        }
    }

    /// CRC-64-AVRO of the canonical form, as single-object encoding carries it (little-endian).
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        fingerprint(&self.fast)
    }

    /// A writer's schema, prepared for reading its records as ours.
    ///
    /// # Errors
    /// Why records of that schema cannot be read.
    pub(crate) fn readable_writer(&self, writer: &str) -> Result<FastSchema, String> {
        let checked = CheckedSchema::parse_str(writer)
            .map_err(|error| format!("the writer's schema is not a valid Avro schema: {error}"))?;
        SchemaCompatibility::can_read(&checked, &self.checked)
            .map_err(|error| self.describe(&checked, &error))?;
        check_time_unit(&checked)?;
        writer
            .parse()
            .map_err(|error| format!("the writer's schema is not a valid Avro schema: {error}"))
    }

    fn describe(&self, writer: &CheckedSchema, error: &CompatibilityError) -> String {
        match error {
            CompatibilityError::FieldTypeMismatch(name, _) => format!(
                "field \"{name}\" is written as {} and read as {}",
                field_type(writer, name),
                field_type(&self.checked, name)
            ),
            CompatibilityError::MissingDefaultValue(name) => {
                format!("the writer's schema lacks the required field \"{name}\"")
            }
            CompatibilityError::NameMismatch { writer_name, reader_name } => {
                format!("the writer's record is named \"{writer_name}\", not \"{reader_name}\"")
            }
            CompatibilityError::WrongType { .. } => {
                "the writer's schema is not a record of this kind".to_owned()
            }
            other => other.to_string(),
        }
    }
}

pub(crate) fn fingerprint(schema: &FastSchema) -> u64 {
    u64::from_le_bytes(*schema.rabin_fingerprint())
}

/// Avro lets a long of any logical type be read as any other; microseconds read as milliseconds
/// would move every event by millennia.
fn check_time_unit(writer: &CheckedSchema) -> Result<(), String> {
    let Some(schema) = field(writer, "occurred_at") else { return Ok(()) };
    let variants = match schema {
        CheckedSchema::Union(union) => union.variants(),
        single => std::slice::from_ref(single),
    };
    for variant in variants {
        match variant {
            CheckedSchema::Null | CheckedSchema::Long | CheckedSchema::TimestampMillis => {}
            _ => {
                return Err(format!(
                    "field \"occurred_at\" is written as {} and read as timestamp-millis",
                    field_type(writer, "occurred_at")
                ));
            }
        }
    }
    Ok(())
}

fn field<'s>(schema: &'s CheckedSchema, name: &str) -> Option<&'s CheckedSchema> {
    match schema {
        CheckedSchema::Record(record) => {
            record.fields.iter().find(|field| field.name == name).map(|field| &field.schema)
        }
        _ => None,
    }
}

fn field_type(schema: &CheckedSchema, name: &str) -> String {
    let text = field(schema, name).and_then(|schema| serde_json::to_string(schema).ok());
    let text = text.unwrap_or_else(|| "nothing".to_owned());
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        None => text,
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apache_avro::rabin::Rabin;

    #[test]
    fn every_schema_parses_and_its_fingerprint_is_apache_avros() {
        let all = [&PURCHASES, &INTERACTIONS, &SEGMENT_CHANGES, &CUSTOMERS, &CONTROL, &RELAY];
        for schema in all {
            let oracle = schema.checked.fingerprint::<Rabin>().bytes;
            assert_eq!(schema.fingerprint().to_le_bytes().to_vec(), oracle, "{}", schema.text);
            assert!(schema.readable_writer(schema.text).is_ok(), "{}", schema.text);
        }
    }
}
