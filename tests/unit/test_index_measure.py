"""Measuring the curves of an index beside everything else."""

from itertools import count

import numpy as np
import pytest

from tests.index_machine import drain
from tests.snapshots import DIM, LISTED, MODEL, V, pictured
from visualsearch.engine import Engine
from visualsearch.index import measure
from visualsearch.index.arrays import BoolArray, IntArray
from visualsearch.index.astray import SPREAD, SPREADS
from visualsearch.index.codes import ListArray


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
