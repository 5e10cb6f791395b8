"""Bytes of format 1, as written by its first release, still decode: logs outlive programs.

The files are never regenerated. A change that breaks this test needs a new format number.
"""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from visualsearch.contracts.codec import decode_event
from visualsearch.contracts.events import (
    ImageSource,
    Product,
    ProductCreated,
    ProductOffer,
    ProductOfferUpdated,
)
from visualsearch.contracts.records import (
    FORMAT,
    BaseLogRecord,
    IndexRecord,
    LogImageRef,
    LogImageVector,
    UnknownRecordError,
    VectorsLogRecord,
    decode_record,
    encode_record,
    record_key,
)
from visualsearch.contracts.records import OfferLogRecord as OfferRecord

GOLDEN = Path(__file__).parent / "golden"
ORDER = (1_777_636_800_000, 42, 1)

RECORDS: dict[str, IndexRecord] = {
    "base-1.msgpack": BaseLogRecord(
        order=ORDER,
        title="Blue linen shirt",
        description="Light, for summer",
        brand="Größe",
        category="Shirts",
        tags=["linen", "summer"],
        attributes={"fit": "slim"},
        images=[
            LogImageRef(image_id="front", url="http://127.0.0.1:9/front.jpg"),
            LogImageRef(image_id="worn", url="blob:" + "ab" * 32, kind="lifestyle"),
        ],
        url="http://127.0.0.1:9/p",
    ),
    "base-deleted-1.msgpack": BaseLogRecord(order=(0, 0, 3), deleted=True),
    "offer-1.msgpack": OfferRecord(order=ORDER, price=29.9, currency="EUR", in_stock=True),
    "offer-empty-1.msgpack": OfferRecord(order=(2**62, 2**62, 2)),
    "vectors-1.msgpack": VectorsLogRecord(
        order=ORDER,
        model="lite:1",
        images=[
            LogImageVector(
                image_id="front",
                vector=bytes(range(64)),
                url="http://127.0.0.1:9/front.jpg",
                content_hash="cd" * 32,
                kind="lifestyle",
                etag='"5"',
            )
        ],
        attributes={"colour": "blue"},
    ),
}

PRODUCT = Product(
    product_id="p",
    title="Blue linen shirt",
    images=[
        ImageSource(image_id="front", url="http://127.0.0.1:9/front.jpg"),
        ImageSource(data="aGk=", kind="lifestyle"),
    ],
    description="Light, for summer",
    brand="Größe",
    category="Shirts",
    tags=["linen"],
    attributes={"fit": "slim"},
    url="http://127.0.0.1:9/p",
    price=29.9,
    currency="EUR",
    in_stock=True,
)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
EVENTS = {
    "created-bare.json": ProductCreated(event_id="e", occurred_at=NOON, version=3, product=PRODUCT),
    "created-cloudevent.json": ProductCreated(event_id="e", occurred_at=NOON, product=PRODUCT),
    "offer-bare.json": ProductOfferUpdated(
        event_id="e",
        occurred_at=NOON,
        product=ProductOffer(product_id="p", price=0, in_stock=False),
    ),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_of_format_1_still_decodes(name: str) -> None:
    """Every field has kept its name and meaning."""
    key = record_key(name.partition("-")[0], "p:with:colons")  # type: ignore[arg-type]  # a file's name
    record = (GOLDEN / name).read_bytes()
    assert decode_record(key, record) == ("p:with:colons", RECORDS[name])


@pytest.mark.parametrize("name", RECORDS)
def test_todays_records_are_the_same_bytes(name: str) -> None:
    """Format 1 is still what is written: readers of the first release understand it."""
    assert encode_record(RECORDS[name]) == (GOLDEN / name).read_bytes()


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_of_the_first_release_still_decodes(name: str) -> None:
    """Retention of product topics is long."""
    event = decode_event(
        (GOLDEN / name).read_bytes(), key=b"p", headers=[], timestamp_ms=0, source="t[0]@0"
    )
    assert event == EVENTS[name]


def test_a_field_that_a_later_program_adds_is_ignored() -> None:
    """Within a format fields may be added."""
    later = {"kind": "offer", "order": ORDER, "format": FORMAT, "price": 1.5, "rebate": 0.1}
    assert decode_record(b"offer:p", msgspec.msgpack.encode(later)) == (
        "p",
        OfferRecord(order=ORDER, price=1.5),
    )


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"offer:p", {"kind": "offer", "order": ORDER, "format": FORMAT + 1}, "newer_format"),
        (b"offer:p", {"kind": "other", "order": ORDER}, "undecodable"),
        (b"offer:p", {"kind": "base", "order": ORDER}, "undecodable"),
        (b"offer:p", {"kind": "offer", "order": [1]}, "undecodable"),
        (b"offer:p", {"kind": "offer", "order": ORDER, "format": 0}, "undecodable"),
        (b"offer:p", {"kind": "offer"}, "undecodable"),
        (b"offer:p", [], "undecodable"),
        (b"colours:p", {"kind": "colours", "order": ORDER}, "unknown_kind"),
        (b"offer:", {"kind": "offer", "order": ORDER}, "unknown_kind"),
        (b"offer", {"kind": "offer", "order": ORDER}, "unknown_kind"),
        (b"\xff", {"kind": "offer", "order": ORDER}, "unknown_kind"),
    ],
)
def test_what_a_reader_skips_has_a_reason(key: bytes, value: object, reason: str) -> None:
    """Counted by reason, never fatal."""
    with pytest.raises(UnknownRecordError) as skipped:
        decode_record(key, msgspec.msgpack.encode(value))
    assert skipped.value.reason == reason


@pytest.mark.parametrize(("key", "value"), [(None, b"x"), (b"offer:p", None)])
def test_a_null_is_not_a_record(key: bytes | None, value: bytes | None) -> None:
    """Deletes are records with an order."""
    with pytest.raises(UnknownRecordError) as skipped:
        decode_record(key, value)
    assert skipped.value.reason == "null"


@pytest.mark.parametrize(
    ("key", "change"),
    [
        (b"offer:p", {"price": float("inf")}),
        (b"offer:p", {"price": float("nan")}),
        (b"offer:p", {"price": -1.0}),
        (b"offer:p", {"order": [2**64 - 1, 0, 0]}),
        (b"vectors:p", {"confidences": {"color": float("nan")}}),
        (b"vectors:p", {"confidences": {"color": float("inf")}}),
    ],
)
def test_numbers_that_no_worker_writes_are_skipped(key: bytes, change: dict[str, object]) -> None:
    """An infinite price passes every upper bound, and becomes null in an answer."""
    record = {"kind": key.decode().partition(":")[0], "order": ORDER, "format": FORMAT} | change
    with pytest.raises(UnknownRecordError) as skipped:
        decode_record(key, msgspec.msgpack.encode(record))
    assert skipped.value.reason == "undecodable"


def test_nesting_without_end_is_skipped() -> None:
    """In a field that is not ours; it ended the reader of the log, at each start again."""
    good = msgspec.msgpack.encode({"kind": "base", "order": ORDER, "format": FORMAT, "own": 0})
    with pytest.raises(UnknownRecordError) as skipped:
        decode_record(b"base:p", good[:-1] + b"\x91" * 100_000 + b"\0")
    assert skipped.value.reason == "undecodable"
