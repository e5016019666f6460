//! The worker threads: what each is told, how it is run, and what its end means.
//!
//! Never looks into a transaction. Next: `runtime/worker.rs`, `kafka/mod.rs`.

use crate::codec::decoder::{Decoder, Format, Framing, RecordType};
use crate::codec::encode::OutputFormat;
use crate::codec::schema;
use crate::config::{ClockMode, Config, Encoding};
use crate::domain::name::Name;
use crate::domain::rules::ProfilesOn;
use crate::domain::time::Timestamp;
use crate::kafka::{ConnectMode, KafkaBroker};
use crate::registry::{Registry, RegistryError};
use crate::runtime::broker::{Broker, BrokerError};
use crate::runtime::clock::{SystemClock, wall_now};
use crate::runtime::heads::TopicDecoders;
use crate::runtime::settings::{AskForSchema, Round, SchemaAnswer, Settings, WorkerError};
use crate::runtime::worker::{Shared, Worker};
use crate::service::{Parts, RETRY, RunOptions, ServiceError, pause, stopped};
use crate::task::TaskConfig;
use anyhow::Context;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

/// Unpacked customers of a task at most: they take a kilobyte each, and more of them do not stay in
/// the second-level cache of a core.
const UNPACKED: usize = 256;
/// What a run that was to end by itself says when it is stopped.
pub(super) const STOPPED_BEFORE_THE_END: &str =
    "stopped before the ends of the inputs; hint: run it again, it goes on where it stopped";

pub(super) fn run_workers(
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
        return stopped(options);
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
            Err(BrokerError::Retriable(_)) if settings.until_end.is_none() => return Ok(()),
            Err(BrokerError::Retriable(_)) => {
                return Err(WorkerError::Failed(STOPPED_BEFORE_THE_END.to_owned()));
            }
            Err(error) => return Err(WorkerError::Failed(error.to_string())),
        }
    };
    broker.report_to(Arc::clone(&shared.status), index);
    let registry = config.registry.as_ref().map(Registry::new).transpose();
    let registry = registry.map_err(|error| WorkerError::Refused(error.to_string()))?;
    let (ends, partitions) = (settings.until_end.is_some(), settings.task.partitions);
    let mut worker = Worker::new(
        broker,
        SystemClock,
        settings,
        decoders(config),
        ask_registry(registry),
        shared,
        index,
    );
    let done = drive(&mut worker, stop)?;
    match (ends, done) {
        (false, _) => Ok(()),
        (true, false) => Err(WorkerError::Failed(STOPPED_BEFORE_THE_END.to_owned())),
        (true, true) => check_finished(&worker.partitions(), partitions, &config.application_id),
    }
}

/// Runs a worker until it is done (true), has to end, or is told to stop (false).
fn drive<B: Broker>(
    worker: &mut Worker<B, SystemClock>,
    stop: &AtomicBool,
) -> Result<bool, WorkerError> {
    let mut done = false;
    while !done && !stop.load(Ordering::Relaxed) {
        match worker.round()? {
            Round::Busy => {}
            Round::Idle(at_most) => worker.wait(at_most),
            Round::Done => done = true,
        }
    }
    worker.stop().map(|()| done)
}

/// A run that ends by itself has succeeded only when this process finished every partition: a
/// member that joins meanwhile takes some of them away.
fn check_finished(
    finished: &[u32],
    partitions: u32,
    application_id: &str,
) -> Result<(), WorkerError> {
    let left: Vec<String> = (0..partitions)
        .filter(|partition| !finished.contains(partition))
        .map(|partition| partition.to_string())
        .collect();
    if left.is_empty() {
        return Ok(());
    }
    Err(WorkerError::Failed(format!(
        "--until-end has not finished partitions {}: another member of the consumer group \
         \"{application_id}\" has them; hint: stop all other instances and run it again, it goes \
         on where it stopped",
        left.join(", ")
    )))
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
            keys_are_trusted: config.trusted_keys,
            profiles_on_touch: config.rules.output.profiles == ProfilesOn::Touch,
            run_id: "".into(),
            rebuilt_at: Timestamp::MIN,
        },
        topics: [&config.topics.interactions, &config.topics.purchases, &config.topics.relay]
            .map(|topic| Name::from(topic.clone())),
        commit: config.commit,
        wall_clock: config.clock == ClockMode::Wall,
        max_hold: (!config.trusted_keys).then_some(config.max_hold),
        timers_per_round: config.timers_per_round,
        unpacked: UNPACKED,
        dead_letter_max_bytes: config.dead_letter_max_bytes,
        changes,
        profiles,
        leave_on_stop: config.leave_on_stop,
        until_end: options.until_end,
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
