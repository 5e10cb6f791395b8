"""The id of a search request: added if missing, and read from an otherwise invalid request.

Only the id of a body is decoded. The rest is skipped without taking memory.
"""

import codecs
import uuid

import msgspec
from msgspec import Raw, Struct

_BLANKS = b" \t\r\n"


class _RawRequestId(Struct):
    request_id: Raw = Raw()


class _RequestId(Struct):
    request_id: str = ""


# Made here, not at the first call: see visualsearch/contracts/events.py.
_GIVEN = msgspec.json.Decoder(_RawRequestId)
_IDS = msgspec.json.Decoder(_RequestId)


def with_request_id(body: bytes) -> bytes:
    """Add an id to a request without one; return any other body unchanged."""
    text = body.removeprefix(codecs.BOM_UTF8).lstrip(_BLANKS)
    try:
        if bytes(_GIVEN.decode(text).request_id):
            return body
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body
    rest = text[1:].lstrip(_BLANKS)
    comma = b"" if rest.startswith(b"}") else b","
    return b'{"request_id":"%s"%s%s' % (uuid.uuid4().hex.encode(), comma, rest)


def salvage_request_id(value: bytes | None, key: bytes | None) -> str:
    """Return the id for the answer to an invalid request: the body's, else the key, else ""."""
    try:
        if found := _IDS.decode((value or b"").removeprefix(codecs.BOM_UTF8)).request_id:
            return found[:256]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return (key or b"")[:1024].decode("utf-8", "replace")[:256]
