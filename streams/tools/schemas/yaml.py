"""Writes YAML of JSON's values: the base install has no YAML library."""

import json
import re
from collections.abc import Iterator
from typing import Any

_PLAIN_KEY = re.compile(r"[A-Za-z_$][\w$-]*")
_NOT_PLAIN = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}  # for YAML 1.1


def as_yaml(document: dict[str, Any]) -> str:
    """Return a document as YAML in block style; texts are quoted as in JSON, which is YAML too."""
    return "".join(f"{line}\n" for line in _lines(document))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if _is_block(inner):
                yield f"{_key(key)}:"
                yield from (f"  {line}" for line in _lines(inner))
            else:
                yield f"{_key(key)}: {_scalar(inner)}"
        return
    for inner in value:
        first, *rest = _lines(inner) if _is_block(inner) else [_scalar(inner)]
        yield f"- {first}"
        yield from (f"  {line}" for line in rest)


def _is_block(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _key(key: str) -> str:
    plain = _PLAIN_KEY.fullmatch(key) and key.lower() not in _NOT_PLAIN
    return key if plain else _scalar(key)


def _scalar(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and "." not in text:
        return text.replace("e", ".0e")  # to YAML 1.1, 1e+300 is a text
    return text
