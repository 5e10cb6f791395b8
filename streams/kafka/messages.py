"""Kafka messages as they were read, as plain values."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from visualsearch.client.messages import Headers, read_headers

if TYPE_CHECKING:
    from visualsearch.client.unreadable import UnreadableBatch

NO_TIME = -1  # Kafka's own sign for a message without a timestamp
HEADERS_INVALID = "headers_invalid"
MESSAGE_UNREADABLE = "message_unreadable"
_HEADERS_LOST = (
    "the name of a header is not UTF-8: all headers are lost, key and value are kept; publish "
    "header names in UTF-8"
)


@dataclass(frozen=True, slots=True)
class Damage:
    """The unreadable part of a message or batch; `code` becomes the dead letter's."""

    code: str
    message: str
    last_offset: int


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
    damage: Damage | None = None

    @property
    def next_offset(self) -> int:
        """The offset after it."""
        return (self.damage.last_offset if self.damage else self.offset) + 1

    @property
    def source(self) -> str:
        """Its position: topic[partition]@offset."""
        return f"{self.topic}[{self.partition}]@{self.offset}"

    @property
    def size(self) -> int:
        """Size of the value in bytes."""
        return len(self.value or b"")

    def header(self, name: str) -> bytes | None:
        """Return the last header of that name."""
        return next((value for key, value in reversed(self.headers) if key == name), None)

    @classmethod
    def from_confluent(cls, message: Any) -> "SourceMessage":
        """Convert a `confluent_kafka.Message` that is no error."""
        headers = read_headers(message)
        lost = Damage(HEADERS_INVALID, _HEADERS_LOST, message.offset()) if headers is None else None
        return cls(
            topic=message.topic(),
            partition=message.partition(),
            offset=message.offset(),
            timestamp_ms=message.timestamp()[1],
            key=message.key(),
            value=message.value(),
            headers=headers or (),
            damage=lost,
        )

    @classmethod
    def from_unreadable(cls, batch: "UnreadableBatch") -> "SourceMessage":
        """Return a placeholder for an unreadable batch: its offsets and the reason."""
        text = (
            f"offsets {batch.first} to {batch.last} cannot be unpacked ({batch.reason}); good "
            "messages may be among them: publish them again"
        )
        damage = Damage(MESSAGE_UNREADABLE, text, batch.last)
        return cls(batch.topic, batch.partition, batch.first, NO_TIME, None, None, damage=damage)
