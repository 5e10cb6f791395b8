"""Retries of events with failed images: messages of `product-retry`, and their schedule.

The message is the original event. Its headers hold the original position, so that order, records
and dead letters are those of the first attempt.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from streams.ingest.dead_letters import Fault
from streams.kafka.messages import SourceMessage
from streams.kafka.numbers import parse_int64
from visualsearch.client.messages import Headers, OutgoingMessage

PREFIX = "__visualsearch.retry."
_IMAGES = 100  # of a product, by its schema
_LONGEST_TOPIC = 249
# An image whose host was never asked is retried for longer than an outage of a long weekend, but
# no longer than the usual retention of a topic.
UNASKED_S = 7 * 86_400.0


class RetryError(Exception):
    """A message of `product-retry` that is unreadable, or that no worker wrote."""

    def __init__(self, message: str, *, code: str = "retry_invalid") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Attempt:
    """The earlier attempts at an event; images are identified by number.

    `failed_rounds` counts the failures of each pending image; `dead_lettered` are final.
    `deliveries` counts the retry messages of the event, `total_attempts` the fetches.
    """

    deliveries: int = 0
    failed_rounds: Mapping[int, int] = field(default_factory=dict)
    total_attempts: int = 0
    dead_lettered: frozenset[int] = frozenset()
    retry_tier: bool = False  # from `product-retry`: has longer timeouts


FIRST = Attempt()


@dataclass(frozen=True, slots=True)
class Retry:
    """The next attempt, `delay_s` from now, and the fault that causes it."""

    attempt: Attempt
    delay_s: float
    code: str
    message: str


def next_retry(
    faults: Mapping[int, Fault],
    transient: Collection[int],
    attempt: Attempt,
    delays_s: Sequence[float],
) -> Retry | None:
    """Return the next attempt of an event, by the faults of its images; None if all are final.

    `delays_s` are the pauses before each further round; after the last one a fault is final. A
    round without a call to the host or blob store does not count, for at most `UNASKED_S`. Pauses
    grow with each attempt, counted or not.
    """
    if not delays_s:
        return None
    rounds: dict[int, int] = {}
    for number in sorted(transient):
        called = faults[number].attempts > 0
        count = attempt.failed_rounds.get(number, 0) + called
        if count <= len(delays_s) and (called or _waited_s(attempt, delays_s) < UNASKED_S):
            rounds[number] = count
    if not rounds:
        return None
    causes = [faults[number] for number in rounds]
    following = Attempt(
        attempt.deliveries + 1,
        rounds,
        attempt.total_attempts + max(cause.attempts for cause in causes),
        attempt.dead_lettered | (faults.keys() - rounds.keys()),
    )
    pause_s = delays_s[min(attempt.deliveries, len(delays_s) - 1)]
    return Retry(following, pause_s, causes[0].code, causes[0].message)


def _waited_s(attempt: Attempt, delays_s: Sequence[float]) -> float:
    """Return the sum of the pauses of an event so far."""
    listed = delays_s[: attempt.deliveries]
    return sum(listed) + (attempt.deliveries - len(listed)) * delays_s[-1]


def retry_message(
    topic: str, message: SourceMessage, retry: Retry, *, now_ms: int
) -> OutgoingMessage:
    """Return the retry message of an event."""
    facts = {
        "topic": message.topic,
        "partition": str(message.partition),
        "offset": str(message.offset),
        "timestamp": str(message.timestamp_ms),
        "rounds": ",".join(
            f"{n}:{count}" for n, count in sorted(retry.attempt.failed_rounds.items())
        ),
        "passes": str(retry.attempt.deliveries),
        "tries": str(retry.attempt.total_attempts),
        "told": ",".join(map(str, sorted(retry.attempt.dead_lettered))),
        "not_before": str(now_ms + round(retry.delay_s * 1000)),
        "code": retry.code,
        "message": retry.message[:500],
    }
    ours = tuple((PREFIX + name, text.encode()) for name, text in facts.items())
    return OutgoingMessage(topic, message.key, message.value, headers=message.headers + ours)


def not_before_ms(message: SourceMessage) -> int:
    """Return the time before which a message must not be retried; 0 without one."""
    return parse_int64(message.header(f"{PREFIX}not_before")) or 0


def original_source(message: SourceMessage) -> str:
    """Return the source of the original event; for a foreign message its own source."""
    try:
        return parse_retry(message)[0].source
    except RetryError:
        return message.source


def parse_retry(message: SourceMessage) -> tuple[SourceMessage, Attempt]:
    """Return the original event and its attempt. Raises RetryError."""
    if message.damage is not None:
        raise RetryError(message.damage.message, code=message.damage.code)
    facts = {
        name.removeprefix(PREFIX): (value or b"").decode("utf-8", "replace")
        for name, value in message.headers
        if name.startswith(PREFIX)
    }
    kept: Headers = tuple(pair for pair in message.headers if not pair[0].startswith(PREFIX))
    try:
        original = replace(
            message,
            topic=_valid_topic(facts["topic"]),
            partition=_valid_number(facts["partition"]),
            offset=_valid_number(facts["offset"]),
            timestamp_ms=-1 if facts["timestamp"] == "-1" else _valid_number(facts["timestamp"]),
            headers=kept,
        )
        dead_lettered = frozenset(map(_valid_number, _split_entries(facts["told"])))
        pairs = (pair.split(":") for pair in _split_entries(facts["rounds"]))
        rounds = {_valid_number(number): _valid_number(count) for number, count in pairs}
        passes, tries = _valid_number(facts["passes"]), _valid_number(facts["tries"])
        return original, Attempt(passes, rounds, tries, dead_lettered, retry_tier=True)
    except (KeyError, ValueError) as error:
        raise RetryError(f"no message of a worker: {error!r}") from None


def _valid_number(text: str) -> int:
    """Parse a number of at most 63 bits. Raises ValueError."""
    number = parse_int64(text)
    if number is None:
        raise ValueError(f"not a number: {text[:40]!r}")
    return number


def _split_entries(text: str) -> list[str]:
    """Split a list with an entry per image. Raises ValueError for too many entries."""
    entries = [entry for entry in text.split(",", _IMAGES + 1) if entry]
    if len(entries) > _IMAGES:
        raise ValueError(f"more than {_IMAGES} images")
    return entries


def _valid_topic(text: str) -> str:
    """Return the name of a topic. Raises ValueError for one that Kafka does not allow."""
    if not 0 < len(text) <= _LONGEST_TOPIC:
        raise ValueError(f"not a topic: {text[:40]!r}")
    return text
