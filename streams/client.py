"""A client of the search topics, for the gateway, the command line and tests."""

import logging
import math
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from schemas.search import SearchRequest, SearchResult, decode_result
from streams.assigned import by_assignment
from streams.kafka.unreadable import step_over
from streams.messages import OutgoingMessage
from streams.producer import Producer
from streams.routes import Routes

log = logging.getLogger(__name__)
POSITION_S = 10.0


@dataclass(slots=True)
class _Waiting:
    future: "Future[SearchResult]"
    message: OutgoingMessage
    resend_at: float
    give_up_at: float
    resent: bool = False


class SearchClient:
    """Publishes requests and finds their results by request_id.

    It reads every partition of the results topic by assignment from its end, and is positioned
    there before the first request is sent. An unanswered request is sent again at half its
    deadline (unless `resend` is off), with the same id, to the partition that answered last; the
    first answer counts.
    """

    def __init__(
        self,
        options: dict[str, str | int],
        requests: str,
        results: str,
        *,
        grace_s: float = 3.0,
        resend: bool = True,
    ) -> None:
        self._options = options
        self._requests = requests
        self._results = results
        self._grace_s = grace_s
        self._resend = resend
        self._routes = Routes(1)
        self._producer = Producer(options, linger_ms=0)
        self._waiting: dict[str, _Waiting] = {}
        self._lock = threading.Lock()
        self._positioned = threading.Event()
        self._stopping = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="search-client", daemon=True)
        self._thread.start()

    def wait_ready(self, timeout_s: float = 15.0) -> None:
        """Return once positioned. Raises ConnectionError with the reason otherwise."""
        if not self._positioned.wait(timeout_s) or self._error is not None:
            reason = self._error or f"no answer from {self._options['bootstrap.servers']}"
            raise ConnectionError(f"cannot read topic {self._results}: {reason}")

    def submit(self, request: SearchRequest) -> "Future[SearchResult]":
        """Publish a request. The future raises TimeoutError when nothing came back in time."""
        deadline_s = request.deadline_ms / 1000
        now = time.monotonic()
        message = OutgoingMessage(
            self._requests, request.request_id.encode(), msgspec.json.encode(request)
        )
        resend_at = now + deadline_s / 2 if self._resend else math.inf
        entry = _Waiting(Future(), message, resend_at, now + deadline_s + self._grace_s)
        with self._lock:
            self._waiting[request.request_id] = entry
        self._send(entry, message)
        return entry.future

    def search(self, request: SearchRequest) -> SearchResult:
        """Publish a request and wait for its result."""
        self.wait_ready()
        return self.submit(request).result()

    def close(self) -> None:
        """Stop; requests still waiting are given up."""
        self._stopping.set()
        self._thread.join()
        self._producer.close()
        for entry in self._waiting.values():
            entry.future.cancel()

    def _send(self, entry: _Waiting, message: OutgoingMessage) -> None:
        def sent(done: "Future[None]") -> None:
            if (error := done.exception()) is not None and not entry.future.done():
                entry.future.set_exception(error)

        self._producer.submit(message).add_done_callback(sent)

    def _run(self) -> None:
        try:
            self._read()
        except Exception as error:
            self._error = error
            self._positioned.set()

    def _read(self) -> None:
        from confluent_kafka import Consumer

        consumer = Consumer(by_assignment(self._options, "client") | {"fetch.wait.max.ms": 100})
        try:
            self._position(consumer)
            self._positioned.set()
            while not self._stopping.is_set():
                message = consumer.poll(0.05)
                if message is not None and message.error() is not None:
                    step_over(consumer, self._options, message)
                elif message is not None:
                    try:
                        self._take(message.value())
                    except Exception as error:  # another writer's bytes must not end this thread
                        log.warning("skipped %s[%d]@%d: %s", message.topic(), message.partition(),
                                    message.offset(), error)  # fmt: skip
                self._sweep(time.monotonic())
        finally:
            consumer.close()

    def _position(self, consumer: Any) -> None:
        """Assign the results from where they end now, and learn of the requests' partitions.

        The offsets themselves, not "end": a result may come before the first fetch does. A topic
        made a moment ago has no leader yet, so this asks again for a while.
        """
        from confluent_kafka import KafkaException

        give_up_at = time.monotonic() + POSITION_S
        while True:
            try:
                self._routes = Routes(len(_partitions(consumer, self._requests)))
                tps = _partitions(consumer, self._results)
                for tp in tps:
                    tp.offset = consumer.get_watermark_offsets(tp, timeout=5)[1]
            except KafkaException as error:
                if time.monotonic() > give_up_at or self._stopping.wait(0.1):
                    raise ConnectionError(error.args[0].str()) from error
            else:
                consumer.assign(tps)
                return

    def _take(self, value: bytes | None) -> None:
        value = value or b""
        peek = _REQUEST_IDS.decode(value)
        with self._lock:
            entry = self._waiting.pop(peek.request_id, None)
        if entry is None:  # of another client, or given up
            return
        if not entry.resent:  # else it may be the answer to either
            self._routes.answered(peek.request_id)
        if not entry.future.done():
            entry.future.set_result(decode_result(value))

    def _sweep(self, now: float) -> None:
        with self._lock:
            late = [(name, e) for name, e in self._waiting.items() if now >= e.resend_at]
            over = [name for name, entry in self._waiting.items() if now >= entry.give_up_at]
            gone = [self._waiting.pop(name) for name in over]
        for name, entry in late:
            if not entry.resent:
                entry.resent = True
                self._send(entry, replace(entry.message, partition=self._routes.again(name)))
        for entry in gone:
            if not entry.future.done():
                text = "no worker answered; is one running and ready? (visualsearch worker)"
                entry.future.set_exception(TimeoutError(text))


def _partitions(consumer: Any, topic: str) -> list[Any]:
    """Return a topic's partitions. Raises KafkaException."""
    from confluent_kafka import KafkaException, TopicPartition

    found = consumer.list_topics(topic, timeout=5).topics[topic]
    if found.error is not None:
        raise KafkaException(found.error)
    return [TopicPartition(topic, number) for number in found.partitions]


class _RequestId(msgspec.Struct):
    request_id: str = ""


_REQUEST_IDS = msgspec.json.Decoder(_RequestId)  # made at import: see schemas/events.py
