"""Outgoing messages, and safe reading of a message's headers."""

from dataclasses import dataclass
from operator import methodcaller
from typing import Any

Headers = tuple[tuple[str, bytes | None], ...]
_HEADERS_OF = methodcaller("headers")


def read_headers(message: Any) -> Headers | None:
    """Return the headers of a `confluent_kafka.Message`; None where a name is not UTF-8.

    Call it once per message: after a failure, a second call returns a null pointer, and using
    that crashes the process. Never call `message.headers()` directly: on a failure confluent-kafka
    returns a list with an exception set. Python's inlined call misses it, and some later line
    raises it.
    """
    try:
        return tuple(_HEADERS_OF(message) or ())
    except (SystemError, UnicodeDecodeError):
        return None


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to send; without a `partition`, the key's murmur2 hash chooses it."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Headers = ()
    timestamp_ms: int | None = None
