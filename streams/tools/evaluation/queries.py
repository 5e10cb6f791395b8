"""The file of queries: each line a search with its relevant products, or a preference.

    {"image": "photo.jpg", "text": "in navy", "relevant": ["p1", "p2"], "groups": ["phone"]}
    {"query": {...}, "filters": {...}, "relevant": {"p1": 3, "p2": 1}}
    {"anchor": {"image": "a.jpg"}, "closer": {"product": "p1"}, "than": [{"text": "a hat"}]}

A search may hold every field of a search request; paths are relative to the file.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from streams.tools.catalog.image_shrinking import shrink
from streams.tools.catalog.jsonl_rows import jsonl_rows
from streams.tools.catalog.rows import RejectedRow
from visualsearch.contracts.errors import SchemaError, from_validation
from visualsearch.contracts.search import SearchRequest
from visualsearch.errors import ImageError, VisualSearchError

_MAX_LISTED = 10  # bad lines named in an error
_DEADLINE_MS = 600_000
Grade = Annotated[float, Meta(gt=0, le=1000)]


class QueriesError(VisualSearchError):
    """A file of queries that cannot be used; the text names its lines and fields."""

    code = "queries_invalid"


class PreferenceItem(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """An item of a preference: exactly one of image, text and product."""

    image: str | None = None
    text: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None
    product: str | None = None

    def __post_init__(self) -> None:
        if sum(given is not None for given in (self.image, self.text, self.product)) != 1:
            raise ValueError("give exactly one of `image`, `text` and `product`")


class _SearchLine(Struct, kw_only=True):
    relevant: (
        Annotated[list[str], Meta(min_length=1)] | Annotated[dict[str, Grade], Meta(min_length=1)]
    )
    groups: list[str] = []


class _PreferenceLine(Struct, kw_only=True, forbid_unknown_fields=True):
    anchor: PreferenceItem
    closer: PreferenceItem
    than: Annotated[list[PreferenceItem], Meta(min_length=1)]
    groups: list[str] = []


@dataclass(frozen=True, slots=True)
class SearchCase:
    """A search to be judged; `body` is its request, images still named by their paths."""

    line: int
    body: Mapping[str, Any]
    grades: Mapping[str, float]
    groups: tuple[str, ...]

    @property
    def query_text(self) -> str:
        """The text of the query, for people."""
        query = self.body["query"]
        texts = [query.get("text"), *(text.get("text") for text in query.get("texts", ()))]
        return ", ".join(text for text in texts if text)


@dataclass(frozen=True, slots=True)
class Preference:
    """A human judgment: `closer` is more similar to `anchor` than each of `others`."""

    line: int
    anchor: PreferenceItem
    closer: PreferenceItem
    others: tuple[PreferenceItem, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Queries:
    """All lines of a file, each checked; paths of images are relative to `folder`."""

    searches: tuple[SearchCase, ...]
    preferences: tuple[Preference, ...]
    folder: Path

    def __len__(self) -> int:
        return len(self.searches) + len(self.preferences)


def read_queries(path: Path) -> Queries:
    """Read and check a file. Raises QueriesError, which names each bad line and its field."""
    if not path.is_file():
        raise QueriesError(f"{path}: no such file", code="queries_unreadable")
    searches: list[SearchCase] = []
    preferences: list[Preference] = []
    wrong: list[str] = []
    for row in jsonl_rows(path):
        number = int(row.where.removeprefix("line "))
        if isinstance(row, RejectedRow):
            wrong.append(f"line {number}: {row.message}")
            continue
        try:
            found = _line(number, row.product, path.parent)
        except SchemaError as error:
            wrong.append(f"line {number}: {error} [{error.code}]")
            continue
        if isinstance(found, SearchCase):
            searches.append(found)
        else:
            preferences.append(found)
    if wrong:
        more = f"\nand {len(wrong) - _MAX_LISTED} more" if len(wrong) > _MAX_LISTED else ""
        raise QueriesError(f"{path}: " + "\n".join(wrong[:_MAX_LISTED]) + more)
    if not searches and not preferences:
        raise QueriesError(f"{path}: no queries in this file")
    return Queries(tuple(searches), tuple(preferences), path.parent)


def to_request(
    search: SearchCase, folder: Path, *, depth: int, overrides: Mapping[str, Any]
) -> SearchRequest:
    """Return the request that a search sends, its images read.

    `overrides` are a configuration's fields, which win over the line's. Raises SchemaError.
    """
    body = _merge(search.body, overrides)
    # The largest k of the metrics, but at least the line's own.
    body["top_k"] = max(depth, int(body.get("top_k", 0)))
    body["query"] = dict(body["query"])
    if images := body["query"].get("images"):
        body["query"]["images"] = [_inline_path(image, n, folder) for n, image in enumerate(images)]
    return _to_search_request(
        {"request_id": f"line {search.line}", "deadline_ms": _DEADLINE_MS} | body
    )


def read_image(name: str, folder: Path, field: str) -> bytes:
    """Return an image as it is sent. Raises SchemaError if it cannot be read or decoded."""
    try:
        return shrink((folder / name).read_bytes())
    except OSError as error:
        text = f"{field}: {name}: {error.strerror}"
        raise SchemaError("image_unreadable", text, field=field) from None
    except ImageError as error:
        raise SchemaError(error.code, f"{field}: {name}: {error}", field=field) from None


def _line(number: int, row: Mapping[str, Any], folder: Path) -> SearchCase | Preference:
    body = dict(row)
    try:
        if "anchor" in body:
            found = msgspec.convert(body, _PreferenceLine)
            things = (found.anchor, found.closer, *found.than)
            for thing, field in zip(things, _fields(len(found.than)), strict=True):
                if thing.image is not None:
                    _require_file(thing.image, folder, f"{field}.image")
            return Preference(
                number, found.anchor, found.closer, tuple(found.than), tuple(found.groups)
            )
        judged = msgspec.convert(body, _SearchLine)
    except msgspec.ValidationError as error:
        raise from_validation(error, body) from None
    if isinstance(judged.relevant, list):
        grades: Mapping[str, float] = dict.fromkeys(judged.relevant, 1.0)
    else:
        grades = judged.relevant
    body.pop("relevant")
    body.pop("groups", None)
    expanded = _expand_shorthands(body)
    probe = expanded | {"query": _without_paths(expanded["query"], folder)}
    request = _to_search_request({"request_id": "check", **probe})
    query = request.query
    if not (query.images or query.texts or query.image or query.text
            or query.similar_to or query.vector):  # fmt: skip
        raise SchemaError("query_empty", "query: give an `image`, a `text` or both", field="query")
    return SearchCase(number, expanded, grades, tuple(judged.groups))


def _expand_shorthands(body: dict[str, Any]) -> dict[str, Any]:
    """Move the shorthands `image`, `images` and `text` to where a request has them."""
    query = body.pop("query", {})
    if not isinstance(query, dict):
        raise SchemaError("field_invalid", "query: expected an object", field="query")
    query = dict(query)
    given = body.pop("images", [])
    if not isinstance(given, list):
        raise SchemaError("field_invalid", "images: expected a list of paths", field="images")
    if "image" in body:
        given = [*given, body.pop("image")]
    if "text" in body:
        query["text"] = body.pop("text")
    if given:
        listed = query.get("images") or []
        query["images"] = [*listed, *({"path": name} for name in given)]
    return body | {"query": query}


def _without_paths(query: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a query that fits the schema: each path is checked and replaced by a URL."""
    images = query.get("images")
    if not isinstance(images, list):
        return dict(query)
    checked = []
    for number, image in enumerate(images):
        if isinstance(image, dict) and "path" in image:
            field = f"query.images[{number}].path"
            if not isinstance(image["path"], str):
                raise SchemaError("field_invalid", f"{field}: expected a path", field=field)
            if {"url", "data"} & image.keys():
                text = f"query.images[{number}]: give one of path, url, data"
                raise SchemaError("field_invalid", text, field=field)
            _require_file(image["path"], folder, field)
            rest = {name: value for name, value in image.items() if name != "path"}
            checked.append(rest | {"url": "file:///checked"})
        else:
            checked.append(image)
    return dict(query) | {"images": checked}


