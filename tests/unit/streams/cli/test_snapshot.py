"""`visualsearch snapshot list|verify|restore`, on small snapshots."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streams.cli import main
from streams.config import process
from streams.snapshots.store import SnapshotStore
from tests.support.snapshot_parts import START_S, snapshot_in
from visualsearch.snapshot.folder import list_snapshots
from visualsearch.snapshot.manifest import NAME, read_manifest


class Host:
    """A host with a folder of snapshots, and its command line."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "here" / "index-log"
        self.far = root / "far"
        self.store = SnapshotStore(f"{self.far.as_uri()}/index-log")

    def run(self, *arguments: str) -> Result:
        """Run a command."""
        return CliRunner().invoke(main, ["snapshot", *arguments])

    def json(self, *arguments: str, status: int = 0) -> Any:
        """Run a command whose standard output is JSON and nothing else."""
        done = self.run(*arguments, "--json")
        assert done.exit_code == status, done.output
        return json.loads(done.stdout)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Give a host whose settings name a folder and a store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        process, "tune_process", lambda: None
    )  # it is for a process, not for the tests'
    made = Host(tmp_path)
    monkeypatch.setenv("VISUALSEARCH_SNAPSHOT_FOLDER", str(made.folder.parent))
    monkeypatch.setenv("VISUALSEARCH_SNAPSHOT_STORE", made.far.as_uri())
    return made


def test_the_list_shows_both_places_and_what_is_broken(host: Host) -> None:
    """The newest first; what cannot be read has its reason."""
    older, newer = snapshot_in(host.folder), snapshot_in(host.folder, at=START_S + 60, count=5)
    host.store.upload(newer)
    (older / next(iter(read_manifest(older).files))).write_bytes(b"short")
    told = host.json("list")
    rows = [(row["name"], row["where"], row["error"]) for row in told["snapshots"]]
    assert rows == [
        (newer.name, "folder", None),
        (older.name, "folder", "checksum_wrong"),
        (newer.name, "store", None),
    ]
    first = told["snapshots"][0]
    assert (first["products"], first["vectors"]) == (5, 5)
    assert [at["offset"] for at in first["source"]["positions"]] == [5, 7]
    table = host.run("list")
    assert table.exit_code == 0
    assert newer.name in table.stdout
    assert "checksum_wrong" in table.stdout


def test_an_empty_list_is_no_error(host: Host) -> None:
    """A host that has never taken one."""
    assert host.json("list")["snapshots"] == []
    assert "0 snapshots" in host.run("list").stdout


def test_a_whole_snapshot_is_verified(host: Host) -> None:
    """Its checksums, and what it finds."""
    path = snapshot_in(host.folder, count=30)
    told = host.json("verify", str(path), "--queries", "5")
    assert (told["vectors"], told["served_by"]) == (30, "exact")
    assert told["recall"] == {"10": 1.0, "100": 1.0}
    assert "whole" in host.run("verify", str(path)).stdout
    newest = snapshot_in(host.folder, at=START_S + 60, count=5)
    assert host.json("verify")["path"] == str(newest)


def test_without_any_there_is_nothing_to_verify(host: Host) -> None:
    """The folder that was looked into is named."""
    done = host.run("verify")
    assert done.exit_code == 1
    assert str(host.folder) in done.stderr


def test_a_damaged_one_is_told(host: Host) -> None:
    """One line with the code, and a status."""
    path = snapshot_in(host.folder)
    victim = path / next(iter(read_manifest(path).files))
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.write_bytes(data)
    done = host.run("verify", str(path))
    assert done.exit_code == 1
    assert "[checksum_wrong]" in done.stderr
    assert done.stdout == ""


def test_the_newest_that_serves_is_restored(host: Host, tmp_path: Path) -> None:
    """Past one that is damaged in the store."""
    good = snapshot_in(tmp_path / "a")
    bad = snapshot_in(tmp_path / "a", at=START_S + 60)
    host.store.upload(good)
    host.store.upload(bad)
    name = next(iter(read_manifest(bad).files))
    host.store._fs.pipe_file(host.store._path(bad.name, name), b"nonsense")
    told = host.json("restore")
    assert told["path"] == str(host.folder / good.name)
    assert told["refused"].keys() == {bad.name}
    assert good.name in {path.name for path in list_snapshots(host.folder)}
    assert "restored in" in host.run("restore", good.name).stdout


def test_a_named_one_that_is_not_there_is_an_error(host: Host) -> None:
    """As is a store that has none at all."""
    done = host.run("restore", "snapshot-20260101T000000000Z")
    assert done.exit_code == 1
    assert "[file_missing]" in done.stderr
    assert host.json("restore", status=1)["path"] is None


def test_a_folder_that_is_no_snapshot_is_told(host: Host, tmp_path: Path) -> None:
    """It has no manifest."""
    done = host.run("verify", str(tmp_path))
    assert done.exit_code == 1
    assert NAME in done.stderr
