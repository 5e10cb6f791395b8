"""Snapshots in a store: whole or not listed, and what goes in comes out."""

import shutil
import uuid
from pathlib import Path

import pytest

from streams.snapshots.store import STRAY_S, SnapshotStore, StoreError
from tests.support.snapshot_parts import START_S, snapshot_in
from visualsearch.snapshot.errors import SnapshotError
from visualsearch.snapshot.folder import list_snapshots
from visualsearch.snapshot.manifest import NAME
from visualsearch.snapshot.read import check


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SnapshotStore:
    """Give an empty store of each kind that needs no server."""
    urls = {"memory": f"memory://{uuid.uuid4().hex}/log", "file": (tmp_path / "far").as_uri()}
    return SnapshotStore(urls[request.param])


def test_what_is_uploaded_comes_back_byte_for_byte(store: SnapshotStore, tmp_path: Path) -> None:
    """Into an empty folder, which is made."""
    there = snapshot_in(tmp_path / "a")
    told: list[tuple[int, int]] = []
    assert store.listed() == []
    assert store.upload(there, lambda done, of: told.append((done, of)))
    assert store.listed() == [there.name]
    assert told[-1][0] == told[-1][1] > 0
    assert not store.upload(there)
    here = store.download(there.name, tmp_path / "b", lambda done, of: told.append((done, of)))
    assert list_snapshots(tmp_path / "b") == [here]
    assert check(here) == check(there) == store.manifest(there.name)
    for file in there.iterdir():
        assert (here / file.name).read_bytes() == file.read_bytes()


def test_a_damaged_local_one_is_replaced(store: SnapshotStore, tmp_path: Path) -> None:
    """The store's copy is the good one."""
    path = snapshot_in(tmp_path)
    store.upload(path)
    for file in path.iterdir():
        file.write_bytes(b"")
    assert check(store.download(path.name, tmp_path)).rows == 3


def test_half_an_upload_is_nothing(
    store: SnapshotStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks before each file in turn, the manifest the last of them."""
    path = snapshot_in(tmp_path)
    files = len(list(path.iterdir()))
    put = SnapshotStore._put
    for broken in range(files):
        left = [broken]

        def breaking(self: SnapshotStore, file: Path, name: str, left: list[int] = left) -> None:
            if left[0] == 0:
                raise ConnectionError("gone")
            left[0] -= 1
            put(self, file, name)

        monkeypatch.setattr(SnapshotStore, "_put", breaking)
        with pytest.raises(StoreError) as raised:
            store.upload(path)
        assert raised.value.code == "store_unreachable"
        assert store.listed() == []
    monkeypatch.undo()
    assert store.upload(path)
    assert store.listed() == [path.name]


def test_half_a_download_leaves_nothing(store: SnapshotStore, tmp_path: Path) -> None:
    """A file that is missing in the store is no snapshot here."""
    path = snapshot_in(tmp_path / "a")
    store.upload(path)
    victim = next(name for name in store.manifest(path.name).files)
    store._fs.rm_file(store._path(path.name, victim))
    with pytest.raises(SnapshotError) as raised:
        store.download(path.name, tmp_path / "b")
    assert raised.value.code == "file_missing"
    assert list((tmp_path / "b").iterdir()) == []
    with pytest.raises(SnapshotError):
        store.manifest("snapshot-of-nobody")


def test_the_newest_stay_and_old_ones_go(store: SnapshotStore, tmp_path: Path) -> None:
    """By count and by age; the newest stays however old it is."""
    paths = [snapshot_in(tmp_path, at=START_S + hour * 3600) for hour in range(5)]
    for path in paths:
        store.upload(path)
    newest_first = [path.name for path in reversed(paths)]
    now = START_S + 4 * 3600
    assert store.prune(keep=4, max_age_s=None, now=now) == newest_first[4:]
    assert store.prune(keep=9, max_age_s=2.5 * 3600, now=now) == newest_first[3:4]
    assert store.listed() == newest_first[:3]
    assert store.prune(keep=1, max_age_s=1.0, now=now + 10**6) == newest_first[1:3]
    assert store.listed() == newest_first[:1]
    names = {Path(each).name for each in store._fs.ls(store._root, detail=False)}
    assert names == set(newest_first[:1])


def test_what_an_upload_left_goes_after_a_day(store: SnapshotStore, tmp_path: Path) -> None:
    """Not before: another worker may be at it."""
    path = snapshot_in(tmp_path)
    store.upload(path)
    store._fs.rm_file(store._path(path.name, NAME))
    for age, left in ((STRAY_S - 1, 1), (STRAY_S + 1, 0)):
        assert store.prune(keep=1, max_age_s=None, now=START_S + age) == []
        assert len(store._fs.ls(store._root, detail=False)) == left


def test_other_things_in_the_store_are_left_alone(store: SnapshotStore, tmp_path: Path) -> None:
    """It may be a bucket that holds more."""
    path = snapshot_in(tmp_path)
    store.upload(path)
    store._fs.pipe_file(f"{store._root}/notes.txt", b"mine")
    store.prune(keep=1, max_age_s=None, now=START_S + 10 * STRAY_S)
    assert store._fs.cat_file(f"{store._root}/notes.txt") == b"mine"
    assert store.listed() == [path.name]


def test_a_store_that_cannot_be_is_said_by_name() -> None:
    """Of another file system, or of one whose package is missing."""
    for url in ("gopher://x/y", "webhdfs-that-nobody-has://x"):
        with pytest.raises(StoreError, match=url.partition(":")[0]):
            SnapshotStore(url)


def test_a_local_one_that_is_gone_is_no_surprise(store: SnapshotStore, tmp_path: Path) -> None:
    """Pruned between its making and its copying."""
    path = snapshot_in(tmp_path)
    shutil.rmtree(path)
    with pytest.raises(SnapshotError) as raised:
        store.upload(path)
    assert raised.value.code == "file_missing"
