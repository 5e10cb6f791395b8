"""Run the demonstration, and report each step."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from streams.config.settings import Settings
from streams.tools.catalog.arrival import ArrivalWatch
from streams.tools.catalog.publish import LoadResult, ReadyProduct, publish
from streams.tools.catalog.rows import RejectedRow
from streams.tools.catalog.searchable import wait_for_watermark
from streams.tools.demo.chaos import Chaos
from streams.tools.demo.dataset import DemoDataset
from streams.tools.demo.figures import Figures, percentiles_by_kind, precisions
from streams.tools.demo.freshness import FreshnessSample, measure_freshness, plan_events
from streams.tools.demo.page import shown_searches, write_page
from streams.tools.demo.prefetch import PrefetchIterator
from streams.tools.demo.searching import TimedAnswer, ask_all, phone_photo_ms, precision
from streams.tools.demo.stage import (
    DemoError,
    WorkerProcess,
    count_messages,
    running_broker,
    running_worker,
    temporary_topics,
)
from visualsearch.client.producer import Producer
from visualsearch.client.search_client import SearchClient

_AHEAD = 200  # products in memory at most


class ProgressReporter(Protocol):
    """Shows the steps of the demonstration."""

    def say(self, text: str) -> None:
        """Report a step."""

    def bar(self, text: str, total: int) -> "Callable[[int], None]":
        """Show a bar; call what is returned with how much of `total` is done."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """Options of the demonstration."""

    data_dir: Path
    port: int
    events: int = 200
    searches: int = 200
    per_s: float = 5.0
    chaos: bool = False


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The figures, and the URL of the worker's page while it is up."""

    figures: Figures
    url: str


@dataclass(frozen=True, slots=True)
class _Loaded:
    load: LoadResult
    seconds: float
    products: int
    vectors: int
    model: str


@contextmanager
def demonstration(
    make_settings: Callable[[str, str, Path], Settings],
    bootstrap: str | None,
    dataset: DemoDataset,
    plan: DemoPlan,
    reporter: ProgressReporter,
) -> Iterator[DemoResult]:
    """Run all steps, yield the figures while the worker is still up, then stop everything.

    `make_settings(bootstrap, prefix, data folder)` makes the worker's settings. Raises
    VisualSearchError, ConnectionError, TimeoutError.
    """
    began = time.perf_counter()
    folder = plan.data_dir / "demo"
    with ExitStack() as stack:
        products = PrefetchIterator(
            dataset.products(), _AHEAD
        )  # drawn while broker and worker start
        stack.callback(products.close)
        reporter.say("starting the broker")
        broker = stack.enter_context(running_broker(plan.data_dir / "broker", bootstrap))
        reporter.say(broker.label)
        prefix = f"demo-{uuid.uuid4().hex[:8]}-"
        settings = make_settings(broker.bootstrap, prefix, folder / "worker")
        reporter.say(f"creating topics {prefix}*")
        stack.enter_context(temporary_topics(settings))
        reporter.say("starting the worker")
        log = folder / "worker.log"
        worker = stack.enter_context(running_worker(settings, plan.port, log))
        url = worker.wait_ready()
        reporter.say(f"worker ready: {url} (log: {log})")
        topics = settings.topics
        client = SearchClient(settings.kafka(), topics.search_requests, topics.search_results)
        stack.callback(client.close)
        client.wait_ready()
        producer = stack.enter_context(Producer(settings.kafka(), linger_ms=0))

        def start_again() -> WorkerProcess:
            port = urlsplit(url).port or 0
            return stack.enter_context(running_worker(settings, port, folder / "worker-2.log"))

        chaos = Chaos(worker, start_again, client, reporter.say) if plan.chaos else None
        loaded = _load(settings, dataset, products, producer, client, plan, reporter, chaos)
        asked = _run_searches(dataset, client, plan, reporter)
        groups, show = shown_searches(url, asked, dataset.truth)
        photo_ms = _phone_photo(dataset, client, folder, reporter)
        fresh = _events(settings, dataset, client, producer, plan, reporter)
        figures = Figures(
            products=loaded.products,
            vectors=loaded.vectors,
            rejected=len(loaded.load.rejected),
            load_s=round(loaded.seconds, 1),
            freshness_ms=percentiles_by_kind((f.kind, f.took_ms) for f in fresh),
            search_ms=percentiles_by_kind((a.question.kind, a.took_ms) for a in asked),
            phone_photo_to_40_ms=photo_ms,
            **precisions(
                {k: precision(asked, dataset.truth, k) for k in ("words", "photo", "both")}
            ),
            dead_letters=count_messages(settings, topics.dead_letters),
            broker=broker.label,
            encoder=loaded.model,
            page=str(folder / "page.html"),
            total_s=round(time.perf_counter() - began, 1),
            chaos=None if chaos is None else chaos.recovery(settings, url),
        )
        write_page(folder / "page.html", groups, show, figures)
        reporter.say(f"images of queries and hits: {folder / 'page.html'}")
        yield DemoResult(figures, url)
        reporter.say("stopping")


