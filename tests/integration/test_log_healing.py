"""The index log on a broker that really compacts it: what is left replays to the live index."""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path as Folder
from typing import Any

import pytest
from aiohttp import ClientSession
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from prometheus_client import CollectorRegistry

from streams.config.settings import Settings
from streams.config.topics import topic_specs
from streams.indexer.healer import LogHealer, PartitionScan
from streams.indexer.ledger import Ledger
from streams.indexer.reader import LogReader
from streams.ingest.order import OrderMode
from streams.kafka.messages import SourceMessage
from streams.kafka.topics import create_topics
from streams.metrics import Metrics
from streams.tools.broker import BrokerInfo
from tests.support.fakes import DIM
from tests.support.harness import Path, inline, make_settings, path_of, read_topic
from tests.support.log_catalogue import Catalogue, newest_orders
from tests.support.log_replica import state_of
from tests.support.waiting import until
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.partitioner import partition_of
from visualsearch.client.producer import Producer
from visualsearch.contracts.records import (
    BaseLogRecord,
    OfferLogRecord,
    decode_record,
    encode_record,
)
from visualsearch.engine import Engine

pytestmark = pytest.mark.deep

HISTORIES = 200
EVENTS = 5  # per product, on average
WAVES = 5
PARTITIONS = 2
NEVER_S = 3600.0


def make_log_topics(settings: Settings) -> None:
    """Create the catalog's topics with its own timestamps, and a log of short segments."""
    names = settings.topics
    specs = topic_specs(names, products=2, index_log=PARTITIONS, search_requests=1,
                        search_results=1, product_retry=1)  # fmt: skip
    log = {"segment.ms": "300", "min.cleanable.dirty.ratio": "0.01", "file.delete.delay.ms": "100"}
    catalogue = {"message.timestamp.type": "CreateTime"}
    changes = {names.index_log: log} | dict.fromkeys(names.product_topics(), catalogue)
    create_topics(
        settings.bootstrap,
        [replace(s, config={**s.config, **changes.get(s.name, {})}) for s in specs],
    )


def compact(settings: Settings, producer: Producer) -> None:
    """Have the broker compact the log as if the day had passed; return when it has.

    The active segment is never compacted: records of a product that nobody knows close it.
    """
    topic = settings.topics.index_log
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in (("min.compaction.lag.ms", "0"), ("max.compaction.lag.ms", "500"))
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin = AdminClient(settings.kafka())
    admin.incremental_alter_configs([resource])[resource].result(10)
    names = [next(n for n in map(str, range(99)) if partition_of(n, PARTITIONS) == p)
             for p in range(PARTITIONS)]  # fmt: skip
    give_up_at = time.monotonic() + 60.0
    while True:
        time.sleep(0.5)
        fillers = [
            OutgoingMessage(
                topic, f"offer:{name}".encode(), encode_record(OfferLogRecord(order=(0, 0, 0))), p
            )
            for p, name in enumerate(names)
        ]
        for future in [producer.submit(filler) for filler in fillers]:
            future.result(10)
        counts = Counter(message.key() for message in read_topic(settings, topic))
        for filler in fillers:
            del counts[filler.key]
        if max(counts.values()) == 1:
            return
        assert time.monotonic() < give_up_at, f"not compacted: {counts.most_common(3)}"


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a catalog: the index while it lived, and the one replayed afterwards."""

    live: dict[str, Any]
    replayed: dict[str, Any]
    products: Sequence[str]
    healed: float
    compacted_away: int


async def live_and_replayed(
    settings: Settings, rng: random.Random, histories: int, *, heals: bool
) -> Run:
    """Publish histories in the wrong order, let zombies write, compact, and replay."""
    await asyncio.to_thread(make_log_topics, settings)
    products = [f"p{n}" for n in range(histories)]
    async with path_of(settings) as path:
        await publish_out_of_order(path, rng, products)
        await let_zombies_write(path, rng)
        await path.settled()
        side = path.worker._search
        assert side is not None
        if heals:
            await until(lambda: len(side.ledger) == 0)
        assert await gauge(path, "log_dirty_keys") == len(side.ledger)
        assert (len(side.ledger) == 0) == heals
        healed = path.metric("log_healed_total")
        before = len(path.read(path.topics.index_log))
        await asyncio.to_thread(compact, settings, path.producer)
        await path.settled()
        after = len(path.read(path.topics.index_log))
        live = state_of(path.engine, products)
        check_truth(path, live, settings.order_mode)
        async with path_of(settings, frozenset({"search"})) as fresh:
            return Run(live, state_of(fresh.engine, products), products, healed, before - after)


async def gauge(path: Path, name: str) -> float:
    """Return a value that is brought up to date when the worker's metrics are read."""
    async with ClientSession() as session, session.get(f"{path.url}/metrics") as response:
        assert response.status == 200
    return path.metric(name)


async def publish_out_of_order(path: Path, rng: random.Random, products: Sequence[str]) -> None:
    """Publish each event on the topic of its type, in any order, with its own time."""
    catalogue = Catalogue(rng, products, picture=lambda number: inline(number % 4096))
    for _ in range(EVENTS * len(products)):
        catalogue.publish()
    prefix, noon = path.settings.topic_prefix, int(time.time() * 1000) - 3_600_000
    messages = [
        OutgoingMessage(prefix + topic, m.key, m.value, timestamp_ms=noon + m.timestamp_ms)
        for topic, published in catalogue.topics.items()
        for m in published
    ]
    rng.shuffle(messages)
    for wave in range(WAVES):  # what is in one batch of a pipeline would be put in order by it
        await path.producer.send(messages[wave::WAVES])
        await path.settled()