def _require_file(name: str, folder: Path, field: str) -> None:
    if not (folder / name).is_file():
        raise SchemaError("image_unreadable", f"{field}: {name}: no such file", field=field)


def _fields(others: int) -> Iterator[str]:
    yield from ("anchor", "closer")
    yield from (f"than[{n}]" for n in range(others))


def _inline_path(image: Mapping[str, Any], number: int, folder: Path) -> Mapping[str, Any]:
    if "path" not in image:
        return image
    data = read_image(image["path"], folder, f"query.images[{number}].path")
    rest = {name: value for name, value in image.items() if name != "path"}
    return rest | {"data": base64.b64encode(data).decode()}


def _merge(body: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(body)
    for name, value in overrides.items():
        known = found.get(name)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        found[name] = _merge(known, value) if both else value  # type: ignore[arg-type]
    return found


def _to_search_request(body: Mapping[str, Any]) -> SearchRequest:
    try:
        return msgspec.convert(body, SearchRequest)
    except msgspec.ValidationError as error:
        raise from_validation(error, body) from None


def join_lines(lines: Sequence[int]) -> str:
    """Return line numbers for people, the first few of many."""
    shown = ", ".join(map(str, lines[:_MAX_LISTED]))
    return shown + (f" and {len(lines) - _MAX_LISTED} more" if len(lines) > _MAX_LISTED else "")
