"""A consumer that gives what a test says, poll by poll, and notes what it is told to read."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError

from visualsearch.client.tail import Tail

TOPIC = "t"
END = KafkaError._PARTITION_EOF
UNREADABLE = KafkaError._BAD_COMPRESSION


@dataclass(frozen=True)
class Said:
    """A message, or with a `code` a notice, as a consumer gives them."""

    at: int
    place: int = 0
    code: int | None = None
    body: bytes = b"v"
    named: bytes | None = b"k"
    topic_name: str | None = TOPIC

    def error(self) -> Any:
        """Return the notice, None for a message."""
        if self.code is None:
            return None
        return SimpleNamespace(code=lambda: self.code, str=lambda: f"error {self.code}")

    def topic(self) -> str | None:
        """Return the topic; an error of the client itself has none."""
        return self.topic_name

    def partition(self) -> int:
        """Return the partition."""
        return self.place

    def offset(self) -> int:
        """Return the offset."""
        return self.at

    def key(self) -> bytes | None:
        """Return the key."""
        return self.named

    def value(self) -> bytes:
        """Return the value."""
        return self.body

    def headers(self) -> None:
        """Return that there are none."""

    def timestamp(self) -> tuple[int, int]:
        """Return a time of the producer's that grows with the offset."""
        return 1, 1000 + self.at


def tail_on(consumer: Any, *, steps_over: bool = True) -> Tail:
    """Return a tail that reads through a consumer of a test."""
    return Tail({}, "test", reset="error", steps_over=steps_over, connect=lambda _: consumer)


class ScriptedConsumer:
    """Gives one list a poll, then nothing."""

    def __init__(self, *polls: Sequence[Said]) -> None:
        self._polls = [list(poll) for poll in polls]
        self._rest: list[Said] = []
        self.assigned: list[Any] = []
        self.left: list[int] = []
        self.closed = False

    def assign(self, partitions: Sequence[Any]) -> None:
        """Note what is read from now on."""
        self.assigned = list(partitions)

    def incremental_unassign(self, partitions: Sequence[Any]) -> None:
        """Note what was left; Kafka's own raises for what is not assigned."""
        for partition in partitions:
            self.assigned.remove(partition)
            self.left.append(partition.partition)

    def unassign(self) -> None:
        """Read nothing more."""
        assert not self.closed, "Kafka's own raises"
        self.assigned = []

    def poll(self, _: float) -> Said | None:
        """Return the first of the next list."""
        self._rest = self._polls.pop(0) if self._polls else []
        return self._rest.pop(0) if self._rest else None

    def consume(self, count: int, _: float) -> list[Said]:
        """Return the others of that list."""
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    def get_watermark_offsets(self, at: Any, *, cached: bool) -> tuple[int, int]:
        """Return an end for partition 0 alone, as before the first fetch of the others."""
        assert cached
        return 0, 7 if at.partition == 0 else -1001

    def close(self) -> None:
        """Leave."""
        self.closed = True
