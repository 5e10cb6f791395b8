"""Encoding and decoding of search requests and results; re-exports their types."""

from typing import Any, get_args

import msgspec

from visualsearch.contracts.errors import SchemaError, from_validation
from visualsearch.contracts.events import ImageKinds
from visualsearch.contracts.limits import json_text, require_shallow
from visualsearch.contracts.requests import (
    LookBox,
    Modes,
    Preprocess,
    QueryImage,
    QuerySpec,
    QueryText,
    SearchFilters,
    SearchRequest,
)
from visualsearch.contracts.results import (
    GuessedAttribute,
    IndexInfo,
    LookRegion,
    SearchFault,
    SearchHint,
    SearchHit,
    SearchPlan,
    SearchResult,
    SearchVariant,
    Shards,
    Statuses,
    TookMs,
)

__all__ = [
    "GuessedAttribute", "IndexInfo", "LookBox", "LookRegion", "Preprocess", "QueryImage",
    "QuerySpec", "QueryText", "SearchFault", "SearchFilters", "SearchHint", "SearchHit",
    "SearchPlan", "SearchRequest", "SearchResult", "SearchVariant", "Shards", "TookMs",
    "decode_request", "decode_result", "encode_result",
]  # fmt: skip

# Made here, not at the first call: see visualsearch/contracts/events.py.
_CHOICES = {"mode": get_args(Modes), "image_kind": get_args(ImageKinds)}
_REQUESTS = msgspec.json.Decoder(SearchRequest)
_RESULTS = msgspec.json.Decoder(SearchResult)


def encode_result(result: SearchResult) -> bytes:
    """Encode a result as JSON. Raises SchemaError `result_too_large` beyond the limits."""
    value = msgspec.json.encode(result)
    json_text(value, "result_too_large")
    return value


def decode_result(value: bytes) -> SearchResult:
    """Decode a result, also of a newer worker: unknown fields are ignored.

    An unknown status is read as `error` if the result has an `error`, else as `partial`: its hits
    are valid but may be incomplete.

    Raises msgspec.DecodeError, and SchemaError `result_too_large` beyond the limits.
    """
    text = json_text(value, "result_too_large")
    try:
        return _RESULTS.decode(text)
    except msgspec.ValidationError:
        if (known := _with_known_status(text)) is None:
            raise
    return msgspec.convert(known, SearchResult)


def _with_known_status(text: bytes) -> dict[str, Any] | None:
    """Return a result of unknown status as a dict with a known one; None for any other."""
    require_shallow(text)
    body: Any = msgspec.json.decode(text)
    if not isinstance(body, dict) or not isinstance(status := body.get("status"), str):
        return None
    if status in get_args(Statuses):
        return None
    return body | {"status": "partial" if body.get("error") is None else "error"}


def decode_request(value: bytes | None) -> SearchRequest:
    """Decode a request. Raises SchemaError with the field that is wrong."""
    if value is None:
        raise SchemaError("not_json", "the value is null; send a search request as JSON")
    text = json_text(value, "request_too_large")
    try:
        return _REQUESTS.decode(text)
    except msgspec.ValidationError as error:
        raise from_validation(error, _decode_untyped(text), _CHOICES) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SchemaError("not_json", f"the value is not JSON: {error}") from None


def _decode_untyped(text: bytes) -> Any:
    """Return an invalid request as plain values, for the error text; None if it is not JSON."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # invalid further on
        return None
