"""Events whose pictures are tried again later: what `product-retry` carries, and when it is due.

The message is the event as it was published; headers of ours tell where it came from, so that
its order, its records and its dead letters are those of the first try.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from streams.messages import Headers, OutgoingMessage, SourceMessage

PREFIX = "__visualsearch.retry."


class RetryError(Exception):
    """A message of `product-retry` that no visualsearch wrote."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried of an event before; pictures are named by their number.

    `rounds` counts, for each that is still to be had, how often it could not; those in `told` are
    dead-lettered already. `passes` counts how often the event came by, tried or not.
    """

    passes: int = 0
    rounds: Mapping[int, int] = field(default_factory=dict)
    tries: int = 0
    told: frozenset[int] = frozenset()
    patient: bool = False  # it waited already, so it may take its time and keep nobody waiting


FIRST = Attempt()


@dataclass(frozen=True, slots=True)
class Retry:
    """A next attempt, `delay_s` from now, and why."""

    attempt: Attempt
    delay_s: float
    code: str
    message: str


def retry_message(
    topic: str, message: SourceMessage, retry: Retry, *, now_ms: int
) -> OutgoingMessage:
    """Return the event as it is kept for its next attempt; the topic's clock is of now."""
    facts = {
        "topic": message.topic,
        "partition": str(message.partition),
        "offset": str(message.offset),
        "timestamp": str(message.timestamp_ms),
        "rounds": ",".join(f"{n}:{count}" for n, count in sorted(retry.attempt.rounds.items())),
        "passes": str(retry.attempt.passes),
        "tries": str(retry.attempt.tries),
        "told": ",".join(map(str, sorted(retry.attempt.told))),
        "not_before": str(now_ms + round(retry.delay_s * 1000)),
        "code": retry.code,
        "message": retry.message[:500],
    }
    ours = tuple((PREFIX + name, text.encode()) for name, text in facts.items())
    return OutgoingMessage(topic, message.key, message.value, headers=message.headers + ours)


def not_before_ms(message: SourceMessage) -> int:
    """Return the time before which to leave a message alone; 0 where it does not say."""
    text = message.header(f"{PREFIX}not_before") or b""
    return int(text) if text.isdigit() else 0


def original_place(message: SourceMessage) -> str:
    """Return where the event was first read; of a message that is not ours, where it stands."""
    try:
        return parse_retry(message)[0].source
    except RetryError:
        return message.source


def parse_retry(message: SourceMessage) -> tuple[SourceMessage, Attempt]:
    """Return the event as it was first read, and its attempt. Raises RetryError."""
    facts = {
        name.removeprefix(PREFIX): (value or b"").decode("utf-8", "replace")
        for name, value in message.headers
        if name.startswith(PREFIX)
    }
    kept: Headers = tuple(pair for pair in message.headers if not pair[0].startswith(PREFIX))
    try:
        original = replace(
            message,
            topic=facts["topic"],
            partition=int(facts["partition"]),
            offset=int(facts["offset"]),
            timestamp_ms=int(facts["timestamp"]),
            headers=kept,
        )
        told = frozenset(int(number) for number in facts["told"].split(",") if number)
        pairs = (pair.split(":") for pair in facts["rounds"].split(",") if pair)
        rounds = {int(number): int(count) for number, count in pairs}
        passes, tries = int(facts["passes"]), int(facts["tries"])
        return original, Attempt(passes, rounds, tries, told, patient=True)
    except (KeyError, ValueError) as error:
        raise RetryError(f"no message of a worker: {error!r}") from None
