"""The parts of a worker, built once and in one place: the composition root."""

import os
import random
import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry

import visualsearch
from streams.config.settings import Settings
from streams.images.blob_writer import InlineImages
from streams.images.blobs import BlobStore
from streams.images.circuit_breaker import Hosts
from streams.images.fetcher import Fetcher
from streams.indexer.healer import LogHealer, PartitionScan
from streams.indexer.ledger import Ledger
from streams.indexer.reader import LogReader
from streams.indexer.serving import Served
from streams.ingest.attributes import AttributeLane
from streams.ingest.batches import Batches
from streams.ingest.delay import Delay
from streams.ingest.embedding import EmbeddingLane
from streams.ingest.images import Pictures
from streams.ingest.latest import Newest
from streams.ingest.publisher import EmbeddingSteps, Publisher
from streams.ingest.window import Window
from streams.kafka.consumer_group import GroupReader, Sink
from streams.kafka.heartbeat import Heartbeat
from streams.kafka.lag import PipelineLag
from streams.metrics import Metrics
from streams.model.attribute_guesses import guesser_of, of_bytes
from streams.model.batcher import Embedder
from streams.model.model import Model
from streams.searcher.consumer import QueryAgent
from streams.searcher.faust_app import QueryApp
from streams.searcher.handler import QueryHandler
from streams.searcher.images import QueryPictures
from streams.searcher.look import Detection
from streams.snapshots.restore import Beginning, begin, build_keeper
from streams.snapshots.scheduler import Keeper
from streams.worker.topic_check import require_topics
from visualsearch.client.clock import BrokerClock
from visualsearch.client.options import MIB
from visualsearch.client.producer import Producer
from visualsearch.contracts.workers import WorkerHeartbeat
from visualsearch.encoders.protocol import Encoder
from visualsearch.engine import Engine

# Pictures per model call, which is how long a query may wait: on a CPU one per core, about 50 ms.
CPU_STEP = max(2, os.cpu_count() or 2)
GPU_STEP = 64
# A window as small as the requests in work halves the rate: the reader would wait for each.
WINDOW_PER_SLOT = 4
QUERY_COMMIT_S = 0.1  # what a killed worker has answered since is answered again
QUERY_DRAIN_S = 2.0  # at a rebalance, for searches in work: they are answered once
WINDOW_BYTES = 64 * MIB  # of events in work: inline pictures, mostly


@dataclass(frozen=True, slots=True)
class Shared:
    """What ingest and search both use."""

    settings: Settings
    metrics: Metrics
    model: Model
    blobs: BlobStore
    fetcher: Fetcher
    producer: Producer
    clock: BrokerClock


@dataclass(frozen=True, slots=True)
class IngestSide:
    """The readers of the lanes, and what they have in work."""

    readers: tuple[GroupReader, ...]
    sinks: tuple[Batches | Window | Delay, ...]  # of all readers
    window: Window
    waiting: Delay
    hosts: Hosts


@dataclass(frozen=True, slots=True)
class SearchSide:
    """The live index, who feeds it and keeps its log whole, and the agent that answers from it."""

    engine: Engine
    reader: LogReader
    ledger: Ledger
    healer: LogHealer
    fetcher: Fetcher  # with slots of its own: a query waits for no picture of the catalogue
    handler: QueryHandler
    agent: QueryAgent
    app: QueryApp
    requests: GroupReader  # reads them for the app
    served: Served
    keeper: Keeper | None  # None where snapshots cannot be told apart


def build_shared(
    settings: Settings,
    encoder: Encoder | None = None,
    clock: BrokerClock | None = None,
    metrics: Metrics | None = None,
) -> Shared:
    """Load and warm the encoder, unless given one, and open the producer.

    Raises VisualSearchError.
    """
    metrics = metrics or Metrics(CollectorRegistry())
    if encoder is None:
        encoder = visualsearch.load_encoder(
            settings.encoder, device=settings.device, prompts=settings.prompts
        )
    encoder.encode_texts(["warm up"])
    metrics.build_info.labels(visualsearch.__version__, encoder.model_id).set(1)
    blobs = BlobStore(settings.blobs)
    clock = clock or BrokerClock()
    return Shared(
        settings=settings,
        metrics=metrics,
        model=Model(encoder, metrics),
        blobs=blobs,
        fetcher=Fetcher(settings, blobs, metrics),
        producer=Producer(settings.kafka(), now=clock.now),
        clock=clock,
    )


def build_heartbeat(shared: Shared, state: Callable[[], WorkerHeartbeat]) -> Heartbeat:
    """Return the heartbeat of this worker, which measures the shared clock; not started."""
    settings, offset = shared.settings, shared.metrics.clock_offset
    return Heartbeat(settings.kafka(), settings.topics.workers, state, shared.clock, offset)


def build_lag(shared: Shared, roles: Container[str]) -> PipelineLag:
    """Return what measures how far behind the groups of these roles are; not started."""
    settings, topics = shared.settings, shared.settings.topics
    ingest = {
        settings.group("attributes"): topics.product_topics(),
        settings.group("embedding"): topics.product_topics(),
        settings.group("retry"): (topics.product_retry,),
    }
    search = {settings.group("search"): (topics.search_requests,)}
    groups = (ingest if "ingest" in roles else {}) | (search if "search" in roles else {})
    return PipelineLag(settings.kafka(), groups, shared.metrics, shared.clock.now)


