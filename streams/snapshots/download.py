"""Downloads a snapshot from the store and checks that it can serve."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streams.snapshots.store import Progress, SnapshotStore
from visualsearch.snapshot.errors import SnapshotError
from visualsearch.snapshot.manifest import Manifest
from visualsearch.snapshot.read import restore
from visualsearch.types import Query

LOOKED_AT = 1_000  # products, among them one with an image


@dataclass(frozen=True, slots=True)
class DownloadedSnapshot:
    """The downloaded snapshot, None without a usable one, and the rejected ones."""

    path: Path | None
    manifest: Manifest | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)  # code by name

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        fields: dict[str, Any] = {
            "path": None if self.path is None else str(self.path),
            "seconds": {step: round(s, 3) for step, s in self.seconds.items()},
            "refused": self.refused,
        }
        if self.manifest is not None:
            fields |= {"products": self.manifest.products, "vectors": self.manifest.rows}
        return fields


def download_snapshot(
    store: SnapshotStore, folder: Path, name: str | None, progress: Progress = lambda *_: None
) -> DownloadedSnapshot:
    """Return the named snapshot, or the newest that can serve, copied into `folder`.

    Raises StoreError, and SnapshotError for a named one. Otherwise rejected ones are in `refused`.
    """
    if name is not None:
        return _checked(store.download(name, folder, progress), {})
    refused: dict[str, str] = {}
    for each in store.listed():
        try:
            return _checked(store.download(each, folder, progress), refused)
        except SnapshotError as error:
            refused[each] = error.code
    return DownloadedSnapshot(None, refused=refused)


def _checked(path: Path, refused: dict[str, str]) -> DownloadedSnapshot:
    """Restore a snapshot and search it with one of its vectors. Raises SnapshotError."""
    from visualsearch.snapshot.manifest import read_manifest

    manifest = read_manifest(path)
    restored = restore(path, model=manifest.model, dim=manifest.dim)
    engine = restored.engine
    for state in engine.list_products(0, LOOKED_AT):
        vectors = engine.vectors_of(state.product_id) if state.searchable else []
        if not vectors:
            continue
        answer = engine.search(Query(vectors[0][1], top_k=10))
        best = max((hit.score for hit in answer.hits), default=0.0)
        if best < 0.99:  # itself, or a duplicate
            text = f"{path.name} does not find {state.product_id} by its own image"
            raise SnapshotError(text, code="unreadable")
        break
    return DownloadedSnapshot(path, restored.manifest, restored.seconds, refused)
