"""Synthetic unit vectors, distributed like the embeddings of a catalog's images.

x = sqrt(.5) common + sqrt(.5) (sqrt(.5) center + sqrt(.38) local + sqrt(.12) noise): clusters of
Zipf sizes around centers that are clusters themselves, each with a few directions of its own,
and 3 % near duplicates. Uniform random vectors would mislead: nothing is near to anything there.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from visualsearch.types import FloatArray

IntArray = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating]

PARENTS, CENTERS = 80, 2_000
SUBSPACE = 64  # dimensions in which the centers lie
DIRECTIONS, LOCAL = 320, 48  # shared directions, and how many of them a cluster uses
CENTER_SHARE, LOCAL_SHARE, NOISE_SHARE = 0.50, 0.38, 0.12
COMMON_SHARE = 0.5  # the mean cosine of any two images
TEXT_COSINE = 0.15  # about that of words to the images' mean
DUPLICATES, DUPLICATE_NOISE = 0.03, 0.02
IMAGE_LIKE, IMAGE_NOISE = 0.6, 0.45
BLOCK = 20_000


def unit(rows: Floats) -> FloatArray:
    """Return the rows at length 1, as float32."""
    scaled: FloatArray = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return scaled


@dataclass(frozen=True)
class Clustered:
    """A source of rows and queries; the same numbers for the same seed."""

    dim: int = 512
    seed: int = 7

    def rows(self, count: int, part: int = 0) -> tuple[FloatArray, IntArray]:
        """Return rows of shape (count, dim) and the cluster of each; other parts, other rows."""
        rng = np.random.default_rng([self.seed, 1, part])
        rows, clusters = self._drawn(count, self._shape.common, rng)
        copies = np.flatnonzero(rng.random(count) < DUPLICATES)
        originals = rng.integers(0, count, size=len(copies))
        rows[copies] = perturbed(rows[originals], DUPLICATE_NOISE, rng)
        clusters[copies] = clusters[originals]
        return rows, clusters

    def queries(self, rows: FloatArray, count: int) -> FloatArray:
        """Return queries: 60 % are perturbed rows, 40 % lie apart, as text embeddings do."""
        rng = np.random.default_rng([self.seed, 2])
        alike = round(count * IMAGE_LIKE)
        images = perturbed(rows[rng.integers(0, len(rows), size=alike)], IMAGE_NOISE, rng)
        words, _ = self._drawn(count - alike, self._shape.words, rng)
        return rng.permutation(np.concatenate([images, words]))

    def _drawn(
        self, count: int, common: Floats, rng: np.random.Generator
    ) -> tuple[FloatArray, IntArray]:
        shape = self._shape
        clusters = rng.choice(len(shape.sizes), size=count, p=shape.sizes)
        rows = np.empty((count, self.dim), dtype=np.float32)
        for begin in range(0, count, BLOCK):
            these = clusters[begin : begin + BLOCK]
            weights = np.zeros((len(these), DIRECTIONS))
            local = rng.standard_normal((len(these), LOCAL)) * shape.spectrum
            np.put_along_axis(weights, shape.basis[these], local, axis=1)
            noise = rng.standard_normal((len(these), self.dim)) / np.sqrt(self.dim)
            own = (
                np.sqrt(CENTER_SHARE) * shape.centers[these]
                + np.sqrt(LOCAL_SHARE) * (weights @ shape.directions)
                + np.sqrt(NOISE_SHARE) * noise
            )
            mixed = np.sqrt(COMMON_SHARE) * common + np.sqrt(1 - COMMON_SHARE) * own
            rows[begin : begin + len(these)] = unit(mixed)
        return rows, clusters.astype(np.int64)

    @cached_property
    def _shape(self) -> "_Shape":
        rng = np.random.default_rng([self.seed, 0])
        common = unit(rng.standard_normal(self.dim))
        words = unit(TEXT_COSINE * common + unit(rng.standard_normal(self.dim)))
        depth = min(SUBSPACE, self.dim)
        subspace = np.linalg.qr(rng.standard_normal((self.dim, depth)))[0].T
        parents = unit(rng.standard_normal((PARENTS, depth)))
        children = parents[rng.integers(PARENTS, size=CENTERS)]
        centers = unit(children + 0.9 * unit(rng.standard_normal((CENTERS, depth)))) @ subspace
        spectrum = 1 / np.sqrt(1 + np.arange(LOCAL) / 6)
        sizes = 1 / np.arange(1, CENTERS + 1) ** 0.8
        return _Shape(
            common=common,
            words=words,
            centers=centers,
            directions=unit(rng.standard_normal((DIRECTIONS, self.dim))),
            basis=np.array([rng.choice(DIRECTIONS, LOCAL, replace=False) for _ in range(CENTERS)]),
            spectrum=spectrum / np.linalg.norm(spectrum),
            sizes=rng.permutation(sizes / sizes.sum()),
        )


@dataclass(frozen=True)
class _Shape:
    """What all rows of a source share."""

    common: Floats
    words: Floats
    centers: Floats
    directions: Floats
    basis: IntArray
    spectrum: Floats
    sizes: Floats


def perturbed(rows: FloatArray, noise: float, rng: np.random.Generator) -> FloatArray:
    """Return the rows as unit vectors, each moved by `noise` in a random direction."""
    return unit(rows + noise * unit(rng.standard_normal(rows.shape)))
