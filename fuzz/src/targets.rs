//! The fuzz targets: every decoder, and a task that takes in what could be decoded.
//!
//! No bytes may make them panic or allocate much. Each has a file in `fuzz_targets`, which hands
//! it to libFuzzer; `tests/fuzz.rs` gives them the seeds in every run of the tests.

use ebbflow::codec::decoder::{
    DecodeError, Decoder, Format, Framing, RecordType, SchemaId, decode_json_line,
};
use ebbflow::codec::schema::{INTERACTIONS, PURCHASES};
use ebbflow::codec::state::{
    StateKey, VERSION, decode_lineage, decode_mark, decode_progress, encode_lineage,
    encode_progress, parse_key, unframe,
};
use ebbflow::config::{FileText, from_sources};
use ebbflow::domain::event::Event;
use ebbflow::domain::pack::{pack, peek, unpack};
use ebbflow::domain::progress::{OffsetMetadata, Phase};
use ebbflow::domain::rules::Rules;
use ebbflow::domain::time::Timestamp;
use ebbflow::task::clock::{Reference, effective_time};
use ebbflow::task::{EventRecord, PartitionTask, TaskConfig};
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// 2026-03-01, when the records are written.
const WRITTEN_AT: Timestamp = Timestamp(1_772_323_200_000);
/// Deadlines that one record may bring due.
const MOST_TIMERS: usize = 1_000;

/// As a producer might have it: other order, null where it is not allowed, a field of its own.
const OLDER: &str = r#"{"type":"record","name":"Purchase","namespace":"ebbflow","fields":[
    {"name":"own","type":{"type":"array","items":"null"}},
    {"name":"customer_id","type":["null","string"]},
    {"name":"kind","type":"string"},
    {"name":"event_id","type":["string","null"]},
    {"name":"occurred_at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"amount_minor","type":["null","long"]},
    {"name":"currency","type":["null","string"]},
    {"name":"order_id","type":["null","string"]}]}"#;

/// Lines of JSON, each an event of one of the record types, one after the other into one task.
pub fn json(data: &[u8]) {
    let rules = rules();
    let mut intake = Intake::default();
    for line in data.split(|byte| *byte == b'\n') {
        match decode_json_line(line, &rules.rates) {
            Ok(event) => intake.take(&event),
            Err(refusal) => drop(refusal.to_string()),
        }
    }
    intake.finish();
    decode(&decoders(Format::Json), data);
}

/// Single-object encoding: any bytes, and any datum behind the right header.
pub fn avro(data: &[u8]) {
    static DECODERS: LazyLock<[Decoder; 2]> =
        LazyLock::new(|| decoders(Format::Avro(Framing::SingleObject)));
    decode(&DECODERS, data);
    for own in [&PURCHASES, &INTERACTIONS] {
        let mut framed = vec![0xC3, 0x01];
        framed.extend(own.fingerprint().to_le_bytes());
        framed.extend(data);
        decode(&DECODERS, &framed);
    }
}

/// Confluent framing: schema 1 is the program's own, 2 an older one of somebody else, 3 nobody's.
pub fn confluent(data: &[u8]) {
    static DECODERS: LazyLock<[Decoder; 2]> = LazyLock::new(|| {
        let mut decoders = decoders(Format::Avro(Framing::Confluent));
        for (decoder, own) in decoders.iter_mut().zip([&PURCHASES, &INTERACTIONS]) {
            decoder.add_schema(SchemaId::Registry(1), own.text).expect("the program's own");
            // It is none of interactions.
            decoder.add_schema(SchemaId::Registry(2), OLDER).ok();
            decoder.mark_unknown(SchemaId::Registry(3), "nobody knows it");
        }
        decoders
    });
    decode(&DECODERS, data);
    for id in 1..4 {
        let framed = [&[0, 0, 0, 0, id], data].concat();
        decode(&DECODERS, &framed);
    }
}

/// A writer's schema as a registry answers, up to the first zero byte, then a datum of it.
pub fn schema(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let Ok(json) = std::str::from_utf8(&data[..end]) else { return };
    let mut decoders = decoders(Format::Avro(Framing::Confluent));
    for decoder in &mut decoders {
        // Refused or not, records name it.
        decoder.add_schema(SchemaId::Registry(1), json).ok();
    }
    let datum = data.get(end + 1..).unwrap_or_default();
    decode(&decoders, &[&[0, 0, 0, 0, 1], datum].concat());
}

