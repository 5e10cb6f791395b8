"""Vectors in fixed chunks: one row per version of a picture, appended and never moved."""

from collections.abc import Iterator, Sequence

import numpy as np

from visualsearch.index.arrays import BoolArray, CodeArray, IntArray, grown
from visualsearch.types import FloatArray, ImageVector

CHUNK_ROWS = 8192
GATHER_ROWS = 512  # a gathered block stays in the cache while gemv reads it
DENSE_SHARE = 0.3  # above it, scoring a whole chunk is cheaper than gathering its rows
UNIT_TOLERANCE = 0.02  # float16 rounding moves a unit vector's length by less than that


def unit_rows(images: Sequence[ImageVector], dim: int) -> FloatArray | None:
    """Return the vectors as float32 unit rows of shape (n, dim), or None if one is unusable.

    Unusable is: another shape, not finite, or a length that rounding cannot explain. hnswlib
    would take all of these silently and answer nonsense, so they stop here.
    """
    if any(np.shape(image.vector) != (dim,) for image in images):
        return None
    rows = np.array([image.vector for image in images], dtype=np.float64).reshape(-1, dim)
    with np.errstate(over="ignore"):  # the square of a huge number is infinite, and refused
        lengths = np.sqrt((rows * rows).sum(axis=1))
    if not (np.abs(lengths - 1.0) <= UNIT_TOLERANCE).all():  # false for NaN and infinity too
        return None
    unit: FloatArray = (rows / lengths[:, None]).astype(np.float32)
    return unit


class Rows:
    """Append-only storage of unit vectors; a row's id is its position.

    `slot` says which product a row belongs to and never changes. `alive` falls once, when a
    newer set of pictures replaces the row. `live` is alive and its product searchable; it may
    change back and forth. One thread appends; readers that know `count` read rows below it.
    """

    def __init__(self, dim: int, *, chunk_rows: int = CHUNK_ROWS) -> None:
        self.dim = dim
        self.count = 0
        self.slot: CodeArray = np.empty(0, dtype=np.int32)
        self.alive: BoolArray = np.empty(0, dtype=np.bool_)
        self.live: BoolArray = np.empty(0, dtype=np.bool_)
        self.lifestyle: BoolArray = np.empty(0, dtype=np.bool_)
        self._chunk_rows = chunk_rows
        self._chunks: list[FloatArray] = []

    def append(self, vectors: FloatArray, slot: int, lifestyle: Sequence[bool]) -> tuple[int, ...]:
        """Append one product's vectors, alive but not yet live; return their row ids."""
        first, stop = self.count, self.count + len(vectors)
        self.slot = grown(self.slot, stop, -1)
        self.alive = grown(self.alive, stop, fill=False)
        self.live = grown(self.live, stop, fill=False)
        self.lifestyle = grown(self.lifestyle, stop, fill=False)
        while len(self._chunks) * self._chunk_rows < stop:
            self._chunks.append(np.empty((self._chunk_rows, self.dim), dtype=np.float32))
        for row, vector in enumerate(vectors, start=first):
            self._chunks[row // self._chunk_rows][row % self._chunk_rows] = vector
        self.slot[first:stop] = slot
        self.alive[first:stop] = True
        self.lifestyle[first:stop] = lifestyle
        self.count = stop  # last: whoever reads the new count finds the rows complete
        return tuple(range(first, stop))

    def gather(self, rows: IntArray) -> FloatArray:
        """Return copies of the given rows, in their order, of shape (n, dim)."""
        out = np.empty((len(rows), self.dim), dtype=np.float32)
        chunk_of = rows // self._chunk_rows
        for chunk in np.unique(chunk_of):
            here = chunk_of == chunk
            out[here] = self._chunks[chunk][rows[here] % self._chunk_rows]
        return out

    def scan(
        self, vector: FloatArray, mask: BoolArray, start: int, stop: int
    ) -> tuple[IntArray, FloatArray]:
        """Score every row of start..stop whose `mask` is set; return row ids and cosines."""
        rows: list[IntArray] = []
        scores: list[FloatArray] = []
        for block, inside, first in self._blocks(start, stop):
            hits = np.flatnonzero(mask[first : first + len(inside)])
            if len(hits):
                rows.append(hits + first)
                scores.append(_score(block, inside.start + hits, len(inside), vector))
        if not rows:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        return np.concatenate(rows), np.concatenate(scores)

    def _blocks(self, start: int, stop: int) -> Iterator[tuple[FloatArray, range, int]]:
        """Yield (chunk, positions in it, id of the first row) over start..stop."""
        while start < stop:
            chunk, first = divmod(start, self._chunk_rows)
            last = min(self._chunk_rows, first + stop - start)
            yield self._chunks[chunk], range(first, last), start
            start += last - first


def _score(chunk: FloatArray, positions: IntArray, span: int, vector: FloatArray) -> FloatArray:
    """Return the cosines of the chunk's rows at `positions`, which lie within `span` rows."""
    if len(positions) > DENSE_SHARE * span:
        first, last = int(positions[0]), int(positions[-1]) + 1
        dense: FloatArray = chunk[first:last] @ vector
        return dense[positions - first]
    out = np.empty(len(positions), dtype=np.float32)
    for begin in range(0, len(positions), GATHER_ROWS):
        part = positions[begin : begin + GATHER_ROWS]
        out[begin : begin + len(part)] = chunk[part] @ vector
    return out
