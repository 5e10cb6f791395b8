"""The recall asked for is the recall got: every k, every filter, also while the index grows."""

from functools import cache

import numpy as np
import pytest

from tests.support.index_machine import drain
from tests.support.strategies import SCORE_TOLERANCE, clustered
from visualsearch.engine import Engine, Layout
from visualsearch.index.planner import Costs, Tuning
from visualsearch.types import (
    Answer,
    BaseRecord,
    Filters,
    FloatArray,
    ImageVector,
    Query,
    VectorsRecord,
)

DIM, COUNT, QUERIES = 64, 6_000, 40
V = clustered(2 * COUNT, DIM, clusters=24, seed=11)
TARGET = 0.95
SAMPLE = 0.02  # that the mean of so few queries may be off by
LAYOUT = Layout(
    chunk_rows=4_096, segment_rows=1_000, most_rows=16_000, piece_rows=512, coder_rows=1_000,
    threads=1, probe_share=0.0, backlog_s=0.0,
)  # fmt: skip
SHARES = {"most": 0.7, "half": 0.45, "some": 0.1, "few": 0.02}
FAR = "far"  # what is unlike the queries: those are about the first cluster
ABOUT = V[0]


def put(engine: Engine, numbers: range) -> None:
    """Upsert products of one image; tags say by chance, and by what they look like, which."""
    for n in numbers:
        tags = [tag for tag, share in SHARES.items() if (n * 7_919) % 1_000 < 1_000 * share]
        if float(V[n] @ ABOUT) < 0.5:
            tags.append(FAR)
        order, name = (1, 0, 0), f"p{n}"
        picture = (ImageVector("i", V[n]),)
        engine.apply(
            [
                BaseRecord(name, order, tags=tuple(tags)),
                VectorsRecord(name, order, False, "m", picture),
            ]
        )


@cache
def grown_engine(way: str) -> tuple[Engine, int]:
    """Return an engine that never scans, and its rows: at rest, or twice as large as at rest."""
    engine = Engine(
        "m",
        DIM,
        tuning=Tuning(exact_rows=0, recall_target=TARGET),
        costs=Costs(row=1e6),
        layout=LAYOUT,
        clock=iter(float(n * n) for n in range(1_000, 10**9)).__next__,
    )
    put(engine, range(COUNT))
    drain(engine, 256)
    if way == "at rest":
        return engine, COUNT
    for n in range(COUNT, 2 * COUNT):
        put(engine, range(n, n + 1))
        engine.index_pending(1)  # there is always more to do
    return engine, 2 * COUNT


def share_found(answer: Answer, query: FloatArray, rows: np.ndarray, k: int) -> float:
    """Return how many of the k best are found; of some that score the same any will do."""
    scores = np.sort(V[rows] @ query)[::-1][:k]
    found = [hit.score >= scores[-1] - SCORE_TOLERANCE for hit in answer.hits]
    return sum(found) / len(scores)


@pytest.mark.parametrize("way", ["at rest", "growing"])
@pytest.mark.parametrize("k", [1, 10, 100])
@pytest.mark.parametrize("tag", [None, *SHARES, FAR])
def test_the_recall_asked_for_is_got(way: str, k: int, tag: str | None) -> None:
    """By whatever way the planner chooses but a scan."""
    engine, count = grown_engine(way)
    numbers = np.arange(count)
    rows = numbers
    if tag == FAR:
        rows = numbers[V[:count] @ ABOUT < 0.5]
    elif tag is not None:
        rows = numbers[(numbers * 7_919) % 1_000 < 1_000 * SHARES[tag]]
    filters = Filters() if tag is None else Filters(tags=(tag,))
    rng = np.random.default_rng(k)
    near = np.argsort(-(V[:count] @ ABOUT))[:500]
    good, strategies = 0.0, set[str]()
    names = {f"p{n}" for n in rows}
    for number in rng.choice(near if tag == FAR else numbers, QUERIES):
        query = V[number] + 0.3 * V[rng.integers(count)]
        query /= np.linalg.norm(query)
        answer = engine.search(Query(query, filters, k))
        assert answer.plan.matches == len(rows)
        strategies.add(answer.plan.strategy)
        assert {hit.product_id for hit in answer.hits} <= names
        good += share_found(answer, query, rows, k)
    assert strategies <= {"graph", "ivfpq"}
    assert good / QUERIES >= TARGET - SAMPLE, strategies
