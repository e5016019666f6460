//! `ebbflow replay`: the same computation without Kafka, from JSON Lines to changes.
//!
//! Splits the events as a topic would (murmur2 of the subject, and record type) and runs the same
//! tasks over the same pump, so that its output is what the service would write.
//! Next: `runtime/pump.rs`.

use crate::codec::change::ChangeEncoder;
use crate::codec::decoder::{DecodeError, decode_json_line};
use crate::codec::encode::OutputFormat;
use crate::codec::profile::ProfileEncoder;
use crate::config::Config;
use crate::domain::event::{Body, Event, Interaction};
use crate::domain::id::partition_of;
use crate::domain::name::Name;
use crate::domain::progress::Phase;
use crate::domain::publish::profile::profile;
use crate::domain::refusal::Reason;
use crate::domain::rules::Rules;
use crate::domain::time::Timestamp;
use crate::runtime::broker::{Input, Record};
use crate::runtime::heads::Decode;
use crate::runtime::in_step::{Lane, pump_in_step};
use crate::runtime::pump::{Limits, Pumped};
use crate::task::{PartitionTask, TaskConfig};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Dead letters of one reason that are told of one by one.
const TOLD_OF_EACH: u64 = 10;
/// Lines consumed between two commits in memory.
const LINES_AT_ONCE: usize = 10_000;

/// A line of a file in the log that it belongs to.
struct Line {
    text: Box<[u8]>,
    offset: i64,
    /// File and line number, for messages.
    place: (u32, u64),
}

impl Record for Line {
    fn key(&self) -> Option<&[u8]> {
        None
    }

    fn value(&self) -> Option<&[u8]> {
        Some(&self.text)
    }

    fn offset(&self) -> i64 {
        self.offset
    }

    fn timestamp(&self) -> Option<Timestamp> {
        None
    }
}

/// Lines hold both record types; the kind says which.
struct LineDecoder {
    rules: Arc<Rules>,
}

impl Decode for LineDecoder {
    fn decode<'r>(&self, _input: usize, value: &'r [u8]) -> Result<Event<'r>, DecodeError> {
        Ok(decode_json_line(value, &self.rules.rates)?)
    }
}

/// What to replay, and where to.
#[derive(Clone, Debug)]
pub struct Request {
    /// Files of JSON Lines; `-` is stdin.
    pub files: Vec<PathBuf>,
    /// Partitions to split the events into.
    pub partitions: u32,
    /// Move the clocks on to this instant after the last event.
    pub advance_to: Option<Timestamp>,
    /// Later events are dead letters.
    pub now: Timestamp,
    /// Where the changes go; `None` and `-` = the given writer.
    pub changes: Option<PathBuf>,
    /// Where the final profiles go; `-` = the given writer, `None` = nowhere.
    pub customers: Option<PathBuf>,
}

impl Request {
    /// Whether the inputs can be opened, and the outputs are others than the inputs and two.
    ///
    /// # Errors
    /// With what is wrong; nothing was written.
    pub fn check(&self) -> Result<()> {
        let is_file = |path: &&PathBuf| path.as_path() != Path::new(DASH);
        let mut inputs = Vec::new();
        for path in self.files.iter().filter(is_file) {
            let name = path.display();
            let found = path.metadata().with_context(|| format!("could not open \"{name}\""))?;
            if found.is_dir() {
                bail!("could not read \"{name}\": it is a folder; hint: name its files");
            }
            // Opening a pipe would end whoever writes to it.
            if found.is_file() {
                File::open(path).with_context(|| format!("could not open \"{name}\""))?;
            }
            inputs.push(path.canonicalize().unwrap_or_else(|_| path.clone()));
        }
        let outputs = [("--changes", &self.changes), ("--customers", &self.customers)];
        let mut taken = inputs;
        for (flag, path) in outputs {
            let Some(path) = path.as_ref().filter(is_file) else { continue };
            let name = path.display();
            match path.metadata() {
                Ok(found) if found.is_dir() => bail!("{flag} \"{name}\" is a folder"),
                // Devices and pipes lose nothing.
                Ok(found) if !found.is_file() => continue,
                Ok(_) => {}
                Err(_) => {
                    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                    if !folder.unwrap_or(Path::new(".")).is_dir() {
                        bail!("{flag} \"{name}\": there is no such folder");
                    }
                }
            }
            let place = path.canonicalize().or_else(|_| std::path::absolute(path));
            let place = place.unwrap_or_else(|_| path.clone());
            if taken.contains(&place) {
                bail!(
                    "{flag} \"{name}\" is an input or the other output, and would be overwritten"
                );
            }
            taken.push(place);
        }
        let is_stdout = |path: &PathBuf| path == Path::new(DASH);
        if self.changes.as_ref().is_none_or(is_stdout)
            && self.customers.as_ref().is_some_and(is_stdout)
        {
            bail!(
                "--customers - and the changes would both go to stdout; hint: give --changes FILE"
            );
        }
        Ok(())
    }
}

