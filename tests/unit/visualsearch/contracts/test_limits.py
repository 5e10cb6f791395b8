"""Whatever 10 MiB hold, reading them takes little time and memory; every list has its limit."""

import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import pytest

from streams.tools.schemas.schema import CONTRACTS, json_schema
from tests.support.bombs import BOMBS, TOO_MANY, as_event, as_request
from tests.support.malformed import good_event
from tests.support.malformed_requests import good_request
from visualsearch.contracts.codec import decode_event
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.limits import MAX_BYTES, MAX_DEPTH, MAX_PARTS
from visualsearch.contracts.request_id import salvage_request_id, with_request_id
from visualsearch.contracts.search import SearchFilters, decode_request, decode_result

# Measured: .1 s alone, .5 beside other processes; it was 2.3 s and 337 MB.
CPU_S, PEAK_BYTES = 2.0, 300 << 20
EVENT_PATHS = ("product.tags", "product.attributes", "extra")
REQUEST_PATHS = ("filters.attributes", "query.vector", "topk", "filters.tags")


def event(value: bytes) -> Any:
    """Decode an event as the pipelines do."""
    return decode_event(value, key=b"p", headers=(), timestamp_ms=1_777_636_800_000, source="t")


def is_quick(work: Callable[[], object]) -> bool:
    """Return whether a call, refused or not, takes little CPU time; in one of three tries."""
    for _ in range(3):
        began = time.thread_time()
        with suppress(SchemaError):
            work()
        if time.thread_time() - began < CPU_S:
            return True
    return False


def peak_bytes(work: Callable[[], object]) -> int:
    """Return the most memory that a call takes, refused or not."""
    tracemalloc.start()
    try:
        with suppress(SchemaError):
            work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", BOMBS)
def test_ten_mebibytes_are_read_or_refused_cheaply(name: str) -> None:
    """One request of this kind took a worker from 1.0 to 4.6 GB."""
    bomb = BOMBS[name]()
    for path in EVENT_PATHS:
        value = as_event(bomb, path)
        assert is_quick(partial(event, value)), path
    assert peak_bytes(partial(event, value)) < PEAK_BYTES
    for path in REQUEST_PATHS:
        value = as_request(bomb, path)
        assert is_quick(partial(answered, value)), path
    assert peak_bytes(partial(answered, value)) < PEAK_BYTES


def answered(value: bytes) -> None:
    """Do all that is done with a request before it is searched for, or refused."""
    try:
        decode_request(with_request_id(value))
    finally:
        salvage_request_id(value, b"k")


@pytest.mark.parametrize("name", TOO_MANY)
def test_too_many_values_are_told_as_such(name: str) -> None:
    """The text says how many there are, and how many are read."""
    bomb = TOO_MANY[name]()
    for work, value, code in (
        (event, as_event(bomb, "extra"), "event_too_large"),
        (decode_request, as_request(bomb, "filters.tags"), "request_too_large"),
    ):
        with pytest.raises(SchemaError, match=f"at most {MAX_PARTS:,} are read") as refusal:
            work(value)  # type: ignore[operator]
        assert refusal.value.code == code


def test_too_many_bytes_are_refused_before_they_are_decoded() -> None:
    """A message may arrive compressed: the topic's limit does not count what it holds."""
    padding = b" " * MAX_BYTES
    for work, code in (
        (event, "event_too_large"),
        (decode_request, "request_too_large"),
        (decode_result, "result_too_large"),
    ):
        with pytest.raises(SchemaError, match=f"at most {MAX_BYTES:,} are read") as refusal:
            work(padding + b"{")  # type: ignore[operator]
        assert refusal.value.code == code


def test_a_value_of_the_full_size_is_read() -> None:
    """The limit is the contract's own."""
    value = json.dumps(good_event("p")).encode()
    assert event(value.ljust(MAX_BYTES)).product.product_id == "p"
    request = json.dumps(good_request("r")).encode()
    assert decode_request(request.ljust(MAX_BYTES)).request_id == "r"


def nested(depth: int, opening: bytes, closing: bytes) -> bytes:
    """Return an event with an unknown field of so many levels; the event itself is the first."""
    inner = opening * (depth - 1) + b"0" + closing * (depth - 1)
    return as_event(inner, "extra")


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_is_bounded_whoever_asks(opening: bytes, closing: bytes) -> None:
    """Python's own limit depends on the caller's depth: the two pipelines would disagree."""
    assert event(nested(MAX_DEPTH, opening, closing)).event_id == "e"
    with pytest.raises(SchemaError, match=f"deeper than {MAX_DEPTH} levels"):
        event(nested(MAX_DEPTH + 1, opening, closing))


