"""How long an event takes and how far behind the pipelines are, by Kafka's clock alone."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path as Folder
from typing import Any, Literal

import msgspec
import pytest
from PIL import Image

from streams.kafka import lag
from streams.tools.broker import BrokerInfo
from tests.support.commands import Commands
from tests.support.fakes import FakeEncoder
from tests.support.harness import (
    Path,
    inline,
    make_settings,
    make_topics,
    path_of,
    picture,
    running_path,
)
from tests.support.path_events import created, deleted, offer, updated
from tests.support.pictures import PictureHost
from tests.support.waiting import until
from visualsearch.contracts.events import ImageSource
from visualsearch.types import FloatArray

LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)
QUEUE = 238
SOON_S = 20.0  # on a busy machine; the publisher's clock would say months


@pytest.fixture
async def host() -> AsyncIterator[PictureHost]:
    """Give a picture host."""
    async with PictureHost() as host:
        yield host


def long_ago(event: Any) -> Any:
    """Return the event as a publisher with another idea of the time writes it."""
    return msgspec.structs.replace(event, occurred_at=LONG_AGO)


def took(path: Path, kind: str, way: str) -> tuple[float, float]:
    """Return how many events were observed, and their seconds in all."""
    labels = {"kind": kind, "path": way}
    count = path.metric("pipeline_seconds_count", **labels)
    return count, path.metric("pipeline_seconds_sum", **labels)


@pytest.mark.parametrize("mode", ["timestamp", "explicit"])
async def test_the_publishers_clock_counts_for_freshness_alone(
    kafka: BrokerInfo, tmp_path: Folder, mode: Literal["timestamp", "explicit"]
) -> None:
    """Events of all kinds that say they are months old are seconds old to Kafka."""
    async with running_path(kafka.bootstrap, tmp_path, order_mode=mode) as path:
        events = (
            created("p", inline(1), version=1),
            updated("p", inline(2), version=2),
            offer("p", price=1.0, version=3),
            deleted("p", version=4),
        )
        for event in events:
            await path.publish(long_ago(event))
            await path.settled()
        for kind in ("create", "update", "offer", "delete"):
            count, seconds = took(path, kind, "live")
            assert (count, seconds < SOON_S) == (1, True), (kind, seconds)
            assert path.metric("freshness_seconds_sum", kind=kind) > 1e7


@pytest.mark.parametrize("mode", ["timestamp", "explicit"])
async def test_retries_and_replays_count_from_the_first_time_and_on_their_own(
    kafka: BrokerInfo,
    tmp_path: Folder,
    host: PictureHost,
    mode: Literal["timestamp", "explicit"],
) -> None:
    """What waited for a host or for an operator says nothing of a live event."""
    async with running_path(
        kafka.bootstrap,
        tmp_path,
        order_mode=mode,
        fetch_attempts=1,
        retry_delays_s=(1.5, 1.5),
    ) as path:
        host.put("a.jpg", picture(7))
        slow = ImageSource(url=host.url("/flaky/1/a.jpg"))
        await path.publish(long_ago(created("slow", slow, version=1)))
        await path.settled()
        count, seconds = took(path, "create", "retry")
        assert count == 1
        assert 1.0 < seconds < SOON_S
        await path.publish(long_ago(created("lost", ImageSource(url=host.url("/ok/b.jpg")),
                                            version=1)))  # fmt: skip
        await until(lambda: len(path.dead_letters()) == 1)
        await asyncio.sleep(1.5)
        host.put("b.jpg", picture(8))
        shell = Commands(path.settings, path.url)
        await asyncio.to_thread(lambda: shell.json("dlq", "replay", "--all"))
        await path.settled()
        assert await path.names_showing(8) == ["lost"]
        count, seconds = took(path, "create", "replay")
        assert count == 1
        assert 1.5 < seconds < SOON_S
        assert took(path, "create", "live")[0] == 0


class Stuck(FakeEncoder):
    """A model that is busy until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def embed(self, prepared: Sequence[Image.Image]) -> FloatArray:
        """Wait, then embed."""
        self.let_go.wait(60.0)
        return super().embed(prepared)


async def test_a_queue_shows_in_full_and_by_its_age(
    kafka: BrokerInfo, tmp_path: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """238 events before a model that does not answer; nothing of them shows in freshness."""
    monkeypatch.setattr(lag, "EVERY_S", 0.3)
    settings = make_settings(kafka.bootstrap, tmp_path)
    await asyncio.to_thread(make_topics, settings)
    encoder = Stuck()
    async with path_of(settings, encoder=encoder) as path:
        try:
            await path.publish(*(long_ago(created(f"p{n}", inline(n))) for n in range(QUEUE)))
            await until(lambda: path.exported_lag("embedding")[0] == QUEUE)
            await until(lambda: path.exported_lag("embedding")[1] > 2.0)
            assert path.exported_lag("embedding")[1] < SOON_S
            await until(lambda: path.exported_lag("attributes") == (0.0, 0.0))
            assert path.exported_lag("embedding")[0] == QUEUE
            assert path.metric("freshness_seconds_count", kind="create") == 0
        finally:
            encoder.let_go.set()
        await path.settled()
        await until(lambda: path.exported_lag("embedding") == (0.0, 0.0))
        assert path.exported_lag("retry", path.topics.product_retry) == (0.0, 0.0)
        assert path.exported_lag("search", path.topics.search_requests) == (0.0, 0.0)


async def test_events_kept_for_later_are_the_retries_lag(
    kafka: BrokerInfo, tmp_path: Folder, host: PictureHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are out of the embedding pipeline's way, and nobody forgets them."""
    monkeypatch.setattr(lag, "EVERY_S", 0.3)
    async with running_path(
        kafka.bootstrap, tmp_path, fetch_attempts=1, retry_delays_s=(3600.0,)
    ) as path:
        topic = path.topics.product_retry
        for n in range(3):
            await path.publish(created(f"p{n}", ImageSource(url=host.url("/status/503"))))
        await until(lambda: path.exported_lag("retry", topic)[0] == 3)
        await until(lambda: path.exported_lag("embedding")[0] == 0)
        assert 0.0 < path.exported_lag("retry", topic)[1] < SOON_S
