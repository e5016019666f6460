//! Whether librdkafka takes `kafka.properties`: clients are made with them and thrown away, and
//! the files that they name are read.
//!
//! Never connects: these clients have no brokers. Next: `client.rs`.

use crate::config::Config;
use crate::kafka::client::{Clients, ConnectMode};
use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::BaseProducer;
use std::path::Path;
use std::{fs, io};

const CA: &str = "ssl.ca.location";

/// Properties that name a file. librdkafka opens them for TLS only, and does not say which file it
/// could not read, nor why.
const FILES: [&str; 5] = [
    CA,
    "ssl.certificate.location",
    "ssl.crl.location",
    "ssl.key.location",
    "ssl.keystore.location",
];

/// What is refused: the property, or none when it is about several together, and why. Librdkafka
/// is asked, and the files of TLS are read.
#[must_use]
pub fn check_properties(config: &Config) -> Vec<(Option<String>, String)> {
    let mut refused = Vec::new();
    for (key, value) in &config.kafka.properties {
        let alone = ClientConfig::new().set(key, value).create_native_config().map(drop);
        if let Err(error) = alone {
            refused.push((Some(key.clone()), sentence(&error)));
        } else if let Err(error) = read_file(key, value) {
            refused.push((Some(key.clone()), format!("cannot read \"{value}\": {error}")));
        }
    }
    if !refused.is_empty() {
        return refused;
    }
    let clients = Clients::new(config, 0, ConnectMode::Cluster);
    let without_brokers = |mut config: ClientConfig| {
        config.remove("bootstrap.servers");
        config.set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
        config
    };
    let reader: KafkaResult<BaseConsumer> = without_brokers(clients.member()).create();
    let writer: KafkaResult<BaseProducer> = without_brokers(clients.producer()).create();
    let told = [reader.map(drop), writer.map(drop)].into_iter().filter_map(Result::err);
    let mut sentences: Vec<String> = told.map(|error| sentence(&error)).collect();
    sentences.dedup();
    refused.extend(sentences.into_iter().map(|sentence| (None, sentence)));
    refused
}

/// Reads what the property names, if it names a file; authorities may also be a folder of files,
/// or `probe`, the places where they usually are.
fn read_file(key: &str, value: &str) -> io::Result<()> {
    if !FILES.contains(&key) || value.is_empty() || (key == CA && value == "probe") {
        return Ok(());
    }
    if key == CA && Path::new(value).is_dir() {
        return fs::read_dir(value).map(drop);
    }
    fs::read(value).map(drop)
}

fn sentence(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, reason, _, _) => format!("librdkafka refuses it: {reason}"),
        KafkaError::ClientCreation(reason) => format!("librdkafka refuses it: {reason}"),
        other => format!("librdkafka refuses it: {other}"),
    }
}
