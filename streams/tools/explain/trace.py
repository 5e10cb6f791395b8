"""The trace of one product: its events, records, dead letters, and its state in a worker."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from streams.ingest.order import OriginalPosition
from visualsearch.contracts.records import Order, RecordKind

PipelineName = Literal["attributes", "embedding"]
PIPELINES: tuple[PipelineName, ...] = ("attributes", "embedding")


def iso(timestamp_ms: int) -> str | None:
    """Return a Kafka timestamp as ISO 8601; None if it is out of range."""
    try:
        return datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """An event with the product's key; `type` is None if it could not be read: see `code`."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    type: str | None = None
    event_id: str | None = None
    occurred_at: datetime | None = None
    version: int | None = None
    order: Order | None = None
    place: OriginalPosition | None = None  # the original's if this is a replay
    replayed: bool = False
    images: int | None = None
    code: str | None = None
    error: str = ""

    @property
    def source(self) -> str:
        """Its position: topic[partition]@offset."""
        return f"{self.topic}[{self.partition}]@{self.offset}"

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        row = asdict(self)
        del row["place"]
        occurred = self.occurred_at.isoformat() if self.occurred_at else None
        return row | {
            "source": self.source,
            "time": iso(self.timestamp_ms),
            "occurred_at": occurred,
        }


@dataclass(frozen=True, slots=True)
class SeenRecord:
    """The newest record of one kind in the index log."""

    position: str  # index-log[partition]@offset
    kind: RecordKind
    order: Order
    deleted: bool
    timestamp_ms: int
    source: str
    event_id: str
    event_type: str
    model: str | None = None
    images: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self) | {"time": iso(self.timestamp_ms)}


@dataclass(frozen=True, slots=True)
class SeenDeadLetter:
    """A dead letter with the product's key."""

    position: str
    original: str
    place: OriginalPosition | None
    stage: str
    code: str
    message: str

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        row = asdict(self)
        del row["place"]
        return row


@dataclass(frozen=True, slots=True)
class SeenRetry:
    """An event of the product whose images are fetched again, and its last error."""

    position: str
    original: str
    rounds: int
    not_before_ms: int
    code: str
    message: str

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self) | {"not_before": iso(self.not_before_ms)}


@dataclass(frozen=True, slots=True)
class WorkerState:
    """The product in one worker's index; `known` is False if the index does not hold it."""

    model: str
    known: bool
    searchable: bool = False
    why: str | None = None
    orders: Mapping[str, Order | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProductTrace:
    """All that was found; with a time limit, only what is newer."""

    product_id: str
    topics: tuple[str, ...]
    latest: Mapping[str, tuple[SeenEvent, ...]] = field(default_factory=dict)  # by topic
    counts: Mapping[str, int] = field(default_factory=dict)  # by topic
    newest: SeenEvent | None = None  # created, updated or deleted, the last by its order
    offer: SeenEvent | None = None  # the last offer by its order
    unreadable: SeenEvent | None = None  # the last that could not be read
    records: Mapping[RecordKind, SeenRecord] = field(default_factory=dict)
    dead_letters: tuple[SeenDeadLetter, ...] = ()
    retries: tuple[SeenRetry, ...] = ()  # those that wait or are in work
    committed: Mapping[PipelineName, Mapping[tuple[str, int], int]] = field(default_factory=dict)
    worker: WorkerState | None = None
    worker_error: str = ""  # why no worker was asked
    complete: bool = True  # no time limit, every partition

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        committed = {
            pipeline: {f"{topic}[{partition}]": offset for (topic, partition), offset in at.items()}
            for pipeline, at in self.committed.items()
        }
        return {
            "product_id": self.product_id,
            "events": {
                topic: {"count": self.counts[topic], "latest": [e.as_dict() for e in events]}
                for topic, events in self.latest.items()
            },
            "records": {kind: record.as_dict() for kind, record in self.records.items()},
            "dead_letters": [letter.as_dict() for letter in self.dead_letters],
            "retries": [retry.as_dict() for retry in self.retries],
            "committed": committed,
            "worker": asdict(self.worker) if self.worker else {"error": self.worker_error},
        }
