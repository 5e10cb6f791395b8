"""The codec: three envelopes are one event, a null is a delete, errors say what to change."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.malformed import good_event, put
from visualsearch.contracts.codec import decode_event
from visualsearch.contracts.errors import SchemaError, shorten_json
from visualsearch.contracts.events import (
    EVENT_TYPES,
    TYPE_NAMES,
    TYPE_RANK,
    ProductCreated,
    ProductDeleted,
    ProductEvent,
    ProductOfferUpdated,
    ProductReference,
    encode_event,
)
from visualsearch.contracts.request_id import salvage_request_id
from visualsearch.contracts.search import decode_request

NOON_MS = 1_777_636_800_000  # 2026-05-01T12:00:00Z

BINARY = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"event-p"),
    ("ce_type", b"com.shop.product-created"),
    ("ce_time", b"2026-05-01T12:00:00Z"),
    ("ce_source", b"/catalogue"),
    ("traceparent", None),
]


def decode(
    body: Any,
    *,
    key: bytes | None = b"p",
    headers: list[tuple[str, bytes | None]] | None = None,
    timestamp_ms: int = NOON_MS,
) -> ProductEvent:
    """Decode a body (bytes and None go as they are) as a pipeline does."""
    value = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    return decode_event(
        value, key=key, headers=headers or [], timestamp_ms=timestamp_ms, source="events[3]@17"
    )


def structured(data: Any) -> dict[str, Any]:
    """Wrap data as a CloudEvent in structured mode."""
    return {
        "specversion": "1.0",
        "id": "event-p",
        "source": "/catalogue",
        "type": "com.shop.product-created",
        "time": "2026-05-01T12:00:00Z",
        "datacontenttype": "application/json",
        "data": data,
    }


def refusal(body: Any, **how: Any) -> SchemaError:
    """Return the error that decoding raises."""
    with pytest.raises(SchemaError) as caught:
        decode(body, **how)
    return caught.value


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_bare_json_of_each_type(name: str) -> None:
    """`event_type` chooses the struct."""
    event = decode(good_event("p", name))
    assert type(event) is EVENT_TYPES[name]
    assert TYPE_NAMES[type(event)] == name
    assert event.occurred_at == datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_all_envelopes_give_the_same_event() -> None:
    """The data of a CloudEvent is the product, or the product within an object."""
    bare = good_event("p")
    product = bare["product"]
    expected = decode(bare)
    assert isinstance(expected, ProductCreated)
    assert decode(product, headers=BINARY) == expected
    assert decode({"product": product}, headers=BINARY) == expected
    assert decode(structured(product)) == expected
    assert decode(structured({"product": product})) == expected


def test_a_bare_event_in_a_cloudevent_keeps_its_own_words() -> None:
    """Attributes of the envelope fill what the data does not say."""
    bare = good_event("p") | {"version": 7}
    foreign = structured(bare) | {"id": "of-the-envelope", "type": "com.shop.catalogue-change"}
    assert decode(foreign) == decode(bare)


def test_a_reverse_dns_prefix_belongs_to_cloudevents_only() -> None:
    """A bare event's type is one of the four names, as its schema says."""
    assert refusal(good_event("p", "com.shop.product-created")).code == "event_type_unknown"


def test_unknown_fields_are_ignored() -> None:
    """A catalog may say more than we read."""
    event = good_event("p")
    spoken = event | {"extra": 1, "product": event["product"] | {"colour": {"r": 1}}}
    assert decode(spoken) == decode(event)


def test_a_null_value_deletes_what_the_key_names() -> None:
    """It happened at the message's timestamp; its place in the log is its event id."""
    assert decode(None, key="größe-42".encode()) == ProductDeleted(
        event_id="events[3]@17",
        occurred_at=datetime(2026, 5, 1, 12, tzinfo=UTC),
        product=ProductReference(product_id="größe-42"),
    )


