"""JSONL: one product per line, in the shape of an event's product."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from streams.tools.catalog.rows import RejectedRow, Row
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.limits import require_few_parts, require_shallow


def jsonl_rows(path: Path) -> Iterator[Row | RejectedRow]:
    """Yield a row per non-empty line; a malformed line is a rejected row."""
    position = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            position += len(line)
            text = line.removeprefix(b"\xef\xbb\xbf").strip()
            if text:
                yield _row(text, f"line {number}", position)


def _row(text: bytes, where: str, position: int) -> Row | RejectedRow:
    try:
        require_few_parts(text, "row_too_large")
        require_shallow(text)
        product = msgspec.json.decode(text)
    except SchemaError as error:
        return RejectedRow(where, error.code, str(error), position=position)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return RejectedRow(where, "not_json", f"not JSON: {error}", position=position)
    if not isinstance(product, dict):
        return RejectedRow(where, "not_an_object", "JSON, but not an object", position=position)
    return Row(where, position, product)
