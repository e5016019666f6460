//! The service: builds broker, registry, workers and HTTP, and runs them until the end.
//!
//! Wires only; every decision is made elsewhere. Next: `runtime/worker.rs`, `kafka/mod.rs`.

pub(crate) mod serving;

use crate::codec::decoder::{Decoder, Format, Framing, RecordType};
use crate::codec::encode::OutputFormat;
use crate::codec::schema;
use crate::codec::state::{LINEAGE_KEY, Lineage, decode_lineage, encode_lineage};
use crate::config::{ClockMode, Config, Encoding};
use crate::domain::name::Name;
use crate::domain::time::Timestamp;
use crate::http::{CustomerAnswer, Sources};
use crate::kafka::{ConnectMode, KafkaBroker, Owners, check_topics, replace_control};
use crate::metrics::Metrics;
use crate::registry::{Registry, RegistryError};
use crate::runtime::broker::{Broker, BrokerError};
use crate::runtime::clock::{SystemClock, monotonic_ms, wall_now};
use crate::runtime::pump::TopicDecoders;
use crate::runtime::settings::{AskForSchema, Round, SchemaAnswer, Settings, WorkerError};
use crate::runtime::status::Status;
use crate::runtime::stores::Stores;
use crate::runtime::worker::{Shared, Worker};
use crate::service::serving::Serving;
use crate::task::TaskConfig;
use anyhow::{Context, anyhow};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, mpsc};
use std::thread;
use std::time::Duration;

/// How often the group is asked who has which partition.
const OWNERS_EVERY: Duration = Duration::from_secs(5);
/// How long to wait before something that may come up is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// What a run is to do beside its configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions {
    /// Process up to the ends of now, advance the clocks to the time (if any), stop.
    pub until_end: Option<Option<Timestamp>>,
    /// Build state silently first, then write one change per customer and dimension.
    pub baseline: bool,
    /// Begin a new lineage from the inputs.
    pub rebuild: bool,
}

/// Why the service could not start or go on.
#[derive(Debug)]
pub enum ServiceError {
    /// What was asked for cannot be: exit code 2.
    Refused(anyhow::Error),
    /// Something failed while running: exit code 1.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for ServiceError {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// Runs the service until it is done or told to stop.
///
/// # Errors
/// Why it could not start or go on.
pub fn run(config: &Config, options: RunOptions) -> Result<(), ServiceError> {
    let identity = &config.rules.identity;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        application_id = config.application_id,
        instance_id = config.instance_id,
        rules = format!("{}/{}/{}", identity.set, identity.revision, identity.hash),
        servers = config.kafka.bootstrap_servers,
        "starting"
    );
    let workers = if options.until_end.is_some() { 1 } else { config.workers };
    let parts = Parts::new(config, workers)?;
    let stop = Arc::clone(&parts.stop);
    let partitions = Arc::new(OnceLock::new());
    let sources = parts.sources(config, Arc::clone(&partitions));
    let serving = Serving::start(&config.http, sources, &stop)?;
    let Some(count) = wait_for_topics(config, &parts.status, &stop)? else { return Ok(()) };
    // Set once; a second value cannot come.
    partitions.get_or_init(|| count);
    parts.status.set_partitions(count);
    if options.rebuild {
        begin_lineage(config)?;
    }
    watch_owners(config, &parts)?;
    let result = run_workers(config, options, count, workers, &parts);
    parts.status.stop();
    serving.end()?;
    if result.is_ok() {
        tracing::info!("stopped after the last commit");
    }
    result
}

/// Raises the lineage by one; the tasks find that theirs is older and begin anew.
fn begin_lineage(config: &Config) -> Result<(), ServiceError> {
    let next = |present: Option<&[u8]>| {
        let present = present.map(decode_lineage).transpose().map_err(|error| error.to_string())?;
        let number = present.unwrap_or(Lineage::FIRST).number + 1;
        tracing::info!(lineage = number, "a new lineage begins");
        Ok(encode_lineage(Lineage { number, began_at: wall_now() }))
    };
    replace_control(config, LINEAGE_KEY, next).map_err(|error| ServiceError::Failed(error.into()))
}

