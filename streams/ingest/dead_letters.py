"""Dead letters: messages that could not be processed, verbatim, with the reason in headers."""

from dataclasses import dataclass

from streams.kafka.messages import MESSAGE_UNREADABLE, SourceMessage
from visualsearch.client.messages import OutgoingMessage
from visualsearch.client.producer import MAX_BYTES

PREFIX = "__visualsearch.errors."
# What the record batch, our headers and the broker's limit leave for the original.
ROOM = MAX_BYTES - 64 * 1024


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a message could not be used."""

    stage: str  # decode | order | fetch | image | embed | store | log | lane
    code: str
    message: str
    attempts: int = 1


def dead_letter(
    topic: str, message: SourceMessage, fault: Fault, *, bare: bool = False
) -> OutgoingMessage:
    """Build the dead letter of a message: key, value, headers and timestamp as they were.

    Parts that are too large for the topic are omitted, the value first; `value_omitted` then holds
    its size. Topic, partition and offset point to the original. With `bare` key, value and headers
    are omitted, for a topic that refuses them. An unreadable batch has its offsets alone.
    """
    kept = tuple(pair for pair in message.headers if not pair[0].startswith(PREFIX))
    sizes = {
        "value": message.size,
        "headers": sum(len(name.encode()) + len(value or b"") + 16 for name, value in kept),
        "key": len(message.key or b""),
    }
    omitted: set[str] = set()
    for part in sizes:
        if bare or sum(size for name, size in sizes.items() if name not in omitted) > ROOM:
            omitted.add(part)
    facts = {
        "topic": message.topic,
        "partition": str(message.partition),
        "offset": str(message.offset),
        "stage": fault.stage,
        "code": fault.code,
        "message": fault.message[:2000],
        "attempts": str(fault.attempts),
    }
    unreadable = message.damage is not None and message.damage.code == MESSAGE_UNREADABLE
    if unreadable:
        facts["last_offset"] = str(message.next_offset - 1)
    facts |= {f"{part}_omitted": str(sizes[part]) for part in sizes if part in omitted}
    ours = tuple(
        (PREFIX + name, text.encode("utf-8", "backslashreplace")) for name, text in facts.items()
    )
    return OutgoingMessage(
        topic,
        b"" if "key" in omitted else message.key,
        b"" if "value" in omitted else message.value,
        headers=(() if "headers" in omitted else kept) + ours,
        timestamp_ms=None if bare or unreadable else message.timestamp_ms,
    )
