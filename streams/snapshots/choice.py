"""Chooses the snapshot to start from: the newest that is complete and of the same log."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from streams.metrics import Metrics
from streams.snapshots.source import (
    LogIdentity,
    SnapshotSource,
    UnusableSnapshotError,
    read_source,
    require_log,
)
from streams.snapshots.store import SnapshotStore, StoreError
from visualsearch.client.tail import Position
from visualsearch.snapshot import folder as local
from visualsearch.snapshot.errors import SnapshotError
from visualsearch.snapshot.manifest import Manifest, read_manifest
from visualsearch.snapshot.read import Restored

log = logging.getLogger(__name__)
Restore = Callable[[Path], Restored]


@dataclass(frozen=True, slots=True)
class ChosenSnapshot:
    """The restored snapshot that a worker starts from."""

    path: Path
    source: SnapshotSource
    restored: Restored
    seconds: Mapping[str, float]  # by step: choose, download, and those of the restore

    @property
    def positions(self) -> tuple[Position, ...]:
        """The next log position by partition."""
        return self.source.positions

    @property
    def created_at(self) -> float:
        """When it was taken, in seconds since 1970."""
        return self.restored.manifest.created_at


@dataclass(frozen=True, slots=True)
class SnapshotValidator:
    """Validates a manifest against this worker's model and log, before the snapshot is read."""

    log_identity: LogIdentity
    model: str
    dim: int
    require_readable: Callable[[SnapshotSource], None]  # raises UnusableSnapshotError

    def __call__(self, manifest: Manifest) -> SnapshotSource:
        """Return the source of a valid manifest. Raises UnusableSnapshotError, SnapshotError."""
        if (manifest.model, manifest.dim) != (self.model, self.dim):
            raise UnusableSnapshotError(
                f"its model is {manifest.model} with {manifest.dim} dimensions, here it is "
                f"{self.model} with {self.dim}",
                code="model_foreign",
            )
        source = read_source(manifest.source)
        require_log(source, self.log_identity)
        self.require_readable(source)
        return source


@dataclass(frozen=True, slots=True)
class SnapshotCandidate:
    """A local or stored snapshot; both functions raise SnapshotError, StoreError, OSError."""

    name: str
    manifest: Callable[[], Manifest]
    fetch: Callable[[], Path]  # its local folder, downloaded if necessary


class SnapshotChooser:
    """Tries the local snapshots, then those of the store, each time the newest first."""

    def __init__(
        self,
        folder: Path,
        store: SnapshotStore | None,
        validate: SnapshotValidator,
        restore: Restore,
        metrics: Metrics,
    ) -> None:
        self._folder = folder
        self._store = store
        self._validate = validate
        self._restore = restore
        self._metrics = metrics
        self._seconds = {"choose": 0.0, "download": 0.0}

    def choose(self) -> ChosenSnapshot | None:
        """Restore the first usable snapshot; None if the log has to be replayed from its start."""
        for candidate in self._candidates():
            try:
                return self._use(candidate)
            except (SnapshotError, UnusableSnapshotError, StoreError) as error:
                self._refuse(candidate.name, error.code, error)
            except OSError as error:
                self._refuse(candidate.name, "unreadable", error)
        return None

    def _use(self, candidate: SnapshotCandidate) -> ChosenSnapshot:
        with self._timed("choose"):
            source = self._validate(candidate.manifest())
        with self._timed("download"):
            path = candidate.fetch()
        restored = self._restore(path)
        self._metrics.snapshots.labels("restored").inc()
        return ChosenSnapshot(path, source, restored, self._seconds | restored.seconds)

    def _candidates(self) -> Iterator[SnapshotCandidate]:
        for path in local.list_snapshots(self._folder):
            yield SnapshotCandidate(path.name, partial(read_manifest, path), partial(Path, path))
        if self._store is None:
            return
        try:
            names = self._store.listed()
        except StoreError as error:
            self._refuse("the store", error.code, error)
            return
        for name in names:
            fetch = partial(self._store.download, name, self._folder)
            yield SnapshotCandidate(
                f"{name} of the store", partial(self._store.manifest, name), fetch
            )

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[step] += time.perf_counter() - started

    def _refuse(self, name: str, code: str, error: Exception) -> None:
        self._metrics.snapshots.labels("refused").inc()
        self._metrics.snapshots_refused.labels(code).inc()
        log.warning("%s is not used: %s [%s]", name, error, code)
