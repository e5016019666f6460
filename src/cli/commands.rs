//! `run`, `replay`, `demo`, `topics` and `why`: from arguments to the parts that do the work.
//!
//! Loads the configuration, starts logging, prints what is asked for; no logic beside that.

use crate::cli::args::{DemoArgs, ReplayArgs, RunArgs, TopicsArgs, WhyArgs};
use crate::cli::check_config::{check_outside, check_properties};
use crate::cli::last_trace::last_trace;
use crate::cli::topics_remarks::topics_remarks;
use crate::cli::topics_table::topics_table;
use crate::cli::{Failure, print, warn};
use crate::codec;
use crate::codec::kinds::did_you_mean;
use crate::config::{Config, Loaded};
use crate::demo::Options;
use crate::domain::time::Timestamp;
use crate::kafka::mock::MockBroker;
use crate::kafka::topics::{TopicReport, check_topics, create_topics};
use crate::logging;
use crate::replay::Request;
use crate::runtime::broker::BrokerError;
use crate::runtime::clock::wall_now;
use crate::service::{RunOptions, ServiceError};
use crate::why::WhyError;
use anyhow::Context;
use std::io;

/// Runs the service.
///
/// # Errors
/// Why it could not start or go on.
pub fn run(args: &RunArgs, log: Option<&str>) -> Result<(), Failure> {
    let loaded = args.config.load(log)?;
    check_outside(&loaded)?;
    let config = begin(loaded)?;
    if let Some(warning) = config.rebuild_forgets().filter(|_| args.rebuild) {
        tracing::warn!("{warning}");
    }
    let options = RunOptions {
        until_end: args.until_end.then_some(args.advance_to),
        baseline: args.baseline,
        rebuild: args.rebuild,
    };
    crate::service::run(&config, options).map_err(|error| match error {
        ServiceError::Refused(error) => Failure::Usage(error),
        ServiceError::Failed(error) => Failure::Running(error),
    })
}

/// Computes changes from files.
///
/// # Errors
/// When a file cannot be read or written.
pub fn replay(args: &ReplayArgs, log: Option<&str>) -> Result<(), Failure> {
    let config = begin(args.settings.load(args.config.as_deref(), None, log)?)?;
    let request = Request {
        files: args.files.clone(),
        partitions: args.partitions,
        advance_to: args.advance_to,
        now: args.now.unwrap_or_else(wall_now),
        changes: args.changes.clone(),
        customers: args.customers.clone(),
    };
    request.check().map_err(Failure::Usage)?;
    let mut stdout = io::stdout().lock();
    let replayed = crate::replay::replay(&request, &config, &mut stdout, &mut |line| warn(&line));
    let replayed = match replayed {
        Err(error) if is_closed_pipe(&error) => return Err(Failure::StdoutClosed),
        other => other?,
    };
    for (reason, count) in &replayed.untold {
        warn(&format!("dead letter: {reason}: {count} more"));
    }
    warn(&format!(
        "replayed {} events of {} customers: {} changes, {} dead letters",
        replayed.events, replayed.customers, replayed.changes, replayed.dead_letters
    ));
    for (kind, count) in &replayed.unknown_kinds {
        let meant = did_you_mean(kind).map(|meant| format!("; did you mean \"{meant}\"?"));
        warn(&format!(
            "warning: unknown kind {kind:?} had no effect (count {count}){}",
            meant.unwrap_or_default()
        ));
    }
    if let (Some(to), Some(latest)) = (request.advance_to, replayed.latest)
        && to < latest
    {
        warn(&format!(
            "warning: --advance-to {} lies before the last event, {}: clocks do not go back",
            time_text(to),
            time_text(latest)
        ));
    }
    if replayed.dead_letters > 0 {
        let lines = replayed.events + replayed.dead_letters;
        warn(&format!("warning: {} of {lines} lines are dead letters", replayed.dead_letters));
    }
    Ok(())
}

fn time_text(at: Timestamp) -> String {
    String::from_utf8_lossy(&codec::time::format(at)).into_owned()
}

