//! The binary as a process: started, asked over HTTP, stopped or killed, its log kept.
//!
//! Never outlives its test; a failing test prints the log. Next: `workload.rs`.

use crate::broker::shared;
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a test waits for what has to happen, on a slow machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);

/// Partitions of every application's topics.
pub(crate) const PARTITIONS: u32 = 4;

/// Repeats until there is a value; `None` after [`TIMEOUT`].
pub(crate) fn poll_for<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let give_up_at = Instant::now() + TIMEOUT;
    loop {
        if let Some(value) = attempt() {
            return Some(value);
        }
        if Instant::now() > give_up_at {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How often the tests of crashes and rebalances are done; `EBBFLOW_REPEAT` says it.
pub(crate) fn repeats() -> u64 {
    let text = std::env::var("EBBFLOW_REPEAT").unwrap_or_else(|_| "1".to_owned());
    text.parse().expect("EBBFLOW_REPEAT is a number")
}

/// An application: its name, its settings, its topics.
#[derive(Clone)]
pub(crate) struct Application {
    name: String,
    bootstrap: String,
    settings: Vec<String>,
}

impl Application {
    /// With topics on the shared broker.
    pub(crate) fn new(name: &str, settings: &[&str]) -> Self {
        let application = Self::without_topics(name, &shared().bootstrap(), settings);
        application.create_topics();
        application
    }

    /// As it is before anything was made for it.
    pub(crate) fn without_topics(name: &str, bootstrap: &str, settings: &[&str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}-{count}");
        let mut own = vec![
            format!("application_id={name}"),
            format!("topics.prefix={name}."),
            format!("topics.partitions={PARTITIONS}"),
            "clock=event".to_owned(),
            "input.key=trusted".to_owned(),
            "http.metrics_listen=127.0.0.1:0".to_owned(),
            "http.admin_listen=127.0.0.1:0".to_owned(),
        ];
        own.extend(settings.iter().map(|setting| (*setting).to_owned()));
        Self { name, bootstrap: bootstrap.to_owned(), settings: own }
    }

    /// The same with more settings.
    pub(crate) fn with(&self, settings: &[&str]) -> Self {
        let mut other = self.clone();
        other.settings.extend(settings.iter().map(|setting| (*setting).to_owned()));
        other
    }

    /// The same on another listener of the broker.
    pub(crate) fn at(&self, bootstrap: &str) -> Self {
        Self { bootstrap: bootstrap.to_owned(), ..self.clone() }
    }

    /// The consumer group.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// A topic's full name.
    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    pub(crate) fn create_topics(&self) {
        let made = self.output("topics", &["--create"]);
        assert!(made.status.success(), "{made:?}");
    }

    /// Runs a command of the program to its end.
    pub(crate) fn output(&self, command: &str, arguments: &[&str]) -> Output {
        self.command(command).args(arguments).output().expect("the binary runs")
    }

    /// Starts `ebbflow run`.
    pub(crate) fn start(&self, arguments: &[&str]) -> Program {
        let mut command = self.command("run");
        command.args(arguments);
        Program::start(command, &self.name)
    }

    /// Runs `ebbflow run` until it ends by itself: its exit code and its log.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut program = self.start(arguments);
        let code = program.wait_for_end().code().expect("it was not killed");
        (code, program.log())
    }

    /// Runs up to the ends of the inputs and on to `advance_to`, which must succeed.
    pub(crate) fn run_to_the_end(&self, advance_to: &str) {
        let mut program = self.start(&["--until-end", "--advance-to", advance_to]);
        let status = program.wait_for_end();
        assert!(status.success(), "{status}");
    }

    fn command(&self, command: &str) -> Command {
        let mut process = Command::new(env!("CARGO_BIN_EXE_ebbflow"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("EBBFLOW__") {
                process.env_remove(name);
            }
        }
        process.env("NO_COLOR", "1").stdin(Stdio::null()).arg(command);
        for setting in &self.settings {
            process.args(["--set", setting]);
        }
        if command != "replay" {
            process.args(["--bootstrap-servers", &self.bootstrap]);
        }
        process
    }
}

/// A running `ebbflow run`, or an example that reads what it wrote.
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
    ended: bool,
}

impl Program {
    /// Starts a process; what it prints goes to its log.
    pub(crate) fn start(mut command: Command, name: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let log = folder.join(format!("ebbflow-{name}-{}-{count}.log", std::process::id()));
        let file = File::create(&log).expect("make the log");
        let printed = file.try_clone().expect("the log is open");
        let child = command.stderr(file).stdout(printed).spawn().expect("start the process");
        Self { child, log, ended: false }
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).expect("read the log")).into_owned()
    }

    /// Waits until it has logged a text.
    pub(crate) fn wait_for_log(&mut self, text: &str) {
        self.wait_for(text, |program| program.log().contains(text).then_some(()));
    }

    /// Waits for a condition; fails when the process ends before.
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        attempt: impl FnMut(&mut Self) -> Option<T>,
    ) -> T {
        self.wait_unless_ended(what, attempt).unwrap_or_else(|| panic!("it ended before: {what}"))
    }

    /// Waits for a condition; `None` when the process ends before.
    pub(crate) fn wait_unless_ended<T>(
        &mut self,
        what: &str,
        mut attempt: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let result = poll_for(|| {
            let ended = self.ended().is_some();
            match attempt(self) {
                Some(value) => Some(Some(value)),
                None => ended.then_some(None),
            }
        });
        result.unwrap_or_else(|| panic!("waited in vain for {what}"))
    }

    /// Waits until the process ends by itself.
    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        poll_for(|| self.ended()).expect("the process ends")
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("kill the process");
        self.child.wait().expect("wait for the process");
        self.ended = true;
    }

    /// SIGTERM; returns how it ended.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait_for_end()
    }

    /// Sends a signal, such as TERM, STOP or CONT.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().expect("send a signal");
        assert!(sent.success());
    }

    /// The id of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("look at the process");
        self.ended = status.is_some();
        status
    }

    /// `host:port` of probes and metrics; `None` when it ends before it says so.
    pub(crate) fn metrics_address(&mut self) -> Option<String> {
        self.wait_unless_ended("the address", |program| program.find("metrics="))
    }

    /// Status and body of a path on the address of probes and metrics.
    pub(crate) fn get(&mut self, path: &str) -> (u16, String) {
        let address = self.address("metrics=");
        get(&address, path).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// Status and body of a path on the address of customers.
    pub(crate) fn get_admin(&mut self, path: &str) -> (u16, String) {
        let address = self.address("admin=");
        get(&address, path).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// Waits until `/readyz` says yes.
    pub(crate) fn wait_until_ready(&mut self) {
        let address = self.address("metrics=");
        self.wait_for("/readyz", |_| {
            get(&address, "/readyz").is_ok_and(|(status, _)| status == 200).then_some(())
        });
    }

    /// The tasks of the only worker, from `/tasks`.
    pub(crate) fn tasks(&mut self) -> Vec<Value> {
        let (_, body) = self.get("/tasks");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        body["workers"][0]["tasks"].as_array().cloned().unwrap_or_default()
    }

    /// Partitions of the tasks that process.
    pub(crate) fn running(&mut self) -> Vec<u64> {
        let tasks = self.tasks();
        let running = tasks.iter().filter(|task| task["state"] == "running");
        running.filter_map(|task| task["partition"].as_u64()).collect()
    }

    /// Waits until so many transactions are committed; `None` when it ends before.
    pub(crate) fn wait_for_commits(&mut self, count: u64) -> Option<()> {
        let address = self.metrics_address()?;
        self.wait_unless_ended("commits", |_| {
            let (_, metrics) = get(&address, "/metrics").ok()?;
            (metric(&metrics, "ebbflow_commit_duration_seconds_count") >= count).then_some(())
        })
    }

    /// Transactions that it has committed.
    pub(crate) fn commits(&mut self) -> u64 {
        let (_, metrics) = self.get("/metrics");
        metric(&metrics, "ebbflow_commit_duration_seconds_count")
    }

    fn address(&mut self, name: &str) -> String {
        self.wait_for("the address", |program| program.find(name))
    }

    fn find(&self, name: &str) -> Option<String> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("listening metrics="))?;
        let (_, rest) = line.split_once(name)?;
        rest.split_whitespace().next().map(str::to_owned)
    }
}

