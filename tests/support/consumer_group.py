"""A consumer group in memory: one member that a test drives, and others that only take over."""

import random
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.kafka.consumer_group import Finished
from streams.kafka.messages import SourceMessage
from tests.support.log_replica import TOPIC, Entry

PARTITIONS = 2
TIMED_OUT = KafkaError._TIMED_OUT


class Group:
    """A topic, what is finished of it by anybody, and the offsets that the group committed."""

    def __init__(self, ends: Sequence[int]) -> None:
        self.ends = list(ends)
        self.finished: list[set[int]] = [set() for _ in ends]
        self.committed = [0] * len(self.ends)

    def commit(self, partition: int, offset: int) -> None:
        """Take an offset over. It skips nothing unfinished, and never goes back."""
        skipped = set(range(offset)) - self.finished[partition]
        assert not skipped, f"{partition}: {offset} is committed, {min(skipped)} is not finished"
        assert offset >= self.committed[partition], f"{partition}: back to {offset}"
        self.committed[partition] = offset


class Member:
    """What a reader asks of its consumer: rebalances come between polls, and commits may fail."""

    def __init__(self, rng: random.Random, group: Group) -> None:
        self.calm = False  # no rebalance, pause or failure any more
        self._rng = rng
        self._group = group
        self._positions = list(group.committed)
        self._results: list[Callable[[], None]] = []  # of asynchronous commits
        self._options: dict[str, Any] = {}
        self._callbacks: dict[str, Callable[[Any, Sequence[Any]], None]] = {}

    def configure(self, options: dict[str, Any]) -> "Member":
        """Stand in for the consumer's constructor."""
        self._options = options
        return self

    def subscribe(self, _: Sequence[str], **callbacks: Any) -> None:
        """Keep the callbacks of a rebalance."""
        self._callbacks = callbacks

    def poll(self, _: float) -> Entry | None:
        """Serve callbacks, then return the next message of any partition."""
        results, self._results = self._results, []
        for result in results:
            result()
        if not self.calm and self._rng.random() < 0.15:
            self._rebalance()
        ready = [p for p, end in enumerate(self._group.ends) if self._positions[p] < end]
        if not ready or (not self.calm and self._rng.random() < 0.3):
            return None
        partition = self._rng.choice(ready)
        offset = self._positions[partition]
        self._positions[partition] += 1
        return Entry(offset, partition, b"k", b"v", (), 0.0)

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        """Commit all, or fail: at once, or in a later callback."""
        fails = not self.calm and self._rng.random() < 0.3
        if fails and (not asynchronous or self._rng.random() < 0.5):
            raise KafkaException(KafkaError(TIMED_OUT))
        if not fails:
            for at in offsets:
                self._group.commit(at.partition, at.offset)
        error = KafkaError(TIMED_OUT) if fails else None
        told = [SimpleNamespace(topic=at.topic, partition=at.partition, error=None)
                for at in offsets]  # fmt: skip
        self._results.append(lambda: self._options["on_commit"](error, told))

    def _rebalance(self) -> None:
        """Lose all partitions, with a notice or without; get them again, wherever others came."""
        places = [TopicPartition(TOPIC, p) for p in range(len(self._group.ends))]
        self._callbacks[self._rng.choice(("on_revoke", "on_lost"))](self, places)
        for partition, end in enumerate(self._group.ends):
            offset = self._group.committed[partition]
            for _ in range(self._rng.choice((0, 0, 1, 3))):
                if offset < end:
                    self._group.finished[partition].add(offset)
                    offset += 1
            self._group.commit(partition, offset)
        self._positions = list(self._group.committed)
        self._callbacks["on_assign"](self, places)


class Working:
    """A sink whose work a test finishes, in any order."""

    has_room = True

    def __init__(self, rng: random.Random, group: Group) -> None:
        self._rng = rng
        self._group = group
        self._work: list[tuple[SourceMessage, Finished]] = []
        self._cancelled: list[tuple[SourceMessage, Finished]] = []

    def take(self, message: SourceMessage, finished: Finished) -> None:
        """Start on a message, which nobody here is working on."""
        at = (message.partition, message.offset)
        assert at not in [(m.partition, m.offset) for m, _ in self._work], "in work twice"
        self._work.append((message, finished))

    def cancel(self) -> None:
        """Stop all work; some of it may be past stopping."""
        self._cancelled += self._work
        self._work.clear()

    async def close(self, timeout_s: float) -> None:
        """Do nothing: the test stops the reader."""

    def finish(self, share: float) -> None:
        """Finish about this share of the work, and now and then what was past stopping."""
        self._rng.shuffle(self._work)
        left = [each for each in self._work if self._rng.random() >= share]
        done = [each for each in self._work if each not in left]
        self._work = left
        if self._cancelled and self._rng.random() < 0.3:
            done.append(self._cancelled.pop(self._rng.randrange(len(self._cancelled))))
        for message, finished in done:
            self._group.finished[message.partition].add(message.offset)
            finished()
