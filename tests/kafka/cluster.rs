//! Three real brokers, each also a controller: topics with three replicas, two of them in sync.
//!
//! A broker may be killed, one at a time: with three replicas an abort that it has begun is
//! finished by another one. That is not so with a *single* broker that is killed with an open
//! transaction which then times out: started again it skips the abort's markers, and what was
//! aborted becomes visible (seen with Kafka 4.3.1). No test does that, no claim covers it.
//! Never leaves a process behind. Next: `broker.rs`, the process of one broker.

use crate::broker::{Node, QUICK, target};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const IN_SYNC_TIMEOUT: Duration = Duration::from_secs(120);

/// How many brokers there are.
pub(crate) const SIZE: usize = 3;

/// The brokers, numbered from 0.
pub(crate) struct Cluster {
    nodes: Vec<Node>,
    ports: [Ports; SIZE],
    observer: BaseConsumer,
}

#[derive(Clone, Copy)]
struct Ports {
    plain: u16,
    /// Listens for a proxy, whose port it tells to its clients.
    behind: u16,
    controller: u16,
}

impl Cluster {
    /// New brokers on free ports. Each has a second listener, which tells its clients to come back
    /// by the port that `proxies` has for it. Returns when all answer.
    pub(crate) fn start(proxies: [u16; SIZE]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let ports = free_ports();
        // At the same time, since each starts a Java of its own.
        let mut nodes: Vec<Node> = thread::scope(|scope| {
            let formatting: [_; SIZE] = std::array::from_fn(|index| {
                scope.spawn(move || format(count, index, &ports, proxies[index]))
            });
            formatting.into_iter().map(|thread| thread.join().expect("formatted")).collect()
        });
        for node in &mut nodes {
            node.launch();
        }
        for node in &mut nodes {
            node.await_ready();
        }
        let observer = ClientConfig::new()
            .set("bootstrap.servers", addresses(ports.map(|ports| ports.plain)))
            .set("log_level", "0")
            .set("reconnect.backoff.max.ms", "500")
            .create()
            .expect("make a client");
        Self { nodes, ports, observer }
    }

    /// `host:port` of every broker.
    pub(crate) fn bootstrap(&self) -> String {
        addresses(self.ports.map(|ports| ports.plain))
    }

    /// Where the proxies have to connect to.
    pub(crate) fn behind_proxies(&self) -> [u16; SIZE] {
        self.ports.map(|ports| ports.behind)
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, index: usize) {
        self.nodes[index].stop("KILL");
    }

    /// Starts one again after [`Self::kill`], with its data.
    pub(crate) fn run(&mut self, index: usize) {
        self.nodes[index].launch();
        self.nodes[index].await_ready();
    }

    /// The broker that coordinates a consumer group: it leads the group's partition.
    pub(crate) fn coordinator(&self, group: &str) -> usize {
        const TOPIC: &str = "__consumer_offsets";
        // `String.hashCode` of Java.
        let add = |hash: i32, byte: u8| hash.wrapping_mul(31).wrapping_add(i32::from(byte));
        let hash = group.bytes().fold(0, add) & i32::MAX;
        let metadata = self.observer.fetch_metadata(Some(TOPIC), IN_SYNC_TIMEOUT);
        let metadata = metadata.expect("metadata");
        let partitions = metadata.topics()[0].partitions();
        let wanted = hash % i32::try_from(partitions.len()).expect("few partitions");
        let found = partitions.iter().find(|partition| partition.id() == wanted);
        usize::try_from(found.expect("the partition").leader() - 1).expect("it has a leader")
    }

    /// Waits until every partition of every topic has all its replicas in sync: another broker
    /// can then go without stopping anything.
    pub(crate) fn await_in_sync(&self) {
        let give_up_at = Instant::now() + IN_SYNC_TIMEOUT;
        loop {
            let metadata = self.observer.fetch_metadata(None, Duration::from_secs(2));
            let in_sync = metadata.is_ok_and(|metadata| {
                let mut partitions =
                    metadata.topics().iter().flat_map(|topic| topic.partitions().iter());
                metadata.brokers().len() == SIZE
                    && partitions.all(|partition| partition.isr().len() == SIZE)
            });
            if in_sync {
                return;
            }
            assert!(Instant::now() < give_up_at, "the replicas do not come in sync");
            drop(self.observer.poll(Duration::from_millis(100)));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // At once: without the others the last one would wait for a quorum before it stops.
        if !std::thread::panicking() {
            self.nodes.iter_mut().for_each(|node| node.stop("KILL"));
        }
    }
}

fn format(count: usize, index: usize, ports: &[Ports; SIZE], proxy: u16) -> Node {
    let name = format!("kafka-cluster-{}-{count}-{index}", std::process::id());
    let directory = target().join(name);
    fs::create_dir_all(&directory).expect("make the broker's folder");
    let settings = settings(index, ports, proxy, &directory);
    fs::write(directory.join("broker.properties"), settings).expect("write settings");
    Node::new(directory, address(ports[index].plain), SIZE)
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// As a list for `bootstrap.servers`.
pub(crate) fn addresses(ports: [u16; SIZE]) -> String {
    ports.map(address).join(",")
}

fn free_ports() -> [Ports; SIZE] {
    let listeners: Vec<TcpListener> = (0..3 * SIZE)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("find a free port"))
        .collect();
    let port = |at: usize| listeners[at].local_addr().expect("own address").port();
    std::array::from_fn(|index| Ports {
        plain: port(3 * index),
        behind: port(3 * index + 1),
        controller: port(3 * index + 2),
    })
}

fn settings(index: usize, ports: &[Ports; SIZE], proxy: u16, directory: &Path) -> String {
    let Ports { plain, behind, controller } = ports[index];
    let voters: Vec<String> = ports
        .iter()
        .enumerate()
        .map(|(index, ports)| format!("{}@127.0.0.1:{}", index + 1, ports.controller))
        .collect();
    format!(
        "process.roles=broker,controller\n\
         node.id={}\n\
         listeners=PLAINTEXT://127.0.0.1:{plain},PROXIED://127.0.0.1:{behind},\
         CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{plain},PROXIED://127.0.0.1:{proxy}\n\
         controller.listener.names=CONTROLLER\n\
         inter.broker.listener.name=PLAINTEXT\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,\
         CONTROLLER:PLAINTEXT\n\
         controller.quorum.voters={}\n\
         log.dirs={}\n\
         default.replication.factor=3\n\
         min.insync.replicas=2\n\
         offsets.topic.replication.factor=3\n\
         offsets.topic.num.partitions=3\n\
         transaction.state.log.replication.factor=3\n\
         transaction.state.log.min.isr=2\n\
         transaction.state.log.num.partitions=3\n\
         share.coordinator.state.topic.replication.factor=3\n\
         share.coordinator.state.topic.min.isr=2\n\
         {QUICK}",
        index + 1,
        voters.join(","),
        directory.join("log").display()
    )
}
