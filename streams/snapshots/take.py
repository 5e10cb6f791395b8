"""Takes one snapshot and uploads it; the scheduler decides when."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.indexer.ledger import Ledger
from streams.indexer.reader import LogReader
from streams.metrics import Metrics
from streams.snapshots.source import LogIdentity, SavedDirtyKey, SnapshotSource
from streams.snapshots.store import SnapshotStore
from visualsearch.client.tail import Position
from visualsearch.engine import Engine
from visualsearch.snapshot.folder import prune
from visualsearch.snapshot.manifest import read_manifest
from visualsearch.snapshot.write import Progress, write, yield_to_searches

log = logging.getLogger(__name__)
Positions = tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class Retention:
    """How many snapshots are kept, and for how long; the newest one always is."""

    count: int
    max_age_s: float | None


@dataclass(frozen=True, slots=True)
class TakenSnapshot:
    """A snapshot that is on the disk."""

    path: Path
    positions: Positions
    created_at: float
    seconds: float
    products: int
    vectors: int
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "name": self.path.name,
            "path": str(self.path),
            "seconds": round(self.seconds, 3),
            "products": self.products,
            "vectors": self.vectors,
            "bytes": self.bytes,
        }


class SnapshotTaker:
    """Takes snapshots of one index, and uploads them."""

    def __init__(
        self,
        engine: Engine,
        reader: LogReader,
        ledger: Ledger,
        here: LogIdentity,
        folder: Path,
        store: SnapshotStore | None,
        keep: Retention,
        metrics: Metrics,
        now: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._ledger = ledger
        self._here = here
        self._folder = folder
        self._store = store
        self._keep = keep
        self._metrics = metrics
        self._now = now

    @property
    def ready(self) -> bool:
        """Whether the reader has caught up: a partial index is not saved."""
        return self._reader.caught_up.is_set()

    @property
    def has_store(self) -> bool:
        """Whether there is a store."""
        return self._store is not None

    def positions(self) -> Positions:
        """Return how far each partition is applied, those without a read record included."""
        applied = self._reader.positions_with_epochs()
        return tuple(applied.get(n, Position(0)) for n in range(self._here.partitions))

    def take(
        self, progress: Progress, pause: Callable[[], object] = yield_to_searches
    ) -> TakenSnapshot:
        """Write a snapshot, with pauses for searches.

        The positions are read first, then the dirty keys, then the index is copied while it
        changes. The copy and the keys may be newer than the positions, never older. Records that
        are applied again from there have no effect.

        Raises SnapshotError, and what `progress` raises.
        """
        started = time.perf_counter()
        created_at = self._now()
        positions = self.positions()
        dirty = self._ledger.dirty_keys().items()
        keys = tuple(SavedDirtyKey.of(key, each.partition, each.order) for key, each in dirty)
        source = SnapshotSource(self._here, positions, keys)
        path = write(
            self._engine,
            self._folder,
            source=source.as_json(),
            created_at=created_at,
            progress=progress,
            pause=pause,
        )
        manifest = read_manifest(path)
        seconds = time.perf_counter() - started
        taken = TakenSnapshot(
            path, positions, created_at, seconds, manifest.products, manifest.rows, manifest.bytes
        )
        self._metrics.snapshots.labels("taken").inc()
        self._metrics.snapshot_time.set(seconds)
        self._metrics.snapshot_bytes.set(taken.bytes)
        log.info("%s: %d products, %d vectors, %d bytes, %.1f s",
                 path.name, taken.products, taken.vectors, taken.bytes, seconds)  # fmt: skip
        return taken

    def prune(self) -> None:
        """Remove snapshots past the retention, and leftovers of dead writers."""
        keep = self._keep
        prune(self._folder, keep=keep.count, max_age_s=keep.max_age_s, now=self._now())

    def upload(self, snapshot: Path) -> None:
        """Upload a snapshot and prune the store. Raises StoreError."""
        if self._store is None:
            return
        started = time.perf_counter()
        if self._store.upload(snapshot):
            self._metrics.snapshots.labels("uploaded").inc()
            log.info("%s is in the store after %.1f s", snapshot.name,
                     time.perf_counter() - started)  # fmt: skip
        keep = self._keep
        self._store.prune(keep=keep.count, max_age_s=keep.max_age_s, now=self._now())
