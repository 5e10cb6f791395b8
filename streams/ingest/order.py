"""The order of a product's events: one total order, the same live and in every replay."""

import re
from dataclasses import dataclass
from typing import Literal

from streams.kafka.messages import SourceMessage
from streams.kafka.numbers import LARGEST
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.events import TYPE_NAMES, TYPE_RANK, ProductEvent
from visualsearch.contracts.records import Order

OrderMode = Literal["timestamp", "explicit"]

ORDER_HEADER = "__visualsearch.order"
"""The original position of a replayed event, as `timestamp_ms,offset`: it keeps its order."""

_PLACE = re.compile(rb"(-1|[0-9]{1,19}),([0-9]{1,19})")  # -1 is Kafka's "no timestamp"


@dataclass(frozen=True, slots=True)
class OriginalPosition:
    """Timestamp and offset of an event's first publication, from which its order is made."""

    timestamp_ms: int
    offset: int

    @property
    def header(self) -> tuple[str, bytes]:
        """The header with which a replayed event keeps its order."""
        return ORDER_HEADER, f"{self.timestamp_ms},{self.offset}".encode()


def is_replay(message: SourceMessage) -> bool:
    """Return whether a message was published again by `visualsearch dlq replay`."""
    return message.header(ORDER_HEADER) is not None


def parse_original_position(header: bytes) -> OriginalPosition | None:
    """Read the value of an order header; None if it is not `timestamp_ms,offset`."""
    found = _PLACE.fullmatch(header)
    if found is None:
        return None
    timestamp_ms, offset = int(found[1]), int(found[2])
    return OriginalPosition(timestamp_ms, offset) if max(timestamp_ms, offset) <= LARGEST else None


def original_position(message: SourceMessage) -> OriginalPosition:
    """Return the position of a message; for a replay, that of its original.

    Raises SchemaError `order_header_invalid`: guessing would put an old event before newer ones.
    """
    headers = [value for name, value in message.headers if name == ORDER_HEADER]
    if not headers:
        return OriginalPosition(message.timestamp_ms, message.offset)
    found = headers[-1] or b""
    place = parse_original_position(found)
    if place is None:
        text = f"the header {ORDER_HEADER} is {found[:100]!r}, not `timestamp_ms,offset`"
        raise SchemaError("order_header_invalid", text, field=ORDER_HEADER)
    return place


def order_of(event: ProductEvent, message: SourceMessage, mode: OrderMode) -> Order:
    """Return (timestamp in ms or version, source offset, rank of the event type).

    A replay has the time and offset of its original. Raises SchemaError
    `order_header_invalid`, and `version_missing` in `explicit` mode for an event without a
    version, a null delete among them.
    """
    rank = TYPE_RANK[TYPE_NAMES[type(event)]]
    place = original_position(message)
    if mode == "timestamp":
        return (place.timestamp_ms, place.offset, rank)
    if event.version is None:
        raise SchemaError(
            "version_missing",
            "order_mode is `explicit`, so every event needs a `version`",
            field="version",
        )
    return (event.version, place.offset, rank)
