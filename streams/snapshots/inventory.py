"""Lists the snapshots of a folder or store, by their manifests."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from streams.snapshots.source import UnusableSnapshotError, read_source
from streams.snapshots.store import SnapshotStore, StoreError
from visualsearch.snapshot.errors import SnapshotError
from visualsearch.snapshot.folder import list_snapshots
from visualsearch.snapshot.manifest import Manifest, check_sizes, read_manifest

Where = Literal["folder", "store"]


@dataclass(frozen=True, slots=True)
class SnapshotEntry:
    """A snapshot, here or in the store; without a manifest, `error` says why it has none."""

    name: str
    where: Where
    manifest: Manifest | None
    error: str | None = None  # its code

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        fields: dict[str, Any] = {"name": self.name, "where": self.where, "error": self.error}
        if (manifest := self.manifest) is None:
            return fields
        return fields | {
            "created_at": datetime.fromtimestamp(manifest.created_at, UTC).isoformat(),
            "model": manifest.model,
            "index": manifest.index,
            "products": manifest.products,
            "vectors": manifest.rows,
            "bytes": manifest.bytes,
            "source": dict(manifest.source),
        }


def in_folder(folder: Path) -> list[SnapshotEntry]:
    """Return those of a folder, newest first; missing and truncated files are detected."""

    def manifest(name: str) -> Manifest:
        found = read_manifest(folder / name)
        check_sizes(folder / name, found)
        return found

    return list(_entries((path.name for path in list_snapshots(folder)), "folder", manifest))


def in_store(url: str) -> list[SnapshotEntry]:
    """Return those of a store, the newest first. Raises StoreError."""
    store = SnapshotStore(url)
    return list(_entries(store.listed(), "store", store.manifest))


def _entries(
    names: Iterable[str], where: Where, manifest: Callable[[str], Manifest]
) -> "Iterable[SnapshotEntry]":
    for name in names:
        try:
            found = manifest(name)
            read_source(found.source)
        except (SnapshotError, UnusableSnapshotError, StoreError) as error:
            yield SnapshotEntry(name, where, None, error.code)
        else:
            yield SnapshotEntry(name, where, found)