async def let_zombies_write(path: Path, rng: random.Random) -> None:
    """Append records that are in the log once more, as a writer does that was long gone."""
    written = path.read(path.topics.index_log)
    for message in rng.sample(written, len(written) // 5):
        again = OutgoingMessage(path.topics.index_log, message.key(), message.value(),
                                message.partition(), tuple(message.headers() or ()))  # fmt: skip
        await asyncio.wrap_future(path.producer.submit(again))


def check_truth(path: Path, live: dict[str, Any], mode: OrderMode) -> None:
    """Check the live index against the events themselves."""
    messages = [
        SourceMessage(m.topic(), m.partition(), m.offset(), m.timestamp()[1], m.key(), m.value())
        for topic in path.topics.product_topics()
        for m in path.read(topic)
    ]
    assert len(messages) == EVENTS * (len(live) - 1)
    for (product_id, kind), order in newest_orders(messages, mode).items():
        assert live[product_id][0].orders[kind] == order


@pytest.mark.parametrize("mode", ["timestamp", "explicit"])
async def test_a_compacted_log_replays_to_the_live_index(
    kafka: BrokerInfo, tmp_path: Folder, mode: OrderMode
) -> None:
    """Deletes overtake creates, zombies write last; products, orders and vectors are the same."""
    settings = make_settings(kafka.bootstrap, tmp_path, order_mode=mode, heal_grace_s=0.5)
    run = await live_and_replayed(settings, random.Random(mode), HISTORIES, heals=True)
    assert run.compacted_away > HISTORIES
    assert run.healed > HISTORIES / 2, "the order was not adversarial"
    assert 0 < run.live["stats"][0] < HISTORIES, "nothing was deleted, or everything"
    assert run.replayed == run.live


async def test_without_healing_a_compacted_log_resurrects(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """Or the test above would show nothing."""
    settings = make_settings(kafka.bootstrap, tmp_path, heal_grace_s=NEVER_S)
    run = await live_and_replayed(settings, random.Random(1), 60, heals=False)
    assert run.healed == 0
    risen = [p for p in run.products if run.replayed[p][1] and not run.live[p][1]]
    gone = [p for p in run.products if run.live[p][1] and not run.replayed[p][1]]
    assert risen
    assert gone


class GatedIndex:
    """An engine that applies a batch only when it is let."""

    def __init__(self) -> None:
        self.engine = Engine("fake", DIM)
        self.product = self.engine.product
        self.gate = threading.Semaphore(0)

    def apply(self, records: Sequence[Any]) -> Any:
        """Wait to be let, and apply."""
        self.gate.acquire()
        return self.engine.apply(records)


@asynccontextmanager
async def slow_reader(
    settings: Settings, producer: Producer
) -> AsyncIterator[tuple[GatedIndex, LogReader, Ledger]]:
    """Give a reader in the middle of its replay, beside a healer that waits for nothing else."""
    index, ledger, topic = GatedIndex(), Ledger(0.0, time.monotonic), settings.topics.index_log
    metrics = Metrics(CollectorRegistry())
    reader = LogReader(settings.kafka(), topic, index, ledger, metrics, time.time,
                       partitions=PARTITIONS, batch=20)  # fmt: skip
    healer = LogHealer(topic, ledger, PartitionScan(settings.kafka(), topic), producer.submit,
                       metrics, ready=reader.caught_up.is_set, interval_s=0.01)  # fmt: skip
    reader.start()
    healer.start()
    try:
        yield index, reader, ledger
    finally:
        index.gate.release(10_000)
        await asyncio.to_thread(healer.close)
        await asyncio.to_thread(reader.close)


def ends(settings: Settings) -> list[int]:
    """Return the end offset of each partition of the log."""
    consumer = Consumer(settings.kafka() | {"group.id": "unused"})
    try:
        tps = [TopicPartition(settings.topics.index_log, p) for p in range(PARTITIONS)]
        return [consumer.get_watermark_offsets(tp, timeout=10)[1] for tp in tps]
    finally:
        consumer.close()


async def test_nothing_is_appended_during_a_replay(kafka: BrokerInfo, tmp_path: Folder) -> None:
    """Dirty keys are known from the first batch on; they are healed after the last one."""
    settings = make_settings(kafka.bootstrap, tmp_path)
    await asyncio.to_thread(make_log_topics, settings)
    topic, products = settings.topics.index_log, [f"p{n}" for n in range(100)]

    def record(product_id: str, version: int) -> OutgoingMessage:
        value = encode_record(BaseLogRecord(order=(version, 0, 0), title=f"v{version}"))
        place = partition_of(product_id, PARTITIONS)
        return OutgoingMessage(topic, f"base:{product_id}".encode(), value, place)

    with Producer(settings.kafka()) as producer:
        await producer.send(record(p, v) for p in products for v in (3, 2))
        written = await asyncio.to_thread(ends, settings)
        assert sum(written) == 200
        async with slow_reader(settings, producer) as (index, reader, ledger):
            known = 0
            while not reader.caught_up.is_set():
                assert await asyncio.to_thread(ends, settings) == written
                known = max(known, len(ledger))
                index.gate.release()
                await asyncio.sleep(0.1)
            assert known > 20
            index.gate.release(10_000)
            await until(lambda: len(ledger) == 0)
        assert sum(await asyncio.to_thread(ends, settings)) >= 300
    last = {m.key(): m for m in read_topic(settings, topic)}
    assert len(last) == 100
    for message in last.values():
        assert decode_record(message.key(), message.value())[1].order == (3, 0, 0)
        assert message.headers() == [("healed", b"1")]
