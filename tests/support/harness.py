"""The running path: a worker in this process on topics of its own, and hands to play its peers."""

import asyncio
import base64
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path as Folder
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from confluent_kafka import Producer as ConfluentProducer

from streams.config.settings import Settings, load_settings
from streams.config.topics import TopicNames, topic_specs
from streams.kafka.topics import create_topics
from streams.tools.fsck.cluster import Cluster
from streams.tools.fsck.lateness import unprocessed_ranges
from streams.worker.worker import Worker
from tests.support.fakes import FakeEncoder, jpeg
from tests.support.waiting import PATIENCE_S
from visualsearch.client.messages import OutgoingMessage, read_headers
from visualsearch.client.producer import Producer
from visualsearch.client.search_client import SearchClient
from visualsearch.client.unreadable import skip_unreadable_batch
from visualsearch.contracts.events import ImageSource, ProductEvent, encode_event
from visualsearch.contracts.search import QuerySpec, SearchHit, SearchRequest, SearchResult

BOTH = frozenset({"ingest", "search"})
LANES = ("attributes", "embedding", "retry")  # in the order in which an event passes them


def picture(number: int) -> bytes:
    """Return an image that is like no other number's (below 4,096)."""
    return jpeg((number % 16 * 16, number // 16 % 16 * 16, number // 256 * 16))


def inline(number: int, **more: Any) -> ImageSource:
    """Return `image(number)` as an event carries it."""
    return ImageSource(data=base64.b64encode(picture(number)).decode(), **more)


class Path:
    """A catalog, an app and an operator around one running worker."""

    def __init__(self, settings: Settings, worker: Worker, encoder: FakeEncoder) -> None:
        self.settings = settings
        self.topics: TopicNames = settings.topics
        self.worker = worker
        self.encoder = encoder
        self.producer = Producer(settings.kafka(), linger_ms=0)
        self.client = SearchClient(
            settings.kafka(), self.topics.search_requests, self.topics.search_results
        )
        self._cluster = Cluster(settings.kafka())

    async def close(self) -> None:
        """Let go of Kafka; the worker is its owner's."""
        await asyncio.to_thread(self.client.close)
        await asyncio.to_thread(self.producer.close)
        await asyncio.to_thread(self._cluster.close)

    @property
    def engine(self) -> Any:
        """The live index of the worker."""
        assert self.worker._search is not None
        return self.worker._search.engine

    @property
    def url(self) -> str:
        """Where the worker's HTTP side is."""
        return f"http://127.0.0.1:{self.worker.port}"

    # The catalog's side

    async def publish(
        self, *events: ProductEvent, topic: str | None = None, timestamp_ms: int | None = None
    ) -> None:
        """Publish events in their order, to `product-events` unless told otherwise."""
        name = topic or self.topics.product_events
        await self.producer.send(
            OutgoingMessage(
                name,
                event.product.product_id.encode(),
                encode_event(event),
                timestamp_ms=timestamp_ms,
            )
            for event in events
        )

    async def publish_raw(
        self, key: bytes | None, value: bytes | None, topic: str | None = None, **more: Any
    ) -> None:
        """Publish bytes as they are."""
        name = topic or self.topics.product_events
        await self.producer.send([OutgoingMessage(name, key, value, **more)])

    async def settled(self) -> None:
        """Return when the pipelines have committed, and the index has applied, all there is."""

        def lag() -> int:
            lanes = sum(self.lag(lane) for lane in LANES)
            return lanes or self._log_lag()

        await _none_left(lag)

    async def caught_up(self, lane: str) -> None:
        """Return when a group has committed all that its topics hold."""
        await _none_left(lambda: self.lag(lane))

    def lag(self, lane: str) -> int:
        """Return how many messages a group has not committed; transactions' markers are none."""
        own = {"search": [self.topics.search_requests], "retry": [self.topics.product_retry]}
        bounds = self._cluster.bounds(own.get(lane) or self.topics.product_topics())
        left = unprocessed_ranges(
            bounds, self._cluster.committed(self.settings.group(lane), bounds)
        )
        return sum(1 for _ in self._cluster.read(left))

    def _log_lag(self) -> int:
        assert self.worker._search is not None
        positions = self.worker._search.reader.positions()
        ends = self._cluster.bounds([self.topics.index_log])
        return sum(end - positions.get(partition, 0) for (_, partition), (_, end) in ends.items())

    def read(self, topic: str) -> list[Message]:
        """Return every message of a topic."""
        return read_topic(self.settings, topic)

    def dead_letters(self) -> list[Message]:
        """Return every dead letter so far."""
        return self.read(self.topics.dead_letters)

    # The app's side

    async def search(self, request_id: str | None = None, **query: Any) -> SearchResult:
        """Search through the topics; what is no field of the query is one of the request."""
        fields = {k: query.pop(k) for k in list(query) if k not in QuerySpec.__struct_fields__}
        fields.setdefault("deadline_ms", 30_000)
        request = SearchRequest(
            request_id=request_id or uuid.uuid4().hex, query=QuerySpec(**query), **fields
        )
        await asyncio.to_thread(self.client.wait_ready)
        return await asyncio.wrap_future(self.client.submit(request))

    async def showing(self, number: int) -> list[SearchHit]:
        """Return the products that show `image(number)`, by a search with it."""
        result = await self.search(image=base64.b64encode(picture(number)).decode(), top_k=1000)
        assert result.status == "ok", result.error
        return [hit for hit in result.hits if hit.score > 0.99]

    async def names_showing(self, number: int) -> list[str]:
        """Return the ids of the products that show `image(number)`."""
        return [hit.product_id for hit in await self.showing(number)]

    # The operator's side

    def metric(self, name: str, **labels: str) -> float:
        """Return a metric's value now, 0 if it was never touched."""
        assert self.worker._shared is not None
        registry = self.worker._shared.metrics.registry
        return registry.get_sample_value(f"visualsearch_{name}", labels) or 0.0

    def exported_lag(self, lane: str, topic: str | None = None) -> tuple[float, float]:
        """Return the records and seconds by which the worker says that a group is behind."""
        labels = {
            "group": self.settings.group(lane),
            "topic": topic or self.topics.product_events,
        }
        records = self.metric("pipeline_lag_records", **labels)
        return records, self.metric("pipeline_lag_seconds", **labels)


async def _none_left(lag: Callable[[], int]) -> None:
    """Return once nothing is left; the loop goes on meanwhile, a worker may be on it."""
    give_up_at = time.monotonic() + PATIENCE_S
    while left := await asyncio.to_thread(lag):
        assert time.monotonic() < give_up_at, f"{left} messages are still to be worked on"
        await asyncio.sleep(0.05)


def make_settings(bootstrap: str, folder: Folder, **more: Any) -> Settings:
    """Return settings of a worker on topics of its own."""
    chosen: dict[str, Any] = {
        "topic_prefix": f"t{uuid.uuid4().hex[:10]}-",
        "http_port": 0,
        "data_dir": folder,
        "fetch_allow": ("127.0.0.0/8",),  # that is where the tests' hosts of images are
        "fetch_timeout_s": 2.0,
        "session_timeout_s": 6.0,
        "retry_delays_s": (0.2, 0.4),
        "retry_timeout_s": 2.0,
        "snapshot_interval_s": 0.0,  # a start replays the log, unless told otherwise
        "snapshot_at_stop": False,
    }
    return load_settings(bootstrap=bootstrap, **(chosen | more))


def make_topics(settings: Settings, config: Mapping[str, str] | None = None) -> None:
    """Create few partitions of each topic; `config` is added to the product topics'."""
    names = settings.topics
    specs = topic_specs(
        names, products=2, index_log=2, search_requests=2, search_results=2, product_retry=1
    )
    changed = [
        replace(spec, config={**spec.config, **(config or {})})
        if spec.name in names.product_topics()
        else spec
        for spec in specs
    ]
    create_topics(settings.bootstrap, changed)


@asynccontextmanager
async def path_of(
    settings: Settings, roles: frozenset[str] = BOTH, encoder: FakeEncoder | None = None
) -> AsyncIterator[Path]:
    """Give a path over topics that are there, once its worker is ready."""
    encoder = encoder or FakeEncoder()
    worker = Worker(settings, roles, encoder=encoder)
    try:
        await worker.start()
        path = Path(settings, worker, encoder)
        try:
            yield path
        finally:
            await path.close()
    finally:
        await worker.stop()


@asynccontextmanager
async def running_path(
    bootstrap: str, folder: Folder, config: Mapping[str, str] | None = None, **more: Any
) -> AsyncIterator[Path]:
    """Give a path on topics of its own."""
    settings = make_settings(bootstrap, folder, **more)
    await asyncio.to_thread(make_topics, settings, config)
    async with path_of(settings) as path:
        yield path


def send_packed(path: Path, topic: str, values: Mapping[bytes, bytes]) -> None:
    """Publish values by key as an app may that compresses with zstd, whatever they unpack to."""
    options = {"compression.type": "zstd", "message.max.bytes": 64 << 20, "linger.ms": 0}
    producer = ConfluentProducer({"bootstrap.servers": path.settings.bootstrap} | options)
    told: list[Any] = []  # errors, or None
    for key, value in values.items():
        producer.produce(topic, value, key, on_delivery=lambda error, _: told.append(error))
    assert producer.flush(60) == 0
    assert told == [None] * len(values)


def facts(letter: Message) -> dict[str, str]:
    """Return what a dead letter says of its error."""
    prefix = "__visualsearch.errors."
    return {
        name.removeprefix(prefix): value.decode()
        for name, value in read_headers(letter) or ()
        if name.startswith(prefix)
    }


def read_topic(settings: Settings, topic: str) -> list[Message]:
    """Return every message of a topic, partition by partition."""
    consumer = _consumer(settings, "unused")
    found: list[Message] = []
    try:
        tps = _partitions(consumer, topic)
        consumer.assign([TopicPartition(tp.topic, tp.partition, 0) for tp in tps])
        ended: set[int] = set()
        while len(ended) < len(tps):
            for message in consumer.consume(1000, 0.05):
                if message.error() is None:
                    found.append(message)
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
                else:
                    skip_unreadable_batch(consumer, settings.kafka(), message)
    finally:
        consumer.close()
    return found


def _consumer(settings: Settings, group: str) -> Consumer:
    options = {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 50,
    }
    return Consumer(settings.kafka() | options)


def _partitions(consumer: Consumer, topic: str) -> Sequence[TopicPartition]:
    found = consumer.list_topics(topic, timeout=10).topics[topic]
    return [TopicPartition(topic, partition) for partition in found.partitions]
