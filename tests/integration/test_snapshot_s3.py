"""Snapshots in S3: a worker that has lost its disk, and a store that does not answer."""

import asyncio
import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path as Folder
from typing import Any

import pytest

from streams.config.settings import Settings
from streams.snapshots.store import SnapshotStore
from streams.tools.broker import BrokerInfo
from tests.support.harness import inline, make_settings, make_topics, path_of
from tests.support.path_events import created, deleted, offer
from tests.support.s3 import BUCKET, S3, SECRET, s3_server
from tests.support.snapshot_parts import snapshot_in
from tests.support.waiting import until
from visualsearch.snapshot.folder import list_snapshots
from visualsearch.snapshot.read import check

PRODUCTS = 12


@pytest.fixture
def server(tmp_path: Folder, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """Give a server with a bucket."""
    with s3_server(tmp_path, monkeypatch) as running:
        yield running


@pytest.fixture
async def settings(kafka: BrokerInfo, tmp_path: Folder, server: S3) -> Settings:
    """Give settings of a worker that copies its snapshots to the bucket, and topics."""
    chosen = make_settings(
        kafka.bootstrap, tmp_path / "data", snapshot_at_stop=True,
        snapshot_store=f"s3://{BUCKET}/shop", snapshot_keep=2,
    )  # fmt: skip
    await asyncio.to_thread(make_topics, chosen)
    return chosen


async def test_an_empty_disk_is_filled_from_s3(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker starts from the store alone, and reads on where its snapshot ends."""
    caplog.set_level(logging.DEBUG, "streams")
    async with path_of(settings) as path:
        await path.publish(*(created(f"p{n}", inline(n), price=1.0) for n in range(PRODUCTS)))
        await path.publish(deleted("p0"))
        await path.settled()
    assert settings.snapshots_url is not None
    store = SnapshotStore(settings.snapshots_url)
    assert store.listed() == [list_snapshots(settings.snapshots)[0].name]
    shutil.rmtree(settings.data_dir / "snapshots")
    async with path_of(settings) as path:
        assert path.metric("snapshots_total", outcome="restored") == 1
        assert path.metric("restore_seconds", step="download") > 0
        assert path.metric("log_records_total", kind="base", outcome="applied") == 0
        assert path.engine.stats().products == PRODUCTS - 1
        assert await path.names_showing(0) == []
        for price in (2.0, 3.0):  # a quiet store keeps the newest two
            await path.publish(offer("p1", price=price))
            await path.settled()
            assert path.worker._search is not None
            assert path.worker._search.snapshots is not None
            await asyncio.to_thread(path.worker._search.snapshots.request().result)
            name = list_snapshots(settings.snapshots)[0].name
            await until(lambda name=name: name in store.listed())
        await until(lambda: len(store.listed()) == 2)
    manifests = [json.dumps(dict(store.manifest(name).source)) for name in store.listed()]
    assert SECRET not in "".join([*manifests, caplog.text])


async def test_a_store_that_is_away_costs_nothing_but_a_warning(
    settings: Settings, server: S3, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker answers, its snapshot is on the disk; when the store is back, it has it too."""
    server.stop()
    async with path_of(settings) as path:
        assert path.metric("snapshots_refused_total", reason="store_unreachable") == 1
        await path.publish(*(created(f"p{n}", inline(n)) for n in range(3)))
        await path.settled()
        assert path.worker._search is not None
        assert path.worker._search.snapshots is not None
        await asyncio.to_thread(path.worker._search.snapshots.request().result)
        await until(lambda: path.metric("snapshots_total", outcome="upload_failed") >= 1)
        assert path.metric("snapshots_total", outcome="taken") == 1
        assert await path.names_showing(1) == ["p1"]
        assert path.worker.live() is None
        assert path.worker.ready() is None
    assert check(list_snapshots(settings.snapshots)[0]).products == 3
    assert SECRET not in caplog.text


def test_a_large_file_goes_up_in_parts(
    server: S3, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And comes back whole; parts are 5 MB here, 50 MB with the defaults."""
    import s3fs

    uploads = []
    whole = s3fs.S3FileSystem._call_s3

    async def watched(self: Any, method: str, *arguments: Any, **more: Any) -> Any:
        uploads.append(method)
        return await whole(self, method, *arguments, **more)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", watched)
    monkeypatch.setattr(s3fs.core, "calculate_chunksize", lambda *_, **__: 5 * 2**20)
    path = snapshot_in(tmp_path / "here", count=3)
    store = SnapshotStore(f"s3://{BUCKET}/parts")
    large = path / "large"
    large.write_bytes(b"visualsearch" * 2**20)
    store._put(large, path.name)
    assert uploads.count("upload_part") == 3
    store._get(store._path(path.name, "large"), tmp_path / "large")
    assert (tmp_path / "large").read_bytes() == large.read_bytes()
    large.unlink()
    assert store.upload(path)
    assert check(store.download(path.name, tmp_path / "there")).rows == 3
