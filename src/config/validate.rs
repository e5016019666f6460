//! Reads every key and checks what must hold between them: layers in, [`Config`] or all problems
//! out.
//!
//! Never stops at the first problem. Next: `rules.rs`, the part that decides about customers.

use crate::config::owned;
use crate::config::reader::{Reader, text_of};
use crate::config::values::{self, CENTURY_MS, show_ms};
use crate::config::{
    ClockMode, CommitConfig, Config, Encoding, EncodingConfig, HttpConfig, KafkaConfig, LogConfig,
    RegistryConfig, TopicsConfig, rules,
};
use crate::domain::rules::Rules;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
/// Source: Kafka's broker default of `transaction.max.timeout.ms`.
const MAX_TRANSACTION_MS: i64 = 15 * MINUTE_MS;

/// Reads everything; `None` exactly when the reader holds problems.
pub(crate) fn read(reader: &mut Reader<'_>, warnings: &mut Vec<String>) -> Option<Config> {
    let application_id = reader.text("application_id", values::id);
    let instance_id = reader.text("instance_id", values::id);
    let clocks = [("wall", ClockMode::Wall), ("event", ClockMode::Event)];
    let clock = reader.choice("clock", &clocks);
    let leave_on_stop = reader.boolean("leave_on_stop");
    let workers = reader.integer("workers", 1..=64);
    let rules = rules::read(reader, warnings);
    let kafka = kafka(reader);
    let topics = topics(reader);
    erased_stay_away(reader, rules.as_ref(), topics.as_ref());
    let encoding = encoding(reader);
    let registry = registry(reader);
    let commit = commit(reader, kafka.as_ref());
    let trusted_keys = reader.choice("input.key", &[("any", false), ("trusted", true)]);
    let max_hold = max_hold(reader, kafka.as_ref());
    let timers_per_round = reader.integer("timers.per_round", 1..=1_000_000);
    let budget = reader.integer("dead_letters.budget_per_minute", 0..=1_000_000_000);
    let dead_letter_max_bytes = reader.integer("dead_letters.max_bytes", 0..=1 << 30);
    let http = http(reader);
    let log = log(reader);
    Some(Config {
        application_id: application_id?,
        instance_id: instance_id?,
        clock: clock?,
        leave_on_stop: leave_on_stop?,
        workers: workers?,
        kafka: kafka?,
        topics: topics?,
        encoding: encoding?,
        registry: registry?,
        commit: commit?,
        trusted_keys: trusted_keys?,
        max_hold: max_hold?,
        timers_per_round: timers_per_round?,
        rules: Arc::new(rules?),
        dead_letter_budget_per_minute: budget?,
        dead_letter_max_bytes: dead_letter_max_bytes?,
        http: http?,
        log: log?,
    })
}

/// Who was erased is kept away for `erase.keep`: until the log of changes has nothing left of them.
fn erased_stay_away(reader: &mut Reader<'_>, rules: Option<&Rules>, topics: Option<&TopicsConfig>) {
    let (Some(rules), Some(topics)) = (rules, topics) else { return };
    let kept = i64::try_from(topics.segment_changes_retention.as_millis()).unwrap_or(i64::MAX);
    if rules.erase_keep_ms < kept {
        reader.problem(
            "erase.keep",
            format!(
                "expected at least topics.segment_changes_retention ({}): what segment-changes \
                 holds of who was erased would outlive the mark that keeps them away",
                show_ms(kept)
            ),
        );
    }
}

fn kafka(reader: &mut Reader<'_>) -> Option<KafkaConfig> {
    let bootstrap_servers = reader.text("kafka.bootstrap_servers", values::servers);
    let session = reader.duration("kafka.session_timeout", 1000..=30 * MINUTE_MS);
    let heartbeat = reader.duration("kafka.heartbeat_interval", 1..=10 * MINUTE_MS);
    let max_poll = reader.duration("kafka.max_poll_interval", 1000..=DAY_MS);
    let transaction = reader.duration("kafka.transaction_timeout", 1000..=MAX_TRANSACTION_MS);
    let linger = reader.duration("kafka.linger", 0..=15 * MINUTE_MS);
    let properties = properties(reader);
    if let (Some(heartbeat), Some(session)) = (heartbeat, session)
        && heartbeat * 3 > session
    {
        reader.problem(
            "kafka.heartbeat_interval",
            format!("expected at most a third of kafka.session_timeout ({})", show(session)),
        );
    }
    if let (Some(max_poll), Some(transaction), Some(session)) = (max_poll, transaction, session)
        && max_poll < transaction + session
    {
        let (transaction_text, session_text) = (show(transaction), show(session));
        reader.problem(
            "kafka.max_poll_interval",
            format!(
                "expected at least kafka.transaction_timeout ({transaction_text}) + \
                 kafka.session_timeout ({session_text}): an undecided commit blocks for so long"
            ),
        );
    }
    if let (Some(linger), Some(transaction)) = (linger, transaction)
        && linger >= transaction
    {
        reader.problem(
            "kafka.linger",
            format!("expected less than kafka.transaction_timeout ({})", show(transaction)),
        );
    }
    Some(KafkaConfig {
        bootstrap_servers: bootstrap_servers?,
        session_timeout: session?,
        heartbeat_interval: heartbeat?,
        max_poll_interval: max_poll?,
        transaction_timeout: transaction?,
        linger: linger?,
        properties: properties?,
    })
}

