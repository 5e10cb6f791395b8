"""A client's unanswered request: sent again at half its deadline, the first answer counts."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack

import msgspec
import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from schemas.search import QuerySpec, SearchRequest, SearchResult
from streams.broker import BrokerInfo
from streams.client import SearchClient
from streams.messages import OutgoingMessage
from streams.producer import Producer
from streams.routes import Routes
from streams.topics import TopicNames

PARTITIONS = 2
DEADLINE_MS = 1_000


class Peer:
    """The other side of a client, played by the test: it sees requests and publishes results."""

    def __init__(self, stack: ExitStack, bootstrap: str, topics: TopicNames) -> None:
        self._options: dict[str, str | int] = {"bootstrap.servers": bootstrap}
        self._stack = stack
        self._topics = topics
        self._producer = stack.enter_context(Producer(self._options, linger_ms=0))
        self._consumer = Consumer(self._options | {"group.id": "unused"})
        stack.callback(self._consumer.close)
        self._consumer.assign(
            [TopicPartition(topics.search_requests, p, 0) for p in range(PARTITIONS)]
        )

    def client(self, *, grace_s: float = 60.0, resend: bool = True) -> SearchClient:
        """Return a client that is ready."""
        client = SearchClient(
            self._options, self._topics.search_requests, self._topics.search_results,
            grace_s=grace_s, resend=resend,
        )  # fmt: skip
        self._stack.callback(client.close)
        client.wait_ready()
        return client

    def request(self, within_s: float = 20.0) -> Message | None:
        """Return the next request; None if none comes in time."""
        message = self._consumer.poll(within_s)
        assert message is None or message.error() is None, message.error()
        return message

    def answer(self, request_id: str, took_ms: float = 0.0) -> None:
        """Publish a result that can be told by its time."""
        result = SearchResult(request_id=request_id, status="ok")
        result.took_ms.total = took_ms
        value = msgspec.json.encode(result)
        message = OutgoingMessage(self._topics.search_results, request_id.encode(), value)
        self._producer.submit(message).result()


@pytest.fixture
def peer(kafka: BrokerInfo, topic_names: TopicNames) -> Iterator[Peer]:
    """Give the other side of a client on topics of its own."""
    with ExitStack() as stack:
        yield Peer(stack, kafka.bootstrap, topic_names)


def named(partition: int, word: str, deadline_ms: int = 100_000) -> SearchRequest:
    """Return a request whose first copy goes into a partition."""
    routes = Routes(PARTITIONS)
    name = next(n for n in (f"{word}-{k}" for k in range(100)) if routes.first(n) == partition)
    return SearchRequest(request_id=name, query=QuerySpec(text="x"), deadline_ms=deadline_ms)


@pytest.mark.parametrize("alive", range(PARTITIONS))
def test_the_second_copy_goes_to_a_partition_that_answers(peer: Peer, alive: int) -> None:
    """Same id, same body; the caller sees the first answer, the second is nobody's."""
    client = peer.client()
    answered = client.submit(first := named(alive, "answered"))
    message = peer.request()
    assert message is not None
    assert message.partition() == alive
    peer.answer(first.request_id)
    answered.result(20)
    sent_at = time.monotonic()
    unanswered = client.submit(request := named(1 - alive, "unanswered", DEADLINE_MS))
    copies = [peer.request(), peer.request()]
    assert [m and m.partition() for m in copies] == [1 - alive, alive]
    assert {m and m.value() for m in copies} == {msgspec.json.encode(request)}
    assert time.monotonic() - sent_at >= DEADLINE_MS / 2000
    peer.answer(request.request_id, 1.0)
    peer.answer(request.request_id, 2.0)
    assert unanswered.result(20).took_ms.total == 1.0
    after = client.submit(last := named(alive, "after"))
    assert peer.request() is not None
    peer.answer(last.request_id)
    assert after.result(20).request_id == last.request_id
    assert not client._waiting


def test_a_client_that_does_not_send_again_gives_up_at_its_deadline(peer: Peer) -> None:
    """One copy, and then the error that says what to look at."""
    client = peer.client(grace_s=0.5, resend=False)
    future = client.submit(request := named(0, "once", DEADLINE_MS))
    with pytest.raises(TimeoutError, match="no worker answered"):
        future.result(20)
    message = peer.request()
    assert message is not None
    assert json.loads(message.value())["request_id"] == request.request_id
    assert peer.request(within_s=0.5) is None
