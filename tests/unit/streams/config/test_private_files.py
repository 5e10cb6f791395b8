"""Only their owner may read images and snapshots, whatever the umask of the process."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.images.blobs import BlobStore
from streams.snapshots.store import SnapshotStore
from streams.tools.broker.lifecycle import _usable_folder
from tests.support.snapshot_parts import snapshot_in
from visualsearch import private
from visualsearch.private import make_folder


@pytest.fixture(params=[0, 0o022, 0o277], ids=oct)
def umask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Take nothing from new files, what is usual, or what the owner needs."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """Return the permissions of a folder and of all in it."""
    paths = [folder, *folder.rglob("*")]
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in paths}


def assert_private(folder: Path) -> None:
    """Check that nobody but the owner may look into a folder or read a file in it."""
    found = modes(folder)
    assert len(found) > 1
    assert {name: mode for name, mode in found.items() if mode not in (0o600, 0o700)} == {}
    assert all(mode == 0o700 for name, mode in found.items() if (folder / name).is_dir())
    assert all(mode == 0o600 for name, mode in found.items() if (folder / name).is_file())


@pytest.mark.usefixtures("umask")
def test_images_are_private(tmp_path: Path) -> None:
    """The data folder too, which the store makes on the way."""
    store = BlobStore((tmp_path / "data" / "blobs").as_uri())
    assert store.get(store.put(b"an image")) == b"an image"
    assert_private(tmp_path / "data")


@pytest.mark.usefixtures("umask")
def test_snapshots_are_private_here_and_where_they_are_copied_to(tmp_path: Path) -> None:
    """Written, uploaded and downloaded again."""
    written = snapshot_in(tmp_path / "data" / "snapshots")
    store = SnapshotStore((tmp_path / "far" / "log").as_uri())
    assert store.upload(written)
    store.download(written.name, tmp_path / "back")
    for folder in ("data", "far", "back"):
        assert_private(tmp_path / folder)


@pytest.mark.usefixtures("umask")
def test_the_folder_of_a_broker_is_private(tmp_path: Path) -> None:
    """It holds every event."""
    folder = _usable_folder(tmp_path / "data" / "broker")
    assert modes(tmp_path / "data") == {".": 0o700, "broker": 0o700}
    assert folder.is_dir()


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    """Its owner may have opened it for a group."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o750)
    make_folder(shared)
    make_folder(shared / "own")
    assert modes(shared) == {".": 0o750, "own": 0o700}
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP])
def test_a_mount_without_permissions_takes_files(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    """It is told of once: every write there failed."""
    monkeypatch.setattr(private, "_warned", set())
    monkeypatch.setattr(Path, "chmod", refusing(number))
    store = BlobStore((tmp_path / "vfat" / "blobs").as_uri())
    for data in (b"an image", b"another"):
        assert store.get(store.put(data)) == data
    told = [record.getMessage() for record in caplog.records if record.name == private.__name__]
    assert len(told) == 1
    assert "refuses permissions" in told[0]


def test_a_disk_that_fails_is_no_mount_without_permissions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may be readable by others, where permissions are, is not written."""
    store = BlobStore(tmp_path.as_uri())
    monkeypatch.setattr(Path, "chmod", refusing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        store.put(b"an image")


def refusing(number: int) -> Callable[[Path, int], None]:
    """Return a `chmod` that fails."""

    def chmod(path: Path, _: int) -> None:
        raise OSError(number, os.strerror(number), str(path))

    return chmod
