"""Reduce the messages of a product to the facts that a verdict needs."""

from collections import deque

from streams.ingest.order import OrderMode, OriginalPosition, is_replay, original_position
from streams.ingest.outcome import read_event
from streams.ingest.retry import PREFIX as RETRY
from streams.ingest.retry import RetryError, not_before_ms, parse_retry
from streams.kafka.messages import SourceMessage
from streams.tools.dlq.dead_letters import DeadLetter
from streams.tools.explain.trace import SeenDeadLetter, SeenEvent, SeenRecord, SeenRetry
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.events import Product, ProductOfferUpdated
from visualsearch.contracts.records import (
    RecordKind,
    UnknownRecordError,
    VectorsLogRecord,
    decode_record,
)

LATEST = 5
OFFER = ProductOfferUpdated.__struct_config__.tag


def seen_event(message: SourceMessage, mode: OrderMode) -> SeenEvent:
    """Read an event as the pipelines do; a rejected one has a `code`. Raises nothing."""
    place: OriginalPosition | None = None
    replayed = is_replay(message)
    at = (message.topic, message.partition, message.offset, message.timestamp_ms)
    try:
        place = original_position(message)
        read = read_event(message, mode)
    except SchemaError as error:
        return SeenEvent(*at, place=place, replayed=replayed, code=error.code, error=str(error))
    event = read.event
    product = event.product
    return SeenEvent(
        *at,
        type=read.type,
        event_id=event.event_id,
        occurred_at=event.occurred_at,
        version=event.version,
        order=read.order,
        place=place,
        replayed=replayed,
        images=len(product.images) if isinstance(product, Product) else None,
    )


class ProductEvents:
    """The last events of a product by topic, and the newest by their order."""

    def __init__(self, mode: OrderMode) -> None:
        self._mode = mode
        self.latest: dict[str, deque[SeenEvent]] = {}
        self.counts: dict[str, int] = {}
        self.newest: SeenEvent | None = None
        self.offer: SeenEvent | None = None
        self.unreadable: SeenEvent | None = None

    def add(self, message: SourceMessage) -> None:
        """Add one event of the product."""
        seen = seen_event(message, self._mode)
        self.latest.setdefault(seen.topic, deque(maxlen=LATEST)).append(seen)
        self.counts[seen.topic] = self.counts.get(seen.topic, 0) + 1
        if seen.order is None:
            self.unreadable = _newer(self.unreadable, seen)
        elif seen.type == OFFER:
            self.offer = _newer(self.offer, seen)
        else:
            self.newest = _newer(self.newest, seen)


def _newer(known: SeenEvent | None, seen: SeenEvent) -> SeenEvent:
    """Return the one with the higher order; of equals the later, which is the other's replay."""
    if known is None:
        return seen
    if known.order is None or seen.order is None:
        return max(known, seen, key=lambda event: (event.timestamp_ms, event.offset))
    return seen if seen.order >= known.order else known


class ProductRecords:
    """The newest record of each kind."""

    def __init__(self) -> None:
        self.newest: dict[RecordKind, SeenRecord] = {}

    def add(self, message: SourceMessage) -> None:
        """Add a message of the index log; unknown records are skipped, as the index does."""
        try:
            _, record = decode_record(message.key, message.value)
        except UnknownRecordError:
            return
        kind: RecordKind = record.__struct_config__.tag  # type: ignore[assignment]  # its kind
        known = self.newest.get(kind)
        if known is not None and record.order < known.order:
            return
        headers = {n: (value or b"").decode("utf-8", "replace") for n, value in message.headers}
        vectors = record if isinstance(record, VectorsLogRecord) else None
        self.newest[kind] = SeenRecord(
            position=message.source,
            kind=kind,
            order=record.order,
            deleted=record.deleted,
            timestamp_ms=message.timestamp_ms,
            source=headers.get("source", ""),
            event_id=headers.get("event_id", ""),
            event_type=headers.get("event_type", ""),
            model=None if vectors is None or vectors.deleted else vectors.model,
            images=None if vectors is None else len(vectors.images),
        )


def seen_dead_letter(letter: DeadLetter) -> SeenDeadLetter:
    """Return the facts of a dead letter."""
    facts = letter.facts
    return SeenDeadLetter(
        str(letter.position),
        letter.original,
        letter.place,
        facts.get("stage", ""),
        letter.code,
        facts.get("message", ""),
    )


def seen_retry(message: SourceMessage) -> SeenRetry | None:
    """Return the facts of a message of `product-retry`; None if no worker wrote it."""
    try:
        original, attempt = parse_retry(message)
    except RetryError:
        return None
    code, text = (message.header(RETRY + name) or b"" for name in ("code", "message"))
    return SeenRetry(
        f"{message.partition}@{message.offset}",
        original.source,
        attempt.deliveries,
        not_before_ms(message),
        code.decode("utf-8", "replace"),
        text.decode("utf-8", "replace"),
    )
