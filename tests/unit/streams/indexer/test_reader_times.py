"""What the reader makes of the times that a record carries, and of headers that carry none."""

from dataclasses import dataclass

import pytest

from tests.support.log_replica import METRICS, TOPIC, Entry, Log, Replica
from visualsearch.client.messages import Headers, OutgoingMessage
from visualsearch.contracts.records import BaseLogRecord, encode_record

NOW_S = 1_800_000_000.0
DELETED = ("event_type", b"product-deleted")
STAMP = ("source_timestamp", b"1799999998500")  # 1.5 s ago
OCCURRED = ("occurred_at", b"2026-05-01T12:00:00+00:00")
LIVE = ("path", b"live")


@dataclass(frozen=True, slots=True)
class Poisoned(Entry):
    """A record with a header whose name is not UTF-8, as confluent-kafka gives it."""

    def headers(self) -> list[tuple[str, bytes | None]]:
        """Raise as `confluent_kafka.Message` does."""
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


class Reader:
    """A reader that has met the end of its log."""

    def __init__(self) -> None:
        self.log = Log()
        self.replica = Replica(self.log, lambda: NOW_S, 1.0, append=lambda _: None)
        self.replica.read_all()
        self._order = 0

    def append(self, *headers: tuple[str, bytes | None]) -> None:
        """Append a delete; each is newer than the last."""
        self._order += 1
        value = encode_record(BaseLogRecord(order=(self._order, 0, 0), deleted=True))
        self.log.append(OutgoingMessage(TOPIC, b"base:p", value, 0, headers), NOW_S)

    def observed(self, *headers: tuple[str, bytes | None]) -> tuple[float, float, float]:
        """Read a delete with these headers; return what it added to counts and seconds.

        Of `freshness_seconds` the count, of `pipeline_seconds` the count and the seconds.
        """
        before = counts()
        self.append(*headers)
        self.replica.read_all()
        return tuple(after - was for after, was in zip(counts(), before, strict=True))  # type: ignore[return-value]


def counts() -> tuple[float, float, float]:
    """Return the metrics of deletes."""
    get = METRICS.registry.get_sample_value
    way = {"kind": "delete", "path": "live"}
    return (
        get("visualsearch_freshness_seconds_count", {"kind": "delete"}) or 0.0,
        get("visualsearch_pipeline_seconds_count", way) or 0.0,
        get("visualsearch_pipeline_seconds_sum", way) or 0.0,
    )


def test_each_time_counts_for_its_own_metric() -> None:
    """A record of an older version has one of them."""
    reader = Reader()
    assert reader.observed(DELETED, OCCURRED, STAMP, LIVE) == (1, 1, 1.5)
    assert reader.observed(DELETED, OCCURRED) == (1, 0, 0)
    assert reader.observed(DELETED, STAMP, LIVE) == (0, 1, 1.5)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (DELETED, ("occurred_at", b"\xff"), ("source_timestamp", b"-1"), LIVE),
        (DELETED, ("occurred_at", None), ("source_timestamp", None), ("path", None)),
        (DELETED, ("source_timestamp", b"9" * 5000), LIVE),
        (DELETED, ("source_timestamp", "١٢".encode()), LIVE),
        (DELETED, STAMP, ("path", b"p" * 99)),
        (DELETED, ("occurred_at", b"0001-01-01T00:00:00+23:59")),
        (DELETED, ("occurred_at", b"9999-12-31T23:59:59-23:59")),
        (DELETED, OCCURRED, STAMP, LIVE, ("healed", b"1")),
    ],
)
def test_what_tells_no_time_is_not_observed_and_ends_nobody(headers: Headers) -> None:
    """Anybody may write to the log; a healed record was observed when it was new."""
    assert Reader().observed(*headers) == (0, 0, 0)


def test_headers_that_cannot_be_read_leave_the_record_as_it_is() -> None:
    """It is applied, and nothing is observed."""
    reader = Reader()
    reader.append(DELETED, OCCURRED, STAMP, LIVE)
    (entry,) = reader.log.entries[0]
    values = {name: getattr(entry, name) for name in Entry.__slots__}
    reader.log.entries[0] = [Poisoned(**values)]
    before = counts()
    reader.replica.read_all()
    assert counts() == before
    assert reader.replica.engine.product("p") is not None
