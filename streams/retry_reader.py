"""Reads `product-retry`, keeps each event until it is due and hands it to the embedding lane.

On confluent-kafka, not Faust: what waits here waits for hours, so partitions must be paused when
enough is held, and in Faust 0.15.3 that loses messages. Offsets are committed in order, up to the
first event that is not finished; one that must be tried yet again is a new message.
"""

import asyncio
import heapq
import itertools
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from streams.in_order import InOrder
from streams.lanes.window import Window
from streams.messages import SourceMessage
from streams.retry import not_before_ms

log = logging.getLogger(__name__)
HELD = 2_000  # events in memory
HELD_BYTES = 64 * 1024 * 1024
BATCH = 100
POLL_S = 0.2
COMMIT_S = 0.5


class RetryReader:
    """One member of the group that shares the topic. `longest_s` bounds what a clock can do."""

    def __init__(
        self,
        options: dict[str, str | int],
        group: str,
        topic: str,
        window: Window,
        *,
        longest_s: float,
        session_timeout_s: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._options = options | {
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "partition.assignment.strategy": "range",  # revokes all: one rule for what is held
            "session.timeout.ms": round(session_timeout_s * 1000),
            "queued.max.messages.kbytes": 16 * 1024,
        }
        self._topic = topic
        self._window = window
        self._longest_s = longest_s
        self._now = now
        # By time.monotonic; the ticket keeps equals in their order.
        self._due: list[tuple[float, int, SourceMessage, Callable[[], None]]] = []
        self._ticket = itertools.count()
        self._bytes = 0
        self._in_order = InOrder()
        self._done: dict[int, int] = {}  # partition → the offset to go on from
        self._committed: dict[int, int] = {}
        self._commit_at = 0.0
        self._read_epoch = self._epoch = 0  # of the assignment, as read and as held
        self._paused = False
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        # A thread of its own: a poll blocks, and what else runs in threads must not wait for it.
        self._thread = ThreadPoolExecutor(1, "retries")
        self.failure: BaseException | None = None

    @property
    def waiting(self) -> int:
        """How many events are held here until they are due."""
        return len(self._due)

    def start(self) -> None:
        """Join the group and begin, in a task of the running loop."""
        self._task = asyncio.create_task(self._run())

    async def close(self, timeout_s: float) -> None:
        """Take no more, give what is in work some time, commit and leave the group."""
        await self._window.close(timeout_s)
        self._stopping = True
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=2.0)
        self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        try:
            consumer = await self._call(self._join)
            try:
                while not self._stopping:
                    await self._turn(consumer)
            finally:
                await self._call(partial(self._commit, consumer, wait=True))
                await self._call(consumer.close)
        except Exception as error:
            log.exception("retries cannot be read")
            self.failure = error

    async def _call(self, call: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def _join(self) -> Any:
        from confluent_kafka import Consumer

        def revoked(consumer: Any, _: Any) -> None:
            self._commit(consumer)
            self._read_epoch += 1

        consumer = Consumer(self._options)
        consumer.subscribe([self._topic], on_revoke=revoked, on_lost=revoked)
        return consumer

    async def _turn(self, consumer: Any) -> None:
        for epoch, message in await self._call(partial(self._read, consumer, self._pause_s())):
            if epoch != self._epoch:
                self._restart(epoch)
            self._take(message)
        self._start_due()
        await self._call(partial(self._throttle, consumer))
        if time.monotonic() >= self._commit_at:
            self._commit_at = time.monotonic() + COMMIT_S
            await self._call(partial(self._commit, consumer))

    def _read(self, consumer: Any, timeout_s: float) -> list[tuple[int, SourceMessage]]:
        """Return messages, each with the assignment that it belongs to.

        `poll`, not `consume`: a rebalance comes between two polls and never inside of a batch.
        """
        found: list[tuple[int, SourceMessage]] = []
        message = consumer.poll(timeout_s)
        while message is not None and len(found) < BATCH:
            if (error := message.error()) is None:
                found.append((self._read_epoch, _source(message)))
            elif error.fatal():
                raise RuntimeError(error.str())
            else:
                log.warning("product-retry is not read: %s", error.str())
            message = consumer.poll(0) if len(found) < BATCH else None
        return found

    def _pause_s(self) -> float:
        """Return how long to wait for messages: not beyond the next event that is due."""
        if not self._due or not self._window.has_room:
            return POLL_S
        return min(max(self._due[0][0] - time.monotonic(), 0.01), POLL_S)

    def _take(self, message: SourceMessage) -> None:
        """Hold an event until its time by our clock, which may have been set since it was sent."""
        partition, following = message.partition, message.offset + 1
        done = partial(self._done.__setitem__, partition, following)
        finished = self._in_order.add((message.topic, partition), done)
        wait_s = min(max(not_before_ms(message) / 1000 - self._now(), 0.0), self._longest_s)
        due = time.monotonic() + wait_s
        heapq.heappush(self._due, (due, next(self._ticket), message, finished))
        self._bytes += len(message.value or b"")

    def _start_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic() and self._window.has_room:
            _, _, message, finished = heapq.heappop(self._due)
            self._bytes -= len(message.value or b"")
            self._window.start(message, finished)

    def _restart(self, epoch: int) -> None:
        """After a rebalance: what is not committed comes again, here or elsewhere."""
        self._epoch = epoch
        self._window.cancel()
        self._in_order.forget()
        self._due.clear()
        self._bytes = 0
        self._done.clear()
        self._paused = False

    def _throttle(self, consumer: Any) -> None:
        """Pause while enough is held. Safe with this client: fetched ones are fetched again."""
        full = len(self._due) >= HELD or self._bytes >= HELD_BYTES
        if full and not self._paused:
            consumer.pause(consumer.assignment())
            self._paused = True
        elif self._paused and len(self._due) < HELD // 2 and self._bytes < HELD_BYTES // 2:
            consumer.resume(consumer.assignment())
            self._paused = False

    def _commit(self, consumer: Any, *, wait: bool = False) -> None:
        """Commit how far everything is finished; what fails is read twice."""
        from confluent_kafka import KafkaException, TopicPartition

        done = dict(self._done)
        offsets = [TopicPartition(self._topic, *pair) for pair in done.items()
                   if self._committed.get(pair[0]) != pair[1]]  # fmt: skip
        if not offsets:
            return
        try:
            consumer.commit(offsets=offsets, asynchronous=not wait)
            self._committed = done
        except KafkaException as error:
            log.warning("product-retry is not committed: %s", error.args[0].str())


def _source(message: Any) -> SourceMessage:
    return SourceMessage(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        tuple(message.headers() or ()),
    )
