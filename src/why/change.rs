//! A change as `segment-changes` and `replay` write it, in JSON or Avro, as far as it is told.
//!
//! Tells the encodings apart by their first byte, since a topic may hold several.
//! Next: `codec/change.rs`, which writes them.

use crate::codec::schema::{SEGMENT_CHANGES, fingerprint};
use crate::registry::Registry;
use crate::why::profile::Time;
use serde::Deserialize;
use serde_avro_fast::Schema as FastSchema;
use std::collections::BTreeMap;

/// A change in short; compact records have no summary.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Change {
    pub(super) seq: u64,
    pub(super) dimension: String,
    pub(super) previous: Option<String>,
    pub(super) current: Option<String>,
    pub(super) occurred_at: Time,
    pub(super) cause: Cause,
    #[serde(default)]
    pub(super) summary: Option<String>,
}

/// What brought it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Cause {
    pub(super) kind: String,
    #[serde(default)]
    pub(super) event_id: Option<String>,
}

/// Reads changes; keeps the schemas that it had to ask for.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) registry: Option<Registry>,
    /// What came of asking: one that cannot be had is not asked for again.
    schemas: BTreeMap<u32, Result<FastSchema, String>>,
}

impl Reader {
    pub(super) fn new(registry: Option<Registry>) -> Self {
        Self { registry, schemas: BTreeMap::new() }
    }

    /// Reads one.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Change, String> {
        match bytes {
            [b'{', ..] => serde_json::from_slice(bytes).map_err(|error| error.to_string()),
            [0, a, b, c, d, datum @ ..] => {
                let id = u32::from_be_bytes([*a, *b, *c, *d]);
                from_avro(datum, self.writer(id)?)
            }
            [0xC3, 0x01, rest @ ..] if rest.len() >= 8 => {
                let (written, datum) = rest.split_at(8);
                if written != fingerprint(&SEGMENT_CHANGES.fast).to_le_bytes() {
                    return Err("its schema is another version's".to_owned());
                }
                from_avro(datum, &SEGMENT_CHANGES.fast)
            }
            _ => Err("it is neither JSON nor Avro".to_owned()),
        }
    }

    /// The schema that a record was written with.
    fn writer(&mut self, id: u32) -> Result<&FastSchema, String> {
        let registry = self.registry.as_ref();
        let schema = self.schemas.entry(id).or_insert_with(|| {
            let registry = registry
                .ok_or("it needs the schema registry; hint: give the --config with registry.url")?;
            let fetched = registry.fetch_schema(id).map_err(|error| error.to_string())?;
            SEGMENT_CHANGES.readable_writer(&fetched.text)
        });
        schema.as_ref().map_err(Clone::clone)
    }
}

fn from_avro(datum: &[u8], writer: &FastSchema) -> Result<Change, String> {
    serde_avro_fast::from_datum_slice(datum, writer).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::change::ChangeEncoder;
    use crate::codec::encode::OutputFormat;
    use crate::domain::change::{
        Cause as CauseWritten, CauseKind, Change as Written, ChangeId, Direction, Facts, Group,
        Holdout, Rule,
    };
    use crate::domain::rules::RulesIdentity;
    use crate::domain::time::Timestamp;

    fn written() -> Written {
        Written {
            change_id: ChangeId::default(),
            seq: 7,
            customer_id: "c-1".to_owned(),
            subject: "customer",
            dimension: "rfm".into(),
            previous: Some("need_attention".into()),
            current: None,
            direction: Direction::Down,
            entry: 1,
            occurred_at: Timestamp(1_700_000_000_001),
            detected_at: Timestamp(1_700_000_000_002),
            cause: CauseWritten {
                kind: CauseKind::Event,
                event_id: Some("e-4".to_owned()),
                occurred_at: None,
                origin: None,
            },
            rule: Rule {
                identity: RulesIdentity {
                    set: "default".into(),
                    revision: 1,
                    hash: "0".into(),
                    fold_hash: "0".into(),
                },
                id: "rf-10:none".into(),
            },
            evidence: Vec::new(),
            scores: None,
            facts: Facts::default(),
            dimensions: Vec::new().into(),
            dwell_ms: 0,
            next: None,
            group: Group::default(),
            holdout: Holdout { bucket: 1, treated: true },
            owner_role: None,
            previous_owner_role: None,
            consent: Vec::new(),
            summary: "a sentence".to_owned(),
            correction_of: None,
            backfill: false,
            actionable: true,
            run_id: None,
        }
    }

    #[test]
    fn every_encoding_reads_as_the_same_change() {
        let mut reader = Reader::default();
        reader.schemas.insert(9, Ok(SEGMENT_CHANGES.text.parse().unwrap()));
        for format in [
            OutputFormat::Json,
            OutputFormat::AvroSingleObject,
            OutputFormat::AvroConfluent { schema_id: 9 },
        ] {
            for compact in [false, true] {
                let mut bytes = Vec::new();
                ChangeEncoder::new(format, compact).encode(&written(), &mut bytes);
                let read = reader.read(&bytes).unwrap();
                assert_eq!((read.seq, read.dimension.as_str()), (7, "rfm"), "{format:?}");
                assert_eq!(read.occurred_at, Time(Timestamp(1_700_000_000_001)));
                assert_eq!(read.previous.as_deref(), Some("need_attention"));
                assert_eq!(read.current, None);
                assert_eq!(read.cause.kind, "event");
                assert_eq!(read.cause.event_id.as_deref(), Some("e-4"));
                let summary = (!compact).then_some("a sentence");
                assert_eq!(read.summary.as_deref(), summary, "{format:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let mut reader = Reader::default();
        let mut why = |bytes: &[u8]| reader.read(bytes).map(|_| ()).unwrap_err();
        assert_eq!(why(b"tea"), "it is neither JSON nor Avro");
        assert_eq!(why(&[0xC3, 1, 0, 0, 0, 0, 0, 0, 0, 0]), "its schema is another version's");
        let registry = "it needs the schema registry; hint: give the --config with registry.url";
        assert_eq!(why(&[0, 0, 0, 0, 9]), registry);
    }
}
