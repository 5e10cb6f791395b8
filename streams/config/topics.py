"""The topics as data: their names, partitions and configs."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

from visualsearch.client.options import MIB

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
UNLIMITED = "-1"
CLOCK = "message.timestamp.type"


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The name of each topic; a prefix keeps several catalogs apart on one cluster."""

    product_events: str = "product-events"
    product_created: str = "product-created"
    product_updated: str = "product-updated"
    product_offer_updated: str = "product-offer-updated"
    product_deleted: str = "product-deleted"
    index_log: str = "index-log"
    search_requests: str = "search-requests"
    search_results: str = "search-results"
    product_retry: str = "product-retry"
    dead_letters: str = "dead-letters"
    workers: str = "workers"

    @classmethod
    def with_prefix(cls, prefix: str) -> Self:
        """Return the default names, each led by `prefix` as it is (no separator is added)."""
        return cls(**{item.name: f"{prefix}{item.default}" for item in fields(cls)})

    def product_topics(self) -> tuple[str, ...]:
        """Return the five topics that carry product events, the recommended one first."""
        return (
            self.product_events,
            self.product_created,
            self.product_updated,
            self.product_offer_updated,
            self.product_deleted,
        )


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it should be; `config` holds only what must differ from the broker's defaults."""

    name: str
    partitions: int
    config: Mapping[str, str]


def topic_specs(
    names: TopicNames,
    *,
    products: int = 4,
    index_log: int = 8,
    search_requests: int = 8,
    search_results: int = 4,
    product_retry: int = 4,
    dead_letters: int = 1,
) -> list[TopicSpec]:
    """Return every topic with its number of partitions and its configs.

    `products` counts for each of the five product topics. `index_log` can never change in place:
    another number is a new log.
    """
    return [
        *(TopicSpec(name, products, _product_config()) for name in names.product_topics()),
        TopicSpec(names.index_log, index_log, _index_log_config()),
        TopicSpec(names.search_requests, search_requests, _passing(10 * MIB, "LogAppendTime")),
        TopicSpec(names.search_results, search_results, _passing(4 * MIB)),
        TopicSpec(names.product_retry, product_retry, _kept(11 * MIB, retention_ms=7 * DAY_MS)),
        TopicSpec(names.dead_letters, dead_letters, _kept(11 * MIB) | {CLOCK: "CreateTime"}),
        TopicSpec(names.workers, 1, _workers_config()),
    ]


def _product_config() -> dict[str, str]:
    """Keep every event: the topics are the catalog's history, and one clock orders it.

    Not compacted: the last event of a key may be an offer alone, and compaction would delete
    the product before it.
    """
    return {**_kept(10 * MIB), CLOCK: "LogAppendTime"}


def _index_log_config() -> dict[str, str]:
    """Keep the last record of each key, and all of the last day, in which readers heal the log.

    A segment lasts a day at most: the active one is never compacted, and a quiet log's default
    segment would stay active for a week.
    """
    return {
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": str(DAY_MS),
        "segment.ms": str(DAY_MS),
        "max.message.bytes": str(10 * MIB),
    }


def _passing(max_bytes: int, timestamps: str = "CreateTime") -> dict[str, str]:
    """Keep an hour of requests or results: nobody waits longer.

    Only whole segments are dropped, hence the short ones. A request's deadline counts from its
    arrival by the broker's clock: clients' clocks are not reliable.
    """
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(HOUR_MS),
        "segment.ms": str(HOUR_MS // 6),
        "max.message.bytes": str(max_bytes),
        CLOCK: timestamps,
    }


def _kept(max_bytes: int, retention_ms: int | None = None) -> dict[str, str]:
    """Keep records without limit, or for a given time.

    Retries and dead letters are an event of up to 10 MiB plus headers. A dead letter has the time
    of its event (CreateTime), from which its replay gets its order.
    """
    return {
        "cleanup.policy": "delete",
        "retention.ms": UNLIMITED if retention_ms is None else str(retention_ms),
        "max.message.bytes": str(max_bytes),
    }


def _workers_config() -> dict[str, str]:
    """Keep the last heartbeat of each worker, for a day: one that was killed leaves no tombstone.

    Workers measure the broker's clock by its timestamps.
    """
    return {
        "cleanup.policy": "compact,delete",
        "retention.ms": str(DAY_MS),
        "segment.ms": str(HOUR_MS),
        "max.message.bytes": str(MIB),
        CLOCK: "LogAppendTime",
    }