fn properties(reader: &mut Reader<'_>) -> Option<BTreeMap<String, String>> {
    let mut properties = BTreeMap::new();
    let mut sound = true;
    for (path, entry) in reader.table("kafka.properties") {
        let name = path.join(".");
        let text = match (&entry.value, &entry.text) {
            (toml::Value::Integer(number), _) => Ok(number.to_string()),
            (toml::Value::Boolean(flag), _) => Ok(flag.to_string()),
            _ => text_of(&entry).map(str::to_owned),
        };
        let checked = match owned::instead_of(&name) {
            Some(instead) => Err(instead),
            None => text.map_err(|_| "expected text, a whole number, true or false".to_owned()),
        };
        match checked {
            Ok(text) => {
                properties.insert(name, text);
            }
            Err(problem) => {
                sound = false;
                reader.table_problem(format!("kafka.properties.{name}"), &entry, problem);
            }
        }
    }
    sound.then_some(properties)
}

fn topics(reader: &mut Reader<'_>) -> Option<TopicsConfig> {
    let prefix = reader.text("topics.prefix", |text| {
        if text.is_empty() { Ok(String::new()) } else { values::id(text) }
    });
    let mut taken: Vec<(String, &str)> = Vec::new();
    let mut name = |reader: &mut Reader<'_>, key: &'static str| {
        // With a broken prefix the name can still be checked by itself.
        let prefix = prefix.as_deref().unwrap_or("");
        let name = reader.text(key, |text| {
            let name = format!("{prefix}{text}");
            values::topic(&name)?;
            match taken.iter().find(|(other, _)| *other == name) {
                Some((_, other)) => Err(format!("expected another name than {other} has")),
                None => Ok(name),
            }
        })?;
        taken.push((name.clone(), key));
        Some(name)
    };
    let purchases = name(reader, "topics.purchases");
    let interactions = name(reader, "topics.interactions");
    let segment_changes = name(reader, "topics.segment_changes");
    let customers = name(reader, "topics.customers");
    let state = name(reader, "topics.state");
    let relay = name(reader, "topics.relay");
    let control = name(reader, "topics.control");
    let dead_letters = name(reader, "topics.dead_letters");
    let partitions = reader.integer("topics.partitions", 1..=10_000);
    let replication = reader.integer_or_none("topics.replication", "auto", 1..=100);
    let retention = MINUTE_MS..=CENTURY_MS;
    let input_retention = reader.duration("topics.input_retention", retention.clone());
    let changes = reader.duration("topics.segment_changes_retention", retention.clone());
    let dead = reader.duration("topics.dead_letters_retention", retention.clone());
    let max_compaction_lag = reader.duration("topics.max_compaction_lag", retention);
    prefix.as_ref()?;
    Some(TopicsConfig {
        purchases: purchases?,
        interactions: interactions?,
        segment_changes: segment_changes?,
        customers: customers?,
        state: state?,
        relay: relay?,
        control: control?,
        dead_letters: dead_letters?,
        partitions: partitions?,
        replication: replication?,
        input_retention: input_retention?,
        segment_changes_retention: changes?,
        dead_letters_retention: dead?,
        max_compaction_lag: max_compaction_lag?,
    })
}

fn encoding(reader: &mut Reader<'_>) -> Option<EncodingConfig> {
    let encodings = [("json", Encoding::Json), ("avro", Encoding::Avro)];
    let purchases = reader.choice("encoding.purchases", &encodings);
    let interactions = reader.choice("encoding.interactions", &encodings);
    let segment_changes = reader.choice("encoding.segment_changes", &encodings);
    let customers = reader.choice("encoding.customers", &encodings);
    Some(EncodingConfig {
        purchases: purchases?,
        interactions: interactions?,
        segment_changes: segment_changes?,
        customers: customers?,
    })
}

