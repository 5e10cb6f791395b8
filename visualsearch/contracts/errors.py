"""Validation errors of messages: a stable code, the field's path, and a text with the remedy."""

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

_AT = re.compile(r" - at `(?P<key>key` in `)?\$\.?(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
_STEP = re.compile(r"(?P<name>[^.\[\]]+)|\[(?P<number>\d+)\]|\[\.\.\.\]")
_LONGEST = 300
"""Most characters of a sender's text in an error: errors are written to headers."""

_SHOWN = 80
"""Most characters of a wrong value in an error."""

_ABSENT = object()
_CURES = (
    (re.compile(r"Expected `(float|int)\b[^`]*`, got"), "write a number, without quotes"),
    (re.compile(r"Expected `bool\b[^`]*`, got"), "write true or false, without quotes"),
    (re.compile(r"Expected `(str|datetime)\b[^`]*`, got"), "write a text, in quotes"),
    (re.compile(r"Expected `array\b[^`]*`, got"), "write a list: [...]"),
    (re.compile(r"Expected `object\b[^`]*`, got"), "write an object: {...}"),
    (re.compile(r"Expected `str` of length <="), "shorten it"),
    (re.compile(r"Expected `(array|object)` of length <="), "send fewer"),
    (re.compile(r"Expected `\w+` of length >="), "fill it, or leave it out"),
    (re.compile(r"Expected `\w+` [<>]=? "), "give a value within this limit"),
    (re.compile(r"matching regex '\^\[A-Z\]\{3\}"), "write a code such as EUR"),
    (re.compile("RFC3339|timezone"), "write date, time and zone: 2026-05-01T12:00:00Z"),
    (re.compile("out of range"), "give a smaller number"),
)


class SchemaError(ValueError):
    """A message that does not fit its schema.

    `code` is stable. `field` is the path of the wrong field (`product.images[0].url`), if known.
    The text says what to change.
    """

    def __init__(self, code: str, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field


def from_validation(
    error: msgspec.ValidationError,
    body: Any = _ABSENT,
    choices: Mapping[str, Sequence[str]] | None = None,
) -> SchemaError:
    """Return a SchemaError with code, field path, value and remedy for msgspec's error.

    The value is looked up in `body`, the whole message as plain values, and shown shortened.
    `choices` holds the allowed values of enumerated fields, by the field's name.
    """
    text = str(error)
    at = _AT.search(text)
    path = at["path"].removeprefix(".") if at else ""
    what = text[: at.start()] if at else text
    for pattern, code in ((_UNKNOWN, "field_unknown"), (_MISSING, "field_missing")):
        if found := pattern.search(what):
            name = found["name"][:_LONGEST]
            field = f"{path}.{name}" if path else name
            unknown = "is not known; leave it out, or look up its name in the schema"
            fault = unknown if code == "field_unknown" else "is required"
            return SchemaError(code, f"{field} {fault}", field=field)
    field = path or None
    message = f"{field or 'message'}: {what[:_LONGEST]}"
    if at is not None and what.startswith(("Expected", "Invalid", "Number", "Integer")):
        message += _describe_value(body, path, what, key=at["key"] is not None)
    return SchemaError("field_invalid", message + _advice(path, what, choices or {}), field=field)


def shorten_json(value: Any) -> str:
    """Return a value as JSON, shortened, with its full length."""
    text = _as_json(value)
    if len(text) <= _SHOWN:
        return text
    if isinstance(value, str):
        return f"{text[:_SHOWN]}… ({len(value):,} characters)"
    if isinstance(value, list | dict):
        unit = "items" if isinstance(value, list) else "members"
        return f"{text[:_SHOWN]}… ({len(value):,} {unit})"
    return f"{text[:_SHOWN]}…"


def _as_json(value: Any) -> str:
    """Return a value as JSON; a large value is cut before it is encoded."""
    if isinstance(value, str | list):
        value = value[: _SHOWN + 1]
    elif isinstance(value, dict):
        value = dict(islice(value.items(), _SHOWN + 1))
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError, RecursionError):
        return repr(value)  # no JSON type, or a number beyond 64 bits


def _advice(path: str, what: str, choices: Mapping[str, Sequence[str]]) -> str:
    allowed = choices.get(path.rpartition(".")[2])
    if allowed and "enum" in what:
        return f"; expected one of {', '.join(allowed)}"
    return next((f"; {cure}" for pattern, cure in _CURES if pattern.search(what)), "")


def _describe_value(body: Any, path: str, what: str, *, key: bool) -> str:
    """Return a text with the value at a path; "" if the path leads nowhere.

    msgspec does not name the keys of maps, so of a map the member that is likely wrong is shown.
    """
    value = body
    for step in _STEP.finditer(path):
        try:
            if step["name"]:
                value = value[step["name"]]
            elif step["number"]:
                value = value[int(step["number"])]
            else:
                name = _likely_wrong(value, what)
                return f"; given was {shorten_json(name)}: {shorten_json(value[name])}"
        except (LookupError, TypeError, ValueError):
            return ""
    if key and isinstance(value, dict):
        value = max(value, key=len, default=_ABSENT)
    return "" if value is _ABSENT else f"; given was {shorten_json(value)}"


def _likely_wrong(members: dict[str, Any], what: str) -> str:
    """Return the name of the first member that is no string, else of the longest one.

    Raises ValueError for an empty map.
    """
    wrong = [name for name, value in members.items() if not isinstance(value, str)]
    return wrong[0] if wrong and ", got" in what else max(members, key=lambda n: len(members[n]))
