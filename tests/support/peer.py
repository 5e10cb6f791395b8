"""The other side of a client of the search topics, played by a test."""

from contextlib import ExitStack
from typing import Any

import msgspec
from confluent_kafka import Consumer, Message, TopicPartition

from streams.config.topics import TopicNames
from visualsearch.client.messages import Headers, OutgoingMessage
from visualsearch.client.producer import Producer
from visualsearch.client.routes import Routes
from visualsearch.client.search_client import SearchClient
from visualsearch.contracts.search import QuerySpec, SearchRequest, SearchResult

PARTITIONS = 2


class Peer:
    """Sees the requests and publishes results."""

    def __init__(self, stack: ExitStack, bootstrap: str, topics: TopicNames) -> None:
        self.topics = topics
        self._options: dict[str, str | int] = {"bootstrap.servers": bootstrap}
        self._stack = stack
        self._producer = stack.enter_context(Producer(self._options, linger_ms=0))
        self._consumer = Consumer(self._options | {"group.id": "unused"})
        stack.callback(self._consumer.close)
        self._consumer.assign(
            [TopicPartition(topics.search_requests, p, 0) for p in range(PARTITIONS)]
        )

    def client(self, *, ready: bool = True, **more: Any) -> SearchClient:
        """Return a client, positioned unless told otherwise."""
        topics = self.topics
        more = {"grace_s": 60.0} | more
        client = SearchClient(self._options, topics.search_requests, topics.search_results, **more)
        self._stack.callback(client.close)
        if ready:
            client.wait_ready()
        return client

    def request(self, within_s: float = 20.0) -> Message | None:
        """Return the next request; None if none comes in time."""
        message = self._consumer.poll(within_s)
        assert message is None or message.error() is None, message.error()
        return message

    def answer(self, request: Message | None, took_ms: float = 0.0) -> None:
        """Publish a result that can be told by its time, as a worker does."""
        assert request is not None
        request_id = msgspec.json.decode(request.value())["request_id"]
        result = SearchResult(request_id=request_id, status="ok")
        result.took_ms.total = took_ms
        echoed = tuple(pair for pair in request.headers() or () if pair[0] == "correlation_id")
        self.publish(request_id, msgspec.json.encode(result), echoed)

    def publish(self, key: str, value: bytes, headers: Headers = ()) -> None:
        """Publish bytes as a result."""
        message = OutgoingMessage(self.topics.search_results, key.encode(), value, headers=headers)
        self._producer.submit(message).result()


def named(partition: int, word: str, deadline_ms: int = 100_000) -> SearchRequest:
    """Return a request whose first send goes into a partition."""
    routes = Routes(PARTITIONS)
    name = next(
        n for n in (f"{word}-{k}" for k in range(100)) if routes.partition_for(n) == partition
    )
    return SearchRequest(request_id=name, query=QuerySpec(text="x"), deadline_ms=deadline_ms)
