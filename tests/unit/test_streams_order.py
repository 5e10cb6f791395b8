"""The order of events: time or version, then offset, then type."""

from datetime import UTC, datetime

import pytest

from schemas.errors import SchemaError
from schemas.events import Deleted, Offer, ProductDeleted, ProductEvent, ProductOfferUpdated
from streams.messages import SourceMessage
from streams.order import order_of

AT = datetime(2026, 5, 1, tzinfo=UTC)


def message(offset: int = 7, timestamp_ms: int = 1000) -> SourceMessage:
    """Return a message as far as the order looks at it."""
    return SourceMessage("t", 0, offset, timestamp_ms, b"p", b"")


def delete(version: int | None = None) -> ProductEvent:
    """Return a delete."""
    return ProductDeleted(
        event_id="e", occurred_at=AT, version=version, product=Deleted(product_id="p")
    )


def offer(version: int | None = None) -> ProductEvent:
    """Return an offer."""
    return ProductOfferUpdated(
        event_id="e", occurred_at=AT, version=version, product=Offer(product_id="p")
    )


def test_timestamp_mode_ignores_the_version() -> None:
    """Kafka's clock, then the offset, then the rank of the type."""
    assert order_of(delete(99), message(7, 1000), "timestamp") == (1000, 7, 3)


def test_explicit_mode_ignores_the_timestamp() -> None:
    """The version, zero included."""
    assert order_of(offer(0), message(7, 1000), "explicit") == (0, 7, 2)


@pytest.mark.parametrize("event", [delete(), offer()])
def test_explicit_mode_refuses_an_event_without_version(event: ProductEvent) -> None:
    """With a code and the field that is missing."""
    with pytest.raises(SchemaError) as caught:
        order_of(event, message(), "explicit")
    assert (caught.value.code, caught.value.field) == ("version_missing", "version")


def test_a_delete_wins_a_tie_across_topics() -> None:
    """Equal time and offset can only meet across topics or partitions."""
    for mode in ("timestamp", "explicit"):
        assert order_of(delete(5), message(), mode) > order_of(offer(5), message(), mode)
