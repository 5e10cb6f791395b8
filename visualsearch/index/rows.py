"""Vectors, one row per version of a picture: 16-bit integers and a scale each.

As small as half precision and five times as exact (a component of a 512-d unit vector is off by
3e-6 at most, for the scale is the row's own), and NumPy widens integers with SIMD where its half
precision takes 4 microseconds a row (docs/adr/0010-the-live-index-at-speed.md).
"""

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from visualsearch.index.arrays import BoolArray, CodeArray, DoubleArray, IntArray, grown
from visualsearch.index.chunks import Chunks, StoredArray
from visualsearch.index.lowest import LowestFirst
from visualsearch.index.pages import Range
from visualsearch.types import FloatArray, ImageVector, Outcome, Record, VectorsRecord

UNIT_TOLERANCE = 0.02  # float16 rounding moves a unit vector's length by less than that
LARGEST = 32_767
BLOCK = 32  # numbers that BLAS multiplies and adds at once, wherever they are
NO_ROW = -1
WITH_VECTORS = 8  # times as long as another record does one with vectors take
RESERVE = 4_096  # free places whose memory is kept for rows that come next
AHEAD = 8_192  # rows beyond those in use that memory is there for,
AHEAD_OF = 16  # but one of so many of a chunk

Vectors = tuple[StoredArray, FloatArray]  # as they are stored: integers and scales


def parts(records: Sequence[Record], work: int) -> Iterator[Sequence[Record]]:
    """Yield the records in parts of about as much work; one without vectors counts as 1."""
    begin = done = 0
    for stop, record in enumerate(records, 1):
        done += WITH_VECTORS if type(record) is VectorsRecord and not record.deleted else 1
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
        record.images if type(record) is VectorsRecord and not record.deleted else None
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
    good = usable.tolist()
    at = 0
    for record, images, fit in zip(records, given, fitting, strict=True):
        if type(record) is not VectorsRecord or images is None:
            yield record, None
            continue
        stop = at + len(fit)
        if record.model != model:
            yield record, Outcome.FOREIGN_MODEL
        elif len(fit) < len(images) or not all(good[at:stop]):
            yield record, Outcome.INVALID
        else:
            yield record, (whole[at:stop], scales[at:stop])
        at = stop


def _normalised(vectors: Sequence[npt.ArrayLike], dim: int) -> tuple[FloatArray, BoolArray]:
    """Return float32 unit rows, and which of them can be used; the others are zero."""
    with np.errstate(over="ignore", invalid="ignore"):
        rows = np.array(vectors, dtype=np.float32).reshape(-1, dim)
        lengths = _lengths(rows)
        usable = np.abs(lengths - 1.0) <= UNIT_TOLERANCE  # false for NaN and infinity too
        if not usable.all():
            rows[~usable], lengths[~usable] = 0.0, 1.0
        rows /= lengths[:, None]
    return rows, usable


