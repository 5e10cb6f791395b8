"""Dead letters: what could not be used, kept verbatim with the reason in its headers."""

from dataclasses import dataclass

from streams.messages import OutgoingMessage, SourceMessage
from streams.producer import MAX_BYTES

PREFIX = "__visualsearch.errors."
# What the record batch, our headers and the broker's limit leave for the value.
VALUE_LIMIT = MAX_BYTES - 64 * 1024


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a message could not be used."""

    stage: str  # decode | order | fetch | image | embed
    code: str
    message: str
    attempts: int = 1


def dead_letter(topic: str, message: SourceMessage, fault: Fault) -> OutgoingMessage:
    """Build the dead letter of a message: key, value, headers and timestamp as they were.

    A value too large for the topic is left out; `value_omitted` then says how long it was, and
    topic, partition and offset point to the original.
    """
    facts = {
        "topic": message.topic,
        "partition": str(message.partition),
        "offset": str(message.offset),
        "stage": fault.stage,
        "code": fault.code,
        "message": fault.message[:2000],
        "attempts": str(fault.attempts),
    }
    value = message.value
    if value is not None and len(value) > VALUE_LIMIT:
        facts["value_omitted"] = str(len(value))
        value = b""
    ours = tuple((PREFIX + name, text.encode()) for name, text in facts.items())
    kept = tuple(pair for pair in message.headers if not pair[0].startswith(PREFIX))
    return OutgoingMessage(
        topic, message.key, value, headers=kept + ours, timestamp_ms=message.timestamp_ms
    )
