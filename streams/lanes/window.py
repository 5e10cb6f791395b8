"""A lane that works on its events side by side and acknowledges them in order.

A slow event keeps back only the offsets behind it, not the work on them: their records are
written, and searchable, while it still waits. The window bounds how far that goes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from streams.in_order import InOrder
from streams.lanes.lane import until_written
from streams.messages import SourceMessage

Handle = Callable[[SourceMessage], Awaitable[None]]


class Window:
    """At most `events` events of `size` bytes together in work, each in a task of its own."""

    def __init__(self, handle: Handle, *, events: int, size: int) -> None:
        self._handle = handle
        self._events = events
        self._size = size
        self._bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def has_room(self) -> bool:
        """Whether another event may be added; a single one may have any size."""
        fits = len(self._tasks) < self._events and self._bytes < self._size
        return not self._closed and fits

    async def add(self, message: SourceMessage, finished: Callable[[], None]) -> None:
        """Wait for room, then start; `finished` is called once nothing of it can be lost.

        Once the window is closed there is no more room: the event is its next owner's.
        """
        while not self.has_room:
            self._changed.clear()
            await self._changed.wait()
        self.start(message, finished)

    def start(self, message: SourceMessage, finished: Callable[[], None]) -> None:
        """Start work on an event; that there is room is the caller's to see to."""
        size = len(message.value or b"")
        self._bytes += size
        task = asyncio.create_task(self._one(message, finished))
        self._tasks.add(task)
        task.add_done_callback(partial(self._leave, size))

    async def _one(self, message: SourceMessage, finished: Callable[[], None]) -> None:
        """Handle an event until it is done: an offset never released would stop its partition."""
        await until_written(partial(self._handle, message), what=message.source)
        finished()

    def _leave(self, size: int, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._bytes -= size
        self._changed.set()

    def cancel(self) -> None:
        """Stop all work: its partitions have another owner, who reads the events again."""
        for task in self._tasks:
            task.cancel()

    async def close(self, timeout_s: float) -> None:
        """Take no more, wait for what is in work, and stop what is left then."""
        self._closed = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        self.cancel()


async def run_side_by_side(stream: Any, window: Window) -> None:
    """Consume a Faust stream for good, acknowledging in order of arrival what is finished."""
    in_order = InOrder()
    generation: int | None = None
    async for event in stream.noack().events():
        if (now := event.message.generation_id) != generation:
            # After a rebalance everything that is not committed comes again.
            window.cancel()
            in_order.forget()
            generation = now
        message = SourceMessage.from_faust(event.message)
        finished = in_order.add((message.topic, message.partition), event.ack)
        await window.add(message, finished)
