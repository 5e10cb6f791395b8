"""Inverted lists with 4-bit product quantisation: the one file that knows FAISS.

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

from visualsearch.errors import MissingLibraryError
from visualsearch.index.arrays import CodeArray, IntArray
from visualsearch.types import FloatArray

CENTROIDS_MOST = 2_048
NO_LIST = CENTROIDS_MOST  # a row that is on none yet
TRAINING_ROWS = 48  # per centroid
PQ_ROWS = 20_000
ROUNDS = 8  # of k-means: more buys nothing measurable here
BITS = 4
FIRST = 4  # times what is wanted: matching rows in the lists that are searched first
LEAST_REFINED = 100
WITHOUT_PAIRS = False  # labels are our row ids, not (list, place) pairs

ListArray = npt.NDArray[np.uint16]
ByteArray = npt.NDArray[np.uint8]
Estimated = tuple[IntArray, FloatArray]


@dataclass(frozen=True, slots=True)
class Effort:
    """How far to look: lists whose bound is above the best so far, and candidates to re-score."""

    reach: float
    refine: float  # times the rows wanted


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise MissingLibraryError(
            "FAISS is not installed, so filters are scanned: pip install 'visualsearch[cpu]', or "
            "[gpu]; faiss-cpu and faiss-gpu must not both be installed"
        ) from error
    return faiss


def centroids_for(rows: int) -> int:
    """Return how many lists suit so many rows: about the square root, a power of two."""
    wanted = max(16, int(np.sqrt(max(rows, 1))))
    return min(CENTROIDS_MOST, 1 << (wanted - 1).bit_length())


class Coder:
    """Centroids and code books, trained on a sample; it codes rows and orders lists."""

    def __init__(self, sample: FloatArray, rows: int, seed: int = 1) -> None:
        """Train on unit rows for an index of about `rows` rows: seconds of one core."""
        faiss = _faiss()
        faiss.omp_set_num_threads(1)  # of this thread only: searches keep the other cores
        self.rows = rows
        self.dim = sample.shape[1]
        count = min(centroids_for(rows), len(sample))
        means = faiss.Kmeans(
            self.dim, count, niter=ROUNDS, spherical=True, seed=seed,
            max_points_per_centroid=TRAINING_ROWS, min_points_per_centroid=1,
        )  # fmt: skip
        means.train(sample)
        self.centroids: FloatArray = means.centroids.copy()
        self._quantizer = faiss.IndexFlatIP(self.dim)
        self._quantizer.add(self.centroids)
        self._model = self._blank()
        part = sample[:PQ_ROWS]
        lists = self.lists_of(part)
        residual = np.ascontiguousarray(part - self.centroids[lists])
        self._model.pq.cp.niter = ROUNDS
        self._model.pq.cp.min_points_per_centroid = 1
        self._model.pq.train(residual)
        # How near a list's rows lie to its centroid, for the bound of `order`.
        near = np.einsum("ij,ij->i", part, self.centroids[lists])
        sums = np.bincount(lists, weights=near, minlength=count)
        sizes = np.bincount(lists, minlength=count)
        whole = float(near.mean())
        self._along = ((sums + whole) / (sizes + 1)).astype(np.float32)  # one row's worth of prior
        self._across = np.sqrt(np.maximum(0.0, 1.0 - self._along**2)).astype(np.float32)

    def lists_of(self, vectors: FloatArray) -> ListArray:
        """Return the list of each unit row."""
        out = np.empty(len(vectors), dtype=np.uint16)
        for begin in range(0, len(vectors), 1024):
            scores = vectors[begin : begin + 1024] @ self.centroids.T
            out[begin : begin + 1024] = scores.argmax(axis=1)
        return out

    def scores(self, vector: FloatArray) -> FloatArray:
        """Return the cosine of each centroid."""
        cosines: FloatArray = self.centroids @ vector
        return cosines

    def order(self, scores: FloatArray, reach: float) -> tuple[IntArray, FloatArray]:
        """Return the lists by the best score that they may hold, and those bounds, falling.

        A row of list l is `a·c + rest` with `a` the list's usual cosine to its centroid c: its
        score is about a·(q·c), give or take `reach` times what is left of both.
        """
        rest = np.sqrt(np.maximum(0.0, 1.0 - scores * scores))
        bounds = self._along * scores + np.float32(reach) * self._across * rest
        ranked = np.argsort(-bounds)
        return ranked, bounds[ranked]

    def piece(self) -> "Piece":
        """Return an empty piece to add rows to."""
        return Piece(self, self._blank(trained=self._model))

    def _blank(self, trained: Any = None) -> Any:
        faiss = _faiss()
        made = faiss.IndexIVFPQFastScan(
            self._quantizer, self.dim, len(self.centroids), self.dim // 2, BITS,
            faiss.METRIC_INNER_PRODUCT,
        )  # fmt: skip
        made.by_residual = True
        if trained is not None:
            faiss.copy_array_to_vector(
                faiss.vector_to_array(trained.pq.centroids), made.pq.centroids
            )
            made.is_trained = True
        return made


class Piece:
    """Coded rows; complete before it is searched."""

    def __init__(self, coder: Coder, index: Any) -> None:
        self.coder = coder
        self.rows: CodeArray = np.empty(0, dtype=np.int32)
        self._index = index
        self._parts: list[CodeArray] = []

    def add(self, rows: CodeArray, vectors: FloatArray) -> None:
        """Code rows: about 40 microseconds each."""
        self._index.add_with_ids(vectors, rows.astype(np.int64))
        self._parts.append(rows)

    def complete(self) -> "Piece":
        """Say that no row will follow."""
        self.rows = np.concatenate([self.rows, *self._parts])
        self._parts = []
        return self

    def search(
        self,
        vector: FloatArray,
        lists: IntArray,
        scores: FloatArray,
        wanted: int,
        bits: ByteArray | None,
    ) -> Estimated:
        """Return up to `wanted` rows of these lists and their estimated scores.

        `scores` are those of all centroids. `bits` has a bit per row id, least significant
        first: rows without it are left out; None is all.
        """
        faiss = _faiss()
        wanted = min(wanted, len(self.rows))
        found = np.empty((1, wanted), dtype=np.int64)
        estimates = np.empty((1, wanted), dtype=np.float32)
        chosen = np.ascontiguousarray(lists, dtype=np.int64)
        coarse = np.ascontiguousarray(scores[chosen])
        selector = None if bits is None else faiss.IDSelectorBitmap(bits)
        options = faiss.SearchParametersIVF(sel=selector, nprobe=len(chosen))
        pointer = faiss.swig_ptr
        self._index.search_preassigned_c(
            1, pointer(vector), wanted, pointer(chosen), pointer(coarse), pointer(estimates),
            pointer(found), WITHOUT_PAIRS, options,
        )  # fmt: skip
        real = found[0] >= 0
        return found[0][real], estimates[0][real]


def best_candidates(
    pieces: Sequence[Piece],
    vector: FloatArray,
    scores: FloatArray,
    bits: ByteArray | None,
    sizes: IntArray,
    wanted: int,
    effort: Effort,
    floor: float | None = None,
) -> IntArray:
    """Return the rows most likely among the `wanted` best, of all pieces; some may come twice.

    `scores` are those of the centroids; `sizes` says how many matching rows each list holds. The
    nearest lists that hold some times what is wanted are searched first, unless `floor` is given:
    a score that the wanted rows have elsewhere. What it says, or their last estimate, decides
    which of the other lists may hold something better.
    """
    order, bounds = pieces[0].coder.order(scores, effort.reach)
    kept = sizes[order] > 0
    order, bounds = order[kept], bounds[kept]
    refine = max(int(effort.refine * wanted), LEAST_REFINED)
    first = 0
    parts: list[Estimated] = []
    if floor is None:
        first = int(np.searchsorted(np.cumsum(sizes[order]), FIRST * wanted)) + 1
        parts = [piece.search(vector, order[:first], scores, refine, bits) for piece in pieces]
        estimates = np.concatenate([estimates for _, estimates in parts])
        floor = -2.0  # below any cosine
        if len(estimates) > wanted:
            floor = float(np.partition(estimates, len(estimates) - wanted)[-wanted])
    stop = first + int(np.searchsorted(-bounds[first:], -floor))
    if stop > first:
        more = order[first:stop]
        parts += [piece.search(vector, more, scores, refine, bits) for piece in pieces]
    rows = np.concatenate([rows for rows, _ in parts]) if parts else np.empty(0, dtype=np.int64)
    if len(rows) > refine:
        estimates = np.concatenate([estimates for _, estimates in parts])
        rows = rows[np.argpartition(estimates, len(rows) - refine)[-refine:]]
    return rows