def test_brackets_and_quotes_within_texts_are_no_nesting() -> None:
    """Descriptions hold what they want."""
    text = '[{"\\' * 1000
    body = good_event("p") | {"extra": [text, {text: text}]}
    body["product"]["description"] = text
    assert event(json.dumps(body).encode()).product.description == text


def strings_and_lists(schema: Any, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield each list, map and text of a schema that has no values given, with its path."""
    if isinstance(schema, list):
        for number, item in enumerate(schema):
            yield from strings_and_lists(item, f"{path}/{number}")
    if not isinstance(schema, dict):
        return
    kind = schema.get("type")
    if isinstance(kind, list):
        (kind,) = {*kind} - {"null"}
    if kind == "array" or isinstance(schema.get("additionalProperties"), dict):
        yield kind, path, schema.get("maxItems", schema.get("maxProperties"))
    if kind == "string" and not {"const", "enum", "format"} & schema.keys():
        yield kind, path, schema.get("maxLength")
    for name, inner in schema.items():
        # Examples are no schemas; the others say once more which properties are texts.
        if name not in {"examples", "if", "then", "else"}:
            yield from strings_and_lists(inner, f"{path}/{name}")


@pytest.mark.parametrize("name", [name for name in CONTRACTS if name != "search-result"])
def test_every_list_map_and_text_that_comes_in_has_a_limit(name: str) -> None:
    """The types say it, and so do the schemas that are made of them."""
    found = list(strings_and_lists(json_schema(name)))
    assert {kind for kind, _, _ in found} >= {"string"}
    assert [path for _, path, limit in found if limit is None] == []


def test_every_list_of_a_result_has_a_limit() -> None:
    """Who reads a topic that others may write can rely on it."""
    found = list(strings_and_lists(json_schema("search-result")))
    assert [path for kind, path, limit in found if limit is None and kind != "string"] == []


@pytest.mark.parametrize(
    ("body", "field", "size"),
    [
        ({"filters": {"tags": ["a"] * 1001}}, "filters.tags", "1,001 items"),
        ({"filters": {"category": ["a" * 1025]}}, "filters.category[0]", "1,025 characters"),
        ({"filters": {"brand": ["a"] * 5000}}, "filters.brand", "5,000 items"),
        ({"filters": {"exclude": ["p" * 257]}}, "filters.exclude[0]", "257 characters"),
        (
            {"filters": {"attributes": {str(n): "" for n in range(1001)}}},
            "filters.attributes",
            "1,001 members",
        ),
        ({"filters": {"attributes": {"a": "b" * 65_537}}}, "filters.attributes[...]", "65,537 ch"),
        ({"query": {"images": [{"url": "h" * 4097}]}}, "query.images[0].url", "4,097 characters"),
        ({"query": {"similar_to": "p" * 257}}, "query.similar_to", "257 characters"),
        ({"query": {"vector": [0] * 5000}}, "query.vector", "5,000 items"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_a_request_beyond_a_limit_is_told_field_size_and_limit(
    body: dict[str, Any], field: str, size: str
) -> None:
    """So that its sender knows what to send less of."""
    with pytest.raises(SchemaError) as refusal:
        decode_request(json.dumps(good_request("r") | body).encode())
    assert (refusal.value.code, refusal.value.field) == ("field_invalid", field)
    assert size in str(refusal.value)
    assert "of length <= " in str(refusal.value)


def test_ids_are_found_and_given_without_decoding_the_rest() -> None:
    """What is broken is answered under its own id; what has none gets one, whatever else it is."""
    tags = b'{"filters":{"tags":[' + b'"",' * 3_000_000 + b'""]},"request_id":"r"}'
    assert salvage_request_id(tags, b"k") == "r"
    assert salvage_request_id(b'\xef\xbb\xbf{"request_id":"r"}', b"k") == "r"
    for body in (b"{}", b' {"query": 5}', b"\xef\xbb\xbf\n{ \t}", b'{"a": {"request_id": "x"}}'):
        given = msgspec.json.decode(with_request_id(body))
        own = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
        assert len(given.pop("request_id")) == 32
        assert given == own
    for body in (b'{"request_id":5}', b"[1]", b"{", b"", b"null", b"\xff", b'{"request_id":null}'):
        assert with_request_id(body) == body


def test_a_filter_that_json_cannot_say_is_refused_where_it_is_made() -> None:
    """It would be sent as null, and the filter would vanish."""
    for price in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            SearchFilters(price_max=price)
