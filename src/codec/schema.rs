//! The Avro schemas of the project, and whether a writer's schema can be read with them.
//!
//! The files in `schemas/` are the truth and are compiled in. Next: `decoder.rs`, which keeps one
//! schema per id.

use apache_avro::Schema as CheckedSchema;
use apache_avro::error::CompatibilityError;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
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
        self.check_variants(&checked)?;
        check_time_unit(&checked)?;
        writer
            .parse()
            .map_err(|error| format!("the writer's schema is not a valid Avro schema: {error}"))
    }

    /// Avro calls a union readable when any of its variants is. Here all have to be, so that no
    /// record fails for its schema; but null may stand where a value is required, since a missing
    /// field is a fault of the record.
    fn check_variants(&self, writer: &CheckedSchema) -> Result<(), String> {
        let CheckedSchema::Record(record) = &self.checked else { return Ok(()) };
        for own in &record.fields {
            let Some(written) = field(writer, &own.name) else { continue };
            for variant in variants(written) {
                let read = SchemaCompatibility::can_read(variant, &own.schema);
                if *variant != CheckedSchema::Null && read != Ok(Compatibility::Full) {
                    return Err(self.field_mismatch(writer, &own.name));
                }
            }
        }
        Ok(())
    }

    fn field_mismatch(&self, writer: &CheckedSchema, name: &str) -> String {
        format!(
            "field \"{name}\" is written as {} and read as {}",
            field_type(writer, name),
            field_type(&self.checked, name)
        )
    }

    fn describe(&self, writer: &CheckedSchema, error: &CompatibilityError) -> String {
        match error {
            CompatibilityError::FieldTypeMismatch(name, _) => self.field_mismatch(writer, name),
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
    for variant in variants(schema) {
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

fn variants(schema: &CheckedSchema) -> &[CheckedSchema] {
    match schema {
        CheckedSchema::Union(union) => union.variants(),
        single => std::slice::from_ref(single),
    }
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

    /// apache-avro 0.22 keeps `{"type":"long"}` of a logical type in the canonical form, where the
    /// specification has `"long"`; it is the oracle only without logical types.
    const LOGICAL: &str = r#"{"type": "long", "logicalType": "timestamp-millis"}"#;

    #[test]
    fn every_schema_parses_and_has_the_fingerprint_of_the_specification() {
        let all = [&PURCHASES, &INTERACTIONS, &SEGMENT_CHANGES, &CUSTOMERS, &CONTROL, &RELAY];
        for schema in all {
            let plain = schema.text.replace(LOGICAL, "\"long\"");
            let oracle = CheckedSchema::parse_str(&plain).unwrap().fingerprint::<Rabin>().bytes;
            assert_eq!(schema.fingerprint().to_le_bytes().to_vec(), oracle, "{}", schema.text);
            assert!(schema.readable_writer(schema.text).is_ok(), "{}", schema.text);
        }
    }

    fn refused(writer: &str) -> String {
        PURCHASES.readable_writer(writer).map(|_| ()).unwrap_err()
    }

    #[test]
    fn a_schema_that_cannot_be_read_is_refused_with_a_reason() {
        let amount = r#"{"name": "amount_minor", "type": ["null", "long"], "doc": "Int"#;
        for written in [r#"["null", "string"]"#, r#"["null", "long", "double"]"#] {
            assert!(PURCHASES.text.contains(amount));
            let other = amount.replace(r#"["null", "long"]"#, written);
            assert_eq!(
                refused(&PURCHASES.text.replace(amount, &other)),
                format!(
                    "field \"amount_minor\" is written as {} and read as [\"null\",\"long\"]",
                    written.replace(' ', "")
                )
            );
        }
        let nullable = PURCHASES.text.replace(
            r#"{"name": "event_id", "type": "string""#,
            r#"{"name": "event_id", "type": ["string", "null"]"#,
        );
        assert!(PURCHASES.readable_writer(&nullable).is_ok());
        assert_eq!(
            refused(&PURCHASES.text.replace("\"event_id\"", "\"id\"")),
            "the writer's schema lacks the required field \"event_id\""
        );
        assert_eq!(
            refused(INTERACTIONS.text),
            "the writer's record is named \"Interaction\", not \"Purchase\""
        );
        assert_eq!(refused("\"string\""), "the writer's schema is not a record of this kind");
        assert!(refused("{").starts_with("the writer's schema is not a valid Avro schema"));
        let micros = PURCHASES.text.replace("timestamp-millis", "timestamp-micros");
        assert_eq!(
            refused(&micros),
            "field \"occurred_at\" is written as \
             {\"type\":\"long\",\"logicalType\":\"timestamp-micros\"} \
             and read as timestamp-millis"
        );
    }
}
