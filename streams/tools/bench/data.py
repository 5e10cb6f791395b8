"""The dataset of a benchmark: vectors, queries, and rows that filters match."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.tools.bench.amounts import DEFAULT_ROWS
from streams.tools.bench.clustered import (
    IMAGE_NOISE,
    Clustered,
    IntArray,
    perturbed,
    unit,
)
from visualsearch.types import FloatArray

LEAST_ROWS = 2_000
GROUPS, ROUNDS, SAMPLE = 256, 8, 20_000  # of the k-means that gives given vectors categories
BLOCK = 20_000

BoolArray = npt.NDArray[np.bool_]


class InputError(ValueError):
    """A file that cannot be measured on."""

    code = "bench_input_invalid"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Unit vectors of shape (n, d), queries of shape (q, d), the category of each row."""

    vectors: FloatArray
    queries: FloatArray
    category: IntArray
    source: Clustered | None = None  # None: they came from a file
    named: dict[str, IntArray] = field(default_factory=dict)  # rows that further filters keep

    @property
    def checksum(self) -> str:
        """Return a checksum of vectors, queries and filters."""
        digest = hashlib.sha256()
        arrays: tuple[npt.NDArray[Any], ...] = (self.vectors, self.queries, *self.named.values())
        for array in arrays:
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).data)
        digest.update(" ".join(self.named).encode())
        return digest.hexdigest()[:12]

    def halves(self) -> tuple[FloatArray, FloatArray]:
        """Return the queries for choosing settings, and those for testing them."""
        middle = len(self.queries) // 2
        return self.queries[:middle], self.queries[middle:]

    def more(self, count: int, part: int) -> FloatArray:
        """Return new vectors of the same kind: of the source, or perturbed rows."""
        if self.source:
            return self.source.rows(count, part)[0]
        rng = np.random.default_rng([count, part])
        return perturbed(self.vectors[rng.integers(0, len(self.vectors), count)], IMAGE_NOISE, rng)

    def near(self, rows: IntArray, count: int, seed: int) -> FloatArray:
        """Return queries that are perturbations of some of these rows."""
        rng = np.random.default_rng(seed)
        return perturbed(self.vectors[rng.choice(rows, count)], IMAGE_NOISE, rng)

    def related(self, share: float, seed: int) -> BoolArray:
        """Return a mask of a share of all rows: those of one category and of the most similar."""
        sizes = np.bincount(self.category)
        means = np.zeros((len(sizes), self.vectors.shape[1]), dtype=np.float64)
        np.add.at(means, self.category, self.vectors)
        first = np.random.default_rng(seed).choice(np.flatnonzero(sizes > np.median(sizes)))
        lengths = np.maximum(np.linalg.norm(means, axis=1), 1e-9)
        rank = np.argsort(np.argsort(-(means @ means[first]) / lengths, kind="stable"))
        order = np.argsort(rank[self.category], kind="stable")
        mask = np.zeros(len(self.vectors), dtype=np.bool_)
        mask[order[: max(1, round(share * len(order)))]] = True
        return mask


def generate_dataset(rows: int, queries: int, dim: int = 512) -> Dataset:
    """Return clustered vectors."""
    source = Clustered(dim)
    vectors, clusters = source.rows(rows)
    return Dataset(vectors, source.queries(vectors, queries), clusters, source)


def load_dataset(
    vectors: Path | None,
    queries: Path | None,
    filters: Path | None,
    rows: int | None,
    count: int,
) -> Dataset:
    """Return the vectors of files, at most `rows` of them; without a file, generated ones.

    Raises InputError, which says what is expected, for an unusable file.
    """
    if vectors is None:
        dataset = generate_dataset(rows or DEFAULT_ROWS, count)
    else:
        every = load_vectors(vectors)[:rows]
        if len(every) < LEAST_ROWS:
            raise InputError(f"{vectors}: {len(every)} rows; at least {LEAST_ROWS:,} are needed")
        rng = np.random.default_rng(3)
        asked = perturbed(every[rng.integers(0, len(every), count)], IMAGE_NOISE, rng)
        dataset = Dataset(every, asked, categories(every))
    if queries is not None:
        asked = load_vectors(queries)
        if asked.shape[1] != dataset.vectors.shape[1]:
            raise InputError(
                f"{queries}: queries have {asked.shape[1]} dimensions and the vectors "
                f"{dataset.vectors.shape[1]}; give queries of the same model"
            )
        if len(asked) < 2:
            raise InputError(f"{queries}: at least 2 queries are needed, better 600")
        asked = np.random.default_rng(0).permutation(asked)[:count]
        dataset = Dataset(dataset.vectors, asked, dataset.category, dataset.source)
    if filters is not None:
        dataset.named.update(named_rows(filters, len(dataset.vectors)))
    return dataset


def load_vectors(path: Path) -> FloatArray:
    """Return the rows of a .npy file at length 1, as float32."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a .npy file; write one by numpy.save") from error
    if not isinstance(array, np.ndarray) or array.ndim != 2 or 0 in array.shape:
        shape = getattr(array, "shape", "an archive")
        raise InputError(f"{path}: shape {shape}; a row per vector is needed: (n, d)")
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"{path}: {array.dtype}; save it as float32 or float16")
    rows = np.empty(array.shape, dtype=np.float32)
    for begin in range(0, len(array), BLOCK):
        block = np.asarray(array[begin : begin + BLOCK], dtype=np.float64)
        lengths = np.linalg.norm(block, axis=1)
        bad = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
        if len(bad):
            raise InputError(
                f"{path}: row {begin + bad[0]} is zero or not finite; leave such rows out"
            )
        rows[begin : begin + len(block)] = block / lengths[:, None]
    return rows


def named_rows(path: Path, count: int) -> dict[str, IntArray]:
    """Return the rows that each filter of a JSON file matches: {"name": [row, ...]}."""
    wanted = f'{path}: needs {{"name": [row, ...]}} with rows from 0 to {count - 1:,}'
    try:
        filters = json.loads(path.read_bytes())
        rows = {str(name): np.unique(np.array(rows)) for name, rows in filters.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{wanted} ({error})") from error
    for name, kept in rows.items():
        fits = kept.ndim == 1 and len(kept) and np.issubdtype(kept.dtype, np.integer)
        if not fits or kept[0] < 0 or kept[-1] >= count:
            raise InputError(f"{wanted}; {name!r} does not fit")
    return {name: kept.astype(np.int64) for name, kept in rows.items()}


def categories(vectors: FloatArray) -> IntArray:
    """Return the nearest of up to 256 means for each row (spherical k-means on a sample)."""
    rng = np.random.default_rng(0)
    sample = vectors[rng.permutation(len(vectors))[:SAMPLE]]
    means = sample[: min(GROUPS, len(sample) // 8)]
    for _ in range(ROUNDS):
        nearest = np.argmax(sample @ means.T, axis=1)
        sums = means * np.float32(1e-3)  # an empty cluster keeps its mean
        np.add.at(sums, nearest, sample)
        means = unit(sums)
    parts = [
        np.argmax(vectors[begin : begin + BLOCK] @ means.T, axis=1)
        for begin in range(0, len(vectors), BLOCK)
    ]
    return np.concatenate(parts).astype(np.int64)
