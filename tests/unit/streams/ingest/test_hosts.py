"""Good images beside wrong ones on one host, by HTTP: the embedding pipeline as it fetches them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from streams.config.settings import load_settings
from streams.images.blobs import BlobStore
from streams.images.fetcher import Fetcher
from streams.metrics import Metrics
from tests.support.fakes import jpeg
from tests.support.lane_events import (
    Embedding,
    fake_model,
    message,
)
from visualsearch.contracts.records import VectorsLogRecord

COUNT = 60


class WrongHost:
    """A host some of whose files have another length than it says, or are not there."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close the connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split()[1]
            self.asked[path] += 1
            kind, number = path.strip("/").split("/")
            body = jpeg((int(number), 9, 9))
            length = len(body) + (100 if kind == "wrong" else 0)
            status = "404 Not Found" if kind == "absent" else "200 OK"
            writer.write(
                f"HTTP/1.1 {status}\r\nConnection: close\r\n"
                f"Content-Length: {length}\r\n\r\n".encode()
                + body
            )
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def host() -> AsyncIterator[tuple[WrongHost, int]]:
    """Give a host and its port."""
    host = WrongHost()
    server = await asyncio.start_server(host.handle, "127.0.0.1", 0)
    yield host, server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("kind", ["wrong", "absent"])
async def test_wrong_files_keep_no_good_one_from_being_asked_for(
    host: tuple[WrongHost, int], tmp_path: Path, kind: str
) -> None:
    """Of 60 good images beside 60 wrong ones, 24 were never asked for."""

    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    served, port = host
    settings = load_settings(data_dir=tmp_path, fetch_allow=("127.0.0.1",))
    fetcher = Fetcher(settings, BlobStore(str(tmp_path)), Metrics(CollectorRegistry()), sleep)
    model = fake_model()
    embedding = Embedding("explicit", model, fetcher, (10.0,))
    kinds = [kind] * COUNT + ["good"] * COUNT
    events = [
        message(0, "product-created", f"{each}-{n}",
                images=[{"url": f"http://127.0.0.1:{port}/{each}/{n}"}])
        for n, each in enumerate(kinds)
    ]  # fmt: skip
    outcomes = await asyncio.gather(*(embedding.process(event) for event in events))
    good = [outcome for outcome, each in zip(outcomes, kinds, strict=True) if each == "good"]
    assert [outcome.label for outcome in good] == ["indexed"] * COUNT
    assert all(isinstance(outcome.records[0][1], VectorsLogRecord) for outcome in good)
    assert sum(path.startswith("/good/") for path in served.asked) == COUNT
    codes = {out.retry.code if out.retry else out.faults[0].code for out in outcomes[:COUNT]}
    assert codes == {"image_incomplete" if kind == "wrong" else "image_http_404"}
    await fetcher.close()
    model.close()
