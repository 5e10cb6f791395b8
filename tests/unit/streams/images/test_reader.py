"""Images as they are read: the permit of the host first, then one of the places in memory."""

import asyncio
from typing import Any

import pytest

from streams.images.circuit_breaker import HostCircuitBreakers
from streams.images.errors import FetchedImage, FetchError
from streams.images.reader import ImageReader, Tier
from tests.support.lane_events import RED, inline
from tests.support.waiting import until
from visualsearch.contracts.events import ImageSource

SLOW = "http://slow/{}"


class Fetcher:
    """Fetches wait at the gate of their host, if it has one."""

    def __init__(self) -> None:
        self.gates: dict[str, asyncio.Event] = {}
        self.asked: list[tuple[str, float | None]] = []

    async def fetch(self, url: str, *, timeout_s: float | None = None) -> FetchedImage:
        """Give an image once the gate is open."""
        self.asked.append((url, timeout_s))
        if (gate := self.gates.get(url.split("/")[2])) is not None:
            await gate.wait()
        return FetchedImage(RED)


class Reading:
    """A reader with one permit per host, and tasks that hold what they have read."""

    def __init__(self, in_memory: int) -> None:
        self.fetcher = Fetcher()
        self.read: list[str] = []
        self.let_go = asyncio.Event()
        self.reader = ImageReader(
            self.fetcher,  # type: ignore[arg-type]
            Tier(HostCircuitBreakers(1, 10.0)),
            Tier(HostCircuitBreakers(1, 10.0), 60.0),
            inline_limit=4096,
            in_memory=in_memory,
        )

    async def hold(self, url: str, *, retry_tier: bool = False) -> None:
        """Read an image and keep it in memory."""
        async with self.reader.read(ImageSource(url=url), None, retry_tier=retry_tier):
            self.read.append(url)
            await self.let_go.wait()

    async def inline(self, **image: str) -> FetchedImage | None:
        """Return the bytes of an inline image."""
        async with self.reader.read(ImageSource(**image), None, retry_tier=False) as fetched:
            return fetched


async def test_who_waits_for_a_slow_host_takes_no_place_in_memory() -> None:
    """One place is with the fetch under way; the other is free for images of other hosts."""
    reading = Reading(in_memory=2)
    reading.fetcher.gates["slow"] = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for number in range(5):
            tasks.create_task(reading.hold(SLOW.format(number)))
        await until(lambda: len(reading.fetcher.asked) == 1)
        tasks.create_task(reading.hold("http://quick/1"))
        await until(lambda: reading.read == ["http://quick/1"])
        reading.fetcher.gates["slow"].set()
        reading.let_go.set()
    assert len(reading.read) == 6


async def test_a_place_is_held_until_the_image_is_done_with() -> None:
    """The next fetch waits for it, though its host has a permit."""
    reading = Reading(in_memory=1)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(reading.hold("http://a/1"))
        await until(lambda: reading.read == ["http://a/1"])
        tasks.create_task(reading.hold("http://b/1"))
        await asyncio.sleep(0.02)
        assert [url for url, _ in reading.fetcher.asked] == ["http://a/1"]
        reading.let_go.set()
    assert reading.read == ["http://a/1", "http://b/1"]


async def test_a_fetch_that_fails_gives_its_place_back() -> None:
    """Or the pipeline would stand still after as many failures as there are places."""
    reading = Reading(in_memory=1)
    for _ in range(3):
        with pytest.raises(FetchError) as caught:
            await reading.inline(data="no base64!")
        assert caught.value.code == "image_data_invalid"
    found = await reading.inline(**inline(RED))
    assert found is not None
    assert found.data == RED


async def test_the_retry_tier_has_permits_and_time_of_its_own() -> None:
    """An image that comes back keeps no first one waiting."""
    reading = Reading(in_memory=9)
    reading.fetcher.gates["slow"] = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(reading.hold(SLOW.format(1), retry_tier=True))
        await until(lambda: len(reading.fetcher.asked) == 1)
        tasks.create_task(reading.hold(SLOW.format(2)))
        await until(lambda: len(reading.fetcher.asked) == 2)
        reading.fetcher.gates["slow"].set()
        reading.let_go.set()
    assert reading.fetcher.asked == [(SLOW.format(1), 60.0), (SLOW.format(2), None)]


async def test_a_lack_of_memory_is_no_fault_of_an_inline_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is tried again, with the code of the same lack elsewhere."""

    def poor(*_: Any) -> bytes:
        raise MemoryError

    monkeypatch.setattr("streams.images.reader.decode_base64", poor)
    with pytest.raises(FetchError) as caught:
        await Reading(in_memory=1).inline(**inline(RED))
    assert (caught.value.code, caught.value.transient) == ("resources_exhausted", True)
