"""Fewer dimensions for the graphs: rows are walked by what most of them differ by.

A graph keeps its vectors as single precision floats, half of all that a row costs, and a walk waits
for them to come from memory. What they are projected on here orders neighbours well enough to be
candidates; their scores come from the stored rows (LeanVec: Tepper et al., arXiv:2312.16335;
FAISS's `PCA256,HNSW32,RFlat`).
"""

from dataclasses import dataclass

import numpy as np

from visualsearch.index.arrays import IntArray
from visualsearch.index.rows import Rows
from visualsearch.types import FloatArray

LEFT_OUT = 0.1  # at most, of the variance: measured curves make up for it by wider beams
STEPS = 8  # dimensions are left out in eighths, which SIMD registers fill
SAMPLED = 8_192  # rows: 150 ms of a core


@dataclass(frozen=True, slots=True, eq=False)
class Reduction:
    """A projection on orthonormal axes, the columns of `axes`, of shape (dim, kept)."""

    axes: FloatArray

    @property
    def kept(self) -> int:
        """Return how many dimensions it leaves."""
        return int(self.axes.shape[1])

    def __call__(self, vectors: FloatArray) -> FloatArray:
        """Return the projected vectors, of shape (kept,) or (n, kept)."""
        reduced: FloatArray = np.dot(vectors, self.axes)
        return reduced


def reduction_of(sample: FloatArray) -> Reduction | None:
    """Return the projection on the main axes of the sample, of shape (n, dim).

    Of the variance it leaves out a tenth at most; None where that takes all dimensions.
    """
    dim = sample.shape[1]
    step = max(1, dim // STEPS)
    # About the origin, not the mean: projections of queries must keep their products with rows.
    moments = np.dot(sample.T, sample) / np.float32(len(sample))
    shares, axes = np.linalg.eigh(moments)  # ascending
    mean = sample.mean(axis=0)
    variance = float(np.trace(moments) - mean @ mean)
    left_out = np.cumsum(np.maximum(shares, 0.0))
    dropped = int(np.searchsorted(left_out, LEFT_OUT * variance, side="right"))
    dropped -= (dropped - dim) % step  # so that whole steps are kept
    if dropped < step:
        return None
    return Reduction(np.ascontiguousarray(axes[:, dropped:], dtype=np.float32))


class Reducer:
    """Finds the axes of each new graph, by the rows in use when it is begun."""

    def __init__(self, rows: Rows, least: int, rng: np.random.Generator) -> None:
        self._rows = rows
        self._least = least  # fewer rows say too little
        self._rng = rng
        self._whole: set[int] = set()  # graphs that were begun with so few

    def of(self, graph: int, rows: IntArray) -> Reduction | None:
        """Return what the graph of this number projects by, as these rows in use have it."""
        if len(rows) < self._least:
            self._whole.add(graph)
            return None
        sample = self._rng.choice(rows, size=min(SAMPLED, len(rows)), replace=False)
        return reduction_of(self._rows.unit(sample))

    def outgrown(self, graph: int, rows: int) -> bool:
        """Return whether a graph holds whole rows only since there were few, and are no longer."""
        return graph in self._whole and rows >= self._least
