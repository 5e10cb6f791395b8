"""The id of a search request: given where there is none, found where the rest is broken."""

import uuid
from typing import Any

import msgspec


def with_id(body: bytes) -> bytes:
    """Give a request without an id one; what is no request is told so by its decoding."""
    try:
        request: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body
    if not isinstance(request, dict) or "request_id" in request:
        return body
    return msgspec.json.encode(request | {"request_id": uuid.uuid4().hex})


def salvage_request_id(value: bytes | None, key: bytes | None) -> str:
    """Find the id to answer a broken request with: from its body, else its key, else empty."""
    try:
        body: Any = msgspec.json.decode(value or b"")
        if isinstance(body, dict) and isinstance(body.get("request_id"), str):
            return str(body["request_id"])[:256]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return (key or b"").decode("utf-8", "replace")[:256]
