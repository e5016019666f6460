//! The service: builds broker, registry, workers and HTTP, and runs them until the end.
//!
//! Wires only; every decision is made elsewhere. Next: `service/start.rs`, what has to be true
//! first; `service/workers.rs`, the threads.

pub(crate) mod serving;
mod start;
mod workers;

pub(crate) use workers::{decoders, worker_settings};

use crate::config::{ClockMode, Config};
use crate::domain::customer::Customer;
use crate::domain::relay::MAX_PATH;
use crate::domain::rules::Rules;
use crate::domain::time::Timestamp;
use crate::http::{CustomerAnswer, Sources};
use crate::kafka::Owners;
use crate::metrics::Metrics;
use crate::runtime::broker::BrokerError;
use crate::runtime::clock::{monotonic_ms, wall_now};
use crate::runtime::start::Start;
use crate::runtime::status::{Status, Trouble};
use crate::runtime::stores::{Stores, TaskStates};
use crate::runtime::worker::Shared;
use crate::service::serving::Serving;
use anyhow::{Context, anyhow};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
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

impl From<BrokerError> for ServiceError {
    fn from(error: BrokerError) -> Self {
        Self::Failed(error.into())
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
    let Some(count) = start::wait_for_topics(config, &parts.status, &stop)? else {
        return stopped(options);
    };
    // Set once; a second value cannot come.
    partitions.get_or_init(|| count);
    parts.status.set_partitions(count);
    if options.rebuild {
        if !start::begin_lineage(config, options.baseline, &stop)? {
            return stopped(options);
        }
    } else if options.baseline && !start::begin_baseline(config, count, &stop)? {
        return stopped(options);
    }
    if options.until_end.is_some() && !start::wait_until_alone(config, &stop)? {
        return stopped(options);
    }
    watch_owners(config, count, &parts)?;
    let result = workers::run_workers(config, options, count, workers, &parts);
    parts.status.stop();
    serving.end()?;
    if result.is_ok() {
        tracing::info!("stopped after the last commit");
    }
    result
}

/// The end of a run that was told to stop before it had begun: a failure where something was to
/// be finished.
fn stopped(options: RunOptions) -> Result<(), ServiceError> {
    if options.until_end.is_none() {
        return Ok(());
    }
    Err(ServiceError::Failed(anyhow!(workers::STOPPED_BEFORE_THE_END)))
}

/// Asks now and then who is in the group: who has which partition, for those who ask the wrong
/// instance, and who should not be there.
fn watch_owners(config: &Config, partitions: u32, parts: &Parts) -> Result<(), ServiceError> {
    let asking = Owners::new(config)?;
    let (owners, stop) = (Arc::clone(&parts.owners), Arc::clone(&parts.stop));
    let status = Arc::clone(&parts.status);
    let group = config.application_id.clone();
    let watch = move || {
        let (mut told, mut marks) = (None, BTreeSet::new());
        while !stop.load(Ordering::Relaxed) {
            match asking.foreign_marks(partitions) {
                Ok(found) => marks = found,
                Err(error) => tracing::debug!(%error, "who has committed is not known"),
            }
            match asking.ask() {
                Ok(members) => {
                    *owners.write().unwrap_or_else(PoisonError::into_inner) = members.owners;
                    let trouble = strangers(&group, &members.strangers, &marks);
                    if trouble != told {
                        match &trouble {
                            Some(trouble) => tracing::warn!("{trouble}"),
                            None => tracing::info!("the consumer group has no strangers any more"),
                        }
                        status.set_trouble(Trouble::Group, trouble.clone());
                        told = trouble;
                    }
                }
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

/// What is said of members that do not belong into the group, and of what such have committed.
fn strangers(group: &str, members: &[String], marks: &BTreeSet<String>) -> Option<String> {
    let mut has = Vec::new();
    if !members.is_empty() {
        has.push(format!("members that do not belong there: {}", members.join("; ")));
    }
    if !marks.is_empty() {
        let marks = Vec::from_iter(marks.iter().map(String::as_str)).join("; ");
        has.push(format!("offsets committed by {marks}"));
    }
    (!has.is_empty()).then(|| {
        format!(
            "the consumer group \"{group}\" has {}; hint: two deployments or programs use it by \
             mistake, give each its own application_id",
            has.join(", and ")
        )
    })
}

/// What the workers and the HTTP servers share.
pub(crate) struct Parts {
    /// What the workers are doing.
    pub(crate) status: Arc<Status>,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// Committed states.
    pub(crate) stores: Arc<Stores>,
    pub(crate) start: Arc<Start>,
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
            start: Start::new(workers),
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
            start: Arc::clone(&self.start),
        }
    }

    /// What HTTP answers from; customers are found once the number of partitions is known.
    pub(crate) fn sources(&self, config: &Config, partitions: Arc<OnceLock<u32>>) -> Sources {
        let stores = Arc::clone(&self.stores);
        let wall = config.clock == ClockMode::Wall;
        let owners = Arc::clone(&self.owners);
        let lookup = move |id: &str| match partitions.get() {
            None => CustomerAnswer::NotReady("the topics have not been looked at yet".to_owned()),
            Some(count) => {
                let owner = |partition| {
                    let owners = owners.read().unwrap_or_else(PoisonError::into_inner);
                    owners.get(&partition).cloned()
                };
                look_up(&stores, *count, wall, id, owner)
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

/// Answers for one customer from committed states; whoever became another one is followed.
pub(crate) fn look_up(
    stores: &Stores,
    partitions: u32,
    wall: bool,
    id: &str,
    owner: impl Fn(u32) -> Option<String>,
) -> CustomerAnswer {
    let mut present = id.to_owned();
    // Redirects that go in a circle are on their way to end it.
    for _ in 0..MAX_PATH {
        let partition = crate::domain::id::partition_of(&present, partitions);
        let Some(TaskStates { states, marks, rules }) = stores.get(partition) else {
            let moved_to = Some(present).filter(|present| present != id);
            return CustomerAnswer::Elsewhere { partition, owner: owner(partition), moved_to };
        };
        let salted = crate::domain::id::salted_id(&rules.fold.erase_salt, &present);
        match crate::task::store::look_up(&states, &present, &rules) {
            Err(error) => return CustomerAnswer::NotReady(error.to_string()),
            Ok(Some(customer)) => return found(&customer, &rules, wall, id),
            Ok(None) => match marks.get(&salted).and_then(|mark| mark.to.clone()) {
                Some(to) => present = to.into(),
                None => return CustomerAnswer::NotFound,
            },
        }
    }
    CustomerAnswer::NotReady(format!("customer {id} is being merged"))
}

/// The profile; `moved_from` where another id was asked for.
fn found(customer: &Customer, rules: &Rules, wall: bool, asked: &str) -> CustomerAnswer {
    let now = if wall { wall_now() } else { customer.evaluated_at };
    let at = customer.evaluated_at.max(now);
    let mut json = Vec::with_capacity(1024);
    crate::codec::profile::ProfileEncoder::with_evidence()
        .encode(&crate::domain::publish::profile::profile(customer, rules, at), &mut json);
    if asked != customer.id {
        let moved_from = format!("{{\"moved_from\":{},", serde_json::Value::from(asked));
        json.splice(..1, moved_from.into_bytes());
    }
    CustomerAnswer::Found(json)
}

/// Sleeps, unless told to stop.
fn pause(stop: &AtomicBool, duration: Duration) {
    let until_ms = monotonic_ms() + i64::try_from(duration.as_millis()).unwrap_or(0);
    while !stop.load(Ordering::Relaxed) && monotonic_ms() < until_ms {
        thread::park_timeout(Duration::from_millis(50));
    }
}
