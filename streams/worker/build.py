"""The composition root: builds the components of a worker."""

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
from streams.images.circuit_breaker import HostCircuitBreakers
from streams.images.fetcher import Fetcher
from streams.images.reader import ImageReader, Tier
from streams.indexer.active_engine import ActiveEngineGauge
from streams.indexer.healer import LogHealer, PartitionScan
from streams.indexer.ledger import Ledger
from streams.indexer.reader import LogReader
from streams.ingest.delay import DelayQueue
from streams.ingest.images import ImageVectors
from streams.ingest.latest import LatestOrder
from streams.ingest.pipeline import AttributePipeline, EmbeddingPipeline
from streams.ingest.publisher import Publisher
from streams.kafka.batches import Batches
from streams.kafka.consumer_group import GroupConsumer, Sink
from streams.kafka.heartbeat import Heartbeat
from streams.kafka.lag import PipelineLag
from streams.kafka.window import Window
from streams.metrics import Metrics
from streams.model.attribute_guesses import build_guesser, guess_from_bytes
from streams.model.batcher import EmbeddingBatcher
from streams.model.model import Model
from streams.searcher.consumer import QueryConsumer
from streams.searcher.faust_app import QueryApp
from streams.searcher.images import QueryImages
from streams.searcher.look import Detection
from streams.searcher.pipeline import SearchPipeline
from streams.snapshots.restore import RestoredIndex, build_scheduler, restore_index
from streams.snapshots.scheduler import SnapshotScheduler
from streams.worker.topic_check import require_topics
from visualsearch.client.clock import BrokerClock
from visualsearch.client.options import MIB
from visualsearch.client.producer import Producer
from visualsearch.contracts.workers import WorkerHeartbeat
from visualsearch.encoders.protocol import Encoder
from visualsearch.engine import Engine

# Images per model call, for which a query may have to wait: one per CPU core takes about 50 ms.
CPU_STEP = max(2, os.cpu_count() or 2)
GPU_STEP = 64
# A window of only the concurrent requests halves the rate: the consumer would wait for each.
WINDOW_PER_SLOT = 4
QUERY_COMMIT_S = 0.1  # a killed worker's last answers are sent twice
QUERY_DRAIN_S = 2.0  # at a rebalance, to finish searches in progress
WINDOW_BYTES = 64 * MIB  # of events in progress: mostly inline images


@dataclass(frozen=True, slots=True)
class WorkerResources:
    """The components that ingest and search share."""

    settings: Settings
    metrics: Metrics
    model: Model
    blobs: BlobStore
    fetcher: Fetcher
    producer: Producer
    clock: BrokerClock


@dataclass(frozen=True, slots=True)
class IngestComponents:
    """The consumers of both pipelines and of retries, and their sinks."""

    readers: tuple[GroupConsumer, ...]
    sinks: tuple[Batches | Window | DelayQueue, ...]  # of all readers
    window: Window
    delay: DelayQueue
    hosts: HostCircuitBreakers


@dataclass(frozen=True, slots=True)
class SearchComponents:
    """The live index, its log reader and healer, and the query pipeline."""

    engine: Engine
    reader: LogReader
    ledger: Ledger
    healer: LogHealer
    fetcher: Fetcher  # its own slots: queries do not wait for catalog images
    pipeline: SearchPipeline
    app: QueryApp
    window: Window  # of requests, in front of the app
    requests: GroupConsumer  # reads them for the window
    active_engine: ActiveEngineGauge
    snapshots: SnapshotScheduler | None  # None if the log cannot be identified


def build_shared(
    settings: Settings,
    encoder: Encoder | None = None,
    clock: BrokerClock | None = None,
    metrics: Metrics | None = None,
) -> WorkerResources:
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
    return WorkerResources(
        settings=settings,
        metrics=metrics,
        model=Model(encoder, metrics),
        blobs=blobs,
        fetcher=Fetcher(settings, blobs, metrics),
        producer=Producer(settings.kafka(), now=clock.now),
        clock=clock,
    )


def build_heartbeat(shared: WorkerResources, state: Callable[[], WorkerHeartbeat]) -> Heartbeat:
    """Return the heartbeat of this worker, which measures the shared clock; not started."""
    settings, offset = shared.settings, shared.metrics.clock_offset
    return Heartbeat(settings.kafka(), settings.topics.workers, state, shared.clock, offset)


def build_lag(shared: WorkerResources, roles: Container[str]) -> PipelineLag:
    """Return the lag exporter of these roles' consumer groups; not started."""
    settings, topics = shared.settings, shared.settings.topics
    ingest = {
        settings.group("attributes"): topics.product_topics(),
        settings.group("embedding"): topics.product_topics(),
        settings.group("retry"): (topics.product_retry,),
    }
    search = {settings.group("search"): (topics.search_requests,)}
    groups = (ingest if "ingest" in roles else {}) | (search if "search" in roles else {})
    return PipelineLag(settings.kafka(), groups, shared.metrics, shared.clock.now)


