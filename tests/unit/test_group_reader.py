"""What a consumer group's reader does with commits that fail and with work at a rebalance."""

import asyncio
import threading
import time
from typing import Any

from confluent_kafka import KafkaError, TopicPartition
from prometheus_client import CollectorRegistry

from streams.group_reader import Finished, GroupReader
from streams.messages import SourceMessage
from streams.metrics import Metrics


class Holding:
    """A sink that keeps what it gets."""

    has_room = True

    def __init__(self) -> None:
        self.taken: list[tuple[SourceMessage, Finished]] = []

    def take(self, message: SourceMessage, finished: Finished) -> None:
        """Keep a message."""
        self.taken.append((message, finished))

    def cancel(self) -> None:
        """Keep it nevertheless."""

    async def close(self, timeout_s: float) -> None:
        """Do nothing."""


class Committing:
    """A consumer that notes what is committed."""

    def __init__(self) -> None:
        self.committed: list[list[tuple[str, int, int]]] = []

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:  # noqa: ARG002
        """Note a commit."""
        self.committed.append([(at.topic, at.partition, at.offset) for at in offsets])


def reader(**options: Any) -> tuple[GroupReader, Metrics]:
    """Return a reader that is not started, and its metrics."""
    metrics = Metrics(CollectorRegistry())
    made = GroupReader({}, "g", ["t"], Holding(), metrics, session_timeout_s=6.0, **options)
    return made, metrics


def failures(metrics: Metrics) -> float:
    """Return how many commits are counted as failed."""
    found = metrics.registry.get_sample_value("visualsearch_commit_failures_total", {"group": "g"})
    return found or 0.0


async def test_an_asynchronous_commit_that_failed_is_seen_and_made_again() -> None:
    """It was taken for done, and committed with the next message, if there was one."""
    made, metrics = reader()
    consumer = Committing()
    made._done["t", 0] = 5
    made._commit(consumer)
    made._commit(consumer)
    assert consumer.committed == [[("t", 0, 5)]], "what is committed is not committed again"
    made._note_commit(KafkaError(KafkaError._TIMED_OUT), [TopicPartition("t", 0, 5)])
    made._commit(consumer)
    assert consumer.committed == [[("t", 0, 5)]] * 2
    assert failures(metrics) == 1
    made._note_commit(None, [TopicPartition("t", 0, 5)])
    made._commit(consumer)
    assert len(consumer.committed) == 2


async def test_at_a_rebalance_it_waits_for_what_is_in_work_but_not_for_ever() -> None:
    """On its own thread: the loop finishes the work meanwhile."""
    made, _ = reader(drain_s=30.0)
    finished = made._in_order.add(("t", 0), lambda: None)
    draining = threading.Thread(target=made._drain)
    draining.start()
    await asyncio.sleep(0.1)
    assert draining.is_alive()
    finished()
    await asyncio.to_thread(draining.join, 5.0)
    assert not draining.is_alive()

    brief, _ = reader(drain_s=0.05)
    brief._in_order.add(("t", 0), lambda: None)
    started = time.monotonic()
    brief._drain()
    assert time.monotonic() - started < 10.0
