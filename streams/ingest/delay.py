"""A delay queue: holds events until they are due, then passes them to a window."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable

from streams.ingest.retry import not_before_ms, original_source
from streams.kafka.consumer_group import Acknowledge, Sink
from streams.kafka.messages import SourceMessage
from streams.kafka.window import failure_of

MAX_EVENTS = 2_000  # events in memory
MAX_BYTES = 64 * 1024 * 1024
POLL_S = 0.05
SETTLE_S = 1.0  # after a rebalance, to read the later attempts first


class DelayQueue:
    """A sink in front of another. `longest_s` limits the delay if a clock is wrong.

    The heap is ordered by due time, so long delays do not block short ones. Only the last message
    of an event is kept: after a rebalance the topic is read again with all earlier attempts.
    """

    def __init__(
        self, sink: Sink, *, longest_s: float, now: Callable[[], float] = time.time
    ) -> None:
        self._sink = sink
        self._longest_s = longest_s
        self._now = now
        # By time.monotonic. The ticket keeps equal times in order and identifies the last message.
        self._due: list[tuple[float, int, str]] = []
        self._pending: dict[
            str, tuple[int, SourceMessage, Acknowledge]
        ] = {}  # by the event's source
        self._ticket = itertools.count()
        self._start_at: float | None = None
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.failure: BaseException | None = None  # why this process should be restarted

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def has_room(self) -> bool:
        """Whether another event fits."""
        return not self._closed and len(self._pending) < MAX_EVENTS and self._bytes < MAX_BYTES

    def take(self, message: SourceMessage, finished: Acknowledge) -> None:
        """Hold an event until it is due; once closed it is left to the partition's next owner."""
        if self._closed:
            return
        now = time.monotonic()
        if self._start_at is None:
            self._start_at = now + SETTLE_S
        wait_s = min(max(not_before_ms(message) / 1000 - self._now(), 0.0), self._longest_s)
        event, ticket = original_source(message), next(self._ticket)
        self._supersede(event)
        self._pending[event] = (ticket, message, finished)
        self._bytes += message.size
        heapq.heappush(self._due, (now + wait_s, ticket, event))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
            self._task.add_done_callback(self._on_done)

    def _on_done(self, task: "asyncio.Task[None]") -> None:
        self.failure = failure_of(task, "the delay") or self.failure

    def _supersede(self, event: str) -> None:
        """Acknowledge an event's earlier message, which a later one replaces."""
        if (known := self._pending.pop(event, None)) is not None:
            self._bytes -= known[1].size
            known[2]()

    async def _work(self) -> None:
        while self._due:
            now = time.monotonic()
            due, ticket, event = self._due[0]
            if max(due, self._start_at or now) > now or not self._sink.has_room:
                await asyncio.sleep(POLL_S)
                continue
            heapq.heappop(self._due)
            if (known := self._pending.get(event)) is not None and known[0] == ticket:
                del self._pending[event]
                self._bytes -= known[1].size
                self._sink.take(known[1], known[2])

    def cancel(self) -> None:
        """Drop all events: the partitions' next owners read them again."""
        self._due.clear()
        self._pending.clear()
        self._bytes = 0
        self._start_at = None
        self._sink.cancel()

    async def close(self, timeout_s: float) -> None:
        """Stop; waiting events are left to the next owner. Closes the sink within `timeout_s`."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        await self._sink.close(timeout_s)
