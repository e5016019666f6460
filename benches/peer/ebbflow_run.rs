//! ebbflow as it runs beside the other program.
//!
//! Next: `main.rs`.

use crate::broker::target;
use crate::load::{Load, PARTITIONS, topics};
use ebbflow::config::{Config, from_sources};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Writes a configuration, with changes in this encoding, and makes its topics; the application's
/// name is before each of them.
pub(crate) fn configure(
    bootstrap: &str,
    application: &str,
    load: Load,
    (rules, changes): (&str, &str),
) -> PathBuf {
    let [purchases, interactions] = topics(load);
    let own = |topic: &str| format!("{application}-{topic}");
    let path = path(application);
    let text = format!(
        "application_id = \"{application}\"\n{rules}\
         [kafka]\nbootstrap_servers = \"{bootstrap}\"\n\
         [topics]\npartitions = {PARTITIONS}\n\
         purchases = \"{purchases}\"\ninteractions = \"{interactions}\"\n\
         segment_changes = \"{}\"\ncustomers = \"{}\"\nstate = \"{}\"\nrelay = \"{}\"\n\
         control = \"{}\"\ndead_letters = \"{}\"\n\
         [encoding]\npurchases = \"avro\"\ninteractions = \"avro\"\n\
         segment_changes = \"{changes}\"\n\
         [http]\nmetrics_listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n\
         [log]\nfilter = \"warn\"\n",
        own("segment-changes"),
        own("customers"),
        own("state"),
        own("relay"),
        own("control"),
        own("dead-letters")
    );
    fs::write(&path, text).expect("write the configuration");
    let made = command(&path, "topics").arg("--create").status();
    assert!(made.expect("run ebbflow topics").success(), "the topics could not be made");
    path
}

/// Where the configuration of an application is.
pub(crate) fn path(application: &str) -> PathBuf {
    target().join(format!("{application}.toml"))
}

/// What it says.
pub(crate) fn load(path: &Path) -> Config {
    let text = fs::read_to_string(path).expect("it was written");
    let file = ebbflow::config::FileText { path, text: &text };
    from_sources(Some(file), [], &[]).expect("a valid configuration").config
}

fn command(config: &Path, name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ebbflow"));
    command.args([name, "--config"]).arg(config).stdout(Stdio::null());
    command
}

pub(crate) fn start(config: &Path) -> Child {
    command(config, "run").spawn().expect("start ebbflow")
}

/// Ends a program as an operator would.
pub(crate) fn stop(process: &mut Child) {
    let stopped = Command::new("kill").arg(process.id().to_string()).status();
    assert!(stopped.is_ok_and(|status| status.success()), "the program could not be stopped");
    process.wait().expect("wait for the program");
}
