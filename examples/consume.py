#!/usr/bin/env python3
"""Act on segment changes: `pip install confluent-kafka`, then `consume.py [host:port [topic]]`."""
import json
import os
import signal
import sys

from confluent_kafka import Consumer, KafkaException

REMEMBERED = 100_000  # change ids; where acting twice does harm, keep them in your own store
servers = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9092"
topic = sys.argv[2] if len(sys.argv) > 2 else "segment-changes"
properties = {}  # of the client, `security.protocol=SASL_SSL` and so on
if os.environ.get("CLIENT_PROPERTIES"):
    with open(os.environ["CLIENT_PROPERTIES"], encoding="utf-8") as lines:
        properties = dict(line.strip().split("=", 1) for line in lines if "=" in line)
stopped, told, seen = [], set(), {}
signal.signal(signal.SIGINT, signal.SIG_DFL)  # until there is something to finish

def tell(error):  # of each kind once: the client tries again by itself
    if error.code() not in told:
        told.add(error.code())
        print(error.str(), file=sys.stderr)

consumer = Consumer({
    "bootstrap.servers": servers, "group.id": "crm", "auto.offset.reset": "earliest",
    "isolation.level": "read_committed",  # nothing of transactions that were aborted
    "enable.auto.offset.store": False,  # an offset counts once its change was acted on
    "error_cb": tell, "log_level": 0,  # the client's own log repeats what it tells
    **properties,
})
try:
    error = consumer.list_topics(topic, timeout=30).topics[topic].error
except KafkaException as failed:
    consumer.poll(0)  # why it failed
    error = failed.args[0]
if error:
    sys.exit(f"cannot read topic {topic} at {servers}: {error.str()}")
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *signalled: stopped.append(signalled))
consumer.subscribe([topic])
while not stopped:
    message = consumer.poll(1.0)
    if message is None:
        continue
    if message.error():
        tell(message.error())
        continue
    if dict(message.headers() or []).get("actionable") == b"true":  # news, not history
        change = json.loads(message.value())
        # A redelivery is no second change, and who is held out is left alone.
        if change["change_id"] not in seen and change["holdout"]["treated"]:
            print(change["customer_id"], change["dimension"], change["summary"], flush=True)
            seen[change["change_id"]] = None
            if len(seen) > REMEMBERED:
                del seen[next(iter(seen))]
    consumer.store_offsets(message)
consumer.close()  # commits the offsets; after a crash the last changes come again