/// The outer `None` is a problem, the inner one no registry.
fn registry(reader: &mut Reader<'_>) -> Option<Option<RegistryConfig>> {
    let url = reader.text_or_none("registry.url", values::url);
    let user = reader.text_or_none("registry.user", |text| Ok(text.to_owned()));
    let password_file = reader.path_or_none("registry.password_file");
    let timeout = reader.duration("registry.timeout", 1..=5 * MINUTE_MS);
    if let (Some(user), Some(password_file)) = (&user, &password_file) {
        if user.is_some() && password_file.is_none() {
            reader.problem("registry.password_file", "expected a file, since registry.user is set");
        }
        if user.is_none() && password_file.is_some() {
            reader.problem("registry.user", "expected a user, since there is a password_file");
        }
    }
    let (url, user, password_file, timeout) = (url?, user?, password_file?, timeout?);
    Some(url.map(|url| RegistryConfig { url, user, password_file, timeout }))
}

fn commit(reader: &mut Reader<'_>, kafka: Option<&KafkaConfig>) -> Option<CommitConfig> {
    let idle_gap = reader.duration("commit.idle_gap", 0..=MINUTE_MS);
    let interval = reader.duration("commit.interval", 1..=MINUTE_MS);
    let max_records = reader.integer("commit.max_records", 1..=10_000_000);
    let max_bytes = reader.integer("commit.max_bytes", 1024..=1 << 30);
    if let (Some(interval), Some(kafka)) = (interval, kafka)
        && interval >= kafka.transaction_timeout
    {
        let timeout = show(kafka.transaction_timeout);
        reader.problem(
            "commit.interval",
            format!("expected less than kafka.transaction_timeout ({timeout})"),
        );
    }
    if let (Some(idle_gap), Some(interval)) = (idle_gap, interval)
        && idle_gap > interval
    {
        reader.problem(
            "commit.idle_gap",
            format!("expected at most commit.interval ({})", show(interval)),
        );
    }
    Some(CommitConfig {
        idle_gap: idle_gap?,
        interval: interval?,
        max_records: max_records?,
        max_bytes: max_bytes?,
    })
}

/// A task whose instance has died is somebody else's after a session: that long everybody waits.
fn max_hold(reader: &mut Reader<'_>, kafka: Option<&KafkaConfig>) -> Option<Duration> {
    let max_hold = reader.duration("relay.max_hold", 1000..=30 * DAY_MS)?;
    if let Some(kafka) = kafka
        && max_hold <= kafka.session_timeout
    {
        let session = show(kafka.session_timeout);
        reader.problem(
            "relay.max_hold",
            format!("expected more than kafka.session_timeout ({session})"),
        );
    }
    Some(max_hold)
}

fn http(reader: &mut Reader<'_>) -> Option<HttpConfig> {
    let address = |text: &str| {
        text.parse::<SocketAddr>()
            .map_err(|_| "expected address:port such as \"127.0.0.1:9464\"".to_owned())
    };
    let metrics_listen = reader.text("http.metrics_listen", address);
    let admin_listen = reader.text("http.admin_listen", address);
    let admin_token_file = reader.path_or_none("http.admin_token_file");
    if let (Some(admin), Some(None)) = (admin_listen, &admin_token_file)
        && !admin.ip().is_loopback()
    {
        reader.problem(
            "http.admin_listen",
            "expected a loopback address, or a file in http.admin_token_file: \
             it serves personal data",
        );
    }
    if let (Some(metrics), Some(admin)) = (metrics_listen, admin_listen)
        && metrics == admin
        && admin.port() != 0
    {
        reader.problem("http.admin_listen", "expected another port than http.metrics_listen has");
    }
    Some(HttpConfig {
        metrics_listen: metrics_listen?,
        admin_listen: admin_listen?,
        admin_token_file: admin_token_file?,
    })
}

fn log(reader: &mut Reader<'_>) -> Option<LogConfig> {
    let filter = reader.text("log.filter", |text| match EnvFilter::try_new(text) {
        Ok(_) if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("expected a filter such as \"info\" or \"warn,ebbflow=debug\"".to_owned()),
    });
    let json = reader.boolean("log.json");
    Some(LogConfig { filter: filter?, json: json? })
}

fn show(duration: Duration) -> String {
    show_ms(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}
