"""Writing: all or nothing, whatever happens between two steps, and never in a search's way."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.snapshot_parts import snapshot_in
from tests.support.snapshots import COUNT, answers, engine_of, failing, records, restored, written
from visualsearch.snapshot import folder as folders
from visualsearch.snapshot import write as writing
from visualsearch.snapshot.errors import SnapshotError
from visualsearch.snapshot.folder import (
    WRITING,
    clean,
    list_snapshots,
    locked,
    prune,
    remove,
    snapshot_name,
)
from visualsearch.snapshot.read import check
from visualsearch.snapshot.write import STEPS


def names(folder: Path) -> list[str]:
    """Return what is in the folder."""
    return sorted(path.name for path in folder.iterdir())


def test_an_engine_answers_as_before(tmp_path: Path) -> None:
    """With the same plans' products, scores and titles, and nothing beside the snapshot."""
    engine = engine_of()
    seen: list[tuple[str, int, int]] = []
    path = written(engine, tmp_path, progress=lambda *each: seen.append(each))
    assert names(tmp_path) == [path.name]
    back = restored(path)
    assert [answer.hits for answer in answers(back.engine)] == [
        answer.hits for answer in answers(engine)
    ]
    assert back.engine.list_products(0, 1_000) == engine.list_products(0, 1_000)
    assert back.manifest.rows == engine.stats().rows == back.engine.stats().rows
    assert set(back.seconds) == {"checksums", "rows", "lists", "products", "vectors"}
    assert {step for step, _, _ in seen} == {"products", "vectors"}
    assert all(0 < done <= total for _, done, total in seen)


def test_an_empty_engine_is_written_too(tmp_path: Path) -> None:
    """There is nothing in it, and nothing to map."""
    back = restored(written(engine_of([]), tmp_path)).engine
    assert answers(back) == answers(engine_of([]))
    back.apply(records())
    assert answers(back) == answers(engine_of())


@pytest.mark.parametrize("at", STEPS)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, "broken")])
def test_an_end_before_any_step_leaves_the_older_one(
    tmp_path: Path, at: str, error: BaseException
) -> None:
    """And nothing else; after the rename the new one is there and whole."""
    engine = engine_of()
    older = written(engine, tmp_path, at=1.0)
    expected = SnapshotError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        written(engine, tmp_path, at=2.0, step=failing(at, error))
    assert list_snapshots(tmp_path)[-1] == older
    assert len(names(tmp_path)) == (2 if at == "synced" else 1)
    for path in list_snapshots(tmp_path):
        check(path)


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.support.snapshots import engine_of, written
def step(name):
    if name == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
written(engine_of(), Path(sys.argv[1]), at=2.0, step=step)
"""


@pytest.mark.parametrize("at", ["products", "manifest", "rename", "synced"])
def test_a_killed_writer_leaves_the_older_one_and_its_rest_is_cleaned(
    tmp_path: Path, at: str
) -> None:
    """Killed for real: no cleaning up of its own."""
    older = written(engine_of(), tmp_path, at=1.0)
    ended = subprocess.run([sys.executable, "-c", KILLED, tmp_path, at], check=False)
    assert ended.returncode == -9
    assert (len(list_snapshots(tmp_path)) == 2) == (at == "synced")
    for path in list_snapshots(tmp_path):
        check(path)
    left = [name for name in names(tmp_path) if name.startswith(WRITING)]
    assert len(left) == (at != "synced")
    newest = written(engine_of(), tmp_path, at=3.0)
    assert names(tmp_path) == sorted(path.name for path in list_snapshots(tmp_path))
    assert list_snapshots(tmp_path)[0] == newest
    assert list_snapshots(tmp_path)[-1] == older


def full_disk(room: int) -> Callable[..., Any]:
    """Return an `open` of paths that lets so many bytes be written, by all files together."""
    left = [room]

    def opened(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        file = open(path, mode, *args, **options)  # noqa: PTH123, SIM115
        return Limited(file, left) if "w" in mode else file

    return opened


class Limited:
    """A file on a full disk."""

    def __init__(self, file: Any, left: list[int]) -> None:
        self._file = file
        self._left = left

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: Any) -> int:
        """Write, or fail as the system does."""
        self._left[0] -= memoryview(data).nbytes
        if self._left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self._file.write(data))


def test_a_full_disk_is_a_clean_error_wherever_it_fills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every thousand bytes on the way: `disk_full`, and the folder as it was."""
    engine = engine_of()
    older = written(engine, tmp_path, at=1.0)
    size = sum(file.stat().st_size for file in older.iterdir())
    for room in range(0, size, 1_500):
        with monkeypatch.context() as patched:
            patched.setattr(Path, "open", full_disk(room))
            with pytest.raises(SnapshotError) as refused:
                written(engine, tmp_path, at=2.0)
        assert refused.value.code == "disk_full"
        assert names(tmp_path) == [older.name]
    assert len(list_snapshots(tmp_path)) == 1
    written(engine, tmp_path, at=2.0)


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file where the folder should be, the same moment twice."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SnapshotError) as refused:
        written(engine_of(), tmp_path / "file")
    assert refused.value.code == "unwritable"
    written(engine_of(), tmp_path / "new" / "folder", at=5.0)
    with pytest.raises(SnapshotError) as refused:
        written(engine_of(), tmp_path / "new" / "folder", at=5.0)
    assert refused.value.code == "exists"


