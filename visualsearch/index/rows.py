"""Vectors, one row per version of a picture: 16-bit integers and a scale each.

As small as half precision and five times as exact (a component of a 512-d unit vector is off by
3e-6 at most, for the scale is the row's own), and NumPy widens integers with SIMD where its half
precision takes 4 microseconds a row (docs/adr/0010-the-live-index-at-speed.md).
"""

from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush
from itertools import repeat
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from visualsearch.index.arrays import BoolArray, CodeArray, DoubleArray, IntArray, grown
from visualsearch.index.chunks import Chunks, StoredArray
from visualsearch.index.pages import Range
from visualsearch.types import FloatArray, ImageVector, Outcome, Record, VectorsRecord

UNIT_TOLERANCE = 0.02  # float16 rounding moves a unit vector's length by less than that
LARGEST = 32_767
BLOCK = 32  # numbers that BLAS multiplies and adds at once, wherever they are
NO_ROW = -1
WITH_VECTORS = 8  # times as long as another record does one with vectors take
RESERVE = 4_096  # free rows whose memory is kept for those that come next
AHEAD = 8_192  # rows beyond those in use that memory is there for,
AHEAD_OF = 16  # but one of so many of a chunk

Vectors = tuple[StoredArray, FloatArray]  # as they are stored: integers and scales


def parts(records: Sequence[Record], work: int) -> Iterator[Sequence[Record]]:
    """Yield the records in parts of about as much work; one without vectors counts as 1."""
    begin = done = 0
    for stop, record in enumerate(records, 1):
        done += WITH_VECTORS if isinstance(record, VectorsRecord) and not record.deleted else 1
        if done >= work:
            yield records[begin:stop]
            begin, done = stop, 0
    if begin < len(records):
        yield records[begin:]


def prepared(
    records: Sequence[Record], dim: int, model: str
) -> Iterator[tuple[Record, Vectors | Outcome | None]]:
    """Yield each record with what its vectors are to the index, worked out for all at once.

    Vectors as they are stored; the outcome INVALID or FOREIGN_MODEL of those that are of no use;
    None for a record without vectors or a delete marker.
    """
    given = [
        record.images if isinstance(record, VectorsRecord) and not record.deleted else None
        for record in records
    ]
    if given.count(None) == len(given):
        yield from zip(records, repeat(None))
        return
    fitting = [
        images if images and all(image.vector.shape == (dim,) for image in images) else ()
        for images in given
    ]
    rows, usable = _normalised([image.vector for images in fitting for image in images], dim)
    whole, scales = stored(rows)
    at = 0
    for record, images, fit in zip(records, given, fitting, strict=True):
        stop = at + len(fit)
        if not isinstance(record, VectorsRecord) or images is None:
            yield record, None
        elif record.model != model:
            yield record, Outcome.FOREIGN_MODEL
        elif len(fit) < len(images) or not usable[at:stop].all():
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
    if any(image.vector.shape != (dim,) for image in images):
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
        self._chunks = Chunks(dim, chunk_rows)
        self._free: list[int] = []  # a heap
        self._ahead = 0  # the id up to which there is memory
        self._room = min(AHEAD, chunk_rows // AHEAD_OF)

    @property
    def used(self) -> int:
        """Return how many rows something holds, superseded ones included."""
        return self.count - len(self._free)

    def take(self, count: int) -> list[int]:
        """Return ids for new rows; `write` must follow before anyone reads.

        The lowest free ones come first, so that what is free gathers where it can be given back.
        """
        taken = [heappop(self._free) for _ in range(min(count, len(self._free)))]
        first, stop = self.count, self.count + count - len(taken)
        if stop > first:
            self._chunks.grow(stop)
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
        self._chunks.put(rows, np.concatenate([each.whole for each in new]))
        self._scale[rows] = np.concatenate([each.scales for each in new])
        self.slot[rows] = [each.slot for each in new for _ in each.rows]
        self.lifestyle[rows] = [scene for each in new for scene in each.lifestyle]
        self.live[rows] = False
        self.alive[rows] = True
        return rows

    def free(self, rows: Sequence[int]) -> None:
        """Let dead rows that no queue and no graph holds be used again."""
        if 8 * len(rows) > len(self._free):
            self._free.extend(rows)
            heapify(self._free)
        else:
            for row in rows:
                heappush(self._free, row)

    def spare(self) -> list[int]:
        """Take the free rows that are not needed soon, ascending, until `free` brings them back."""
        self._free.sort()
        spare = self._free[RESERVE:]
        del self._free[RESERVE:]
        return spare

    def give_back(self, spare: Sequence[int]) -> None:
        """Give the memory of spare rows back to the system; it needs no lock."""
        self._chunks.give_back(np.array(spare, dtype=np.int64))

    @property
    def short(self) -> bool:
        """Return whether the rows that come next will soon have no memory yet."""
        return self.count + self._room // 2 > self._ahead

    def reach(self) -> list[Range]:
        """Return the memory of rows that come next, to be populated; it needs the lock."""
        begin, self._ahead = max(self.count, self._ahead), self.count + self._room
        return self._chunks.reach(begin, self._ahead)

    def key(self, row: int) -> tuple[bytes, bool]:
        """Return what makes two pictures the same to a search."""
        return self._chunks.row(row).tobytes(), bool(self.lifestyle[row])

    def unit(self, rows: IntArray) -> FloatArray:
        """Return unit vectors of the given rows, in their order, float32 of shape (n, dim)."""
        order = np.argsort(rows, kind="stable")
        out = np.empty((len(rows), self.dim), dtype=np.float32)
        for begin, whole, _ in self._chunks.blocks(rows[order]):
            out[order[begin : begin + len(whole)]] = whole
        out *= self._scale[rows][:, None]
        return out

    def raw(self, rows: IntArray) -> Vectors:
        """Return the given rows as they are stored, in their order."""
        order = np.argsort(rows, kind="stable")
        out = np.empty((len(rows), self.dim), dtype=np.int16)
        for begin, whole, _ in self._chunks.blocks(rows[order]):
            out[order[begin : begin + len(whole)]] = whole
        return out, self._scale[rows]

    def adopt(self, saved: SavedRows) -> None:
        """Take the rows of a snapshot for ids from 0 on; nothing may have been stored before."""
        count = len(saved.whole)
        self._chunks.adopt(saved.whole)
        self.slot = saved.slot.astype(np.int64)
        self._scale, self.lifestyle = saved.scales, saved.lifestyle
        self.next = saved.next
        self.alive = np.ones(count, dtype=np.bool_)
        self.live = np.zeros(count, dtype=np.bool_)
        self.count = self._ahead = count

    def score(self, rows: IntArray, vector: FloatArray) -> DoubleArray:
        """Return the cosines of the given rows, ascending ids, as float64 of shape (n,).

        Equal pictures score equally wherever they are stored: `vecdot` sums each row for itself,
        where BLAS's product of a matrix sums the last rows of a block differently. A row's numbers
        beyond whole BLOCKs are summed as the alignment has it, so `einsum` takes such rows.
        """
        out = np.empty(len(rows), dtype=np.float32)
        for begin, whole, wide in self._chunks.blocks(rows):
            np.copyto(wide, whole)
            if self.dim % BLOCK == 0:
                np.vecdot(wide, vector, out=out[begin : begin + len(whole)])
            else:
                np.einsum("ij,j->i", wide, vector, out=out[begin : begin + len(whole)])
        scores = out.astype(np.float64)
        scores *= self._scale[rows]
        return scores
