"""The embedding and attribute pipelines: product events → index log records."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from streams.ingest.attributes import attributes_outcome
from streams.ingest.dead_letters import Fault
from streams.ingest.images import ImageVectors
from streams.ingest.latest import LatestOrder
from streams.ingest.order import OrderMode
from streams.ingest.outcome import EventOutcome, OrderedEvent, decode
from streams.ingest.publisher import Publisher
from streams.ingest.retry import FIRST, Attempt, RetryError, parse_retry
from streams.ingest.vectors import sources_of, vectors_outcome
from streams.kafka.messages import SourceMessage
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.events import ProductOfferUpdated

log = logging.getLogger(__name__)
LARGE = 64 * 1024  # bytes; larger events are decoded off the event loop


class EmbeddingPipeline:
    """Product event → images → vectors → record, one task per event.

    An event whose images fail for a transient reason is retried through `product-retry`.
    """

    name = "embedding"

    def __init__(
        self,
        mode: OrderMode,
        images: ImageVectors,
        latest: LatestOrder,
        publisher: Publisher,
        *,
        delays_s: Sequence[float],
    ) -> None:
        self._mode = mode
        self._images = images
        self._latest = latest
        self._publisher = publisher
        self._delays_s = delays_s

    async def handle(self, message: SourceMessage, attempt: Attempt = FIRST) -> None:
        """Process an event; return once Kafka has acknowledged. Raises only internal errors."""
        event = await self._decode(message, attempt)  # codec + order
        if isinstance(event, SchemaError):
            outcome = EventOutcome("skipped")  # the attribute pipeline dead-letters it
        elif isinstance(event.event, ProductOfferUpdated):
            outcome = EventOutcome("skipped", event.type)  # an offer has no images
        elif self._latest.is_stale(event.product_id, event.order):
            outcome = EventOutcome("superseded", event.type)
        else:
            images = await self._images.embed(sources_of(event), attempt)  # fetch → embed
            outcome = vectors_outcome(event, images, attempt, self._delays_s)  # pure
        async with self._latest.turn(outcome) as current:  # never older after newer
            await self._publisher.write([message], [current])

    async def handle_retry(self, message: SourceMessage) -> None:
        """Process a message of `product-retry` as its original event."""
        try:
            original, attempt = parse_retry(message)
        except RetryError as error:
            fault = Fault("decode", error.code, str(error))
            await self._publisher.write([message], [EventOutcome("dead_lettered", faults=[fault])])
        else:
            await self.handle(original, attempt)

    async def give_up(self, message: SourceMessage, error: Exception) -> None:
        """Dead-letter the original event after an internal error."""
        with suppress(RetryError):
            message, _ = parse_retry(message)
        await self._publisher.write([message], [internal_failure(self.name, message, error)])

    async def _decode(self, message: SourceMessage, attempt: Attempt) -> OrderedEvent | SchemaError:
        if message.size < LARGE:
            return decode(message, self._mode, retried=attempt.retry_tier)
        return await asyncio.to_thread(decode, message, self._mode, retried=attempt.retry_tier)


class AttributePipeline:
    """Product events → `base` and `offer` records, in batches, without images or the model.

    It also dead-letters undecodable messages. The embedding pipeline reads the same messages and
    skips those.
    """

    name = "attributes"

    def __init__(self, mode: OrderMode, publisher: Publisher, *, inline_limit: int) -> None:
        self._mode = mode
        self._publisher = publisher
        self._inline_limit = inline_limit

    async def handle(self, messages: Sequence[SourceMessage]) -> None:
        """Process a batch; return once Kafka has acknowledged. Raises only internal errors."""
        outcomes = await asyncio.to_thread(lambda: [self._outcome(each) for each in messages])
        await self._publisher.write(messages, outcomes)

    async def give_up(self, message: SourceMessage, error: Exception) -> None:
        """Dead-letter an event after an internal error."""
        await self._publisher.write([message], [internal_failure(self.name, message, error)])

    def _outcome(self, message: SourceMessage) -> EventOutcome:
        try:
            event = decode(message, self._mode)  # codec + order
            return attributes_outcome(event, self._inline_limit)  # pure
        except Exception as error:  # must not fail the rest of the batch
            return internal_failure(self.name, message, error)


def internal_failure(pipeline: str, message: SourceMessage, error: Exception) -> EventOutcome:
    """Log an internal error; return a dead letter, since raising would block the partition."""
    log.error("%s: %s failed", pipeline, message.source, exc_info=error)
    fault = Fault("lane", "internal", f"an error of the service: {error!r}")
    return EventOutcome("dead_lettered", faults=[fault])
