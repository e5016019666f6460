//! `ebbflow check-config`: all problems of a configuration at once, or what it effectively is.
//!
//! Reads files and tries the client library; asks no broker. Next: `config/load.rs`.

use crate::cli::args::CheckConfigArgs;
use crate::cli::{Failure, print, warn};
use crate::config::compare::{Difference, Takes, compare, remark};
use crate::config::{ConfigError, Loaded, Problem};
use crate::kafka;

/// Checks a configuration and says what it is.
///
/// # Errors
/// With all problems of the configuration, or when stdout cannot be written.
pub fn check_config(args: &CheckConfigArgs, log: Option<&str>) -> Result<(), Failure> {
    let mut loaded = args.load(log).map_err(|error| match error {
        ConfigError::Problems(_) => Failure::Usage(anyhow::anyhow!(
            "{error}\n(kafka.properties and the files of secrets were not tried yet)"
        )),
        error @ ConfigError::Unreadable { .. } => error.into(),
    })?;
    loaded.warnings.extend(loaded.config.rebuild_forgets());
    loaded.warnings.extend(loaded.config.redirects_end_early());
    for warning in &loaded.warnings {
        warn(&format!("warning: {warning}"));
    }
    check_outside(&loaded)?;
    let name =
        args.path().map_or("the configuration".to_owned(), |path| path.display().to_string());
    let verdict = verdict(&name, &loaded);
    if let Some(path) = &args.against {
        print(&verdict)?;
        return against(&args.load_running(path)?, &loaded);
    }
    if args.print {
        // A comment, so that the whole output is TOML.
        print(&format!("# {verdict}\n\n{}", loaded.print().trim_end()))?;
    } else {
        print(&verdict)?;
    }
    Ok(())
}

/// Says what it takes to go from a configuration that runs to the next.
fn against(running: &Loaded, next: &Loaded) -> Result<(), Failure> {
    let differences = compare(running, next);
    for Difference { key, running, next, takes } in &differences {
        let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        print(&format!("{:11}  {key}: {} -> {}", takes.name(), show(running), show(next)))?;
        if let Some(remark) = remark(key) {
            warn(&format!("warning: {key}: {remark}"));
        }
    }
    let most = differences.iter().map(|difference| difference.takes).max();
    let (old, new) = (&running.config.rules.identity, &next.config.rules.identity);
    match most {
        None => print("nothing differs"),
        Some(Takes::Restart) => print("a restart is enough, one instance after the other"),
        Some(Takes::Deployment) => {
            warn(
                "warning: it is another deployment, with a group and topics of its own, and begins \
                 with what the inputs hold; hint: see \"Start with history\" in \
                 docs/operations.md",
            );
            Ok(())
        }
        Some(_) if new.revision <= old.revision => Err(Failure::Usage(anyhow::anyhow!(
            "rules.revision = {} has to be above {}: the rules differ",
            new.revision,
            old.revision
        ))),
        Some(Takes::Reevaluation) => print(
            "with a restart, one instance after the other, every customer is judged anew; changes \
             that come of it have cause \"rules\" and are not actionable",
        ),
        Some(Takes::Rebuild) => print(
            "stop all instances and begin with `ebbflow run --rebuild`: the state is computed anew \
             from what the inputs still hold",
        ),
    }
}

/// Asks librdkafka about `kafka.properties`.
///
/// # Errors
/// With everything that it refuses.
pub(super) fn check_properties(loaded: &Loaded) -> Result<(), Failure> {
    none(loaded.refused_properties(&kafka::check_properties(&loaded.config)))
}

/// Asks librdkafka about `kafka.properties`, and reads the files of secrets.
///
/// # Errors
/// With everything that is refused or cannot be read.
pub(super) fn check_outside(loaded: &Loaded) -> Result<(), Failure> {
    let mut problems = loaded.refused_properties(&kafka::check_properties(&loaded.config));
    problems.extend(loaded.unreadable_secrets());
    none(problems)
}

fn none(problems: Vec<Problem>) -> Result<(), Failure> {
    if problems.is_empty() { Ok(()) } else { Err(ConfigError::Problems(problems).into()) }
}

fn verdict(name: &str, loaded: &Loaded) -> String {
    let rules = &loaded.config.rules;
    let identity = &rules.identity;
    let warnings = match loaded.warnings.len() {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        count => format!(", {count} warnings"),
    };
    format!(
        "{name} is valid: rules \"{}\" revision {} hash {}, map \"{}\"{warnings}",
        identity.set,
        identity.revision,
        identity.hash,
        rules.thresholds.rfm.map.name(),
    )
}
