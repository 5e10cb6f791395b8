"""When a worker says that it should be restarted."""

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from streams.lanes.batches import Batches
from streams.lanes.delay import Delay
from streams.lanes.window import Window
from streams.log_ledger import Ledger
from streams.log_reader import LogReader
from streams.messages import SourceMessage
from streams.metrics import Metrics
from streams.settings import Settings
from streams.worker import STALLED_S, Worker
from tests.contract.lane_acks import EchoLane
from tests.waiting import until
from visualsearch.engine import Engine


def side(reader: Any) -> Any:
    """Return the search side of a worker, well but for its log reader."""
    requests = SimpleNamespace(failure=None, group="g")
    return SimpleNamespace(reader=reader, requests=requests, app=SimpleNamespace(crash=None))


def test_a_clock_that_is_set_is_no_standstill_and_a_standstill_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """NTP may move an hour; every worker of a fleet would restart at once."""
    ledger, metrics = Ledger(1.0, time.monotonic), Metrics(CollectorRegistry())
    reader = LogReader({}, "log", Engine("fake", 16), ledger, metrics, time.time, partitions=1)
    worker = Worker(Settings(), frozenset())
    worker._side = side(reader)
    later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert worker.live() is None
    reader.progress_at -= STALLED_S + 1
    assert "stands still" in (worker.live() or "")


def test_a_search_client_that_reads_no_more_answers_is_a_reason_to_restart() -> None:
    """Every search over HTTP would end with an error; one that was closed is none."""
    worker = Worker(Settings(), frozenset())
    reader = SimpleNamespace(failed=threading.Event(), progress_at=time.monotonic())
    worker._side = side(reader)
    worker._client = SimpleNamespace(failure=None)
    assert worker.live() is None
    worker._client.failure = RuntimeError("a bug")
    assert "search results" in (worker.live() or "")


async def refuse(*_: Any) -> None:
    """Fail as an error of ours does."""
    raise ZeroDivisionError


def delay_over_a_sink_that_raises() -> Delay:
    """Return a delay whose window takes nothing."""
    broken = SimpleNamespace(has_room=True, take=lambda *_: 1 // 0)
    return Delay(broken, longest_s=0.0)  # type: ignore[arg-type]  # only what is called


@pytest.mark.parametrize(
    "make",
    [
        lambda: Window(refuse, refuse, events=10, size=1000),
        lambda: Batches(EchoLane(), refuse, size=1000),
        delay_over_a_sink_that_raises,
    ],
    ids=["window", "batches", "delay"],
)
async def test_an_event_that_cannot_be_finished_is_a_reason_to_restart(
    monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    """Its task ends and nobody reads why; its offset would hold up the partition for good."""
    monkeypatch.setattr("streams.kafka.retry_forever.FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr("streams.lanes.delay.SETTLE_S", 0.0)
    worker, sink = Worker(Settings(), frozenset()), make()
    worker._ingest = SimpleNamespace(readers=(), sinks=(sink,))
    sink.take(SourceMessage("t", 0, 0, 0, b"k", b"x"), lambda: None)
    assert worker.live() is None
    await until(lambda: worker.live() is not None)
    assert "ZeroDivisionError" in (worker.live() or "")
