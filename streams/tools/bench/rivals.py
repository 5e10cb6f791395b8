"""Bare HNSW libraries: vectors by number, no products, filters, updates or growth."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from streams.tools.bench.clock import TimedSearches, time_searches
from streams.tools.bench.clustered import IntArray
from streams.tools.bench.truth import recall
from visualsearch.types import FloatArray

MAX_EF = 6_000
EF_TOLERANCE = 1.03  # ratio within which the least ef is found


class Rival(Protocol):
    """A library's graph over the rows of an array."""

    name: str

    def add(self, vectors: FloatArray, threads: int) -> None:
        """Add the rows, numbered on from those already in."""

    def search(self, query: FloatArray, k: int, ef: int) -> IntArray:
        """Return the numbers of about the k best rows, best first, on one thread."""


class Hnswlib:
    """hnswlib, inner product, float32."""

    def __init__(self, dim: int, capacity: int, links: int, build_ef: int) -> None:
        import hnswlib

        self.name = f"hnswlib M{links}/efC{build_ef}"
        self.graph: Any = hnswlib.Index(space="ip", dim=dim)
        self.graph.init_index(capacity, M=links, ef_construction=build_ef, random_seed=100)

    def add(self, vectors: FloatArray, threads: int) -> None:
        """Add rows."""
        first = self.graph.get_current_count()
        self.graph.add_items(vectors, np.arange(first, first + len(vectors)), num_threads=threads)

    def search(self, query: FloatArray, k: int, ef: int) -> IntArray:
        """Return about the k best rows."""
        self.graph.set_ef(max(ef, k))
        labels, _ = self.graph.knn_query(query, k=k, num_threads=1)
        found: IntArray = labels[0].astype(np.int64)
        return found


class FaissHnsw:
    """FAISS, inner product, half precision."""

    def __init__(self, dim: int, links: int, build_ef: int) -> None:
        import faiss

        self.name = f"FAISS HNSW M{links}/efC{build_ef} fp16"
        self._faiss: Any = faiss
        made: Any = faiss.index_factory(dim, f"HNSW{links}_SQfp16", faiss.METRIC_INNER_PRODUCT)
        self._index = made
        self._index.hnsw.efConstruction = build_ef

    def add(self, vectors: FloatArray, threads: int) -> None:
        """Add rows."""
        before = self._faiss.omp_get_max_threads()
        self._faiss.omp_set_num_threads(threads)
        if not self._index.is_trained:
            self._index.train(vectors[:1_000])
        self._index.add(vectors)
        self._faiss.omp_set_num_threads(before)

    def search(self, query: FloatArray, k: int, ef: int) -> IntArray:
        """Return about the k best rows; one query never takes more than a thread."""
        self._index.hnsw.efSearch = ef
        _, ids = self._index.search(query[None], k)
        found: IntArray = ids[0][ids[0] >= 0]
        return found


class Usearch:
    """usearch, inner product, float32."""

    def __init__(self, dim: int, links: int, build_ef: int) -> None:
        from usearch.index import Index

        self.name = f"usearch M{links}/efC{build_ef}"
        self._index: Any = Index(
            ndim=dim, metric="ip", dtype="f32", connectivity=links, expansion_add=build_ef
        )

    def add(self, vectors: FloatArray, threads: int) -> None:
        """Add rows."""
        first = len(self._index)
        self._index.add(np.arange(first, first + len(vectors)), vectors, threads=threads)

    def search(self, query: FloatArray, k: int, ef: int) -> IntArray:
        """Return about the k best rows."""
        self._index.expansion_search = ef
        found: IntArray = self._index.search(query, k, threads=1).keys.astype(np.int64)
        return found


Maker = Callable[[int, int], Rival]
MAKERS: dict[str, tuple[str, Maker]] = {  # name: the module that it needs, how it is made
    "hnswlib-m16": ("hnswlib", lambda dim, rows: Hnswlib(dim, rows, 16, 100)),
    "hnswlib-m32": ("hnswlib", lambda dim, rows: Hnswlib(dim, rows, 32, 200)),
    "faiss-m16": ("faiss", lambda dim, _: FaissHnsw(dim, 16, 100)),
    "usearch-m16": ("usearch", lambda dim, _: Usearch(dim, 16, 100)),
}


def missing_rivals() -> dict[str, str]:
    """Return the rivals that are not installed, and how to install them."""
    return {
        name: f"{module} is not installed, {name} is left out: pip install 'visualsearch[bench]'"
        for name, (module, _) in MAKERS.items()
        if find_spec(module) is None
    }


def search_function(rival: Rival, k: int, ef: int) -> Callable[[FloatArray], TimedSearches]:
    """Return a function that searches all queries, one by one, for k rows."""
    return lambda queries: time_searches(
        lambda query: rival.search(query, k, ef), lambda found: found, queries
    )


def least_ef(
    rival: Rival, queries: FloatArray, truth: IntArray, k: int, target: float
) -> int | None:
    """Return about the least ef that reaches the recall on these queries; None if none does."""

    def reaches(ef: int) -> bool:
        return recall(search_function(rival, k, ef)(queries).found, truth, k) >= target

    low, high = k, 2 * k
    if reaches(low):
        return low
    while not reaches(high):
        low, high = high, 2 * high
        if high > MAX_EF:
            return None
    while high > low * EF_TOLERANCE and high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high
