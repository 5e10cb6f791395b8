"""A window of messages that are processed concurrently, one task per message.

A slow message delays the commit of later offsets, not the processing of their messages. The window
bounds how many are in progress. Messages may finish in any order; the consumer commits in order.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from functools import partial

from streams.kafka.consumer_group import Acknowledge
from streams.kafka.messages import SourceMessage
from streams.kafka.retry_forever import retry_three_times

log = logging.getLogger(__name__)
Handle = Callable[[SourceMessage], Awaitable[None]]
GiveUp = Callable[[SourceMessage, Exception], Awaitable[None]]


class Window:
    """At most `events` messages and about `size` bytes in all; `at_once` run concurrently.

    A message that `handle` has failed on three times goes to `give_up`, with the last error. A
    rebalance cancels all tasks; with `finish_begun` only those that have not started.
    """

    def __init__(
        self,
        handle: Handle,
        give_up: GiveUp,
        *,
        events: int,
        size: int,
        at_once: int = sys.maxsize,
        finish_begun: bool = False,
    ) -> None:
        self._handle = handle
        self._give_up = give_up
        self._events = events
        self._size = size
        self._slots = asyncio.Semaphore(at_once)
        self._finish_begun = finish_begun
        self._bytes = 0
        self._tasks: dict[asyncio.Task[None], bool] = {}  # whether it has started
        self._closed = False
        self.failure: BaseException | None = None  # why this process should be restarted

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def has_room(self) -> bool:
        """Whether another message may be added; a single one may have any size."""
        fits = len(self._tasks) < self._events and self._bytes < self._size
        return not self._closed and fits

    def take(self, message: SourceMessage, finished: Acknowledge) -> None:
        """Start processing a message; a closed window leaves it to the partition's next owner."""
        if self._closed:
            return
        self._bytes += message.size
        task = asyncio.create_task(self._handle_one(message, finished))
        self._tasks[task] = False
        task.add_done_callback(partial(self._on_done, message.size))

    async def _handle_one(self, message: SourceMessage, finished: Acknowledge) -> None:
        """Handle a message, or give it up: an offset never released would block its partition."""
        async with self._slots:
            if (task := asyncio.current_task()) is not None:
                self._tasks[task] = True
            try:
                await retry_three_times(partial(self._handle, message), what=message.source)
            except Exception as error:
                await self._give_up(message, error)
        finished()

    def _on_done(self, size: int, task: "asyncio.Task[None]") -> None:
        del self._tasks[task]
        self._bytes -= size
        self.failure = failure_of(task, "the window") or self.failure

    def cancel(self) -> None:
        """Cancel unfinished tasks; with `finish_begun` those that have started go on."""
        for task, begun in self._tasks.items():
            if not (begun and self._finish_begun):
                task.cancel()

    async def settle(self, timeout_s: float) -> None:
        """Cancel as `cancel` does, then wait for the tasks that go on, at most `timeout_s`."""
        self.cancel()
        await self._wait(timeout_s)

    async def close(self, timeout_s: float) -> None:
        """Accept no more, wait for the tasks at most `timeout_s`, then cancel the rest."""
        self._closed = True
        await self._wait(timeout_s)
        for task in self._tasks:
            task.cancel()

    async def _wait(self, timeout_s: float) -> None:
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=timeout_s)


def failure_of(task: "asyncio.Task[None]", what: str) -> BaseException | None:
    """Return the error that ended a task, and log it; None if it was cancelled or has succeeded.

    Its messages stay unacknowledged until the process is restarted.
    """
    if task.cancelled() or (error := task.exception()) is None:
        return None
    log.error("%s: work on messages has failed", what, exc_info=error)
    return error
