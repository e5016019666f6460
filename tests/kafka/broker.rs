//! A real Kafka broker, from Maven Central, for as long as a test needs it.
//!
//! Never leaves a process behind: the broker stops when the test process ends, however it ends.
//! Next: `records.rs`, which writes to it and reads from it.

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const INSTALL: &str = "the tests need Java 17 or later and Maven; on Debian: \
                       apt-get install openjdk-17-jre-headless maven";
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the broker until its own standard input ends, which it does with the test process; asks
/// it to stop, kills it when it does not, and removes its data.
const KEEPER: &str = r#"
directory=$1; shift
"$@" >"$directory/broker.log" 2>&1 </dev/null &
broker=$!
echo "$broker" >"$directory/pid"
cat >/dev/null
kill -TERM "$broker"
(sleep 20; kill -KILL "$broker") >/dev/null 2>&1 &
killer=$!
wait "$broker"
kill "$killer" 2>/dev/null
[ -e "$directory/keep" ] || rm -rf "$directory"
"#;

/// A broker of one node in KRaft mode.
pub(crate) struct TestBroker {
    node: Node,
    ports: Ports,
}

/// The process of one broker, alone or in a cluster; its folder holds its settings and its data.
pub(crate) struct Node {
    keeper: Option<Child>,
    directory: PathBuf,
    /// `host:port` that it answers at when it is ready.
    bootstrap: String,
    /// It is ready when it knows of so many brokers.
    cluster_size: usize,
}

pub(crate) struct Ports {
    pub(crate) plain: u16,
    /// Wants [`USER`] and [`PASSWORD`], as SCRAM-SHA-512.
    pub(crate) sasl: u16,
    pub(crate) controller: u16,
}

/// Who may use [`TestBroker::sasl_bootstrap`].
pub(crate) const USER: &str = "ebbflow";
/// With which password.
pub(crate) const PASSWORD: &str = "secret";

/// The broker that all tests of this binary share.
pub(crate) fn shared() -> &'static TestBroker {
    static SHARED: OnceLock<TestBroker> = OnceLock::new();
    SHARED.get_or_init(TestBroker::start)
}

impl TestBroker {
    /// A new broker on free ports; returns when it answers.
    pub(crate) fn start() -> Self {
        Self::start_with(|_, _| String::new())
    }

    /// With settings of its own, which win over the usual ones; they may need its folder, where
    /// files can be put, and its ports.
    pub(crate) fn start_with(own: impl FnOnce(&Path, &Ports) -> String) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kafka-broker-{}-{count}", std::process::id());
        let directory = target().join(name);
        fs::create_dir_all(&directory).expect("make the broker's folder");
        let ports = free_ports();
        let properties = directory.join("broker.properties");
        let all = settings(&ports, &directory) + &own(&directory, &ports);
        fs::write(&properties, all).expect("write settings");
        let bootstrap = format!("127.0.0.1:{}", ports.plain);
        let mut broker = Self { node: Node::new(directory, bootstrap, 1), ports };
        broker.run();
        broker
    }

    /// Starts it again after [`Self::stop`], with its data and on its port.
    pub(crate) fn run(&mut self) {
        self.node.launch();
        self.node.await_ready();
    }

    /// Sends it a signal (TERM or KILL) and waits until it has ended; its data stay for
    /// [`Self::run`].
    pub(crate) fn stop(&mut self, signal: &str) {
        self.node.stop(signal);
    }

    /// `host:port`.
    pub(crate) fn bootstrap(&self) -> String {
        self.node.bootstrap.clone()
    }

    /// `host:port` of the listener that wants a password.
    pub(crate) fn sasl_bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.ports.sasl)
    }
}

