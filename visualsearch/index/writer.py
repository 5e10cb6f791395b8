"""The background writer: one thread that does steps while there is something to do."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress

REST_S = 0.005  # before it begins again: what comes meanwhile is done together


class Writer:
    """Calls `step` until it returns 0, then sleeps until it is woken.

    A thread that came back for each group of records would take the lock and Python's own from
    whoever brings them: half of a rate of 100,000 deletes a second.
    """

    def __init__(self, step: Callable[[], int], on_error: Callable[[Exception], object]) -> None:
        self._step = step
        self._on_error = on_error
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; a second call does nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="graph-writer", daemon=True)
            self._thread.start()

    def wake(self) -> None:
        """Say that there is something to do."""
        self._woken.set()

    def close(self) -> None:
        """Stop after the step under way."""
        self._stopping.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        _in_the_background()
        while not self._stopping.is_set():
            self._woken.wait()
            self._stopping.wait(REST_S)
            self._woken.clear()
            try:
                while not self._stopping.is_set() and self._step():
                    pass
            except Exception as error:  # rows stay fresh and are scanned: right, only slower
                self._on_error(error)


def _in_the_background() -> None:
    """Tell Linux that this thread is a batch job: it preempts no other when it is woken.

    `SCHED_BATCH` (man 7 sched) leaves it its weight, which a nice value would take.
    """
    if hasattr(os, "SCHED_BATCH"):
        with suppress(OSError):  # where it is forbidden, searches wait a little more often
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
