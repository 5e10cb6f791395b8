"""Metrics with confidence intervals, and significance tests between two configurations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from streams.tools.evaluation.judge import EvaluationRun
from visualsearch.evaluation.sampling import (
    Difference,
    Estimate,
    Scores,
    corrected,
    difference,
    estimate,
    quantile,
)
from visualsearch.evaluation.variety import coverage

ALL = "all"
QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
STAGES = ("total", "embed", "search")
WORST_BY = "ndcg"


def figures(run: EvaluationRun) -> dict[str, dict[str, Estimate]]:
    """Return each metric's estimate by group; the group `all` holds every query."""
    return {
        group: {name: estimate(values) for name, values in metrics.items()}
        for group, metrics in _by_group(run).items()
    }


def compared(one: EvaluationRun, other: EvaluationRun) -> dict[str, dict[str, Difference]]:
    """Return the first run minus the second by group and metric; p-values are Holm-corrected."""
    mine, theirs = _by_group(one), _by_group(other)
    found: dict[str, dict[str, Difference]] = {}
    for group, metrics in mine.items():
        each = {name: difference(values, theirs[group][name]) for name, values in metrics.items()}
        ps = corrected({name: one.p for name, one in each.items()})
        found[group] = {
            name: Difference(**(asdict(one) | {"p": ps[name]})) for name, one in each.items()
        }
    return found


def shown_share(run: EvaluationRun) -> Estimate | None:
    """Return the share of the catalog's products that are hits; None without searches."""
    answers = [[hit.product_id for hit in judged.hits] for judged in run.judged]
    return coverage(answers, run.products) if answers else None


def latency(run: EvaluationRun) -> dict[str, dict[str, Estimate]]:
    """Return quantiles of milliseconds by stage; empty without searches."""
    if not run.judged:
        return {}
    return {
        stage: {
            name: quantile(np.array([getattr(one.took, stage) for one in run.judged]), share)
            for name, share in QUANTILES.items()
        }
        for stage in STAGES
    }


def report(runs: Sequence[EvaluationRun], ks: Sequence[int]) -> dict[str, Any]:
    """Return all metrics as JSON values."""
    found: dict[str, Any] = {"ks": list(ks), "configurations": [_one(run) for run in runs]}
    if len(runs) == 2:
        found["comparison"] = {
            "one": runs[0].name,
            "other": runs[1].name,
            "groups": _plain(compared(*runs)),
        }
    return found


def worst(run: EvaluationRun, ks: Sequence[int], count: int) -> list[int]:
    """Return the indexes of the queries with the lowest NDCG, the worst first."""
    name = f"{WORST_BY}@{max(ks)}"
    order = sorted(range(len(run.judged)), key=lambda place: run.judged[place].scores[name])
    return order[:count]


def _one(run: EvaluationRun) -> dict[str, Any]:
    share = shown_share(run)
    return {
        "name": run.name,
        "model": run.model,
        "products": run.products,
        "pictures": run.image_count,
        "searches": len(run.judged),
        "preferences": len(run.preferred),
        "lines_with_unknown_products": run.unknown,
        "figures": _plain(figures(run)),
        "coverage": None if share is None else asdict(share),
        "latency_ms": _plain(latency(run)),
        "queries": [
            {"line": one.search.line, "groups": one.search.groups, "scores": dict(one.scores),
             "hits": [hit.product_id for hit in one.hits], "took_ms": one.took.total}
            for one in run.judged
        ],
    }  # fmt: skip


def _by_group(run: EvaluationRun) -> dict[str, dict[str, Scores]]:
    found: dict[str, dict[str, list[float]]] = {}

    def add(groups: Sequence[str], scores: Mapping[str, float]) -> None:
        for group in dict.fromkeys((ALL, *groups)):
            for name, score in scores.items():
                found.setdefault(group, {}).setdefault(name, []).append(score)

    for judged in run.judged:
        add(judged.search.groups, judged.scores)
    for preference, agreed in run.preferred:
        add(preference.groups, {"preference": agreed})
    return {
        group: {name: np.array(values) for name, values in metrics.items()}
        for group, metrics in found.items()
    }


def _plain(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    as_plain: Callable[[Any], dict[str, Any]] = asdict
    return {
        group: {name: as_plain(one) for name, one in metrics.items()}
        for group, metrics in groups.items()
    }