@pytest.mark.parametrize("timestamp_ms", [-1, -(2**63), 10**18, 2**63 - 1])
def test_a_null_without_a_usable_timestamp_is_refused(timestamp_ms: int) -> None:
    """-1 is Kafka's "none"; the far future does not fit a date."""
    assert refusal(None, timestamp_ms=timestamp_ms).code == "timestamp_invalid"


@pytest.mark.parametrize(
    ("key", "code"),
    [(None, "key_missing"), (b"", "key_missing"), (b"\xff", "key_invalid"),
     ("é".encode() * 257, "key_invalid")],
)  # fmt: skip
def test_a_null_needs_a_key_too(key: bytes | None, code: str) -> None:
    """Nothing else names the product."""
    assert refusal(None, key=key).code == code


def test_a_key_of_another_product_is_refused() -> None:
    """Order is per key: under another product's key an update could overtake."""
    error = refusal(good_event("p"), key=b"q")
    assert (error.code, error.field) == ("key_mismatch", "product.product_id")
    assert "'q'" in str(error)
    assert "publish with the product id as key" in str(error)


def test_the_longest_key_is_counted_in_characters() -> None:
    """256 characters of four bytes fit, as they do in product_id."""
    product_id = "😀" * 256
    assert decode(good_event(product_id), key=product_id.encode()).product.product_id == product_id


def test_an_offer_without_fields_withdraws_the_offer() -> None:
    """It replaces the whole offer: nothing given, nothing known."""
    event = decode(
        good_event("p", "product-offer-updated") | {"product": {"product_id": "p", "price": None}}
    )
    assert isinstance(event, ProductOfferUpdated)
    assert (event.product.price, event.product.in_stock) == (None, None)


def test_a_refusal_does_not_repeat_megabytes() -> None:
    """Its text travels in a header of the dead letter."""
    event = good_event("p")
    event["product"]["images"][0]["kind"] = "x" * 5_000_000
    assert len(str(refusal(event))) < 1000
    assert len(str(refusal(good_event("p", "x" * 5_000_000)))) < 1000
    unknown = {"request_id": "r", "query": {}, "y" * 5_000_000: 1}
    with pytest.raises(SchemaError) as caught:
        decode_request(json.dumps(unknown).encode())
    assert len(str(caught.value)) < 1000


def test_later_types_win_ties() -> None:
    """A delete is last in the order of types."""
    assert max(TYPE_RANK, key=TYPE_RANK.__getitem__) == "product-deleted"


def test_an_encoded_event_is_bare_json_without_defaults() -> None:
    """What we publish is what we read."""
    event = decode(good_event("p"))
    encoded = encode_event(event)
    assert decode(encoded) == event
    assert b"null" not in encoded
    assert json.loads(encoded)["event_type"] == "product-created"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"{", "not_json", None),
        (b"\xff", "not_json", None),
        (b"[" * 20_000, "field_invalid", None),
        (b"[]", "field_invalid", None),
        (b"{}", "field_missing", "request_id"),
        (b'{"request_id": "r"}', "field_missing", "query"),
        (b'{"request_id": "r", "query": {}, "topk": 5}', "field_unknown", "topk"),
        (b'{"request_id": "r", "query": {"txt": "x"}}', "field_unknown", "query.txt"),
        (b'{"request_id": "r", "query": {}, "top_k": 0}', "field_invalid", "top_k"),
        (b'{"request_id": "r", "query": {}, "top_k": 1001}', "field_invalid", "top_k"),
        (b'{"request_id": "r", "query": {}, "deadline_ms": 0}', "field_invalid", "deadline_ms"),
        (b'{"request_id": "", "query": {}}', "field_invalid", "request_id"),
        (b'{"request_id": "r", "query": {"vector": []}}', "field_invalid", "query.vector"),
        (
            b'{"request_id": "r", "query": {"images": [{"url": "a", "data": "b"}]}}',
            "field_invalid",
            "query.images[0]",
        ),
        (
            b'{"request_id": "r", "query": {}, "filters": {"price_min": 2, "price_max": 1}}',
            "field_invalid",
            "filters",
        ),
    ],
)
def test_a_request_that_is_wrong_names_its_field(body: bytes, code: str, field: str) -> None:
    """Unlike events, requests with unknown fields are refused: a misspelled filter is no filter."""
    with pytest.raises(SchemaError) as caught:
        decode_request(body)
    assert (caught.value.code, caught.value.field) == (code, field)


