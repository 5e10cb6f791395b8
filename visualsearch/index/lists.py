"""Inverted lists with 4-bit product quantisation: with `codes`, the files that know FAISS.

Every row belongs to the list of its nearest centroid and is coded, as the rest to that centroid,
in 4 bits per two dimensions, which FAISS scores 32 at a time in SIMD registers (André et al.,
"Cache locality is not enough", VLDB 2015; `IndexIVFPQFastScan`). Whatever the filter, scanning
the codes costs about 30 ns a row, where a graph must be walked through what does not match.
Candidates are scored exactly afterwards, so that codes lose recall but never falsify a score.

A `Piece` is immutable once it is built, so that searches need no lock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from visualsearch.index.arrays import BoolArray, CodeArray, IntArray
from visualsearch.index.codes import (
    Book,
    ListArray,
    add_coded,
    faiss_library,
    fine_index,
    join_coded,
    nearest,
    packed,
    quantizer_of,
)
from visualsearch.types import FloatArray

FIRST = 2  # times what is wanted: matching rows in the lists that are searched first
LEAST_REFINED = 100
NEAREST = 16  # lists that are ranked at first: mostly two or three hold what is wanted
ACROSS = 1e-3  # of a list of one row nothing is left
COARSE_REFINED = 2  # times as many candidates, as long as there are codes of half the bytes
WITHOUT_PAIRS = False  # labels are our row ids, not (list, place) pairs

ByteArray = npt.NDArray[np.uint8]
Estimated = tuple[IntArray, FloatArray]


@dataclass(frozen=True, slots=True)
class Effort:
    """How far to look: lists whose bound is above the best so far, and candidates to re-score."""

    reach: float
    refine: float  # times the rows wanted


class Coder:
    """What a book says of rows: it codes them and bounds what lists hold."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.rows = book.rows
        self.dim = book.centroids.shape[1]
        self.centroids = book.centroids
        self.quantizer = quantizer_of(book)  # of every index of this coder
        across = np.sqrt(np.maximum(ACROSS**2, 1.0 - book.along**2))
        self.across: FloatArray = across.astype(np.float32)  # what is left of a row of each list
        self._usual = book.along[:, None] * book.centroids

    def lists_of(self, vectors: FloatArray) -> ListArray:
        """Return the list of each unit row."""
        return nearest(vectors, self.centroids)

    def scores(self, vector: FloatArray) -> FloatArray:
        """Return the cosine of each centroid."""
        cosines: FloatArray = self.centroids @ vector
        return cosines

    def usual(self, vectors: FloatArray) -> FloatArray:
        """Return what the rows of each list score, as a rule: of shape (lists,), or (n, lists)."""
        scores: FloatArray = vectors @ self._usual.T
        return scores

    def bounds(self, scores: FloatArray, reach: float) -> FloatArray:
        """Return about the best score that each list may hold.

        A row of list l is `a·c + rest` with `a` the list's usual cosine to its centroid c: its
        score is about a·(q·c), give or take `reach` times what is left of both.
        """
        rest = np.sqrt(np.maximum(0.0, 1.0 - scores * scores))
        bounds: FloatArray = self.book.along * scores + np.float32(reach) * self.across * rest
        return bounds

    def piece(self) -> "Piece":
        """Return an empty piece to add rows to."""
        return Piece(self, fine_index(self.book, self.quantizer))


class Piece:
    """Coded rows; complete before it is searched. A coarse one, of a snapshot, finds less.

    A young one keeps its codes as they were added, too, so that the next rows can be joined to it
    without coding its own again: it is itself never changed.
    """

    def __init__(self, coder: Coder, index: Any, *, coarse: bool = False) -> None:
        self.coder = coder
        self.coarse = coarse
        self.rows: CodeArray = np.empty(0, dtype=np.int32)
        self._index = index
        self.codes: Any = None  # as they were added, while it is young
        self._parts: list[CodeArray] = []

    @property
    def young(self) -> bool:
        """Return whether it can be joined to another."""
        return self.codes is not None

    def add(self, rows: CodeArray, vectors: FloatArray, lists: ListArray) -> None:
        """Code rows that belong to these lists."""
        add_coded(self._index, rows.astype(np.int64), vectors, lists)
        self._parts.append(rows)

    def _gather(self) -> None:
        self.rows = np.concatenate([self.rows, *self._parts])
        self._parts = []

    def join(self, young: "Piece", alive: BoolArray) -> None:
        """Take the rows of a young piece that are alive, and not in this one with other codes."""
        self._gather()
        kept = alive[young.rows] & ~np.isin(young.rows, self.rows)
        join_coded(self._index, young.codes, self.coder.book, young.rows[~kept])
        self.rows = np.concatenate([self.rows, young.rows[kept]])

    def complete(self, *, young: bool = False) -> "Piece":
        """Say that no row will follow, and make it fit for searches."""
        self._gather()
        self.codes = self._index if young else None
        self._index = packed(self._index, self.coder.quantizer)
        return self

    def search(self, asked: "Asked", wanted: int) -> Estimated:
        """Return up to `wanted` rows of the lists asked for, and their estimated scores."""
        wanted = min(wanted, len(self.rows))
        found = np.empty((1, wanted), dtype=np.int64)
        estimates = np.empty((1, wanted), dtype=np.float32)
        pointer = faiss_library().swig_ptr
        self._index.search_preassigned_c(
            1, pointer(asked.vector), wanted, pointer(asked.lists), pointer(asked.coarse),
            pointer(estimates), pointer(found), WITHOUT_PAIRS, asked.options,
        )  # fmt: skip
        real = found[0] >= 0
        return found[0][real], estimates[0][real]


