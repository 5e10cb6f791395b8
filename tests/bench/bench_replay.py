"""How fast a worker replays its log: vector records from a broker into the index's rows.

Beside it, in turns, a bare confluent-kafka loop over the same topic that only counts. Three ways:
the loop, the reader with an index that does nothing else, and the reader of a worker, whose index
puts the rows into graphs meanwhile. `python -m tests.bench.bench_replay [--records N] [--json]`.
"""

import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from confluent_kafka import Consumer, Producer
from prometheus_client import CollectorRegistry

from streams.config.process import tune
from streams.config.topics import TopicNames, topic_specs
from streams.indexer.ledger import Ledger
from streams.indexer.reader import LogReader
from streams.kafka.topics import create_topics
from streams.metrics import Metrics
from streams.tools.bench.clustered import Clustered
from streams.tools.broker import start_broker, stop_broker
from visualsearch.client.options import by_assignment
from visualsearch.client.partitioner import partition_of
from visualsearch.client.tail import is_end, topic_partition
from visualsearch.contracts.records import ImageVector, Vectors, encode_record, record_key
from visualsearch.engine import Engine

PARTITIONS = 8
TOPIC = TopicNames().index_log
MODEL = "clip"
HEADERS = [
    ("occurred_at", b"2026-01-31T12:00:00+00:00"), ("event_id", b"0" * 36),
    ("event_type", b"product-created"), ("source", b"product-events[3]@123456"),
]  # fmt: skip
PROMISED = 20_000  # records a second into rows, on two cores
TIMES = 3


def fill(bootstrap: str, records: int, dim: int) -> int:
    """Write a record per product, with one picture each; return the bytes of their values."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 50, "compression.type": "none"}
    )
    drawn, total = Clustered(dim), 0
    for part in range(0, records, 10_000):
        rows, _ = drawn.rows(min(10_000, records - part), part)
        for number, row in enumerate(rows.astype("<f2"), part):
            name = f"product-{number}"
            image = ImageVector(image_id="0", vector=row.tobytes(), url=f"https://x/{name}.jpg",
                                content_hash=f"{number:064x}")  # fmt: skip
            value = encode_record(Vectors(order=(number, number, 0), model=MODEL, images=[image]))
            total += len(value)
            producer.produce(TOPIC, value, record_key("vectors", name), headers=HEADERS,
                             partition=partition_of(name, PARTITIONS))  # fmt: skip
            if number % 2_000 == 0:
                producer.flush()
    producer.flush()
    return total


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds by the wall, and of CPU: of all threads of this process, the client's included."""

    wall_s: float
    cpu_s: float


class Watch:
    """A clock that runs from its making."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def took(self) -> Took:
        """Return what has gone by."""
        return Took(time.perf_counter() - self._wall, time.process_time() - self._cpu)


def bare(bootstrap: str, records: int) -> Took:
    """Return the time in which a loop reads them all, and looks at none."""
    options = by_assignment({"bootstrap.servers": bootstrap}, "bare")
    own = {"enable.partition.eof": True, "auto.offset.reset": "error", "fetch.wait.max.ms": 50,
           "queued.max.messages.kbytes": 65536}  # fmt: skip
    consumer = Consumer(options | own)
    watch = Watch()
    consumer.assign([topic_partition((TOPIC, number), None) for number in range(PARTITIONS)])
    seen, ends = 0, set()
    while len(ends) < PARTITIONS:
        for message in consumer.consume(1000, 0.05):
            if message.error() is None:
                seen += 1
            elif is_end(message.error()):
                ends.add(message.partition())
    took = watch.took()
    consumer.close()
    assert seen == records
    return took


def replay(bootstrap: str, records: int, dim: int, *, indexing: bool) -> Took:
    """Return the time until the reader has met every end, and every row is stored."""
    engine = Engine(MODEL, dim)
    ledger = Ledger(30.0, time.monotonic)
    reader = LogReader({"bootstrap.servers": bootstrap}, TOPIC, engine, ledger,
                       Metrics(CollectorRegistry()), time.time, partitions=PARTITIONS)  # fmt: skip
    if indexing:
        engine.start()
    watch = Watch()
    reader.start()
    reader.caught_up.wait()
    took = watch.took()
    reader.close()
    engine.close()
    assert engine.stats().rows == records, (engine.stats(), reader.failed.is_set())
    return took


@click.command()
@click.option("--records", default=100_000, show_default=True)
@click.option("--dim", default=512, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(records: int, dim: int, *, as_json: bool) -> None:
    """Print records a second, of each way the median of three runs, and the ratio to the loop."""
    tune()
    with tempfile.TemporaryDirectory() as folder:
        info = start_broker(Path(folder))
        try:
            names = TopicNames()
            create_topics(info.bootstrap, topic_specs(names, index_log=PARTITIONS))
            size = fill(info.bootstrap, records, dim)
            ways = {
                "bare loop": lambda: bare(info.bootstrap, records),
                "into rows": lambda: replay(info.bootstrap, records, dim, indexing=False),
                "as a worker": lambda: replay(info.bootstrap, records, dim, indexing=True),
            }
            took: dict[str, list[Took]] = {name: [] for name in ways}
            for _ in range(TIMES):  # in turns: a machine is quicker now and slower then
                for name, way in ways.items():
                    took[name].append(way())
        finally:
            stop_broker(Path(folder))
    rates = {n: records / statistics.median(x.wall_s for x in each) for n, each in took.items()}
    cpu = {n: records / statistics.median(x.cpu_s for x in each) for n, each in took.items()}
    figures: dict[str, Any] = {
        "records": records,
        "dim": dim,
        "bytes_per_record": round(size / records),
        "records_per_s": {name: round(rate) for name, rate in rates.items()},
        "records_per_cpu_s": {name: round(rate) for name, rate in cpu.items()},
        "of_the_bare_loop": {n: round(rate / rates["bare loop"], 3) for n, rate in rates.items()},
        "promised_per_s": PROMISED,
    }
    if as_json:
        print(json.dumps(figures))
        return
    print(f"{records:,} records of {figures['bytes_per_record']} bytes, {dim} dimensions")
    for name, rate in rates.items():
        held = "ok" if rate >= PROMISED else "MISSED"
        verdict = held if name == "into rows" else ""
        print(f"{name:12} {rate:10,.0f}/s  {rate / rates['bare loop']:6.3f} of the loop  "
              f"{cpu[name]:10,.0f} per CPU second  {verdict}")  # fmt: skip


if __name__ == "__main__":
    main()
