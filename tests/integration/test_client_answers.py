"""Which answer is whose, and what a client tells who waits when there will be none."""

import threading
import time
import uuid
from concurrent.futures import wait

import msgspec
import pytest
from confluent_kafka import Producer as ConfluentProducer

from streams.config.topics import TopicNames, topic_specs
from streams.kafka.topics import create_topics
from streams.tools.broker import BrokerInfo
from streams.tools.broker.ports import free_port
from tests.support.peer import Peer
from tests.support.raw_producer import RawMessage, publish
from visualsearch.client.search_client import ClientClosedError, SearchClient
from visualsearch.contracts.search import QuerySpec, SearchRequest, SearchResult

BOMB = b"{}" + b" " * 110_000_000  # 3.4 kB of zstd


def asked(text: str = "x", deadline_ms: int = 100_000) -> SearchRequest:
    """Return a request under the one id that everybody uses."""
    return SearchRequest(request_id="same", query=QuerySpec(text=text), deadline_ms=deadline_ms)


def held(client: SearchClient) -> int:
    """Return of how many requests and sends a client knows."""
    return len(client._pending) + len(client._sends)


def test_requests_that_share_an_id_each_have_their_own_answer(peer: Peer) -> None:
    """Answered in another order than asked; twice the same body is two requests as well."""
    client = peer.client(resend=False)
    futures = {
        text: [client.submit(asked(text)) for _ in range(2)] for text in ("Kitchen", "UK", "x")
    }
    requests = [peer.request() for _ in range(6)]
    times = {"Kitchen": 1.0, "UK": 2.0, "x": 3.0}
    for request in reversed(requests):
        assert request is not None
        peer.answer(request, times[msgspec.json.decode(request.value())["query"]["text"]])
    for text, both in futures.items():
        assert [future.result(20).took_ms.total for future in both] == [times[text]] * 2
    assert held(client) == 0


def test_answers_to_others_are_ignored(kafka: BrokerInfo, peer: Peer) -> None:
    """The right request_id without a correlation id, with a foreign one, below broken headers."""
    client = peer.client(resend=False)
    future = client.submit(asked())
    request = peer.request()
    value = msgspec.json.encode(SearchResult(request_id="same", status="ok"))
    peer.publish("same", value)
    peer.publish("same", value, (("correlation_id", uuid.uuid4().hex.encode()),))
    peer.publish("same", value, (("correlation_id", None),))
    poison = RawMessage(peer.topics.search_results, 0, b"same", value, ((b"\xff\xfe", b"x"),))
    assert publish(kafka.bootstrap, [poison]) != [-1]
    peer.answer(request, 1.0)
    assert future.result(20).took_ms.total == 1.0
    assert client.failure is None


def test_an_answer_that_is_none_does_not_take_the_place_of_one(peer: Peer) -> None:
    """Garbage under the right correlation id: whoever reads the requests can write that."""
    client = peer.client(resend=False)
    future = client.submit(asked())
    request = peer.request()
    assert request is not None
    for value in (
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"request_id": "same", "status": 5}',
        b'{"request_id": "same", "status": "maybe", "hits": 5}',
        b'{"status": "maybe"}',
        b'{"request_id": "\xff", "status": "maybe"}',
        b'{"request_id": "same", "status": "maybe", "later": 1e999}',
    ):
        peer.publish("same", value, tuple(request.headers()))
    peer.answer(request, 1.0)
    assert future.result(20).took_ms.total == 1.0


def test_an_answer_of_a_later_status_ends_the_wait(peer: Peer) -> None:
    """A newer worker has answered; its hits are not claimed to be complete."""
    client = peer.client(resend=False)
    future = client.submit(asked())
    request = peer.request()
    assert request is not None
    later = b'{"request_id": "same", "status": "degraded", "later": {}, "took_ms": {"total": 2}}'
    peer.publish("same", later, tuple(request.headers()))
    result = future.result(20)
    assert (result.status, result.took_ms.total) == ("partial", 2.0)
    assert (held(client), client.failure) == (0, None)


