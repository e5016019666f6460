//! Kafka as the worker's broker: a member of the group, a transactional producer, readers of
//! changelogs, a sampler of end offsets.
//!
//! The only folder that names rdkafka. Never decides what is processed or committed: it carries
//! out what `runtime` says and sorts what goes wrong. Reading order: `client`, `group`, `batch`,
//! `producer`, `mark`, `changelog`, `key_records`, `ends`, `clocks`, `error`, `topics`,
//! `properties`.

mod batch;
mod changelog;
mod client;
mod clocks;
mod control;
mod diagnostics;
mod ends;
mod error;
mod group;
pub mod key_records;
mod mark;
pub mod mock;
mod needs;
mod owners;
mod producer;
mod properties;
mod topic_settings;
pub mod topics;
mod waker;

pub use batch::FetchedRecord;
pub use client::ConnectMode;
pub use control::Control;
pub use owners::Owners;
pub use properties::check_properties;
pub use topics::check_topics;

use crate::config::Config;
use crate::kafka::changelog::ChangelogReader;
use crate::kafka::client::Clients;
use crate::kafka::clocks::Clocks;
use crate::kafka::ends::{CONNECT_TIMEOUT, Observer, Sampler};
use crate::kafka::group::Group;
use crate::kafka::producer::Transactional;
use crate::kafka::waker::Waker;
use crate::runtime::broker::{
    Broker, BrokerError, ChangelogRecord, ClockSample, CommittedOffsets, EndSample, Ended,
    GroupEvent, Input, OutRecord, Output, Sent, TaskOffsets, Watermarks,
};
use crate::runtime::clock::monotonic_ms;
use crate::runtime::status::Status;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How long the control topic may take to read, in ms.
const CONTROL_TIMEOUT_MS: i64 = 10_000;
/// Records read at once from the control topic, and how long the first is waited for.
const CONTROL_BATCH: usize = 1_000;
const CONTROL_WAIT: Duration = Duration::from_millis(20);

/// A worker's broker on a Kafka cluster.
///
/// Every [`FetchedRecord`] has to be dropped before it: closing a consumer waits for the records
/// that are still held. Dropping it keeps the static membership.
pub struct KafkaBroker {
    // Dropped in this order: readers before the member, the member after its transaction.
    changelogs: BTreeMap<u32, ChangelogReader>,
    sampler: Sampler,
    /// Once somebody wants to know of other tasks.
    clocks: Option<Clocks>,
    producer: Transactional,
    group: Group,
    observer: Arc<Observer>,
    clients: Clients,
    waker: Arc<Waker>,
}

impl KafkaBroker {
    /// Makes the clients of a worker (counted from 0) and joins the group in the background.
    ///
    /// # Errors
    /// `Retriable` when the cluster does not answer, with the last error that the client told;
    /// `Fatal` when a setting is refused or the login fails.
    pub fn connect(config: &Config, worker: usize, mode: ConnectMode) -> Result<Self, BrokerError> {
        let clients = Clients::new(config, worker, mode);
        let observer = Arc::new(Observer::new(&clients)?);
        observer.reach(CONNECT_TIMEOUT)?;
        let waker = Arc::new(Waker::default());
        Ok(Self {
            changelogs: BTreeMap::new(),
            sampler: Sampler::start(Arc::clone(&observer))?,
            clocks: None,
            producer: Transactional::new(&clients),
            group: Group::join(&clients, &waker)?,
            observer,
            clients,
            waker,
        })
    }

    /// Tells `status` from now on whether the cluster answers this worker (counted from 0).
    pub fn report_to(&self, status: Arc<Status>, worker: usize) {
        self.sampler.report_to(status, worker);
    }
}

impl Broker for KafkaBroker {
    type Record = FetchedRecord;

    fn poll_group(&mut self) -> Result<Option<GroupEvent>, BrokerError> {
        self.producer.poll();
        self.group.poll()
    }

    fn assign(&mut self, partitions: &[u32]) -> Result<(), BrokerError> {
        let (mut ends, error, _) = self.observer.ends(partitions);
        for task in partitions {
            // Of a task whose end is unknown every offset that exists will do: nothing is handed
            // out before a seek, which also tells if it does not exist any more.
            if !ends.contains_key(task) {
                let [Some(first), Some(second), Some(third)] =
                    self.group.committed(*task)?.next_offsets
                else {
                    let unknown = || BrokerError::Retriable("the ends are not known".to_owned());
                    return Err(error.unwrap_or_else(unknown));
                };
                ends.insert(*task, [first, second, third]);
            }
        }
        self.group.assign(&ends)?;
        self.sampler.watch(partitions);
        Ok(())
    }