def _lengths(rows: FloatArray) -> FloatArray:
    """Return the length of each row; equal rows have equal ones: see `Rows.score`."""
    whole = rows.shape[1] % BLOCK == 0
    squares = np.vecdot(rows, rows) if whole else np.einsum("ij,ij->i", rows, rows)
    lengths: FloatArray = np.sqrt(squares)
    return lengths


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
    wide = rows * (LARGEST / np.maximum(peaks, 1e-9))[:, None]
    np.rint(wide, out=wide)
    scales: FloatArray = np.reciprocal(np.maximum(_lengths(wide), 1.0))
    return wide.astype(np.int16), scales


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

    A row's vector lies at a place of its own, which is used again as soon as no search shows the
    row: its id, by which a graph knows it, is kept until that graph is built again.
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
        self._place: IntArray = np.empty(0, dtype=np.int64)
        self._chunks = Chunks(dim, chunk_rows)
        self._ids = LowestFirst()
        self._places = LowestFirst()
        self._ahead = 0  # the place up to which there is memory
        self._room = min(AHEAD, chunk_rows // AHEAD_OF)

    @property
    def used(self) -> int:
        """Return how many rows something holds, superseded ones included."""
        return len(self._ids)

    def take(self, count: int) -> list[int]:
        """Return ids for new rows; `write` must follow before anyone reads."""
        taken = self._ids.take(count)
        stop = self._ids.top
        if stop > len(self.slot):
            self.slot = grown(self.slot, stop, NO_ROW)
            self.next = grown(self.next, stop, NO_ROW)
            self.alive = grown(self.alive, stop, fill=False)
            self.live = grown(self.live, stop, fill=False)
            self.lifestyle = grown(self.lifestyle, stop, fill=False)
            self._scale = grown(self._scale, stop, 0.0)
            self._place = grown(self._place, stop, 0)
        self.count = stop  # last: whoever reads the count finds the arrays large enough
        return taken

    def write(self, new: Sequence[NewRows]) -> IntArray:
        """Store the vectors of new rows, alive but not yet live; return their ids."""
        rows = np.array([row for each in new for row in each.rows], dtype=np.int64)
        if not len(rows):  # products without pictures
            return rows
        places = np.array(self._places.take(len(rows)), dtype=np.int64)
        self._chunks.grow(self._places.top)
        self._chunks.put(places, np.concatenate([each.whole for each in new]))
        self._place[rows] = places
        self._scale[rows] = np.concatenate([each.scales for each in new])
        self.slot[rows] = [each.slot for each in new for _ in each.rows]
        self.lifestyle[rows] = [scene for each in new for scene in each.lifestyle]
        self.live[rows] = False
        self.alive[rows] = True
        return rows

    def places_of(self, rows: IntArray) -> list[int]:
        """Return where the vectors of rows lie: dead ones' are to be vacated, see `Resting`."""
        places: list[int] = self._place[rows].tolist()
        return places

    def vacate(self, places: Sequence[int]) -> None:
        """Let other vectors be written to these places."""
        self._places.give(places)

    def free(self, rows: Sequence[int]) -> None:
        """Let the ids of dead rows that no queue and no graph holds be used again."""
        self._ids.give(rows)

    def spare(self) -> list[int]:
        """Take the places that are not needed soon, until `vacate` brings them back."""
        return self._places.spare(RESERVE)

    def give_back(self, spare: Sequence[int]) -> None:
        """Give the memory of spare places back to the system; it needs no lock."""
        self._chunks.give_back(np.array(spare, dtype=np.int64))

    @property
    def short(self) -> bool:
        """Return whether the rows that come next will soon have no memory yet."""
        return self._places.top + self._room // 2 > self._ahead

    def reach(self) -> list[Range]:
        """Return the memory of rows that come next, to be populated; it needs the lock."""
        top = self._places.top
        begin, self._ahead = max(top, self._ahead), top + self._room
        return self._chunks.reach(begin, self._ahead)

    def key(self, row: int) -> tuple[bytes, bool]:
        """Return what makes two pictures the same to a search."""
        return self._chunks.row(int(self._place[row])).tobytes(), bool(self.lifestyle[row])

    def unit(self, rows: IntArray) -> FloatArray:
        """Return unit vectors of the given rows, in their order, float32 of shape (n, dim)."""
        out: FloatArray = np.empty((len(rows), self.dim), dtype=np.float32)
        self._copy(rows, out)
        out *= self._scale[rows][:, None]
        return out

    def raw(self, rows: IntArray) -> Vectors:
        """Return the given rows as they are stored, in their order."""
        out: StoredArray = np.empty((len(rows), self.dim), dtype=np.int16)
        self._copy(rows, out)
        return out, self._scale[rows]

    def _copy(self, rows: IntArray, out: StoredArray | FloatArray) -> None:
        """Copy the stored integers of the given rows, in their order."""
        places = self._place[rows]
        order = np.argsort(places, kind="stable")
        for begin, whole, _ in self._chunks.blocks(places[order]):
            out[order[begin : begin + len(whole)]] = whole

    def adopt(self, saved: SavedRows) -> None:
        """Take the rows of a snapshot for ids from 0 on; nothing may have been stored before."""
        count = len(saved.whole)
        self._chunks.adopt(saved.whole)
        self.slot = saved.slot.astype(np.int64)
        self._scale, self.lifestyle = saved.scales, saved.lifestyle
        self.next = saved.next
        self.alive = np.ones(count, dtype=np.bool_)
        self.live = np.zeros(count, dtype=np.bool_)
        self._place = np.arange(count)
        self._ids, self._places = LowestFirst(count), LowestFirst(count)
        self.count = self._ahead = count

    def score(self, rows: IntArray, vector: FloatArray) -> DoubleArray:
        """Return the cosines of the given rows as float64 of shape (n,).

        Equal pictures score equally wherever they are stored: `vecdot` sums each row for itself,
        where BLAS's product of a matrix sums the last rows of a block differently. A row's numbers
        beyond whole BLOCKs are summed as the alignment has it, so `einsum` takes such rows.
        """
        places, order = self._place[rows], None
        if (places[1:] < places[:-1]).any():  # some were written where others had died
            order = np.argsort(places)
            places = places[order]
        out = np.empty(len(rows), dtype=np.float32)
        for begin, whole, wide in self._chunks.blocks(places):
            np.copyto(wide, whole)
            if self.dim % BLOCK == 0:
                np.vecdot(wide, vector, out=out[begin : begin + len(whole)])
            else:
                np.einsum("ij,j->i", wide, vector, out=out[begin : begin + len(whole)])
        if order is not None:
            out[order] = out.copy()
        scores: DoubleArray = np.multiply(out, self._scale[rows], dtype=np.float64)
        return scores
