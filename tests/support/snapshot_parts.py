"""Small snapshots, and what a worker has around them, without a broker."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry

from streams.indexer.ledger import Ledger
from streams.indexer.reader import LogReader
from streams.metrics import Metrics
from streams.snapshots.choice import SnapshotChooser, SnapshotValidator
from streams.snapshots.source import LogIdentity, SavedDirtyKey, SnapshotSource
from streams.snapshots.store import SnapshotStore
from streams.snapshots.take import Retention, SnapshotTaker
from tests.support.log_history import vector
from tests.support.log_replica import DIM, MODEL, SMALL, TOPIC
from visualsearch.client.tail import Position
from visualsearch.engine import Engine
from visualsearch.snapshot.read import restore
from visualsearch.snapshot.write import write
from visualsearch.types import BaseRecord, ImageVector, VectorsRecord

HERE = LogIdentity("cluster", TOPIC, "id", 2)
SOURCE = SnapshotSource(
    HERE, (Position(5, 0), Position(7, None)), (SavedDirtyKey.of(b"base:p", 0, (1, 2, 0)),)
)
START_S = 1_750_000_000.0


def engine_with(count: int) -> Engine:
    """Return an engine of so many products with an image each."""
    engine = Engine(MODEL, DIM, layout=SMALL)
    for number in range(count):
        name, order = f"p{number}", (number, 0, 0)
        image = ImageVector("0", np.frombuffer(vector(number), "<f2"))
        engine.apply([BaseRecord(name, order), VectorsRecord(name, order, False, MODEL, (image,))])
    return engine


def snapshot_in(
    folder: Path, *, at: float = START_S, count: int = 3, source: SnapshotSource = SOURCE
) -> Path:
    """Write a snapshot of some products and return its path."""
    return write(engine_with(count), folder, source=source.as_json(), created_at=at)


def fresh_metrics() -> Metrics:
    """Return metrics of their own."""
    return Metrics(CollectorRegistry())


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """Return a metric's value, 0 if it was never touched."""
    return metrics.registry.get_sample_value(f"visualsearch_{name}", labels) or 0.0


def choice(
    folder: Path,
    metrics: Metrics,
    store: SnapshotStore | None = None,
    *,
    here: LogIdentity = HERE,
    model: str = MODEL,
    require_readable: Callable[[SnapshotSource], None] = lambda _: None,
) -> SnapshotChooser:
    """Return a choice of a worker on this log."""
    return SnapshotChooser(
        folder,
        store,
        SnapshotValidator(here, model, DIM, require_readable),
        lambda path: restore(path, model=model, dim=DIM, layout=SMALL),
        metrics,
    )


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.s = START_S

    def __call__(self) -> float:
        """Return its time."""
        return self.s


def taking(
    engine: Engine,
    folder: Path,
    metrics: Metrics,
    clock: Clock,
    store: SnapshotStore | None = None,
    offsets: Sequence[int] = (5, 7),
) -> SnapshotTaker:
    """Return who takes snapshots of a worker that has applied its log up to these offsets."""
    ledger = Ledger(30.0, clock)
    starts = {n: Position(offset, 0) for n, offset in enumerate(offsets)}
    reader = LogReader({}, TOPIC, engine, ledger, metrics, clock, partitions=2, starts=starts)
    reader.caught_up.set()
    return SnapshotTaker(
        engine, reader, ledger, HERE, folder, store, Retention(3, None), metrics, clock
    )
