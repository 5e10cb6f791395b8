"""Identity and watermarks of the log, read from the broker before a snapshot is used."""

from collections.abc import Mapping

from streams.kafka.scan import OffsetRange, Scanner
from streams.kafka.topics import topic_identity
from streams.snapshots.source import (
    LogIdentity,
    SnapshotSource,
    UnusableSnapshotError,
    require_offsets,
)
from visualsearch.client.tail import LogCutError, Tail

ANSWER_S = 30.0  # a partition may be without its leader for a while


def identify(bootstrap: str, topic: str) -> LogIdentity:
    """Return the identity of a log.

    Raises TopicError, `unreachable` if a later call may succeed.
    """
    found = topic_identity(bootstrap, topic, timeout_s=ANSWER_S)
    return LogIdentity(found.cluster_id, topic, found.topic_id, found.partitions)


def require_readable(options: Mapping[str, str | int], source: SnapshotSource) -> None:
    """Reject a snapshot whose positions the log does not hold any more.

    Raises UnusableSnapshotError, `log_truncated` if the leader epoch shows that records before a
    position were replaced. Raises TopicError if the broker does not answer.
    """
    topic, numbers = source.log.topic, range(source.log.partitions)
    with _scanner(options) as scanner:
        spans = scanner.offset_ranges(topic, numbers)
    require_offsets(source, {span.partition: (span.start, span.end) for span in spans})
    nexts = [OffsetRange(topic, number, at.offset, at.offset + 1, at.leader_epoch)
             for number, at in enumerate(source.positions)]  # fmt: skip
    # A new one: a client that knows the leader already does not compare epochs when assigned.
    with _scanner(options) as scanner:
        try:
            for _ in scanner.read(nexts):  # of each partition the next record, or the end
                pass
        except LogCutError as error:
            raise UnusableSnapshotError(str(error), code="log_truncated") from error


def _scanner(options: Mapping[str, str | int]) -> Scanner:
    few = {"fetch.wait.max.ms": 10, "queued.min.messages": 1}
    tail = Tail(options, "probe", reset="error", tuning=few, steps_over=False, answer_s=ANSWER_S)
    return Scanner(options, tail)
