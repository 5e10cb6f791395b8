"""Kafka messages as plain values, whichever client read or will write them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Headers = tuple[tuple[str, bytes | None], ...]


def read_headers(message: Any) -> Headers | None:
    """Return the headers of a `confluent_kafka.Message`; None where a name is not UTF-8."""
    try:
        return tuple(message.headers() or ())
    except UnicodeDecodeError:
        return None


@dataclass(frozen=True, slots=True)
class SourceMessage:
    """A message as it was read."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def source(self) -> str:
        """Where it stands: topic[partition]@offset."""
        return f"{self.topic}[{self.partition}]@{self.offset}"

    @property
    def size(self) -> int:
        """How many bytes its value has."""
        return len(self.value or b"")

    def header(self, name: str) -> bytes | None:
        """Return the last header of that name."""
        return next((value for key, value in reversed(self.headers) if key == name), None)

    @classmethod
    def from_faust(cls, message: Any) -> "SourceMessage":
        """Take over a `faust.types.Message`; its header list keeps repeated keys."""
        headers = message.headers or ()
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        # For a LogAppendTime topic this is the broker's clock. aiokafka gives ms, faust seconds.
        return cls(
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            timestamp_ms=round(message.timestamp * 1000),
            key=message.key,
            value=message.value,
            headers=tuple((str(name), value) for name, value in pairs),
        )

    @classmethod
    def from_confluent(cls, message: Any) -> "SourceMessage":
        """Take over a `confluent_kafka.Message` that is no error."""
        return cls(
            topic=message.topic(),
            partition=message.partition(),
            offset=message.offset(),
            timestamp_ms=message.timestamp()[1],
            key=message.key(),
            value=message.value(),
            headers=tuple(message.headers() or ()),
        )


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to be written; without a partition the key decides (murmur2)."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Headers = ()
    timestamp_ms: int | None = None
