"""Dead letters, published again where their events came from, in their original order.

Letters are never removed. An event that is replayed twice, or after a newer one of its product,
changes nothing: its order is the one that it always had.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from streams.ingest.order import OriginalPosition, original_position
from streams.kafka.messages import MESSAGE_UNREADABLE, SourceMessage
from streams.kafka.numbers import parse_int64
from streams.kafka.scan import Scanner
from streams.tools.dlq.dead_letters import DeadLetter, DeadLetterError
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import MAX_BYTES, SendError
from visualsearch.contracts.errors import SchemaError

if TYPE_CHECKING:
    from concurrent.futures import Future

_IN_FLIGHT = 16  # of up to 11 MiB each
ReplayOutcome = Literal["replayed", "would_replay", "same_event", "refused"]


class MessageSender(Protocol):
    """The producer, as far as it is used here."""

    def submit(self, message: OutgoingMessage) -> "Future[None]":
        """Send a message; the future is done when the broker has it."""


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What became of one dead letter."""

    position: str
    product_id: str | None
    code: str
    to: str
    outcome: ReplayOutcome
    reason: str = ""
    reason_code: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ProductTopics:
    """The product topics by name with their partitions, and how the originals may be read again."""

    partitions: dict[str, int]
    original: Callable[[DeadLetter], SourceMessage | None]


def replay_message(letter: DeadLetter, topics: ProductTopics) -> OutgoingMessage:
    """Return the original with the header that keeps its order. Raises DeadLetterError.

    It goes to the partition that it came from, behind all that its product has had since.
    """
    if letter.code == MESSAGE_UNREADABLE:
        raise DeadLetterError(
            f"{letter.original} could not be read, so that nothing of it was kept; "
            "publish its events again",
            code=MESSAGE_UNREADABLE,
        )
    if letter.topic not in topics.partitions:
        raise DeadLetterError(
            f"its original {letter.original} is in no product topic", code="original_topic_unknown"
        )
    place = letter.place
    if place is None:
        raise DeadLetterError(
            "its order is lost: the dead letter tells no offset, or its topic replaced the event's "
            "time by the broker's (message.timestamp.type must be CreateTime)",
            code="original_order_unknown",
        )
    message, headers = letter.message, letter.own_headers
    if letter.omitted:
        found = topics.original(letter)
        if found is None:
            raise DeadLetterError(
                f"it was too large to be kept whole, and its original {letter.original} is gone",
                code="original_gone",
            )
        message, headers, place = found, DeadLetter(found).own_headers, _original_position(found)
        if found.size > MAX_BYTES:
            raise DeadLetterError(
                f"its original {letter.original} has {found.size:,} bytes, more than can be sent",
                code="event_too_large",
            )
    partition = parse_int64(letter.facts.get("partition"))
    if partition is not None and partition >= topics.partitions[letter.topic]:
        partition = None  # the topic was made anew with fewer: the key decides
    return OutgoingMessage(
        letter.topic,
        message.key,
        message.value,
        partition=partition,
        headers=(*headers, place.header),
    )


def replay(
    letters: Iterable[DeadLetter], topics: ProductTopics, sender: MessageSender | None
) -> Iterator[ReplayResult]:
    """Publish the events of letters, each event once; yield what became of each letter.

    An event has several letters when several of its images failed, or when a replay of it
    failed again. Without a sender nothing is published.
    """
    seen: dict[tuple[Any, ...], str] = {}
    in_flight: deque[tuple[DeadLetter, OutgoingMessage, Future[None]]] = deque()
    for letter in letters:
        event = (letter.topic, letter.facts.get("partition"), letter.message.key, letter.place)
        if letter.place is not None and (first := seen.get(event)) is not None:
            yield _replayed(letter, "same_event", reason=f"its event is that of {first}")
            continue
        try:
            message = replay_message(letter, topics)
        except DeadLetterError as error:
            yield _replayed(letter, "refused", reason=str(error), reason_code=error.code)
            continue
        seen[event] = str(letter.position)
        if sender is None:
            yield _replayed(letter, "would_replay", message)
            continue
        in_flight.append((letter, message, sender.submit(message)))
        if len(in_flight) >= _IN_FLIGHT:
            yield _wait_for_acknowledgement(*in_flight.popleft())
    while in_flight:
        yield _wait_for_acknowledgement(*in_flight.popleft())


def _original_position(original: SourceMessage) -> OriginalPosition:
    try:
        return original_position(original)
    except SchemaError:  # a header that is none: a replay puts it right
        return OriginalPosition(original.timestamp_ms, original.offset)


def read_original(scanner: Scanner, letter: DeadLetter) -> SourceMessage | None:
    """Return the message that a letter is about if its topic still has it. Raises TopicError."""
    facts, message = letter.facts, letter.message
    partition, offset = parse_int64(facts.get("partition")), parse_int64(facts.get("offset"))
    if partition is None or offset is None:
        return None
    if partition >= scanner.partitions(letter.topic):
        return None
    (span,) = scanner.offset_ranges(letter.topic, [partition])
    if not span.start <= offset < span.end:
        return None
    for scanned in scanner.read([replace(span, start=offset, end=offset + 1)]):
        found = scanned.message
        same_key = "key" in letter.omitted or found.key == message.key
        if found.offset == offset and same_key and found.timestamp_ms == message.timestamp_ms:
            return found  # else the topic was made anew, and another message has its place
    return None


def _wait_for_acknowledgement(
    letter: DeadLetter, message: OutgoingMessage, sent: "Future[None]"
) -> ReplayResult:
    """Wait for the broker. Raises SendError unless it is about this message alone."""
    try:
        sent.result()
    except SendError as error:
        if not error.too_large:
            raise
        text = f"Kafka does not take it: {error}"
        return _replayed(letter, "refused", message, reason=text, reason_code="event_too_large")
    return _replayed(letter, "replayed", message)


def _replayed(
    letter: DeadLetter,
    outcome: ReplayOutcome,
    message: OutgoingMessage | None = None,
    *,
    reason: str = "",
    reason_code: str = "",
) -> ReplayResult:
    to = ""
    if message is not None:
        to = message.topic if message.partition is None else f"{message.topic}[{message.partition}]"
    return ReplayResult(
        str(letter.position), letter.product_id, letter.code, to, outcome, reason, reason_code
    )
