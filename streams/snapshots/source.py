"""The `source` of a snapshot's manifest: its log, the applied offsets, and their checks. Pure.

The offsets are read before the index is copied. Records after them are applied again, without
effect: the order of every record guards it.
"""

import base64
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from visualsearch.client.tail import Position
from visualsearch.contracts.records import Order
from visualsearch.errors import VisualSearchError


class UnusableSnapshotError(VisualSearchError):
    """A snapshot that may not be used; `code` is the machine-readable reason."""


class LogIdentity(Struct, frozen=True):
    """Identifies a log: a topic of another name, cluster or creation is another log."""

    cluster_id: str
    topic: str
    topic_id: str  # Kafka's own; a recreated topic gets another
    partitions: int


class SavedDirtyKey(Struct, frozen=True):
    """A dirty key at the time of the snapshot: its last record is stale and has to be healed."""

    key: str  # base64
    partition: int
    order: Order  # of the newest

    @classmethod
    def of(cls, key: bytes, partition: int, order: Order) -> "SavedDirtyKey":
        """Return it with a base64 key, for JSON."""
        return cls(base64.b64encode(key).decode(), partition, order)

    @property
    def raw_key(self) -> bytes:
        """The key as it stands in the log. Raises ValueError."""
        return base64.b64decode(self.key, validate=True)


class SnapshotSource(Struct, frozen=True):
    """The log, and the positions where a replay after a restore starts."""

    log: LogIdentity
    positions: tuple[Position, ...]  # by partition
    dirty: tuple[SavedDirtyKey, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what a manifest holds."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def read_source(data: Mapping[str, Any]) -> SnapshotSource:
    """Return the source of a manifest. Raises UnusableSnapshotError `source_unreadable`."""
    try:
        source = msgspec.convert(data, SnapshotSource)
        for dirty in source.dirty:
            _ = dirty.raw_key
    except ValueError as error:
        raise UnusableSnapshotError(
            f"its source cannot be read: {error}", code="source_unreadable"
        ) from None
    if len(source.positions) != source.log.partitions:
        text = f"{len(source.positions)} offsets for {source.log.partitions} partitions"
        raise UnusableSnapshotError(text, code="source_unreadable")
    return source


def require_log(source: SnapshotSource, here: LogIdentity) -> None:
    """Reject a snapshot of another log. Raises UnusableSnapshotError."""
    saved = source.log
    for code, what, theirs, ours in (
        ("cluster_foreign", "cluster", saved.cluster_id, here.cluster_id),
        ("topic_foreign", "topic", saved.topic, here.topic),
        ("topic_recreated", f"creation of {here.topic}", saved.topic_id, here.topic_id),
        ("partitions_changed", "number of partitions", saved.partitions, here.partitions),
    ):
        if theirs != ours:
            raise UnusableSnapshotError(
                f"it is of another {what}: {theirs}, here {ours}", code=code
            )


def require_offsets(source: SnapshotSource, watermarks: Mapping[int, tuple[int, int]]) -> None:
    """Reject positions outside of the log; `watermarks` is (low, high) by partition.

    Below the low watermark the replay would miss deleted records. Above the high watermark the log
    has lost records that the snapshot holds. Raises UnusableSnapshotError.
    """
    for partition, position in enumerate(source.positions):
        beginning, end = watermarks[partition]
        at = f"{source.log.topic}[{partition}]@{position.offset}"
        if position.offset < beginning:
            text = f"{at} is older than the log's beginning, {beginning}"
            raise UnusableSnapshotError(text, code="offset_before_beginning")
        if position.offset > end:
            raise UnusableSnapshotError(
                f"{at} is past the log's end, {end}", code="offset_past_end"
            )
