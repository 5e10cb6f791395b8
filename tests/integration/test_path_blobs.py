"""Inline images beside a blob store that hangs or is away, on the whole path."""

import asyncio
import threading
import time
from pathlib import Path as Folder
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from streams.images.blobs import BlobStore
from streams.tools.broker import BrokerInfo
from tests.support.harness import Path, inline, picture, running_path
from tests.support.path_events import created, offer
from tests.support.waiting import until

PRODUCTS = 40  # more than there are threads in any pool of a small machine
HANGS_S = 20.0  # within which all that does not need the store must have happened


def served(path: Path, product_id: str) -> tuple[int, bytes, str | None]:
    """Return status, body and Cache-Control of a product's image from the worker."""
    try:
        with urlopen(f"{path.url}/v1/images/{product_id}") as answer:  # noqa: S310 - our own worker
            return answer.status, answer.read(), answer.headers["Cache-Control"]
    except HTTPError as error:
        with error:
            return error.code, b"", error.headers["Cache-Control"]


def price_of(path: Path, product_id: str) -> float | None:
    """Return the price that the index knows."""
    state = path.engine.product(product_id)
    return None if state is None or state.offer is None else state.offer.price


def searchable(path: Path, product_id: str) -> bool:
    """Return whether the index knows the product with an image."""
    state = path.engine.product(product_id)
    return state is not None and state.searchable


async def stored(path: Path) -> None:
    """Return once every event is done with; each image must be had then."""
    await path.settled()
    assert path.dead_letters() == []
    for n in range(PRODUCTS):
        status, body, _ = await asyncio.to_thread(served, path, f"p{n}")
        assert (status, body) == (200, picture(n))


async def test_a_store_that_hangs_holds_up_no_price_and_loses_no_image(
    kafka: BrokerInfo, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Base, offer and vectors come at once, the bytes when the store goes on."""
    going, put = threading.Event(), BlobStore.put

    def hanging(store: BlobStore, data: bytes) -> str:
        going.wait()
        return put(store, data)

    monkeypatch.setattr(BlobStore, "put", hanging)
    names = [f"p{n}" for n in range(PRODUCTS)]
    async with running_path(kafka.bootstrap, tmp_path, retry_delays_s=(0.5,) * 60) as path:
        try:
            started = time.monotonic()
            await path.publish(*(created(f"p{n}", inline(n), price=1.0) for n in range(PRODUCTS)))
            await path.publish(*(offer(name, price=2.0) for name in names))
            await until(lambda: all(price_of(path, name) == 2.0 for name in names))
            await until(lambda: all(searchable(path, name) for name in names))
            assert time.monotonic() - started < HANGS_S
            assert await asyncio.to_thread(served, path, "p0") == (503, b"", "no-store")
            assert path.metric("blob_calls_abandoned") > 0
        finally:
            going.set()
        await stored(path)
        assert path.metric("blob_calls_abandoned") == 0


async def test_a_store_that_is_away_for_a_while_loses_no_image(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """Where its folder should be there is a file: nothing can be written, until it is gone."""
    (tmp_path / "blobs").write_bytes(b"")
    async with running_path(kafka.bootstrap, tmp_path, retry_delays_s=(0.5,) * 60) as path:
        await path.publish(*(created(f"p{n}", inline(n)) for n in range(PRODUCTS)))
        await until(lambda: all(searchable(path, f"p{n}") for n in range(PRODUCTS)))
        kept = path.read(path.topics.product_retry)
        codes = {dict(message.headers() or ())["__visualsearch.retry.code"] for message in kept}
        assert codes == {b"blob_store_failed"}
        (tmp_path / "blobs").unlink()
        await stored(path)