def test_a_null_request_is_refused() -> None:
    """A tombstone on the request topic asks nothing."""
    with pytest.raises(SchemaError) as caught:
        decode_request(None)
    assert caught.value.code == "not_json"


@pytest.mark.parametrize(
    ("value", "key", "expected"),
    [
        (b'{"request_id": "r", "query": 5}', b"k", "r"),
        (b'{"request_id": 5}', b"k", "k"),
        (b"{", b"k", "k"),
        (b"[1]", None, ""),
        (None, "ключ".encode(), "ключ"),
        (b"\xff", b"\xff", "�"),
        (b'{"request_id": "' + b"r" * 1000 + b'"}', None, "r" * 256),
    ],
)
def test_a_broken_request_is_answered_under_the_best_id(
    value: bytes | None, key: bytes | None, expected: str
) -> None:
    """Its own id, else its key, else none: every request is answered."""
    assert salvage_request_id(value, key) == expected


BOM = b"\xef\xbb\xbf"


def test_a_byte_order_mark_is_no_part_of_the_value() -> None:
    """Tools of Windows write it."""
    event = good_event("p")
    assert decode(BOM + json.dumps(event).encode()) == decode(event)
    assert decode_request(BOM + b'{"request_id":"r","query":{"text":"x"}}').request_id == "r"


@pytest.mark.parametrize("value", [b"\0\0\0\0\x07{}", b"\0" * 5, b"\0\0\1\0\0\x02\x0ap"])
def test_the_frame_of_a_schema_registry_is_named(value: bytes) -> None:
    """JSON, Avro and Protobuf serializers of registries put five bytes before the value."""
    schema_id = str(int.from_bytes(value[1:5]))
    for error in (refusal(value), request_refusal(value)):
        assert error.code == "schema_registry_framed"
        assert f"schema id {schema_id}" in str(error)
        assert "publish plain JSON" in str(error)


def request_refusal(value: bytes) -> SchemaError:
    """Return the error that decoding a request raises."""
    with pytest.raises(SchemaError) as caught:
        decode_request(value)
    return caught.value


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (b'"sku-1"', "a string"),
        (b' "sku-1"\n', "a string"),
        (b'{"id": "sku-1"}', "an object"),
        (b'["sku-1"]', "a list"),
        (b"\0\0\0\0\x07sku-1", "schema id 7"),
        (b"\0sku", "zero byte"),
    ],
)
def test_a_tombstone_under_a_serializers_key_is_refused(key: bytes, told: str) -> None:
    """It deleted nothing, and nobody was told."""
    error = refusal(None, key=key)
    assert error.code == "key_invalid"
    assert told in str(error)
    assert "string serializer" in str(error)


@pytest.mark.parametrize(
    "key", ["123", "true", "null", '"sku-1', "{sku}", "[A]-12", 'sku"1"', "-1.5", "0x00"]
)
def test_a_tombstone_of_an_odd_id_deletes(key: str) -> None:
    """Numbers and what is no JSON are ids."""
    assert decode(None, key=key.encode()).product.product_id == key


@pytest.mark.parametrize("product_id", ['"sku-1"', "\0sku", "\0\0\0\0\x07sku-1"])
def test_an_odd_id_is_good_where_the_event_says_it_too(product_id: str) -> None:
    """Then nothing is guessed; a product-deleted event deletes such a product."""
    for kind in ("product-created", "product-deleted"):
        event = decode(good_event(product_id, kind), key=product_id.encode())
        assert event.product.product_id == product_id