def _load(
    settings: Settings,
    dataset: DemoDataset,
    products: Iterable[ReadyProduct | RejectedRow],
    producer: Producer,
    client: SearchClient,
    plan: DemoPlan,
    reporter: ProgressReporter,
    chaos: Chaos | None,
) -> _Loaded:
    """Publish the catalog and wait until it is searchable; `chaos` kills the worker half-way."""
    topics = settings.topics
    with ArrivalWatch(settings.kafka(), topics.index_log, topics.dead_letters) as watch:
        began = time.perf_counter()
        show = reporter.bar("publishing", dataset.total)

        def published(load: LoadResult) -> None:
            show(load.position)
            if chaos is not None and load.position >= dataset.total // 2:
                chaos.kill_and_restart()

        load = publish(
            products,
            producer,
            topics.product_events,
            run_id="demo",
            now=lambda: datetime.now(UTC),
            progress=published,
        )
        if chaos is not None:
            chaos.wait_for_answer()  # `watch` still gets the load's records afterwards
        for row in load.rejected:
            reporter.say(f"rejected {row.where}: {row.message} [{row.code}]")
        total = len(load.published)
        show = reporter.bar("indexing", total)
        with ThreadPoolExecutor(1) as pool:  # this process is otherwise idle meanwhile
            prepared = pool.submit(dataset.prepare, max(plan.events // 4, 1))
            arrived = watch.wait(load.published, progress=lambda state: show(total - state.waiting))
            failed = arrived.dead_lettered
            shown = [p for p in load.published if p.image_count and p.product_id not in failed]
            if not shown:
                raise DemoError("no product of the catalog became searchable")
            result = wait_for_watermark(client, shown[-1].product_id, arrived.newest_ms)
            seconds = time.perf_counter() - began
        prepared.result()
    assert result.index is not None  # noqa: S101 - the watermark was read from it
    index = result.index
    reporter.say(f"{index.products:,} products searchable after {seconds:.1f} s")
    return _Loaded(load, seconds, index.products, index.vectors, index.model)


def _run_searches(
    dataset: DemoDataset, client: SearchClient, plan: DemoPlan, reporter: ProgressReporter
) -> list[TimedAnswer]:
    """Search by words, by photo and by both, one at a time."""
    questions = dataset.questions()
    return ask_all(client, questions, plan.searches, reporter.bar("searching", plan.searches))


def _phone_photo(
    dataset: DemoDataset, client: SearchClient, folder: Path, reporter: ProgressReporter
) -> float | None:
    photo = dataset.phone_photo()
    if photo is None:
        return None
    file = folder / "phone-photo.jpg"
    file.write_bytes(photo)
    slowest = max(phone_photo_ms(client, file))
    reporter.say(f"a phone photo of {len(photo) / 1e6:.1f} MB to 40 hits: {slowest:.0f} ms")
    return round(slowest, 1)


def _events(
    settings: Settings,
    dataset: DemoDataset,
    client: SearchClient,
    producer: Producer,
    plan: DemoPlan,
    reporter: ProgressReporter,
) -> list[FreshnessSample]:
    """Publish single events at a steady rate and measure when a search shows each."""
    singles = plan_events(dataset, plan.events)
    show = reporter.bar(f"single events at {plan.per_s:g}/s", len(singles))
    topic = settings.topics.product_events
    return asyncio.run(
        measure_freshness(client, producer, topic, singles, per_s=plan.per_s, progress=show)
    )