    fn unassign(&mut self) -> Result<(), BrokerError> {
        self.sampler.watch(&[]);
        self.group.unassign()
    }

    fn leave_group(&mut self) -> Result<(), BrokerError> {
        self.sampler.watch(&[]);
        self.group.leave()
    }

    fn seek(&mut self, partition: u32, input: Input, next_offset: i64) -> Result<(), BrokerError> {
        self.group.seek(partition, input, next_offset)
    }

    fn fetch(
        &mut self,
        partition: u32,
        input: Input,
        max: usize,
        into: &mut VecDeque<FetchedRecord>,
    ) -> Result<(), BrokerError> {
        self.group.fetch(partition, input, max, into)
    }

    fn position(&mut self, partition: u32, input: Input) -> Option<i64> {
        self.group.position(partition, input)
    }

    fn end_offsets(&mut self, partition: u32) -> Option<EndSample> {
        self.sampler.latest(partition)
    }

    fn clocks(
        &mut self,
        partitions: u32,
        soon: bool,
    ) -> Result<Option<Arc<ClockSample>>, BrokerError> {
        if self.clocks.is_none() {
            self.clocks = Some(Clocks::start(&self.clients, &self.observer, partitions)?);
        }
        Ok(self.clocks.as_ref().and_then(|clocks| clocks.latest(soon)))
    }

    fn watermarks(&mut self, partition: u32, input: Input) -> Result<Watermarks, BrokerError> {
        self.observer.watermarks(self.clients.names.input(input), partition)
    }

    fn committed(&mut self, partition: u32) -> Result<CommittedOffsets, BrokerError> {
        self.group.committed(partition)
    }

    fn open_changelog(&mut self, partition: u32) -> Result<(), BrokerError> {
        self.changelogs.remove(&partition);
        let topic = self.clients.names.output(Output::State);
        let reader =
            ChangelogReader::open(&self.clients, &self.observer, topic, partition, &self.waker)?;
        self.changelogs.insert(partition, reader);
        Ok(())
    }

    fn read_changelog(
        &mut self,
        partition: u32,
        max: usize,
        into: &mut Vec<ChangelogRecord>,
    ) -> Result<bool, BrokerError> {
        let Some(reader) = self.changelogs.get_mut(&partition) else {
            return Err(BrokerError::Fatal(format!(
                "the changelog of partition {partition} is read before it was opened"
            )));
        };
        let done = reader.read(max, Duration::ZERO, into)?;
        if done {
            self.changelogs.remove(&partition);
        }
        Ok(done)
    }

    fn close_changelog(&mut self, partition: u32) {
        self.changelogs.remove(&partition);
    }

    fn read_control(&mut self) -> Result<Vec<ChangelogRecord>, BrokerError> {
        let topic = self.clients.names.output(Output::Control);
        let mut reader =
            ChangelogReader::open(&self.clients, &self.observer, topic, 0, &self.waker)?;
        let mut records = Vec::new();
        let give_up_ms = monotonic_ms() + CONTROL_TIMEOUT_MS;
        while !reader.read(CONTROL_BATCH, CONTROL_WAIT, &mut records)? {
            if monotonic_ms() > give_up_ms {
                return Err(BrokerError::Retriable(format!(
                    "could not read topic \"{topic}\" to its end in {CONTROL_TIMEOUT_MS} ms, a \
                     transaction may be open in it"
                )));
            }
        }
        Ok(records)
    }

    fn init_producer(&mut self) -> Result<(), BrokerError> {
        self.producer.init()
    }

    fn begin(&mut self) -> Result<(), BrokerError> {
        self.producer.begin()
    }

    fn send(&mut self, record: &OutRecord<'_>) -> Result<Sent, BrokerError> {
        self.producer.send(record)
    }

    fn drained(&mut self) -> Result<bool, BrokerError> {
        self.group.serve()?;
        self.producer.drained()
    }

    fn send_offsets(&mut self, offsets: &[TaskOffsets]) -> Result<(), BrokerError> {
        self.group.serve()?;
        self.group.alive()?;
        let Some(metadata) = self.group.metadata() else {
            return Err(BrokerError::Abort("no partitions were ever assigned".to_owned()));
        };
        self.producer.send_offsets(offsets, metadata)
    }

    fn commit(&mut self) -> Result<Ended, BrokerError> {
        self.group.serve()?;
        self.group.alive()?;
        self.producer.commit()
    }

    fn abort(&mut self) -> Result<Ended, BrokerError> {
        self.group.serve()?;
        self.producer.abort()
    }

    fn wait(&mut self, at_most: Duration) {
        self.waker.wait(at_most);
    }
}
