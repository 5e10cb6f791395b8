"""What a consumer group's reader does with commits that fail and with work at a rebalance."""

import asyncio
from typing import Any

from confluent_kafka import KafkaError, TopicPartition
from prometheus_client import CollectorRegistry

from streams.kafka.consumer_group import Finished, GroupReader
from streams.kafka.messages import SourceMessage
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


async def test_at_a_rebalance_what_is_in_work_is_settled_on_the_loop() -> None:
    """The reader's thread waits for it, so that nothing is read meanwhile."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def settle() -> None:
        begun.set()
        await go_on.wait()

    made, _ = reader(settle=settle)
    made._loop = asyncio.get_running_loop()
    draining = asyncio.create_task(asyncio.to_thread(made._drain))
    await asyncio.wait_for(begun.wait(), 5.0)
    await asyncio.sleep(0.05)
    assert not draining.done()
    go_on.set()
    await asyncio.wait_for(draining, 5.0)


async def test_what_is_read_while_closing_is_left_to_the_next_owner() -> None:
    """It would never be finished, and hold up the last commit of what is."""
    made, _ = reader()
    message = SourceMessage("t", 0, 3, 1000, b"k", b"v")
    made._read = lambda _: [(0, message)]  # type: ignore[method-assign]
    await made._turn(Committing())
    assert [taken.offset for taken, _ in made._sink.taken] == [3]  # type: ignore[attr-defined]
    made._closing = True
    await made._turn(Committing())
    assert len(made._sink.taken) == 1  # type: ignore[attr-defined]


async def test_what_was_done_in_a_former_assignment_is_not_committed_in_the_next() -> None:
    """The partitions may be lost and revoked in one read; others have committed further."""
    made, _ = reader()
    consumer = Committing()
    made._done["t", 0] = 5
    made._read_epoch += 1
    made._commit(consumer, wait=True)
    made._enter(made._read_epoch)
    made._commit(consumer, wait=True)
    assert consumer.committed == []
    made._done["t", 0] = 9
    made._commit(consumer, wait=True)
    assert consumer.committed == [[("t", 0, 9)]]