/// Stands for stdin among the files, and for the given writer among the outputs.
const DASH: &str = "-";

/// What a replay came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Replayed {
    /// Events that were read.
    pub events: u64,
    /// Lines that were refused.
    pub dead_letters: u64,
    /// How many of them were not told of, by reason.
    pub untold: BTreeMap<&'static str, u64>,
    /// The latest that a clock has come to by events alone.
    pub latest: Option<Timestamp>,
    /// Changes that were written.
    pub changes: u64,
    /// Customers at the end.
    pub customers: u64,
    /// Events without effect, by the kind that is not known.
    pub unknown_kinds: BTreeMap<String, u64>,
}

/// Replays files; `refused` is told of the first lines of each reason that are dead letters.
///
/// # Errors
/// When a file cannot be read or written.
pub fn replay(
    args: &Request,
    config: &Config,
    stdout: &mut dyn Write,
    refused: &mut dyn FnMut(String),
) -> Result<Replayed> {
    let now = args.now;
    let mut logs = Logs::new(args.partitions, Arc::clone(&config.rules));
    for (index, path) in args.files.iter().enumerate() {
        logs.read(u32::try_from(index)?, path)?;
    }
    let mut stdout = Some(stdout);
    let changes = args.changes.as_deref().unwrap_or(Path::new(DASH));
    let mut changes = open_output(changes, &mut stdout)?;
    let mut profiles = match &args.customers {
        Some(path) => Some(open_output(path, &mut stdout)?),
        None => None,
    };
    let mut replayed =
        Replayed { unknown_kinds: std::mem::take(&mut logs.unknown_kinds), ..Replayed::default() };
    let mut told = BTreeMap::new();
    let decoder = LineDecoder { rules: Arc::clone(&config.rules) };
    let topics = [&config.topics.interactions, &config.topics.purchases, &config.topics.relay]
        .map(|topic| Name::from(topic.clone()));
    let mut tasks: Vec<PartitionTask> = (0..args.partitions)
        .map(|partition| {
            let config = TaskConfig {
                application_id: config.application_id.as_str().into(),
                partition,
                partitions: args.partitions,
                rules: Arc::clone(&config.rules),
                keys_are_trusted: false,
                profiles_on_touch: false,
                run_id: "replay".into(),
                rebuilt_at: Timestamp::MIN,
            };
            PartitionTask::new(config, 1, Phase::Live)
        })
        .collect();
    let mut run = Run {
        files: &args.files,
        changes: &mut changes,
        encoder: ChangeEncoder::new(OutputFormat::Json, config.rules.output.compact),
        replayed: &mut replayed,
        told: &mut told,
        refused,
    };
    run.logs(&mut tasks, &logs.logs, &decoder, &topics, now)?;
    for task in &mut tasks {
        let clock = Some(task.clock()).filter(|clock| *clock > Timestamp::MIN);
        run.replayed.latest = run.replayed.latest.max(clock);
        if let Some(advance_to) = args.advance_to {
            task.advance_to(advance_to);
            run.timers(task)?;
        }
        if let Some(profiles) = &mut profiles {
            write_profiles(task, profiles)?;
        }
        run.replayed.customers += task.store().len() as u64;
    }
    changes.flush().context("could not write the changes")?;
    if let Some(profiles) = &mut profiles {
        profiles.flush().context("could not write the profiles")?;
    }
    Ok(replayed)
}

/// By partition, the logs of interactions, purchases and relay.
struct Logs {
    rules: Arc<Rules>,
    logs: Vec<[Vec<Line>; 3]>,
    unknown_kinds: BTreeMap<String, u64>,
}

impl Logs {
    fn new(partitions: u32, rules: Arc<Rules>) -> Self {
        let logs = (0..partitions).map(|_| [Vec::new(), Vec::new(), Vec::new()]).collect();
        Self { rules, logs, unknown_kinds: BTreeMap::new() }
    }

