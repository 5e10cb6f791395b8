"""Which engine is active, and when the graphs took over."""

import time

import pytest

from streams.indexer.active_engine import ENGINES, ActiveEngine, ActiveEngineGauge
from tests.support.snapshot_parts import engine_with, fresh_metrics, value


@pytest.mark.parametrize(
    ("strategy", "engine"),
    [("graph", "hnsw"), ("ivfpq", "ivfpq"), ("exact", "exact"), ("empty", "exact")],
)
def test_one_engine_is_active(strategy: str, engine: ActiveEngine) -> None:
    """By the strategy of a plan."""
    metrics = fresh_metrics()
    for each in ("graph", strategy):
        ActiveEngineGauge(metrics, None).update(each)
    shown = {each: value(metrics, "index_serving", engine=each) for each in ENGINES}
    assert shown == {each: float(each == engine) for each in ENGINES}


def test_what_the_engine_says_is_known() -> None:
    """A small index is scanned."""
    metrics = fresh_metrics()
    ActiveEngineGauge(metrics, None).update(engine_with(3).active_strategy)
    assert value(metrics, "index_serving", engine="exact") == 1


def test_the_swap_is_timed_once_and_only_after_a_restore() -> None:
    """From the restored index to the graphs."""
    metrics = fresh_metrics()
    gauge = ActiveEngineGauge(metrics, time.monotonic() - 5.0)
    gauge.update("ivfpq")
    assert value(metrics, "restore_seconds", step="swap") == 0
    gauge.update("graph")
    taken_s = value(metrics, "restore_seconds", step="swap")
    assert 5.0 <= taken_s < 60.0
    gauge.update("graph")
    assert value(metrics, "restore_seconds", step="swap") == taken_s
    empty = fresh_metrics()
    ActiveEngineGauge(empty, None).update("graph")
    assert value(empty, "restore_seconds", step="swap") == 0
