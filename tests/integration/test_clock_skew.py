"""Workers whose clocks are wrong: who is there is known, and every search is answered in time."""

import asyncio
import base64
import logging
import time
from dataclasses import replace
from pathlib import Path as Folder
from types import SimpleNamespace
from typing import Any

import pytest

from streams.config.topics import topic_specs
from streams.kafka.topics import create_topics
from streams.tools.broker import BrokerInfo
from streams.worker.worker import Worker
from tests.support.fakes import FakeEncoder
from tests.support.harness import (
    BOTH,
    Path,
    inline,
    make_settings,
    make_topics,
    path_of,
    picture,
    read_topic,
)
from tests.support.path_events import created
from tests.support.waiting import until
from visualsearch.client.clock import BrokerClock
from visualsearch.contracts.workers import decode_heartbeat

DEADLINE_MS = 2000  # what a request has by default
HOUR_S = 3600.0


async def path_off_by(bootstrap: str, folder: Folder, off_s: float) -> Path:
    """Return a path whose worker believes that it is `off_s` later than it is."""
    settings = make_settings(bootstrap, folder)
    await asyncio.to_thread(make_topics, settings)
    clock = BrokerClock(wall=lambda: time.time() + off_s)
    worker = Worker(settings, BOTH, encoder=FakeEncoder(), clock=clock)
    await worker.start()
    return Path(settings, worker, FakeEncoder())


async def search(path: Path) -> Any:
    """Search with the deadline that a request has by default."""
    image = base64.b64encode(picture(1)).decode()
    return await path.search(image=image, deadline_ms=DEADLINE_MS)


@pytest.mark.parametrize("off_s", [3.0, -HOUR_S, 2 * HOUR_S])
async def test_a_worker_whose_clock_is_off_answers_and_says_so(
    kafka: BrokerInfo,
    tmp_path: Folder,
    off_s: float,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """From its first query on; ready all the while, and its lags are those of Kafka's clock.

    Two hours ahead, brokers would refuse what it writes by its own clock.
    """
    with caplog.at_level(logging.WARNING):
        path = await path_off_by(kafka.bootstrap, tmp_path, off_s)
        try:
            assert path.worker.ready() is None
            result = await search(path)
            assert result.status == "ok", result.error
            await path.publish(created("p", inline(1)))
            await path.settled()
            for _ in range(5):
                result = await search(path)
                assert [hit.product_id for hit in result.hits] == ["p"], result.error
            assert path.metric("clock_offset_seconds") == pytest.approx(-off_s, abs=0.1)
            path.worker._refresh()
            assert path.metric("log_lag_seconds") < 1.0
            assert path.metric("freshness_seconds_sum", kind="create") < 5.0
        finally:
            await path.close()
            await path.worker.stop()
    said = [line for line in caplog.messages if "this machine's clock" in line]
    assert len(said) == 1, said


async def test_a_wall_clock_that_is_stepped_under_way_changes_no_answer(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """Also between two heartbeats."""
    settings = make_settings(kafka.bootstrap, tmp_path)
    await asyncio.to_thread(make_topics, settings)
    step = SimpleNamespace(off_s=0.0)
    clock = BrokerClock(wall=lambda: time.time() + step.off_s)
    worker = Worker(settings, BOTH, encoder=FakeEncoder(), clock=clock)
    await worker.start()
    path = Path(settings, worker, FakeEncoder())
    try:
        for step.off_s in (0.0, 30.0, -HOUR_S, 86_400.0, 0.0):
            assert (await search(path)).status == "ok"
    finally:
        await path.close()
        await worker.stop()


async def test_where_brokers_do_not_stamp_the_wall_clock_has_to_do(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """The topic is somebody's own, with their producers' time stamps: a start does not hang."""
    settings = make_settings(kafka.bootstrap, tmp_path)
    topics = settings.topics
    own = [
        replace(spec, config={"cleanup.policy": "compact"}) if spec.name == topics.workers else spec
        for spec in topic_specs(topics, products=2, index_log=2, search_requests=2)
    ]
    await asyncio.to_thread(create_topics, settings.bootstrap, own)
    async with path_of(settings) as path:
        assert (await search(path)).status == "ok"
        assert path.metric("clock_offset_seconds") == 0.0


async def test_heartbeats_say_who_is_there_and_a_tombstone_who_left(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """What coordinators and the doctor will read."""
    path = await path_off_by(kafka.bootstrap, tmp_path, 0.0)
    settings, topic = path.settings, path.topics.workers
    try:
        await path.publish(created("p", inline(1)))
        await path.settled()
        await asyncio.sleep(2.5)  # the next heartbeat
        beats = read_topic(settings, topic)
    finally:
        await path.close()
        await path.worker.stop()
    assert len({beat.key() for beat in beats}) == 1
    last = decode_heartbeat(beats[-1].value())
    assert last.worker_id.encode() == beats[-1].key()
    assert (last.url, last.roles, last.ready) == (path.url, ["ingest", "search"], True)
    assert sum(last.offsets.values()) == 2  # base and vectors
    goodbye = read_topic(settings, topic)[-1]
    assert (goodbye.key(), goodbye.value()) == (beats[-1].key(), None)


async def test_without_the_topic_a_worker_waits_and_says_what_to_run(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """Those who upgrade have ten topics, and need one more; the worker goes on when it is there."""
    settings = make_settings(kafka.bootstrap, tmp_path)
    old = [spec for spec in topic_specs(settings.topics) if spec.name != settings.topics.workers]
    await asyncio.to_thread(create_topics, settings.bootstrap, old)
    worker = Worker(settings, BOTH, encoder=FakeEncoder())
    starting = asyncio.create_task(worker.start())
    told = f"{settings.topics.workers}; run `visualsearch topics create`"
    await until(lambda: told in (worker.ready() or ""))
    await asyncio.to_thread(create_topics, settings.bootstrap, topic_specs(settings.topics))
    await starting
    assert worker.ready() is None
    await worker.stop()
