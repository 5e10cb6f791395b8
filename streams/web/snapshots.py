"""`POST /v1/snapshots`: takes a snapshot and streams its progress as lines of JSON.

`{"progress": {step, done, total}}` several times, then `{"snapshot": {...}}` or
`{"error": {code, message}}`.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from typing import Any

import msgspec
from aiohttp import web

from streams.snapshots.scheduler import SnapshotScheduler
from streams.snapshots.take import TakenSnapshot
from streams.web.responses import stream_lines

NEWS_S = 0.1
SILENT_S = 600.0  # without progress: a disk may hang


class ProgressStream:
    """Progress lines from the snapshot thread to the event loop of the HTTP request."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._step = ""
        self._sent_at = 0.0

    def report(self, step: str, done: int, total: int) -> None:
        """Send progress, at most every NEWS_S within a step."""
        now = time.monotonic()
        if step == self._step and done < total and now - self._sent_at < NEWS_S:
            return
        self._step, self._sent_at = step, now
        self._put({"progress": {"step": step, "done": done, "total": total}})

    def end(self, _: object) -> None:
        """End the stream."""
        self._put(None)

    async def next(self) -> dict[str, Any] | None:
        """Return the next line; None at the end."""
        return await self._lines.get()

    def _put(self, line: dict[str, Any] | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._lines.put_nowait, line)


async def create_snapshot(scheduler: SnapshotScheduler, request: web.Request) -> web.StreamResponse:
    """Take a snapshot and stream its progress; 503 if it cannot be taken now."""
    news = ProgressStream()
    future = scheduler.request(news.report)
    if future.done() and (error := future.exception()) is not None:
        return refusal_response(error)
    future.add_done_callback(news.end)
    # The snapshot is taken even if the client disconnects.
    return await stream_lines(request, _lines(news, future))


def refusal_response(error: BaseException) -> web.Response:
    """Return the response 503 of a refused snapshot."""
    return web.json_response(_fault(error), status=503)


async def _lines(
    news: ProgressStream, future: Future[TakenSnapshot]
) -> AsyncGenerator[bytes, None]:
    try:
        while (line := await asyncio.wait_for(news.next(), SILENT_S)) is not None:
            yield _line(line)
    except TimeoutError:
        text = f"no progress for {SILENT_S:.0f} s; the worker's log says what becomes of it"
        yield _line({"error": {"code": "snapshot_silent", "message": text}})
        return
    failure = future.exception()
    yield _line(_fault(failure) if failure else {"snapshot": future.result().as_dict()})


def _fault(error: BaseException) -> dict[str, Any]:
    return {"error": {"code": getattr(error, "code", "internal"), "message": str(error)}}


def _line(value: dict[str, Any]) -> bytes:
    return msgspec.json.encode(value) + b"\n"
