"""The order of events: time or version, then offset, then type."""

from datetime import UTC, datetime

import pytest

from streams.ingest.order import (
    ORDER_HEADER,
    OriginalPosition,
    order_of,
    original_position,
    parse_original_position,
)
from streams.ingest.outcome import read_event
from streams.kafka.messages import SourceMessage
from visualsearch.client.messages import Headers
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.events import (
    ProductDeleted,
    ProductEvent,
    ProductOffer,
    ProductOfferUpdated,
    ProductReference,
)

AT = datetime(2026, 5, 1, tzinfo=UTC)


def message(offset: int = 7, timestamp_ms: int = 1000, headers: Headers = ()) -> SourceMessage:
    """Return a message as far as the order looks at it."""
    return SourceMessage("t", 0, offset, timestamp_ms, b"p", b"", headers)


def delete(version: int | None = None) -> ProductEvent:
    """Return a delete."""
    return ProductDeleted(
        event_id="e", occurred_at=AT, version=version, product=ProductReference(product_id="p")
    )


def offer(version: int | None = None) -> ProductEvent:
    """Return an offer."""
    return ProductOfferUpdated(
        event_id="e", occurred_at=AT, version=version, product=ProductOffer(product_id="p")
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


def test_a_replay_has_the_order_of_its_original() -> None:
    """Time and offset come from the header; in `explicit` mode the version still rules."""
    replay = message(99, 9000, (OriginalPosition(1000, 7).header,))
    assert order_of(delete(), replay, "timestamp") == order_of(delete(), message(), "timestamp")
    assert order_of(offer(5), replay, "explicit") == order_of(offer(5), message(), "explicit")


def test_a_replayed_null_delete_happened_when_its_original_did() -> None:
    """Its time is all that a null has."""
    null = SourceMessage(
        "t", 0, 99, 9_000_000, b"p", None, (OriginalPosition(1_000_000, 7).header,)
    )
    read = read_event(null, "timestamp")
    assert read.event.occurred_at == datetime.fromtimestamp(1000, UTC)
    assert read.order == (1_000_000, 7, 3)


@pytest.mark.parametrize("value", [b"0,0", b"-1,5", b"1700000000123,42", b"%d,%d" % (2**63 - 1, 1)])
def test_a_place_survives_its_header(value: bytes) -> None:
    """What was read is written the same."""
    place = parse_original_position(value)
    assert place is not None
    assert place.header == (ORDER_HEADER, value)


@pytest.mark.parametrize(
    "value",
    [None, b"", b"1", b"1,", b",1", b"-2,1", b"1,-1", b"1,2,3", b" 1,2", b"1,2\n", b"1.0,2",
     b"\xff,1", "\u0661,1".encode(), b"%d,1" % 2**63, b"1,%d" % 2**63, b"9" * 40 + b",1"],
)  # fmt: skip
def test_a_header_that_is_no_order_is_refused_with_a_code(value: bytes | None) -> None:
    """The event is dead-lettered: without its order it could undo a newer one."""
    with pytest.raises(SchemaError) as caught:
        original_position(message(headers=((ORDER_HEADER, value),)))
    assert (caught.value.code, caught.value.field) == ("order_header_invalid", ORDER_HEADER)
