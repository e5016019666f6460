//! `ebbflow demo`: a year of a real shop through an embedded broker, and what silence does then.
//!
//! Shows the whole path and checks it on the way: what was sent was read, what was written was
//! read back, and state and topic tell the same. Reading order: this file, `orders.rs`,
//! `interactions.rs`, `feed.rs`, `cluster.rs`, `journal.rs`, `census.rs`, `report.rs`,
//! `journey_matrix.rs`.

mod census;
mod cluster;
mod feed;
mod interactions;
mod journal;
mod journey_matrix;
mod orders;
mod report;

use crate::config::from_sources;
use crate::config::{ClockMode, Config, ConfigError, Encoding, FileText, Loaded, Setting};
use crate::demo::census::Census;
use crate::demo::cluster::Cluster;
use crate::demo::feed::{CURRENCY, Feed};
use crate::demo::journal::Journal;
use crate::demo::report::{Addresses, Figures, Moments};
use crate::domain::dimension::Dimension;
use crate::domain::dimensions::lifecycle::Stage;
use crate::domain::money::Currency;
use crate::domain::subject::Subject;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::kafka::mock::{Feeder, MockBroker, TopicReader};
use crate::runtime::broker::Input;
use crate::runtime::clock::{monotonic_ms, wall_now};
use crate::service::serving::Serving;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What the demo sets over the defaults.
const CONFIG: &str = include_str!("../../config/demo.toml");
/// How long nothing happens after the last order, in days.
const SILENCE_DAYS: i64 = 120;
/// How long to wait for records or for the worker in one turn.
const TURN: Duration = Duration::from_millis(10);
/// Without any progress for so long, something is broken; in ms.
const STUCK_MS: i64 = 60_000;
/// Where stderr is no terminal, a line is written after each of these parts.
const PARTS: u64 = 10;

/// The configuration of the demo, with settings laid over it.
///
/// # Errors
/// With all problems at once.
pub fn load(settings: &[Setting]) -> Result<Loaded, ConfigError> {
    let file = FileText { path: Path::new("the demo's configuration"), text: CONFIG };
    from_sources(Some(file), [], settings)
}

/// Why the demo cannot run with this configuration.
///
/// # Errors
/// With the reason.
pub fn check(config: &Config) -> Result<()> {
    let encoding = &config.encoding;
    let all =
        [encoding.purchases, encoding.interactions, encoding.segment_changes, encoding.customers];
    if config.clock != ClockMode::Event {
        bail!("the demo needs clock = \"event\": its orders are years old");
    }
    if all.contains(&Encoding::Avro) || config.rules.output.compact {
        bail!("the demo reads its topics as JSON with all details");
    }
    if !Currency::parse(CURRENCY).is_some_and(|currency| config.rules.rates.knows(currency)) {
        bail!("the demo needs base_currency = \"{CURRENCY}\", or a rate for it");
    }
    if !Dimension::all_of(Subject::Customer).all(|it| config.rules.emits(it)) {
        bail!("the demo needs every dimension in output.dimensions");
    }
    Ok(())
}

/// What the demo is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Stay up until SIGINT or SIGTERM.
    pub serve: bool,
    /// How the program was called, for the commands to try next.
    pub program: &'a str,
}

