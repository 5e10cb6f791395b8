"""Keeps events until they are due, then hands them to a window."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable

from streams.group_reader import Finished, Sink
from streams.messages import SourceMessage
from streams.retry import not_before_ms

HELD = 2_000  # events in memory
HELD_BYTES = 64 * 1024 * 1024
LOOK_S = 0.05


class Delay:
    """A sink in front of another. `longest_s` bounds what a clock that was set can do.

    A long pause holds up no shorter one: the heap is by due time, whatever the order in the topic.
    """

    def __init__(
        self, sink: Sink, *, longest_s: float, now: Callable[[], float] = time.time
    ) -> None:
        self._sink = sink
        self._longest_s = longest_s
        self._now = now
        # By time.monotonic; the ticket keeps equals in their order.
        self._due: list[tuple[float, int, SourceMessage, Finished]] = []
        self._ticket = itertools.count()
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._due)

    @property
    def has_room(self) -> bool:
        """Whether more may be held."""
        return not self._closed and len(self._due) < HELD and self._bytes < HELD_BYTES

    def take(self, message: SourceMessage, finished: Finished) -> None:
        """Hold an event until its time by our clock."""
        wait_s = min(max(not_before_ms(message) / 1000 - self._now(), 0.0), self._longest_s)
        due = time.monotonic() + wait_s
        heapq.heappush(self._due, (due, next(self._ticket), message, finished))
        self._bytes += len(message.value or b"")
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while self._due:
            if self._due[0][0] <= time.monotonic() and self._sink.has_room:
                _, _, message, finished = heapq.heappop(self._due)
                self._bytes -= len(message.value or b"")
                self._sink.take(message, finished)
            else:
                await asyncio.sleep(LOOK_S)

    def cancel(self) -> None:
        """Drop all."""
        self._due.clear()
        self._bytes = 0
        self._sink.cancel()

    async def close(self, timeout_s: float) -> None:
        """Leave what waits to the next owner; give what is in work some time."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        await self._sink.close(timeout_s)