/// A record of the state topic: the key up to the first zero byte, then the value.
pub fn state(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    match parse_key(&data[..end]) {
        Ok(
            StateKey::Customer(_) | StateKey::Progress | StateKey::Erased(_) | StateKey::Waiting(_),
        ) => {}
        Err(error) => drop(error.to_string()),
    }
    let value = data.get(end + 1..).unwrap_or_default();
    decode_mark(value).ok();
    let Ok(packed) = unframe(value) else { return };
    let peeked = peek(packed);
    let rules = rules();
    let Ok(customer) = unpack(packed, &rules.rates) else { return };
    assert_eq!(peeked, Ok((customer.deadline, customer.id.as_str())));
    // What can be read is written so that it is read as the same again.
    let mut bytes = Vec::new();
    pack(&customer, rules.rates.base(), &mut bytes);
    let again = unpack(&bytes, &rules.rates).expect("its own bytes");
    assert_eq!(again, customer);
}

/// Progress records, and the metadata of the group's offsets.
pub fn progress(data: &[u8]) {
    decode_progress(data).ok();
    let framed = [&[VERSION], data].concat();
    if let Ok(progress) = decode_progress(&framed) {
        assert_eq!(decode_progress(&encode_progress(&progress)), Ok(progress));
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(metadata) = OffsetMetadata::parse(text)
    {
        assert_eq!(OffsetMetadata::parse(&metadata.text()), Some(metadata));
    }
}

/// Records of the control topic.
pub fn control(data: &[u8]) {
    if let Ok(lineage) = decode_lineage(data) {
        assert_eq!(decode_lineage(&encode_lineage(lineage)), Ok(lineage));
    }
}

/// Configuration files.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // The one key whose file is read at once; it is not to be any file of this machine.
    if text.contains("map") && text.contains('/') {
        return;
    }
    let file = FileText { path: Path::new("fuzz.toml"), text };
    match from_sources(Some(file), [], &[]) {
        Ok(loaded) => assert!(!loaded.print().is_empty()),
        Err(problems) => drop(problems.to_string()),
    }
}

/// The default rules.
fn rules() -> Arc<Rules> {
    static RULES: LazyLock<Arc<Rules>> =
        LazyLock::new(|| from_sources(None, [], &[]).expect("the defaults are valid").config.rules);
    Arc::clone(&RULES)
}

/// Takes events in as a worker does, until they are used up, packs and restores.
struct Intake {
    task: PartitionTask,
    offset: i64,
}

impl Default for Intake {
    fn default() -> Self {
        Self { task: new_task(), offset: 0 }
    }
}

fn new_task() -> PartitionTask {
    let config = TaskConfig {
        application_id: "fuzz".into(),
        partition: 0,
        partitions: 1,
        rules: rules(),
        keys_are_trusted: true,
        profiles_on_touch: true,
        run_id: "fuzz".into(),
        rebuilt_at: Timestamp::MIN,
    };
    PartitionTask::new(config, 1, Phase::Live)
}

impl Intake {
    /// An event, unless it is refused.
    fn take(&mut self, event: &Event<'_>) {
        let reference = Reference::Record(WRITTEN_AT);
        let Ok(effective) = effective_time(event.occurred_at, reference) else {
            return;
        };
        self.task.advance_to(effective.at);
        self.fire();
        let record = EventRecord {
            input: 1,
            topic: &"purchases".into(),
            offset: self.offset,
            event,
            at: effective.at,
            value: &[],
        };
        self.offset += 1;
        drop(self.task.handle_event(&record, None));
        self.fire();
    }

    fn fire(&mut self) {
        self.task.fire_timers(MOST_TIMERS, None).expect("its own states can be read");
    }

    /// Years without an event, then what a commit and a restart do.
    fn finish(mut self) {
        self.task.advance_to(WRITTEN_AT.plus_ms(3 * 365 * 86_400_000));
        self.fire();
        self.task.take_changes().for_each(drop);
        let progress = self.task.progress();
        let mut restored = new_task();
        self.task.pack(|id, packed, _| {
            restored.restore_state(id, packed).expect("its own states can be read");
        });
        assert_eq!(restored.store().len() as u64, progress.customers);
        self.task.commit().expect("its own states can be read");
    }
}

/// Decoders of both record types.
fn decoders(format: Format) -> [Decoder; 2] {
    [RecordType::Purchases, RecordType::Interactions].map(|kind| Decoder::new(kind, format))
}

/// Decodes the same bytes as both record types and takes in what could be read.
fn decode(decoders: &[Decoder; 2], value: &[u8]) {
    let rules = rules();
    for decoder in decoders {
        let mut intake = Intake::default();
        match decoder.decode(value, &rules.rates) {
            Ok(event) => intake.take(&event),
            Err(DecodeError::Refused(refusal)) => drop(refusal.to_string()),
            Err(DecodeError::SchemaNeeded(_)) => {}
        }
        intake.finish();
    }
}