def build_ingest(shared: WorkerResources, index_partitions: int) -> IngestComponents:
    """Return the consumers of both pipelines and of retries, not started."""
    settings, topics = shared.settings, shared.settings.topics
    publishers = {
        name: Publisher(
            name,
            settings,
            shared.producer,
            shared.metrics,
            index_partitions=index_partitions,
            now=shared.clock.now,
        )
        for name in (AttributePipeline.name, EmbeddingPipeline.name)
    }
    attributes = AttributePipeline(
        settings.order_mode, publishers["attributes"], inline_limit=settings.inline_max_bytes
    )
    hosts = HostCircuitBreakers(
        settings.fetch_per_host, settings.fetch_timeout_s, roots=settings.file_roots
    )
    embedding = EmbeddingPipeline(
        settings.order_mode,
        _image_vectors(shared, hosts),
        LatestOrder(),
        publishers["embedding"],
        delays_s=settings.retry_delays_s,
    )

    events, give_up = settings.embed_window, embedding.give_up
    window = Window(embedding.handle, give_up, events=events, size=WINDOW_BYTES)
    retries = Window(embedding.handle_retry, give_up, events=events, size=WINDOW_BYTES)
    longest_s = 2 * max(settings.retry_delays_s, default=0.0)
    delay = DelayQueue(retries, longest_s=longest_s, now=shared.clock.now)
    events = settings.attribute_batch
    batches = Batches(attributes.handle, attributes.give_up, events=events, size=WINDOW_BYTES)

    def reader(name: str, topics: Sequence[str], sink: Sink) -> GroupConsumer:
        group, timeout_s = settings.group(name), settings.session_timeout_s
        return GroupConsumer(
            settings.kafka(), group, topics, sink, shared.metrics, session_timeout_s=timeout_s
        )

    readers = (
        reader("attributes", topics.product_topics(), batches),
        reader("embedding", topics.product_topics(), window),
        reader("retry", [topics.product_retry], delay),
    )
    return IngestComponents(readers, (batches, window, retries, delay), window, delay, hosts)


def _image_vectors(shared: WorkerResources, hosts: HostCircuitBreakers) -> ImageVectors:
    settings, model = shared.settings, shared.model
    step = settings.embed_step or (CPU_STEP if model.encoder.device == "cpu" else GPU_STEP)
    longest_s = settings.retry_timeout_s
    retry_hosts = HostCircuitBreakers(settings.fetch_per_host, longest_s, roots=settings.file_roots)
    reader = ImageReader(
        shared.fetcher,
        Tier(hosts),
        Tier(retry_hosts, longest_s),
        inline_limit=settings.inline_max_bytes,
        in_memory=max(settings.fetch_concurrency, 4 * step),  # the next call fills during this one
    )
    return ImageVectors(
        reader,
        InlineImages(shared.blobs, shared.metrics, inline_limit=settings.inline_max_bytes),
        EmbeddingBatcher(model, step=step),
        guess_from_bytes(build_guesser(settings, model.encoder)),
    )


def load_index(shared: WorkerResources) -> RestoredIndex:
    """Return the index, restored if possible. Blocks while a snapshot is read.

    Raises TopicError.
    """
    encoder = shared.model.encoder
    return restore_index(shared.settings, encoder.model_id, encoder.dim, shared.metrics)


def build_search(
    shared: WorkerResources, index_partitions: int, restored: RestoredIndex
) -> SearchComponents:
    """Return the index, its log reader and the query pipeline, not started."""
    settings, topics = shared.settings, shared.settings.topics
    engine = restored.engine
    # Random, so that one replica heals first and the others find the log healed.
    grace_s = settings.heal_grace_s * random.uniform(1.0, 2.0)
    ledger = Ledger(grace_s, time.monotonic)
    ledger.restore(restored.dirty)
    reader = LogReader(
        settings.kafka(),
        topics.index_log,
        engine,
        ledger,
        shared.metrics,
        shared.clock.now,
        partitions=index_partitions,
        starts=restored.start_positions,
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
    images = QueryImages.from_settings(settings, shared.model, fetcher)
    pipeline = SearchPipeline(
        engine,
        shared.model,
        images,
        shared.metrics,
        watermark=reader.watermark,
        detection=Detection.of(settings),
        threads=max(2, (os.cpu_count() or 2) // 2),
    )
    consumer = QueryConsumer(
        pipeline,
        shared.producer,
        shared.metrics,
        results=topics.search_results,
        dead_letters=topics.dead_letters,
        reply_topics=settings.reply_topics,
        now=shared.clock.now,
    )
    app = QueryApp(
        settings, settings.group("search"), consumer.handle, concurrency=settings.query_concurrency
    )
    window = Window(
        app.handle,
        consumer.give_up,
        events=WINDOW_PER_SLOT * settings.query_concurrency,
        size=WINDOW_BYTES,
        at_once=settings.query_concurrency,
        finish_begun=True,
    )
    requests = GroupConsumer(
        settings.kafka(),
        settings.group("search"),
        [topics.search_requests],
        window,
        shared.metrics,
        session_timeout_s=settings.session_timeout_s,
        commit_s=QUERY_COMMIT_S,
        settle=partial(window.settle, QUERY_DRAIN_S),
    )
    active_engine = ActiveEngineGauge(shared.metrics, time.monotonic() if restored.chosen else None)
    scheduler = build_scheduler(settings, restored, reader, ledger, shared.metrics)
    return SearchComponents(
        engine,
        reader,
        ledger,
        healer,
        fetcher,
        pipeline,
        app,
        window,
        requests,
        active_engine,
        scheduler,
    )


def index_log_partitions(settings: Settings, *, timeout_s: float = 30.0) -> int:
    """Return the partition count of the index log, after a check that all topics exist.

    Reply topics too: writing a result to a missing one would be retried forever.

    Raises TopicError `topics_missing`, or `unreachable` when no broker answers.
    """
    states = require_topics(settings, settings.reply_topics, timeout_s=timeout_s)
    counts = {state.name: state.partitions for state in states}
    return counts[settings.topics.index_log] or 0