@pytest.mark.parametrize("key", [b"\0\0\0\0\x07p", b"\0p", b"\0\0\0\0\x07\xff"])
def test_a_framed_key_is_named_where_it_is_not_the_events_own_id(key: bytes) -> None:
    """A registry's serializer wrote it; a fault in the value comes first."""
    error = refusal(good_event("p"), key=key)
    assert error.code == "key_invalid"
    assert "string serializer" in str(error)
    faulty = refusal(put(good_event("\0p"), "event_id", 5), key=b"\0p")
    assert (faulty.code, faulty.field) == ("field_invalid", "event_id")


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400, "1e309"])
def test_a_number_beyond_all_floats_is_refused_with_its_field(number: str) -> None:
    """JSON has no infinity, but numbers that round to it."""
    event = json.dumps(good_event("p")).replace("29.9", number).encode()
    error = refusal(event)
    assert (error.code, error.field) in {
        ("not_json", "product.price"), ("field_invalid", "product.price")
    }  # fmt: skip
    for name in ("price_min", "price_max"):
        filters = b'"filters":{"%s":%s}' % (name.encode(), number.encode())
        error = request_refusal(b'{"request_id":"r","query":{"text":"x"},%s}' % filters)
        assert (error.code, error.field) == ("field_invalid", f"filters.{name}")
    for path, field in (
        ('"query":{"vector":[0,%s]}', "query.vector[1]"),
        ('"query":{"texts":[{"text":"x","weight":%s}]}', "query.texts[0].weight"),
        ('"query":{"text":"x"},"diversity":%s', "diversity"),
        ('"query":{"text":"x"},"boxes":[{"box":[0,0,1,%s]}]', "boxes[0].box[3]"),
    ):
        error = request_refusal(('{"request_id":"r",%s}' % (path % number)).encode())
        assert (error.code, error.field) == ("field_invalid", field)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("product.price", "29.90", ['"29.90"', "without quotes"]),
        ("product.price", -5, ["-5", ">= 0"]),
        ("product.currency", "eur", ['"eur"', "EUR"]),
        ("product.in_stock", "yes", ['"yes"', "true or false"]),
        ("product.images[0].kind", "front", ['"front"', "catalog, lifestyle"]),
        ("product.tags", ["x"] * 1001, ["1,001 items", "<= 1000"]),
        ("product.title", "x" * 2000, ["2,000 characters", "<= 1024"]),
        ("product.attributes", {"fit": "slim", "size": 42}, ['"size": 42', "in quotes"]),
        ("product.attributes", {"fit": "x" * 70_000, "a": "b"}, ['"fit": "xx', "70,000"]),
        ("product.attributes", {"x" * 2000: "b"}, ["2,000 characters", "<= 1024"]),
        ("occurred_at", "yesterday", ['"yesterday"', "2026-05-01T12:00:00Z"]),
        ("occurred_at", "2026-05-01", ['"2026-05-01"', "zone"]),
        ("event_id", 7, ["given was 7", "in quotes"]),
    ],
)  # fmt: skip
def test_a_refusal_shows_the_value_and_the_cure(path: str, value: object, told: list[str]) -> None:
    """Its reader sees one line, far from the message."""
    text = str(refusal(put(good_event("p"), path, value)))
    assert text.startswith(path)
    assert [part for part in told if part not in text] == []
    assert len(text) < 500


def test_a_value_that_json_cannot_say_is_shown_all_the_same() -> None:
    """Catalogs are read by lenient rules, and integers may be longer than 64 bits."""
    assert "99999" in str(refusal(put(good_event("p"), "product.title", 10**30 - 1)))
    assert shorten_json({"a": 1j}) == "{'a': 1j}"
    assert shorten_json("\ud800").startswith("'")