/// Shows the whole path on real orders, with an embedded broker.
///
/// # Errors
/// When something fails, or what was sent and what was read differ.
pub fn demo(args: &DemoArgs, log: Option<&str>) -> Result<(), Failure> {
    let broker = MockBroker::start().map_err(|error| Failure::Running(error.into()))?;
    let servers = broker.bootstrap_servers();
    let settings = args.settings.settings(Some(&servers), log);
    let config = begin(crate::demo::load(&settings)?)?;
    crate::demo::check(&config).map_err(Failure::Usage)?;
    let mut stdout = io::stdout();
    // As it was typed, since after a build it is on nobody's PATH.
    let program = std::env::args_os().next().unwrap_or_else(|| "ebbflow".into());
    let options = Options { serve: args.serve, program: &program.to_string_lossy() };
    match crate::demo::run(&broker, &config, options, &mut stdout, &mut |line| warn(line)) {
        Err(error) if is_closed_pipe(&error) => Err(Failure::StdoutClosed),
        other => Ok(other?),
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Checks the topics, or creates the missing ones.
///
/// # Errors
/// When the cluster does not answer, or the topics are not as they must be.
pub fn topics(args: &TopicsArgs, log: Option<&str>) -> Result<(), Failure> {
    let loaded = args.config.load(log)?;
    check_properties(&loaded)?;
    let config = begin(loaded)?;
    let report = if args.create { create_topics(&config) } else { check_topics(&config) };
    let report = report.map_err(|error| match error {
        BrokerError::Retriable(reason) => unanswered(&config, &reason),
        error => Failure::Running(error.into()),
    })?;
    print(topics_table(&report).trim_end())?;
    if args.create {
        print(&made(&report))?;
    }
    let remarks = topics_remarks(&report, &config);
    if !remarks.is_empty() {
        print(&format!("\n{}", remarks.trim_end()))?;
    }
    print(&format!("\n{}", last_trace(&report, &config).trim_end()))?;
    for warning in &report.warnings {
        warn(&format!("warning: {warning}"));
    }
    if report.problems.is_empty() {
        return Ok(());
    }
    let problems = report.problems.join("\n  ");
    Err(Failure::Usage(anyhow::anyhow!("the topics are not as they must be:\n  {problems}")))
}

/// Says why a customer stands where they stand.
///
/// # Errors
/// When the customer is not known, or whoever knows does not answer.
pub fn why(args: &WhyArgs, log: Option<&str>) -> Result<(), Failure> {
    let loaded = args.config.load(log)?;
    check_properties(&loaded)?;
    let config = begin(loaded)?;
    let request = crate::why::Request {
        customer: args.customer.clone(),
        history: args.history,
        instances: args.instances.clone(),
        replayed: args.replayed.clone(),
    };
    let told = crate::why::why(&request, &config).map_err(|error| match error {
        WhyError::Unknown(text) => Failure::Unknown(text),
        WhyError::Usage(text) => Failure::Usage(anyhow::anyhow!(text)),
        WhyError::Failed(text) => Failure::Running(anyhow::anyhow!(text)),
    })?;
    print(told.text.trim_end())?;
    told.lacks.map_or(Ok(()), |lacks| Err(Failure::Running(anyhow::anyhow!(lacks))))
}

/// What `--create` has done.
fn made(report: &TopicReport) -> String {
    match report.made.as_slice() {
        [] => "nothing to make".to_owned(),
        made => format!("made: {}", made.join(", ")),
    }
}

/// The cluster did not answer: each part of the reason on a line of its own, one hint.
fn unanswered(config: &Config, reason: &str) -> Failure {
    let hint = "; hint: check kafka.bootstrap_servers and kafka.properties";
    let hint = if reason.contains("hint: ") { "" } else { hint };
    let text = format!(
        "the cluster at \"{}\" did not answer: {reason}{hint}",
        config.kafka.bootstrap_servers
    );
    let text = text.replace("; last told", "\n  last told").replace("; hint: ", "\n  hint: ");
    Failure::Running(anyhow::anyhow!(text))
}

/// Starts logging, tells the warnings, and hands the configuration on.
fn begin(loaded: Loaded) -> Result<Config, Failure> {
    logging::init(&loaded.config.log).context("could not start logging").map_err(Failure::Usage)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(loaded.config)
}