/// Asks now and then who has which partition, for those who ask the wrong instance.
fn watch_owners(config: &Config, parts: &Parts) -> Result<(), ServiceError> {
    let asking = Owners::new(config).map_err(|error| ServiceError::Failed(error.into()))?;
    let (owners, stop) = (Arc::clone(&parts.owners), Arc::clone(&parts.stop));
    let watch = move || {
        while !stop.load(Ordering::Relaxed) {
            match asking.ask() {
                Ok(told) => *owners.write().unwrap_or_else(PoisonError::into_inner) = told,
                Err(error) => tracing::debug!(%error, "the owners of partitions are not known"),
            }
            pause(&stop, OWNERS_EVERY);
        }
    };
    thread::Builder::new()
        .name("owners".to_owned())
        .spawn(watch)
        .context("could not start a thread")?;
    Ok(())
}

/// What the workers and the HTTP servers share.
pub(crate) struct Parts {
    /// What the workers are doing.
    pub(crate) status: Arc<Status>,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// Committed states.
    pub(crate) stores: Arc<Stores>,
    /// Set when the workers are to end.
    pub(crate) stop: Arc<AtomicBool>,
    /// Who has which partition, as last told by the group.
    pub(crate) owners: Arc<RwLock<BTreeMap<u32, String>>>,
}

impl Parts {
    /// For this many workers, none of which has started.
    ///
    /// # Errors
    /// When the metrics cannot be set up.
    pub(crate) fn new(config: &Config, workers: usize) -> anyhow::Result<Self> {
        let metrics = Metrics::new(
            config.rules.identity.revision,
            config.dead_letter_budget_per_minute.saturating_mul(config.workers as u64),
        )
        .context("could not set up the metrics")?;
        Ok(Self {
            status: Status::new(workers),
            metrics: Arc::new(metrics),
            stores: Arc::default(),
            stop: Arc::default(),
            owners: Arc::default(),
        })
    }

    /// A worker's share.
    pub(crate) fn shared(&self) -> Shared {
        Shared {
            status: Arc::clone(&self.status),
            metrics: Arc::clone(&self.metrics),
            stores: Arc::clone(&self.stores),
        }
    }

    /// What HTTP answers from; customers are found once the number of partitions is known.
    pub(crate) fn sources(&self, config: &Config, partitions: Arc<OnceLock<u32>>) -> Sources {
        let stores = Arc::clone(&self.stores);
        let rules = Arc::clone(&config.rules);
        let wall = config.clock == ClockMode::Wall;
        let owners = Arc::clone(&self.owners);
        let lookup = move |id: &str| match partitions.get() {
            None => CustomerAnswer::NotReady("the topics have not been looked at yet".to_owned()),
            Some(count) => {
                let owner = |partition| {
                    let owners = owners.read().unwrap_or_else(PoisonError::into_inner);
                    owners.get(&partition).cloned()
                };
                look_up(&stores, &rules, *count, wall, id, owner)
            }
        };
        Sources {
            status: Arc::clone(&self.status),
            metrics: Arc::clone(&self.metrics),
            lookup: Arc::new(lookup),
            stalled_after: config.kafka.max_poll_interval,
        }
    }
}

/// Answers for one customer from committed states.
pub(crate) fn look_up(
    stores: &Stores,
    rules: &crate::domain::rules::Rules,
    partitions: u32,
    wall: bool,
    id: &str,
    owner: impl Fn(u32) -> Option<String>,
) -> CustomerAnswer {
    let partition = crate::domain::id::partition_of(id, partitions);
    let Some(states) = stores.get(partition) else {
        return CustomerAnswer::Elsewhere { partition, owner: owner(partition) };
    };
    match crate::task::store::look_up(&states, id, rules) {
        Err(error) => CustomerAnswer::NotReady(error.to_string()),
        Ok(None) => CustomerAnswer::NotFound,
        Ok(Some(customer)) => {
            let now = if wall { wall_now() } else { customer.evaluated_at };
            let at = customer.evaluated_at.max(now);
            let mut json = Vec::with_capacity(1024);
            crate::codec::profile::ProfileEncoder::new(OutputFormat::Json)
                .encode(&crate::task::profile::profile(&customer, rules, at), &mut json);
            CustomerAnswer::Found(json)
        }
    }
}

