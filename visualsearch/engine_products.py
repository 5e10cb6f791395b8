"""The products of one engine behind a lock, and their lookups."""

from collections.abc import Sequence

import numpy as np

from visualsearch.index.arrays import IntArray, ascending
from visualsearch.index.columns import Held
from visualsearch.index.fair import FairLock
from visualsearch.index.live import LiveIndex
from visualsearch.index.products import Products
from visualsearch.index.rows import Rows
from visualsearch.index.state import ProductState
from visualsearch.search.hints import Hint, hints
from visualsearch.types import Filters, FloatArray, Hit, ImageKind

SAMPLE = 4096  # images from which the mean of a kind is estimated


class EngineProducts:
    """The products of an engine, with all lookups other than search."""

    def __init__(self, dim: int, chunk_rows: int) -> None:
        self.dim = dim
        self._lock = FairLock()  # held for microseconds: one record, one mask, one answer
        self._products = Products()
        self._index = LiveIndex(Rows(dim, chunk_rows=chunk_rows))

    @property
    def size(self) -> tuple[int, int]:
        """Return the numbers of searchable products and of their vectors."""
        with self._lock:
            return self._index.live_products, self._index.live_rows

    def product(self, product_id: str) -> ProductState | None:
        """Return the state of a product, also of a deleted one; None for an unknown product."""
        with self._lock:
            slot = self._products.slot(product_id)
            return None if slot is None else self._products.state(slot)

    def list_products(self, start: int, count: int) -> list[ProductState]:
        """Return up to `count` known products, deleted ones included, from the `start`-th on.

        The order is that of first appearance and never changes: consecutive slices hold each
        product once.
        """
        with self._lock:
            slots = range(start, min(start + count, len(self._products)))
            states = self._products.states(slots)
        return self._products.read(slots, states)

    def product_with_vectors(self, product_id: str) -> tuple[ProductState, FloatArray] | None:
        """Return a product and its vectors, of shape (images, dim), as of one moment."""
        with self._lock:
            slot = self._products.slot(product_id)
            if slot is None:
                return None
            return self._products.state(slot), self._index.vectors(slot)

    def vectors_of(self, product_id: str) -> list[tuple[str, FloatArray]]:
        """Return (image id, unit vector) of each image; an empty list for an unknown product."""
        both = self.product_with_vectors(product_id)
        if both is None:
            return []
        state, vectors = both
        return [(image.image_id, row) for image, row in zip(state.images, vectors, strict=True)]

    def hit_vectors(self, hits: Sequence[Hit]) -> FloatArray:
        """Return the unit vectors of the hits' images, of shape (hits, dim), float32.

        The row of an image that has been removed since is zero.
        """
        rows = np.zeros((len(hits), self.dim), dtype=np.float32)
        for row, hit in zip(rows, hits, strict=True):
            for image_id, vector in self.vectors_of(hit.product_id):
                if image_id == hit.image_id:
                    row[:] = vector
        return rows

    def kind_mean(self, kind: ImageKind) -> tuple[FloatArray, int]:
        """Return the mean vector of a kind of images, of shape (dim,), and their number.

        The mean is estimated from about `SAMPLE` of them, at even steps.
        """
        with self._lock:
            view = self._index.view(None, kind)
        rows = np.flatnonzero(view.mask)
        if not len(rows):
            return np.zeros(self.dim, dtype=np.float32), 0
        some = rows[:: -(-len(rows) // SAMPLE)]
        mean: FloatArray = self._index.rows.unit(some).mean(axis=0, dtype=np.float32)
        return mean, len(rows)

    def hints(self, filters: Filters) -> tuple[Hint, ...]:
        """Return hints for the filter values that no searchable product has.

        For answers without a hit: this scans the values of all products.
        """
        return hints(filters, *self._held())

    def categories(self) -> list[str]:
        """Return the categories that searchable products have, sorted."""
        held, slots = self._held()
        return sorted(held.categories(slots))

    def _held(self) -> tuple[Held, IntArray]:
        """Return the filter columns' values, and the slots of the searchable products."""
        with self._lock:
            view, held = self._index.whole(), self._products.held()
        return held, ascending(view.slot[: len(view.mask)][view.mask])