impl Drop for Program {
    #[expect(clippy::print_stdout, reason = "the test runner shows it when the test fails")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            println!("--- log of the program\n{log}---");
        }
        if !self.ended {
            drop(self.child.kill());
            drop(self.child.wait());
        }
        drop(fs::remove_file(&self.log));
    }
}

/// Sum of a metric's samples, whole.
pub(crate) fn metric(metrics: &str, name: &str) -> u64 {
    let values = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value =
            if let Some(rest) = rest.strip_prefix('{') { rest.rsplit_once('}')?.1 } else { rest };
        value.strip_prefix(' ')?.parse::<u64>().ok()
    });
    values.sum()
}

/// Waits until instances have read so many records of their inputs, all of them, and what their
/// tasks told one another.
pub(crate) fn wait_until_read(programs: &mut [&mut Program], lines: usize) {
    let lines = u64::try_from(lines).expect("few");
    let read = poll_for(|| {
        let all: Vec<String> = programs.iter_mut().map(|it| it.get("/metrics").1).collect();
        let sum = |name: &str| all.iter().map(|metrics| metric(metrics, name)).sum::<u64>();
        let of = |topic: &str| sum(&format!("ebbflow_input_records_total{{topic=\"{topic}\"}}"));
        let of_relay = (of("relay"), sum("ebbflow_relay_records_total"));
        let is_read = of("interactions") + of("purchases") == lines && of_relay.0 == of_relay.1;
        (is_read && sum("ebbflow_input_lag_records") == 0).then_some(())
    });
    let logs: Vec<String> = programs.iter().map(|program| program.log()).collect();
    assert!(read.is_some(), "not everything is read: {logs:?}");
}

/// Status and body of a path.
pub(crate) fn get(address: &str, path: &str) -> Result<(u16, String), ureq::Error> {
    let mut answer = ureq::get(format!("http://{address}{path}"))
        .config()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .call()?;
    let body = answer.body_mut().read_to_string()?;
    Ok((answer.status().as_u16(), body))
}
