"""Workers that stop, start again and share the work."""

import asyncio
import json
import time
from collections import Counter
from pathlib import Path as Folder

from confluent_kafka.admin import AdminClient

from streams.config.settings import Settings
from streams.tools.broker import BrokerInfo
from tests.support.fakes import FakeEncoder
from tests.support.harness import inline, make_settings, make_topics, path_of, read_topic
from tests.support.path_events import created, deleted, offer
from tests.support.waiting import until
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import Producer


async def test_a_new_worker_knows_everything_from_the_log_and_tells_late_requests(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """No image is embedded again; what was asked while nobody was there gets one answer."""
    settings = make_settings(kafka.bootstrap, tmp_path)
    await asyncio.to_thread(make_topics, settings)
    async with path_of(settings) as path:
        await path.publish(*(created(f"p{n}", inline(n), price=1.0) for n in range(20)))
        await path.settled()
        await path.publish(deleted("p0"), offer("p1", price=9.0))
        await path.settled()
        assert path.engine.stats().products == 19
    body = {"request_id": "unheard", "query": {"text": "anyone?"}, "deadline_ms": 200}
    with Producer(settings.kafka()) as producer:
        topics = settings.topics
        request = OutgoingMessage(topics.search_requests, b"k", json.dumps(body).encode())
        await producer.send([request])
    await asyncio.sleep(0.3)
    encoder = FakeEncoder()
    async with path_of(settings, encoder=encoder) as path:
        # Ready means replayed: nothing is waited for here.
        assert path.engine.stats().products == 19
        assert await path.names_showing(0) == []
        assert [hit.price for hit in await path.showing(1)] == [9.0]
        # Queries that were made above embed one image each.
        assert encoder.images_seen == 2
        await until(lambda: path.metric("search_requests_total", mode="search",
                                        outcome="deadline_exceeded") == 1)  # fmt: skip
        await path.publish(created("p20", inline(20)))
        await path.settled()
        assert await path.names_showing(20) == ["p20"]
    told = [json.loads(x.value()) for x in read_topic(settings, settings.topics.search_results)]
    (answer,) = [x for x in told if x["request_id"] == "unheard"]
    assert answer["error"]["code"] == "deadline_exceeded"


async def test_a_worker_that_replays_is_alive_but_not_ready(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """It has no part in the queries' group before it has met the end of the log."""
    settings = make_settings(kafka.bootstrap, tmp_path)
    await asyncio.to_thread(make_topics, settings)
    async with path_of(settings) as path:
        path.worker._ready = False  # as while it starts
        assert path.worker.ready() == "starting or stopping"
        assert path.worker.live() is None
        assert path.worker._search is not None
        path.worker._search.reader.caught_up.clear()
        assert path.worker.ready() == "the index log is being replayed"
        path.worker._search.reader.progress_at = time.monotonic() - 120
        path.worker._search.reader.failed.set()
        assert path.worker.live() == "the index log cannot be read any further"


def owners(settings: Settings) -> list[int]:
    """Return how many partitions of the requests each member of their group has."""
    admin = AdminClient(settings.kafka())
    group = settings.group("search")
    (told,) = admin.describe_consumer_groups([group]).values()
    return [len(member.assignment.topic_partitions) for member in told.result().members]


async def test_two_workers_answer_each_request_once_and_both_serve(
    kafka: BrokerInfo, tmp_path: Folder
) -> None:
    """Replicas hold the same products and share requests by partition; one stays when one goes."""
    settings = make_settings(kafka.bootstrap, tmp_path)
    await asyncio.to_thread(make_topics, settings)
    async with path_of(settings) as first:
        await first.publish(*(created(f"p{n}", inline(n)) for n in range(10)))
        await first.settled()
        async with path_of(settings) as second:
            assert second.engine.stats().products == 10
            # The group settles on its two members: each of the two partitions has an owner.
            await until(lambda: owners(first.settings) == [1, 1])
            await asyncio.gather(*(
                first.search(f"both-{n}", text=f"words {n}", top_k=3, deadline_ms=120_000)
                for n in range(60)
            ))  # fmt: skip
            served = [
                path.metric("search_requests_total", mode="search", outcome="ok")
                for path in (first, second)
            ]
            assert sum(served) == 60
            assert min(served) > 0
            await second.publish(created("p10", inline(10)))
            await second.settled()
            await until(lambda: first.engine.stats().products == 11)
        # What is answered while partitions move may be answered again by who gets them.
        await until(lambda: owners(first.settings) == [2])
        results = await asyncio.gather(*(
            first.search(f"one-{n}", text=f"words {n}", top_k=3, deadline_ms=120_000)
            for n in range(20)
        ))  # fmt: skip
        assert all(result.status == "ok" for result in results)
    counts = Counter(x.key().decode() for x in read_topic(settings, settings.topics.search_results))
    assert {counts[f"both-{n}"] for n in range(60)} == {1}
    assert {counts[f"one-{n}"] for n in range(20)} == {1}
