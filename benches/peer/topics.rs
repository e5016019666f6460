//! Topics of the comparison that no program makes itself.
//!
//! Next: `main.rs`.

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

/// Makes topics.
pub(crate) fn create(bootstrap: &str, names: &[&str], partitions: u32) {
    let client: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("make a client");
    let partitions = i32::try_from(partitions).expect("few");
    let topics: Vec<_> = names
        .iter()
        .map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1)))
        .collect();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let made = runtime.block_on(client.create_topics(&topics, &AdminOptions::new()));
    for topic in made.expect("the broker answers") {
        topic.expect("the topic is made");
    }
}
