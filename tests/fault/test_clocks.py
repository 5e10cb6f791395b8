"""A worker process whose clock is wrong from its start, and is set under way, answers in time."""

import contextlib
import time
import urllib.request
import uuid
from collections import Counter
from pathlib import Path

from streams.config.topics import topic_specs
from streams.kafka.topics import create_topics
from streams.tools.broker import start_broker, stop_broker
from tests.support.fault.fleet import Fleet, Life, until
from tests.support.fault.stage import CHOSEN, environ_of
from tests.support.harness import inline, make_settings
from tests.support.path_events import created
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import Producer
from visualsearch.client.search_client import SearchClient
from visualsearch.contracts.events import encode_event
from visualsearch.contracts.search import QuerySpec, SearchRequest

STEPS_S = (3.0, -3600.0, 86_400.0, 0.0)
SEARCHES = 20
DEADLINE_MS = 2000


def metric(life: Life, name: str) -> float:
    """Return a metric without labels, as the worker serves it."""
    with urllib.request.urlopen(f"{life.url}/metrics", timeout=10) as reply:  # noqa: S310
        lines = reply.read().decode().splitlines()
    found = [line for line in lines if line.startswith(f"visualsearch_{name} ")]
    return float(found[0].split()[-1])


def answers(client: SearchClient) -> Counter[str]:
    """Search one after the other; return how each ended."""
    ends: Counter[str] = Counter()
    for _ in range(SEARCHES):
        query = QuerySpec(image=inline(1).data)
        request = SearchRequest(request_id=uuid.uuid4().hex, query=query, deadline_ms=DEADLINE_MS)
        result = client.submit(request).result(60)
        hits = [hit.product_id for hit in result.hits[:1]]
        ends[result.error.code if result.error else f"{result.status} {hits}"] += 1
    return ends


def test_every_search_is_answered_whatever_the_workers_clock_says(tmp_path: Path) -> None:
    """Three seconds ahead when it starts; then an hour behind, a day ahead, and right."""
    info = start_broker(tmp_path / "broker")
    try:
        settings = make_settings(info.bootstrap, tmp_path / "data", **CHOSEN)
        topics = settings.topics
        create_topics(settings.bootstrap, topic_specs(topics))
        event = created("p", inline(1))
        with contextlib.closing(Producer(settings.kafka())) as producer:
            producer.submit(OutgoingMessage(topics.product_events, b"p", encode_event(event)))
        with Fleet(tmp_path / "workers", environ_of(settings)) as fleet:
            life = fleet.launch()
            life.order(f"clock {STEPS_S[0]}")
            until(lambda: life.ready, "the worker is ready")
            until(lambda: metric(life, "index_products") == 1.0, "the product is searchable")
            client = SearchClient(settings.kafka(), topics.search_requests, topics.search_results)
            with contextlib.closing(client):
                client.wait_ready()
                for step_s in STEPS_S:
                    life.order(f"clock {step_s}")
                    time.sleep(0.2)  # until it has read that; no heartbeat is waited for
                    assert answers(client) == {"ok ['p']": SEARCHES}, (step_s, life.tail())
            until(lambda: abs(metric(life, "clock_offset_seconds")) < 0.5, "the clock is right")
            assert "this machine's clock is 3.0 s ahead of the brokers'" in life.log.read_text()
            assert fleet.fallen == []
    finally:
        stop_broker(tmp_path / "broker")
