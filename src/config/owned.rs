//! Keys of librdkafka that the program sets itself: exactly-once rests on them.
//!
//! Nothing here sets them; `kafka` does. Next: `validate.rs`, which refuses them in the
//! pass-through.

/// What to do instead of setting the key; `None` when the pass-through may set it.
///
/// Source of names and aliases: librdkafka, CONFIGURATION.md.
#[must_use]
pub(crate) fn instead_of(property: &str) -> Option<String> {
    let set = |key: &str| Some(format!("the program sets this key; set {key} instead"));
    let fixed = |why: &str| Some(format!("the program sets this key: {why}"));
    match property {
        "bootstrap.servers" | "metadata.broker.list" => set("kafka.bootstrap_servers"),
        "group.id" => set("application_id"),
        "group.instance.id" => set("instance_id"),
        "transactional.id" => set("application_id and instance_id"),
        "client.id" => set("application_id and instance_id"),
        "session.timeout.ms" => set("kafka.session_timeout"),
        "heartbeat.interval.ms" => set("kafka.heartbeat_interval"),
        "max.poll.interval.ms" => set("kafka.max_poll_interval"),
        "transaction.timeout.ms" => set("kafka.transaction_timeout"),
        "linger.ms" | "queue.buffering.max.ms" => set("kafka.linger"),
        "enable.auto.commit"
        | "auto.commit.enable"
        | "auto.commit.interval.ms"
        | "enable.auto.offset.store"
        | "offset.store.method" => fixed("offsets are committed in transactions only"),
        "isolation.level" => fixed("only committed records may be read"),
        "enable.idempotence"
        | "enable.gapless.guarantee"
        | "acks"
        | "request.required.acks"
        | "max.in.flight"
        | "max.in.flight.requests.per.connection"
        | "retries"
        | "message.send.max.retries"
        | "message.timeout.ms"
        | "delivery.timeout.ms" => fixed("transactions depend on it"),
        "partition.assignment.strategy" | "group.protocol" | "group.remote.assignor" => {
            fixed("only the classic protocol with range keeps the inputs together at every moment")
        }
        "auto.offset.reset" => fixed("where to start is read from the state topic"),
        "delivery.report.only.error" => fixed("failed deliveries are counted"),
        "enable.partition.eof" => fixed("end offsets are compared instead"),
        "allow.auto.create.topics" => fixed("`ebbflow topics --create` makes the topics"),
        "check.crcs" => fixed("damaged records must not be read"),
        "queue.buffering.max.messages" => fixed("a full queue holds the worker back by itself"),
        "log.connection.close" => fixed("idle connections close all the time"),
        "partitioner" => fixed("every record goes to an explicit partition"),
        _ => None,
    }
}
