"""Which engine is active, and when the graphs took over after a restore."""

import time
from typing import Literal

from streams.metrics import Metrics

ActiveEngine = Literal["hnsw", "ivfpq", "exact"]
ENGINES: tuple[ActiveEngine, ...] = ("hnsw", "ivfpq", "exact")
_BY_STRATEGY: dict[str, ActiveEngine] = {"graph": "hnsw", "ivfpq": "ivfpq"}


def active_engine(strategy: str) -> ActiveEngine:
    """Return the engine behind a plan's strategy."""
    return _BY_STRATEGY.get(strategy, "exact")


class ActiveEngineGauge:
    """Exports the active engine; `restored_at` (monotonic) is None if the index began empty."""

    def __init__(self, metrics: Metrics, restored_at: float | None) -> None:
        self._metrics = metrics
        self._restored_at = restored_at

    def update(self, strategy: str) -> None:
        """Note how a search without filters is answered at this moment."""
        now = active_engine(strategy)
        for engine in ENGINES:
            self._metrics.serving.labels(engine).set(engine == now)
        if now == "hnsw" and self._restored_at is not None:
            taken_s = time.monotonic() - self._restored_at
            self._metrics.restore.labels("swap").set(taken_s)
            self._restored_at = None
