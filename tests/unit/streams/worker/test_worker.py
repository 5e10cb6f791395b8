"""When a worker says that it should be restarted."""

import asyncio
import threading
import time
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from streams.config.settings import Settings
from streams.indexer.ledger import Ledger
from streams.indexer.reader import LogReader
from streams.ingest.delay import DelayQueue
from streams.kafka.batches import Batches
from streams.kafka.messages import SourceMessage
from streams.kafka.window import Window
from streams.metrics import Metrics
from streams.worker import worker as module
from streams.worker.worker import STALLED_S, Worker
from tests.support.waiting import until
from visualsearch.engine import Engine


def side(reader: Any) -> Any:
    """Return the search side of a worker, well but for its log reader."""
    well = SimpleNamespace(failure=None, group="g", crash=None)
    return SimpleNamespace(reader=reader, requests=well, app=well, window=well)


def test_a_clock_that_is_set_is_no_standstill_and_a_standstill_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """NTP may move an hour; every worker of a fleet would restart at once."""
    ledger, metrics = Ledger(1.0, time.monotonic), Metrics(CollectorRegistry())
    reader = LogReader({}, "log", Engine("fake", 16), ledger, metrics, time.time, partitions=1)
    worker = Worker(Settings(), frozenset())
    worker._search = side(reader)
    later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert worker.live() is None
    reader.progress_at -= STALLED_S + 1
    assert "stands still" in (worker.live() or "")


def test_a_search_client_that_reads_no_more_answers_is_a_reason_to_restart() -> None:
    """Every search over HTTP would end with an error; one that was closed is none."""
    worker = Worker(Settings(), frozenset())
    reader = SimpleNamespace(failed=threading.Event(), progress_at=time.monotonic())
    worker._search = side(reader)
    worker._client = SimpleNamespace(failure=None)
    assert worker.live() is None
    worker._client.failure = RuntimeError("a bug")
    assert "search results" in (worker.live() or "")


async def test_a_request_that_cannot_be_finished_is_a_reason_to_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its offset would hold up the partition for good."""
    monkeypatch.setattr("streams.kafka.retry_forever.FIRST_PAUSE_S", 0.0)
    worker = Worker(Settings(), frozenset())
    reader = SimpleNamespace(failed=threading.Event(), progress_at=time.monotonic())
    worker._search = side(reader)
    worker._search.window = Window(refuse, refuse, events=10, size=1000)
    assert worker.live() is None
    worker._search.window.take(SourceMessage("t", 0, 0, 0, b"k", b"x"), lambda: None)
    await until(lambda: worker.live() is not None)
    assert "ZeroDivisionError" in (worker.live() or "")


class Part:
    """A part of a worker that notes its stop, and then fails to stop."""

    def __init__(self, stopped: list[str], name: str, error: BaseException) -> None:
        self._stopped = stopped
        self._name = name
        self._error = error
        self.group, self.failure = name, None

    def close(self, *_: float) -> None:
        """Fail to stop."""
        self._stopped.append(self._name)
        raise self._error


class AsyncPart(Part):
    """The same for a part that is awaited."""

    async def close(self, *_: float) -> None:  # type: ignore[override]
        """Fail to stop, a little later."""
        await asyncio.sleep(0)
        super().close()

    stop = close


@pytest.mark.parametrize("error", [RuntimeError("a bug"), asyncio.CancelledError()])
async def test_a_part_that_cannot_be_stopped_keeps_no_other_from_its_stop(
    error: BaseException,
) -> None:
    """The last snapshot is taken and the producer flushed, in the order of every stop."""
    stopped: list[str] = []
    part, awaited = (partial(kind, stopped, error=error) for kind in (Part, AsyncPart))
    worker = Worker(Settings(), frozenset({"search", "ingest"}))
    worker._client = part(name="client")
    worker._search = SimpleNamespace(
        requests=awaited(name="requests"), app=awaited(name="app"), snapshots=part(name="saver"),
        healer=part(name="healer"), reader=part(name="reader"), engine=part(name="engine"),
        pipeline=part(name="pipeline"), fetcher=awaited(name="query fetcher"),
    )  # fmt: skip
    worker._ingest = SimpleNamespace(readers=[awaited(name="ingest 1"), awaited(name="ingest 2")])
    worker._runner = SimpleNamespace(cleanup=awaited(name="http").close)
    worker._reporting = (part(name="heartbeat"), part(name="lag"))
    worker._shared = SimpleNamespace(
        fetcher=awaited(name="fetcher"), model=part(name="model"), producer=part(name="producer")
    )
    await worker.stop()
    assert stopped == [
        "client", "requests", "app", "ingest 1", "ingest 2", "saver", "http", "healer", "reader",
        "engine", "pipeline", "query fetcher", "heartbeat", "lag", "fetcher", "model", "producer",
    ]  # fmt: skip


async def test_a_connection_without_a_request_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to hold a file descriptor of ours for good."""
    monkeypatch.setattr(module, "KEEPALIVE_S", 0.2)
    worker = Worker(Settings(http_host="127.0.0.1", http_port=0), frozenset({"search"}))
    await worker._start_http(CollectorRegistry())
    reader, writer = await asyncio.open_connection("127.0.0.1", worker.port)
    assert await asyncio.wait_for(reader.read(), 20) == b""
    writer.close()
    await worker.stop()


async def refuse(*_: Any) -> None:
    """Fail as an error of ours does."""
    raise ZeroDivisionError


def delay_over_a_sink_that_raises() -> DelayQueue:
    """Return a delay whose window takes nothing."""
    broken = SimpleNamespace(has_room=True, take=lambda *_: 1 // 0)
    return DelayQueue(broken, longest_s=0.0)  # type: ignore[arg-type]  # only what is called


@pytest.mark.parametrize(
    "make",
    [
        lambda: Window(refuse, refuse, events=10, size=1000),
        lambda: Batches(refuse, refuse, events=3, size=1000),
        delay_over_a_sink_that_raises,
    ],
    ids=["window", "batches", "delay"],
)
async def test_an_event_that_cannot_be_finished_is_a_reason_to_restart(
    monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    """Its task ends and nobody reads why; its offset would hold up the partition for good."""
    monkeypatch.setattr("streams.kafka.retry_forever.FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr("streams.ingest.delay.SETTLE_S", 0.0)
    worker, sink = Worker(Settings(), frozenset()), make()
    worker._ingest = SimpleNamespace(readers=(), sinks=(sink,))
    sink.take(SourceMessage("t", 0, 0, 0, b"k", b"x"), lambda: None)
    assert worker.live() is None
    await until(lambda: worker.live() is not None)
    assert "ZeroDivisionError" in (worker.live() or "")
