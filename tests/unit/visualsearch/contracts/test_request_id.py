"""The id that a request without one is given, whatever else it holds."""

import tracemalloc

import msgspec
import pytest

from visualsearch.contracts.request_id import salvage_request_id, with_request_id


@pytest.mark.parametrize("body", [b"{}", b" {\t} ", b'{"query": {}}', b'\n{ "a": [1, {"b": 2}]}'])
def test_an_id_is_added_and_nothing_else_changes(body: bytes) -> None:
    """Empty or not, with blanks wherever JSON allows them."""
    given = msgspec.json.decode(with_request_id(body))
    assert len(given.pop("request_id")) == 32
    assert given == msgspec.json.decode(body)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"5", b"{}x", b"\xff", b"[" * 100_000, b'{"request_id": "a"}',
     b'{"request_id": null}', b'{"a": 1, "request_id": 5}'],
)  # fmt: skip
def test_what_has_an_id_or_is_no_request_stays_as_it_is(body: bytes) -> None:
    """A wrong id is refused by the decoding, not replaced."""
    assert with_request_id(body) == body


def test_a_body_of_millions_of_values_is_not_built() -> None:
    """10 MB of empty lists would be 300 MB of objects, and seconds in which nobody is served."""
    body = b'{"query": {}, "x": [' + b"[]," * 3_500_000 + b"[]]}"
    tracemalloc.start()
    try:
        assert b'"request_id"' in with_request_id(body)
        assert salvage_request_id(body, b"key") == "key"
        assert tracemalloc.get_traced_memory()[1] < 3 * len(body)
    finally:
        tracemalloc.stop()
