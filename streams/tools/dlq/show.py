"""Format the bytes of a message for terminals and for JSON."""

import base64
import json
from typing import Any

from visualsearch.contracts.limits import require_few_parts, require_shallow

_LONGEST = 200  # an image in base64 is a hundred thousand
_KEPT = 60
_TEXT = 4000


def as_text(data: bytes | None) -> str | dict[str, str] | None:
    """Return bytes as JSON can hold them: text, `{"base64": …}` where they are none, or null."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def readable(data: bytes | None) -> str:
    """Return bytes for a person: JSON indented and its long strings cut, else text."""
    if data is None:
        return "null (a delete)"
    try:
        require_few_parts(data, "event_too_large")
        require_shallow(data)
        return json.dumps(_cut(json.loads(data)), indent=2, ensure_ascii=False)
    except ValueError:  # no JSON, or too much: the reason for some dead letters
        text = data.decode("utf-8", "backslashreplace")
        return text if len(text) <= _TEXT else f"{text[:_TEXT]}… ({len(data):,} bytes)"


def printable(text: str) -> str:
    """Escape what would move a terminal's cursor or hide what follows; newlines stay."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_KEPT]}… ({len(value):,} characters)"
    if isinstance(value, list):
        return [_cut(item) for item in value]
    if isinstance(value, dict):
        return {name: _cut(item) for name, item in value.items()}
    return value
