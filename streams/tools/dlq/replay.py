"""Replay dead letters to their original topics, with their original order.

Dead letters are never removed. Replaying an event twice, or after a newer event of its product,
changes nothing: it keeps its order.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from streams.ingest.order import OriginalPosition, original_position
from streams.kafka.messages import MESSAGE_UNREADABLE, SourceMessage
from streams.kafka.numbers import parse_int64
from streams.kafka.scan import Scanner
from streams.kafka.sender import MessageSender
from streams.tools.dlq.dead_letters import DeadLetter, DeadLetterError
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import MAX_BYTES, SendError
from visualsearch.contracts.errors import SchemaError

if TYPE_CHECKING:
    from concurrent.futures import Future

_IN_FLIGHT = 16  # of up to 11 MiB each
ReplayOutcome = Literal["replayed", "would_replay", "same_event", "refused"]


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The outcome of replaying one dead letter."""

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
    """Partition counts of the product topics by name, and a reader of original messages."""

    partitions: dict[str, int]
    original: Callable[[DeadLetter], SourceMessage | None]


def replay_message(letter: DeadLetter, topics: ProductTopics) -> OutgoingMessage:
    """Return the original with the header that keeps its order. Raises DeadLetterError.

    It goes to its original partition, after all later events of its product.
    """
    if letter.code == MESSAGE_UNREADABLE:
        raise DeadLetterError(
            f"{letter.original} could not be read and has no content to replay; "
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
            "its order is unknown: the dead letter has no offset, or its topic replaced the "
            "event's timestamp (message.timestamp.type must be CreateTime)",
            code="original_order_unknown",
        )
    message, headers = letter.message, letter.own_headers
    if letter.omitted:
        found = topics.original(letter)
        if found is None:
            raise DeadLetterError(
                f"its content was too large to keep, and its original {letter.original} is deleted",
                code="original_gone",
            )
        message, headers, place = found, DeadLetter(found).own_headers, _original_position(found)
        if found.size > MAX_BYTES:
            raise DeadLetterError(
                f"its original {letter.original} has {found.size:,} bytes, above the producer's "
                f"limit of {MAX_BYTES:,}",
                code="event_too_large",
            )
    partition = parse_int64(letter.facts.get("partition"))
    if partition is not None and partition >= topics.partitions[letter.topic]:
        partition = None  # the topic was recreated with fewer partitions: the key decides
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
    """Publish the events of letters, each event once; yield the outcome of each letter.

    An event has several letters if several of its images failed, or if a replay failed again.
    Without a sender nothing is published.
    """
    seen: dict[tuple[Any, ...], str] = {}
    in_flight: deque[tuple[DeadLetter, OutgoingMessage, Future[None]]] = deque()
    for letter in letters:
        event = (letter.topic, letter.facts.get("partition"), letter.message.key, letter.place)
        if letter.place is not None and (first := seen.get(event)) is not None:
            yield _result(letter, "same_event", reason=f"same event as {first}")
            continue
        try:
            message = replay_message(letter, topics)
        except DeadLetterError as error:
            yield _result(letter, "refused", reason=str(error), reason_code=error.code)
            continue
        seen[event] = str(letter.position)
        if sender is None:
            yield _result(letter, "would_replay", message)
            continue
        in_flight.append((letter, message, sender.submit(message)))
        if len(in_flight) >= _IN_FLIGHT:
            yield _wait_for_acknowledgement(*in_flight.popleft())
    while in_flight:
        yield _wait_for_acknowledgement(*in_flight.popleft())


def _original_position(original: SourceMessage) -> OriginalPosition:
    try:
        return original_position(original)
    except SchemaError:  # an invalid order header: a replay replaces it
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
            return found  # else the topic was recreated, and another message has this offset
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
        text = f"Kafka rejected it: {error}"
        return _result(letter, "refused", message, reason=text, reason_code="event_too_large")
    return _result(letter, "replayed", message)


def _result(
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
