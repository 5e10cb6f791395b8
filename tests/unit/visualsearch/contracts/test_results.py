"""Clients of today read results and heartbeats of later versions."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from streams.tools.schemas.examples import EXAMPLES
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.search import SearchResult, decode_result, encode_result
from visualsearch.contracts.workers import decode_heartbeat

RESULTS = EXAMPLES["search-result"]
(HEARTBEAT,) = EXAMPLES["worker-heartbeat"]
MAPS = {"attributes", "guessed"}


def objects_in(value: Any) -> Iterator[dict[str, Any]]:
    """Yield each object within a message, but not its maps of free names."""
    if isinstance(value, dict):
        yield value
        for name, inner in value.items():
            free = inner.values() if name in MAPS else (inner,)
            for each in free:
                yield from objects_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from objects_in(each)


def later(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message as a later version may write it: with new fields at every level."""
    copy: dict[str, Any] = json.loads(json.dumps(message))
    for each in list(objects_in(copy)):
        each["added_later"] = {"of": [1, "any", None]}
    return copy


def raw(message: dict[str, Any]) -> bytes:
    """Encode plain values."""
    return json.dumps(message).encode()


@pytest.mark.parametrize("number", range(len(RESULTS)))
def test_a_client_ignores_what_a_later_result_adds(number: int) -> None:
    """At every level, in each kind of result."""
    result = later(RESULTS[number])
    assert len(list(objects_in(result))) > 5
    assert decode_result(raw(result)) == decode_result(raw(RESULTS[number]))


def test_the_reader_of_heartbeats_ignores_what_a_later_one_adds() -> None:
    """The tail of the topic `workers` shows older and newer workers side by side."""
    newer = HEARTBEAT | {"generation": 3, "statistics": {"products": 5}}
    assert decode_heartbeat(raw(newer)) == decode_heartbeat(raw(HEARTBEAT))
    with pytest.raises(SchemaError):
        decode_heartbeat(raw(newer | {"roles": "search"}))


def test_a_partial_result_goes_there_and_back() -> None:
    """With how many shards answered, and the hits of those."""
    result = next(decode_result(raw(each)) for each in RESULTS if each["status"] == "partial")
    assert (result.shards.answered, result.shards.total) == (3, 4)
    assert (len(result.hits), result.error) == (1, None)
    assert decode_result(encode_result(result)) == result


@pytest.mark.parametrize(
    ("added", "status"),
    [
        ({}, "partial"),
        ({"error": None}, "partial"),
        ({"error": {"code": "shed", "message": "try again"}}, "error"),
    ],
)
def test_an_unknown_status_claims_no_more_than_the_result_holds(
    added: dict[str, Any], status: str
) -> None:
    """Its hits may be used, as those of a partial result; with an error it is one."""
    known = RESULTS[0] | added
    result = decode_result(raw(later(known | {"status": "degraded"})))
    assert result == decode_result(raw(known | {"status": status}))
    assert isinstance(result, SearchResult)
    assert result.index is not None
    assert result.index.watermark is not None


@pytest.mark.parametrize("changed", [{"status": 5}, {"status": None}, {"hits": "none"}])
def test_a_result_of_wrong_values_is_still_refused(changed: dict[str, Any]) -> None:
    """An unknown status excuses nothing else."""
    for status in ("ok", "degraded"):
        with pytest.raises(msgspec.ValidationError):
            decode_result(raw(RESULTS[0] | {"status": status} | changed))


def test_a_result_nested_beyond_all_limits_is_refused() -> None:
    """Whatever a topic holds that others may write to."""
    deep = b"[" * 90_000 + b"]" * 90_000
    for status in (b"ok", b"degraded"):
        with pytest.raises((SchemaError, RecursionError)):
            decode_result(b'{"request_id":"r","status":"%s","later":%s}' % (status, deep))
