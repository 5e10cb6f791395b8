"""Read what Kafka and a worker know of one product: by assignment, committing nothing."""

import json
from collections.abc import Callable, Collection, Iterator
from typing import TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import urlopen

from streams.config.settings import Settings
from streams.kafka.messages import SourceMessage
from streams.kafka.offsets import GroupOffsets
from streams.kafka.scan import Scanner
from streams.kafka.topics import TopicError
from streams.tools.dlq.dead_letters import Selection, read_dead_letters
from streams.tools.explain.collect import (
    ProductEvents,
    ProductRecords,
    seen_dead_letter,
    seen_retry,
)
from streams.tools.explain.trace import (
    PIPELINES,
    ProductTrace,
    SeenDeadLetter,
    SeenRetry,
    WorkerState,
)
from visualsearch.client.offsets import OffsetsError
from visualsearch.client.partitioner import partition_of
from visualsearch.contracts.records import record_key

_HTTP_S = 5.0
Progress = Callable[[str, int, int], None]


def gather(
    settings: Settings,
    product_id: str,
    *,
    worker: str,
    since: int | None = None,
    every_partition: bool = False,
    progress: Progress = lambda _, __, ___: None,
) -> ProductTrace:
    """Return what is known of a product now. Raises TopicError.

    The order of the reads matters: an event that moves on meanwhile must be seen further down.
    So committed offsets come before retries and the index log, and the worker's index comes last.
    """
    with Scanner(settings.kafka()) as scanner:
        reader = _ProductReader(scanner, settings, product_id, since, progress)
        events = reader.events(every_partition=every_partition)
        marked = (events.newest, events.offer, events.unreadable)
        places = {(event.topic, event.partition) for event in marked if event is not None}
        committed = committed_offsets(settings, PIPELINES, places)
        retries = reader.retries()
        records = reader.records()
        letters = reader.dead_letters()
    state, why_not = worker_state(worker, product_id)
    return ProductTrace(
        product_id=product_id,
        topics=settings.topics.product_topics(),
        latest={topic: tuple(found) for topic, found in events.latest.items()},
        counts=events.counts,
        newest=events.newest,
        offer=events.offer,
        unreadable=events.unreadable,
        records=records.newest,
        dead_letters=letters,
        retries=retries,
        committed=committed,
        worker=state,
        worker_error=why_not,
        complete=since is None and every_partition,
    )


class _ProductReader:
    """Reads the topics for one product, from a time on if one is given."""

    def __init__(
        self,
        scanner: Scanner,
        settings: Settings,
        product_id: str,
        since: int | None,
        progress: Progress,
    ) -> None:
        self._scanner = scanner
        self._settings = settings
        self._product_id = product_id
        self._since = since
        self._progress = progress

    def events(self, *, every_partition: bool) -> ProductEvents:
        """Read the existing product topics. Raises TopicError if there is none."""
        names = self._settings.topics.product_topics()
        counts = {name: self._scanner.partitions(name) for name in names}
        if not any(counts.values()):
            text = f"topics are missing: {', '.join(names)}; run `visualsearch topics create`"
            raise TopicError(text, code="topics_missing")
        events = ProductEvents(self._settings.order_mode)
        key = self._product_id.encode()
        for name, count in counts.items():
            partitions = range(count) if every_partition else self._partition(count)
            for message in self._messages(name, partitions, {key}):
                events.add(message)
        return events

    def records(self) -> ProductRecords:
        """Read the partition of the index log that the product is in."""
        topic = self._settings.topics.index_log
        partitions = self._partition(self._scanner.partitions(topic))
        keys = {record_key(kind, self._product_id) for kind in ("base", "offer", "vectors")}
        records = ProductRecords()
        for message in self._messages(topic, partitions, keys):
            records.add(message)
        return records

    def retries(self) -> tuple[SeenRetry, ...]:
        """Read the pending retries: those from the committed offset on."""
        topic, key = self._settings.topics.product_retry, self._product_id.encode()
        partitions = self._partition(self._scanner.partitions(topic))
        places = {(topic, partition) for partition in partitions}
        finished = committed_offsets(self._settings, ("retry",), places)["retry"]
        found = [
            seen_retry(message)
            for message in self._messages(topic, partitions, {key})
            if message.offset >= finished.get((topic, message.partition), 0)
        ]
        return tuple(retry for retry in found if retry is not None)

    def dead_letters(self) -> tuple[SeenDeadLetter, ...]:
        """Read the dead letters of the product, oldest first."""
        topic = self._settings.topics.dead_letters
        selection = Selection(product=self._product_id, since_ms=self._since)
        letters = read_dead_letters(
            self._scanner, topic, selection, lambda done, of: self._progress(topic, done, of)
        )
        return tuple(seen_dead_letter(letter) for letter in letters)

    def _partition(self, count: int) -> list[int]:
        return [partition_of(self._product_id, count)] if count else []

    def _messages(
        self, topic: str, partitions: Collection[int], keys: Collection[bytes]
    ) -> Iterator[SourceMessage]:
        spans = self._scanner.offset_ranges(topic, list(partitions), self._since)

        def show(done: int, of: int) -> None:
            self._progress(topic, done, of)

        for each in self._scanner.read(spans, show, keys):
            yield each.message


Pipeline = TypeVar("Pipeline", bound=str)


def committed_offsets(
    settings: Settings, pipelines: Collection[Pipeline], places: Collection[tuple[str, int]]
) -> dict[Pipeline, dict[tuple[str, int], int]]:
    """Return the next offset of each pipeline's group by (topic, partition), where there is one.

    Raises TopicError.
    """
    committed: dict[Pipeline, dict[tuple[str, int], int]] = {}
    with GroupOffsets(settings.kafka()) as offsets:
        for pipeline in pipelines:
            group = settings.group(pipeline)
            try:
                committed[pipeline] = offsets.committed(group, sorted(places))
            except OffsetsError as error:
                text = f"the offsets of {group} cannot be read: {error}"
                raise TopicError(text, code="unreachable") from error
    return committed


def worker_state(url: str, product_id: str) -> tuple[WorkerState | None, str]:
    """Ask a worker for its state of a product; without an answer return None and why."""
    link = f"{url.rstrip('/')}/v1/products/{quote(product_id, safe='')}"
    try:
        with urlopen(link, timeout=_HTTP_S) as answer:  # noqa: S310 - the user named the worker
            body = answer.read()
    except HTTPError as error:
        body = error.read()
    except (URLError, OSError, ValueError) as error:
        return None, f"no answer from {url}: {getattr(error, 'reason', error)}"
    try:
        state = json.loads(body)
        orders = {kind: order and tuple(order) for kind, order in state["orders"].items()}
        return WorkerState(
            state["model"], state["known"], state["searchable"], state["why"], orders
        ), ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, f"{url} has no index, or is not a worker"
