"""Which engine answers most searches now, and when the graphs took over after a restore."""

import time
from typing import Literal

from streams.metrics import Metrics
from visualsearch.index.state import IndexStats

Serving = Literal["hnsw", "ivfpq", "exact"]
ENGINES: tuple[Serving, ...] = ("hnsw", "ivfpq", "exact")


def serving(stats: IndexStats) -> Serving:
    """Return what answers a search without filters: graphs, once they hold most of the rows."""
    in_graphs = stats.rows - stats.fresh_rows
    if stats.segments and in_graphs >= stats.fresh_rows:
        return "hnsw"
    return "ivfpq" if stats.pieces else "exact"


class Served:
    """Exports who serves; `restored_at` (monotonic) is None if the index began empty."""

    def __init__(self, metrics: Metrics, restored_at: float | None) -> None:
        self._metrics = metrics
        self._restored_at = restored_at

    def update(self, stats: IndexStats) -> None:
        """Note the state of this moment."""
        now = serving(stats)
        for engine in ENGINES:
            self._metrics.serving.labels(engine).set(engine == now)
        if now == "hnsw" and self._restored_at is not None:
            taken_s = time.monotonic() - self._restored_at
            self._metrics.restore.labels("swap").set(taken_s)
            self._restored_at = None
