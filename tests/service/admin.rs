//! What an operator may do to the cluster behind the program's back.
//!
//! Next: `lineages.rs`, `refusals.rs`.

use crate::program::{Application, poll_for};
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::future::Future;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);

fn admin(application: &Application) -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", application.bootstrap())
        .create()
        .expect("make an admin client")
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT))
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// Makes a topic.
pub(crate) fn create_topic(application: &Application, topic: &str, settings: &[(&str, &str)]) {
    let mut new = NewTopic::new(topic, 4, TopicReplication::Fixed(1));
    for (key, value) in settings {
        new = new.set(key, value);
    }
    let results = wait(admin(application).create_topics(&[new], &options())).expect("answer");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

/// Gives a topic more partitions.
pub(crate) fn add_partitions(application: &Application, topic: &str, count: usize) {
    let more = NewPartitions::new(topic, count);
    let results = wait(admin(application).create_partitions(&[more], &options())).expect("answer");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

/// Changes a setting of a topic.
pub(crate) fn set_topic(application: &Application, topic: &str, key: &str, value: &str) {
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(key, value);
    let results = wait(admin(application).alter_configs(&[change], &options())).expect("answer");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

/// Deletes a topic, and waits until the broker has forgotten it.
pub(crate) fn delete_topic(application: &Application, topic: &str) {
    let admin = admin(application);
    let results = wait(admin.delete_topics(&[topic], &options())).expect("answer");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    // The answer comes before the brokers' metadata show it.
    let gone = poll_for(|| {
        let metadata = admin.inner().fetch_metadata(Some(topic), TIMEOUT).expect("metadata");
        metadata.topics()[0].error().map(drop)
    });
    assert!(gone.is_some(), "{topic} is still there");
}

/// Deletes the records of a partition before an offset.
pub(crate) fn delete_records(application: &Application, topic: &str, partition: i32, end: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(end)).expect("list");
    let result = wait(admin(application).delete_records(&list, &options())).expect("answer");
    for element in result.elements() {
        element.error().expect("records are deleted");
    }
}

/// Waits until the sessions of the group's members are over.
pub(crate) fn await_no_members(application: &Application) {
    let admin = admin(application);
    let gone = poll_for(|| {
        let groups = admin.inner().fetch_group_list(Some(application.name()), TIMEOUT);
        let groups = groups.expect("the group");
        groups.groups().iter().all(|group| group.members().is_empty()).then_some(())
    });
    assert!(gone.is_some(), "{} still has members", application.name());
}

/// Deletes the application's consumer group, whose member has to be gone.
pub(crate) fn delete_group(application: &Application) {
    let group = [application.name()];
    let results = wait(admin(application).delete_groups(&group, &options())).expect("answer");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

/// Sets the group's offset of one input, as the tools for operators do.
pub(crate) fn set_offset(application: &Application, topic: &str, partition: i32, next: i64) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", application.bootstrap())
        .set("group.id", application.name())
        .create()
        .expect("make a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(next)).expect("list");
    consumer.commit(&list, CommitMode::Sync).expect("commit");
}
