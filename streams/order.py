"""The order of a product's events: one total order, the same live and in every replay."""

from typing import Literal

from schemas.errors import SchemaError
from schemas.events import TYPE_NAMES, TYPE_RANK, ProductEvent
from schemas.records import Order
from streams.messages import SourceMessage

OrderMode = Literal["timestamp", "explicit"]


def order_of(event: ProductEvent, message: SourceMessage, mode: OrderMode) -> Order:
    """Return (timestamp in ms or version, source offset, rank of the event type).

    Raises SchemaError `version_missing` in `explicit` mode for an event without a version,
    a null delete among them.
    """
    rank = TYPE_RANK[TYPE_NAMES[type(event)]]
    if mode == "timestamp":
        return (message.timestamp_ms, message.offset, rank)
    if event.version is None:
        raise SchemaError(
            "version_missing",
            "order_mode is `explicit`, so every event needs a `version`",
            field="version",
        )
    return (event.version, message.offset, rank)
