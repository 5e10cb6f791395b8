"""Kill the worker (kill -9) during a load; measure how long a search waits, check for losses."""

import threading
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from streams.config.settings import Settings
from streams.tools.demo.figures import Recovery
from streams.tools.demo.stage import DemoError, WorkerProcess
from visualsearch.client.search_client import SearchClient
from visualsearch.contracts.search import QuerySpec, SearchRequest

if TYPE_CHECKING:
    from concurrent.futures import Future

    from streams.tools.fsck.check import ReportProgress
    from visualsearch.contracts.search import SearchResult

_DEADLINE_MS = 180_000  # a start may take long on a busy machine


class Chaos:
    """Kills a worker once and starts another; a search sent in between measures the gap."""

    def __init__(
        self,
        worker: WorkerProcess,
        start_again: Callable[[], WorkerProcess],
        client: SearchClient,
        say: Callable[[str], None],
    ) -> None:
        self._worker = worker
        self._start_again = start_again
        self._client = client
        self._say = say
        self._killed_at = self._answered_at = 0.0
        self._answered = threading.Event()
        self._answer: Future[SearchResult] | None = None

    def kill_and_restart(self) -> None:
        """Kill the worker, send a search, start a worker; a second call does nothing."""
        if self._answer is not None:
            return
        self._killed_at = time.monotonic()
        self._worker.kill()
        self._say(f"killed the worker with kill -9 (process {self._worker.process.pid})")
        request = SearchRequest(
            request_id=uuid.uuid4().hex, query=QuerySpec(text="anything"), deadline_ms=_DEADLINE_MS
        )
        self._answer = self._client.submit(request)
        self._answer.add_done_callback(self._note)
        self._worker = self._start_again()

    def wait_for_answer(self) -> None:
        """Kill the worker if that was not done yet; return once the search is answered.

        Raises DemoError, TimeoutError.
        """
        self.kill_and_restart()
        self._worker.wait_ready()
        assert self._answer is not None  # noqa: S101 - set by the kill
        result = self._answer.result()
        self._answered.wait()
        if result.error is not None:
            raise DemoError(f"the first answer: {result.error.code}: {result.error.message}")
        self._say(f"first answer {self._answered_at - self._killed_at:.1f} s after the kill")

    def recovery(self, settings: Settings, url: str) -> Recovery:
        """Run fsck on the new worker; return the gap and the report. Raises FsckError."""
        from streams.tools.fsck.check import Check, Options
        from streams.tools.fsck.worker import WorkerClient

        def load_encoder() -> Any:
            import visualsearch
            from streams.config.process import tune_process

            tune_process()
            return visualsearch.load_encoder(settings.encoder, device=settings.device)

        report = Check(
            settings, WorkerClient(url), load_encoder, Options(), _FsckProgress(self._say)
        ).run()
        return Recovery(round(self._answered_at - self._killed_at, 1), report.as_dict())

    def _note(self, _: "Future[SearchResult]") -> None:
        self._answered_at = time.monotonic()
        self._answered.set()


class _FsckProgress:
    """Reports the steps of fsck, a line each."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def step(self, name: str, total: int | None) -> "ReportProgress":
        """Report the start of a step; its progress is not shown."""
        self._say(f"fsck: {name}" if total is None else f"fsck: {name} ({total:,})")
        return lambda _: None
