"""Thousands of HTTP requests of every kind at one worker, from a seed: nothing stops it.

VISUALSEARCH_FUZZ_SEED repeats a run. Every well-formed request has one answer, at most 3 s after
its deadline; nothing is answered with an error of the service.
"""

import asyncio
import gc
import json
import logging
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path as Folder
from typing import Any

import pytest
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from streams.tools.broker import BrokerInfo
from tests.support.harness import Path, inline, picture, running_path
from tests.support.http_fuzz import PRODUCTS, Case, cases
from tests.support.path_events import created
from tests.support.waiting import until

AT_ONCE = 12
WARM = 200  # cases before memory is looked at
GROWTH_MB = 150
END_S = 12.0  # for a server to close a connection after its peer has; aiohttp lingers for ten
SLOWEST = 20


@dataclass
class Told:
    """What came back on one connection."""

    case: Case
    statuses: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    seconds: float = 0.0
    fault: str = ""


class ErrorLog(logging.Handler):
    """Keeps errors that are not about malformed HTTP."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError | RequestPayloadError):
            self.found.append(f"{record.name}: {record.getMessage()} {error!r}")


async def answer_of(reader: asyncio.StreamReader, *, head: bool) -> tuple[int, bytes]:
    """Read one answer, interim ones passed over. Raises EOFError at the end."""
    while True:
        text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = int(text.split(" ", 2)[1])
        if status >= 200:
            break
    lines = [line.partition(":") for line in text.split("\r\n")[1:]]
    headers = {name.lower(): value.strip() for name, _, value in lines}
    if head or status in (204, 304):
        return status, b""
    if headers.get("transfer-encoding") != "chunked":
        if "content-length" not in headers:  # HTTP/1.0
            return status, await reader.read()
        return status, await reader.readexactly(int(headers["content-length"]))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return status, body


async def tell(port: int, case: Case) -> Told:
    """Send a case and read what comes back."""
    told = Told(case)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    try:
        writer.write(case.data)
        if case.leave:
            await asyncio.sleep(0.005)
            writer.transport.abort()
        elif case.answers is None:
            await asyncio.wait_for(_read_all(reader, writer, told), case.within_s + END_S)
        else:
            await asyncio.wait_for(_read_answers(reader, told, case.answers), case.within_s + 1)
            told.seconds = time.monotonic() - began
            writer.write_eof()  # now there must be nothing more
            if await asyncio.wait_for(reader.read(), END_S):
                told.fault = "more than its answers came back"
    except (TimeoutError, EOFError, OSError) as error:
        if case.answers is not None or isinstance(error, TimeoutError):
            told.fault = f"{error!r} after {time.monotonic() - began:.1f} s"
    finally:
        told.seconds = told.seconds or time.monotonic() - began
        writer.transport.abort()
    return told


async def _read_answers(reader: asyncio.StreamReader, told: Told, count: int) -> None:
    for _ in range(count):
        status, body = await answer_of(reader, head=told.case.head)
        told.statuses.append(status)
        told.bodies.append(body)


async def _read_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, told: Told) -> None:
    """Read whatever comes; half of the peers close their side at once, half after a while."""
    if len(told.case.data) % 2:
        await asyncio.sleep(0.3)
    writer.write_eof()
    while True:  # until EOFError
        status, _ = await answer_of(reader, head=told.case.head)
        told.statuses.append(status)


def verdict(told: Told) -> str:
    """Return what is wrong, or nothing."""
    case = told.case
    if told.fault or 500 in told.statuses:
        return told.fault or "status 500"
    if case.answers is None:
        return ""
    if wrong := set(told.statuses) - case.statuses:
        return f"status {wrong}: {told.bodies[0][:300]!r}"
    if told.seconds > case.within_s:
        return f"answered after {told.seconds:.2f} s"
    return "" if case.product is None else _mistaken(case, json.loads(told.bodies[0]))


def _mistaken(case: Case, result: Any) -> str:
    first = result["hits"][0]["product_id"] if result["hits"] else None
    if first == case.product and case.request_id in (None, "", result["request_id"]):
        return ""
    return f"the answer to another search: {first} instead of {case.product}"


def rss_mb() -> float:
    """Return the resident memory of this process."""
    gc.collect()
    pages = int(Folder("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.fixture
async def path(kafka: BrokerInfo, tmp_path: Folder) -> AsyncIterator[Path]:
    """Give a worker that knows the products of the cases."""
    async with running_path(kafka.bootstrap, tmp_path) as path:
        await path.publish(*(created(f"p{n}", inline(n)) for n in range(PRODUCTS)))
        await path.settled()
        yield path


@pytest.fixture
async def hanging() -> AsyncIterator[str]:
    """Give the address of an image whose host takes connections and never answers."""
    writers: list[asyncio.StreamWriter] = []

    async def never(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a.jpg"
    server.close()
    for writer in writers:
        writer.transport.abort()


@pytest.mark.parametrize(
    "count", [300, pytest.param(5000, marks=[pytest.mark.deep, pytest.mark.timeout(1800)])]
)
async def test_no_request_stops_a_worker_or_is_answered_wrongly(
    path: Path, hanging: str, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody dies, memory stays, and whoever asks properly is answered once and in time."""
    seed = int(os.environ.get("VISUALSEARCH_FUZZ_SEED") or random.randrange(2**32))
    errors = ErrorLog()
    logging.getLogger().addHandler(errors)
    try:
        wrong, done, figures = await run(path, cases(count, seed, picture, hanging), count)
    finally:
        logging.getLogger().removeHandler(errors)
    worst = await slowest_alone(path, done)
    with capsys.disabled():
        print(f"\nHTTP fuzz, seed {seed}: {count} connections, {figures}; {worst}")
    assert not wrong, f"VISUALSEARCH_FUZZ_SEED={seed}: {len(wrong)} wrong\n" + "\n".join(wrong[:10])
    assert not errors.found, f"VISUALSEARCH_FUZZ_SEED={seed}: {errors.found[:10]}"
    assert figures["grown_mb"] < GROWTH_MB, f"VISUALSEARCH_FUZZ_SEED={seed}"
    await all_is_well(path)


