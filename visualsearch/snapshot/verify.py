"""Verification of a snapshot: checksums, and recall against exact search."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from visualsearch.engine import Engine
from visualsearch.snapshot.manifest import Manifest, read_manifest
from visualsearch.snapshot.read import restore
from visualsearch.types import FloatArray, Query

QUERIES = 50  # an exact search of a million rows takes half a second
FEW, MANY = 10, 100
OTHER = 0.3  # weight of the second image in a query

Progress = Callable[[str, int, int], object]


def _ignore(*_: object) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """Recall of a restored snapshot against exact search, before graphs are built.

    `recall` maps top_k (10 and 100) to the mean recall, 0 to 1; it is empty for an index without
    searchable products. `strategy` is how the engine searched, `seconds` the time of each restore
    step.
    """

    manifest: Manifest
    strategy: str
    queries: int
    recall: Mapping[int, float]
    milliseconds: float  # median of a search for 100 products
    seconds: Mapping[str, float]


def verify(
    path: Path,
    *,
    queries: int = QUERIES,
    seed: int = 0,
    progress: Progress = _ignore,
    timer: Callable[[], float] = time.perf_counter,
) -> VerifyReport:
    """Check all checksums, restore, and compare approximate with exact searches.

    Each query is a stored image vector with a share of another. Raises SnapshotError as `restore`.
    """
    manifest = read_manifest(path)
    restored = restore(path, model=manifest.model, dim=manifest.dim, timer=timer)
    engine = restored.engine
    asked = _sample_queries(engine, queries, seed)
    shares: dict[int, list[float]] = {FEW: [], MANY: []}
    took: list[float] = []
    for done, vector in enumerate(asked):
        exact = _product_ids(engine, Query(vector, top_k=MANY, recall_target=1.0))
        begin = timer()
        _product_ids(engine, Query(vector, top_k=MANY))
        took.append(timer() - begin)
        for k, each in shares.items():
            found = _product_ids(engine, Query(vector, top_k=k))
            each.append(len(set(found) & set(exact[:k])) / len(exact[:k]))
        progress("recall", done + 1, len(asked))
    return VerifyReport(
        manifest=manifest,
        strategy=engine.active_strategy,
        queries=len(asked),
        recall={k: float(np.mean(each)) for k, each in shares.items() if each},
        milliseconds=1e3 * float(np.median(took)) if took else 0.0,
        seconds=restored.seconds,
    )


def _product_ids(engine: Engine, query: Query) -> list[str]:
    return [hit.product_id for hit in engine.search(query).hits]


def _sample_queries(engine: Engine, count: int, seed: int) -> list[FloatArray]:
    """Return unit vectors, (dim,): images of searchable products, each mixed with another."""
    rng = np.random.default_rng(seed)
    known = engine.stats().known_products
    places = rng.permutation(known)[: 4 * count].tolist()
    states = [
        state for place in places for state in engine.list_products(place, 1) if state.searchable
    ]
    pictures = [engine.vectors_of(state.product_id)[0][1] for state in states[: count + 1]]
    mixed = [
        one + np.float32(OTHER) * other
        for one, other in zip(pictures, pictures[1:] + pictures[:1], strict=True)
    ]
    return [vector / np.linalg.norm(vector) for vector in mixed[:count]]
