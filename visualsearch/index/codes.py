"""Centroids and code books, and the FAISS indexes made of them: with `lists`, what knows FAISS.

A book is a few arrays, so that a snapshot can keep it: training is what costs.
"""

from collections.abc import Generator
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
HELD_ROWS = 2_048  # of the sample, that only say how well the centroids fit
PQ_ROWS = 20_000
ROUNDS = 8  # of k-means: more buys nothing measurable here
BITS = 4
FINE = 2  # dimensions per code: what searches are served from
COARSE = 4  # what a snapshot keeps, in half the bytes

ListArray = npt.NDArray[np.uint16]
NO_LISTS: ListArray = np.empty(0, dtype=np.uint16)


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """What training has found: centroids, the rows around them, and codes for the rest."""

    rows: int  # that it was trained for
    centroids: FloatArray  # shape (lists, dim)
    along: FloatArray  # shape (lists,): the usual cosine of a list's rows to its centroid
    fine: FloatArray  # code books of the residuals by FINE dimensions, flat
    coarse: FloatArray  # and by COARSE
    misfit: float  # 1 - cosine of a row to its centroid, the mean of rows not trained on


Training = Generator[Book | None, None, None]


def faiss_library() -> Any:
    """Return the module `faiss`. Raises MissingLibraryError."""
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


def nearest(vectors: FloatArray, centroids: FloatArray) -> ListArray:
    """Return the list of each unit row."""
    out = np.empty(len(vectors), dtype=np.uint16)
    for begin in range(0, len(vectors), 1024):
        scores = vectors[begin : begin + 1024] @ centroids.T
        out[begin : begin + 1024] = scores.argmax(axis=1)
    return out


def sample_rows(rows: int) -> int:
    """Return how many rows to train on, those held back included, for an index of so many."""
    return min(rows, TRAINING_ROWS * centroids_for(rows) + HELD_ROWS)


def trained(sample: FloatArray, rows: int, seed: int = 1) -> Book:
    """Train on unit rows, in any order, for an index of about `rows` rows: seconds of one core.

    Raises MissingLibraryError without FAISS.
    """
    return next(book for book in training(sample, rows, seed) if book is not None)