def test_a_batch_that_cannot_be_unpacked_is_stepped_over(kafka: BrokerInfo, peer: Peer) -> None:
    """The partition of the results that holds it is read on."""
    client = peer.client(resend=False)
    options = {"bootstrap.servers": kafka.bootstrap, "compression.type": "zstd",
               "message.max.bytes": 990_000_000}  # fmt: skip
    bomber = ConfluentProducer(options)
    for partition in range(2):
        bomber.produce(peer.topics.search_results, BOMB, partition=partition)
    assert bomber.flush(60) == 0
    future = client.submit(asked(deadline_ms=20_000))
    while not future.done():
        if (request := peer.request(0.5)) is not None:
            peer.answer(request)
    assert future.result().status == "ok"


def test_a_dead_reader_fails_who_waits_and_who_comes_later(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once and with its reason; the client says that it has failed."""
    client = peer.client()
    waiting = client.submit(asked())
    peer.request()

    def broken(_: float) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(client, "_expire_and_resend", broken)
    with pytest.raises(ConnectionError, match="a bug"):
        waiting.result(20)
    with pytest.raises(ConnectionError, match="a bug"):
        client.submit(asked()).result(1)
    with pytest.raises(ConnectionError, match="a bug"):
        client.wait_ready(1)
    assert isinstance(client.failure, RuntimeError)
    assert held(client) == 0


def test_a_full_queue_of_the_producer_holds_up_neither_caller_nor_reader(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the broker away it may be full for long; who waits is told at the deadline."""
    client = peer.client(grace_s=0.2)
    room = threading.Event()
    monkeypatch.setattr(client._producer, "submit", lambda _: room.wait())
    began = time.monotonic()
    futures = [client.submit(asked(deadline_ms=300)) for _ in range(3)]
    assert time.monotonic() - began < 10.0  # `room` stays shut: it would be forever
    for future in futures:
        with pytest.raises(TimeoutError):
            future.result(20)
    room.set()


def test_a_closed_client_leaves_nobody_waiting(peer: Peer) -> None:
    """Neither who waits when it is closed nor who comes after that."""
    client = peer.client()
    waiting = [client.submit(asked()) for _ in range(3)]
    client.close()
    waiting.append(client.submit(asked()))
    done, _ = wait(waiting, 1)
    assert [type(future.exception()) for future in done] == [ClientClosedError] * 4
    assert client.failure is None
    assert held(client) == 0


def test_who_stops_waiting_is_forgotten(peer: Peer) -> None:
    """Cancelled before the answer: nothing is kept, and the late answer harms nobody."""
    client = peer.client()
    future = client.submit(asked())
    request = peer.request()
    assert future.cancel()
    assert held(client) == 0
    peer.answer(request)
    after = client.submit(asked())
    peer.answer(peer.request())
    assert after.result(20).status == "ok"


def test_a_request_before_the_client_is_positioned_is_sent_afterwards(kafka: BrokerInfo) -> None:
    """Its answer cannot be missed; topics that come late are no reason to fail."""
    from contextlib import ExitStack

    names = TopicNames.with_prefix(f"t{uuid.uuid4().hex[:10]}-")
    with ExitStack() as stack:
        options: dict[str, str | int] = {"bootstrap.servers": kafka.bootstrap}
        client = SearchClient(options, names.search_requests, names.search_results)
        stack.callback(client.close)
        future = client.submit(asked())
        time.sleep(0.5)
        assert not future.done()
        specs = topic_specs(
            names, products=1, index_log=1, search_requests=2, search_results=2, product_retry=1
        )
        create_topics(kafka.bootstrap, specs)
        peer = Peer(stack, kafka.bootstrap, names)
        peer.answer(peer.request())
        assert future.result(20).status == "ok"


def test_without_a_broker_a_request_ends_at_its_deadline() -> None:
    """The client asks for its position as long as it is open; who waits does not."""
    options: dict[str, str | int] = {"bootstrap.servers": f"127.0.0.1:{free_port()}"}
    client = SearchClient(options, "requests", "results", grace_s=0.2)
    try:
        with pytest.raises(TimeoutError, match="no worker answered"):
            client.submit(asked(deadline_ms=100)).result(20)
        with pytest.raises(ConnectionError, match="cannot read topic results"):
            client.wait_ready(0.1)
        assert client.failure is None
    finally:
        client.close()
