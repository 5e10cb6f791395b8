"""The one Kafka producer of a process: acknowledged sends on confluent-kafka."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from streams.closing import Closing
from streams.messages import OutgoingMessage

MAX_BYTES = 11 * 1024 * 1024
DELIVERY_MS = 30_000  # then the sender is told, says so in its log, and sends again


class SendError(Exception):
    """A message that the broker did not take; `too_large` says that it never will."""

    def __init__(self, message: str, *, too_large: bool) -> None:
        super().__init__(message)
        self.too_large = too_large


class Producer(Closing):
    """Sends and waits for the acknowledgement of all in-sync replicas.

    `partitioner=murmur2_random` puts a key where Java and aiokafka put it (librdkafka's own
    default is crc32), idempotence keeps a partition's order through retries. A full local queue
    is back pressure, not an error.

    What has no time stamp gets that of `now`, the brokers' clock in a worker: they refuse a
    message that is an hour ahead of theirs.
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
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="producer", daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(0.1)

    def submit(self, message: OutgoingMessage) -> "Future[None]":
        """Send; the future is done when the brokers have the message, or fails with SendError."""
        from confluent_kafka import KafkaError, KafkaException

        future: Future[None] = Future()
        # Nobody may cancel it: the delivery is told to it from `poll`, whose thread an error ends.
        future.set_running_or_notify_cancel()

        def delivered(error: Any, _: Any) -> None:
            if error is None:
                future.set_result(None)
            else:
                too_large = error.code() == KafkaError.MSG_SIZE_TOO_LARGE
                future.set_exception(SendError(error.str(), too_large=too_large))

        stamp_ms = message.timestamp_ms
        arguments: dict[str, Any] = {
            "headers": list(message.headers),
            "timestamp": round(self._now() * 1000) if stamp_ms is None else stamp_ms,
        }
        if message.partition is not None:
            arguments["partition"] = message.partition
        while True:
            try:
                self._producer.produce(
                    message.topic,
                    key=message.key,
                    value=message.value,
                    on_delivery=delivered,
                    **arguments,
                )
            except BufferError:
                self._stopping.wait(0.01)
                if self._stopping.is_set():
                    future.set_exception(SendError("the producer was stopped", too_large=False))
                    return future
            except KafkaException as error:
                kafka_error = error.args[0]
                too_large = kafka_error.code() == KafkaError.MSG_SIZE_TOO_LARGE
                future.set_exception(SendError(kafka_error.str(), too_large=too_large))
                return future
            else:
                return future

    async def send(self, messages: Iterable[OutgoingMessage]) -> None:
        """Send all and return when every one is acknowledged; raise the first SendError."""
        futures = [asyncio.wrap_future(self.submit(message)) for message in messages]
        results = await asyncio.gather(*futures, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def answers(self, timeout_s: float = 3.0) -> bool:
        """Return whether a broker answers now."""
        from confluent_kafka import KafkaException

        try:
            self._producer.list_topics("__consumer_offsets", timeout=timeout_s)
        except KafkaException:
            return False
        return True

    def close(self, timeout_s: float = 5.0) -> None:
        """Flush for at most `timeout_s` and stop."""
        self._producer.flush(timeout_s)
        self._stopping.set()
        self._thread.join()