class Asked:
    """What is asked of every piece: the lists to look at, and which rows count.

    `scores` are those of all centroids. `bits` has a bit per row id, least significant first: rows
    without it are left out; None is all.
    """

    def __init__(
        self, vector: FloatArray, lists: IntArray, scores: FloatArray, bits: ByteArray | None
    ) -> None:
        faiss = faiss_library()
        self.vector = vector
        self.lists = np.ascontiguousarray(lists, dtype=np.int64)
        self.coarse = np.ascontiguousarray(scores[self.lists])
        self.options: Any = faiss.SearchParametersIVF()  # by keywords it takes twice as long
        self.options.nprobe = len(self.lists)
        if bits is not None:
            self._selector: Any = faiss.IDSelectorBitmap(bits)  # FAISS keeps only its address
            self.options.sel = self._selector


def best_candidates(
    pieces: Sequence[Piece],
    vector: FloatArray,
    scores: FloatArray,
    bits: ByteArray | None,
    sizes: IntArray,
    wanted: int,
    effort: Effort,
) -> tuple[IntArray, BoolArray]:
    """Return the rows most likely among the `wanted` best, of all pieces; some may come twice.

    The second value says of each list whether such rows may be on it: also of one that holds none.
    `scores` are those of the centroids; `sizes` says how many matching rows each list holds. The
    nearest lists that hold some times what is wanted are searched first; the last estimate of
    those decides which of the other lists may hold something better.
    """
    bounds = pieces[0].coder.bounds(scores, effort.reach)
    first = _first(bounds, sizes, FIRST * wanted)
    refine = max(int(effort.refine * wanted), LEAST_REFINED)
    if any(piece.coarse for piece in pieces):
        refine *= COARSE_REFINED
    asked = Asked(vector, first, scores, bits)
    parts = [piece.search(asked, refine) for piece in pieces]
    estimates = np.concatenate([estimates for _, estimates in parts])
    floor = -2.0  # below any cosine
    if len(estimates) > wanted:
        floor = float(np.partition(estimates, len(estimates) - wanted)[-wanted])
    better = bounds > floor
    better[first] = True
    held = better & (sizes > 0)
    held[first] = False
    others = np.flatnonzero(held)
    if len(others):
        asked = Asked(vector, others, scores, bits)
        parts += [piece.search(asked, refine) for piece in pieces]
    rows = np.concatenate([rows for rows, _ in parts])
    if len(rows) > refine:
        estimates = np.concatenate([estimates for _, estimates in parts])
        rows = rows[np.argpartition(estimates, len(rows) - refine)[-refine:]]
    return rows, better


def _first(bounds: FloatArray, sizes: IntArray, rows: int) -> IntArray:
    """Return the lists of the highest bounds that hold so many matching rows together."""
    best = int(bounds.argmax())
    if sizes[best] >= rows:  # mostly, without a filter
        return np.array([best])
    count = min(NEAREST, len(bounds))
    while True:
        nearest = np.argpartition(bounds, len(bounds) - count)[-count:]
        nearest = nearest[np.argsort(-bounds[nearest])]
        nearest = nearest[sizes[nearest] > 0]
        held = np.cumsum(sizes[nearest])
        enough = int(np.searchsorted(held, rows))
        if enough < len(held) or count == len(bounds):
            return nearest[: enough + 1]
        count = min(4 * count, len(bounds))
