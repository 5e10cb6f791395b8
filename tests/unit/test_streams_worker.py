"""When a worker says that it should be restarted."""

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from streams.log_ledger import Ledger
from streams.log_reader import LogReader
from streams.metrics import Metrics
from streams.settings import Settings
from streams.worker import STALLED_S, Worker
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
