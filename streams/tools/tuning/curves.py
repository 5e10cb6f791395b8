"""Measure recall and latency over each search parameter, and choose settings."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from visualsearch.engine import Engine
from visualsearch.evaluation.sampling import Estimate, estimate, quantile
from visualsearch.index.arrays import DoubleArray
from visualsearch.index.curve import EFFORTS, EFS
from visualsearch.index.planner import Tuning
from visualsearch.index.trial import Trial
from visualsearch.types import Filters, Query

TARGETS = (0.80, 0.85, 0.90, 0.95, 0.97, 0.98, 0.99, 0.995, 1.0)
OVERFETCH_FACTORS = (1.0, 1.5, 2.0, 3.0, 4.0)
ENOUGH = 0.999  # recall at which a parameter is not raised further
_TIE = 1e-4  # equal images score equally but for rounding

SearchScores = Callable[[Query], DoubleArray]


@dataclass(frozen=True, slots=True)
class MeasuredSetting:
    """One value of a search parameter: recall of the exact result, milliseconds of a search."""

    knob: str
    setting: float
    recall: Estimate
    p50_ms: Estimate
    p95_ms: Estimate
    strategies: dict[str, int]  # queries by the strategy that answered them

    def meets(self, recall: float, slo_ms: float) -> bool:
        """Return whether it meets the targets of recall and p95."""
        return self.recall.mean >= recall and self.p95_ms.mean <= slo_ms


@dataclass(frozen=True, slots=True)
class ChosenSettings:
    """Settings for a worker, and the measurement of their recall target."""

    recall_target: float
    overfetch: float | None  # None: not measured
    ef_max: int | None
    point: MeasuredSetting


def measure(
    engine: Engine, queries: Sequence[Query], tell: Callable[[str], None] = lambda _: None
) -> list[MeasuredSetting]:
    """Measure every value of every parameter of this index, over all queries it applies to."""
    tell("exact answers")
    truth = [_planned(engine, query, 1.0)[0] for query in queries]
    points = []
    for target in TARGETS:
        tell(f"recall_target {target:g}")
        points.append(_target(engine, queries, truth, target))
    trial = engine.trial()
    if trial.has_graphs():
        for ef in EFS:
            tell(f"ef {ef}")
            points.append(
                _point("ef", ef, queries, truth, lambda q, ef=ef: trial.walk(q, ef))  # type: ignore[misc]
            )
            if points[-1].recall.mean >= ENOUGH:
                break
        points += _overfetch(trial, queries, truth, points, tell)
    if trial.has_lists():
        for effort in EFFORTS:
            tell(f"reach {effort.reach:g}")
            points.append(
                _point("reach", effort.reach, queries, truth,
                       lambda q, effort=effort: trial.look(q, effort))  # type: ignore[misc]
            )  # fmt: skip
            if points[-1].recall.mean >= ENOUGH:
                break
    return points


def choose(
    points: Sequence[MeasuredSetting], recall: float, slo_ms: float
) -> ChosenSettings | None:
    """Return settings that meet both targets; None if none does.

    Of several recall targets that do, the closest to `recall` is taken: a lower one may fail when
    the catalog grows. Graph parameters are None if the planner used no graph.
    """
    targets = [p for p in points if p.knob == "recall_target" and p.meets(recall, slo_ms)]
    if not targets:
        return None
    best = min(targets, key=lambda p: (abs(p.setting - recall), p.p95_ms.mean))
    if not best.strategies.get("graph"):
        return ChosenSettings(best.setting, None, None, best)
    factors = [p.setting for p in points if p.knob == "overfetch" and p.recall.mean >= recall]
    within_slo = [p for p in points if p.knob == "ef" and p.p95_ms.mean <= slo_ms]
    widest = max(within_slo, key=lambda p: p.setting, default=None)
    ef_max = None
    if widest is not None:
        # Filtered searches raise ef: up to what the latency target leaves beyond the widest.
        times_wider = slo_ms / max(widest.p95_ms.mean, 1e-6)
        ef_max = min(Tuning().ef_max, int(widest.setting * times_wider))
    return ChosenSettings(best.setting, min(factors, default=None), ef_max, best)


def chosen_settings(chosen: ChosenSettings) -> dict[str, Any]:
    """Return the settings by their names, without those that were not measured."""
    found = {
        "recall_target": chosen.recall_target,
        "overfetch": chosen.overfetch,
        "ef_max": chosen.ef_max,
    }
    return {name: value for name, value in found.items() if value is not None}


def _overfetch(
    trial: Trial,
    queries: Sequence[Query],
    truth: Sequence[DoubleArray],
    points: Sequence[MeasuredSetting],
    tell: Callable[[str], None],
) -> list[MeasuredSetting]:
    """Measure over-fetch factors on the queries whose filters exclude products."""
    whole = trial.view_of(Filters()).live_rows
    filtered = [
        place for place, query in enumerate(queries)
        if trial.view_of(query.filters).matching_rows < whole and len(truth[place])
    ]  # fmt: skip
    if not filtered:
        return []
    some = [queries[place] for place in filtered]
    right = [truth[place] for place in filtered]
    plain = [p for p in points if p.knob == "ef"]
    ef = int(next((p for p in plain if p.recall.mean >= 0.95), plain[-1]).setting)
    found = []
    for times in OVERFETCH_FACTORS:
        tell(f"over-fetch {times:g}")
        found.append(
            _point("overfetch", times, some, right,
                   lambda q, times=times: trial.overfetch(q, ef, times))  # type: ignore[misc]
        )  # fmt: skip
    return found


def _target(
    engine: Engine, queries: Sequence[Query], truth: Sequence[DoubleArray], target: float
) -> MeasuredSetting:
    strategies: dict[str, int] = {}

    def search(query: Query) -> DoubleArray:
        scores, strategy = _planned(engine, query, target)
        strategies[strategy] = strategies.get(strategy, 0) + 1
        return scores

    point = _point("recall_target", target, queries, truth, search)
    return replace(point, strategies=strategies)


def _planned(engine: Engine, query: Query, target: float) -> tuple[DoubleArray, str]:
    answer = engine.search(replace(query, recall_target=target))
    return np.array([hit.score for hit in answer.hits]), answer.plan.strategy


def _point(
    knob: str,
    setting: float,
    queries: Sequence[Query],
    truth: Sequence[DoubleArray],
    search: SearchScores,
) -> MeasuredSetting:
    recalls, times = [], []
    for query, right in zip(queries, truth, strict=True):
        begin = time.perf_counter()
        found = search(query)
        times.append(1000 * (time.perf_counter() - begin))
        if len(right):  # recall is undefined if nothing matches
            recalls.append(float(np.count_nonzero(found >= right[-1] - _TIE)) / len(right))
    return MeasuredSetting(
        knob,
        setting,
        estimate(np.minimum(np.array(recalls or [1.0]), 1.0)),
        quantile(np.array(times), 0.5),
        quantile(np.array(times), 0.95),
        {},
    )
