"""Vectors in fixed chunks, one row per version of a picture: 16-bit integers and a scale each.

As small as half precision and five times as exact (a component of a 512-d unit vector is off by
3e-6 at most, for the scale is the row's own), and NumPy widens integers with SIMD where its half
precision takes 4 microseconds a row (docs/adr/0010-the-live-index-at-speed.md).
"""

import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from visualsearch.index.arrays import BoolArray, CodeArray, IntArray, grown
from visualsearch.types import FloatArray, ImageVector, Outcome, Record, VectorsRecord

BLOCK_ROWS = 512  # widened rows that stay in the cache while gemv reads them
UNIT_TOLERANCE = 0.02  # float16 rounding moves a unit vector's length by less than that
LARGEST = 32_767
NO_ROW = -1
PREPARED = 512  # records whose vectors are worked out together

StoredArray = npt.NDArray[np.int16]
DoubleArray = npt.NDArray[np.float64]


Vectors = tuple[StoredArray, FloatArray]  # as they are stored: integers and scales


def prepared(
    records: Sequence[Record], dim: int, model: str
) -> Iterator[tuple[Record, Vectors | Outcome | None]]:
    """Yield each record with what its vectors are to the index, worked out for many at once.

    Vectors as they are stored; the outcome INVALID or FOREIGN_MODEL of those that are of no use;
    None for a record without vectors or a delete marker.
    """
    for begin in range(0, len(records), PREPARED):
        part = records[begin : begin + PREPARED]
        given = [
            record.images if isinstance(record, VectorsRecord) and not record.deleted else ()
            for record in part
        ]
        fits = [all(np.shape(image.vector) == (dim,) for image in images) for images in given]
        stacked = [
            image.vector for images, fit in zip(given, fits, strict=True) if fit for image in images
        ]
        rows, usable = _normalised(stacked, dim)
        whole, scales = stored(rows)
        at = 0
        for record, images, fit in zip(part, given, fits, strict=True):
            stop = at + len(images) if fit else at
            if not isinstance(record, VectorsRecord) or record.deleted:
                yield record, None
            elif record.model != model:
                yield record, Outcome.FOREIGN_MODEL
            elif not fit or not usable[at:stop].all():
                yield record, Outcome.INVALID
            else:
                yield record, (whole[at:stop], scales[at:stop])
            at = stop


def _normalised(vectors: Sequence[npt.ArrayLike], dim: int) -> tuple[FloatArray, BoolArray]:
    """Return float32 unit rows, and which of them can be used; the others are zero."""
    with np.errstate(over="ignore", invalid="ignore"):
        rows = np.array(vectors, dtype=np.float32).reshape(-1, dim)
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
        usable = np.abs(lengths - 1.0) <= UNIT_TOLERANCE  # false for NaN and infinity too
        rows /= np.where(usable, lengths, 1.0)[:, None]
    rows[~usable] = 0.0
    return rows, usable


def unit_rows(images: Sequence[ImageVector], dim: int) -> FloatArray | None:
    """Return the vectors as float32 unit rows of shape (n, dim), or None if one is unusable.

    Unusable is: another shape, not finite, or a length that rounding cannot explain. hnswlib
    would take all of these silently and answer nonsense, so they stop here.
    """
    if any(np.shape(image.vector) != (dim,) for image in images):
        return None
    rows, usable = _normalised([image.vector for image in images], dim)
    return rows if usable.all() else None


def stored(rows: FloatArray) -> Vectors:
    """Return unit rows as integers and the factors that give them unit length again."""
    peaks = np.abs(rows).max(axis=1, initial=0.0)
    whole = np.rint(rows * (LARGEST / np.maximum(peaks, 1e-9))[:, None]).astype(np.int16)
    lengths = np.sqrt(np.einsum("ij,ij->i", whole, whole, dtype=np.float64))
    return whole, (1.0 / np.maximum(lengths, 1.0)).astype(np.float32)


class NewRows(NamedTuple):
    """Rows of one product that are to be stored."""

    slot: int
    rows: Sequence[int]
    whole: StoredArray
    scales: FloatArray
    lifestyle: Sequence[bool]


class SavedRows(NamedTuple):
    """Rows of a snapshot: what `Rows` keeps of each, and its list or NO_LIST."""

    whole: StoredArray
    scales: FloatArray
    slot: CodeArray
    next: CodeArray
    lifestyle: BoolArray
    list_of: npt.NDArray[np.uint16]