def training(sample: FloatArray, rows: int, seed: int = 1) -> Training:
    """Train in steps of under a second: yield None after each, and the book at last.

    k-means runs on a GPU where FAISS has one. Raises MissingLibraryError without FAISS.
    """
    dim = sample.shape[1]
    held = min(HELD_ROWS, len(sample) // 8)
    others, sample = sample[:held], sample[held:]
    count = min(centroids_for(rows), len(sample))
    centroids: FloatArray | None = None
    for n in range(ROUNDS):
        centroids = _refined(sample, count, seed + n, centroids)
        yield None
    assert centroids is not None  # noqa: S101 - after the first round
    part = sample[:PQ_ROWS]
    lists = nearest(part, centroids)
    residual = np.ascontiguousarray(part - centroids[lists])
    # How near a list's rows lie to its centroid, for the bound of `Coder.order`.
    near = np.einsum("ij,ij->i", part, centroids[lists])
    sums = np.bincount(lists, weights=near, minlength=count)
    sizes = np.bincount(lists, minlength=count)
    whole = float(near.mean())
    fine = _code_book(residual, dim // FINE)
    yield None
    yield Book(
        rows=rows,
        centroids=centroids,
        along=((sums + whole) / (sizes + 1)).astype(np.float32),  # one row's worth of prior
        fine=fine,
        coarse=_code_book(residual, dim // coarse_width(dim)),
        misfit=misfit(others, centroids) if held else 1.0 - whole,
    )


def _refined(sample: FloatArray, count: int, seed: int, centroids: FloatArray | None) -> FloatArray:
    """Return centroids after one more round of spherical k-means; None are drawn first."""
    faiss = faiss_library()
    faiss.omp_set_num_threads(1)  # of this thread only: searches keep the other cores
    means = faiss.Kmeans(
        sample.shape[1], count, niter=1, spherical=True, seed=seed,
        max_points_per_centroid=TRAINING_ROWS, min_points_per_centroid=1,
        gpu=faiss.get_num_gpus() > 0,
    )  # fmt: skip
    means.train(sample, init_centroids=centroids)
    refined: FloatArray = means.centroids.copy()
    return refined


def misfit(vectors: FloatArray, centroids: FloatArray) -> float:
    """Return 1 - cosine of a unit row to its nearest centroid, the mean."""
    owners = centroids[nearest(vectors, centroids)]
    return 1.0 - float(np.einsum("ij,ij->i", vectors, owners).mean())


def coarse_width(dim: int) -> int:
    """Return how many dimensions share a coarse code."""
    return COARSE if dim % COARSE == 0 else FINE


def _code_book(residual: FloatArray, parts: int) -> FloatArray:
    faiss = faiss_library()
    quantizer = faiss.ProductQuantizer(residual.shape[1], parts, BITS)
    quantizer.cp.niter = ROUNDS
    quantizer.cp.min_points_per_centroid = 1
    quantizer.train(residual)
    book: FloatArray = faiss.vector_to_array(quantizer.centroids)
    return book


def quantizer_of(book: Book) -> Any:
    """Return the FAISS index of the centroids."""
    quantizer = faiss_library().IndexFlatIP(book.centroids.shape[1])
    quantizer.add(book.centroids)
    return quantizer


def fine_index(book: Book, quantizer: Any) -> Any:
    """Return an empty index of fine codes: `quantizer` must be kept as long as it is."""
    return _index(book, quantizer, FINE, book.fine)


def coarse_index(book: Book, quantizer: Any) -> Any:
    """Return an empty index of coarse codes: `quantizer` must be kept as long as it is."""
    return _index(book, quantizer, coarse_width(book.centroids.shape[1]), book.coarse)


def _index(book: Book, quantizer: Any, width: int, codes: FloatArray) -> Any:
    faiss = faiss_library()
    lists, dim = book.centroids.shape
    index = faiss.IndexIVFPQ(quantizer, dim, lists, dim // width, BITS, faiss.METRIC_INNER_PRODUCT)
    index.by_residual = True
    faiss.copy_array_to_vector(codes, index.pq.centroids)
    index.is_trained = True
    return index


def add_coded(index: Any, ids: IntArray, vectors: FloatArray, lists: ListArray) -> None:
    """Code rows whose lists are known: some 8 microseconds each, coarsely.

    FAISS would look for the lists itself, which takes as long as all the rest.
    """
    pointer = faiss_library().swig_ptr
    owners = lists.astype(np.int64)  # in variables: a pointer keeps nothing alive
    vectors, ids = np.ascontiguousarray(vectors), np.ascontiguousarray(ids)
    index.add_core(len(ids), pointer(vectors), pointer(ids), pointer(owners))


def join_coded(index: Any, other: Any, book: Book, dropped: CodeArray) -> None:
    """Copy the codes of another index of the same book into this one, but for some ids."""
    faiss = faiss_library()
    copied = index
    if len(dropped):  # this one may have the same ids
        copied = fine_index(book, index.quantizer)
    by_id = faiss.InvertedLists.SUBSET_TYPE_ID_RANGE
    other.copy_subset_to(copied, by_id, 0, np.iinfo(np.int32).max)
    if len(dropped):
        copied.remove_ids(dropped.astype(np.int64))
        index.merge_from(copied, 0)


def index_bytes(index: Any) -> memoryview:
    """Return an index as FAISS writes it to a file: any program that has FAISS can read it."""
    written: memoryview = faiss_library().serialize_index(index).data
    return written


def read_index(path: str) -> Any:
    """Return the index of a file that holds `index_bytes`."""
    return faiss_library().read_index(path)


def coarse_books(index: Any) -> tuple[FloatArray, FloatArray]:
    """Return copies of a coarse index's centroids and of its code books."""
    centroids: FloatArray = index.quantizer.reconstruct_n(0, index.nlist).copy()
    codes: FloatArray = faiss_library().vector_to_array(index.pq.centroids)
    return centroids, codes


def packed(index: Any, quantizer: Any) -> Any:
    """Return an index in the form that is searched: 0.1 microseconds a row.

    `quantizer`, of the same centroids, must be kept as long as it is.
    """
    fast = faiss_library().IndexIVFPQFastScan(index)
    fast.own_fields = False
    fast.quantizer = quantizer
    return fast
