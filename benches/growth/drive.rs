//! A task as a worker drives it, without a broker: records decoded and merged by the pump, changes
//! and states encoded, transactions committed.
//!
//! What a worker would send is encoded and dropped. Next: `fill.rs`, who is in the task.

use crate::support::{purchase, texts};
use ebbflow::codec::change::{ChangeEncoder, headers};
use ebbflow::codec::decoder::{Decoder, Format, Framing, RecordType};
use ebbflow::codec::encode::OutputFormat;
use ebbflow::codec::event_writer::EventEncoder;
use ebbflow::codec::profile::ProfileEncoder;
use ebbflow::codec::state::{customer_key, frame};
use ebbflow::config::Config;
use ebbflow::domain::event::Event;
use ebbflow::domain::id::partition_of;
use ebbflow::domain::name::Name;
use ebbflow::domain::progress::Phase;
use ebbflow::domain::time::Timestamp;
use ebbflow::runtime::broker::Record;
use ebbflow::runtime::heads::TopicDecoders;
use ebbflow::runtime::pump::{Limits, Pumped, pump};
use ebbflow::task::{PartitionTask, ProfileWrite, TaskConfig};
use std::hint::black_box;
use std::sync::Arc;

/// Records that a worker processes for a task before the next one has its turn.
const PUMP_RECORDS: usize = 1000;
/// Unpacked customers from which on a worker sends their states before the commit.
const UNPACKED: usize = 1024;

/// Number of the first order: those before are what customers have already.
const FIRST: u64 = 1_000_000;

/// An order as a record of `purchases`, in Avro.
pub(crate) struct Incoming {
    /// When it was written.
    pub(crate) at: Timestamp,
    pub(crate) offset: i64,
    value: Box<[u8]>,
}

impl Record for Incoming {
    fn key(&self) -> Option<&[u8]> {
        None
    }

    fn value(&self) -> Option<&[u8]> {
        Some(&self.value)
    }

    fn offset(&self) -> i64 {
        self.offset
    }

    fn timestamp(&self) -> Option<Timestamp> {
        Some(self.at)
    }
}

/// Writes orders of customers drawn uniformly.
pub(crate) struct Orders {
    encoder: EventEncoder,
    customers: u64,
    index: u64,
    /// The next offset of each partition.
    offsets: Vec<i64>,
}

impl Orders {
    pub(crate) fn of(customers: u64, partitions: u32) -> Self {
        let format = OutputFormat::AvroSingleObject;
        let offsets = vec![0; usize::try_from(partitions).expect("few")];
        let encoder = EventEncoder::new(format, format);
        Self { encoder, customers, index: FIRST, offsets }
    }

    /// Whether none was taken yet.
    pub(crate) const fn is_new(&self) -> bool {
        self.index == FIRST
    }

    /// The next one, and the place of its partition.
    pub(crate) fn next(&mut self, at: Timestamp) -> (usize, Incoming) {
        let texts = texts(self.index, self.customers);
        let event = Event { occurred_at: at, ..purchase(&texts, self.index) };
        self.index += 1;
        let mut value = Vec::with_capacity(160);
        self.encoder.encode(&event, &mut value);
        let partitions = u32::try_from(self.offsets.len()).expect("few");
        let place = usize::try_from(partition_of(&event.subject_id(), partitions)).expect("few");
        let offset = self.offsets[place];
        self.offsets[place] += 1;
        (place, Incoming { at, offset, value: value.into() })
    }

    /// So many, by partition.
    pub(crate) fn batch(&mut self, count: usize, at: Timestamp) -> Vec<Vec<Incoming>> {
        let mut batch: Vec<Vec<Incoming>> = self.offsets.iter().map(|_| Vec::new()).collect();
        for _ in 0..count {
            let (place, incoming) = self.next(at);
            batch[place].push(incoming);
        }
        batch
    }
}

/// A task with what a worker has beside it.
pub(crate) struct Drive {
    pub(crate) task: PartitionTask,
    decoders: TopicDecoders,
    topics: [Name; 3],
    changes: ChangeEncoder,
    profiles: ProfileEncoder,
    key: Vec<u8>,
    value: Vec<u8>,
    /// Bytes of what would have been sent in the open transaction.
    pub(crate) sent: usize,
}

impl Drive {
    pub(crate) fn new(config: &Config, partition: u32, partitions: u32) -> Self {
        let task = TaskConfig {
            application_id: "bench".into(),
            partition,
            partitions,
            rules: Arc::clone(&config.rules),
            keys_are_trusted: true,
            profiles_on_touch: false,
            run_id: "bench".into(),
            rebuilt_at: Timestamp::MIN,
        };
        let avro = Format::Avro(Framing::SingleObject);
        let decoder = |record_type| Decoder::new(record_type, avro);
        let compact = config.rules.output.compact;
        Self {
            task: PartitionTask::new(task, 1, Phase::Live),
            decoders: TopicDecoders {
                decoders: [RecordType::Interactions, RecordType::Purchases].map(decoder),
                rules: Arc::clone(&config.rules),
            },
            topics: ["interactions", "purchases", "relay"].map(Name::BuiltIn),
            changes: ChangeEncoder::new(OutputFormat::Json, compact),
            profiles: ProfileEncoder::new(OutputFormat::Json),
            key: Vec::new(),
            value: Vec::new(),
            sent: 0,
        }
    }

    /// One round: some records, as many timers at most, and what they have to say.
    pub(crate) fn round(&mut self, records: &[Incoming], now: Timestamp, timers: usize) -> Pumped {
        // Nothing else is in the inputs.
        for input in [0, 2] {
            self.task.pass(input, now);
        }
        if records.is_empty() {
            self.task.pass(1, now);
        }
        let end = records.last().map_or(self.task.inputs()[1].next_offset, |it| it.offset + 1);
        let limits = Limits {
            topics: &self.topics,
            ends: [Some(0), Some(end), Some(0)],
            stop_at_ends: false,
            wall: Some(now),
            in_step: None,
            limit: None,
            waits: false,
            records: PUMP_RECORDS,
            timers,
        };
        let pumped = pump(&mut self.task, [&[], records, &[]], &self.decoders, &limits);
        let pumped = pumped.expect("readable states");
        assert!(pumped.refused.is_empty(), "{:?}", pumped.refused);
        for change in self.task.take_changes() {
            self.changes.encode(&change, &mut self.value);
            black_box((headers(&change), &self.value));
            self.sent += self.value.len();
        }
        if self.task.store().unpacked() >= UNPACKED {
            self.pack();
            self.task.settle_customers();
        }
        pumped
    }

    /// All records, in as many rounds as they take.
    pub(crate) fn work(&mut self, mut records: &[Incoming], now: Timestamp, timers: usize) {
        while !records.is_empty() {
            let pumped = self.round(records, now, timers);
            records = &records[pumped.consumed[1]..];
        }
    }

    fn pack(&mut self) {
        let Self { task, profiles, key, value, sent, .. } = self;
        task.pack(|id, packed, profile| {
            customer_key(id, key);
            frame(packed.unwrap_or_default(), value);
            black_box((&key, &value));
            *sent += key.len() + value.len();
            if let ProfileWrite::Profile(profile) = profile {
                profiles.encode(&profile, value);
                black_box(&value);
                *sent += value.len();
            }
        });
    }

    /// Ends the transaction.
    pub(crate) fn commit(&mut self) {
        self.pack();
        black_box(self.task.progress());
        self.task.commit().expect("readable states");
        self.task.take_tally();
        self.sent = 0;
    }
}