    fn read(&mut self, file: u32, path: &Path) -> Result<()> {
        let name = path.display();
        let mut reader: Box<dyn BufRead> = if path == Path::new(DASH) {
            Box::new(BufReader::new(io::stdin()))
        } else {
            let opened = File::open(path).with_context(|| format!("could not open \"{name}\""))?;
            Box::new(BufReader::new(opened))
        };
        let mut text = Vec::new();
        for number in 1.. {
            text.clear();
            let read = reader.read_until(b'\n', &mut text);
            if read.with_context(|| format!("could not read \"{name}\""))? == 0 {
                break;
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            let (partition, input) = match decode_json_line(&text, &self.rules.rates) {
                Ok(event) => {
                    let subject_id = event.subject_id();
                    let partitions = u32::try_from(self.logs.len())?;
                    if let Body::Interaction(Interaction::Unknown { kind }) = &event.body {
                        *self.unknown_kinds.entry(kind.to_string()).or_default() += 1;
                    }
                    let input = match event.body {
                        Body::Interaction(_) => Input::Interactions,
                        Body::Purchase(_) => Input::Purchases,
                    };
                    (partition_of(&subject_id, partitions), input)
                }
                // It becomes a dead letter when its log is read.
                Err(_) => (0, Input::Interactions),
            };
            let log = &mut self.logs[usize::try_from(partition)?][input.index()];
            let offset = i64::try_from(log.len())?;
            log.push(Line { text: text.trim_ascii().into(), offset, place: (file, number) });
        }
        Ok(())
    }
}

/// What a replay reads and writes.
struct Run<'a, 'w> {
    files: &'a [PathBuf],
    changes: &'a mut Box<dyn Write + 'w>,
    encoder: ChangeEncoder,
    replayed: &'a mut Replayed,
    /// Dead letters that were told of, by reason.
    told: &'a mut BTreeMap<Reason, u64>,
    refused: &'a mut dyn FnMut(String),
}

impl Run<'_, '_> {
    /// Replays the logs of all partitions in step.
    fn logs(
        &mut self,
        tasks: &mut [PartitionTask],
        logs: &[[Vec<Line>; 3]],
        decoder: &LineDecoder,
        topics: &[Name; 3],
        now: Timestamp,
    ) -> Result<()> {
        let mut rest: Vec<[&[Line]; 3]> =
            logs.iter().map(|log| log.each_ref().map(Vec::as_slice)).collect();
        loop {
            let mut lanes = Vec::with_capacity(tasks.len());
            for ((task, log), records) in tasks.iter_mut().zip(logs).zip(&rest) {
                let mut ends = [None; 3];
                for (end, lines) in ends.iter_mut().zip(log) {
                    *end = Some(i64::try_from(lines.len())?);
                }
                let limits = Limits {
                    topics,
                    ends,
                    stop_at_ends: false,
                    wall: None,
                    in_step: None,
                    limit: Some(now),
                    waits: false,
                    records: LINES_AT_ONCE,
                    timers: usize::MAX,
                };
                lanes.push(Lane { task, records: *records, limits, pumped: Pumped::default() });
            }
            pump_in_step(&mut lanes, decoder)?;
            let all: Vec<Pumped> = lanes.into_iter().map(|lane| lane.pumped).collect();
            let mut limited = false;
            for ((task, rest), pumped) in tasks.iter_mut().zip(&mut rest).zip(all) {
                limited |= pumped.limited;
                self.account(rest, &pumped)?;
                for (rest, consumed) in rest.iter_mut().zip(pumped.consumed) {
                    *rest = &rest[consumed..];
                }
                self.write(task)?;
            }
            if !limited {
                return Ok(());
            }
        }
    }

    /// Counts what was read of a partition, and tells of what was refused.
    fn account(&mut self, rest: &[&[Line]; 3], pumped: &Pumped) -> Result<()> {
        for (input, place, refusal) in &pumped.refused {
            self.replayed.dead_letters += 1;
            let told = self.told.entry(refusal.reason).or_default();
            if *told >= TOLD_OF_EACH {
                *self.replayed.untold.entry(refusal.reason.code()).or_default() += 1;
                continue;
            }
            *told += 1;
            let (file, line) = rest[*input][*place].place;
            let file = self.files[usize::try_from(file)?].display();
            (self.refused)(format!("dead letter: {file}:{line}: {refusal}"));
        }
        self.replayed.events += pumped.handled.len() as u64;
        Ok(())
    }

    fn timers(&mut self, task: &mut PartitionTask) -> Result<()> {
        while task.fire_timers(LINES_AT_ONCE, None)? > 0 {
            self.write(task)?;
        }
        Ok(())
    }

    fn write(&mut self, task: &mut PartitionTask) -> Result<()> {
        let mut value = Vec::with_capacity(1024);
        for change in task.take_changes() {
            self.encoder.encode(&change, &mut value);
            value.push(b'\n');
            self.changes.write_all(&value).context("could not write the changes")?;
            self.replayed.changes += 1;
        }
        task.pack(|_, _, _| {});
        task.commit().context("a state cannot be read")?;
        Ok(())
    }
}

fn write_profiles(task: &PartitionTask, into: &mut impl Write) -> Result<()> {
    let mut encoder = ProfileEncoder::with_evidence();
    let mut value = Vec::with_capacity(1024);
    for customer in task.store().customers(task.rules()) {
        let customer = customer?;
        let at = customer.evaluated_at.max(task.clock());
        encoder.encode(&profile(&customer, task.rules(), at), &mut value);
        value.push(b'\n');
        into.write_all(&value).context("could not write the profiles")?;
    }
    Ok(())
}

/// Opens a file, or takes the given writer.
fn open_output<'w>(
    path: &Path,
    stdout: &mut Option<&'w mut dyn Write>,
) -> Result<Box<dyn Write + 'w>> {
    if path == Path::new(DASH) {
        let stdout = stdout.take().context("changes and profiles would both go to stdout")?;
        return Ok(Box::new(BufWriter::new(stdout)));
    }
    let file =
        File::create(path).with_context(|| format!("could not create \"{}\"", path.display()))?;
    Ok(Box::new(BufWriter::new(file)))
}
