//! A configuration with topics of its own, and waiting with a deadline.
//!
//! Next: `group.rs`, `transactions.rs`, `changelogs.rs`, `topics.rs`, the tests.

use ebbflow::config::{
    ClockMode, CommitConfig, Config, Encoding, EncodingConfig, HttpConfig, KafkaConfig, LogConfig,
    TopicsConfig, from_sources,
};
use ebbflow::domain::rules::Rules;
use ebbflow::kafka::topics::create_topics;
use ebbflow::kafka::{ConnectMode, FetchedRecord, KafkaBroker};
use ebbflow::runtime::broker::{Broker, BrokerError, GroupEvent, Input, Record};
use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a test waits for what has to happen.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// A configuration whose names all begin with `name`.
pub(crate) fn config(bootstrap: &str, name: &str, partitions: u32) -> Config {
    let topic = |suffix: &str| format!("{name}.{suffix}");
    let day = Duration::from_secs(86_400);
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Config {
        application_id: name.to_owned(),
        instance_id: "0".to_owned(),
        clock: ClockMode::Wall,
        leave_on_stop: false,
        workers: 1,
        kafka: KafkaConfig {
            bootstrap_servers: bootstrap.to_owned(),
            session_timeout: Duration::from_secs(6),
            heartbeat_interval: Duration::from_millis(300),
            max_poll_interval: Duration::from_secs(300),
            transaction_timeout: Duration::from_secs(10),
            linger: Duration::from_millis(1),
            properties: BTreeMap::new(),
        },
        topics: TopicsConfig {
            purchases: topic("purchases"),
            interactions: topic("interactions"),
            segment_changes: topic("segment-changes"),
            customers: topic("customers"),
            state: topic("state"),
            relay: topic("relay"),
            control: topic("control"),
            dead_letters: topic("dead-letters"),
            partitions,
            replication: None,
            input_retention: day * 7,
            segment_changes_retention: day * 30,
            dead_letters_retention: day * 14,
            max_compaction_lag: day,
        },
        encoding: EncodingConfig {
            purchases: Encoding::Json,
            interactions: Encoding::Json,
            segment_changes: Encoding::Json,
            customers: Encoding::Json,
        },
        registry: None,
        commit: CommitConfig {
            idle_gap: Duration::from_millis(5),
            interval: Duration::from_millis(100),
            max_records: 1_000,
            max_bytes: 1_000_000,
        },
        trusted_keys: true,
        max_hold: Duration::from_secs(3600),
        timers_per_round: 100,
        rules: rules(),
        dead_letter_budget_per_minute: 10,
        dead_letter_max_bytes: 100_000,
        http: HttpConfig {
            metrics_listen: any_port,
            admin_listen: any_port,
            admin_token_file: None,
        },
        log: LogConfig { filter: "info".to_owned(), json: false },
    }
}

/// The same with its topics made on the cluster.
pub(crate) fn config_with_topics(bootstrap: &str, name: &str, partitions: u32) -> Config {
    let config = config(bootstrap, name, partitions);
    let report = create_topics(&config).expect("make the topics");
    assert_eq!(report.problems, Vec::<String>::new());
    config
}

fn rules() -> Arc<Rules> {
    from_sources(None, [], &[]).expect("the defaults are valid").config.rules
}

/// The broker of the first worker.
pub(crate) fn connect(config: &Config) -> KafkaBroker {
    KafkaBroker::connect(config, 0, ConnectMode::Cluster).expect("connect")
}

/// Repeats until there is a value; fails after [`TIMEOUT`].
pub(crate) fn wait_for<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let give_up_at = Instant::now() + TIMEOUT;
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(Instant::now() < give_up_at, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Repeats while the answer is `Retriable`.
pub(crate) fn retry<T>(what: &str, mut call: impl FnMut() -> Result<T, BrokerError>) -> T {
    wait_for(what, || match call() {
        Ok(value) => Some(value),
        Err(BrokerError::Retriable(_)) => None,
        Err(error) => panic!("{what}: {error:?}"),
    })
}

/// The next event of the group.
pub(crate) fn next_event(broker: &mut KafkaBroker) -> GroupEvent {
    wait_for("an event of the group", || broker.poll_group().expect("poll"))
}

/// Waits for the first assignment, accepts it, and reads every input from `from` on.
pub(crate) fn assigned_from(broker: &mut KafkaBroker, from: i64) -> Vec<u32> {
    let event = next_event(broker);
    let GroupEvent::Assigned(tasks) = event else { panic!("not assigned but {event:?}") };
    retry("assign", || broker.assign(&tasks));
    for task in &tasks {
        for input in Input::ALL {
            retry("seek", || broker.seek(*task, input, from));
        }
    }
    tasks
}

/// Fetches until there are `count` records.
pub(crate) fn fetch(
    broker: &mut KafkaBroker,
    task: u32,
    input: Input,
    count: usize,
) -> VecDeque<FetchedRecord> {
    let mut records = VecDeque::new();
    wait_for("records", || {
        assert_eq!(broker.poll_group().expect("poll"), None);
        broker.fetch(task, input, 100, &mut records).expect("fetch");
        (records.len() >= count).then_some(())
    });
    assert_eq!(records.len(), count);
    records
}

/// The values of records as text.
pub(crate) fn values(records: &VecDeque<FetchedRecord>) -> Vec<String> {
    let text = |record: &FetchedRecord| {
        String::from_utf8(record.value().unwrap_or_default().to_vec()).expect("text")
    };
    records.iter().map(text).collect()
}
