"""A folder of snapshots: naming, listing, pruning, and cleaning up after crashes."""

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
    """Return a snapshot's name for its time (seconds since 1970, UTC); names sort by time."""
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
    """Remove old snapshots and the leftovers of crashes; return the removed snapshots.

    The newest `keep` intact snapshots stay, except those older than `max_age_s` seconds at `now`.
    The newest intact one always stays. Damaged ones that are older than it are removed. Intact
    means a valid manifest and files of the right sizes.
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
    """Remove a snapshot: rename it, so that it is listed no more, then delete its files.

    Engines restored from it keep its files mapped and go on working.
    """
    doomed = path.with_name(GONE + path.name)
    with contextlib.suppress(FileNotFoundError):  # another process removed it first
        path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def clean(folder: Path) -> list[Path]:
    """Remove the leftovers of dead writers and removals; return their paths."""
    left = [path for path in folder.glob(".*-*") if path.name.startswith((WRITING, GONE))]
    removed = []
    for path in left:
        with contextlib.suppress(OSError), locked(path):  # a live writer holds the lock
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path)
    return removed


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold a `flock` on a folder, which ends with the process; yield the file descriptor.

    Raises BlockingIOError if another process holds it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """Call fsync on a file or a folder. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