def build_ingest(shared: Shared, index_partitions: int) -> IngestSide:
    """Return the two lanes and who reads what is tried again later, none of them started."""
    settings, topics = shared.settings, shared.settings.topics
    publish = {
        lane: Publisher(
            lane,
            settings,
            shared.producer,
            shared.metrics,
            index_partitions=index_partitions,
            now=shared.clock.now,
        )
        for lane in ("attributes", "embedding")
    }
    attributes = AttributeLane(
        settings.order_mode, settings.inline_max_bytes, settings.attribute_batch
    )
    newest = Newest()
    hosts = Hosts(settings.fetch_per_host, settings.fetch_timeout_s, roots=settings.file_roots)
    embedding = _embedding_lane(shared, hosts, newest)

    steps = EmbeddingSteps(embedding, newest, publish["embedding"])
    window = Window(steps.first, steps.give_up, events=settings.embed_window, size=WINDOW_BYTES)
    again = Window(steps.again, steps.give_up, events=settings.embed_window, size=WINDOW_BYTES)
    longest_s = 2 * max(settings.retry_delays_s, default=0.0)
    waiting = Delay(again, longest_s=longest_s, now=shared.clock.now)
    batches = Batches(attributes, publish["attributes"], size=WINDOW_BYTES)

    def reader(lane: str, topics: Sequence[str], sink: Sink) -> GroupReader:
        group, timeout_s = settings.group(lane), settings.session_timeout_s
        return GroupReader(
            settings.kafka(), group, topics, sink, shared.metrics, session_timeout_s=timeout_s
        )

    readers = (
        reader("attributes", topics.product_topics(), batches),
        reader("embedding", topics.product_topics(), window),
        reader("retry", [topics.product_retry], waiting),
    )
    return IngestSide(readers, (batches, window, again, waiting), window, waiting, hosts)


def _embedding_lane(shared: Shared, hosts: Hosts, newest: Newest) -> EmbeddingLane:
    settings, model = shared.settings, shared.model
    step = settings.embed_step or (CPU_STEP if model.encoder.device == "cpu" else GPU_STEP)
    pictures = Pictures(
        model,
        Embedder(model, step=step),
        shared.fetcher,
        hosts,
        Hosts(settings.fetch_per_host, settings.retry_timeout_s, roots=settings.file_roots),
        inline_limit=settings.inline_max_bytes,
        in_memory=max(settings.fetch_concurrency, 4 * step),  # the next call fills during this one
        patient_s=settings.retry_timeout_s,
    )
    return EmbeddingLane(
        settings.order_mode,
        pictures,
        InlineImages(shared.blobs, shared.metrics, inline_limit=settings.inline_max_bytes),
        newest,
        delays_s=settings.retry_delays_s,
        guess=of_bytes(guesser_of(settings, model.encoder)),
    )


def begun(shared: Shared) -> Beginning:
    """Return the index, restored if it can be: blocks while a snapshot is read.

    Raises TopicError.
    """
    encoder = shared.model.encoder
    return begin(shared.settings, encoder.model_id, encoder.dim, shared.metrics)


def build_search(shared: Shared, index_partitions: int, beginning: Beginning) -> SearchSide:
    """Return the reader of the index and the query agent, none of them started."""
    settings, topics = shared.settings, shared.settings.topics
    engine = beginning.engine
    # Of replicas that see the same record the quickest heals it; the others then find it healed.
    grace_s = settings.heal_grace_s * random.uniform(1.0, 2.0)
    ledger = Ledger(grace_s, time.monotonic)
    ledger.restore(beginning.dirty)
    reader = LogReader(
        settings.kafka(),
        topics.index_log,
        engine,
        ledger,
        shared.metrics,
        shared.clock.now,
        partitions=index_partitions,
        starts=beginning.starts,
    )
    healer = LogHealer(
        topics.index_log,
        ledger,
        PartitionScan(settings.kafka(), topics.index_log),
        shared.producer.submit,
        shared.metrics,
        ready=reader.caught_up.is_set,
        interval_s=settings.heal_grace_s / 3,
    )
    fetcher = Fetcher(settings, shared.blobs, shared.metrics)
    pictures = QueryPictures.of(settings, shared.model, fetcher)
    handler = QueryHandler(
        engine,
        shared.model,
        pictures,
        shared.metrics,
        watermark=lambda: reader.watermark.time_s,
        detection=Detection.of(settings),
        searchers=max(2, (os.cpu_count() or 2) // 2),
    )
    agent = QueryAgent(
        handler,
        shared.producer,
        shared.metrics,
        results=topics.search_results,
        dead_letters=topics.dead_letters,
        reply_topics=settings.reply_topics,
        concurrency=settings.query_concurrency,
        now=shared.clock.now,
    )
    app = QueryApp(
        settings,
        settings.group("search"),
        agent.run,
        window=WINDOW_PER_SLOT * settings.query_concurrency,
        size=WINDOW_BYTES,
    )
    requests = GroupReader(
        settings.kafka(),
        settings.group("search"),
        [topics.search_requests],
        app,
        shared.metrics,
        session_timeout_s=settings.session_timeout_s,
        commit_s=QUERY_COMMIT_S,
        settle=partial(app.settle, QUERY_DRAIN_S),
    )
    served = Served(shared.metrics, time.monotonic() if beginning.chosen else None)
    keeper = build_keeper(settings, beginning, reader, ledger, shared.metrics)
    return SearchSide(
        engine, reader, ledger, healer, fetcher, handler, agent, app, requests, served, keeper
    )


def index_log_partitions(settings: Settings, *, timeout_s: float = 30.0) -> int:
    """Return how many partitions the index log has, once all topics are seen to be there.

    The reply topics too: an answer to a missing one would be tried for ever.

    Raises TopicError `topics_missing`, or `unreachable` when no broker answers.
    """
    states = require_topics(settings, settings.reply_topics, timeout_s=timeout_s)
    counts = {state.name: state.partitions for state in states}
    return counts[settings.topics.index_log] or 0
