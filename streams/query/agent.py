"""The query agent: search-requests → search-results, every request answered once.

Requests are worked on side by side, so that a slow picture host delays only its own request.
Their offsets are acknowledged in order: Faust commits past messages still in work otherwise
(faust#606).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from schemas.errors import SchemaError
from schemas.request_id import salvage_request_id
from schemas.search import SearchFault, SearchResult, decode_request
from streams.in_order import InOrder
from streams.lanes.lane import until_written
from streams.messages import Headers, OutgoingMessage, SourceMessage
from streams.metrics import Metrics
from streams.producer import Producer, SendError
from streams.query.handler import QueryHandler, failure

log = logging.getLogger(__name__)
_ECHOED = ("correlation_id", "kafka_correlationId", "traceparent")
_REPLY_TO = ("reply_to", "kafka_replyTopic")


class QueryAgent:
    """Consumes a Faust stream of requests for good."""

    def __init__(
        self,
        handler: QueryHandler,
        producer: Producer,
        metrics: Metrics,
        *,
        results: str,
        reply_topics: Sequence[str],
        concurrency: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._handler = handler
        self._producer = producer
        self._metrics = metrics
        self._results = results
        self._reply_topics = frozenset(reply_topics)
        self._slots = asyncio.Semaphore(concurrency)
        self._now = now
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, stream: Any) -> None:
        """Start a task per request, at most `concurrency` at a time."""
        in_order = InOrder()
        unacked = stream.noack()
        async for event in unacked.events():
            await self._slots.acquire()
            message = SourceMessage.from_faust(event.message)
            finished = in_order.add((message.topic, message.partition), event.ack)
            task = asyncio.create_task(self._one(message, finished))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def drain(self, timeout_s: float) -> None:
        """Wait for the requests in work."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    async def _one(self, message: SourceMessage, finished: Callable[[], None]) -> None:
        try:
            result = await self.answer(message)
            await self._reply(message, result)
            finished()
        finally:
            self._slots.release()

    async def answer(self, message: SourceMessage) -> SearchResult:
        """Return the result of one request, whatever it holds. Raises nothing."""
        mode = "unknown"
        try:
            request = decode_request(message.value)
            mode = request.mode
            waited_s = self._now() - message.timestamp_ms / 1000
            remaining_s = request.deadline_ms / 1000 - waited_s
            result = await self._handler.answer(request, remaining_s=remaining_s)
        except SchemaError as error:
            request_id = salvage_request_id(message.value, message.key)
            result = failure(request_id, SearchFault(error.code, str(error), error.field))
        except Exception:
            log.exception("request %s failed", message.source)
            request_id = salvage_request_id(message.value, message.key)
            text = f"an error of the service, see its log at {message.source}"
            result = failure(request_id, SearchFault("internal", text))
        outcome = result.error.code if result.error else "ok"
        self._metrics.requests.labels(mode, outcome).inc()
        return result

    async def _reply(self, message: SourceMessage, result: SearchResult) -> None:
        topic, headers = self.route(message)

        async def write(answer: SearchResult = result) -> None:
            try:
                await self._producer.send([_reply_message(topic, answer, headers)])
            except SendError as error:
                if not error.too_large:
                    raise
                text = "the hits do not fit into one message; ask for fewer with top_k"
                fault = SearchFault("result_too_large", text, "top_k")
                small = failure(result.request_id, fault)
                await self._producer.send([_reply_message(topic, small, headers)])

        await until_written(write, what=f"the answer to {result.request_id}")

    def route(self, message: SourceMessage) -> tuple[str, Headers]:
        """Return the topic that the answer goes to and the headers that it carries."""
        echoed = tuple(
            (name, value) for name in _ECHOED if (value := message.header(name)) is not None
        )
        for name in _REPLY_TO:
            topic = (message.header(name) or b"").decode("utf-8", "replace")
            if topic in self._reply_topics:
                return topic, echoed
        return self._results, echoed


def _reply_message(topic: str, result: SearchResult, headers: Headers) -> OutgoingMessage:
    key = result.request_id.encode() or None
    return OutgoingMessage(topic, key, msgspec.json.encode(result), headers=headers)
