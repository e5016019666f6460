//! End offsets of the inputs: asked once, or sampled all the time by a thread of its own.
//!
//! A sample is the wall time read first and the high watermarks asked for after it, so that a
//! consumer which has passed those ends has seen everything from before that time. The same
//! questions show whether the cluster answers. Never touches the group.
//! Next: `runtime/worker.rs`, where samples move clocks; `runtime/status/cluster.rs`.

use crate::kafka::client::{Clients, Names, create};
use crate::kafka::diagnostics::PlainContext;
use crate::kafka::error;
use crate::runtime::broker::{BrokerError, EndSample, Input, Watermarks};
use crate::runtime::clock::{monotonic_ms, wall_now};
use crate::runtime::status::Status;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the ends are sampled.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// How often the cluster is asked for a sign of life while no task is watched, in ms.
const REACH_EVERY_MS: i64 = 1_000;
/// How often partitions without an end are told of, in ms.
const TELL_EVERY_MS: i64 = 60_000;
/// How long one query may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the cluster may take to answer about its topics.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// High watermarks by task and input.
pub(crate) type Ends = BTreeMap<u32, [i64; 3]>;
/// Topic, partition and why.
type Unanswered = (String, i32, KafkaError);

/// A client that reads watermarks and nothing else; may be shared between threads.
pub(crate) struct Observer {
    consumer: BaseConsumer<PlainContext>,
    names: Arc<Names>,
}

impl Observer {
    pub(crate) fn new(clients: &Clients) -> Result<Self, BrokerError> {
        let consumer = create(&clients.observer(), clients.plain_context())?;
        Ok(Self { consumer, names: Arc::clone(&clients.names) })
    }

    /// Fails unless the cluster answers; the error says what the client told meanwhile.
    pub(crate) fn reach(&self, timeout: Duration) -> Result<(), BrokerError> {
        let topic = self.names.input(Input::ALL[0]);
        let answer = self.consumer.fetch_metadata(Some(topic), timeout);
        self.serve();
        answer.map(drop).map_err(|error| self.failed("reach the kafka cluster", &error))
    }