/// Waits for the cluster and checks its topics; `None` when told to stop meanwhile.
fn wait_for_topics(
    config: &Config,
    status: &Status,
    stop: &AtomicBool,
) -> Result<Option<u32>, ServiceError> {
    while !stop.load(Ordering::Relaxed) {
        let asked_at = wall_now();
        match check_topics(config) {
            Ok(report) => {
                status.cluster().answered(0, wall_now());
                for warning in &report.warnings {
                    tracing::warn!("{warning}");
                }
                return match report.tasks() {
                    Some(partitions) => Ok(Some(partitions)),
                    None => Err(ServiceError::Refused(anyhow!(
                        "the topics are not as they must be:\n  {}",
                        report.problems.join("\n  ")
                    ))),
                };
            }
            Err(BrokerError::Retriable(reason)) => {
                status.cluster().failed(0, asked_at, wall_now(), &reason);
                pause(stop, RETRY);
            }
            Err(error) => return Err(ServiceError::Failed(error.into())),
        }
    }
    Ok(None)
}

/// Sleeps, unless told to stop.
fn pause(stop: &AtomicBool, duration: Duration) {
    let until_ms = monotonic_ms() + i64::try_from(duration.as_millis()).unwrap_or(0);
    while !stop.load(Ordering::Relaxed) && monotonic_ms() < until_ms {
        thread::park_timeout(Duration::from_millis(50));
    }
}

fn run_workers(
    config: &Config,
    options: RunOptions,
    partitions: u32,
    workers: usize,
    parts: &Parts,
) -> Result<(), ServiceError> {
    let registry = config.registry.as_ref().map(Registry::new).transpose();
    let registry = registry.map_err(|error| ServiceError::Refused(error.into()))?;
    let Some(settings) = settings(config, options, partitions, registry.as_ref(), &parts.stop)?
    else {
        return Ok(());
    };
    let (ends, ended) = mpsc::channel();
    for index in 0..workers {
        let (config, settings, ends) = (config.clone(), settings.clone(), ends.clone());
        let shared = parts.shared();
        let stop = Arc::clone(&parts.stop);
        thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                let run = || run_worker(&config, settings, shared, index, &stop);
                let result = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
                    Err(WorkerError::Failed(format!(
                        "worker {index} panicked; nothing of its open transaction is visible; \
                         hint: restart, and report the message above"
                    )))
                });
                // The receiver outlives every worker.
                ends.send(result).ok();
            })
            .context("could not start a worker thread")?;
    }
    drop(ends);
    let mut first_error = None;
    while let Ok(result) = ended.recv() {
        // Tasks of a worker that has ended would be nobody's: the process ends as a whole.
        parts.stop.store(true, Ordering::Relaxed);
        parts.status.stop();
        if let Err(error) = result {
            tracing::error!("{error}");
            first_error.get_or_insert(error);
        }
    }
    match first_error {
        None => Ok(()),
        Some(error @ WorkerError::Refused(_)) => Err(ServiceError::Refused(error.into())),
        Some(error @ WorkerError::Failed(_)) => Err(ServiceError::Failed(error.into())),
    }
}

fn run_worker(
    config: &Config,
    settings: Settings,
    shared: Shared,
    index: usize,
    stop: &AtomicBool,
) -> Result<(), WorkerError> {
    let broker = loop {
        let asked_at = wall_now();
        match KafkaBroker::connect(config, index, ConnectMode::Cluster) {
            Ok(broker) => break broker,
            Err(BrokerError::Retriable(reason)) if !stop.load(Ordering::Relaxed) => {
                shared.status.cluster().failed(index, asked_at, wall_now(), &reason);
                pause(stop, RETRY);
            }
            Err(error) => return Err(WorkerError::Failed(error.to_string())),
        }
    };
    broker.report_to(Arc::clone(&shared.status), index);
    let registry = config.registry.as_ref().map(Registry::new).transpose();
    let registry = registry.map_err(|error| WorkerError::Refused(error.to_string()))?;
    let mut worker = Worker::new(
        broker,
        SystemClock,
        settings,
        decoders(config),
        ask_registry(registry),
        shared,
        index,
    );
    drive(&mut worker, stop)
}

/// Runs a worker until it is done, has to end, or is told to stop.
///
/// # Errors
/// Why the worker had to end.
pub(crate) fn drive<B: Broker>(
    worker: &mut Worker<B, SystemClock>,
    stop: &AtomicBool,
) -> Result<(), WorkerError> {
    while !stop.load(Ordering::Relaxed) {
        match worker.round()? {
            Round::Busy => {}
            Round::Idle(at_most) => worker.wait(at_most),
            Round::Done => break,
        }
    }
    worker.stop()
}

