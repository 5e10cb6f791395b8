"""What is wrong with a message, in words that its sender can act on."""

import re

import msgspec

_AT = re.compile(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
_LONGEST = 300
"""Characters of a sender's own text that an error repeats: it travels in a header."""


class SchemaError(ValueError):
    """A message that does not fit its schema.

    `code` is stable, `field` is the path of the culprit (`product.images[0].url`) where one is
    known, and the text says what to change.
    """

    def __init__(self, code: str, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field


def from_validation(error: msgspec.ValidationError) -> SchemaError:
    """Turn msgspec's error into one with a code and the path of the field."""
    text = str(error)
    at = _AT.search(text)
    path = at["path"].removeprefix(".") if at else ""
    what = text[: at.start()] if at else text
    for pattern, code in ((_UNKNOWN, "field_unknown"), (_MISSING, "field_missing")):
        if found := pattern.search(what):
            name = found["name"][:_LONGEST]
            field = f"{path}.{name}" if path else name
            told = "is not known; leave it out, or look up its name in the schema"
            verb = told if code == "field_unknown" else "is required"
            return SchemaError(code, f"{field} {verb}", field=field)
    field = path or None
    return SchemaError("field_invalid", f"{field or 'message'}: {what[:_LONGEST]}", field=field)
