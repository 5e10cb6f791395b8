"""The state machine that holds three engines, each forced to its strategy, against the twin."""

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support import strategies as world
from tests.support.index_storage import check_storage
from tests.support.index_tiny import MACHINE, rising_clock
from visualsearch.engine import Engine, Layout
from visualsearch.index.curve import Curves, Point
from visualsearch.index.exact import ExactIndex
from visualsearch.index.planner import Costs, Tuning
from visualsearch.index.state import satisfies
from visualsearch.snapshot.read import restore
from visualsearch.snapshot.write import write
from visualsearch.types import Answer, Query, Record

Way = Literal["exact", "graph", "mixed"]
COSTS = {
    "exact": Costs(),
    "graph": Costs(row=1e6, entry=0.0, candidate=1e-6),
    "mixed": Costs(row=1e6, entry=1e9, candidate=1e9),
}
WAYS: tuple[Way, ...] = ("exact", "graph", "mixed")
RECALL_FLOOR = 0.97
LOST = 2  # hits that a narrow beam may miss by chance, of however few
TIE = 1e-6
PRODUCTS = [f"p{n:02d}" for n in range(28)]  # half of them are those of `world.records`
SEEN: Counter[str] = Counter()  # strategies of answers, merges, rows used again ...


def tiny_engine(way: Way, layout: Layout = MACHINE) -> Engine:
    """Return an engine that scans, or walks graphs and has no lists, or takes what is cheapest.

    The last one goes by its lists, until it has measured its curves. The first beams of the
    graphs are often too narrow, so that walks are widened.
    """
    return _with_curves(Engine(world.MODEL, world.DIM, **_options(way, layout)), way)


def reborn(engine: Engine, way: Way, layout: Layout = MACHINE) -> Engine:
    """Return what a snapshot of the engine gives back; its folder is gone by then."""
    with tempfile.TemporaryDirectory() as folder:
        path = write(engine, Path(folder), source={}, created_at=0.0, pause=lambda: None)
        return restored_from(path, way, layout)


def restored_from(path: Path, way: Way, layout: Layout = MACHINE) -> Engine:
    """Return the engine of a snapshot."""
    options = _options(way, layout)
    restored = restore(path, model=world.MODEL, dim=world.DIM, **options).engine
    return _with_curves(restored, way)


def _options(way: Way, layout: Layout) -> dict[str, Any]:
    return {
        "tuning": Tuning(exact_rows=10_000 if way == "exact" else 0, surplus=0.3),
        "costs": COSTS[way],
        "layout": replace(layout, coder_rows=10**9) if way == "graph" else layout,
        "clock": rising_clock(),
    }


def _with_curves(engine: Engine, way: Way) -> Engine:
    if way == "graph":
        engine._index.built.curves = Curves(graph=(Point(8.0, 1.0, 1.0, 1.0),))
    return engine


def drain(engine: Engine, batch: int = 16) -> None:
    """Do all the work that is behind, and to the end: an endless course of it fails."""
    for _ in range(10_000):
        if not engine.index_pending(batch):
            return
    raise AssertionError("the work behind never ends")


def check_against(twin: ExactIndex, query: Query, answer: Answer) -> tuple[int, int]:
    """Assert what holds for every answer; return (hits as good as the twin's, hits wanted).

    Recall is counted by the score of the twin's last hit, so that ties cost nothing.
    """
    everything = twin.search(Query(query.vector, query.filters, top_k=100_000))
    truth = {hit.product_id: hit for hit in everything.hits}
    assert answer.plan.matches == len(truth)
    assert len(answer.hits) == min(query.top_k, len(truth))
    assert len({hit.product_id for hit in answer.hits}) == len(answer.hits)
    for hit in answer.hits:
        its = truth.get(hit.product_id)
        assert its is not None, f"{hit.product_id} does not match, or is dead"
        assert abs(hit.score - its.score) < TIE
        state = twin.product(hit.product_id)
        assert state is not None
        assert satisfies(state, query.filters)
        assert (hit.title, hit.category, hit.price, hit.in_stock) == (
            its.title, its.category, its.price, its.in_stock,
        )  # fmt: skip
    ranking = [(-hit.score, hit.product_id) for hit in answer.hits]
    assert ranking == sorted(ranking)
    best = [hit.product_id for hit in everything.hits[: query.top_k]]
    SEEN[answer.plan.strategy] += 1
    if answer.plan.strategy in ("exact", "empty"):  # but for scores that differ by a rounding
        for hit, its in zip(answer.hits, everything.hits, strict=False):
            assert abs(truth[hit.product_id].score - its.score) < TIE
    worst = truth[best[-1]].score - TIE if best else 0.0
    return sum(hit.score >= worst for hit in answer.hits), len(best)


