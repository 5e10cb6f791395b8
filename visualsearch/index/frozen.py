"""The state of an engine, copied bit by bit while it goes on changing: a fuzzy checkpoint.

Each product is copied whole, under the engine's lock, but not all at one moment. Records are
applied in an order that repeats do not disturb, so whoever notes where the log stood before the
first product was copied can apply the rest of it to the copy, whatever of it the copy holds
already, and arrives at the same state (docs/adr/0011-snapshots.md).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from visualsearch.index.arrays import BoolArray, CodeArray, IntArray
from visualsearch.index.codes import NO_LIST, ListArray
from visualsearch.index.lists import Coder, Piece
from visualsearch.index.live import LiveIndex
from visualsearch.index.products import Products
from visualsearch.index.rows import SavedRows, Vectors
from visualsearch.index.shelf import Shelf
from visualsearch.index.state import ProductState
from visualsearch.types import FloatArray


@dataclass(frozen=True, slots=True)
class Copied:
    """A few products, whole: what is known of each, and its rows in the order of its images."""

    states: list[ProductState]
    rows: list[tuple[int, ...]]


class Frozen:
    """What was there when it was made, and later versions of it; one thread copies.

    As long as it is kept, rows that it may have copied the ids of are not used again, nor are the
    places of their vectors.
    """

    def __init__(
        self,
        products: Products,
        index: LiveIndex,
        lock: Callable[[], AbstractContextManager[object]],
        least_listed: int,
    ) -> None:
        self.least_listed = least_listed  # live rows from which on there are lists
        self._products = products
        self._index = index
        self._lock = lock
        with lock():
            self._view = index.whole()
            self._count = len(products)

    def __len__(self) -> int:
        return self._count

    @property
    def live_rows(self) -> int:
        """Return how many rows searches found when it was made."""
        return self._view.live_rows

    def copied(self, start: int, count: int) -> Copied:
        """Return up to `count` products from the `start`-th on, as of this moment."""
        slots = range(start, min(start + count, self._count))
        with self._lock():
            rows = [self._index.rows_of(slot) for slot in slots]
            states = self._products.states(slots)
        return Copied(self._products.read(slots, states), rows)

    def lifestyle(self, rows: IntArray) -> BoolArray:
        """Return which of the rows show a scene."""
        return self._index.rows.lifestyle[rows]

    def vectors(self, rows: IntArray) -> Vectors:
        """Return copies of the rows as they are stored, in their order."""
        return self._index.rows.raw(rows)

    def unit(self, rows: IntArray) -> FloatArray:
        """Return the rows as unit vectors, float32 of shape (n, dim)."""
        return self._index.rows.unit(rows)

    def lists(self, rows: IntArray) -> tuple[Coder | None, ListArray]:
        """Return the coder in use, if there is one, and the list of each row or NO_LIST."""
        with self._lock():
            pieces, list_of = self._index.built.pieces, self._index.list_of
        if not pieces:
            return None, np.full(len(rows), NO_LIST, dtype=np.uint16)
        return pieces[0].coder, list_of[rows]  # another coder's lists go into another array


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """The state that a snapshot gives back, by slot and by row."""

    shelf: Shelf
    rows: SavedRows
    first: CodeArray  # the first row of each slot, or NO_ROW
    searchable: BoolArray  # of each slot
    piece: Piece | None  # of the rows that are on lists
