"""Messages processed in batches: each holds what arrived during the one before."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from streams.kafka.consumer_group import Acknowledge
from streams.kafka.messages import SourceMessage
from streams.kafka.retry_forever import retry_three_times
from streams.kafka.window import GiveUp, failure_of

HandleBatch = Callable[[Sequence[SourceMessage]], Awaitable[None]]


class Batches:
    """At most `events` messages, or about `size` bytes, to a batch.

    A batch that `handle` fails on three times is handled message by message; a single message
    that it fails on three times goes to `give_up`, with the last error.
    """

    def __init__(self, handle: HandleBatch, give_up: GiveUp, *, events: int, size: int) -> None:
        self._handle = handle
        self._give_up = give_up
        self._events = events
        self._size = size
        self._bytes = 0
        self._waiting: deque[tuple[SourceMessage, Acknowledge]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.failure: BaseException | None = None  # why this process should be restarted

    @property
    def has_room(self) -> bool:
        """Whether the next batch may grow."""
        fits = len(self._waiting) < self._events and self._bytes < self._size
        return not self._closed and fits

    def take(self, message: SourceMessage, finished: Acknowledge) -> None:
        """Add a message; once closed it is left to the partition's next owner."""
        if self._closed:
            return
        self._waiting.append((message, finished))
        self._bytes += message.size
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
            self._task.add_done_callback(self._note)

    def _note(self, task: "asyncio.Task[None]") -> None:
        self.failure = failure_of(task, "the batches") or self.failure

    async def _work(self) -> None:
        while self._waiting:
            count = min(self._events, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(count)]
            messages = [message for message, _ in batch]
            self._bytes -= sum(message.size for message in messages)
            await self._handle_or_give_up(messages)
            for _, finished in batch:
                finished()

    async def _handle_or_give_up(self, messages: Sequence[SourceMessage]) -> None:
        what = f"a batch of {len(messages)} messages from {messages[0].source}"
        try:
            await retry_three_times(partial(self._handle, messages), what=what)
        except Exception as error:
            if len(messages) == 1:
                await self._give_up(messages[0], error)
                return
            for message in messages:
                await self._handle_or_give_up([message])

    def cancel(self) -> None:
        """Drop waiting messages and cancel the running batch."""
        self._waiting.clear()
        self._bytes = 0
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def close(self, timeout_s: float) -> None:
        """Accept no more, wait for the running batches at most `timeout_s`, cancel the rest."""
        self._closed = True
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=timeout_s)
        self.cancel()
