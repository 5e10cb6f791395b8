"""Atomic writing of a snapshot while the engine serves.

Files are written into a temporary folder, synced, and the folder is renamed. A listed snapshot is
therefore complete, even if the process is killed.
"""

import errno
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from visualsearch import private
from visualsearch.engine import Engine
from visualsearch.snapshot.copying import SnapshotCopy
from visualsearch.snapshot.errors import SnapshotError
from visualsearch.snapshot.folder import WRITING, clean, locked, snapshot_name, sync
from visualsearch.snapshot.manifest import NAME, FileEntry, Manifest, encode_manifest, sha256_of

STEPS = (*SnapshotCopy.STEPS, "checksums", "manifest", "sync", "rename", "synced")
PAUSE_S = 0.002  # most searches are shorter, so they meet at most one slice

Progress = Callable[[str, int, int], object]


def _ignore(*_: object) -> None:
    """Do nothing."""


def yield_to_searches() -> None:
    """Release the GIL, and a core, for searches."""
    time.sleep(PAUSE_S)


def write(
    engine: Engine,
    folder: Path,
    *,
    source: Mapping[str, Any],
    created_at: float,
    progress: Progress = _ignore,
    step: Callable[[str], object] = _ignore,
    pause: Callable[[], object] = yield_to_searches,
) -> Path:
    """Write a snapshot of the engine into `folder`; return its path.

    Searches and applies go on: each product is copied atomically, but not all at one moment.
    `source` (JSON) must therefore be taken before the call: the log offsets to replay from.
    `created_at` is in seconds since 1970. `progress` gets (step, done, total), `step` the name of
    each of `STEPS` before it runs, and `pause` is called between slices of work.

    Raises SnapshotError `exists`, `disk_full` or `unwritable`, after removing its temporary folder.
    """
    path = folder / snapshot_name(created_at)
    temporary = folder / (WRITING + path.name)
    try:
        private.make_folder(folder)
        clean(folder)
        if path.exists() or temporary.exists():
            raise SnapshotError(f"{path.name} already exists", code="exists")
        private.make_folder(temporary)
        try:
            with locked(temporary):
                _fill(engine, temporary, source, created_at, progress, step, pause)
                step("rename")
                temporary.rename(path)
            step("synced")
            sync(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        code = "disk_full" if full else "unwritable"
        raise SnapshotError(f"cannot write {path}: {error}", code=code) from error
    return path


def _fill(
    engine: Engine,
    folder: Path,
    source: Mapping[str, Any],
    created_at: float,
    progress: Progress,
    step: Callable[[str], object],
    pause: Callable[[], object],
) -> None:
    """Write all files, the manifest last, and fsync them."""
    copy = SnapshotCopy(engine, folder, progress, pause)
    for name in SnapshotCopy.STEPS:
        step(name)
        getattr(copy, name)()
    step("checksums")
    manifest = _manifest(engine, copy, source, created_at)
    step("manifest")
    (folder / NAME).write_bytes(encode_manifest(manifest))
    step("sync")
    for file in folder.iterdir():
        private.restrict_to_owner(file)
        sync(file)
    sync(folder)


def _manifest(
    engine: Engine, copy: SnapshotCopy, source: Mapping[str, Any], created_at: float
) -> Manifest:
    files = {
        file.name: FileEntry(file.stat().st_size, sha256_of(file))
        for file in sorted(copy.folder.iterdir())
    }
    return Manifest(
        model=engine.model, dim=engine.dim, index=copy.kind, products=copy.product_count,
        rows=copy.row_count, created_at=created_at, files=files, source=source,
    )  # fmt: skip
