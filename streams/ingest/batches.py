"""Messages worked on batch by batch: a batch is what came while the one before it was in work."""

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial

from streams.ingest.outcome import Lane, Outcome, Publish, internal_failure, process_safely
from streams.kafka.consumer_group import Finished
from streams.kafka.messages import SourceMessage
from streams.kafka.retry_forever import three_tries
from streams.kafka.window import failure_of


class Batches:
    """Process, publish, and only then finish a batch. Whatever raises, it goes on."""

    def __init__(self, lane: Lane, publish: Publish, *, size: int) -> None:
        self._lane = lane
        self._publish = publish
        self._size = size
        self._bytes = 0
        self._waiting: deque[tuple[SourceMessage, Finished]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.failure: BaseException | None = None  # why this process should be restarted

    @property
    def has_room(self) -> bool:
        """Whether a next batch may gather further."""
        fits = len(self._waiting) < self._lane.batch and self._bytes < self._size
        return not self._closed and fits

    def take(self, message: SourceMessage, finished: Finished) -> None:
        """Add a message; once closed it is the next owner's."""
        if self._closed:
            return
        self._waiting.append((message, finished))
        self._bytes += message.size
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
            self._task.add_done_callback(self._note)

    def _note(self, task: "asyncio.Task[None]") -> None:
        self.failure = failure_of(task, self._lane.name) or self.failure

    async def _work(self) -> None:
        while self._waiting:
            count = min(self._lane.batch, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(count)]
            messages = [message for message, _ in batch]
            self._bytes -= sum(message.size for message in messages)
            outcomes = await process_safely(self._lane, messages)
            await self._write(messages, outcomes)
            for _, finished in batch:
                finished()

    async def _write(self, messages: Sequence[SourceMessage], outcomes: Sequence[Outcome]) -> None:
        """Publish; if an error of ours prevents it, one by one, and then the culprit's dead letter.

        Waiting for Kafka is the publisher's part.
        """
        what = f"{self._lane.name}: a batch of {len(messages)} events"
        try:
            await three_tries(partial(self._publish, messages, outcomes), what=what)
        except Exception as error:
            if len(messages) > 1:
                for message, outcome in zip(messages, outcomes, strict=True):
                    await self._write([message], [outcome])
                return
            failure = internal_failure(self._lane.name, messages[0], error)
            await self._publish(messages, [failure])

    def cancel(self) -> None:
        """Stop all work."""
        self._waiting.clear()
        self._bytes = 0
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def close(self, timeout_s: float) -> None:
        """Take no more, wait for what is in work, and stop what is left then."""
        self._closed = True
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=timeout_s)
        self.cancel()