impl Node {
    /// Formats the folder of data that the settings in `directory` name; starts nothing.
    pub(crate) fn new(directory: PathBuf, bootstrap: String, cluster_size: usize) -> Self {
        let formatted = java("kafka.tools.StorageTool")
            .args(["format", "-t", CLUSTER_ID, "-c"])
            .arg(directory.join("broker.properties"))
            .args(["--add-scram", &format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]")])
            .output()
            .unwrap_or_else(|error| panic!("could not start java: {error}; {INSTALL}"));
        assert!(formatted.status.success(), "could not format the log folder: {formatted:?}");
        Self { keeper: None, directory, bootstrap, cluster_size }
    }

    /// Starts it, with whatever data it has; [`Self::await_ready`] says when it answers.
    pub(crate) fn launch(&mut self) {
        assert!(self.keeper.is_none(), "the broker is running");
        fs::write(self.directory.join("keep"), "").expect("mark the folder");
        let broker = java("kafka.Kafka");
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(&self.directory).arg(broker.get_program());
        keeper.args(broker.get_args()).arg(self.directory.join("broker.properties"));
        // The shell would tell of every kill.
        keeper.stdin(Stdio::piped()).stderr(Stdio::null());
        let keeper = keeper.spawn().expect("start the broker");
        self.keeper = Some(keeper);
    }

    /// Waits until it answers and knows of every broker of its cluster.
    pub(crate) fn await_ready(&mut self) {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("log_level", "0")
            .set("reconnect.backoff.max.ms", "200")
            .create()
            .expect("make a client");
        let give_up_at = Instant::now() + READY_TIMEOUT;
        loop {
            let answer = consumer.fetch_metadata(None, Duration::from_secs(1));
            if answer.is_ok_and(|metadata| metadata.brokers().len() == self.cluster_size) {
                fs::remove_file(self.directory.join("keep")).expect("unmark the folder");
                return;
            }
            let keeper = self.keeper.as_mut().expect("the broker was started");
            let ended = keeper.try_wait().expect("look at the broker");
            if ended.is_some() || Instant::now() > give_up_at {
                let log = fs::read_to_string(self.directory.join("broker.log"));
                panic!("the broker did not start: {}", log.unwrap_or_default());
            }
        }
    }

    /// Sends it a signal (TERM or KILL), if it runs, and waits until it has ended; its data stay
    /// for [`Self::launch`].
    pub(crate) fn stop(&mut self, signal: &str) {
        if self.keeper.is_none() {
            return;
        }
        fs::write(self.directory.join("keep"), "").expect("mark the folder");
        let pid = fs::read_to_string(self.directory.join("pid")).expect("it was started");
        let sent = Command::new("kill").args(["-s", signal, pid.trim()]).status();
        assert!(sent.expect("send a signal").success());
        self.end();
    }

    fn end(&mut self) {
        let Some(mut keeper) = self.keeper.take() else { return };
        drop(keeper.stdin.take());
        let give_up_at = Instant::now() + STOP_TIMEOUT;
        while keeper.try_wait().expect("wait for the broker").is_none() {
            assert!(Instant::now() < give_up_at, "the broker does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.keeper.is_none() {
            // Stopped before, with its data kept.
            drop(fs::remove_dir_all(&self.directory));
        }
        if !std::thread::panicking() {
            self.end();
        }
    }
}

/// Where the folders of brokers and jars are.
pub(crate) fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

fn free_ports() -> Ports {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("find a free port");
    let listeners = [bind(), bind(), bind()];
    let [plain, sasl, controller] =
        listeners.each_ref().map(|listener| listener.local_addr().expect("own address").port());
    Ports { plain, sasl, controller }
}

/// A command for a class of the broker's jars.
pub(crate) fn java(class: &str) -> Command {
    let mut command = Command::new("java");
    command.args(["-Xmx512m", "-Xms128m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp"]);
    command.arg(jars().join("*")).arg(class);
    command
}

/// The folder of the jars, fetched with Maven when it is not there.
fn jars() -> &'static Path {
    static JARS: OnceLock<PathBuf> = OnceLock::new();
    JARS.get_or_init(|| {
        let jars = target().join("kafka-jars-4.3.1");
        if jars.exists() {
            return jars;
        }
        let pom = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/pom.xml");
        let fresh = target().join(format!("kafka-jars-{}", std::process::id()));
        let fetched = Command::new("mvn")
            .args(["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", fresh.display()))
            .arg("-f")
            .arg(pom)
            .output()
            .unwrap_or_else(|error| panic!("could not start mvn: {error}; {INSTALL}"));
        assert!(
            fetched.status.success(),
            "mvn could not fetch the broker's jars: {}",
            String::from_utf8_lossy(&fetched.stdout)
        );
        // Another test process may have been faster; its jars are as good.
        if fs::rename(&fresh, &jars).is_err() {
            drop(fs::remove_dir_all(&fresh));
        }
        jars
    })
}

fn settings(ports: &Ports, directory: &Path) -> String {
    let Ports { plain, sasl, controller } = ports;
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         listeners=PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl},\
         CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,\
         CONTROLLER:PLAINTEXT\n\
         sasl.enabled.mechanisms=SCRAM-SHA-512\n\
         listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=\
         org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         log.dirs={}\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=5\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=5\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n\
         group.min.session.timeout.ms=1000\n\
         auto.create.topics.enable=false\n\
         transaction.abort.timed.out.transaction.cleanup.interval.ms=1000\n\
         broker.session.timeout.ms=3000\n\
         broker.heartbeat.interval.ms=500\n\
         log.cleaner.backoff.ms=1000\n",
        directory.join("log").display()
    )
}