/// What the workers are told; `None` when told to stop while the registry did not answer.
fn settings(
    config: &Config,
    options: RunOptions,
    partitions: u32,
    registry: Option<&Registry>,
    stop: &AtomicBool,
) -> Result<Option<Settings>, ServiceError> {
    let mut formats = [OutputFormat::Json; 2];
    let outputs = [
        (
            config.encoding.segment_changes,
            &config.topics.segment_changes,
            schema::SEGMENT_CHANGES.text,
        ),
        (config.encoding.customers, &config.topics.customers, schema::CUSTOMERS.text),
    ];
    for (format, (encoding, topic, schema)) in formats.iter_mut().zip(outputs) {
        match output_format(encoding, topic, schema, registry, stop)? {
            Some(chosen) => *format = chosen,
            None => return Ok(None),
        }
    }
    Ok(Some(worker_settings(config, options, partitions, formats)))
}

/// What the workers are told, the encodings of changes and profiles being known.
pub(crate) fn worker_settings(
    config: &Config,
    options: RunOptions,
    partitions: u32,
    [changes, profiles]: [OutputFormat; 2],
) -> Settings {
    Settings {
        task: TaskConfig {
            application_id: config.application_id.as_str().into(),
            partition: 0,
            partitions,
            rules: Arc::clone(&config.rules),
            profiles_on_touch: config.profiles_on_touch,
            run_id: format!("{}-{}", config.instance_id, wall_now().0).into(),
            rebuilt_at: Timestamp::MIN,
        },
        topics: [&config.topics.interactions, &config.topics.purchases, &config.topics.relay]
            .map(|topic| Name::from(topic.clone())),
        commit: config.commit,
        wall_clock: config.clock == ClockMode::Wall,
        timers_per_round: config.timers_per_round,
        dead_letter_max_bytes: config.dead_letter_max_bytes,
        changes,
        compact_changes: config.compact_changes,
        profiles,
        leave_on_stop: config.leave_on_stop,
        until_end: options.until_end,
        baseline: options.baseline,
        forgetful: false,
        commit_patience: config.kafka.max_poll_interval / 2,
    }
}

/// The encoding of an output topic; with a registry its schema is registered first.
fn output_format(
    encoding: Encoding,
    topic: &str,
    schema: &str,
    registry: Option<&Registry>,
    stop: &AtomicBool,
) -> Result<Option<OutputFormat>, ServiceError> {
    let registry = match (encoding, registry) {
        (Encoding::Json, _) => return Ok(Some(OutputFormat::Json)),
        (Encoding::Avro, None) => return Ok(Some(OutputFormat::AvroSingleObject)),
        (Encoding::Avro, Some(registry)) => registry,
    };
    while !stop.load(Ordering::Relaxed) {
        match registry.register(&format!("{topic}-value"), schema) {
            Ok(schema_id) => return Ok(Some(OutputFormat::AvroConfluent { schema_id })),
            Err(error @ RegistryError::Unavailable { .. }) => {
                tracing::warn!(%error, "an output's schema could not be registered; trying again");
                pause(stop, RETRY);
            }
            Err(error) => return Err(ServiceError::Failed(error.into())),
        }
    }
    Ok(None)
}

/// The decoders of the input topics.
pub(crate) fn decoders(config: &Config) -> TopicDecoders {
    let framing =
        if config.registry.is_some() { Framing::Confluent } else { Framing::SingleObject };
    let format = |encoding| match encoding {
        Encoding::Json => Format::Json,
        Encoding::Avro => Format::Avro(framing),
    };
    TopicDecoders {
        decoders: [
            Decoder::new(RecordType::Interactions, format(config.encoding.interactions)),
            Decoder::new(RecordType::Purchases, format(config.encoding.purchases)),
        ],
        rules: Arc::clone(&config.rules),
    }
}

fn ask_registry(registry: Option<Registry>) -> AskForSchema {
    Box::new(move |id| {
        let Some(registry) = &registry else {
            return SchemaAnswer::Unknown("no registry is configured".to_owned());
        };
        match registry.fetch_schema(id) {
            Ok(schema) if schema.schema_type == "AVRO" => SchemaAnswer::Schema(schema.text),
            Ok(schema) => {
                SchemaAnswer::Unknown(format!("its type is {}, not AVRO", schema.schema_type))
            }
            Err(error @ RegistryError::NotFound { .. }) => SchemaAnswer::Unknown(error.to_string()),
            Err(error) => SchemaAnswer::Unavailable(error.to_string()),
        }
    })
}
