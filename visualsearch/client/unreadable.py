"""Skipping of batches that the client library cannot unpack.

A batch may be damaged, or larger unpacked than the client takes (3 kB of zstd can hold 100 MB).
librdkafka then reports the same error at the same offset forever, and the partition stands still.
"""

import logging
import time
from dataclasses import dataclass
from typing import Any

from visualsearch.client.options import by_assignment

log = logging.getLogger(__name__)
_PROBE_S = 20.0  # for all looks at one batch: whoever steps over it stands still meanwhile


@dataclass(frozen=True, slots=True)
class UnreadableBatch:
    """The offsets of a batch that cannot be read, the last one included, and the client's reason.

    Messages within it may be good: nobody can tell.
    """

    topic: str
    partition: int
    first: int
    last: int
    reason: str

    def __str__(self) -> str:
        """Say where it stands and why it cannot be read."""
        return f"{self.topic}[{self.partition}]@{self.first}-{self.last}: {self.reason}"


def skip_unreadable_batch(
    consumer: Any, options: dict[str, str | int], notice: Any
) -> UnreadableBatch | None:
    """Move a consumer behind the batch that its error `notice` is about.

    Return the batch. Return None if the error is about no single place, if the place can be read
    by now, or if the broker does not answer: then the next poll has the same error. `options` are
    librdkafka's connection options. Blocks for some round trips to the broker.
    """
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    if not is_unreadable(notice):
        return None
    topic, partition, first = notice.topic(), notice.partition(), notice.offset()
    try:
        probe = Consumer(_probe_options(options))
        try:
            last = _last_unreadable(probe, topic, partition, first)
        finally:
            probe.close()
        consumer.seek(TopicPartition(topic, partition, first if last is None else last + 1))
    except KafkaException as error:  # of a broker that is away, or for want of descriptors
        log.warning("%s[%d]@%d cannot be read, nor stepped over yet: %s", topic, partition, first,
                    error.args[0].str())  # fmt: skip
        return None
    if last is None:
        return None
    batch = UnreadableBatch(topic, partition, first, last, notice.error().str())
    log.error("stepped over a batch that cannot be read: %s", batch)
    return batch


def is_unreadable(notice: Any) -> bool:
    """Return whether an error is about the bytes at one offset."""
    from confluent_kafka import KafkaError

    codes = {
        KafkaError._BAD_COMPRESSION,  # noqa: SLF001 - its public name, as are the next two
        KafkaError._BAD_MSG,  # noqa: SLF001
        KafkaError._NOT_IMPLEMENTED,  # noqa: SLF001 - a format or codec of the future
        KafkaError.INVALID_MSG,
        KafkaError.MSG_SIZE_TOO_LARGE,
    }
    offset = notice.offset()
    return notice.error().code() in codes and offset is not None and offset >= 0


def _probe_options(options: dict[str, str | int]) -> dict[str, str | int]:
    return by_assignment(options, "probe") | {
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "fetch.wait.max.ms": 10,
        "fetch.error.backoff.ms": 0,
    }  # fmt: skip


def _last_unreadable(probe: Any, topic: str, partition: int, first: int) -> int | None:
    """Return the last offset of the batch at `first`, by bisection; None if it can be read."""
    from confluent_kafka import TopicPartition

    give_up_at = time.monotonic() + _PROBE_S
    _, end = probe.get_watermark_offsets(TopicPartition(topic, partition), timeout=_PROBE_S)
    unreadable, readable = first - 1, end  # at the end there is nothing that could be unreadable
    step_at = first
    while readable - unreadable > 1:
        if _can_read(probe, TopicPartition(topic, partition, step_at), first, give_up_at):
            readable = step_at
        else:
            unreadable = step_at
        step_at = (unreadable + readable) // 2
    return unreadable if unreadable >= first else None


def _can_read(probe: Any, at: Any, first: int, give_up_at: float) -> bool:
    """Return whether reading from a place gives anything but the batch that begins at `first`."""
    from confluent_kafka import KafkaError, KafkaException

    probe.assign([at])
    while time.monotonic() < give_up_at:
        found = probe.poll(0.5)
        if found is None:
            continue
        if found.error() is None or found.error().code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            return True
        if is_unreadable(found):
            return bool(found.offset() > first)  # else the same batch; a later one is another
    raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 - its public name
