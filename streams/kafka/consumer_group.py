"""A consumer group member that processes messages concurrently and commits in order.

On confluent-kafka, not Faust (ADR 7): Faust 0.15.3 loses messages when a rebalance meets a fetch.
Offsets are committed up to the first unfinished message, so no message is lost when a process
ends.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

from streams.kafka.in_order import OrderedAcks
from streams.kafka.messages import SourceMessage
from streams.metrics import Metrics
from visualsearch.client.options import consumer_limits
from visualsearch.client.unreadable import skip_unreadable_batch

log = logging.getLogger(__name__)
BATCH = 100  # messages per batch of polls
BATCH_BYTES = 8 * 1024 * 1024
POLL_S = 0.2
SETTLE_S = 5.0  # longer than any `settle` waits by itself
FULL_S = 0.05  # how long to wait for room before partitions are paused
Acknowledge = Callable[[], None]
PartitionKey = tuple[str, int]
"""A topic and a partition."""


class Sink(Protocol):
    """Processes messages asynchronously. It must raise nothing."""

    @property
    def has_room(self) -> bool:
        """Whether to poll for more messages; those polled already are delivered anyway."""

    def take(self, message: SourceMessage, finished: Acknowledge) -> None:
        """Start processing a message; call `finished` once its results are acknowledged."""

    def cancel(self) -> None:
        """Drop unfinished messages: they are read again, here or by another member."""

    async def close(self, timeout_s: float) -> None:
        """Accept no more messages and wait for those in progress, at most `timeout_s`."""


class GroupConsumer:
    """Reads topics for a sink on the running loop; blocking calls run in a thread.

    Offsets are committed every `commit_s` and before a rebalance. `settle` runs on the loop before
    partitions are revoked, to finish messages in progress; none are added meanwhile.
    """

    def __init__(
        self,
        options: dict[str, str | int],
        group: str,
        topics: Sequence[str],
        sink: Sink,
        metrics: Metrics,
        *,
        session_timeout_s: float,
        commit_s: float = 0.5,
        settle: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._connection = options
        self._options = options | consumer_limits() | {
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            # Eager: a rebalance revokes all partitions, so one rule covers messages in progress.
            # Partition n of every topic goes to one member, which gets all events of a product.
            "partition.assignment.strategy": "range",
            "session.timeout.ms": round(session_timeout_s * 1000),
            "heartbeat.interval.ms": 1000,
            "fetch.wait.max.ms": 100,
            "queued.max.messages.kbytes": 16 * 1024,
        }  # fmt: skip
        self._topics = list(topics)
        self._sink = sink
        self._metrics = metrics
        self._commit_s = commit_s
        self._settle = settle
        self._in_order = OrderedAcks()
        self._done: dict[PartitionKey, int] = {}  # next offset to commit
        self._committed: dict[PartitionKey, int] = {}
        self._commit_at = 0.0
        self._read_epoch = self._epoch = 0  # assignment: of the polls, of the sink
        self._room = asyncio.Event()  # something was finished
        self._paused = False
        self._closing = self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, group)
        self.group = group
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Join the group, in a task of the running loop."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run())

    async def close(self, timeout_s: float) -> None:
        """Accept no more messages, finish and commit those in progress, leave the group."""
        self._closing = True
        await self._sink.close(timeout_s)
        self._stopping = True
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=5.0)
        self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        try:
            consumer = await self._call(self._join)
            try:
                while not self._stopping:
                    await self._poll_once(consumer)
            finally:
                await self._call(partial(self._commit, consumer, wait=True))
                await self._call(consumer.close)
        except Exception as error:  # the worker's watch then ends the process
            log.exception("%s cannot go on", self.group)
            self.failure = error

    async def _call(self, call: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def _join(self) -> Any:
        from confluent_kafka import Consumer

        def assigned(_: Any, places: Sequence[Any]) -> None:
            log.info("%s: %d partitions assigned", self.group, len(places))

        def revoked(consumer: Any, places: Sequence[Any]) -> None:
            self._drain()
            self._commit(consumer, wait=True)
            self._read_epoch += 1
            log.info("%s: %d partitions revoked", self.group, len(places))

        def lost(_: Any, places: Sequence[Any]) -> None:
            self._read_epoch += 1
            log.warning("%s: %d partitions lost: the group went on without us", self.group,
                        len(places))  # fmt: skip

        consumer = Consumer(self._options | {"on_commit": self._on_commit})
        consumer.subscribe(self._topics, on_assign=assigned, on_revoke=revoked, on_lost=lost)
        return consumer

    def _drain(self) -> None:
        """Wait for `settle` on the loop; called from the consumer's thread."""
        if self._settle is None or self._loop is None:
            return
        settling = asyncio.run_coroutine_threadsafe(self._settle(), self._loop)
        try:
            settling.result(SETTLE_S)
        except (TimeoutError, CancelledError):  # uncommitted messages are read again
            settling.cancel()

    async def _poll_once(self, consumer: Any) -> None:
        if not self._sink.has_room:
            await self._wait_for_room()
        if self._sink.has_room == self._paused:
            await self._call(partial(self._throttle, consumer))
        for epoch, message in await self._call(partial(self._poll_batch, consumer)):
            self._start_epoch(epoch)
            # Of a former assignment, or read while closing: it is read again by its owner.
            if epoch == self._read_epoch and not self._closing:
                place = (message.topic, message.partition)
                finished = self._in_order.add(place, partial(self._finish, place, message))
                self._sink.take(message, finished)
        self._start_epoch(self._read_epoch)
        if time.monotonic() >= self._commit_at:
            self._commit_at = time.monotonic() + self._commit_s
            await self._call(partial(self._commit, consumer))

    async def _wait_for_room(self) -> None:
        """Wait briefly before pausing, since a pause discards fetched messages."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FULL_S):
                while not self._sink.has_room:
                    self._room.clear()
                    await self._room.wait()

    def _finish(self, place: PartitionKey, message: SourceMessage) -> None:
        self._done[place] = message.next_offset
        self._room.set()

    def _poll_batch(self, consumer: Any) -> list[tuple[int, SourceMessage]]:
        """Return polled messages, each with its assignment epoch.

        `poll`, not `consume`: a rebalance happens between two polls, never within a batch.
        """
        found: list[tuple[int, SourceMessage]] = []
        size = 0
        message = consumer.poll(0.01 if self._paused else POLL_S)
        while message is not None:
            taken = self._to_source_message(consumer, message)
            if taken is not None:
                found.append((self._read_epoch, taken))
                size += taken.size
            if len(found) >= BATCH or size >= BATCH_BYTES:
                break
            message = consumer.poll(0)
        return found

    def _to_source_message(self, consumer: Any, message: Any) -> SourceMessage | None:
        """Return a message, or a placeholder for an unreadable batch; None for other errors."""
        error = message.error()
        if error is None:
            return SourceMessage.from_confluent(message)
        if error.fatal():
            raise RuntimeError(error.str())
        if (batch := skip_unreadable_batch(consumer, self._connection, message)) is not None:
            return SourceMessage.from_unreadable(batch)
        log.warning("%s: %s", self.group, error.str())
        return None

    def _start_epoch(self, epoch: int) -> None:
        """After a rebalance drop messages in progress: uncommitted ones are read again."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._sink.cancel()
            self._in_order.clear()
            self._done.clear()
            self._committed.clear()
            self._paused = False

    def _throttle(self, consumer: Any) -> None:
        """Pause or resume. Messages fetched for a paused partition are fetched again."""
        change = consumer.resume if self._paused else consumer.pause
        change(consumer.assignment())
        self._paused = not self._paused

    def _commit(self, consumer: Any, *, wait: bool = False) -> None:
        """Commit the finished offsets; after a failure they are committed later or read twice."""
        from confluent_kafka import KafkaException, TopicPartition

        if self._epoch != self._read_epoch:  # `_done` is of a former assignment
            return
        done = dict(self._done)
        offsets = [TopicPartition(*place, offset) for place, offset in done.items()
                   if self._committed.get(place) != offset]  # fmt: skip
        if not offsets:
            return
        try:
            consumer.commit(offsets=offsets, asynchronous=not wait)
            self._committed = done
        except KafkaException as error:
            self._commit_failed(error.args[0].str())

    def _on_commit(self, error: Any, offsets: Sequence[Any]) -> None:
        """Handle the result of a commit: failed offsets are committed again."""
        failed = [at for at in offsets if error is not None or at.error is not None]
        for at in failed:
            self._committed.pop((at.topic, at.partition), None)
        if failed:
            self._commit_failed((error or failed[0].error).str())

    def _commit_failed(self, why: str) -> None:
        self._metrics.commit_failures.labels(self.group).inc()
        log.warning("%s: not committed, tried again: %s", self.group, why)
