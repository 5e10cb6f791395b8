"""The one Kafka producer of a process: acknowledged sends on confluent-kafka."""

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from visualsearch.client.closing import Closing
from visualsearch.client.messages import OutgoingMessage

log = logging.getLogger(__name__)
MAX_BYTES = 11 * 1024 * 1024
DELIVERY_MS = 30_000  # then the send fails; senders log that and send again
ROOM_S = 0.01  # between two attempts while the local queue is full
FAILED_S = 0.1  # pause of the poll loop after an error
CLOSE_S = 1.0  # for the delivery callbacks of purged messages


class SendError(Exception):
    """A message that the broker did not accept.

    `refused` is permanent: the message is `too_large`, or has a timestamp that its topic does not
    allow. Other errors are transient.
    """

    def __init__(self, message: str, *, too_large: bool, refused: bool = False) -> None:
        super().__init__(message)
        self.too_large = too_large
        self.refused = too_large or refused


DeliveryCallback = Callable[[SendError | None], None]
"""Delivery callback, on any thread: None once the brokers have acknowledged the message."""


class _Deliveries:
    """Collects the deliveries of one `send` and wakes the event loop once, after the last."""

    def __init__(self, count: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._errors: list[SendError | None] = [None] * count
        self._count = count
        self._told = itertools.count(1)  # next() is atomic: callbacks run on several threads

    def delivered(self, number: int, error: SendError | None) -> None:
        """Record the delivery of the message with this index."""
        self._errors[number] = error
        if next(self._told) == self._count:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    async def errors(self) -> list[SendError | None]:
        """Wait for the last delivery and return an error, or None, per message."""
        if self._count:
            await self._done
        return self._errors


class Producer(Closing):
    """Sends and waits for the acknowledgement of all in-sync replicas.

    `partitioner=murmur2_random` chooses the same partitions as the Java client and aiokafka;
    librdkafka's default is crc32. Idempotence keeps a partition's order through retries. A full
    local queue is back pressure, not an error.

    A message without a timestamp gets the time of `now` (seconds since the epoch). A worker passes
    the brokers' clock: brokers refuse timestamps more than an hour ahead.
    """

    def __init__(
        self,
        options: dict[str, str | int],
        *,
        linger_ms: float = 2.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        from confluent_kafka import Producer as ConfluentProducer

        self._now = now
        self._producer = ConfluentProducer(
            options
            | {
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "linger.ms": linger_ms,
                "delivery.timeout.ms": DELIVERY_MS,
                "message.max.bytes": MAX_BYTES,
                "queue.buffering.max.kbytes": 131072,
                "compression.type": "lz4",
            }
        )
        self.failure: str | None = None  # an error that only a restart of the process mends
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="producer", daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        while not self._stopping.is_set():
            try:
                self._producer.poll(0.1)
            except Exception as error:  # other senders still wait for their deliveries
                log.exception("a delivery callback failed")
                self.failure = f"a delivery callback failed: {error!r}"
                self._stopping.wait(FAILED_S)

    def submit(self, message: OutgoingMessage) -> "Future[None]":
        """Send; the future is done once the brokers have acknowledged it, or raises SendError.

        Blocks while the local queue is full; on an event loop, use `send`.
        """
        future: Future[None] = Future()
        # Not cancellable: setting a cancelled future's result would raise in the poll thread.
        future.set_running_or_notify_cancel()

        def told(error: SendError | None) -> None:
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        while not self._produce(message, told):
            self._stopping.wait(ROOM_S)
        return future

    async def send(self, messages: Iterable[OutgoingMessage]) -> None:
        """Send all and return when all are acknowledged. Raises the first SendError."""
        for error in await self.send_each(list(messages)):
            if error is not None:
                raise error

    async def send_each(self, messages: Sequence[OutgoingMessage]) -> list[SendError | None]:
        """Send all in order; return for each its SendError, or None if acknowledged.

        While the local queue is full it waits without blocking the event loop.
        """
        deliveries = _Deliveries(len(messages))
        for number, message in enumerate(messages):
            # librdkafka does not signal when the queue has room again.
            while not self._produce(message, partial(deliveries.delivered, number)):  # noqa: ASYNC110
                await asyncio.sleep(ROOM_S)
        return await deliveries.errors()

    def _produce(self, message: OutgoingMessage, told: DeliveryCallback) -> bool:
        """Queue a message with its delivery callback; return False if the local queue is full."""
        from confluent_kafka import KafkaException

        if self._stopping.is_set():
            told(SendError("the producer was stopped", too_large=False))
            return True

        def delivered(error: Any, _: Any) -> None:
            told(None if error is None else self._error(error))

        stamp_ms = message.timestamp_ms
        arguments: dict[str, Any] = {
            "headers": list(message.headers),
            "timestamp": round(self._now() * 1000) if stamp_ms is None else stamp_ms,
        }
        if message.partition is not None:
            arguments["partition"] = message.partition
        try:
            self._producer.produce(
                message.topic,
                key=message.key,
                value=message.value,
                on_delivery=delivered,
                **arguments,
            )
        except BufferError:
            return False
        except KafkaException as error:
            told(self._error(error.args[0]))
        except (TypeError, ValueError, OverflowError) as error:  # invalid for librdkafka
            told(SendError(repr(error), too_large=False, refused=True))
        return True

    def _error(self, error: Any) -> SendError:
        from confluent_kafka import KafkaError

        if error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001 - its public name
            self.failure = f"the producer failed for good: {error.str()}"
        code = error.code()
        return SendError(
            error.str(),
            too_large=code in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE),
            refused=code in (KafkaError.INVALID_TIMESTAMP, KafkaError.INVALID_RECORD),
        )

    def is_broker_reachable(self, timeout_s: float = 3.0) -> bool:
        """Return whether a broker answers now."""
        from confluent_kafka import KafkaException

        try:
            self._producer.list_topics("__consumer_offsets", timeout=timeout_s)
        except KafkaException:
            return False
        return True

    def close(self, timeout_s: float = 5.0) -> None:
        """Flush for at most `timeout_s` seconds and stop; undelivered messages fail."""
        try:
            self._producer.flush(timeout_s)
        finally:  # after an error in a callback, the other callbacks still run
            self._stopping.set()
            self._thread.join()
            self._producer.purge()
            self._producer.flush(CLOSE_S)
