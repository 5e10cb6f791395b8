"""The codec on anything: it raises only SchemaError, round-trips, and agrees with its schema."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import jsonschema
import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.tools.schemas.schema import json_schema
from tests.support.event_strategies import good_events, requests, scalars, spoilt
from visualsearch.contracts.codec import decode_event
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.events import EVENT_TYPES, ProductEvent, encode_event
from visualsearch.contracts.records import KINDS, UnknownRecordError, decode_record
from visualsearch.contracts.request_id import salvage_request_id
from visualsearch.contracts.search import decode_request

SCHEMAS = {
    name: jsonschema.Draft202012Validator(json_schema(name))
    for name in (*EVENT_TYPES, "search-request")
}

headers = st.lists(
    st.tuples(
        st.sampled_from(["ce_specversion", "ce_id", "ce_type", "ce_time", "traceparent"]),
        st.none() | st.binary(max_size=12) | st.just(b"com.shop.product-deleted"),
    ),
    max_size=5,
)


def decode(event: Any) -> ProductEvent:
    """Decode a JSON event under the key that it names, or another where that can be no key."""
    key = "p"
    with contextlib.suppress(KeyError, TypeError, AttributeError):
        key = event["product"]["product_id"]
    raw_key = key.encode() if isinstance(key, str) and 0 < len(key) <= 256 else b"p"
    value = json.dumps(event).encode()
    return decode_event(value, key=raw_key, headers=[], timestamp_ms=0, source="t[0]@0")


def names_it(error: SchemaError, path: str) -> bool:
    """Tell whether the error's field is the path, lies within it, or is its owner.

    The owner is named where two fields are judged together: an image's `url` and `data`.
    """
    owner = path.rpartition(".")[0]
    return error.field is not None and (error.field.startswith(path) or error.field == owner)


def beyond_schemas(error: SchemaError) -> bool:
    """Tell whether an error is about what a JSON Schema cannot say: the codec alone sees it.

    Formats of dates, 1.0 in place of a whole number, ids that occur twice, an empty price range.
    """
    return error.field == "occurred_at" or any(
        words in str(error) for words in ("got `float`", "same `image_id`", "`price_min` is above")
    )


def refusal(decoding: Callable[[], object]) -> SchemaError | None:
    """Return the error that a decoding raises, if any."""
    try:
        decoding()
    except SchemaError as error:
        return error
    return None


ZERO_BYTE_ID: dict[str, Any] = {
    "event_id": "e",
    "event_type": "product-deleted",
    "occurred_at": "2026-05-01T12:00:00Z",
    "product": {"product_id": "\0sku"},
}


@given(good_events())
@example(ZERO_BYTE_ID)
def test_what_the_schema_allows_the_codec_takes(event: dict[str, Any]) -> None:
    """And what the codec takes is valid, also as we would encode it ourselves."""
    SCHEMAS[event["event_type"]].validate(event)
    decoded = decode(event)
    assert decode(json.loads(encode_event(decoded))) == decoded
    SCHEMAS[event["event_type"]].validate(json.loads(encode_event(decoded)))


@settings(max_examples=300)
@given(spoilt(good_events()))
@example((ZERO_BYTE_ID | {"event_id": 5}, "event_id"))
def test_one_spoilt_field_is_refused_by_both_and_named(spoilt_event: tuple[Any, str]) -> None:
    """What the schema refuses at a path, the codec refuses, naming that path, and the reverse."""
    event, path = spoilt_event
    error = refusal(lambda: decode(event))
    name = event["event_type"]
    if not (isinstance(name, str) and name in EVENT_TYPES):
        assert error is not None
        assert error.field == "event_type"
    elif error is None:
        SCHEMAS[name].validate(event)
    elif not SCHEMAS[name].is_valid(event):
        assert names_it(error, path), (error.field, path)
    else:
        assert beyond_schemas(error), error


@settings(max_examples=300)
@given(spoilt(requests))
def test_one_spoilt_field_of_a_request_is_refused_by_both_and_named(
    spoilt_request: tuple[Any, str],
) -> None:
    """As with events; an unknown field is refused by both."""
    request, path = spoilt_request
    error = refusal(lambda: decode_request(json.dumps(request).encode()))
    if error is None:
        SCHEMAS["search-request"].validate(request)
    elif not SCHEMAS["search-request"].is_valid(request):
        assert names_it(error, path), (error.field, path)
    else:
        assert beyond_schemas(error), error


@given(st.binary(max_size=200), st.none() | st.binary(max_size=20), headers)
def test_random_bytes_raise_only_schema_errors(
    value: bytes, key: bytes | None, head: list[tuple[str, bytes | None]]
) -> None:
    """Whatever a topic holds, a pipeline gets an event or a coded refusal."""
    with contextlib.suppress(SchemaError):
        decode_event(value, key=key, headers=head, timestamp_ms=0, source="t[0]@0")
    with contextlib.suppress(SchemaError):
        decode_request(value)
    assert len(salvage_request_id(value, key)) <= 256


members = st.sampled_from(
    ["event_id", "event_type", "occurred_at", "product", "specversion", "type", "id", "time",
     "data", "product_id", "images", "request_id", "query", "filters", "texts"]
)  # fmt: skip
near_misses = st.recursive(
    scalars | st.sampled_from([*EVENT_TYPES, "2026-05-01T12:00:00Z", "p"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members, inner, max_size=6),
    max_leaves=15,
)


@settings(max_examples=300)
@given(near_misses, headers)
def test_random_json_raises_only_schema_errors(
    body: Any, head: list[tuple[str, bytes | None]]
) -> None:
    """Objects made of the right words in wrong places reach deep into the codec."""
    value = msgspec.json.encode(body)
    with contextlib.suppress(SchemaError):
        decode_event(value, key=b"p", headers=head, timestamp_ms=0, source="t[0]@0")
    with contextlib.suppress(SchemaError):
        decode_request(value)
    assert len(salvage_request_id(value, b"p")) <= 256


@given(st.integers(-(2**63), 2**63 - 1), st.none() | st.binary(max_size=300))
def test_a_null_is_a_delete_or_refused(timestamp_ms: int, key: bytes | None) -> None:
    """At any timestamp, under any key."""
    with contextlib.suppress(SchemaError):
        event = decode_event(None, key=key, headers=[], timestamp_ms=timestamp_ms, source="t[0]@0")
        assert event.product.product_id.encode() == key


@given(
    st.sampled_from([*KINDS, "other"]), st.none() | st.binary(max_size=20), st.binary(max_size=99)
)
def test_random_records_are_decoded_or_skipped(kind: str, key: bytes | None, value: bytes) -> None:
    """A reader of the index log never dies of a record."""
    for each in (key, kind.encode() + b":p"):
        with contextlib.suppress(UnknownRecordError):
            decode_record(each, value)


@given(requests)
def test_good_requests_are_valid_and_round_trip(request: dict[str, Any]) -> None:
    """What an app builds from the types is what the worker reads."""
    SCHEMAS["search-request"].validate(request)
    decoded = decode_request(json.dumps(request).encode())
    encoded = msgspec.json.encode(decoded)
    assert decode_request(encoded) == decoded
    SCHEMAS["search-request"].validate(json.loads(encoded))
