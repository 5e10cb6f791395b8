"""Messages as a client writes them, and headers as it reads them."""

from dataclasses import dataclass
from operator import methodcaller
from typing import Any

Headers = tuple[tuple[str, bytes | None], ...]
_HEADERS_OF = methodcaller("headers")


def read_headers(message: Any) -> Headers | None:
    """Return the headers of a `confluent_kafka.Message`; None where a name is not UTF-8.

    Call it once per message: after such a failure the client's next answer holds a null pointer,
    and whoever touches that ends the process. And never call `message.headers()` itself: the
    client returns a list with an exception set, which Python's inlined call does not notice, so
    that it is raised at some later line.
    """
    try:
        return tuple(_HEADERS_OF(message) or ())
    except (SystemError, UnicodeDecodeError):
        return None


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to be written; without a partition the key decides (murmur2)."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Headers = ()
    timestamp_ms: int | None = None
