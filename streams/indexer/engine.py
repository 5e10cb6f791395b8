"""Builds the worker's engine: its settings, and hooks for errors, recall and freed memory."""

import logging
from collections import deque
from dataclasses import replace
from typing import Any

from streams.config.process import trim_memory
from streams.config.settings import Settings
from streams.metrics import Metrics
from visualsearch.engine import Engine, Hooks, Layout
from visualsearch.index.planner import Tuning
from visualsearch.index.probe import Probed

log = logging.getLogger(__name__)

PROBES = 200  # recent probes whose mean recall is exported
FEW = 10  # top_k up to which a probe has the label "10", else "100"


def build_engine(settings: Settings, model: str, dim: int, metrics: Metrics) -> Engine:
    """Return an empty engine that exports its own metrics."""
    return Engine(model, dim, **engine_options(settings, metrics))


def engine_options(settings: Settings, metrics: Metrics) -> dict[str, Any]:
    """Return the options of every engine of a worker, empty or restored."""
    recalls: dict[str, deque[float]] = {}

    def export_recall(probed: Probed) -> None:
        label = str(FEW) if probed.top_k <= FEW else "100"
        newest = recalls.setdefault(label, deque(maxlen=PROBES))
        newest.append(probed.recall)
        metrics.live_recall.labels(label).set(sum(newest) / len(newest))

    def log_error(error: Exception) -> None:
        log.error("the index writer failed and goes on: %s", error, exc_info=error)

    return {
        "tuning": _planner_tuning(settings),
        "layout": Layout(threads=settings.index_threads, probe_share=settings.recall_probe_share),
        "hooks": Hooks(on_error=log_error, on_recall=export_recall, on_freed=trim_memory),
    }


def _planner_tuning(settings: Settings) -> Tuning:
    """Return the planner's parameters; settings that are absent keep its defaults."""
    tuning = Tuning(recall_target=settings.recall_target)
    if settings.overfetch is not None:
        tuning = replace(tuning, surplus=settings.overfetch)
    if settings.ef_max is not None:
        tuning = replace(tuning, ef_max=settings.ef_max)
    return tuning
