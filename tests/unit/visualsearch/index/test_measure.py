"""Measuring the curves of an index beside everything else."""

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest

from tests.support.index_machine import drain
from tests.support.index_tiny import MACHINE, rising_clock, shrink
from tests.support.snapshots import DIM, LISTED, MODEL, V, pictured
from tests.support.strategies import clustered
from visualsearch.engine import Engine
from visualsearch.index import measure, upkeep
from visualsearch.index.arrays import BoolArray, IntArray
from visualsearch.index.astray import SPREAD, SPREADS
from visualsearch.index.codes import ListArray
from visualsearch.index.curve import Point
from visualsearch.index.find import Finder, Scored
from visualsearch.index.view import View
from visualsearch.types import FloatArray

TRUTH = np.tile(np.arange(measure.MANY), (measure.QUERIES, 1))
QUERIES = np.zeros((measure.QUERIES, 4), dtype=np.float32)


def knob(every: int = 1) -> measure._Knob:
    """Return one of which the setting n finds 60 + 10 n of a hundred."""

    def search(_: FloatArray, setting: float) -> Scored:
        found = TRUTH[0][: int(60 + 10 * setting)]
        return found, -found.astype(np.float64)

    return measure._Knob(range(9), search, every=every)


def points(*knobs: measure._Knob, clock: Callable[[], float]) -> list[list[Point]]:
    """Return what is measured."""
    steps = measure._points(knobs, QUERIES, TRUTH, clock)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return list(end.value)


def test_a_slow_spell_makes_every_setting_dearer_alike() -> None:
    """The costs of settings are compared: none is measured at another time than the others."""
    both = points(knob(), knob(2), clock=map(float, (n * n for n in count())).__next__)
    costs = [point.cost for each in both for point in each]
    assert max(costs) < 1.3 * min(costs)


def test_what_is_further_than_enough_is_not_measured() -> None:
    """A wider beam than one that finds all costs more and finds no more."""
    [found] = points(knob(), clock=map(float, count()).__next__)
    assert [point.many for point in found] == pytest.approx([0.6, 0.7, 0.8, 0.9, 1.0])


def test_rows_may_get_other_lists_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """What NumPy goes over more than once is not what others write to."""
    engine = Engine(MODEL, DIM, layout=LISTED)
    engine.apply(pictured(V[:200]))
    drain(engine)
    seen: list[bool] = []
    real = np.isin

    def isin(lists: ListArray, chosen: IntArray) -> BoolArray:
        seen.append(np.shares_memory(lists, engine._index.list_of))
        found: BoolArray = real(lists, chosen)
        return found

    monkeypatch.setattr(measure.np, "isin", isin)
    queries = V[200:240], 40
    clock = map(float, count()).__next__
    steps = measure.measured(
        engine._finder, engine._masked, queries, np.random.default_rng(1), clock
    )
    *_, curves = steps
    assert curves is not None
    assert curves.listed
    assert seen == [False]
    assert curves.spread in SPREADS
    assert curves.spread != SPREAD, "it is measured"


def test_curves_are_of_what_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists and graphs become few first: many cost a search several times as much."""
    shrink(monkeypatch)
    seen: list[View] = []

    def spy(finder: Finder, view: Callable[[None], View], *rest: Any) -> measure.Measuring:
        seen.append(view(None))
        return measure.measured(finder, view, *rest)

    monkeypatch.setattr(upkeep, "measured", spy)
    engine = Engine(MODEL, DIM, layout=MACHINE, clock=rising_clock())
    rows = clustered(600, DIM, clusters=5, seed=8)
    engine.apply(pictured(rows[:40]))
    drain(engine)
    begun = len(seen)
    assert begun
    for n in range(40, len(rows)):
        engine.apply(pictured(rows[n : n + 1], first=n))
        engine.index_pending(8)
    drain(engine)
    built = engine._index.built
    assert len(seen) > begun
    assert len(seen[-1].pieces) == len(built.pieces)
    assert len(seen[-1].segments) == len(built.segments)


@pytest.mark.parametrize(("asked", "measured"), [(0, 512), (9, 512), (300, 300), (700, 512)])
def test_queries_are_made_up_only_as_long_as_few_were_asked(asked: int, measured: int) -> None:
    """For mixtures of images lists find less and graphs more than for real ones."""
    engine = Engine(MODEL, DIM, layout=LISTED)
    engine.apply(pictured(V[:50]))
    rng = np.random.default_rng(2)
    real = rng.normal(size=(asked, DIM)).astype(np.float32)
    again = [*real, *real[:5]]
    queries, counted = measure.Sampler(engine._index.rows, rng).queries(again, np.arange(50))
    assert counted == len(again)
    assert queries.shape == (measured, DIM)
    assert np.array_equal(queries[: min(asked, 512)], real[-512:])
    assert np.allclose(np.linalg.norm(queries[asked:], axis=1), 1.0, atol=1e-5)
