"""Blocking reads of one place, each on a thread that may hang without keeping anyone else waiting.

A read of a dead mount cannot be stopped. Its thread is left behind and keeps its place among the
readers until it comes back; once all of them hang, nothing more is asked of the place.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

from streams.fetch.errors import FetchError

T = TypeVar("T")


class Readers:
    """At most `at_once` reads of a place, those that hang included."""

    def __init__(self, name: str, at_once: int) -> None:
        self._name = name
        self._at_once = at_once
        self._reading = 0
        self._hung = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def permit(self) -> AsyncIterator[None]:
        """Wait for a reader. Raises FetchError `image_host_down` where all of them hang."""
        permit: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(permit)
        self._serve()
        try:
            await permit
        except asyncio.CancelledError:
            if not permit.cancelled() and permit.exception() is None:
                self._leave()
            raise
        try:
            yield
        finally:
            self._leave()

    async def run(self, read: Callable[[], T]) -> T:
        """Return what `read` returns, or raise what it raises; to be called within a permit.

        When the caller gives up, the thread is left behind.
        """
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            try:
                value = read()
            except Exception as error:
                settle = partial(result.set_exception, error)
            else:
                settle = partial(result.set_result, value)
            with suppress(RuntimeError):  # the loop is closed: the process stops
                loop.call_soon_threadsafe(self._finished, result, settle)

        threading.Thread(target=work, name="store", daemon=True).start()
        try:
            return await result
        except asyncio.CancelledError:
            if result.cancelled():
                self._hung += 1
            raise

    def _finished(self, result: "asyncio.Future[T]", settle: Callable[[], None]) -> None:
        if not result.cancelled():
            settle()
            return
        self._hung -= 1
        self._serve()

    def _leave(self) -> None:
        self._reading -= 1
        self._serve()

    def _serve(self) -> None:
        """Give free readers to those who wait, or tell them that there will be none."""
        while self._waiting and (
            self._hung >= self._at_once or self._reading + self._hung < self._at_once
        ):
            permit = self._waiting.popleft()
            if permit.cancelled():
                continue
            if self._hung >= self._at_once:
                text = f"{self._name}: {self._hung} reads hang, not asked until they come back"
                permit.set_exception(
                    FetchError("image_host_down", text, transient=True, attempts=0)
                )
            else:
                self._reading += 1
                permit.set_result(None)
