"""A worker process: ordered start, readiness, and shutdown within a deadline."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry

from streams.config.settings import Settings
from streams.kafka.adopt import adopt_commits
from streams.kafka.health import BrokerWatch
from streams.kafka.log_limit import limit_client_logs
from streams.kafka.wait import KafkaWait
from streams.metrics import Metrics
from streams.web.server import SearchParts, ServedIndex, Web
from streams.worker.build import (
    IngestComponents,
    SearchComponents,
    WorkerResources,
    build_heartbeat,
    build_ingest,
    build_lag,
    build_search,
    build_shared,
    index_log_partitions,
    load_index,
)
from streams.worker.closing import CloseStep, close_concurrently, close_in_order
from visualsearch import __version__
from visualsearch.client.clock import BrokerClock
from visualsearch.client.search_client import SearchClient
from visualsearch.contracts.workers import WorkerHeartbeat
from visualsearch.encoders.protocol import Encoder

if TYPE_CHECKING:
    from streams.kafka.heartbeat import Heartbeat
    from streams.kafka.lag import PipelineLag

log = logging.getLogger(__name__)
QUERY_STOP_S = 5.0  # for searches in progress, and for the agent
DRAIN_S = 4.0  # for events in progress at a stop
KEEPALIVE_S = 620.0  # for a next, or a first, request: proxies keep a connection for up to 600 s
HTTP_S = 1.0  # twice: for handlers to end by themselves, and when cancelled
RESERVE_S = 8.0  # of `stop_timeout_s`: for the steps after the last snapshot
MEASURED_S = 5.0  # how long a start waits for the first measurement of the brokers' clock
ASK_S = 5.0  # timeout of one call to Kafka; a stop waits for it
STALLED_S = 60.0  # the reader's loop runs twenty times a second


class Worker:
    """One process with the roles `ingest`, `search` or both; it loads its encoder if not given."""

    def __init__(
        self,
        settings: Settings,
        roles: frozenset[str],
        *,
        encoder: Encoder | None = None,
        clock: BrokerClock | None = None,
    ) -> None:
        self._settings = settings
        self._roles = roles
        self._encoder = encoder
        self._clock = clock
        self._id = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        self._started_at = datetime.now(UTC)
        self._reporting: tuple[Heartbeat | PipelineLag, ...] = ()
        self._shared: WorkerResources | None = None
        self._search: SearchComponents | None = None
        self._client: SearchClient | None = None
        self._ingest: IngestComponents | None = None
        self._parts = SearchParts()
        self._runner: web.AppRunner | None = None
        self._watching: asyncio.Task[None] | None = None
        self._ready = False
        self._wait = KafkaWait(settings.bootstrap)
        self.port = settings.http_port

    async def start(self) -> None:
        """Start all components; return when ready. Waits for Kafka and its topics.

        HTTP is served from the start; routes that are not ready answer 503 with the reason.

        Raises VisualSearchError, OSError.
        """
        settings = self._settings
        metrics = Metrics(CollectorRegistry())
        await self._start_http(metrics.registry)
        ask = partial(index_log_partitions, settings, timeout_s=ASK_S)
        partitions = await self._wait.wait_for(ask)
        self._shared = shared = await asyncio.to_thread(
            build_shared, settings, self._encoder, self._clock, metrics
        )
        heartbeat = build_heartbeat(shared, self._state)
        self._reporting = (heartbeat, build_lag(shared, self._roles))
        for thread in self._reporting:
            thread.start()
        watch = BrokerWatch(shared.producer.is_broker_reachable, shared.metrics.broker_up)
        self._watching = asyncio.create_task(watch.run())
        if "search" in self._roles:
            restored = await self._wait.wait_for(partial(load_index, shared))
            self._search = build_search(shared, partitions, restored)
            self._search.engine.start()
            self._search.reader.start()
            self._search.healer.start()
            replaying_since = time.monotonic()
            topics = settings.topics
            self._client = SearchClient(
                settings.kafka(), topics.search_requests, topics.search_results
            )
            self._attach(self._search, self._client)
        # Ages of requests depend on it. Without LogAppendTime this machine's clock is used.
        await asyncio.to_thread(heartbeat.wait_measured, MEASURED_S)
        if "ingest" in self._roles:
            self._ingest = build_ingest(shared, partitions)
            for reader in self._ingest.readers:
                reader.start()
        if self._search is not None and self._client is not None:
            # No query of the group is answered from a partial index.
            while not self._search.reader.caught_up.is_set():
                if self._search.reader.failed.is_set():
                    raise RuntimeError("the index log cannot be read, see the log")
                await asyncio.sleep(0.05)
            shared.metrics.restore.labels("replay").set(time.monotonic() - replaying_since)
            if self._search.snapshots is not None:
                self._search.snapshots.start()
            await asyncio.to_thread(self._client.wait_ready)
            await self._search.app.start()
            await asyncio.to_thread(adopt_commits, settings)
            self._search.requests.start()
        self._ready = True
        log.info("ready on http://%s:%d (%s)", settings.http_host, self.port,
                 ", ".join(sorted(self._roles)))  # fmt: skip

    async def stop(self) -> None:
        """Stop queries, finish work in progress, leave the groups, take a snapshot, flush.

        Raises nothing: an error is logged, and the other components are stopped.
        """
        self._ready = False
        stop_by = time.monotonic() + self._settings.stop_timeout_s - RESERVE_S
        log.info("stopping")
        # Close the client first: waiting HTTP requests then fail at once.
        client = self._client
        closing = asyncio.create_task(asyncio.to_thread(client.close)) if client else None
        await close_in_order(self._steps_to_stop(stop_by, closing))

    def _steps_to_stop(
        self, stop_by: float, closing: asyncio.Task[None] | None
    ) -> Iterator[CloseStep]:
        """Yield the parts in the order of their stop."""
        search, ingest, shared = self._search, self._ingest, self._shared
        if search is not None:
            yield "the requests' reader", partial(search.requests.close, QUERY_STOP_S)
            yield "the query app", partial(search.app.stop, QUERY_STOP_S)
        if ingest is not None:
            readers = [(reader.group, partial(reader.close, DRAIN_S)) for reader in ingest.readers]
            yield "the ingest readers", partial(close_concurrently, readers)
        if search is not None and search.snapshots is not None:
            left_s = max(stop_by - time.monotonic(), 0.0)
            yield "the snapshots", partial(asyncio.to_thread, search.snapshots.close, left_s)
        yield "the HTTP server", self._stop_http
        if closing is not None:
            yield "the search client", lambda: closing
        if search is not None:
            yield "the log healer", partial(asyncio.to_thread, search.healer.close)
            yield "the log reader", partial(asyncio.to_thread, search.reader.close)
            yield "the engine", partial(asyncio.to_thread, search.engine.close)
            yield "the search pipeline", partial(asyncio.to_thread, search.pipeline.close)
            yield "the query images", search.fetcher.close
        if self._watching is not None:
            self._watching.cancel()
            yield "the broker watch", partial(asyncio.wait, {self._watching})
        for thread in self._reporting:
            yield type(thread).__name__, partial(asyncio.to_thread, thread.close)
        if shared is not None:
            yield "the images", shared.fetcher.close
            yield "the model", partial(asyncio.to_thread, shared.model.close)
            yield "the producer", partial(asyncio.to_thread, shared.producer.close)

    def _state(self) -> WorkerHeartbeat:
        """Return this worker's heartbeat; called from the heartbeat thread."""
        host = self._settings.http_host
        runner = self._runner  # read once: a stop takes it away
        listens = runner is not None and runner.addresses
        return WorkerHeartbeat(
            worker_id=self._id,
            url=f"http://{_reachable_host(host)}:{self.port}" if listens else None,
            roles=sorted(self._roles),
            version=__version__,
            ready=self.ready() is None,
            offsets=self._search.reader.positions() if self._search is not None else {},
            started_at=self._started_at,
        )

    def _attach(self, search: SearchComponents, client: SearchClient) -> None:
        """Attach the index and the client to the search routes."""
        self._parts.index = ServedIndex(
            search.engine, search.fetcher, search.reader.positions, search.snapshots
        )
        self._parts.client = client

    async def _start_http(self, registry: CollectorRegistry) -> None:
        """Serve all routes of this worker's roles."""
        site = Web(
            registry,
            live=self.live,
            ready=self.ready,
            refresh=self._refresh,
            search=self._parts if "search" in self._roles else None,
        )
        # Cancelled with its connection: a request whose sender is gone waits for nothing.
        self._runner = web.AppRunner(
            site.app(),
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=KEEPALIVE_S,
            shutdown_timeout=HTTP_S,
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, self._settings.http_host, self.port).start()
        self.port = self._runner.addresses[0][1]

    async def _stop_http(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def watch(self) -> None:
        """Run until a component fails, and raise its reason: the process must be restarted."""
        while True:
            await asyncio.sleep(1.0)
            if self._search is not None:
                self._search.active_engine.update(self._search.engine.active_strategy)
            if (reason := self.live()) is not None:
                raise RuntimeError(reason)

    def live(self) -> str | None:
        """Return why this process should be restarted; lag alone is no reason."""
        if (failure := self._event_failure()) is not None:
            return failure
        shared = self._shared
        if shared is not None and (lost := shared.model.stuck_reason() or shared.producer.failure):
            return lost
        if self._search is None:
            return None
        if (failure := self._query_failure(self._search)) is not None:
            return failure
        if self._search.reader.failed.is_set():
            return "the index log cannot be read any further"
        stalled_s = time.monotonic() - self._search.reader.progress_at
        return (
            f"the log reader stands still for {stalled_s:.0f} s" if stalled_s > STALLED_S else None
        )

    def _event_failure(self) -> str | None:
        """Return why a consumer or a sink has failed; None if none has."""
        search, ingest = self._search, self._ingest
        for reader in (
            *(ingest.readers if ingest else ()),
            *((search.requests,) if search else ()),
        ):
            if reader.failure is not None:
                return f"{reader.group} cannot go on: {reader.failure!r}"
        for sink in (*(ingest.sinks if ingest else ()), *((search.window,) if search else ())):
            if sink.failure is not None:
                return f"messages cannot be finished: {sink.failure!r}"
        return None

    def _query_failure(self, search: SearchComponents) -> str | None:
        """Return why the query app or the results' client has failed; None if neither has."""
        if (crash := search.app.crash) is not None:
            return f"{search.requests.group} crashed: {crash!r}"
        if self._client is not None and (failure := self._client.failure) is not None:
            return f"the search results cannot be read any further: {failure!r}"
        return None

    def ready(self) -> str | None:
        """Return why this worker is not ready; None if it is."""
        if self._shared is not None and (stuck := self._shared.model.stuck_reason()) is not None:
            return stuck
        if self._ready:
            return None
        if self._wait.reason is not None:
            return self._wait.reason
        if self._search is not None and not self._search.reader.caught_up.is_set():
            return "the index log is being replayed"
        return "starting or stopping"

    def _refresh(self) -> None:
        """Bring the gauges up to date; called when they are read."""
        if self._shared is None:
            return
        metrics = self._shared.metrics
        if self._ingest is not None:
            metrics.in_work.set(len(self._ingest.window))
            metrics.retries_waiting.set(len(self._ingest.delay))
            metrics.hosts_down.set(self._ingest.hosts.open_count())
        if self._search is None:
            return
        stats = self._search.engine.stats()
        metrics.products.set(stats.products)
        metrics.vectors.set(stats.vectors)
        metrics.fresh_rows.set(stats.fresh_rows)
        metrics.dead_ratio.set(stats.dead_ratio)
        metrics.segments.set(stats.segments)
        metrics.pieces.set(stats.pieces)
        metrics.merge_progress.set(stats.merged_rows / max(stats.merging_rows, 1))
        metrics.dirty_keys.set(len(self._search.ledger))
        self._search.active_engine.update(self._search.engine.active_strategy)
        if (
            self._search.snapshots is not None
            and (age_s := self._search.snapshots.age_s()) is not None
        ):
            metrics.snapshot_age.set(age_s)
        for partition, lag in self._search.reader.lag().items():
            metrics.lag_records.labels(str(partition)).set(lag)
        watermark = self._search.reader.watermark.time_s
        if watermark is not None:
            metrics.lag_seconds.set(max(self._shared.clock.now() - watermark, 0.0))


def _reachable_host(host: str) -> str:
    """Return the host to reach a server by; the hostname if it listens on all addresses."""
    return socket.gethostname() if host in ("", "0.0.0.0", "::") else host  # noqa: S104


async def run_worker(
    settings: Settings,
    roles: frozenset[str],
    *,
    on_ready: Callable[[int], None] = lambda _: None,
    stop: asyncio.Event | None = None,
) -> None:
    """Run until SIGTERM, SIGINT or `stop`; exit within `stop_timeout_s` after it.

    A watchdog enforces the deadline: clients may wait forever for an absent broker.
    """
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    worker = Worker(settings, roles)
    starting = asyncio.create_task(worker.start())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            await starting
            on_ready(worker.port)
            watching = asyncio.create_task(worker.watch())
            await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
            watching.cancel()
            if not stop.is_set():
                await watching  # raises the failure
    finally:
        # To the end of the process, not of this function: threads of clients may outlive it.
        watchdog = threading.Timer(settings.stop_timeout_s, os._exit, (1,))
        watchdog.daemon = True
        watchdog.start()
        starting.cancel()
        stopping.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await starting
        await worker.stop()


def run(settings: Settings, roles: frozenset[str], on_ready: Callable[[int], None]) -> None:
    """Run a worker in this thread until it is stopped."""
    limit_client_logs()
    asyncio.run(run_worker(settings, roles, on_ready=on_ready))
