//! How far all tasks of the group have come, as they have committed it: asked for once a second
//! by a thread of its own, more often while something waits for the answer.
//!
//! Its consumer never joins the group, and as it reads what is uncommitted its question for
//! offsets does not wait for open transactions: it is told what was committed last. The ends are
//! asked for after the offsets, so that whoever has committed them has consumed everything from
//! before the sample's wall time. Next: `runtime/hold.rs`, what follows from it; `ends.rs`.

use crate::kafka::batch::offset_metadata;
use crate::kafka::client::{Clients, Names, create};
use crate::kafka::diagnostics::PlainContext;
use crate::kafka::ends::{Observer, number};
use crate::kafka::error;
use crate::kafka::mark::Mark;
use crate::runtime::broker::{BrokerError, ClockSample, CommittedOffsets, Input, TaskSample};
use crate::runtime::clock::{monotonic_ms, wall_now};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the group's offsets are asked for.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// The same while something waits for it.
const SAMPLE_SOON: Duration = Duration::from_millis(200);
/// How long the answer may take.
const OFFSETS_TIMEOUT: Duration = Duration::from_secs(5);

/// Samples the clocks of all tasks from a thread of its own, until dropped.
pub(crate) struct Clocks {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    latest: Option<Arc<ClockSample>>,
    /// Somebody waits for the next sample.
    soon: bool,
    stopping: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Asking {
    consumer: BaseConsumer<PlainContext>,
    observer: Arc<Observer>,
    names: Arc<Names>,
    mark: Mark,
    partitions: Vec<u32>,
}

impl Clocks {
    /// Watches the tasks of so many partitions.
    pub(crate) fn start(
        clients: &Clients,
        observer: &Arc<Observer>,
        partitions: u32,
    ) -> Result<Self, BrokerError> {
        let asking = Asking {
            consumer: create(&clients.group_observer(), clients.plain_context())?,
            observer: Arc::clone(observer),
            names: Arc::clone(&clients.names),
            mark: clients.mark.clone(),
            partitions: (0..partitions).collect(),
        };
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new()
            .name("clocks".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || sample(&shared, &asking)
            })
            .map_err(|error| BrokerError::Fatal(format!("could not start a thread: {error}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The latest sample; `soon` when something waits for the next one.
    pub(crate) fn latest(&self, soon: bool) -> Option<Arc<ClockSample>> {
        let mut state = self.shared.lock();
        if soon && !state.soon {
            self.shared.changed.notify_one();
        }
        state.soon = soon;
        state.latest.clone()
    }
}

impl Drop for Clocks {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that samples the clocks of tasks panicked");
        }
    }
}

fn sample(shared: &Shared, asking: &Asking) {
    loop {
        match asking.ask() {
            Ok(sample) => shared.lock().latest = Some(Arc::new(sample)),
            Err(error) => tracing::debug!(%error, "the clocks of tasks are not known"),
        }
        let asked_ms = monotonic_ms();
        let mut state = shared.lock();
        loop {
            if state.stopping {
                return;
            }
            let every = if state.soon { SAMPLE_SOON } else { SAMPLE_EVERY };
            let passed_ms = u64::try_from(monotonic_ms() - asked_ms).unwrap_or(0);
            let left = every.saturating_sub(Duration::from_millis(passed_ms));
            if left.is_zero() {
                break;
            }
            let waited = shared.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Asking {
    fn ask(&self) -> Result<ClockSample, BrokerError> {
        let committed = self.committed()?;
        let (at, asked_ms) = (wall_now(), monotonic_ms());
        let (ends, error, _) = self.observer.ends(&self.partitions);
        if let Some(error) = error {
            tracing::debug!(%error, "the clocks of some tasks are not known");
        }
        let tasks = self.partitions.iter().zip(committed);
        let tasks = tasks.map(|(partition, committed)| TaskSample {
            committed,
            ends: ends.get(partition).copied(),
        });
        Ok(ClockSample { asked_ms, at, tasks: tasks.collect() })
    }

    /// What each task has committed last.
    fn committed(&self) -> Result<Vec<CommittedOffsets>, BrokerError> {
        let doing = "read what the tasks of the group have committed";
        let failed = |error| error::query(doing, &error, &self.consumer.context().diagnostics);
        let mut wanted =
            TopicPartitionList::with_capacity(self.partitions.len() * Input::ALL.len());
        for partition in &self.partitions {
            for input in Input::ALL {
                wanted.add_partition(self.names.input(input), number(*partition));
            }
        }
        let answer = self.consumer.committed_offsets(wanted, OFFSETS_TIMEOUT).map_err(failed)?;
        let elements = answer.elements();
        let mut found = Vec::with_capacity(self.partitions.len());
        for (index, partition) in self.partitions.iter().enumerate() {
            let first = index * Input::ALL.len();
            let mut next_offsets = [None; 3];
            for (next_offset, element) in next_offsets.iter_mut().zip(&elements[first..]) {
                element.error().map_err(failed)?;
                if let Offset::Offset(offset) = element.offset() {
                    *next_offset = Some(offset);
                }
            }
            let marked = (first..first + Input::ALL.len())
                .find_map(|element| offset_metadata(&answer, element));
            let metadata =
                marked.map(|marked| self.mark.take_off(*partition, &marked)).transpose()?;
            found.push(CommittedOffsets { next_offsets, metadata });
        }
        Ok(found)
    }
}
