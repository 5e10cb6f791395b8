"""Threads for work that would block the event loop: queries before indexing.

A call cannot be preempted, so a query waits for at most one indexing call. Callers keep those
short: a few images on a CPU, one batch on a GPU.
"""

import asyncio
import heapq
import itertools
import threading
import time
from collections.abc import Callable
from enum import IntEnum
from typing import TypeVar

T = TypeVar("T")


class Priority(IntEnum):
    """Lower goes first."""

    QUERY = 0
    INDEX = 1


class PriorityPool:
    """Runs calls by priority; calls of equal priority run in order of arrival."""

    def __init__(self, threads: int = 1, name: str = "compute") -> None:
        self._jobs: list[tuple[Priority, int, Callable[[], None]]] = []
        self._ticket = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._began: dict[int, float] = {}  # start of the running call, by thread
        self._threads = [
            threading.Thread(target=self._work, args=(n,), name=f"{name}-{n}", daemon=True)
            for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, priority: Priority, call: Callable[[], T]) -> T:
        """Run `call` on one of the threads and return what it returns or raise what it raises."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            if result.cancelled():  # its deadline passed in the queue
                return
            try:
                value = call()
            except Exception as error:
                loop.call_soon_threadsafe(_fail, result, error)
            except BaseException as error:  # a panic of native code must not end the thread
                loop.call_soon_threadsafe(_fail, result, RuntimeError(repr(error)))
            else:
                loop.call_soon_threadsafe(_succeed, result, value)

        with self._changed:
            if self._stopped:
                raise RuntimeError("the compute executor is stopped")
            heapq.heappush(self._jobs, (priority, next(self._ticket), job))
            self._changed.notify()
        return await result

    def longest_running_s(self) -> float:
        """Return the running time of the longest current call in seconds."""
        with self._changed:
            return time.monotonic() - min(self._began.values(), default=time.monotonic())

    def close(self) -> None:
        """Stop after the running calls; waiting calls are dropped."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        while True:
            with self._changed:
                self._began.pop(number, None)
                self._changed.wait_for(lambda: self._jobs or self._stopped)
                if self._stopped:
                    return
                job = heapq.heappop(self._jobs)[2]
                self._began[number] = time.monotonic()
            job()


def _succeed(future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: "asyncio.Future[T]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
