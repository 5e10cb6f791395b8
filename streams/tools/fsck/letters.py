"""Dead letters as the check needs them: which event failed, in what, and which image of it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from streams.kafka.numbers import parse_int64
from streams.tools.fsck.values import Message, MessagePosition

PREFIX = "__visualsearch.errors."
_OF_PICTURES = {"fetch", "image", "embed"}
# Of a letter of these stages no record is missing: the event counts for nothing at all, by its own
# content, or its image is searchable though its bytes are not in the blob store.
_OF_NOTHING = {"decode", "order", "store"}
_NUMBER = re.compile(r"product\.images\[([0-9]{1,9})\]")


@dataclass(slots=True)
class Failure:
    """All that the dead letters say of one event."""

    codes: set[str] = field(default_factory=set)
    image_numbers: set[int] = field(default_factory=set)  # by their number in the event
    unnumbered: bool = False  # an image failed, none knows which
    whole_event: bool = False  # any record of the event may be missing


def failures(letters: Iterable[Message]) -> dict[MessagePosition, Failure]:
    """Return the failures by the event's place; letters without one are of no use here."""
    found: dict[MessagePosition, Failure] = {}
    for letter in letters:
        topic = letter.header(PREFIX + "topic")
        partition = parse_int64(letter.header(PREFIX + "partition"))
        offset = parse_int64(letter.header(PREFIX + "offset"))
        if topic is None or partition is None or offset is None:
            continue
        failure = found.setdefault((topic, partition, offset), Failure())
        failure.codes.add(letter.header(PREFIX + "code") or "")
        stage = letter.header(PREFIX + "stage") or ""
        if stage in _OF_PICTURES:
            number = _NUMBER.match(letter.header(PREFIX + "message") or "")
            if number is None:
                failure.unnumbered = True
            else:
                failure.image_numbers.add(int(number[1]))
        elif stage not in _OF_NOTHING:
            failure.whole_event = True
    return found