/// Runs the demo on its broker.
///
/// # Errors
/// When something fails, or when what was sent and what was read differ.
pub fn run(
    broker: &MockBroker,
    config: &Config,
    options: Options<'_>,
    out: &mut dyn Write,
    tell: &mut dyn FnMut(&str),
) -> Result<()> {
    let serve = options.serve;
    broker.create_topics(config)?;
    let servers = broker.bootstrap_servers();
    let feed = Feed::new(config.topics.partitions)?;
    let text = report::banner(&servers, config.topics.partitions, feed.len(), &feed.counts, serve);
    out.write_all(text.as_bytes())?;
    out.flush()?;
    let cluster = Cluster::start(config)?;
    let serving = if serve {
        let partitions = Arc::new(OnceLock::from(config.topics.partitions));
        let sources = cluster.parts.sources(config, partitions);
        Some(Serving::start(&config.http, sources, &cluster.parts.stop)?)
    } else {
        None
    };
    let reader = TopicReader::open(config, &config.topics.segment_changes)?;
    let next = report::next_commands(options.program, serve);
    let journal = Journal::default();
    let mut demo = Demo { config, feed, cluster, reader, journal, next, tell };
    let shown = demo.show(out)?;
    if let (Some(example), Some(serving)) = (&shown, &serving) {
        let addresses = Addresses {
            servers: &servers,
            metrics: serving.metrics_address.to_string(),
            admin: serving.admin_address.to_string(),
            customer_id: example,
            an_order_at: demo.silence_ends().plus_days(1),
        };
        out.write_all(report::serving(&addresses).as_bytes())?;
        out.flush()?;
        demo.cluster.go_on()?;
        while !demo.stopping() {
            demo.cluster.done(TURN * 10)?;
        }
    }
    demo.cluster.stop()?;
    serving.map_or(Ok(()), Serving::end)
}

struct Demo<'a> {
    config: &'a Config,
    feed: Feed,
    cluster: Cluster,
    reader: TopicReader,
    journal: Journal,
    /// What is said at last.
    next: String,
    tell: &'a mut dyn FnMut(&str),
}

