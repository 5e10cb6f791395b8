"""Blocking calls that may never return, on a bounded number of daemon threads.

An executor does not do: the process waits for its threads at exit. A call to a dead mount cannot
be stopped; its thread counts against the limit until the call returns.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")


class NoThreadError(TimeoutError):
    """A call that got no thread: hanging calls hold all of them."""


class BoundedThreads:
    """At most `threads` concurrent calls, hanging ones included.

    Once all threads hang, waiting and new calls are refused at once.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._name = name
        self._threads = threads
        self._running = 0
        self._abandoned = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def abandoned(self) -> int:
        """Number of running calls whose caller has given up."""
        return self._abandoned

    @asynccontextmanager
    async def permit(self) -> AsyncIterator[None]:
        """Wait for a thread. Raises NoThreadError if all of them hang."""
        permit: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(permit)
        self._grant_permits()
        try:
            await permit
        except asyncio.CancelledError:
            if not permit.cancelled() and permit.exception() is None:
                self._release_permit()
            raise
        try:
            yield
        finally:
            self._release_permit()

    async def run(self, call: Callable[[], T]) -> T:
        """Return what `call` returns, or raise what it raises; to be called within a permit.

        A cancelled call keeps its thread until it returns. Raises RuntimeError if no thread can be
        started.
        """
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        work = partial(self._work, call, result)
        threading.Thread(target=work, name=self._name, daemon=True).start()
        try:
            return await result
        except asyncio.CancelledError:
            if result.cancelled():
                self._abandoned += 1
            raise

    async def run_within(self, limit_s: float, call: Callable[[], T]) -> T:
        """Wait for a thread, then return what `call` returns or raise what it raises.

        Raises NoThreadError without a thread in time, TimeoutError without a result in time, and
        RuntimeError if no thread can be started.
        """
        began = False
        try:
            async with asyncio.timeout(limit_s), self.permit():
                began = True
                return await self.run(call)
        except NoThreadError:
            raise
        except TimeoutError as error:
            if not began:
                raise NoThreadError(f"no thread within {limit_s:g} s") from error
            raise TimeoutError(str(error) or f"not done within {limit_s:g} s") from error

    def _work(self, call: Callable[[], T], result: "asyncio.Future[T]") -> None:
        settle: Callable[[], None]
        try:
            settle = partial(result.set_result, call())
        except BaseException as error:
            settle = partial(result.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed
            result.get_loop().call_soon_threadsafe(self._finished, result, settle)

    def _finished(self, result: "asyncio.Future[T]", settle: Callable[[], None]) -> None:
        if not result.cancelled():
            settle()
            return
        self._abandoned -= 1
        self._grant_permits()

    def _release_permit(self) -> None:
        self._running -= 1
        self._grant_permits()

    def _grant_permits(self) -> None:
        """Grant free threads to waiting calls; refuse them if all threads hang."""
        while self._waiting and (
            self._abandoned >= self._threads or self._running + self._abandoned < self._threads
        ):
            permit = self._waiting.popleft()
            if permit.cancelled():
                continue
            if self._abandoned >= self._threads:
                text = f"{self._abandoned} calls before this one have not returned"
                permit.set_exception(NoThreadError(text))
            else:
                self._running += 1
                permit.set_result(None)
