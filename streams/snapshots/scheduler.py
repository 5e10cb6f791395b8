"""The snapshot scheduler: by interval, by changes, on request and at shutdown; one at a time."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from streams.metrics import Metrics
from streams.snapshots.take import Positions, SnapshotTaker, TakenSnapshot
from visualsearch.errors import VisualSearchError
from visualsearch.snapshot.write import Progress, yield_to_searches

log = logging.getLogger(__name__)
TICK_S = 0.5
FIRST_RETRY_S, LAST_RETRY_S = 5.0, 600.0


class SnapshotRefusedError(VisualSearchError):
    """A requested snapshot cannot be taken now: `not_ready` or `stopping`."""

    code = "not_ready"


class NewestSnapshot(Protocol):
    """What decides, of the newest snapshot, when the next one is due."""

    @property
    def path(self) -> Path:
        """Its folder."""

    @property
    def positions(self) -> Positions:
        """The next log position by partition."""

    @property
    def created_at(self) -> float:
        """When it was taken, in seconds since 1970."""


class _StoppedError(Exception):
    """Raised within a snapshot whose time is up."""


@dataclass(frozen=True, slots=True)
class SnapshotTriggers:
    """When a snapshot is taken; 0 disables a trigger."""

    interval_s: float
    changes: int  # records of the log
    at_stop: bool


class SnapshotScheduler:
    """A thread that takes snapshots and copies them to the store.

    Errors are logged, counted and retried; they never stop the worker. The upload of the newest
    snapshot is retried with doubling pauses.
    """

    def __init__(
        self,
        taker: SnapshotTaker,
        triggers: SnapshotTriggers,
        metrics: Metrics,
        *,
        newest: NewestSnapshot | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`newest` is the restored snapshot, which may not be in the store yet."""
        self._taker = taker
        self._triggers = triggers
        self._metrics = metrics
        self._clock = clock
        self._now = now
        self._newest = newest
        self._tried_at = clock()
        self._requests: list[tuple[Future[TakenSnapshot], Progress]] = []
        self._futures: list[Future[TakenSnapshot]] = []
        self._to_upload = newest.path if newest and taker.has_store else None
        self._upload_at = 0.0
        self._pause_s = FIRST_RETRY_S
        self._wake = threading.Condition()
        self._stopping = False
        self._stop_by = float("inf")
        self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def request(self, progress: Progress = lambda *_: None) -> "Future[TakenSnapshot]":
        """Request a snapshot: it is taken now, or after the one in progress.

        The future fails with SnapshotError or SnapshotRefusedError.
        """
        future: Future[TakenSnapshot] = Future()
        with self._wake:
            if self._stopping:
                error = SnapshotRefusedError("the worker is stopping", code="stopping")
                future.set_exception(error)
            elif not self._taker.ready:
                future.set_exception(SnapshotRefusedError("the index log is being replayed"))
            else:
                self._requests.append((future, progress))
                self._futures = [each for each in self._futures if not each.done()] + [future]
                self._wake.notify()
        return future

    def age_s(self) -> float | None:
        """Return the newest snapshot's age, 0 while nothing has changed since; None without one."""
        if self._newest is None:
            return None
        return max(self._now() - self._newest.created_at, 0.0) if self._changes() else 0.0

    def close(self, timeout_s: float) -> None:
        """Take a last snapshot if `at_stop` is set, and stop, both within `timeout_s`.

        An upload that is incomplete by then is abandoned: the store does not list it.
        """
        with self._wake:
            self._stopping = True
            self._stop_by = self._clock() + timeout_s
            self._wake.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        error = SnapshotRefusedError("there was no time for it", code="stopping")
        for future in self._futures:  # of a snapshot that outlasts `timeout_s`
            _resolve(future, error)

    def run_due(self) -> bool:
        """Run what is due now; return whether the thread should stop."""
        with self._wake:
            stopping, requests, self._requests = self._stopping, self._requests, []
        if requests or self._due(stopping=stopping):
            self._take(requests)
        if self._to_upload is not None and self._clock() >= self._upload_at:
            self._upload(self._to_upload)
        return stopping

    def _run(self) -> None:
        while not self._run_due_safely():
            with self._wake:
                if not self._stopping and not self._requests:
                    self._wake.wait(TICK_S)

    def _run_due_safely(self) -> bool:
        """Call `run_due`; errors are logged and counted, and the thread goes on."""
        stopping = self._stopping
        try:
            return self.run_due()
        except Exception as error:
            self._fail([], error)
            return stopping

    def _due(self, *, stopping: bool) -> bool:
        if not self._taker.ready or not (changes := self._changes()):
            return False
        triggers = self._triggers
        if stopping:
            return triggers.at_stop
        waited_s = self._clock() - self._tried_at
        by_time = 0 < triggers.interval_s <= waited_s
        # A full disk is not retried at once.
        by_changes = 0 < triggers.changes <= changes and waited_s >= FIRST_RETRY_S
        return by_time or by_changes

    def _changes(self) -> int:
        """Return how many offsets the index is past the newest snapshot."""
        saved = sum(at.offset for at in self._newest.positions) if self._newest else 0
        return sum(at.offset for at in self._taker.positions()) - saved

    def _take(self, requests: list[tuple[Future[TakenSnapshot], Progress]]) -> None:
        self._tried_at = self._clock()

        def progress(step: str, done: int, total: int) -> None:
            if self._clock() > self._stop_by:
                raise _StoppedError
            for _, report in requests:
                report(step, done, total)

        try:
            taken = self._taker.take(progress, self._pause)
        except _StoppedError:
            self._fail(requests, SnapshotRefusedError("there was no time for it", code="stopping"))
            return
        except Exception as error:
            self._fail(requests, error)
            return
        self._newest = taken
        if self._taker.has_store:
            self._to_upload = taken.path  # the pause after a failed upload stays
        for future, _ in requests:
            _resolve(future, taken)
        try:
            self._taker.prune()
        except Exception as error:  # the snapshot itself was taken
            log.warning("old snapshots are still there: %s", error, exc_info=_is_unexpected(error))

    def _pause(self) -> None:
        if not self._stopping:  # then time is short
            yield_to_searches()

    def _fail(
        self, requests: list[tuple[Future[TakenSnapshot], Progress]], error: Exception
    ) -> None:
        self._metrics.snapshots.labels("failed").inc()
        log.warning("no snapshot: %s", error, exc_info=_is_unexpected(error))
        for future, _ in requests:
            _resolve(future, error)

    def _upload(self, snapshot: Path) -> None:
        if not snapshot.is_dir():  # another worker shares the folder and pruned it
            self._to_upload = None
            return
        try:
            self._taker.upload(snapshot)
        except Exception as error:
            self._metrics.snapshots.labels("upload_failed").inc()
            log.warning("%s is not in the store, again in %.0f s: %s", snapshot.name,
                        self._pause_s, error, exc_info=_is_unexpected(error))  # fmt: skip
            self._upload_at = self._clock() + self._pause_s
            self._pause_s = min(2 * self._pause_s, LAST_RETRY_S)
        else:
            self._to_upload, self._upload_at, self._pause_s = None, 0.0, FIRST_RETRY_S


def _resolve(future: Future[TakenSnapshot], result: TakenSnapshot | Exception) -> None:
    """Resolve a future, unless `close` has done so."""
    with contextlib.suppress(InvalidStateError):
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


def _is_unexpected(error: Exception) -> bool:
    """Return whether the log needs a traceback, since the message says too little."""
    return not isinstance(error, VisualSearchError)
