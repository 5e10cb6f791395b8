"""Tuning: curves of an index whose answers are known, and the choice among points."""

import numpy as np
import pytest

from streams.tools.tuning.curves import MeasuredSetting, choose, chosen_settings, measure
from tests.support.strategies import clustered
from visualsearch.engine import Engine, Layout
from visualsearch.evaluation.sampling import Estimate
from visualsearch.types import BaseRecord, Filters, ImageVector, Query, VectorsRecord

ROWS, DIM = 6_000, 24


@pytest.fixture(scope="module")
def engine() -> Engine:
    """Return an index with a graph; every third product is a shoe."""
    engine = Engine("m", DIM, layout=Layout(segment_rows=ROWS, coder_rows=10**9, probe_share=0))
    for number, row in enumerate(clustered(ROWS, DIM, clusters=12, seed=3)):
        category = "shoes" if number % 3 == 0 else "bags"
        engine.apply([
            BaseRecord(f"p{number}", (1, 0, 0), title="T", category=category),
            VectorsRecord(f"p{number}", (1, 0, 0), model="m", images=(ImageVector("0", row),)),
        ])  # fmt: skip
    while engine.index_pending() or not engine.settled:
        pass
    return engine


def test_curves_are_those_of_the_index(engine: Engine) -> None:
    """More effort never finds much less; an exact target finds all; each knob has its points."""
    vectors = clustered(24, DIM, clusters=12, seed=4)
    filters = [Filters(), Filters(category=("shoes",))]
    queries = [Query(row, filters[n % 2], 20) for n, row in enumerate(vectors)]
    told: list[str] = []
    points = measure(engine, queries, told.append)
    by_knob = {knob: [p for p in points if p.knob == knob]
               for knob in ("recall_target", "ef", "overfetch", "reach")}  # fmt: skip
    assert by_knob["recall_target"][-1].recall.mean == 1.0
    assert by_knob["recall_target"][-1].strategies == {"exact": 24}
    assert "graph" in by_knob["recall_target"][0].strategies
    for knob in ("ef", "overfetch"):
        recalls = [p.recall.mean for p in by_knob[knob]]
        assert len(recalls) > 1
        assert all(later >= earlier - 0.05 for earlier, later in zip(recalls, recalls[1:]))  # noqa: B905, RUF007
        assert recalls[-1] > 0.9
    assert {p.recall.queries for p in by_knob["overfetch"]} == {12}  # those with a filter
    assert by_knob["reach"] == []  # there are no lists
    assert all(0 < p.p50_ms.mean <= p.p95_ms.mean for p in points)
    assert "exact answers" in told


def test_the_reach_of_lists_has_its_curve() -> None:
    """Where there are lists: further finds no less."""
    engine = Engine("m", DIM, layout=Layout(segment_rows=2048, coder_rows=2048, piece_rows=512,
                                            probe_share=0))  # fmt: skip
    for number, row in enumerate(clustered(4096, DIM, clusters=12, seed=5)):
        engine.apply([
            BaseRecord(f"p{number}", (1, 0, 0), title="T"),
            VectorsRecord(f"p{number}", (1, 0, 0), model="m", images=(ImageVector("0", row),)),
        ])  # fmt: skip
    while engine.index_pending() or not engine.settled:
        pass
    queries = [Query(row, top_k=20) for row in clustered(8, DIM, clusters=12, seed=6)]
    points = [p for p in measure(engine, queries) if p.knob == "reach"]
    assert len(points) > 0
    assert [p.setting for p in points] == sorted(p.setting for p in points)
    assert points[-1].recall.mean > 0.9


def test_recall_is_by_distance_so_that_ties_cost_nothing() -> None:
    """Ten equal images, of which any three are the exact answer."""
    engine = Engine("m", DIM)
    row = np.eye(1, DIM, dtype=np.float32)[0]
    for number in range(10):
        engine.apply([
            BaseRecord(f"p{number}", (1, 0, 0)),
            VectorsRecord(f"p{number}", (1, 0, 0), model="m", images=(ImageVector("0", row),)),
        ])  # fmt: skip
    points = measure(engine, [Query(row, top_k=3), Query(row, Filters(category=("none",)))])
    assert {p.recall.mean for p in points} == {1.0}
    assert {p.knob for p in points} == {"recall_target"}


def point(
    knob: str, setting: float, recall: float, p95: float, by: str = "graph"
) -> MeasuredSetting:
    """Return a point without spread."""

    def of(value: float) -> Estimate:
        return Estimate(value, value, value, 10)

    return MeasuredSetting(knob, setting, of(recall), of(p95 / 2), of(p95), {by: 9})


def test_what_finds_enough_in_time_is_chosen() -> None:
    """The target next to what was asked; the knobs that reach it beside, where they matter."""
    points = [
        point("recall_target", 0.90, 0.95, 1.0),
        point("recall_target", 0.95, 0.985, 2.00),
        point("recall_target", 0.98, 0.990, 2.05),
        point("recall_target", 1.00, 1.000, 50.0),
        point("overfetch", 1.0, 0.90, 1.0), point("overfetch", 2.0, 0.985, 2.0),
        point("overfetch", 3.0, 0.999, 3.0),
        point("ef", 100, 0.95, 2.0), point("ef", 200, 0.99, 4.0),
    ]  # fmt: skip
    chosen = choose(points, 0.98, 20.0)
    assert chosen is not None
    assert chosen_settings(chosen) == {"recall_target": 0.98, "overfetch": 2.0, "ef_max": 1000}
    assert choose(points, 0.98, 1.5) is None  # not in time
    assert choose(points[:1], 0.98, 20.0) is None  # not enough
    scans = [point("recall_target", 0.98, 1.0, 1.0, by="exact"), *points[4:]]
    alone = choose(scans, 0.98, 20.0)
    assert alone is not None
    assert chosen_settings(alone) == {"recall_target": 0.98}
