"""Inline images whose store is full, away or hangs: searchable at once, stored later, not lost."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from streams.images.blob_writer import THREADS, InlineImages
from streams.images.blobs import BlobMissingError, BlobStore, blob_reference
from streams.ingest.outcome import EventOutcome
from streams.ingest.retry import FIRST
from streams.metrics import Metrics
from tests.support.lane_events import (
    BLUE,
    LIMIT,
    RED,
    Embedding,
    Pictures,
    fake_model,
    inline,
    message,
)
from tests.support.waiting import until
from visualsearch.contracts.records import VectorsLogRecord

Make = Callable[[BlobStore], Embedding]


class Store(BlobStore):
    """A store that raises while it has an error, and hangs until it is let go."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self.error: Exception | None = None
        self.going = threading.Event()
        self.going.set()
        self.calls = 0

    def put(self, data: bytes) -> str:
        """Store, or do what a store does that cannot."""
        self.calls += 1
        self.going.wait()
        if self.error is not None:
            raise self.error
        return super().put(data)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give a store."""
    return Store(tmp_path)


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Give a maker of embedding pipelines that wait for half a second for a store."""
    models = []

    def made(store: BlobStore) -> Embedding:
        models.append(fake_model())
        inline = InlineImages(store, Metrics(CollectorRegistry()), inline_limit=LIMIT, limit_s=0.5)
        return Embedding("explicit", models[-1], Pictures(), (10.0, 60.0), inline)

    yield made
    for model in models:
        model.close()


def vectors(outcome: EventOutcome) -> VectorsLogRecord:
    """Return the one record of an outcome."""
    ((_, record, _),) = outcome.records
    assert isinstance(record, VectorsLogRecord)
    return record


EVENT = message(0, "product-created", images=[inline(RED), inline(BLUE)])


async def test_bytes_are_stored_before_the_event_is_finished(make: Make, store: Store) -> None:
    """Under the name that the attribute pipeline writes."""
    outcome = await make(store).process(EVENT)
    assert (outcome.label, outcome.retry) == ("indexed", None)
    assert [store.get(blob_reference(data)) for data in (RED, BLUE)] == [RED, BLUE]
    assert [image.url for image in vectors(outcome).images] == [
        blob_reference(RED), blob_reference(BLUE)]  # fmt: skip


@pytest.mark.parametrize(
    "error",
    [OSError(28, "no space left"), PermissionError(), RuntimeError("its own"), MemoryError()],
    ids=repr,
)
async def test_a_store_that_fails_delays_bytes_not_vectors(
    make: Make, store: Store, error: Exception
) -> None:
    """Searchable at once; the event comes back until its bytes are stored."""
    embedding = make(store)
    store.error = error
    first = await embedding.process(EVENT)
    assert (first.label, first.faults, len(vectors(first).images)) == ("retried", [], 2)
    assert first.retry is not None
    assert (first.retry.code, first.retry.attempt.failed_rounds) == (
        "blob_store_failed",
        {0: 1, 1: 1},
    )
    with pytest.raises(BlobMissingError):
        store.get(blob_reference(RED))
    store.error = None
    second = await embedding.process(EVENT, first.retry.attempt)
    assert (second.label, vectors(second)) == ("indexed", vectors(first))
    assert store.get(blob_reference(RED)) == RED


async def test_after_the_last_round_the_bytes_are_in_a_dead_letter(
    make: Make, store: Store
) -> None:
    """To be published again: what the record names must not be lost."""
    embedding, attempt = make(store), FIRST
    store.error = OSError("read-only")
    for _ in range(2):
        outcome = await embedding.process(EVENT, attempt)
        assert outcome.retry is not None
        attempt = outcome.retry.attempt
    last = await embedding.process(EVENT, attempt)
    assert (last.label, last.retry, len(vectors(last).images)) == ("dead_lettered", None, 2)
    assert [(f.stage, f.code, f.attempts) for f in last.faults] == [
        ("store", "blob_store_failed", 3)] * 2  # fmt: skip


async def test_a_store_that_hangs_holds_up_a_bounded_number_of_threads(
    make: Make, store: Store
) -> None:
    """Half a second for the first events, none of the event loop's own threads for any."""
    embedding = make(store)
    store.going.clear()
    try:
        for _ in range(2):
            started = time.monotonic()
            events = [message(n, "product-created", f"p{n}", images=[inline(RED)])
                      for n in range(40)]  # fmt: skip
            outcomes = await asyncio.gather(*map(embedding.process, events))
            assert time.monotonic() - started < 10.0
            assert all(outcome.retry is not None for outcome in outcomes)
            assert all(len(vectors(outcome).images) == 1 for outcome in outcomes)
        assert store.calls == THREADS
        assert sum(thread.name == "blobs" for thread in threading.enumerate()) == THREADS
        assert await asyncio.wait_for(asyncio.to_thread(lambda: 1), 1) == 1
    finally:
        store.going.set()


async def test_an_outage_in_which_the_store_is_not_asked_uses_up_no_round(
    make: Make, store: Store
) -> None:
    """Calls that hang keep all others from it: of those nothing is known, nothing is given up."""
    embedding = make(store)
    store.going.clear()
    event = message(0, "product-created", images=[inline(RED)])
    try:
        hanging = [message(n, "product-created", f"p{n}", images=[inline(BLUE)])
                   for n in range(THREADS)]  # fmt: skip
        asked = await asyncio.gather(*map(embedding.process, hanging))
        rounds = [
            outcome.retry.attempt.failed_rounds for outcome in asked if outcome.retry is not None
        ]
        assert rounds == [{0: 1}] * THREADS
        attempt = FIRST
        for _ in range(10):  # of two delays
            outcome = await embedding.process(event, attempt)
            assert outcome.retry is not None
            attempt = outcome.retry.attempt
            assert (attempt.failed_rounds, attempt.total_attempts) == ({0: 0}, 0)
    finally:
        store.going.set()
    await until(lambda: embedding.inline._threads.abandoned == 0)
    assert (await embedding.process(event, attempt)).label == "indexed"


async def test_an_image_that_cannot_be_used_is_reported_as_such(make: Make, store: Store) -> None:
    """Its own fault is for good, whatever the store says."""
    embedding = make(store)
    store.error = OSError("full")
    images: list[Any] = [inline(b"no picture"), {"data": "no base64!"}, inline(bytes(LIMIT + 1))]
    outcome = await embedding.process(message(0, "product-created", images=images))
    assert (outcome.label, outcome.retry) == ("dead_lettered", None)
    assert [fault.code for fault in outcome.faults] == [
        "image_not_an_image", "image_data_invalid", "image_too_large"]  # fmt: skip


def test_a_write_that_fails_leaves_nothing_on_a_full_disk(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each further attempt would fill it further."""

    def half(path: str, data: bytes) -> None:
        Path(path).write_bytes(data[:10])
        raise OSError(28, "no space left")

    with monkeypatch.context() as patched:
        patched.setattr(store._fs, "pipe_file", half)
        with pytest.raises(OSError, match="no space"):
            store.put(RED)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert store.get(store.put(RED)) == RED
