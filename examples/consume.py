#!/usr/bin/env python3
"""Act on segment changes: `pip install confluent-kafka`, then `consume.py [host:port [topic]]`."""
import json
import signal
import sys

from confluent_kafka import Consumer

REMEMBERED = 100_000  # change ids; where acting twice does harm, keep them in your own store
stopped = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *signalled: stopped.append(signalled))
consumer = Consumer({
    "bootstrap.servers": sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9092",
    "group.id": "crm",
    "isolation.level": "read_committed",  # nothing of transactions that were aborted
    "auto.offset.reset": "earliest",
    "enable.auto.offset.store": False,  # an offset counts once its change was acted on
})
consumer.subscribe([sys.argv[2] if len(sys.argv) > 2 else "segment-changes"])
seen = {}
while not stopped:
    message = consumer.poll(1.0)
    if message is None:
        continue
    if message.error():
        print(message.error(), file=sys.stderr)
        continue
    if dict(message.headers() or []).get("actionable") == b"true":  # news, not history
        change = json.loads(message.value())
        if change["change_id"] not in seen:  # a redelivery is no second change
            print(change["customer_id"], change["dimension"], change["summary"], flush=True)
            seen[change["change_id"]] = None
            if len(seen) > REMEMBERED:
                del seen[next(iter(seen))]
    consumer.store_offsets(message)
consumer.close()  # commits the offsets; after a crash the last changes come again
