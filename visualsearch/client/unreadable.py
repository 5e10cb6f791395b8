"""Skipping of batches that librdkafka cannot read.

A batch may be damaged, or too large when decompressed (3 kB of zstd can hold 100 MB). librdkafka
then reports the same error at the same offset forever, and the partition makes no progress.
"""

import logging
import time
from dataclasses import dataclass
from typing import Any

from visualsearch.client.options import by_assignment

log = logging.getLogger(__name__)
_PROBE_S = 20.0  # timeout of finding one batch's end; the consumer is blocked meanwhile


@dataclass(frozen=True, slots=True)
class UnreadableBatch:
    """The offsets of an unreadable batch, from `first` to `last` inclusive, and the reason.

    Intact messages within it are skipped too: nothing tells them apart.
    """

    topic: str
    partition: int
    first: int
    last: int
    reason: str

    def __str__(self) -> str:
        """Return topic, partition, offsets and reason."""
        return f"{self.topic}[{self.partition}]@{self.first}-{self.last}: {self.reason}"


def skip_unreadable_batch(
    consumer: Any, options: dict[str, str | int], notice: Any
) -> UnreadableBatch | None:
    """Seek a consumer past the batch that its error `notice` is about, and return the batch.

    Return None if the error has no offset, if the offset can be read by now, or if the broker does
    not answer. In the last case the next poll reports the same error. `options` are librdkafka's
    connection options. Blocks for some round trips to the broker.
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
    except KafkaException as error:  # the broker is unreachable, or no descriptors are left
        log.warning("%s[%d]@%d cannot be read, and not skipped yet: %s", topic, partition, first,
                    error.args[0].str())  # fmt: skip
        return None
    if last is None:
        return None
    batch = UnreadableBatch(topic, partition, first, last, notice.error().str())
    log.error("skipped an unreadable batch: %s", batch)
    return batch


def is_unreadable(notice: Any) -> bool:
    """Return whether an error is about the batch at one offset."""
    from confluent_kafka import KafkaError

    codes = {
        KafkaError._BAD_COMPRESSION,  # noqa: SLF001 - its public name, as are the next two
        KafkaError._BAD_MSG,  # noqa: SLF001
        KafkaError._NOT_IMPLEMENTED,  # noqa: SLF001 - a newer format or codec
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
    unreadable, readable = first - 1, end  # bounds: the end counts as readable
    step_at = first
    while readable - unreadable > 1:
        if _can_read(probe, TopicPartition(topic, partition, step_at), first, give_up_at):
            readable = step_at
        else:
            unreadable = step_at
        step_at = (unreadable + readable) // 2
    return unreadable if unreadable >= first else None


def _can_read(probe: Any, at: Any, first: int, give_up_at: float) -> bool:
    """Return whether reading from `at` gets past the batch that begins at `first`."""
    from confluent_kafka import KafkaError, KafkaException

    probe.assign([at])
    while time.monotonic() < give_up_at:
        found = probe.poll(0.5)
        if found is None:
            continue
        if found.error() is None or found.error().code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            return True
        if is_unreadable(found):
            return bool(found.offset() > first)  # at `first`: the same batch; above: a later one
    raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 - its public name