    /// Partitions and replicas of a topic; `None` when it does not exist.
    pub(crate) fn shape(
        &self,
        topic: &str,
        timeout: Duration,
    ) -> Result<Option<TopicShape>, BrokerError> {
        let doing = format!("look up topic \"{topic}\"");
        let answer = self
            .consumer
            .fetch_metadata(Some(topic), timeout)
            .map_err(|error| self.failed(&doing, &error))?;
        let Some(found) = answer.topics().iter().find(|found| found.name() == topic) else {
            return Ok(None);
        };
        match found.error().map(RDKafkaErrorCode::from) {
            None => Ok(Some(TopicShape {
                partitions: u32::try_from(found.partitions().len()).unwrap_or(u32::MAX),
                replicas: found
                    .partitions()
                    .iter()
                    .map(|partition| partition.replicas().len())
                    .min()
                    .unwrap_or(0),
            })),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                Ok(None)
            }
            Some(code) => Err(self.failed(&doing, &KafkaError::MetadataFetch(code))),
        }
    }

    /// Number of living brokers.
    pub(crate) fn brokers(&self, timeout: Duration) -> Result<usize, BrokerError> {
        let topic = self.names.input(Input::ALL[0]);
        self.consumer
            .fetch_metadata(Some(topic), timeout)
            .map(|answer| answer.brokers().len())
            .map_err(|error| self.failed("list the brokers", &error))
    }

    /// Serves callbacks for that long.
    pub(crate) fn pause(&self, time: Duration) {
        drop(self.consumer.poll(time));
    }

    /// High watermarks of the inputs of these tasks, in one request by broker; only of tasks all
    /// of whose inputs answer. Why the others are missing comes with it, and whether the cluster
    /// has answered at all: what it says of a partition without a leader is an answer too.
    pub(crate) fn ends(&self, partitions: &[u32]) -> (Ends, Option<BrokerError>, bool) {
        let doing = "read the end offsets of the inputs";
        match self.ask_ends(partitions) {
            Ok((ends, failures)) => {
                let first = failures.first().map(|(topic, partition, error)| {
                    let doing = format!("{doing}: \"{topic}\" partition {partition}");
                    self.failed(&doing, error)
                });
                let topics: BTreeSet<&str> =
                    failures.iter().map(|(topic, ..)| topic.as_str()).collect();
                self.look_up(topics);
                (ends, first, true)
            }
            Err(error) => {
                let answered = is_leaderless(&error)
                    && self.look_up(Input::ALL.map(|input| self.names.input(input)));
                (Ends::new(), Some(self.failed(doing, &error)), answered)
            }
        }
    }

    fn ask_ends(&self, partitions: &[u32]) -> Result<(Ends, Vec<Unanswered>), KafkaError> {
        if partitions.is_empty() {
            return Ok((Ends::new(), Vec::new()));
        }
        let mut wanted = TopicPartitionList::with_capacity(partitions.len() * 3);
        for input in Input::ALL {
            for partition in partitions {
                // The logical offset `End`, sent as a timestamp, is Kafka's LATEST.
                let (topic, partition) = (self.names.input(input), number(*partition));
                wanted.add_partition_offset(topic, partition, Offset::End)?;
            }
        }
        let answer = self.consumer.offsets_for_times(wanted, QUERY_TIMEOUT)?;
        let elements = answer.elements();
        let (mut ends, mut unanswered) = (Ends::new(), Vec::new());
        for (index, partition) in partitions.iter().enumerate() {
            let mut of_task = [0; 3];
            let mut is_whole = true;
            for (input, end) in of_task.iter_mut().enumerate() {
                let element = &elements[input * partitions.len() + index];
                match (element.error(), element.offset()) {
                    (Ok(()), Offset::Offset(offset)) => *end = offset,
                    (answer, _) => {
                        let error = answer.err().unwrap_or(KafkaError::OffsetFetch(
                            RDKafkaErrorCode::LeaderNotAvailable,
                        ));
                        let topic = element.topic().to_owned();
                        unanswered.push((topic, element.partition(), error));
                        is_whole = false;
                    }
                }
            }
            if is_whole {
                ends.insert(*partition, of_task);
            }
        }
        Ok((ends, unanswered))
    }

    /// Log start and high watermark of one partition.
    pub(crate) fn watermarks(
        &self,
        topic: &str,
        partition: u32,
    ) -> Result<Watermarks, BrokerError> {
        self.consumer
            .fetch_watermarks(topic, number(partition), QUERY_TIMEOUT)
            .map(|(low, high)| Watermarks { low, high })
            .map_err(|error| {
                if is_leaderless(&error) {
                    self.look_up([topic]);
                }
                let doing = format!("read the watermarks of \"{topic}\" partition {partition}");
                self.failed(&doing, &error)
            })
    }

    /// Of a partition that was seen without a leader librdkafka says so from its cache, and does
    /// not ask again for minutes (`rd_kafka_topic_partition_list_get_leaders`): asks again. False
    /// when the cluster does not answer.
    fn look_up<'t>(&self, topics: impl IntoIterator<Item = &'t str>) -> bool {
        let look_up = |topic| self.consumer.fetch_metadata(Some(topic), QUERY_TIMEOUT);
        let failed = topics.into_iter().find_map(|topic| look_up(topic).err());
        if let Some(error) = &failed {
            tracing::debug!(%error, "topic not looked up");
        }
        failed.is_none()
    }

    fn failed(&self, doing: &str, error: &KafkaError) -> BrokerError {
        self.serve();
        error::query(doing, error, &self.consumer.context().diagnostics)
    }

    /// Error callbacks and log lines come only in a poll.
    fn serve(&self) {
        for _ in 0..8 {
            // A client without a group or an assignment yields no records, and its errors have
            // gone to the callback.
            drop(self.consumer.poll(Duration::ZERO));
        }
    }
}

/// Size of a topic.
pub(crate) struct TopicShape {
    pub(crate) partitions: u32,
    /// The least of its partitions.
    pub(crate) replicas: usize,
}