async def run(path: Path, made: Any, count: int) -> tuple[list[str], list[Told], dict[str, Any]]:
    """Send the cases, some at a time; return what was wrong, all that was told, and figures."""
    wrong: list[str] = []
    done: list[Told] = []
    rss: list[float] = []

    async def work() -> None:
        for case in made:
            told = await tell(path.worker.port, case)
            done.append(told)
            if text := verdict(told):
                wrong.append(f"{case.kind}: {text}\n    {case.data[:300]!r}")
            told.bodies.clear()  # or this test's memory would be what grows
            if len(done) == min(WARM, count // 2):
                rss.append(rss_mb())

    began, cpu = time.monotonic(), time.process_time()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    took_s, cpu_s = time.monotonic() - began, time.process_time() - cpu
    answered = [t.seconds for t in done if t.case.answers]
    grown = rss_mb() - rss[0]
    return wrong, done, {
        "seconds": round(took_s, 1),
        "cpu_ms_each": round(1000 * cpu_s / count, 2),
        "grown_mb": round(grown, 1),
        "worst_answer_s": round(max(answered), 2),
        "past_deadline_s": round(max(t.seconds - t.case.within_s for t in done if t.case.answers)
                                 + 3.0, 2),
        "statuses": dict(Counter(status for t in done for status in t.statuses)),
    }  # fmt: skip


async def slowest_alone(path: Path, done: list[Told]) -> str:
    """Send the slowest again, one by one; return which took the most CPU."""
    costs = []
    for told in sorted(done, key=lambda t: t.seconds, reverse=True)[:SLOWEST]:
        cpu = time.process_time()
        await tell(path.worker.port, told.case)
        costs.append((time.process_time() - cpu, told.case.kind))
    cost, kind = max(costs)
    return f"most CPU alone, of the {SLOWEST} slowest: {cost:.2f} s ({kind})"


async def all_is_well(path: Path) -> None:
    """Check that the worker lives, holds nothing of what it was asked, and answers."""
    worker = path.worker
    assert worker.live() is None
    assert worker.ready() is None
    client = worker._client
    assert client is not None
    await until(lambda: not client._pending and not client._sends)
    for number in range(PRODUCTS):
        assert await path.names_showing(number) == [f"p{number}"]
    await path.caught_up("search")
    answers = await asyncio.to_thread(path.read, path.topics.search_results)
    ids = Counter(value for m in answers for name, value in m.headers() or ()
                  if name == "correlation_id")  # fmt: skip
    assert set(ids.values()) == {1}, "a request was answered twice"
