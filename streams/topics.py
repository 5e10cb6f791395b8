"""The topics as data, and the administration that makes and checks them.

Nothing here changes or deletes a topic: creation is idempotent, a difference is reported.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

from streams.kafka.topic_leaders import unled_topics
from visualsearch.errors import VisualSearchError

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

MIB = 1024 * 1024
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
UNLIMITED = "-1"
CLOCK = "message.timestamp.type"
BROKER_DEFAULT_REPLICATION = -1


class TopicError(VisualSearchError):
    """Topics that cannot be made or read; codes: unreachable, topics_failed."""

    code = "topics_failed"


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The name of each topic; a prefix keeps several catalogues apart on one cluster."""

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


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One property of a topic that is not as it should be ("partitions" or a config's name)."""

    topic: str
    what: str
    wanted: str
    found: str


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it is; `partitions` is None where it does not exist."""

    name: str
    partitions: int | None
    config: Mapping[str, str] = field(default_factory=dict)
    mismatches: tuple[Mismatch, ...] = ()

    @property
    def status(self) -> str:
        """Return missing, mismatch or ok."""
        if self.partitions is None:
            return "missing"
        return "mismatch" if self.mismatches else "ok"


@dataclass(frozen=True, slots=True)
class TopicReport:
    """What `create_topics` did: names created, names found, differences left as they are."""

    created: tuple[str, ...]
    existing: tuple[str, ...]
    mismatches: tuple[Mismatch, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


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
    """Keep every event: the topics are the catalogue's history, and one clock orders it.

    Not compacted: the last event of a key may be an offer alone, and compaction would forget the
    product behind it.
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
    arrival by the broker's clock: those of phones are not to be relied on.
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

    Retries and dead letters are an event of up to 10 MiB and the headers that tell its story. A
    dead letter has the time of its event (CreateTime): the order of its replay rests on it.
    """
    return {
        "cleanup.policy": "delete",
        "retention.ms": UNLIMITED if retention_ms is None else str(retention_ms),
        "max.message.bytes": str(max_bytes),
    }


def _workers_config() -> dict[str, str]:
    """Keep the last heartbeat of each worker, for a day: one that was killed leaves no tombstone.

    Workers measure the broker's clock by its time stamps.
    """
    return {
        "cleanup.policy": "compact,delete",
        "retention.ms": str(DAY_MS),
        "segment.ms": str(HOUR_MS),
        "max.message.bytes": str(MIB),
        CLOCK: "LogAppendTime",
    }


def create_topics(
    bootstrap: str, specs: Sequence[TopicSpec], *, timeout_s: float = 30.0
) -> TopicReport:
    """Create the topics that are missing and report what differs in those that are there.

    Returns once every topic has its leaders, so that a producer may send at once. Raises
    TopicError.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import NewTopic

    before = describe_topics(bootstrap, specs, timeout_s=timeout_s)
    missing = [s for s, state in zip(specs, before, strict=True) if state.partitions is None]
    wanted = [
        NewTopic(s.name, s.partitions, BROKER_DEFAULT_REPLICATION, config=dict(s.config))
        for s in missing
    ]
    admin = admin_client(bootstrap)
    created = set()
    futures = admin.create_topics(wanted, request_timeout=timeout_s) if wanted else {}
    for name, future in futures.items():
        try:
            future.result()
            created.add(name)
        except KafkaException as error:
            # Another process was quicker: theirs is described below like any existing topic.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise TopicError(f"Topic {name}: {error.args[0].str()}") from error
    _wait_for_leaders(bootstrap, [s.name for s in specs], timeout_s)
    after = describe_topics(bootstrap, specs, timeout_s=timeout_s)
    return TopicReport(
        created=tuple(s.name for s in specs if s.name in created),
        existing=tuple(s.name for s in specs if s.name not in created),
        mismatches=tuple(item for state in after for item in state.mismatches),
    )


def describe_topics(
    bootstrap: str, specs: Sequence[TopicSpec], *, timeout_s: float = 30.0
) -> list[TopicState]:
    """Return each topic as it is beside how it should be, in the order of `specs`."""
    from confluent_kafka import KafkaException

    admin = admin_client(bootstrap)
    try:
        counts = {
            name: len(topic.partitions)
            for name, topic in admin.list_topics(timeout=min(timeout_s, 10.0)).topics.items()
            if topic.error is None
        }
        configs = _configs(admin, [s.name for s in specs if s.name in counts], timeout_s)
    except KafkaException as error:
        raise TopicError(
            f"No answer from Kafka at {bootstrap}: {error.args[0].str()}", code="unreachable"
        ) from error
    return [_state(spec, counts.get(spec.name), configs.get(spec.name, {})) for spec in specs]


def _state(spec: TopicSpec, partitions: int | None, config: Mapping[str, str]) -> TopicState:
    """Compare a topic with its spec; only the configs that the spec names count."""
    if partitions is None:
        return TopicState(spec.name, None)
    found = {name: config.get(name, "unknown") for name in spec.config}
    differing = [
        Mismatch(spec.name, name, wanted, found[name])
        for name, wanted in spec.config.items()
        if found[name] != wanted
    ]
    if partitions != spec.partitions:
        count = Mismatch(spec.name, "partitions", str(spec.partitions), str(partitions))
        differing.insert(0, count)
    return TopicState(spec.name, partitions, found, tuple(differing))


def _configs(
    admin: "AdminClient", names: Iterable[str], timeout_s: float
) -> dict[str, dict[str, str]]:
    from confluent_kafka.admin import ConfigResource, ResourceType

    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    if not resources:
        return {}
    answers = admin.describe_configs(resources, request_timeout=timeout_s)
    return {
        resource.name: {name: str(entry.value) for name, entry in future.result().items()}
        for resource, future in answers.items()
    }


def _wait_for_leaders(bootstrap: str, names: Sequence[str], timeout_s: float) -> None:
    """Wait until producers may send, whichever broker they ask. Raises TopicError."""
    from confluent_kafka import KafkaException

    try:
        unled = unled_topics(admin_client, bootstrap, names, timeout_s)
    except KafkaException as error:
        text = f"No answer from Kafka at {bootstrap}: {error.args[0].str()}"
        raise TopicError(text, code="unreachable") from error
    if unled:
        raise TopicError(f"Topics without a leader after {timeout_s:.0f} s: {', '.join(unled)}")


def admin_client(bootstrap: str) -> "AdminClient":
    """Return a client that does not write to standard error on its own."""
    from confluent_kafka.admin import AdminClient

    quiet = logging.getLogger("visualsearch.topics")
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}, logger=quiet)
