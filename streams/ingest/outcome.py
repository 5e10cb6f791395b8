"""Types of both pipelines: an event with its order, and its outcome.

Pure functions.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from streams.ingest.dead_letters import Fault
from streams.ingest.order import OrderMode, is_replay, order_of, original_position
from streams.ingest.retry import Retry
from streams.kafka.messages import SourceMessage
from visualsearch.client.messages import Headers, OutgoingMessage
from visualsearch.client.partitioner import partition_of
from visualsearch.contracts.codec import decode_event
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.events import TYPE_NAMES, ProductEvent
from visualsearch.contracts.records import IndexRecord, Order, encode_record, record_key


@dataclass(frozen=True, slots=True)
class OrderedEvent:
    """A product event with its source message and its order."""

    event: ProductEvent
    order: Order
    message: SourceMessage
    retried: bool = False  # it came from `product-retry`; the message is the original one

    @property
    def product_id(self) -> str:
        """The product's id."""
        return self.event.product.product_id

    @property
    def type(self) -> str:
        """The type as the contract names it."""
        return TYPE_NAMES[type(self.event)]

    @property
    def path(self) -> str:
        """How the event arrived: live, retry or replay (of a dead letter)."""
        if is_replay(self.message):
            return "replay"
        return "retry" if self.retried else "live"


RecordEntry = tuple[str, IndexRecord, OrderedEvent]
"""Product id, record, and the event that it comes from."""


@dataclass(slots=True)
class EventOutcome:
    """The outcome of one message: records to write, faults to dead-letter, a label for metrics.

    With `retry` the event is also retried later.
    """

    label: str
    type: str = "unknown"
    records: list[RecordEntry] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    retry: Retry | None = None


def read_event(message: SourceMessage, mode: OrderMode) -> OrderedEvent:
    """Decode a message and its order; a replay has its original's. Raises SchemaError."""
    if (damage := message.damage) is not None:
        raise SchemaError(damage.code, damage.message)
    event = decode_event(
        message.value,
        key=message.key,
        headers=message.headers,
        timestamp_ms=original_position(message).timestamp_ms,
        source=message.source,
    )
    return OrderedEvent(event, order_of(event, message, mode), message)


def decode(
    message: SourceMessage, mode: OrderMode, *, retried: bool = False
) -> OrderedEvent | SchemaError:
    """Decode a message and its order; return the error if it is invalid."""
    try:
        return replace(read_event(message, mode), retried=retried)
    except SchemaError as error:
        return error


def latest_records(outcomes: Iterable[EventOutcome]) -> list[tuple[bytes, RecordEntry]]:
    """Return the records of a batch by log key, only the newest per product and kind."""
    newest: dict[bytes, RecordEntry] = {}
    for outcome in outcomes:
        for entry in outcome.records:
            product_id, record, _ = entry
            key = record_key(record.__struct_config__.tag, product_id)  # type: ignore[arg-type]
            known = newest.get(key)
            if known is None or record.order >= known[1].order:
                newest[key] = entry
    return list(newest.items())


def index_message(key: bytes, entry: RecordEntry, topic: str, partitions: int) -> OutgoingMessage:
    """Encode a record for the index log."""
    product_id, record, event = entry
    return OutgoingMessage(
        topic,
        key,
        encode_record(record),
        partition=partition_of(product_id, partitions),
        headers=_record_headers(event),
    )


def _record_headers(event: OrderedEvent) -> Headers:
    headers: list[tuple[str, bytes | None]] = [
        ("occurred_at", event.event.occurred_at.isoformat().encode()),
        ("event_id", event.event.event_id.encode()),
        ("event_type", event.type.encode()),
        ("source", event.message.source.encode()),
        ("source_timestamp", str(original_position(event.message).timestamp_ms).encode()),
        ("path", event.path.encode()),
    ]
    if trace := event.message.header("traceparent"):
        headers.append(("traceparent", trace))
    return tuple(headers)
