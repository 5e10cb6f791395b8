"""The worker's engine: its settings, and what it tells: errors, recall, memory to give back."""

import logging
from collections import deque
from dataclasses import replace
from typing import Any

from streams.config.process import give_back
from streams.config.settings import Settings
from streams.metrics import Metrics
from visualsearch.engine import Engine, Hooks, Layout
from visualsearch.index.planner import Tuning
from visualsearch.index.probe import Probed

log = logging.getLogger(__name__)

PROBES = 200  # of the newest, whose mean is exported
FEW = 10  # the gauge's labels: "10" up to so many results, "100" beyond


def build_engine(settings: Settings, model: str, dim: int, metrics: Metrics) -> Engine:
    """Return an empty engine that exports what it finds out about itself."""
    return Engine(model, dim, **engine_options(settings, metrics))


def engine_options(settings: Settings, metrics: Metrics) -> dict[str, Any]:
    """Return what every engine of a worker is told, an empty one or one that is restored."""
    recalls: dict[str, deque[float]] = {}

    def note(probed: Probed) -> None:
        label = str(FEW) if probed.top_k <= FEW else "100"
        newest = recalls.setdefault(label, deque(maxlen=PROBES))
        newest.append(probed.recall)
        metrics.live_recall.labels(label).set(sum(newest) / len(newest))

    def tell(error: Exception) -> None:
        log.error("the index writer failed and goes on: %s", error, exc_info=error)

    return {
        "tuning": _tuning(settings),
        "layout": Layout(threads=settings.index_threads, probe_share=settings.recall_probe_share),
        "hooks": Hooks(on_error=tell, on_recall=note, on_freed=give_back),
    }


def _tuning(settings: Settings) -> Tuning:
    """Return the planner's knobs, its own where the settings say nothing."""
    tuning = Tuning(recall_target=settings.recall_target)
    if settings.overfetch is not None:
        tuning = replace(tuning, surplus=settings.overfetch)
    if settings.ef_max is not None:
        tuning = replace(tuning, ef_max=settings.ef_max)
    return tuning
