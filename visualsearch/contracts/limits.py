"""Limits on the size of events and requests, checked on the bytes before they are decoded.

msgspec checks the length of a list after building it. Bytes, values and nesting are therefore
counted before decoding, at gigabytes per second. No real catalog reaches the limits.
"""

import codecs
from array import array
from itertools import accumulate
from typing import Literal

from visualsearch.contracts.errors import SchemaError

MAX_BYTES = 10 * 1024 * 1024
"""Most uncompressed bytes of a message; a topic's own limit counts compressed bytes."""

MAX_PARTS = 500_000
"""Most list items and object members of a message; punctuation in strings counts too."""

MAX_DEPTH = 64
"""Most levels of nested lists and objects."""

TooLarge = Literal["event_too_large", "request_too_large", "result_too_large"]

_PUNCTUATION = (b",", b":", b"[", b"{")
_NOT_BRACKETS = bytes(set(range(256)) - set(b'"[]{}'))
_STEPS = bytes.maketrans(b"[]{}", b"\x01\xff\x01\xff")  # one level down, or up: -1 as a byte
_FRAME = 5  # the zero byte and the four bytes of a schema id


def json_text(value: bytes, code: TooLarge) -> bytes:
    """Return a message's value as JSON that is safe to decode, without a byte order mark.

    Raises SchemaError: `code` for too many bytes or values, `schema_registry_framed` for the
    binary frame of a schema registry's client.
    """
    if len(value) > MAX_BYTES:
        raise SchemaError(
            code,
            f"the value has {len(value):,} bytes; at most {MAX_BYTES:,} are read; send less",
        )
    if (schema_id := schema_registry_id(value)) is not None:
        raise SchemaError(
            "schema_registry_framed",
            f"the value begins with a zero byte and schema id {schema_id}, the frame of a schema "
            "registry's serializer; publish plain JSON, without the registry",
        )
    text = value.removeprefix(codecs.BOM_UTF8)
    require_few_parts(text, code)
    return text


def schema_registry_id(data: bytes) -> int | None:
    """Return the schema id in a schema registry's frame (0x00 and four bytes), else None."""
    return int.from_bytes(data[1:_FRAME]) if data[:1] == b"\0" and len(data) >= _FRAME else None


def require_few_parts(text: bytes, code: str) -> None:
    """Raise SchemaError `code` for JSON of more than `MAX_PARTS` values."""
    parts = sum(map(text.count, _PUNCTUATION))
    if parts > MAX_PARTS:
        raise SchemaError(
            code,
            f"the value has {parts:,} list items and object members; at most {MAX_PARTS:,} are "
            "read; send less",
        )


def require_shallow(text: bytes) -> None:
    """Raise SchemaError `not_json` for JSON nested deeper than `MAX_DEPTH`.

    Call `require_few_parts` first. A typed decoder bounds the nesting by its types; this is for
    decoding without types. Python's recursion limit depends on the caller's depth, so two
    pipelines could disagree.
    """
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise SchemaError("not_json", f"the value is nested deeper than {MAX_DEPTH} levels")


def _depth(text: bytes) -> int:
    """Return how deep lists and objects are nested; brackets inside strings do not count."""
    # Backslash pairs first: in `\\"` the quote ends its string.
    bare = text.replace(rb"\\", b"").replace(rb"\"", b"")
    # Valid JSON of MAX_PARTS values has no more quotes or brackets than this.
    texts = bare.translate(None, _NOT_BRACKETS).split(b'"', 2 * MAX_PARTS + 2)
    brackets = b"".join(texts[::2])[: 2 * MAX_PARTS]
    return max(accumulate(array("b", brackets.translate(_STEPS))), default=0)
