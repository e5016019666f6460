//! The service in small: one worker on the embedded broker, told when to pause and to go on.
//!
//! The same worker as `ebbflow run` has; it restores nothing, for the broker keeps nothing.
//! Next: `mod.rs`, which leads it; `runtime/worker.rs`.

use crate::codec::encode::OutputFormat;
use crate::config::Config;
use crate::domain::time::Timestamp;
use crate::kafka::{ConnectMode, KafkaBroker};
use crate::runtime::broker::Input;
use crate::runtime::clock::{SystemClock, monotonic_ms};
use crate::runtime::settings::{Round, SchemaAnswer, Settings, WorkerError};
use crate::runtime::worker::{Shared, Worker};
use crate::service::{Parts, RunOptions, decoders, worker_settings};
use anyhow::{Context, Result, anyhow, bail};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long the worker may take to get its tasks, in ms.
const READY_TIMEOUT_MS: i64 = 60_000;
/// How often the worker is asked how it is doing.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long an idle worker that has done everything may sleep.
const NAP: Duration = Duration::from_millis(20);

/// What the worker is told.
enum Order {
    /// Process the inputs up to these ends, then move the clocks.
    EndAt(BTreeMap<u32, [i64; 3]>, Option<Timestamp>),
    /// Process what comes.
    GoOn,
}

/// What the worker tells.
enum Report {
    /// An order is followed from now on.
    Taken,
    /// What the last order asked for is done and committed.
    Done,
    /// The worker has ended.
    Ended(Result<(), WorkerError>),
}

/// The worker's thread.
pub(super) struct Cluster {
    pub(super) parts: Parts,
    orders: Sender<Order>,
    reports: Receiver<Report>,
    thread: Option<JoinHandle<()>>,
}

impl Cluster {
    /// Starts the worker; it joins its group in the background.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(config: &Config) -> Result<Self> {
        let parts = Parts::new(config, 1)?;
        parts.status.set_partitions(config.topics.partitions);
        let formats = [OutputFormat::Json; 2];
        let options = RunOptions::default();
        let mut settings = worker_settings(config, options, config.topics.partitions, formats);
        settings.forgetful = true;
        let (orders, taken) = mpsc::channel();
        let (told, reports) = mpsc::channel();
        let config = config.clone();
        let (shared, stop) = (parts.shared(), Arc::clone(&parts.stop));
        let thread = thread::Builder::new()
            .name("worker-0".to_owned())
            .spawn(move || {
                let ended = work(&config, settings, shared, &stop, &taken, &told);
                // Whoever would have wanted to know has gone first.
                told.send(Report::Ended(ended)).ok();
            })
            .context("could not start the worker's thread")?;
        Ok(Self { parts, orders, reports, thread: Some(thread) })
    }

    /// Waits until the worker has all tasks; false when told to stop meanwhile.
    ///
    /// # Errors
    /// When the worker ended, or does not get there.
    pub(super) fn wait_ready(&self) -> Result<bool> {
        let give_up_ms = monotonic_ms() + READY_TIMEOUT_MS;
        while let Err(reasons) = self.parts.status.ready() {
            if monotonic_ms() > give_up_ms {
                bail!("the worker did not get its tasks: {}", reasons.join("; "));
            }
            if self.parts.stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            self.next(LOOK_EVERY)?;
        }
        Ok(true)
    }

    /// Tells the worker where its inputs will end and where the clocks are to go then.
    ///
    /// # Errors
    /// When the worker has ended.
    pub(super) fn end_at(
        &self,
        ends: &BTreeMap<u32, [i64; 3]>,
        advance_to: Option<Timestamp>,
    ) -> Result<()> {
        self.tell(Order::EndAt(ends.clone(), advance_to))
    }

    /// Tells the worker to process whatever comes.
    ///
    /// # Errors
    /// When the worker has ended.
    pub(super) fn go_on(&self) -> Result<()> {
        self.tell(Order::GoOn)
    }

    fn tell(&self, order: Order) -> Result<()> {
        self.orders.send(order).map_err(|_| anyhow!("the worker has ended"))?;
        while !matches!(self.next(LOOK_EVERY)?, Some(Report::Taken)) {}
        Ok(())
    }

    /// Whether everything that was asked for is done; waits for it at most that long.
    ///
    /// # Errors
    /// Why the worker ended.
    pub(super) fn done(&self, wait: Duration) -> Result<bool> {
        Ok(matches!(self.next(wait)?, Some(Report::Done)))
    }

    fn next(&self, wait: Duration) -> Result<Option<Report>> {
        match self.reports.recv_timeout(wait) {
            Ok(Report::Ended(Err(error))) => Err(error.into()),
            // It was told to: whoever did so looks at the flag.
            Ok(Report::Ended(Ok(()))) | Err(RecvTimeoutError::Timeout) => Ok(None),
            Ok(report) => Ok(Some(report)),
            Err(RecvTimeoutError::Disconnected) if self.parts.stop.load(Ordering::Relaxed) => {
                Ok(None)
            }
            Err(RecvTimeoutError::Disconnected) => bail!("the worker's thread has gone"),
        }
    }

    /// Records of the inputs processed so far.
    pub(super) fn processed(&self) -> u64 {
        let (workers, _) = self.parts.status.report();
        let tasks = workers.iter().flat_map(|worker| worker.tasks.values());
        let offsets = tasks.flat_map(|task| {
            [Input::Interactions, Input::Purchases].map(|it| task.inputs[it.index()].next_offset)
        });
        u64::try_from(offsets.sum::<i64>()).unwrap_or(0)
    }

    /// Ends the worker.
    ///
    /// # Errors
    /// When its last transaction could not be committed.
    pub(super) fn stop(mut self) -> Result<()> {
        self.parts.status.stop();
        self.parts.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| anyhow!("the worker's thread panicked"))?;
        }
        while let Ok(report) = self.reports.try_recv() {
            if let Report::Ended(ended) = report {
                ended?;
            }
        }
        Ok(())
    }
}

impl Drop for Cluster {
    /// The embedded broker must outlive the worker, also when something fails.
    fn drop(&mut self) {
        self.parts.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the worker's thread panicked");
        }
    }
}

fn work(
    config: &Config,
    settings: Settings,
    shared: Shared,
    stop: &AtomicBool,
    orders: &Receiver<Order>,
    reports: &Sender<Report>,
) -> Result<(), WorkerError> {
    let broker = KafkaBroker::connect(config, 0, ConnectMode::Mock)
        .map_err(|error| WorkerError::Failed(error.to_string()))?;
    broker.report_to(Arc::clone(&shared.status), 0);
    let no_registry = Box::new(|_| SchemaAnswer::Unknown("there is no registry".to_owned()));
    let decoders = decoders(config);
    let mut worker = Worker::new(broker, SystemClock, settings, decoders, no_registry, shared, 0);
    let mut done = false;
    while !stop.load(Ordering::Relaxed) {
        let order = orders.try_recv();
        match &order {
            Ok(Order::EndAt(ends, advance_to)) => worker.end_at(ends, *advance_to),
            Ok(Order::GoOn) => worker.go_on(),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => break,
        }
        if order.is_ok() {
            done = false;
            reports.send(Report::Taken).ok();
        }
        match worker.round()? {
            Round::Busy => {}
            Round::Idle(at_most) => worker.wait(at_most),
            Round::Done => {
                if !done {
                    done = true;
                    reports.send(Report::Done).ok();
                }
                worker.wait(NAP);
            }
        }
    }
    worker.stop()
}
