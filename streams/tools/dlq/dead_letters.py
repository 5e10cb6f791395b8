"""Read dead letters and select some of them."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from streams.ingest.dead_letters import PREFIX
from streams.ingest.order import ORDER_HEADER, OriginalPosition, parse_original_position
from streams.kafka.messages import SourceMessage
from streams.kafka.numbers import parse_int64
from streams.kafka.scan import OffsetRange, ScannedMessage, Scanner
from streams.tools.dlq.show import as_text
from visualsearch.client.messages import Headers
from visualsearch.errors import VisualSearchError

_PARTS = ("key", "value", "headers")
_POSITION = re.compile(r"([0-9]{1,9})@([0-9]{1,19})")


class DeadLetterError(VisualSearchError):
    """A dead letter that does not exist, or cannot be replayed."""

    code = "dead_letter_not_found"


@dataclass(frozen=True, slots=True, order=True)
class DeadLetterPosition:
    """The position of a dead letter in its topic: partition@offset."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}@{self.offset}"


def parse_position(text: str) -> DeadLetterPosition | None:
    """Read `PARTITION@OFFSET`; None if it is something else, like a product id."""
    found = _POSITION.fullmatch(text)
    return None if found is None else DeadLetterPosition(int(found[1]), int(found[2]))


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter: the original message and, in `facts`, why it could not be used."""

    message: SourceMessage
    by_producer: bool = True  # the timestamp is the event's, not the broker's

    @classmethod
    def of(cls, scanned: ScannedMessage) -> "DeadLetter":
        """Return the dead letter in a message of the dead letters' topic."""
        return cls(scanned.message, scanned.by_producer)

    @cached_property
    def facts(self) -> Mapping[str, str]:
        """The headers of the error by their short names, such as topic, code and message."""
        return {
            name.removeprefix(PREFIX): (value or b"").decode("utf-8", "replace")
            for name, value in self.message.headers
            if name.startswith(PREFIX)
        }

    @property
    def position(self) -> DeadLetterPosition:
        """The letter's own position."""
        return DeadLetterPosition(self.message.partition, self.message.offset)

    @property
    def topic(self) -> str:
        """The topic of the original."""
        return self.facts.get("topic", "")

    @property
    def original(self) -> str:
        """The original's position: topic[partition]@offset."""
        facts = self.facts
        return f"{self.topic}[{facts.get('partition', '?')}]@{facts.get('offset', '?')}"

    @property
    def code(self) -> str:
        """The stable code of the error; if the letter itself is unreadable, the code of that."""
        damage = self.message.damage
        return self.facts.get("code", "") if damage is None else damage.code

    @property
    def product_id(self) -> str | None:
        """The key as text: the product that the event was about, if it had a key."""
        key = self.message.key
        return None if key is None else key.decode("utf-8", "backslashreplace")

    @property
    def own_headers(self) -> Headers:
        """The headers of the original, without those that we added."""
        return tuple(
            (name, value)
            for name, value in self.message.headers
            if not name.startswith(PREFIX) and name != ORDER_HEADER
        )

    @property
    def omitted(self) -> Mapping[str, int]:
        """Which parts of the original did not fit, and how many bytes each had."""
        sizes = {part: parse_int64(self.facts.get(f"{part}_omitted")) for part in _PARTS}
        return {part: size for part, size in sizes.items() if size is not None}

    @property
    def place(self) -> OriginalPosition | None:
        """The event's original position, which decides its order; None if unknown.

        The letter of a failed replay has it in a header. Any other letter has the event's
        timestamp as its own, and the offset in an error header.
        """
        carried = self.message.header(ORDER_HEADER)
        if carried is not None and (place := parse_original_position(carried)) is not None:
            return place
        text = f"{self.message.timestamp_ms},{self.facts.get('offset', '')}"
        return parse_original_position(text.encode()) if self.by_producer else None

    @property
    def time(self) -> datetime | None:
        """The event's timestamp in its topic; that of the last attempt if it was replayed."""
        milliseconds = self.message.timestamp_ms
        try:
            return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds >= 0 else None
        except (ValueError, OverflowError, OSError):
            return None

    def as_dict(self, *, whole: bool = False) -> dict[str, Any]:
        """Return JSON values; `whole` adds headers and value (text, or base64 where it is none)."""
        facts = self.facts
        row: dict[str, Any] = {
            "position": str(self.position),
            "time": self.time.isoformat() if self.time else None,
            "product_id": self.product_id,
            "original": self.original,
            "topic": self.topic,
            "stage": facts.get("stage", ""),
            "code": self.code,
            "message": facts.get(
                "message", self.message.damage.message if self.message.damage else ""
            ),
            "attempts": parse_int64(facts.get("attempts")),
            "value_bytes": None if self.message.value is None else len(self.message.value),
            "omitted": dict(self.omitted),
            "replayed": self.message.header(ORDER_HEADER) is not None,
        }
        if whole:
            row["value"] = as_text(self.message.value)
            row["headers"] = [[name, as_text(value)] for name, value in self.own_headers]
        return row


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter of dead letters; a field that is not given matches all."""

    code: str | None = None
    product: str | None = None
    topic: str | None = None
    since_ms: int | None = None
    positions: frozenset[DeadLetterPosition] = field(default_factory=frozenset)

    def matches(self, letter: DeadLetter) -> bool:
        """Return whether a letter matches all given fields."""
        return (
            (self.code is None or letter.code == self.code)
            and (self.product is None or letter.product_id == self.product)
            and (self.topic is None or letter.topic == self.topic)
            and (self.since_ms is None or letter.message.timestamp_ms >= self.since_ms)
            and (not self.positions or letter.position in self.positions)
        )


def read_dead_letters(
    scanner: Scanner,
    topic: str,
    selection: Selection,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> Iterator[DeadLetter]:
    """Yield the selected letters, oldest first within each partition.

    Reads the topic up to its current end, or only the range of the selected positions.
    Raises TopicError.
    """
    spans = scanner.offset_ranges(topic, since=selection.since_ms)
    if selection.positions:
        spans = list(_narrowed(spans, selection.positions))
    for scanned in scanner.read(spans, progress):
        letter = DeadLetter.of(scanned)
        if selection.matches(letter):
            yield letter


def _narrowed(
    spans: Iterable[OffsetRange], positions: Iterable[DeadLetterPosition]
) -> Iterator[OffsetRange]:
    offsets: dict[int, list[int]] = {}
    for position in positions:
        offsets.setdefault(position.partition, []).append(position.offset)
    for span in spans:
        if wanted := offsets.get(span.partition):
            start, end = max(span.start, min(wanted)), min(span.end, max(wanted) + 1)
            yield replace(span, start=start, end=end)
