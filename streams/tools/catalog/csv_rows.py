"""CSV: a header of field names, then one product per row.

Lists are cells: images separated by `|`, tags by `|` or else by commas. A column
`attributes.color` is a free attribute. An empty cell is an absent field.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streams.tools.catalog.rows import CatalogError, RejectedRow, Row

_IMAGES = ("images", "image")
_ATTRIBUTE = "attributes."
_LARGEST_CELL = 1 << 24  # a description, or an image as base64
_REQUIRED = ("product_id", "title")


def csv_rows(path: Path) -> Iterator[Row | RejectedRow]:
    """Yield the rows by the number of their first line. Raises CatalogError for the header."""
    csv.field_size_limit(_LARGEST_CELL)
    # Invalid UTF-8 rejects its own row only: it becomes surrogates, which `_row` rejects.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        counted = _CountedLines(file)
        reader = csv.reader(counted, delimiter=_delimiter(path))
        header = [name.strip() for name in next(reader, [])]
        if missing := [name for name in _REQUIRED if name not in header]:
            raise CatalogError(f"{path}: the header lacks the column {', '.join(missing)}")
        while True:
            where = f"line {reader.line_num + 1}"
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield RejectedRow(where, "not_csv", f"not CSV: {error}", position=counted.bytes)
                continue
            if cells is None:
                return
            if any(cell.strip() for cell in cells):
                yield _row(header, cells, where, counted.bytes)


class _CountedLines:
    """The lines of a file, and how many bytes of them were read."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.bytes = 0

    def __iter__(self) -> "_CountedLines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.bytes += len(line.encode(errors="surrogateescape"))
        return line


def _delimiter(path: Path) -> str:
    """Return the header's most frequent separator: some locales' spreadsheets write `;`."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = file.readline()
    return max(",;\t", key=header.count)


def _row(header: list[str], cells: list[str], where: str, position: int) -> Row | RejectedRow:
    if len(cells) > len(header):
        text = f"{len(cells)} cells in {len(header)} columns; is a comma not quoted?"
        return RejectedRow(where, "cells_too_many", text, position=position)
    given = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if cell.strip()}
    for name, cell in given.items():
        if not _is_utf8(cell):
            return RejectedRow(where, "not_utf8", f"{name}: not UTF-8", name, position)
    return Row(where, position, _product(given), lax=True)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _product(given: dict[str, str]) -> dict[str, Any]:
    product: dict[str, Any] = {}
    attributes = {}
    images: list[dict[str, str]] = []
    for name, cell in given.items():
        if name in _IMAGES:
            images += [_image_source(part.strip()) for part in cell.split("|") if part.strip()]
        elif name == "tags":
            separator = "|" if "|" in cell else ","
            product["tags"] = [tag.strip() for tag in cell.split(separator) if tag.strip()]
        elif name.startswith(_ATTRIBUTE):
            attributes[name.removeprefix(_ATTRIBUTE)] = cell
        else:
            product[name] = cell
    return product | ({"attributes": attributes} if attributes else {}) | {"images": images}


def _image_source(text: str) -> dict[str, str]:
    is_url = text.startswith(("http://", "https://", "file:"))
    return {"url" if is_url else "path": text}
