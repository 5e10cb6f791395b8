"""Failures of events and of their images, read from the dead letters."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from streams.kafka.numbers import parse_int64
from streams.tools.fsck.values import Message, MessagePosition

PREFIX = "__visualsearch.errors."
_IMAGE_STAGES = {"fetch", "image", "embed"}
# Stages whose failure leaves no record missing. `decode`, `order`: the event itself is invalid.
# `store`: the image is searchable, only its bytes are not in the blob store.
_HARMLESS_STAGES = {"decode", "order", "store"}
_NUMBER = re.compile(r"product\.images\[([0-9]{1,9})\]")


@dataclass(slots=True)
class Failure:
    """The failures of one event."""

    codes: set[str] = field(default_factory=set)
    image_numbers: set[int] = field(default_factory=set)  # by their number in the event
    unnumbered: bool = False  # an image failed, its number is unknown
    whole_event: bool = False  # any record of the event may be missing


def failures(letters: Iterable[Message]) -> dict[MessagePosition, Failure]:
    """Return the failures by the event's position; letters without one are ignored."""
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
        if stage in _IMAGE_STAGES:
            number = _NUMBER.match(letter.header(PREFIX + "message") or "")
            if number is None:
                failure.unnumbered = True
            else:
                failure.image_numbers.add(int(number[1]))
        elif stage not in _HARMLESS_STAGES:
            failure.whole_event = True
    return found