impl Demo<'_> {
    /// The whole show; the customer it told of, `None` when told to stop meanwhile.
    fn show(&mut self, out: &mut dyn Write) -> Result<Option<String>> {
        if !self.cluster.wait_ready()? {
            return Ok(None);
        }
        // Time stands still at the last order until everybody was looked at.
        self.cluster.end_at(&self.feed.ends, None)?;
        let began_ms = monotonic_ms();
        if !self.stream()? {
            return Ok(None);
        }
        let streaming_ms = monotonic_ms() - began_ms;
        let read = self.check_counts()?;
        let before = self.census(&self.feed.customers)?;
        let prospects = self.census(&self.feed.prospects)?;
        let changes_before = self.journal.count;
        let expansion = self.journal.expansion;

        let began_ms = monotonic_ms();
        self.cluster.end_at(&self.feed.ends, Some(self.silence_ends()))?;
        if !self.settle()? {
            return Ok(None);
        }
        let silence_ms = monotonic_ms() - began_ms;
        self.check_counts()?;
        let after = self.census(&self.feed.customers)?;
        let figures = Figures {
            counts: self.feed.counts,
            sent: self.feed.sent(),
            read,
            streaming_ms,
            silence_changes: self.journal.count - changes_before,
            silence_ms,
        };
        let moments = Moments {
            last_order_at: self.feed.last_at,
            advanced_to: self.silence_ends(),
            before: &before,
            after: &after,
        };
        let (example, steps) = self.journal.example().context("nobody came back")?;
        let map = &self.config.rules.thresholds.rfm.map;
        let mut segments: Vec<&str> = map.values().iter().map(|it| it.name.as_str()).collect();
        segments.push("none");
        let stages = Stage::ALL.map(Stage::name);
        let text = report::figures(&figures, &self.journal)
            + &report::table("RFM segment", &segments, &moments, "rfm")
            + &report::table("Lifecycle stage", &stages, &moments, "lifecycle")
            + &report::prospects(&prospects)
            + &journey_matrix::dimensions(&before, map)
            + &report::journey(example, &steps)
            + &journey_matrix::matrix(&before, &report::day(self.feed.last_at))
            + &journey_matrix::headline(&expansion)
            + &self.next;
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(Some(example.to_owned()))
    }

    fn silence_ends(&self) -> Timestamp {
        self.feed.last_at.plus_ms(SILENCE_DAYS * DAY_MS)
    }

    fn stopping(&self) -> bool {
        self.cluster.parts.stop.load(Ordering::Relaxed)
    }

    /// Sends everything and reads what comes of it; false when told to stop meanwhile.
    fn stream(&mut self) -> Result<bool> {
        let feeder = Feeder::new(self.config)?;
        let mut progress = Progress::new(self.feed.len());
        let (mut last_ms, mut last) = (monotonic_ms(), (0, 0, 0));
        loop {
            let processed = self.cluster.processed();
            let sent = self.feed.send_some(&feeder, processed)?;
            self.read_changes(if sent { Duration::ZERO } else { TURN })?;
            progress.show(processed, self.tell);
            if self.stopping() {
                return Ok(false);
            }
            let now = (processed, self.feed.sent(), self.journal.count);
            if now != last {
                (last_ms, last) = (monotonic_ms(), now);
            } else if monotonic_ms() - last_ms > STUCK_MS {
                bail!(
                    "nothing moves: {processed} of {} events processed, {} sent",
                    self.feed.len(),
                    self.feed.sent()
                );
            }
            if self.feed.sent() == self.feed.len() && processed >= self.feed.len() {
                break;
            }
        }
        feeder.wait_for(self.feed.len())?;
        let settled = self.settle()?;
        progress.finish();
        Ok(settled)
    }

    /// Waits until the worker has done all it was told, and reads the rest of what it wrote;
    /// false when told to stop meanwhile.
    fn settle(&mut self) -> Result<bool> {
        while !self.cluster.done(Duration::ZERO)? {
            self.read_changes(TURN)?;
            if self.stopping() {
                return Ok(false);
            }
        }
        let give_up_ms = monotonic_ms() + STUCK_MS;
        let written = self.counted("ebbflow_changes_total", "")?;
        while self.journal.count < written && monotonic_ms() < give_up_ms {
            self.read_changes(TURN)?;
        }
        Ok(true)
    }

    fn read_changes(&mut self, wait: Duration) -> Result<()> {
        let journal = &mut self.journal;
        let mut failed = None;
        self.reader.read(wait, |record| {
            if failed.is_none() {
                failed = journal.take(record).err();
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// Insists that what was sent was read and what was written was read back; says how many
    /// events were read.
    fn check_counts(&self) -> Result<u64> {
        let inputs = [Input::Purchases, Input::Interactions];
        let mut read = 0;
        for input in inputs {
            let label = format!("topic=\"{}\"", input.name());
            read += self.counted("ebbflow_input_records_total", &label)?;
        }
        let sent = self.feed.sent();
        if read != sent {
            bail!("{sent} events were sent and {read} were read");
        }
        let refused = self.counted("ebbflow_dead_letters_total", "")?;
        if refused > 0 {
            bail!("{refused} events were refused; they are in the topic dead-letters");
        }
        let written = self.counted("ebbflow_changes_total", "")?;
        if written != self.journal.count {
            bail!("{written} changes were written and {} were read", self.journal.count);
        }
        Ok(read)
    }

    /// What a counter says, over all of its series with the label: what a scrape would show.
    fn counted(&self, name: &str, label: &str) -> Result<u64> {
        let parts = &self.cluster.parts;
        let now = wall_now();
        let text = parts.metrics.render(now, &parts.status.snapshot(now))?;
        let series = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        let values = series.filter(|line| line.contains(label));
        let values = values.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
        Ok(values.sum())
    }

    fn census(&self, people: &[String]) -> Result<Census> {
        Census::take(
            people.iter().map(String::as_str),
            &self.cluster.parts.stores,
            self.config.topics.partitions,
            &self.journal,
        )
    }
}

/// How far the worker is: a bar on a terminal, else a line now and then.
struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    told: u64,
}

impl Progress {
    fn new(total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            let template = "  {bar:40} {percent:>3} %  {human_pos} events, {per_sec}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, total, told: 0 }
    }

    fn show(&mut self, processed: u64, tell: &mut dyn FnMut(&str)) {
        if let Some(bar) = &self.bar {
            bar.set_position(processed);
            return;
        }
        let part = processed * PARTS / self.total.max(1);
        if part > self.told {
            self.told = part;
            tell(&format!("  {:>3} % of the events processed", part * 100 / PARTS));
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
