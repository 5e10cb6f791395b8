"""Answers messages of `search-requests` on `search-results` or a reply topic."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

from streams.ingest.dead_letters import Fault, dead_letter
from streams.kafka.messages import MESSAGE_UNREADABLE, SourceMessage
from streams.kafka.retry_forever import retry_forever
from streams.metrics import Metrics
from streams.searcher.pipeline import SearchPipeline
from streams.searcher.result import failure
from visualsearch.client.messages import Headers, OutgoingMessage
from visualsearch.client.producer import Producer, SendError
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.request_id import salvage_request_id
from visualsearch.contracts.search import SearchFault, SearchResult, decode_request, encode_result

log = logging.getLogger(__name__)
_ECHOED = ("correlation_id", "kafka_correlationId", "traceparent")
_REPLY_TO = ("reply_to", "kafka_replyTopic")


class QueryConsumer:
    """Answers request messages; called concurrently, a task per message."""

    def __init__(
        self,
        pipeline: SearchPipeline,
        producer: Producer,
        metrics: Metrics,
        *,
        results: str,
        dead_letters: str,
        reply_topics: Sequence[str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._pipeline = pipeline
        self._producer = producer
        self._metrics = metrics
        self._results = results
        self._dead_letters = dead_letters
        self._reply_topics = frozenset(reply_topics)
        self._now = now

    async def handle(self, message: SourceMessage) -> None:
        """Answer a request; dead-letter an unreadable batch, which has no reply address."""
        damage = message.damage
        if damage is not None and damage.code == MESSAGE_UNREADABLE:
            await self._dead_letter(message, Fault("decode", damage.code, damage.message))
        else:
            await self._reply(message, await self.answer(message))

    async def give_up(self, message: SourceMessage, error: Exception) -> None:
        """Dead-letter a request whose answer could not be written."""
        log.error("%s is left without an answer", message.source, exc_info=error)
        text = f"no answer could be written: {error!r}"
        await self._dead_letter(message, Fault("answer", "internal", text))

    async def _dead_letter(self, message: SourceMessage, fault: Fault) -> None:
        outgoing = dead_letter(self._dead_letters, message, fault, bare=fault.code == "internal")
        await self._send(outgoing, message)
        self._metrics.dead_letters.labels(fault.code).inc()

    async def answer(self, message: SourceMessage) -> SearchResult:
        """Return the result of one request; errors become error results. Raises nothing."""
        mode = "unknown"
        try:
            request = decode_request(message.value)
            mode = request.mode
            waited_s = self._now() - message.timestamp_ms / 1000
            remaining_s = request.deadline_ms / 1000 - waited_s
            result = await self._pipeline.answer(request, remaining_s=remaining_s)
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
        """Write a result; one too large for the topic is replaced by an error result."""
        topic, echoed = self.route(message)
        text = "the answer does not fit into one message; ask for fewer hits with top_k"
        fault = SearchFault("result_too_large", text, "top_k")
        small = failure(result.request_id, fault)
        for answer, headers in ((result, echoed), (small, echoed), (small, ())):
            try:
                await self._send(_reply_message(topic, answer, headers), message)
            except SchemaError:  # larger than a client reads
                continue
            except SendError as error:
                if not error.too_large:
                    raise
            else:
                return
        raise SendError(f"{topic} takes no answer at all", too_large=True)

    async def _send(self, outgoing: OutgoingMessage, message: SourceMessage) -> None:
        what = f"{message.source}: {outgoing.topic}"
        await retry_forever(partial(self._producer.send, [outgoing]), what=what)

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
    """Return the message of a result. Raises SchemaError if no client would read it."""
    key = result.request_id.encode() or None
    return OutgoingMessage(topic, key, encode_result(result), headers=headers)
