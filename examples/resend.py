#!/usr/bin/env python3
"""Send dead letters again whose cause is repaired: `resend.py host:port dead-letters reason`."""
import collections
import json
import os
import sys

from confluent_kafka import (OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer,
                             TopicPartition)

if len(sys.argv) != 4:
    print("usage: resend.py host:port dead-letters-topic reason", file=sys.stderr)
    sys.exit(2)
servers, topic, reason = sys.argv[1:]
properties = {}  # of the client, `security.protocol=SASL_SSL` and so on
if os.environ.get("CLIENT_PROPERTIES"):
    with open(os.environ["CLIENT_PROPERTIES"], encoding="utf-8") as lines:
        properties = dict(line.strip().split("=", 1) for line in lines if "=" in line)
consumer = Consumer({"bootstrap.servers": servers, "group.id": "resend", "enable.auto.commit": False,
                     "isolation.level": "read_committed", "enable.partition.eof": True,
                     "log_level": 0,  # of the client's own log; what ends this is said below
                     **properties})
counts, reasons = collections.Counter(sent=0), collections.Counter()
try:
    described = consumer.list_topics(topic, timeout=10).topics[topic]
except KafkaException as error:
    sys.exit(f"{servers} did not answer: {error.args[0].str()}")
if described.error:
    sys.exit(f"{topic}: {described.error.str()}")
producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random",
                     "queue.buffering.max.messages": 0,  # no limit
                     "on_delivery": lambda error, _: counts.update(["failed" if error else "sent"]),
                     **properties})
parts = [TopicPartition(topic, part) for part in described.partitions]
# Noted before the first is sent: what is refused again lies behind, and is not read.
ends = {part.partition: consumer.get_watermark_offsets(part)[1] for part in parts}
consumer.assign([TopicPartition(topic, part, OFFSET_BEGINNING) for part in ends])
while ends:
    message = consumer.poll()
    if message.error() and message.error().code() != KafkaError._PARTITION_EOF:
        sys.exit(f"{message.error()}; {dict(counts)}")
    headers = dict(message.headers() or [])
    if message.error() or message.offset() >= ends.get(message.partition(), 0):
        ends.pop(message.partition(), None)
        continue
    reasons[headers.get("reason", b"none").decode()] += 1
    if headers.get("reason") == reason.encode() and not headers.get("truncated"):
        try:
            key = json.loads(message.value())["customer_id"].encode()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            key = message.key()  # Avro, or JSON without a customer
        producer.produce(headers["source_topic"].decode(), message.value(), key)
if reason not in reasons:
    there = ", ".join(f"{name} {count}" for name, count in sorted(reasons.items())) or "none at all"
    sys.exit(f"no dead letter has the reason {reason}; there are: {there}")
producer.flush()
print(*(f"{what}: {count}" for what, count in counts.items()))
sys.exit(bool(counts["failed"]))
