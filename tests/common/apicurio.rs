//! A real schema registry for tests: Apicurio 3.0.9 from Maven Central, in memory, on loopback.
//!
//! Never skipped: what is missing is a panic that says what to install. The process ends with
//! the value. Next: `tests/registry.rs`, which uses it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

const ARTIFACT: &str = "io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all";
const JAR: &str = "apicurio-registry-app-3.0.9-runner.jar";
const READY_WITHIN: Duration = Duration::from_secs(120);

/// A running registry.
pub(crate) struct Apicurio {
    process: Child,
    /// Base URL of the Confluent API.
    pub(crate) url: String,
}

impl Apicurio {
    /// A registry for all tests that need one at the same time; it ends with the last of them.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Apicurio>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let started = Arc::new(Self::start());
            *shared = Arc::downgrade(&started);
            started
        })
    }

    /// Starts a registry and waits until it answers.
    fn start() -> Self {
        let folder = unpacked();
        let jar = find(&folder, JAR).unwrap_or_else(|| panic!("{JAR} is not in {folder:?}"));
        let port = free_port();
        let log = folder.join(format!("registry-{port}.log"));
        let output = File::create(&log).expect("the log file can be written");
        let process = Command::new("java")
            .args(["-Xmx512m", "-jar"])
            .arg(jar)
            .current_dir(&folder)
            .env("QUARKUS_HTTP_HOST", "127.0.0.1")
            .env("QUARKUS_HTTP_PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("the log file can be shared"))
            .stderr(output)
            .spawn()
            .expect("Java 17 can be started; hint: apt install openjdk-17-jre-headless");
        let url = format!("http://127.0.0.1:{port}/apis/ccompat/v7");
        let mut registry = Self { process, url };
        registry.wait_until_ready(&log);
        registry
    }

    fn wait_until_ready(&mut self, log: &Path) {
        let deadline = Instant::now() + READY_WITHIN;
        let subjects = format!("{}/subjects", self.url);
        while !ureq::get(&subjects).call().is_ok_and(|answer| answer.status() == 200) {
            let ended = self.process.try_wait().expect("the process can be asked");
            assert!(ended.is_none(), "the registry ended with {ended:?}, see {log:?}");
            assert!(Instant::now() < deadline, "the registry is not ready, see {log:?}");
            // A poll with a deadline: the registry tells nobody when it is ready.
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
}

impl Drop for Apicurio {
    fn drop(&mut self) {
        let stopped = self.process.kill().and_then(|()| self.process.wait());
        assert!(stopped.is_ok() || std::thread::panicking(), "not stopped: {stopped:?}");
    }
}

/// The folder with the unpacked release; fetched and unpacked once, kept in `target`.
fn unpacked() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("apicurio-3.0.9");
    if find(&folder, JAR).is_some() {
        return folder;
    }
    // Unpacked beside and moved, so that a half-unpacked folder is never taken for a whole one.
    let beside = folder.with_extension(std::process::id().to_string());
    fs::create_dir_all(&beside).expect("a folder in target can be made");
    run(Command::new("mvn").args([
        "-B",
        "-q",
        "dependency:copy",
        "-Dmdep.useBaseVersion=true",
        &format!("-Dartifact={ARTIFACT}"),
        &format!("-DoutputDirectory={}", beside.display()),
    ]));
    let archive = beside.join("apicurio-registry-app-3.0.9-all.tar.gz");
    run(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&beside));
    fs::remove_file(&archive).expect("the archive can be removed");
    if fs::rename(&beside, &folder).is_err() {
        // Another test was faster.
        fs::remove_dir_all(&beside).expect("the folder can be removed");
    }
    folder
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?} cannot be started: {error}; hint: apt install maven tar")
    });
    assert!(
        output.status.success(),
        "{command:?} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let direct = folder.join(name);
    if direct.is_file() {
        return Some(direct);
    }
    let entries = fs::read_dir(folder).ok()?;
    entries.filter_map(|entry| Some(entry.ok()?.path().join(name))).find(|path| path.is_file())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
