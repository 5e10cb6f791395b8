"""The one compute executor of a process: queries before indexing.

A model call cannot be preempted, so a query waits for at most one indexing step; callers keep
those short (a few pictures on a CPU, one batch on a GPU).
"""

import asyncio
import heapq
import itertools
import threading
from collections.abc import Callable
from enum import IntEnum
from typing import TypeVar

T = TypeVar("T")


class Priority(IntEnum):
    """Lower goes first."""

    QUERY = 0
    INDEX = 1


class Compute:
    """Runs model calls on one thread, the most urgent first, equals in order of arrival."""

    def __init__(self) -> None:
        self._jobs: list[tuple[Priority, int, Callable[[], None]]] = []
        self._ticket = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="compute", daemon=True)
        self._thread.start()

    async def run(self, priority: Priority, call: Callable[[], T]) -> T:
        """Run `call` on the compute thread and return what it returns or raise what it raises."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            if result.cancelled():  # nobody waits any more: a deadline passed in the queue
                return
            try:
                value = call()
            except Exception as error:
                loop.call_soon_threadsafe(_fail, result, error)
            else:
                loop.call_soon_threadsafe(_succeed, result, value)

        with self._changed:
            if self._stopped:
                raise RuntimeError("the compute executor is stopped")
            heapq.heappush(self._jobs, (priority, next(self._ticket), job))
            self._changed.notify()
        return await result

    def close(self) -> None:
        """Stop after the call under way; what still waits is dropped."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._stopped)
                if self._stopped:
                    return
                job = heapq.heappop(self._jobs)[2]
            job()


def _succeed(future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: "asyncio.Future[T]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
