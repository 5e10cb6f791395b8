"""A snapshot by command: over HTTP, with its progress, and with its error."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from streams.snapshots.request import SnapshotRequestError, request_snapshot
from streams.snapshots.scheduler import SnapshotScheduler, SnapshotTriggers
from streams.snapshots.take import SnapshotTaker
from streams.web.snapshots import create_snapshot
from tests.support.snapshot_parts import Clock, engine_with, fresh_metrics, taking
from visualsearch.snapshot.errors import SnapshotError
from visualsearch.snapshot.folder import list_snapshots
from visualsearch.snapshot.read import check

NEVER = SnapshotTriggers(0.0, 0, at_stop=False)


@asynccontextmanager
async def worker(folder: Path, *, ready: bool = True) -> AsyncIterator[str]:
    """Give the URL of what takes snapshots into a folder."""
    metrics, clock = fresh_metrics(), Clock()
    taker = taking(engine_with(300), folder, metrics, clock)
    if not ready:
        taker._reader.caught_up.clear()
    scheduler = SnapshotScheduler(taker, NEVER, metrics)
    scheduler.start()
    app = web.Application()
    app.router.add_post("/v1/snapshots", partial(create_snapshot, scheduler))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await asyncio.to_thread(scheduler.close, 10.0)
        await runner.cleanup()


async def test_a_snapshot_is_taken_and_its_progress_reported(tmp_path: Path) -> None:
    """What is told of it is what lies there."""
    told: list[tuple[str, int, int]] = []
    async with worker(tmp_path) as url:
        taken = await asyncio.to_thread(request_snapshot, url, lambda *step: told.append(step))
    (path,) = list_snapshots(tmp_path)
    assert (taken["path"], taken["products"], taken["vectors"]) == (str(path), 300, 300)
    assert taken["bytes"] == check(path).bytes
    assert "products" in {step for step, _, __ in told}
    assert all(0 <= done <= total for _, done, total in told)


async def test_before_the_log_is_replayed_it_is_refused(tmp_path: Path) -> None:
    """With a code that a script may look for."""
    async with worker(tmp_path, ready=False) as url:
        with pytest.raises(SnapshotRequestError) as raised:
            await asyncio.to_thread(request_snapshot, url)
    assert raised.value.code == "not_ready"


async def test_its_failure_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of the answer, after its status."""

    def full(*_: Any) -> Any:
        raise SnapshotError("no space left", code="disk_full")

    monkeypatch.setattr(SnapshotTaker, "take", full)
    async with worker(tmp_path) as url:
        with pytest.raises(SnapshotRequestError, match="no space left") as raised:
            await asyncio.to_thread(request_snapshot, url)
    assert raised.value.code == "disk_full"


@pytest.mark.parametrize(("path", "code"), [("/else", "worker_foreign"), ("", None)])
async def test_what_is_no_worker_is_distinguished(
    tmp_path: Path, path: str, code: str | None
) -> None:
    """A path that nobody serves; the right one works."""
    async with worker(tmp_path) as url:
        asked = asyncio.to_thread(request_snapshot, url + path)
        if code is None:
            assert (await asked)["name"]
            return
        with pytest.raises(SnapshotRequestError) as raised:
            await asked
    assert raised.value.code == code


def test_a_worker_that_is_not_there_is_said_so() -> None:
    """One line, with the address."""
    with pytest.raises(SnapshotRequestError, match=r"127\.0\.0\.1:1") as raised:
        request_snapshot("http://127.0.0.1:1")
    assert raised.value.code == "worker_unreachable"
