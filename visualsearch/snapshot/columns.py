"""Filter columns built from Arrow columns as a whole, without decoding single products."""

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from visualsearch.index.arrays import ABSENT, CodeArray, IntArray
from visualsearch.index.columns import Cells, CodeColumn
from visualsearch.index.paths import prefixes
from visualsearch.index.terms import TermColumn


def cells_of(table: Any) -> Cells:
    """Return the filter columns of an Arrow table of products (`products.schema`)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    stock = pc.cast(table.column("in_stock"), pa.int8())
    names, values = table.column("attribute_names"), table.column("attribute_values")
    return Cells(
        category=CodeColumn.of(*_coded(table.column("category")), prefixes),
        brand=CodeColumn.of(*_coded(table.column("brand"))),
        tags=_many(table.column("tags")),
        attributes=_pairs(names, values),
        price=_array(pc.fill_null(table.column("price"), np.nan), np.float64),
        stock=_array(pc.fill_null(stock, ABSENT), np.int8),
    )


def _array(column: Any, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return a writable copy of a column that has no nulls."""
    return np.array(column.to_numpy(), dtype=dtype)


def _coded(column: Any) -> tuple[CodeArray, list[str]]:
    """Return an int32 code per value of a text column, ABSENT for null, and the texts by code."""
    import pyarrow.compute as pc

    encoded = column.dictionary_encode().unify_dictionaries()
    parts = [pc.fill_null(chunk.indices, ABSENT).to_numpy() for chunk in encoded.chunks]
    codes = np.concatenate([np.empty(0, dtype=np.int32), *parts])
    return codes, encoded.chunk(0).dictionary.to_pylist() if parts else []


def _owners(column: Any) -> CodeArray:
    """Return the product's slot for each value of a flattened list column."""
    import pyarrow.compute as pc

    counts = _array(pc.list_value_length(column), np.int64)
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


def _many(column: Any) -> TermColumn:
    import pyarrow.compute as pc

    codes, terms = _coded(pc.list_flatten(column))
    return _terms(_owners(column), codes.astype(np.int64), terms)


def _pairs(names: Any, values: Any) -> TermColumn:
    """Return a column of (name, value) terms."""
    import pyarrow.compute as pc

    keys, words = _coded(pc.list_flatten(names))
    codes, texts = _coded(pc.list_flatten(values))
    both, places = np.unique(keys.astype(np.int64) * len(texts) + codes, return_inverse=True)
    terms = [(words[n // len(texts)], texts[n % len(texts)]) for n in both.tolist()]
    return _terms(_owners(names), places, terms)


def _terms(slots: CodeArray, codes: IntArray, terms: Iterable[Hashable]) -> TermColumn:
    """Return the column of distinct (slot, code) pairs, as `TermColumn.put` does."""
    order = np.lexsort((codes, slots))
    slots, codes = slots[order], codes[order]
    kept = np.ones(len(slots), dtype=np.bool_)
    kept[1:] = (slots[1:] != slots[:-1]) | (codes[1:] != codes[:-1])
    return TermColumn.of(slots[kept], codes[kept].astype(np.int32), terms)
