"""Rows of a catalog: products as plain values, and rejected rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visualsearch.errors import VisualSearchError


class CatalogError(VisualSearchError):
    """A catalog that cannot be read at all."""

    code = "catalog_unreadable"


@dataclass(frozen=True, slots=True)
class Row:
    """A product in the event's shape, its images named by `path`, `url` or `data`.

    `where` is the row's place for people: "line 7", or a file's path. `position` is the reader's
    progress, in units of the catalog's `total`. `lax`: numbers and booleans are text.
    """

    where: str
    position: int
    product: Mapping[str, Any]
    lax: bool = False


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that is not published: a stable code, a text, and the invalid field if known."""

    where: str
    code: str
    message: str
    field: str | None = None
    position: int = 0


@dataclass(frozen=True, slots=True)
class Catalog:
    """Rows to be read once; paths of images are relative to `folder`.

    `total` is the last row's `position`: bytes of a file, or files of a folder.
    """

    rows: Iterator[Row | RejectedRow]
    folder: Path
    total: int