def test_names_sort_by_time() -> None:
    """Over seconds, days and years."""
    moments = [0.0, 0.001, 1.0, 86_400.0, 1.7e9, 1.7e9 + 0.5, 1.9e9]
    assert sorted(map(snapshot_name, moments)) == [snapshot_name(moment) for moment in moments]
    assert snapshot_name(1.7e9) == "snapshot-20231114T221320000Z"


def test_prune_keeps_by_count_and_by_age_but_never_nothing(tmp_path: Path) -> None:
    """Damaged ones do not count as kept, and go with the older ones."""
    engine = engine_of(records(10))
    made = [written(engine, tmp_path, at=float(at)) for at in (10, 20, 30, 40)]
    (made[2] / "vectors.i16").write_bytes(b"")
    assert prune(tmp_path, keep=2, now=50.0) == [made[2], made[0]]
    assert list_snapshots(tmp_path) == [made[3], made[1]]
    assert prune(tmp_path, keep=5, max_age_s=25.0, now=50.0) == [made[1]]
    assert prune(tmp_path, keep=1, max_age_s=1.0, now=1e6) == []
    assert names(tmp_path) == [made[3].name]


def test_prune_spares_the_newest_where_none_is_whole(tmp_path: Path) -> None:
    """There is nothing better; whoever restores is told what is wrong with it."""
    path = written(engine_of(records(10)), tmp_path)
    (path / "manifest.json").unlink()
    assert prune(tmp_path, keep=1, now=0.0) == []
    assert list_snapshots(tmp_path) == [path]


def test_a_writer_at_work_is_not_cleaned_away(tmp_path: Path) -> None:
    """The lock of its folder says that it lives."""
    working, dead = tmp_path / f"{WRITING}one", tmp_path / f"{WRITING}two"
    working.mkdir()
    dead.mkdir()
    with locked(working):
        assert clean(tmp_path) == [dead]
    assert clean(tmp_path) == [working]
    assert clean(tmp_path / "nowhere") == []


def test_a_removal_that_was_killed_is_finished_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is half removed is not listed."""
    path = written(engine_of(records(10)), tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", lambda *_, **__: None)
        folders.remove(path)
    assert list_snapshots(tmp_path) == []
    assert len(names(tmp_path)) == 1
    clean(tmp_path)
    assert names(tmp_path) == []


def test_an_engine_outlives_its_snapshot(tmp_path: Path) -> None:
    """Its files stay mapped, and what it writes is its own."""
    path = written(engine_of(), tmp_path)
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    back = restored(path).engine
    back.apply(records(time=2))
    while back.index_pending():
        pass
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before
    folders.remove(path)
    assert [a.hits for a in answers(back)] == [a.hits for a in answers(engine_of(records(time=2)))]
    assert len(json.dumps(back.list_products(0, 1)[0].product_id)) > 0
    assert back.stats().known_products == COUNT + 1


def test_steps_are_told_in_order(tmp_path: Path) -> None:
    """So that a test can stop between any two."""
    seen: list[str] = []
    written(engine_of(records(5)), tmp_path, step=seen.append)
    assert tuple(seen) == writing.STEPS


def test_two_workers_of_one_folder_may_remove_the_same(tmp_path: Path) -> None:
    """The slower one finds it gone."""
    path = snapshot_in(tmp_path)
    remove(path)
    remove(path)
    assert list(tmp_path.iterdir()) == []