class TwinMachine(RuleBasedStateMachine):
    """Do the same to three engines and to the twin; compare every answer, and look inside."""

    layout = MACHINE

    def __init__(self) -> None:
        super().__init__()
        self.engines: dict[Way, Engine] = {way: tiny_engine(way, self.layout) for way in WAYS}
        self.twin = ExactIndex(world.MODEL, world.DIM)
        self.good: Counter[Way] = Counter()
        self.wanted: Counter[Way] = Counter()

    @initialize(seed=st.integers(0, 99), start=st.lists(world.records, max_size=20))
    def begin(self, seed: int, start: list[Record]) -> None:
        """Start from a catalog, so that graphs and filters have something to work on."""
        self.apply(world.catalogue(seed, PRODUCTS))
        self.apply(start)

    @rule(batch=st.lists(world.records, min_size=1, max_size=6))
    def apply(self, batch: list[Record]) -> None:
        """Apply a batch of any kinds; outcomes agree, searchability after each included."""
        outcomes = self.twin.apply(batch)
        for engine in self.engines.values():
            former = engine._index.rows.count
            free = set(engine._index.rows._ids.free)
            assert engine.apply(batch) == outcomes
            SEEN["reuse"] += len(free - set(engine._index.rows._ids.free))
            SEEN["growth"] += engine._index.rows.count > former

    @rule(
        changes=st.lists(st.sampled_from(PRODUCTS).flatmap(world.latest), min_size=4, max_size=16)
    )
    def churn(self, changes: list[Record]) -> None:
        """Give products other images, so that rows die by the dozen."""
        self.apply(changes)

    @rule(batch=st.integers(1, 30), times=st.integers(1, 12))
    def index(self, batch: int, times: int) -> None:
        """Do a few steps of the work behind."""
        for engine in self.engines.values():
            for _ in range(times):
                engine.index_pending(batch)
                self.note(engine)

    @rule()
    def restart(self) -> None:
        """Go on with what a snapshot gives back."""
        for way, engine in self.engines.items():
            self.engines[way] = reborn(engine, way, self.layout)
            SEEN["coarse"] += any(p.coarse for p in self.engines[way]._index.built.pieces)

    @rule()
    def settle(self) -> None:
        """Do all of it, to the end."""
        for engine in self.engines.values():
            drain(engine)
            self.note(engine)
            assert engine.stats().fresh_rows == 0

    def note(self, engine: Engine) -> None:
        """Count what the work behind has come to."""
        built = engine._index.built
        SEEN["merge"] += engine._upkeep._merge is not None
        SEEN["piece"] += len(built.pieces) > 1
        SEEN["measured"] += built.curves.rows > 0

    @rule(queries=st.lists(world.queries(), min_size=1, max_size=5))
    def search(self, queries: list[Query]) -> None:
        """Search all of them."""
        for query in queries:
            for way, engine in self.engines.items():
                good, wanted = check_against(self.twin, query, engine.search(query))
                self.good[way] += good
                self.wanted[way] += wanted

    @rule(product_id=world.product_ids)
    def look(self, product_id: str) -> None:
        """Compare what is known of one product, and its vectors."""
        its = self.twin.vectors_of(product_id)
        for engine in self.engines.values():
            assert engine.product(product_id) == self.twin.product(product_id)
            mine = engine.vectors_of(product_id)
            assert [name for name, _ in mine] == [name for name, _ in its]
            assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(mine, its, strict=True))

    @invariant()
    def hold(self) -> None:
        """Compare the counts with the twin's after every step, and look at the storage."""
        everything = self.twin.search(Query(world.pool()[0], top_k=100_000))
        for engine in self.engines.values():
            stats = engine.stats()
            counts = (len(everything.hits), everything.plan.visited)
            assert (stats.products, stats.vectors) == counts
            assert stats.fresh_rows <= stats.rows
            assert 0.0 <= stats.dead_ratio <= 1.0
            check_storage(engine)

    def teardown(self) -> None:
        """Hold the recall of the whole run against the floor."""
        for way, wanted in self.wanted.items():
            assert self.good[way] + LOST >= RECALL_FLOOR * wanted, way
