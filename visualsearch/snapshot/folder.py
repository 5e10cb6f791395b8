"""A folder of snapshots: their names, which are there, which can go, and what a crash left."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from visualsearch.snapshot.errors import SnapshotError
from visualsearch.snapshot.manifest import check_sizes, read_manifest

PREFIX = "snapshot-"
WRITING, GONE = ".writing-", ".gone-"


def snapshot_name(created_at: float) -> str:
    """Return the name of a snapshot made then (seconds since 1970): names sort by time."""
    moment = datetime.fromtimestamp(created_at, UTC)
    return f"{PREFIX}{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03d}Z"


def list_snapshots(folder: Path) -> list[Path]:
    """Return the snapshots of the folder, newest first, damaged ones included."""
    if not folder.is_dir():
        return []
    return sorted(
        (path for path in folder.iterdir() if path.name.startswith(PREFIX) and path.is_dir()),
        reverse=True,
    )


def prune(folder: Path, *, keep: int, max_age_s: float | None = None, now: float) -> list[Path]:
    """Remove what is not kept, and what crashes left; return the snapshots that are gone.

    Kept are the newest `keep` of those that look whole, but none older than `max_age_s` seconds
    save the newest one. Those that do not look whole go with the older ones.
    """
    kept = 0
    gone: list[Path] = []
    for path in list_snapshots(folder):
        try:
            manifest = read_manifest(path)
            check_sizes(path, manifest)
        except SnapshotError:
            if kept:
                gone.append(path)
            continue
        young = max_age_s is None or now - manifest.created_at <= max_age_s
        if kept and (kept >= keep or not young):
            gone.append(path)
        else:
            kept += 1
    for path in gone:
        remove(path)
    clean(folder)
    return gone


def remove(path: Path) -> None:
    """Remove a snapshot: out of the list at once, then its files.

    Engines that were restored from it keep its files open, so that they go on working.
    """
    doomed = path.with_name(GONE + path.name)
    with contextlib.suppress(FileNotFoundError):  # who shares the folder was quicker
        path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def clean(folder: Path) -> list[Path]:
    """Remove what writers and removals that died have left; return it. Others' work stays."""
    left = [path for path in folder.glob(".*-*") if path.name.startswith((WRITING, GONE))]
    removed = []
    for path in left:
        with contextlib.suppress(OSError), locked(path):  # a writer that lives holds the lock
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path)
    return removed


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock of a folder, which dies with the process; yield its descriptor.

    Raises BlockingIOError if another holds it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
