"""Events worked on side by side, each in a task of its own.

A slow event keeps back only the offsets behind it, not the work on them: their records are
written, and searchable, while it still waits. The window bounds how far that goes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from streams.ingest.failure import failure_of
from streams.kafka.consumer_group import Finished
from streams.kafka.messages import SourceMessage
from streams.kafka.retry_forever import three_tries

Handle = Callable[[SourceMessage], Awaitable[None]]
GiveUp = Callable[[SourceMessage, Exception], Awaitable[None]]


class Window:
    """At most about `events` events of `size` bytes together in work.

    An event that `handle` fails on three times goes to `give_up`, with the last error.
    """

    def __init__(self, handle: Handle, give_up: GiveUp, *, events: int, size: int) -> None:
        self._handle = handle
        self._give_up = give_up
        self._events = events
        self._size = size
        self._bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self.failure: BaseException | None = None  # why this process should be restarted

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def has_room(self) -> bool:
        """Whether another event may be added; a single one may have any size."""
        fits = len(self._tasks) < self._events and self._bytes < self._size
        return not self._closed and fits

    def take(self, message: SourceMessage, finished: Finished) -> None:
        """Start work on an event; once the window is closed it is the next owner's."""
        if self._closed:
            return
        self._bytes += message.size
        task = asyncio.create_task(self._one(message, finished))
        self._tasks.add(task)
        task.add_done_callback(partial(self._leave, message.size))

    async def _one(self, message: SourceMessage, finished: Finished) -> None:
        """Handle an event, or give it up: an offset never released would stop its partition."""
        try:
            await three_tries(partial(self._handle, message), what=message.source)
        except Exception as error:
            await self._give_up(message, error)
        finished()

    def _leave(self, size: int, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._bytes -= size
        self.failure = failure_of(task, "the window") or self.failure

    def cancel(self) -> None:
        """Stop all work."""
        for task in self._tasks:
            task.cancel()

    async def close(self, timeout_s: float) -> None:
        """Take no more, wait for what is in work, and stop what is left then."""
        self._closed = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        self.cancel()
