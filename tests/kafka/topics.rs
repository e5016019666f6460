//! Topics: made, found missing, found unfit; clusters that do not answer.
//!
//! Next: `src/kafka/topics.rs`.

use crate::broker::{PASSWORD, USER, shared};
use crate::fixture::{config, config_with_topics, wait_for};
use crate::records;
use ebbflow::kafka::topics::{
    MAX_BYTES, MIN_INSYNC, PARTITIONS, POLICY, check_topics, create_topics,
};
use ebbflow::kafka::{ConnectMode, KafkaBroker};
use ebbflow::runtime::broker::BrokerError;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use std::time::{Duration, Instant};

fn make(topics: &[NewTopic<'_>]) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", shared().bootstrap())
        .create()
        .expect("make an admin client");
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
    let results = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("runtime")
        .block_on(admin.create_topics(topics, &options))
        .expect("create");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

#[test]
fn missing_topics_are_named_and_made() {
    let config = config(&shared().bootstrap(), "made", 3);
    let before = check_topics(&config).expect("check");
    assert!(before.misses_any());
    assert_eq!(before.problems.len(), 1);
    assert!(before.problems[0].contains("\"made.relay\""), "{:?}", before.problems);
    assert!(before.problems[0].contains("ebbflow topics --config FILE --create"));

    let after = create_topics(&config).expect("create");
    assert_eq!(after.problems, Vec::<String>::new());
    assert_eq!(after.warnings, Vec::<String>::new());
    assert_eq!(after.tasks(), Some(3));
    let found = |name: &str| after.topics.iter().find(|topic| topic.name == name).expect("found");
    assert_eq!(found("made.state").cleanup_policy.as_deref(), Some("compact"));
    assert_eq!(found("made.control").partitions, Some(1));
    assert_eq!(found("made.dead-letters").partitions, Some(3));
    assert_eq!(found("made.segment-changes").retention_ms, Some(30 * 86_400_000));
    for topic in &after.topics {
        let configured = &topic.configured;
        assert_eq!(topic.partitions, Some(configured.partitions), "{topic:?}");
        assert_eq!(topic.cleanup_policy.as_deref(), Some(configured.cleanup_policy), "{topic:?}");
        assert_eq!(topic.min_insync, Some(configured.min_insync), "{topic:?}");
        assert!(configured.retention_ms.is_none_or(|ms| topic.retention_ms == Some(ms)));
        assert!(topic.max_message_bytes >= configured.max_message_bytes, "{topic:?}");
    }

    assert_eq!(after.made.len(), 8, "{:?}", after.made);
    let again = create_topics(&config).expect("again");
    assert_eq!(again.made, Vec::<String>::new());
    assert_eq!(again.topics, after.topics);
}

#[test]
fn unfit_topics_are_told_all_at_once() {
    let config = config(&shared().bootstrap(), "unfit", 2);
    make(&[
        NewTopic::new("unfit.interactions", 2, TopicReplication::Fixed(1)),
        NewTopic::new("unfit.purchases", 4, TopicReplication::Fixed(1))
            .set("cleanup.policy", "compact"),
        NewTopic::new("unfit.state", 2, TopicReplication::Fixed(1)),
        NewTopic::new("unfit.dead-letters", 1, TopicReplication::Fixed(1))
            .set("max.message.bytes", "1000")
            .set("min.insync.replicas", "2"),
        NewTopic::new("unfit.relay", 2, TopicReplication::Fixed(1)).set("retention.ms", "1000"),
    ]);
    // Brokers learn of new topics one by one.
    let report = wait_for("the topics", || {
        let report = check_topics(&config).expect("check");
        let found = report.topics.iter().filter(|topic| topic.partitions.is_some()).count();
        (found == 5).then_some(report)
    });
    let told = report.problems.join("\n");
    assert!(told.contains("\"unfit.control\""), "{told}");
    assert!(told.contains("\"unfit.purchases\" has 4"), "{told}");
    assert!(told.contains("topic \"unfit.purchases\" has cleanup.policy \"compact\""), "{told}");
    assert!(told.contains("topic \"unfit.state\" has cleanup.policy \"delete\""), "{told}");
    assert!(told.contains("topic \"unfit.dead-letters\" has 1 partitions"), "{told}");
    assert!(told.contains("max.message.bytes = 1000, less than the producer sends"), "{told}");
    assert!(told.contains("1000, too little for a dead letter"), "{told}");
    assert!(told.contains("\"unfit.dead-letters\" has min.insync.replicas 2 and 1 rep"), "{told}");
    assert_eq!(report.problems.len(), 8, "{told}");
    let unfit = |name: &str| {
        let topic = report.topics.iter().find(|topic| topic.name == name).expect("found");
        topic.unfit.clone()
    };
    assert_eq!(unfit("unfit.relay"), [PARTITIONS]);
    assert_eq!(unfit("unfit.purchases"), [PARTITIONS, POLICY]);
    assert_eq!(unfit("unfit.state"), [PARTITIONS, POLICY]);
    assert_eq!(unfit("unfit.dead-letters"), [PARTITIONS, MIN_INSYNC, MAX_BYTES]);
    let warned = report.warnings.join("\n");
    assert!(warned.contains("topic \"unfit.relay\" keeps records for 1000 ms"), "{warned}");
    assert_eq!(report.tasks(), None);
}

#[test]
fn cluster_that_does_not_answer_is_retriable_and_says_what_to_check() {
    let config = config("127.0.0.1:1", "unreachable", 1);
    let started = Instant::now();
    let error = KafkaBroker::connect(&config, 0, ConnectMode::Cluster).err().expect("an error");
    let BrokerError::Retriable(text) = &error else { panic!("{error:?}") };
    assert!(text.contains("127.0.0.1:1"), "{text}");
    assert!(text.contains("hint: check kafka.bootstrap_servers"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(10));
    let error = check_topics(&config).expect_err("an error");
    assert!(matches!(error, BrokerError::Retriable(_)), "{error:?}");
}

#[test]
fn password_decides_and_the_cause_is_told() {
    let mut config = config_with_topics(&shared().bootstrap(), "password", 1);
    config.kafka.bootstrap_servers = shared().sasl_bootstrap();
    let mut log_in = |password: &str| {
        let properties = [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanisms", "SCRAM-SHA-512"),
            ("sasl.username", USER),
            ("sasl.password", password),
        ];
        config.kafka.properties =
            properties.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        check_topics(&config)
    };
    assert_eq!(log_in(PASSWORD).expect("check").problems, Vec::<String>::new());
    let error = log_in("wrong").expect_err("an error");
    let BrokerError::Fatal(text) = &error else { panic!("{error:?}") };
    assert!(text.contains("invalid credentials"), "{text}");
    assert!(text.contains("sasl.password"), "{text}");
}

#[test]
fn setting_that_librdkafka_refuses_is_fatal_and_named() {
    let mut config = config(&shared().bootstrap(), "refused", 1);
    config.kafka.properties.insert("no.such.key".to_owned(), "1".to_owned());
    let error = check_topics(&config).expect_err("an error");
    let BrokerError::Fatal(text) = &error else { panic!("{error:?}") };
    assert!(text.contains("no.such.key"), "{text}");
}

#[test]
fn aborted_and_open_records_are_not_read() {
    // The reader of the tests themselves: what it says the other tests believe.
    let config = config_with_topics(&shared().bootstrap(), "reader", 2);
    let topic = config.topics.purchases;
    records::produce(&shared().bootstrap(), &topic, 1, &[("a", "1"), ("b", "2")]);
    let read = records::read_committed(&shared().bootstrap(), &topic);
    assert_eq!(read.len(), 2);
    assert!(read.iter().all(|record| record.partition == 1));
}
