"""Which snapshot a worker begins with, and what becomes of those that do not fit."""

import logging
import re
from pathlib import Path

import pytest

from streams.metrics import Metrics
from streams.snapshots.source import LogIdentity, SnapshotSource, UnusableSnapshotError
from streams.snapshots.store import SnapshotStore
from tests.support.snapshot_parts import (
    HERE,
    SOURCE,
    START_S,
    choice,
    fresh_metrics,
    snapshot_in,
    value,
)
from visualsearch.client.tail import Position
from visualsearch.snapshot.manifest import NAME, read_manifest


@pytest.fixture
def metrics() -> Metrics:
    """Give metrics that nobody has touched."""
    return fresh_metrics()


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    """Give an empty store."""
    return SnapshotStore((tmp_path / "far").as_uri())


def three(folder: Path) -> list[Path]:
    """Write three snapshots of 1, 2 and 3 products; return them, the newest first."""
    paths = [snapshot_in(folder, at=START_S + n, count=n + 1) for n in range(3)]
    return paths[::-1]


def damage(path: Path) -> None:
    """Flip a bit of a snapshot's first file."""
    victim = path / next(iter(read_manifest(path).files))
    data = bytearray(victim.read_bytes())
    data[len(data) // 3] ^= 16
    victim.write_bytes(data)


def test_with_none_the_log_is_replayed(tmp_path: Path, metrics: Metrics) -> None:
    """A folder that is not there is an empty one."""
    assert choice(tmp_path / "nothing", metrics).choose() is None


def test_the_newest_that_fits_is_taken(tmp_path: Path, metrics: Metrics) -> None:
    """With its offsets, its time and the seconds of each step."""
    newest, *_ = three(tmp_path)
    chosen = choice(tmp_path, metrics).choose()
    assert chosen is not None
    assert (chosen.path, chosen.source) == (newest, SOURCE)
    assert chosen.positions == SOURCE.positions
    assert chosen.created_at == START_S + 2
    assert chosen.restored.engine.stats().products == 3
    assert {"choose", "download", "checksums"} <= chosen.seconds.keys()
    assert value(metrics, "snapshots_total", outcome="restored") == 1
    assert value(metrics, "snapshots_total", outcome="refused") == 0


def test_damaged_ones_are_passed_over_and_reported(
    tmp_path: Path, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    """A bit, a file, the manifest; the reason is in the log and counted."""
    newest, second, third = three(tmp_path)
    damage(newest)
    (second / NAME).unlink()
    with caplog.at_level(logging.WARNING):
        chosen = choice(tmp_path, metrics).choose()
    assert chosen is not None
    assert chosen.path == third
    assert chosen.restored.engine.stats().products == 1
    assert value(metrics, "snapshots_refused_total", reason="checksum_wrong") == 1
    assert value(metrics, "snapshots_refused_total", reason="file_missing") == 1
    told = [record.getMessage() for record in caplog.records]
    assert newest.name in told[0]
    assert "[checksum_wrong]" in told[0]
    assert second.name in told[1]


def test_one_of_a_newer_program_is_passed_over(tmp_path: Path, metrics: Metrics) -> None:
    """After a step back to an older version, the log is read on from an older snapshot."""
    newest, second, _ = three(tmp_path)
    manifest = newest / NAME
    manifest.write_text(re.sub(r'"format": \d+', '"format": 99', manifest.read_text()))
    chosen = choice(tmp_path, metrics).choose()
    assert chosen is not None
    assert chosen.path == second
    assert value(metrics, "snapshots_refused_total", reason="format_newer") == 1


@pytest.mark.parametrize(
    ("here", "model", "reason"),
    [
        (LogIdentity("x", HERE.topic, "id", 2), "model", "cluster_foreign"),
        (LogIdentity("cluster", HERE.topic, "x", 2), "model", "topic_recreated"),
        (LogIdentity("cluster", HERE.topic, "id", 3), "model", "partitions_changed"),
        (HERE, "another", "model_foreign"),
    ],
)
def test_what_is_not_ours_is_refused(
    tmp_path: Path, metrics: Metrics, here: LogIdentity, model: str, reason: str
) -> None:
    """All of them; then the log is replayed from its beginning."""
    three(tmp_path)
    assert choice(tmp_path, metrics, here=here, model=model).choose() is None
    assert value(metrics, "snapshots_refused_total", reason=reason) == 3
    assert value(metrics, "snapshots_total", outcome="refused") == 3


def test_offsets_that_the_log_does_not_have_are_refused_one_by_one(
    tmp_path: Path, metrics: Metrics
) -> None:
    """An older snapshot's may still be within it: a log that lost its end."""
    past = SnapshotSource(HERE, (Position(500, 0), Position(7, 0)))
    snapshot_in(tmp_path, at=START_S + 1, source=past)
    older = snapshot_in(tmp_path)

    def within(source: SnapshotSource) -> None:
        if source.positions[0].offset > 100:
            raise UnusableSnapshotError("past the end", code="offset_past_end")

    chosen = choice(tmp_path, metrics, require_readable=within).choose()
    assert chosen is not None
    assert chosen.path == older
    assert value(metrics, "snapshots_refused_total", reason="offset_past_end") == 1


def test_an_empty_disk_is_filled_from_the_store(
    tmp_path: Path, metrics: Metrics, store: SnapshotStore
) -> None:
    """With the newest that fits; one of another log is refused before it is copied."""
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    good = snapshot_in(elsewhere)
    foreign = SnapshotSource(LogIdentity("x", HERE.topic, "id", 2), SOURCE.positions)
    newer = snapshot_in(elsewhere, at=START_S + 1, source=foreign)
    store.upload(good)
    store.upload(newer)
    chosen = choice(here, metrics, store).choose()
    assert chosen is not None
    assert chosen.path == here / good.name
    assert not (here / newer.name).exists()
    assert chosen.seconds["download"] > 0
    assert value(metrics, "snapshots_refused_total", reason="cluster_foreign") == 1


def test_the_store_is_not_asked_when_the_disk_will_do(tmp_path: Path, metrics: Metrics) -> None:
    """A restart on the same disk does not wait for it."""
    (newest, *_) = three(tmp_path)
    nowhere = SnapshotStore("memory://nothing")
    nowhere.listed = lambda: pytest.fail("asked")  # type: ignore[method-assign]
    chosen = choice(tmp_path, metrics, nowhere).choose()
    assert chosen is not None
    assert chosen.path == newest


def test_the_stores_copy_stands_in_for_a_damaged_one(
    tmp_path: Path, metrics: Metrics, store: SnapshotStore
) -> None:
    """Same name, other bytes."""
    path = snapshot_in(tmp_path)
    store.upload(path)
    damage(path)
    chosen = choice(tmp_path, metrics, store).choose()
    assert chosen is not None
    assert chosen.path == path
    assert value(metrics, "snapshots_refused_total", reason="checksum_wrong") == 1


def test_a_store_that_does_not_answer_is_reported_and_passed_over(
    tmp_path: Path, metrics: Metrics, store: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is replayed; a worker does not wait for a bucket."""
    monkeypatch.setattr(store._fs, "glob", lambda _: (_ for _ in ()).throw(ConnectionError("no")))
    assert choice(tmp_path / "here", metrics, store).choose() is None
    assert value(metrics, "snapshots_refused_total", reason="store_unreachable") == 1
