"""The products of an index as NDJSON, for operators and for `visualsearch fsck`.

The first line is `{"index": {model, dim, positions}}`: all log records before the positions are
included. Then one line per product, deleted ones too. The last line is `{"end": {products}}`;
without it the response is truncated.
"""

import base64
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import msgspec

from streams.kafka.numbers import parse_int64
from visualsearch.engine import Engine
from visualsearch.index.state import ProductState
from visualsearch.types import BaseRecord, FloatArray, OfferRecord

SLICE = 256  # products per chunk: they are in memory together, and read under one lock
_BASE = ("deleted", "title", "description", "brand", "category", "tags", "attributes", "url")
_OFFER = ("deleted", "price", "currency", "in_stock")
_VECTORS = {"0": False, "1": True}


@dataclass(frozen=True, slots=True)
class ProductsQuery:
    """Parameters: every product, `product_id` alone, or at most `limit` products.

    `vectors` adds each image's vector (base64 of little-endian float16).
    """

    vectors: bool = False
    product_id: str | None = None
    limit: int | None = None

    @classmethod
    def parse(cls, query: Iterable[tuple[str, str]]) -> Self:
        """Read the parameters of a URL. Raises ValueError, which names the allowed values."""
        pairs = list(query)
        for name, count in Counter(name for name, _ in pairs).items():
            if name not in cls.__slots__:
                known = ", ".join(cls.__slots__)
                raise ValueError(f"{name[:40]!r} is no parameter; known are {known}")
            if count > 1:
                raise ValueError(f"{name} is given {count} times; give it once")
        values = dict(pairs)
        vectors, limit = values.get("vectors", "0"), values.get("limit")
        if vectors not in _VECTORS:
            raise ValueError(f"vectors is {vectors[:40]!r}; give 0 or 1")
        if limit is not None and parse_int64(limit) is None:
            raise ValueError(
                f"limit is {limit[:40]!r} ({len(limit)} characters); "
                "give a whole number from 0 to 2**63 - 1"
            )
        return cls(
            vectors=_VECTORS[vectors],
            product_id=values.get("product_id"),
            limit=parse_int64(limit),
        )


def product_lines(
    engine: Engine, positions: Mapping[int, int], query: ProductsQuery
) -> Iterator[bytes]:
    """Yield NDJSON in chunks of at most 256 products."""
    head = {"model": engine.model, "dim": engine.dim, "positions": dict(positions)}
    yield _line({"index": head})
    count = 0
    for states in _slices(engine, query.product_id, query.limit):
        rows = [_row(engine, state, vectors=query.vectors) for state in states]
        count += len(rows)
        yield b"".join(map(_line, rows))
    yield _line({"end": {"products": count}})


def _slices(
    engine: Engine, product_id: str | None, limit: int | None
) -> Iterator[list[ProductState]]:
    if product_id is not None:
        state = engine.product(product_id)
        if state is not None:
            yield [state]
        return
    for start in itertools.count(0, SLICE):
        count = SLICE if limit is None else min(SLICE, limit - start)
        states = engine.list_products(start, count) if count > 0 else []
        if not states:
            return
        yield states


def _row(engine: Engine, state: ProductState, *, vectors: bool) -> dict[str, Any]:
    rows: FloatArray | None = None
    if vectors and (both := engine.product_with_vectors(state.product_id)) is not None:
        state, rows = both  # read together: the product may have changed since
    images: list[dict[str, Any]] = [
        {"image_id": image.image_id, "kind": image.kind, "url": image.url} for image in state.images
    ]
    if rows is not None:
        for image, row in zip(images, rows, strict=True):
            image["vector"] = base64.b64encode(row.astype("<f2").tobytes()).decode()
    return {
        "product_id": state.product_id,
        "searchable": state.searchable,
        "base": _fields(state.base, _BASE),
        "offer": _fields(state.offer, _OFFER),
        "images": images,
        "guessed": state.guessed,
        "orders": state.orders,
    }


def _fields(record: BaseRecord | OfferRecord | None, names: tuple[str, ...]) -> Any:
    return None if record is None else {name: getattr(record, name) for name in names}


def _line(value: Any) -> bytes:
    return msgspec.json.encode(value) + b"\n"
