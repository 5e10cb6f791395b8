"""Searches whose graphs lead astray."""

from math import inf

import numpy as np
import pytest

from tests.support.index_machine import drain
from tests.support.snapshots import DIM, LISTED, MODEL, pictured
from tests.support.strategies import clustered
from visualsearch.engine import Engine
from visualsearch.index import find
from visualsearch.index.graph import Segment
from visualsearch.index.planner import Choice
from visualsearch.types import Query

V = clustered(900, DIM, clusters=30, seed=9)
K = 5


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Return an engine with graphs and lists that walks the graphs."""
    monkeypatch.setattr(find, "choose", lambda *_: Choice("graph", beams=(32,)))
    engine = Engine(MODEL, DIM, layout=LISTED)
    engine.apply(pictured(V))
    drain(engine)
    return engine


def opposite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every walk end where it is worst."""
    real = Segment.search

    monkeypatch.setattr(Segment, "search", lambda self, vector, ef: real(self, -vector, ef))


def recall(engine: Engine) -> tuple[float, set[str]]:
    """Return the mean recall of searches for stored images, and the strategies."""
    shares, strategies = [], set()
    for n in range(0, len(V), 30):
        answer = engine.search(Query(V[n], top_k=K))
        truth = {f"p{row}" for row in np.argsort(-(V @ V[n]))[:K]}
        shares.append(len(truth & {hit.product_id for hit in answer.hits}) / K)
        strategies.add(answer.plan.strategy)
    return float(np.mean(shares)), strategies


def test_a_walk_that_ends_in_a_wrong_cluster_is_noticed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the lists hold by their centroids says so; then they are looked through."""
    opposite(monkeypatch)
    share, strategies = recall(engine)
    assert share > 0.95
    assert strategies == {"ivfpq"}
    monkeypatch.setattr(find, "ASTRAY", inf)
    share, strategies = recall(engine)
    assert share < 0.1, "it takes that check"
    assert strategies == {"graph"}


def test_a_good_walk_is_believed(engine: Engine) -> None:
    """Hardly ever are the lists looked through for nothing."""
    share, strategies = recall(engine)
    assert share > 0.95
    assert strategies == {"graph"}
