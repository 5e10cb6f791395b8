"""Blocking calls that may never return, on a bounded number of threads of their own.

Not on the event loop's default executor, whose threads everyone else needs, nor on any other: an
executor's threads are waited for at the exit of the process.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


class NotBegunError(TimeoutError):
    """A call that got no thread, as calls before it hold them all."""


class BoundedThreads:
    """Runs at most `threads` calls side by side; who called waits for `limit_s` at most.

    A call that does not return in time is abandoned, and holds its thread until it does return.
    Once all threads are held that way, a further call fails at once.
    """

    def __init__(self, name: str, *, threads: int, limit_s: float) -> None:
        self._name = name
        self._threads = threads
        self._limit_s = limit_s
        self._free = asyncio.Semaphore(threads)
        self._abandoned = 0

    @property
    def abandoned(self) -> int:
        """How many calls are running that nobody waits for any more."""
        return self._abandoned

    async def run(self, call: Callable[[], T]) -> T:
        """Return what `call` returns, or raise what it raises.

        Raises TimeoutError if it does not return in time, NotBegunError if it got no thread till
        then, RuntimeError if the process can have no more threads.
        """
        if self._abandoned >= self._threads:
            raise NotBegunError(f"{self._abandoned} calls before this one have not returned")
        began = False
        try:
            async with asyncio.timeout(self._limit_s):
                await self._free.acquire()
                began = True
                return await self._started(call)
        except TimeoutError as error:
            if not began:
                raise NotBegunError(f"no thread within {self._limit_s:g} s") from error
            raise TimeoutError(str(error) or f"not done within {self._limit_s:g} s") from error

    def _started(self, call: Callable[[], T]) -> "asyncio.Future[T]":
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        result.add_done_callback(self._note)
        work = partial(self._work, call, result)
        try:
            threading.Thread(target=work, name=self._name, daemon=True).start()
        except RuntimeError:
            self._free.release()
            raise
        return result

    def _work(self, call: Callable[[], T], result: "asyncio.Future[T]") -> None:
        tell: Callable[[], None]
        try:
            tell = partial(result.set_result, call())
        except BaseException as error:
            tell = partial(result.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            result.get_loop().call_soon_threadsafe(self._finish, result, tell)

    def _note(self, result: "asyncio.Future[T]") -> None:
        """Count a call that is still running though nobody waits for it."""
        self._abandoned += result.cancelled()

    def _finish(self, result: "asyncio.Future[T]", tell: Callable[[], None]) -> None:
        self._free.release()
        if result.cancelled():
            self._abandoned -= 1
        else:
            tell()