/// Whether it comes from the cache: all that was asked for has no leader there.
fn is_leaderless(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::LeaderNotAvailable | RDKafkaErrorCode::UnknownPartition)
    )
}

/// Kafka's partition number.
pub(crate) fn number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// Samples the ends of the watched tasks from a thread of its own, until dropped.
pub(crate) struct Sampler {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Who is told whether the cluster answers, and as which worker.
    listener: OnceLock<(Arc<Status>, usize)>,
}

#[derive(Default)]
struct State {
    watched: Vec<u32>,
    /// Raised with every change of `watched`: a sample asked for before it is not published.
    generation: u64,
    samples: BTreeMap<u32, EndSample>,
    stopping: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sampler {
    pub(crate) fn start(observer: Arc<Observer>) -> Result<Self, BrokerError> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
            listener: OnceLock::new(),
        });
        let thread = std::thread::Builder::new()
            .name("end-offsets".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || sample(&shared, &observer)
            })
            .map_err(|error| BrokerError::Fatal(format!("could not start a thread: {error}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Watches these tasks and no others; what was sampled before is forgotten.
    pub(crate) fn watch(&self, partitions: &[u32]) {
        let mut state = self.shared.lock();
        state.watched = partitions.to_vec();
        state.generation += 1;
        state.samples.clear();
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Tells from now on, as the worker of this number, whether the cluster answers.
    pub(crate) fn report_to(&self, status: Arc<Status>, worker: usize) {
        self.shared.listener.get_or_init(|| (status, worker));
    }

    /// The latest sample of a watched task.
    pub(crate) fn latest(&self, partition: u32) -> Option<EndSample> {
        self.shared.lock().samples.get(&partition).copied()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that samples end offsets panicked");
        }
    }
}

fn sample(shared: &Shared, observer: &Observer) {
    let (mut next_reach_ms, mut next_told_ms) = (i64::MIN, i64::MIN);
    loop {
        let (watched, generation) = {
            let state = shared.lock();
            if state.stopping {
                return;
            }
            (state.watched.clone(), state.generation)
        };
        let now_ms = monotonic_ms();
        if !watched.is_empty() || now_ms >= next_reach_ms {
            next_reach_ms = now_ms + REACH_EVERY_MS;
            ask(shared, observer, &watched, generation, &mut next_told_ms);
        }
        observer.serve();
        let state = shared.lock();
        let unchanged = |state: &mut State| !state.stopping && state.generation == generation;
        drop(shared.changed.wait_timeout_while(state, SAMPLE_EVERY, unchanged));
    }
}

/// Takes one sample and tells whether the cluster answered.
fn ask(
    shared: &Shared,
    observer: &Observer,
    watched: &[u32],
    generation: u64,
    next_told_ms: &mut i64,
) {
    // Read before the ends are asked for: that order is what a sample promises.
    let (at, asked_ms) = (wall_now(), monotonic_ms());
    let (ends, error, answered) = if watched.is_empty() {
        let error = observer.reach(QUERY_TIMEOUT).err();
        (Ends::new(), error.clone(), error.is_none())
    } else {
        observer.ends(watched)
    };
    let mut state = shared.lock();
    if state.generation == generation {
        let sample = |(task, ends)| (task, EndSample { at, asked_ms, ends });
        state.samples.extend(ends.into_iter().map(sample));
    }
    drop(state);
    if let Some(error) = &error {
        let now_ms = monotonic_ms();
        if answered && now_ms >= *next_told_ms {
            *next_told_ms = now_ms + TELL_EVERY_MS;
            tracing::warn!(%error, "a task waits for the end of an input");
        } else {
            tracing::debug!(%error, "end offsets not sampled, clocks wait");
        }
    }
    let Some((status, worker)) = shared.listener.get() else { return };
    match error.filter(|_| !answered) {
        None => status.cluster().answered(*worker, wall_now()),
        Some(error) => status.cluster().failed(*worker, at, wall_now(), &error.to_string()),
    }
}
