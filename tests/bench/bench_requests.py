"""Requests through the topics: CPU of a worker per request, and requests a second.

`python -m tests.bench.bench_requests [--other CHECKOUT]` runs a worker of this tree and, beside it,
one of another checkout, on topics of their own with the same vectors, and asks them in turn.
Vectors are real ones where `../shared/data/vectors` is, else drawn clusters.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from streams.config.settings import Settings, load_settings
from streams.config.topics import topic_specs
from streams.kafka.topics import create_topics
from streams.tools.bench.clustered import Clustered
from streams.tools.broker import start_broker, stop_broker
from visualsearch.client.partitioner import partition_of
from visualsearch.contracts.records import (
    BaseLogRecord,
    LogImageVector,
    OfferLogRecord,
    VectorsLogRecord,
    encode_record,
    record_key,
)
from visualsearch.types import FloatArray

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "vectors" / "clip-keyframes.npy"
WORKER = """
import sys
import visualsearch
from tests.support import fakes
fakes.DIM = fakes.FakeEncoder.dim = 512
fakes.unit.__defaults__ = (512,)
visualsearch.load_encoder = lambda *_, **__: fakes.FakeEncoder()
from streams.config.process import tune_process
tune_process()
from streams.config.settings import load_settings
from streams.worker.worker import run
run(load_settings(), frozenset({"search"}), lambda port: print(port, flush=True))
"""
QUERIES, TOP_K, STALL_S = 500, 40, 1.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Turn:
    """What one worker did in one turn."""

    per_s: float
    cpu_ms: float  # of the worker, per request
    p50_ms: float
    p99_ms: float
    longest_s: float


def vectors(rows: int) -> tuple[FloatArray, FloatArray]:
    """Return (rows, 512) and (QUERIES, 512) float32 unit vectors."""
    rng = np.random.default_rng(7)
    if not REAL.exists():
        print(f"{REAL} is not there: drawn clusters instead", file=sys.stderr)
        drawn = Clustered()
        found, _ = drawn.rows(rows)
        return found, drawn.queries(found, QUERIES)
    real = np.load(REAL).astype(np.float32)
    queries = real[:QUERIES]
    some = real[QUERIES:][np.arange(rows) % (len(real) - QUERIES)]
    noise = rng.standard_normal(some.shape, dtype=np.float32) * (0.1 / 512**0.5)
    some = some + noise
    return some / np.linalg.norm(some, axis=1, keepdims=True), queries


def load(settings: Settings, rows: FloatArray) -> None:
    """Write a product per row into the index log."""
    producer = Producer(
        settings.kafka() | {"linger.ms": 50, "queue.buffering.max.messages": 2_000_000}
    )
    topic = settings.topics.index_log
    for number, row in enumerate(rows.astype("<f2")):
        name, order = f"p-{number}", (1000, number, 0)
        image = LogImageVector(
            image_id="0", vector=row.tobytes(), url="http://x/", content_hash="0"
        )
        records = (
            BaseLogRecord(
                order=order,
                title=f"Product {number}",
                category=f"C{number % 20}",
                brand="B",
                attributes={"color": "red", "material": "wool"},
            ),
            OfferLogRecord(order=order, price=float(number % 100), currency="EUR", in_stock=True),
            VectorsLogRecord(order=order, model="fake", images=[image]),
        )
        for record in records:
            key = record_key(record.__struct_config__.tag, name)  # type: ignore[arg-type]
            producer.produce(topic, encode_record(record), key, partition_of(name, 8))
        producer.poll(0)
    producer.flush()


@contextmanager
def worker(checkout: Path, settings: Settings, folder: Path) -> Iterator[tuple[int, str]]:
    """Run a worker of a checkout; give its process and URL once its graphs are built."""
    environ = os.environ | {
        "PYTHONPATH": str(checkout),
        "OMP_NUM_THREADS": "1",
        "VISUALSEARCH_BOOTSTRAP": settings.bootstrap,
        "VISUALSEARCH_TOPIC_PREFIX": settings.topic_prefix,
        "VISUALSEARCH_DATA_DIR": str(folder),
        "VISUALSEARCH_HTTP_PORT": "0",
        "VISUALSEARCH_SNAPSHOT_INTERVAL_S": "0",
        "VISUALSEARCH_SNAPSHOT_AT_STOP": "false",
        "VISUALSEARCH_RECALL_PROBE_SHARE": "0",
    }
    with (
        (folder / "worker.log").open("w") as log,
        subprocess.Popen([sys.executable, "-c", WORKER], cwd=checkout, env=environ, text=True,
                         stdout=subprocess.PIPE, stderr=log) as process,
    ):  # fmt: skip
        try:
            assert process.stdout is not None
            url = f"http://127.0.0.1:{int(process.stdout.readline())}"
            _wait_for_graphs(url, process.pid)
            yield process.pid, url
        finally:
            process.terminate()


def _wait_for_graphs(url: str, pid: int) -> None:
    """Return once no row waits for a graph and the process is at rest."""
    while True:
        with urllib.request.urlopen(f"{url}/metrics", timeout=30) as reply:  # noqa: S310
            text = reply.read().decode()
        waiting = next(
            x for x in text.splitlines() if x.startswith("visualsearch_index_fresh_rows ")
        )
        before = cpu_s(pid)
        time.sleep(3)
        if float(waiting.split()[1]) < 3000 and cpu_s(pid) - before < 0.5:
            return


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def turn(settings: Settings, pid: int, queries: FloatArray, clients: int, seconds: float) -> Turn:
    """Keep `clients` requests in flight for a while."""
    topics = settings.topics
    consumer = Consumer(
        settings.kafka()
        | {"group.id": f"bench-{uuid.uuid4().hex}", "fetch.wait.max.ms": 5,
           "enable.auto.commit": False}
    )  # fmt: skip
    ends = []
    for number in range(
        len(consumer.list_topics(topics.search_results).topics[topics.search_results].partitions)
    ):
        at = TopicPartition(topics.search_results, number)
        at.offset = consumer.get_watermark_offsets(at, timeout=10)[1]
        ends.append(at)
    consumer.assign(ends)
    consumer.poll(0.2)
    producer = Producer(settings.kafka() | {"linger.ms": 0, "partitioner": "murmur2_random"})
    bodies = [
        json.dumps({"request_id": "ID", "query": {"vector": [round(float(x), 5) for x in q]},
                    "top_k": TOP_K, "deadline_ms": 60_000}).encode()
        for q in queries
    ]  # fmt: skip
    sent: dict[bytes, float] = {}
    took: list[float] = []
    asked = 0

    def ask() -> None:
        nonlocal asked
        name = uuid.uuid4().hex.encode()
        body = bodies[asked % len(bodies)].replace(b'"ID"', b'"' + name + b'"')
        sent[name] = time.monotonic()
        producer.produce(topics.search_requests, body, name)
        producer.poll(0)
        asked += 1

    begun_at, cpu = time.monotonic(), cpu_s(pid)
    for _ in range(clients):
        ask()
    while sent:
        for message in consumer.consume(64, 0.01):
            if message.error() is None and message.key() in sent:
                took.append(time.monotonic() - sent.pop(message.key()))
                if time.monotonic() - begun_at < seconds:
                    ask()
        producer.poll(0)
    wall_s = time.monotonic() - begun_at
    consumer.close()
    ms = np.array(took) * 1000
    return Turn(
        len(took) / wall_s,
        (cpu_s(pid) - cpu) / len(took) * 1000,
        float(np.percentile(ms, 50)),
        float(np.percentile(ms, 99)),
        max(took),
    )


def main() -> None:
    """Run and print; with --json for machines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--other", type=Path, help="another checkout to measure beside")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    checkouts = {"ours": ROOT} | ({"other": chosen.other.resolve()} if chosen.other else {})
    rows, queries = vectors(chosen.rows)
    found: dict[str, list[Turn]] = {name: [] for name in checkouts}
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        broker = start_broker(Path(scratch) / "broker")
        stack.callback(stop_broker, Path(scratch) / "broker")
        running = {}
        for name, checkout in checkouts.items():
            folder = Path(scratch) / name
            folder.mkdir()
            settings = load_settings(bootstrap=broker.bootstrap, topic_prefix=f"{name}-")
            create_topics(broker.bootstrap, topic_specs(settings.topics))
            load(settings, rows)
            pid, _ = stack.enter_context(worker(checkout, settings, folder))
            running[name] = settings, pid
            turn(settings, pid, queries, chosen.clients, 4.0)
            print(f"{name} is ready", file=sys.stderr)
        for number in range(chosen.turns):
            for name in sorted(running, reverse=bool(number % 2)):
                result = turn(*running[name], queries, chosen.clients, chosen.seconds)
                found[name].append(result)
                print(name, result, file=sys.stderr)
    medians = {
        name: Turn(*(statistics.median(getattr(t, f) for t in turns) for f in Turn.__slots__))
        for name, turns in found.items()
    }
    if chosen.json:
        print(
            json.dumps(
                {name: {f: getattr(t, f) for f in Turn.__slots__} for name, t in medians.items()}
            )
        )
        return
    for name, median in medians.items():
        print(
            f"{name:6} {median.per_s:7.0f} requests/s {median.cpu_ms:6.2f} CPU-ms/request "
            f"p50 {median.p50_ms:5.1f} p99 {median.p99_ms:6.1f} ms longest {median.longest_s:.2f} s"
        )
    if "other" in medians:
        ours, other = medians["ours"], medians["other"]
        print(
            f"ours / other: {ours.per_s / other.per_s:.2f} x requests/s, "
            f"{ours.cpu_ms / other.cpu_ms:.2f} x CPU per request"
        )


if __name__ == "__main__":
    main()