class Rows:
    """Storage of unit vectors by row id; a row that nothing holds any more is used again.

    `slot` says which product a row belongs to. `alive` falls when a newer set of pictures
    replaces the row. `live` is alive and its product searchable; it may change back and forth.
    `next` is the product's next row or NO_ROW. One thread writes, under the engine's lock;
    readers look at rows that a view of theirs showed alive.
    """

    def __init__(self, dim: int, *, chunk_rows: int) -> None:
        self.dim = dim
        self.count = 0  # rows ever used at once: ids are below it
        # 64 bits, for masks are taken by it: NumPy would copy smaller ones to that first.
        self.slot: IntArray = np.empty(0, dtype=np.int64)
        self.next: CodeArray = np.empty(0, dtype=np.int32)
        self.alive: BoolArray = np.empty(0, dtype=np.bool_)
        self.live: BoolArray = np.empty(0, dtype=np.bool_)
        self.lifestyle: BoolArray = np.empty(0, dtype=np.bool_)
        self._scale: FloatArray = np.empty(0, dtype=np.float32)
        self._chunk_rows = chunk_rows
        self._chunks: list[StoredArray] = []
        self._free: list[int] = []
        self._buffers = threading.local()

    @property
    def used(self) -> int:
        """Return how many rows something holds, superseded ones included."""
        return self.count - len(self._free)

    def take(self, count: int) -> list[int]:
        """Return ids for new rows, free ones first; `write` must follow before anyone reads."""
        taken = self._free[len(self._free) - min(count, len(self._free)) :]
        del self._free[len(self._free) - len(taken) :]
        first, stop = self.count, self.count + count - len(taken)
        if stop > first:
            while stop > len(self._chunks) * self._chunk_rows:
                self._chunks.append(np.empty((self._chunk_rows, self.dim), dtype=np.int16))
            if stop > len(self.slot):
                self.slot = grown(self.slot, stop, NO_ROW)
                self.next = grown(self.next, stop, NO_ROW)
                self.alive = grown(self.alive, stop, fill=False)
                self.live = grown(self.live, stop, fill=False)
                self.lifestyle = grown(self.lifestyle, stop, fill=False)
                self._scale = grown(self._scale, stop, 0.0)
            taken.extend(range(first, stop))
            self.count = stop  # last: whoever reads the count finds the arrays large enough
        return taken

    def write(self, new: Sequence[NewRows]) -> IntArray:
        """Store the vectors of new rows, alive but not yet live; return their ids."""
        rows = np.array([row for each in new for row in each.rows], dtype=np.int64)
        if not len(rows):  # products without pictures
            return rows
        whole = np.concatenate([each.whole for each in new])
        chunk_of = rows // self._chunk_rows
        if chunk_of[0] == chunk_of[-1] and (chunk_of == chunk_of[0]).all():
            self._chunks[chunk_of[0]][rows % self._chunk_rows] = whole
        else:
            for row, vector in zip(rows.tolist(), whole, strict=True):
                self._chunks[row // self._chunk_rows][row % self._chunk_rows] = vector
        self._scale[rows] = np.concatenate([each.scales for each in new])
        self.slot[rows] = [each.slot for each in new for _ in each.rows]
        self.lifestyle[rows] = [scene for each in new for scene in each.lifestyle]
        self.live[rows] = False
        self.alive[rows] = True
        return rows

    def free(self, rows: Sequence[int]) -> None:
        """Let dead rows that no queue and no graph holds be used again."""
        self._free.extend(rows)

    def key(self, row: int) -> tuple[bytes, bool]:
        """Return what makes two pictures the same to a search."""
        stored_row = self._chunks[row // self._chunk_rows][row % self._chunk_rows]
        return stored_row.tobytes(), bool(self.lifestyle[row])

    def unit(self, rows: IntArray) -> FloatArray:
        """Return unit vectors of the given rows, in their order, float32 of shape (n, dim)."""
        order = np.argsort(rows, kind="stable")
        out = np.empty((len(rows), self.dim), dtype=np.float32)
        for begin, whole in self._blocks(rows[order]):
            out[order[begin : begin + len(whole)]] = whole
        out *= self._scale[rows][:, None]
        return out

    def raw(self, rows: IntArray) -> Vectors:
        """Return the given rows as they are stored, in their order."""
        order = np.argsort(rows, kind="stable")
        out = np.empty((len(rows), self.dim), dtype=np.int16)
        for begin, whole in self._blocks(rows[order]):
            out[order[begin : begin + len(whole)]] = whole
        return out, self._scale[rows]

    def adopt(self, saved: SavedRows) -> None:
        """Take the rows of a snapshot for ids from 0 on; nothing may have been stored before.

        Whole chunks are those of the snapshot's file, mapped: a page is read when it is first
        used, and copied when it is first written. Only the last one is copied now.
        """
        count, size = len(saved.whole), self._chunk_rows
        whole = count - count % size
        self._chunks = [saved.whole[at : at + size] for at in range(0, whole, size)]
        if count > whole:
            last = np.empty((size, self.dim), dtype=np.int16)
            last[: count - whole] = saved.whole[whole:]
            self._chunks.append(last)
        self.slot = saved.slot.astype(np.int64)
        self._scale, self.lifestyle = saved.scales, saved.lifestyle
        self.next = saved.next
        self.alive = np.ones(count, dtype=np.bool_)
        self.live = np.zeros(count, dtype=np.bool_)
        self.count = count

    def score(self, rows: IntArray, vector: FloatArray) -> FloatArray:
        """Return the cosines of the given rows, ascending ids, as float32 of shape (n,)."""
        out = np.empty(len(rows), dtype=np.float32)
        wide = self._buffer[1]
        for begin, whole in self._blocks(rows):
            block = wide[: len(whole)]
            np.copyto(block, whole)
            np.dot(block, vector, out=out[begin : begin + len(whole)])
        out *= self._scale[rows]
        return out

    def exact(self, rows: IntArray, vector: FloatArray) -> DoubleArray:
        """Return float64 cosines of the given rows, ascending, that do not depend on the others.

        BLAS sums a row differently at the end of a block; a sum per row does not, so that equal
        pictures score equally wherever they are stored.
        """
        out = np.empty(len(rows), dtype=np.float64)
        buffer = self._buffer[1]
        for begin, whole in self._blocks(rows):
            wide = buffer[: len(whole)]
            np.copyto(wide, whole)
            out[begin : begin + len(whole)] = np.einsum("ij,j->i", wide, vector)
        return out * self._scale[rows]

    def _blocks(self, rows: IntArray) -> Iterator[tuple[int, StoredArray]]:
        """Yield (position, stored rows) over ascending ids, a cacheful at a time.

        The stored rows are only there until the next ones are asked for.
        """
        size = self._chunk_rows
        for begin in range(0, len(rows), BLOCK_ROWS):
            ids = rows[begin : begin + BLOCK_ROWS]
            first, last = int(ids[0]), int(ids[-1])
            low, high = first // size, last // size
            together = low == high and last - first + 1 == len(ids)
            if together and (np.diff(ids) == 1).all():  # no id twice either
                yield begin, self._chunks[low][first - low * size : last + 1 - low * size]
            else:
                yield begin, self._gathered(ids, low, high)

    def _gathered(self, ids: IntArray, low: int, high: int) -> StoredArray:
        """Return rows of these chunks, in this thread's buffer."""
        out = self._buffer[0][: len(ids)]
        chunks = range(low, high + 1)
        borders = self._chunk_rows * np.arange(low + 1, high + 1)
        stops = [*np.searchsorted(ids, borders).tolist(), len(ids)]
        start = 0
        for chunk, stop in zip(chunks, stops, strict=True):
            if stop > start:
                inside = ids[start:stop] - chunk * self._chunk_rows
                # "clip", for with "raise" it would fill a buffer of its own first
                self._chunks[chunk].take(inside, axis=0, out=out[start:stop], mode="clip")
            start = stop
        return out

    @property
    def _buffer(self) -> tuple[StoredArray, FloatArray]:
        """Return this thread's blocks; new ones for each search would fault their pages."""
        blocks: tuple[StoredArray, FloatArray] | None = getattr(self._buffers, "blocks", None)
        if blocks is None:
            blocks = self._buffers.blocks = (
                np.empty((BLOCK_ROWS, self.dim), dtype=np.int16),
                np.empty((BLOCK_ROWS, self.dim), dtype=np.float32),
            )
        return blocks
