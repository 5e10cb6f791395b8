"""The kill of a demonstration: once, with a search asked after it."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from streams.tools.demo.chaos import Chaos
from streams.tools.demo.stage import DemoError
from visualsearch.contracts.search import SearchFault, SearchRequest, SearchResult


class Stage:
    """Workers, a client and a terminal that note what is done to them, in its order."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.future: Future[SearchResult] = Future()
        self.process = SimpleNamespace(pid=7)

    def kill(self) -> None:
        """End the worker."""
        self.done.append("kill")

    def submit(self, _: SearchRequest) -> Any:
        """Take a search."""
        self.done.append("ask")
        return self.future

    def start_again(self) -> Any:
        """Start a worker."""
        self.done.append("start")
        return self

    def wait_ready(self) -> None:
        """Let the search be answered."""
        self.done.append("ready")

    def chaos(self) -> Chaos:
        """Return a kill that is still to come."""
        worker: Any = self
        return Chaos(worker, self.start_again, worker, lambda _: None)


def test_a_worker_is_killed_once_and_its_successor_awaited() -> None:
    """The search comes after the kill, so that only the successor can answer it."""
    stage = Stage()
    chaos = stage.chaos()
    chaos.kill_and_restart()
    chaos.kill_and_restart()
    stage.future.set_result(SearchResult(request_id="r", status="ok"))
    chaos.wait_for_answer()
    assert stage.done == ["kill", "ask", "start", "ready"]


def test_a_catalogue_too_small_to_be_half_way_is_no_way_out() -> None:
    """Whoever waits for the answer has the worker killed."""
    stage = Stage()
    stage.future.set_result(SearchResult(request_id="r", status="ok"))
    stage.chaos().wait_for_answer()
    assert stage.done == ["kill", "ask", "start", "ready"]


def test_an_error_is_no_answer() -> None:
    """A search that nobody took in time is said, not timed."""
    stage = Stage()
    fault = SearchFault("deadline_exceeded", "too late")
    stage.future.set_result(SearchResult(request_id="r", status="error", error=fault))
    with pytest.raises(DemoError, match="deadline_exceeded"):
        stage.chaos().wait_for_answer()
